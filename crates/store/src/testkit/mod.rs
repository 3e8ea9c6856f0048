//! What both engines are held to, and a PostgreSQL for tests. Feature `testkit`.

pub mod claims;
pub mod pg;
pub mod rows;
pub mod suite;
