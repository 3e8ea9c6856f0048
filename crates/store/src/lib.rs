//! The store: one narrow door, [`Store::commit`] and [`Store::query`], on SQLite or PostgreSQL.
//!
//! A [`ChangeSet`] is guards (conditions that write) and plain operations; it happens as a whole or not at all, and is
//! durable when `commit` answers [`Commit::Done`]. Callers' change sets wait in a bounded queue; a writer commits
//! whatever waits in one transaction and answers each caller on its own. Reads are one SQL text for both engines:
//! `$1`…`$n`, `CAST(SUM(x) AS BIGINT)`, keyset pages.
//!
//! Dropping the future of a `commit` does not take the change back: it may still become durable.

mod change;
mod error;
mod jobs;
mod migrations;
pub mod postgres;
mod queue;
pub mod repo;
pub mod sqlite;
mod table;
pub mod tables;
#[cfg(feature = "testkit")]
pub mod testkit;
mod value;

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

pub use change::{ChangeSet, Commit, Guard, MAX_CHANGE_BYTES, Op};
pub use error::StoreError;
pub use jobs::{JobClaim, behind, is_due, wait_as_one};
pub use migrations::Migrate;
pub use postgres::{PgSettings, PgStore};
pub use sqlite::{SqliteSettings, SqliteStore};
pub use table::{Column, Kind, Table};
pub use value::{Row, Value};

/// Which engine a store runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The embedded one.
    Sqlite,
    /// PostgreSQL or a compatible engine.
    Postgres,
}

/// Figures of a store since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Transactions committed.
    pub batches: u64,
    /// Change sets and claims answered by them.
    pub changes: u64,
    /// Batches that had to be done again, wholly or in parts.
    pub reruns: u64,
    /// Change sets waiting now.
    pub queued: usize,
}

/// The narrow door to the database.
#[async_trait]
pub trait Store: Send + Sync {
    /// Commits all of the change set or nothing. Durable when it answers [`Commit::Done`].
    async fn commit(&self, change: ChangeSet) -> Result<Commit, StoreError>;

    /// Reads. One SQL text with `$1`…`$n` for both engines; it sees every change acknowledged before the call.
    async fn query(&self, sql: Cow<'static, str>, params: Vec<Value>) -> Result<Vec<Row>, StoreError>;

    /// Leases due jobs, oldest first, and raises their `attempt`. Two workers never receive the same job while its
    /// lease lasts; a lane's jobs come one at a time, smallest id first. Rows have the columns of [`tables::JOBS`].
    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<Row>, StoreError>;

    /// When the next job becomes due or loses its lease (microseconds; may be past), if there is one. A job that its
    /// lane holds back does not count.
    async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        let free = match self
            .query(Cow::Borrowed(jobs::next_free(self.backend())), Vec::new())
            .await?
            .first()
        {
            Some(row) => Some(row.int(0)?),
            None => None,
        };
        let until = Value::Int(free.unwrap_or(i64::MAX));
        let leased = match self
            .query(Cow::Borrowed(jobs::NEXT_LEASE), vec![until])
            .await?
            .first()
        {
            Some(row) => row.opt_int(0)?,
            None => None,
        };
        Ok(free.into_iter().chain(leased).min())
    }

    /// Answers when the database does.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The engine.
    fn backend(&self) -> Backend;

    /// Figures since opening.
    fn stats(&self) -> StoreStats;

    /// Commits what waits, then lets go of the database. Later calls answer [`StoreError::Unavailable`].
    async fn close(&self);
}

/// How to open a store.
#[derive(Clone, Debug)]
pub enum Settings {
    /// The embedded engine.
    Sqlite(SqliteSettings),
    /// PostgreSQL.
    Postgres(PgSettings),
}

/// Opens the store; inside a tokio runtime.
pub async fn open(settings: &Settings, migrate: Migrate) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match settings {
        Settings::Sqlite(settings) => Arc::new(SqliteStore::open(settings, migrate)?),
        Settings::Postgres(settings) => Arc::new(PgStore::open(settings, migrate).await?),
    })
}
