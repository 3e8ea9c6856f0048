//! What can go wrong at the store's door.

use std::error::Error;
use std::sync::Arc;

/// A failure of the store. A refused guard is not one: it is [`Commit::Refused`](crate::Commit::Refused).
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A bounded queue is full and nothing was done: answer 503 and let the caller come again.
    #[error("the store's queue is full")]
    Busy,
    /// A plain operation broke a constraint. That change set did nothing; its neighbours are not touched by it.
    #[error("a row of {table} breaks the constraint {constraint}")]
    Constraint {
        /// The table.
        table: Box<str>,
        /// The constraint, as the engine names it.
        constraint: Box<str>,
    },
    /// A column held another type than its reader expects.
    #[error("column {column} holds {found}, not {wanted}")]
    Corrupt {
        /// Position in the row, from 0.
        column: usize,
        /// What the reader asked for.
        wanted: &'static str,
        /// What is there.
        found: Box<str>,
    },
    /// PostgreSQL cannot hold NUL in text, so neither engine takes it.
    #[error("text with a NUL character cannot be stored")]
    BadText,
    /// The change set does not fit its tables: a mistake in our own code. Nothing was done.
    #[error("the change set is wrong: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// The database cannot be reached, or the store is closed. Nothing was done.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: Box<str>,
    },
    /// The connection or the writer was lost before the outcome was known: the change may or may not be durable. Read to find out.
    #[error("the outcome of the commit is unknown")]
    InDoubt,
    /// The database was written by a newer program.
    #[error("the database is newer than this program: it is at version {found}, this program knows {known}")]
    Newer {
        /// The database's version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The database lacks migrations and applying them was not allowed.
    #[error("the database is at version {found} and needs {known}: run the migrations")]
    Older {
        /// The database's version; 0 when it is empty.
        found: i64,
        /// The version this program needs.
        known: i64,
    },
    /// A migration that was applied is not the one this program holds.
    #[error("migration {version} was applied in another form than this program knows")]
    Drifted {
        /// Which one.
        version: i64,
    },
    /// The database failed in another way; nothing of this change set is durable.
    #[error("the database failed")]
    Backend(#[source] Arc<dyn Error + Send + Sync>),
}

impl StoreError {
    pub(crate) fn invalid(reason: impl Into<Box<str>>) -> Self {
        StoreError::Invalid {
            reason: reason.into(),
        }
    }

    pub(crate) fn unavailable(reason: impl Into<Box<str>>) -> Self {
        StoreError::Unavailable {
            reason: reason.into(),
        }
    }

    pub(crate) fn backend(source: impl Error + Send + Sync + 'static) -> Self {
        StoreError::Backend(Arc::new(source))
    }
}
