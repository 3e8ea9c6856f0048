//! What both engines are held to, and a PostgreSQL for tests. Feature `testkit`.

pub mod claims;
pub mod compare;
pub mod pg;
pub mod rows;
pub mod suite;
pub mod takes;

/// Makes a SQLite database look as if a later version had migrated it.
pub fn pretend_newer(settings: &crate::SqliteSettings) {
    let connection = rusqlite::Connection::open(&settings.path).expect("a database");
    connection
        .execute(
            "INSERT INTO schema_migrations SELECT 9999, 'from the future', applied_at, checksum FROM schema_migrations LIMIT 1",
            [],
        )
        .expect("a row");
}
