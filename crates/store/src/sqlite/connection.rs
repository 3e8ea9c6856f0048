//! Opening connections; migrations.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::SqliteSettings;
use super::sql::failed;
use crate::migrations::{self, Migrate, SQLITE};
use crate::{StoreError, Value};

const STATEMENTS: usize = 256;
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// How often opening is tried. Each try waits [`OPENED_EVERY`] for locks at most and is followed by as long a pause: ten seconds in all.
const OPENED_AT_MOST: u32 = 250;
const OPENED_EVERY: Duration = Duration::from_millis(20);

/// SQLite answers "busy" at once, without waiting, while another program turns a new file into WAL mode or recovers one after a crash:
/// both are over in a moment.
fn patiently(open: impl Fn() -> Result<Connection, StoreError>) -> Result<Connection, StoreError> {
    for _ in 1..OPENED_AT_MOST {
        match open() {
            Err(StoreError::Unavailable { .. }) => std::thread::sleep(OPENED_EVERY),
            opened => return opened,
        }
    }
    open()
}

pub(super) fn open_writer(settings: &SqliteSettings, migrate: Migrate) -> Result<Connection, StoreError> {
    patiently(|| try_open_writer(settings, migrate))
}

/// One that only copies the log.
pub(super) fn open_copier(settings: &SqliteSettings) -> Result<Connection, StoreError> {
    patiently(|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&settings.path, flags).map_err(failed)?;
        connection.busy_timeout(OPENED_EVERY).map_err(failed)?;
        connection
            .execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")
            .map_err(failed)?;
        Ok(connection)
    })
}

pub(super) fn open_reader(settings: &SqliteSettings) -> Result<Connection, StoreError> {
    patiently(|| try_open_reader(settings))
}

fn try_open_writer(settings: &SqliteSettings, migrate: Migrate) -> Result<Connection, StoreError> {
    if migrate == Migrate::Refuse && !settings.in_memory() && !settings.path.exists() {
        migrations::next(SQLITE, &[], migrate)?;
    }
    let mut connection = if settings.in_memory() {
        Connection::open_in_memory().map_err(failed)?
    } else {
        Connection::open(&settings.path).map_err(failed)?
    };
    connection.busy_timeout(OPENED_EVERY).map_err(failed)?;
    let pragmas = format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{}; PRAGMA wal_autocheckpoint=0;",
        u64::from(settings.cache_mib) * 1024,
    );
    connection.execute_batch(&pragmas).map_err(failed)?;
    keep_plans(&connection)?;
    apply_migrations(&mut connection, migrate)?;
    connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
    Ok(connection)
}

fn try_open_reader(settings: &SqliteSettings) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&settings.path, flags).map_err(failed)?;
    connection.busy_timeout(OPENED_EVERY).map_err(failed)?;
    let pragmas = format!(
        "PRAGMA query_only=1; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{};",
        u64::from(settings.cache_mib) * 256
    );
    connection.execute_batch(&pragmas).map_err(failed)?;
    keep_plans(&connection)?;
    connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
    Ok(connection)
}

/// Statements are prepared once. Left to itself, SQLite looks at what is bound to a limit, a span or a pattern and plans each such
/// statement anew every time it is run, which takes longer than many a query.
fn keep_plans(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
        .map_err(failed)
}

/// One transaction per migration, each looking anew: two programs may start on the file at once.
fn apply_migrations(connection: &mut Connection, migrate: Migrate) -> Result<(), StoreError> {
    loop {
        let behavior = match migrate {
            Migrate::Apply => TransactionBehavior::Immediate,
            Migrate::Refuse => TransactionBehavior::Deferred,
        };
        let transaction = connection.transaction_with_behavior(behavior).map_err(failed)?;
        if migrate == Migrate::Apply {
            transaction
                .execute_batch(
                    "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, \
                     name TEXT NOT NULL, applied_at INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT",
                )
                .map_err(failed)?;
        }
        let applied = applied(&transaction)?;
        let Some(migration) = migrations::next(SQLITE, &applied, migrate)? else {
            return transaction.commit().map_err(failed);
        };
        transaction.execute_batch(migration.sql).map_err(failed)?;
        let row = [
            migration.version.into(),
            migration.name.into(),
            migration.checksum().into(),
        ];
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name, applied_at, checksum) \
                 VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000000 AS INTEGER), ?3)",
                rusqlite::params_from_iter(row.iter().map(|value: &Value| super::sql::Bound(value))),
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
}

fn applied(connection: &Connection) -> Result<Vec<(i64, i64)>, StoreError> {
    let exists = connection
        .query_row(
            "SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_migrations'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .map_err(failed)?;
    if exists == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection
        .prepare("SELECT version, checksum FROM schema_migrations")
        .map_err(failed)?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound_to_it() {
        let writer = open_writer(&SqliteSettings::new(":memory:"), Migrate::Apply).unwrap();
        for sql in [
            "SELECT id FROM jobs WHERE run_at <= ?1 ORDER BY run_at, id LIMIT ?2",
            "SELECT id FROM endpoints WHERE shop_id = ?1 AND id > ?2 ORDER BY id",
        ] {
            for n in 0..3 {
                let mut statement = writer.prepare_cached(sql).unwrap();
                statement.exists((n, n + 1)).unwrap();
                assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
            }
        }
    }
}
