//! Applying migrations.

use tokio_postgres::{Client, Config};

use super::connection::{Connection, Role};
use super::sql::failed;
use crate::StoreError;
use crate::migrations::{self, Migrate, POSTGRES};

/// Two nodes may create the first table at once; one of them then fails in PostgreSQL's own catalogue.
const TRIES: usize = 5;

/// One transaction per migration, under a lock, each looking anew: two nodes may start at once.
pub(super) async fn run(config: &Config, migrate: Migrate) -> Result<(), StoreError> {
    let connection = Connection::open(config, Role::Migration)
        .await
        .map_err(|error| failed(&error))?;
    let client = &connection.client;
    if migrate == Migrate::Refuse {
        return migrations::next(POSTGRES, &applied(client).await?, migrate).map(drop);
    }
    create_table(client).await?;
    loop {
        client
            .batch_execute("BEGIN; LOCK TABLE schema_migrations IN SHARE ROW EXCLUSIVE MODE")
            .await
            .map_err(|error| failed(&error))?;
        // an early return drops the connection, and that rolls back
        let Some(migration) = migrations::next(POSTGRES, &applied(client).await?, migrate)? else {
            return client
                .batch_execute("COMMIT")
                .await
                .map_err(|error| failed(&error));
        };
        client
            .batch_execute(migration.sql)
            .await
            .map_err(|error| failed(&error))?;
        client
            .execute(
                "INSERT INTO schema_migrations (version, name, applied_at, checksum) \
                 VALUES ($1, $2, CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT), $3)",
                &[&migration.version, &migration.name, &migration.checksum()],
            )
            .await
            .map_err(|error| failed(&error))?;
        client
            .batch_execute("COMMIT")
            .await
            .map_err(|error| failed(&error))?;
    }
}

async fn create_table(client: &Client) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let created = client
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, \
                 name TEXT NOT NULL, applied_at BIGINT NOT NULL, checksum BIGINT NOT NULL)",
            )
            .await;
        match created {
            Ok(()) => return Ok(()),
            Err(error) if tries == TRIES => return Err(failed(&error)),
            Err(_) => {}
        }
    }
}

async fn applied(client: &Client) -> Result<Vec<(i64, i64)>, StoreError> {
    let exists = client
        .query_one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[])
        .await
        .map_err(|error| failed(&error))?;
    if !exists.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client
        .query("SELECT version, checksum FROM schema_migrations", &[])
        .await
        .map_err(|error| failed(&error))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
