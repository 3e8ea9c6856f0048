//! Migrations: numbered, forward only, embedded; the same numbers on both engines.

use crate::StoreError;

/// What to do with a database that lacks migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Apply them.
    Apply,
    /// Only check: answer [`StoreError::Older`].
    Refuse,
}

/// One step of the schema.
#[derive(Debug)]
pub(crate) struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($version:literal $name:literal),+) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $folder, "/", $name, ".sql")),
        }),+]
    };
}

pub(crate) static SQLITE: &[Migration] = migrations!("sqlite": 1 "0001_first", 2 "0002_reconciliations", 3 "0003_idempotency_room", 4 "0004_stock");
pub(crate) static POSTGRES: &[Migration] = migrations!("postgres": 1 "0001_first", 2 "0002_reconciliations", 3 "0003_idempotency_room", 4 "0004_stock");

impl Migration {
    /// FNV-1a over the text: enough to notice an edited migration.
    pub fn checksum(&self) -> i64 {
        let hash = self.sql.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        i64::from_ne_bytes(hash.to_ne_bytes())
    }
}

/// The next migration to apply, given the (version, checksum) pairs already applied.
pub(crate) fn next(
    known: &'static [Migration],
    applied: &[(i64, i64)],
    migrate: Migrate,
) -> Result<Option<&'static Migration>, StoreError> {
    let newest = known.last().map_or(0, |m| m.version);
    let found = applied.iter().map(|(version, _)| *version).max().unwrap_or(0);
    if found > newest {
        return Err(StoreError::Newer { found, known: newest });
    }
    for migration in known {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            Some((_, checksum)) if *checksum == migration.checksum() => {}
            Some(_) => {
                return Err(StoreError::Drifted {
                    version: migration.version,
                });
            }
            None if migrate == Migrate::Refuse => return Err(StoreError::Older { found, known: newest }),
            None => return Ok(Some(migration)),
        }
    }
    Ok(None)
}
