//! The engine for many nodes: batches as set-based statements on a few connections.
//!
//! Connections are plain TCP or unix sockets. TLS is not built in yet: run on the same host, inside a private network,
//! or behind a local TLS proxy. Poolers that hand a connection to another client after each transaction do not fit,
//! because statements stay prepared.

mod batch;
mod connection;
mod migrate;
mod sql;
mod writer;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;

use crate::change::Checked;
use crate::queue::{Counters, Door, QUEUE, Work, closed, reply};
use crate::{Backend, ChangeSet, Commit, JobClaim, Migrate, Row, Store, StoreError, StoreStats, Value};
use connection::{Link, Role, Shared};
use sql::{Class, Param, class, failed, row};
use writer::{Message, Writer};

/// Reads that may be under way.
const READS: usize = 1024;

/// How to reach PostgreSQL.
#[derive(Clone)]
pub struct PgSettings {
    /// A URL or a `host=… user=…` string; several hosts and `target_session_attrs` are understood.
    pub config: String,
    /// Connections that write.
    pub writers: usize,
    /// Connections that read.
    pub readers: usize,
}

impl PgSettings {
    /// The defaults: 1 writer, 2 readers.
    pub fn new(config: impl Into<String>) -> Self {
        PgSettings {
            config: config.into(),
            // One: two make smaller batches and are no faster (docs/performance.md).
            writers: 1,
            readers: 2,
        }
    }
}

impl std::fmt::Debug for PgSettings {
    // the address may hold a password
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgSettings")
            .field("writers", &self.writers)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

/// The store on PostgreSQL.
pub struct PgStore {
    queue: Door<Message>,
    writers: usize,
    readers: Arc<[Shared]>,
    next: AtomicUsize,
    reads: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl PgStore {
    /// Connects, migrates, and starts the writers on the current tokio runtime.
    pub async fn open(settings: &PgSettings, migrate: Migrate) -> Result<Self, StoreError> {
        let config = connection::config(&settings.config)?;
        migrate::run(&config, migrate).await?;
        let (queue, messages) = flume::bounded(QUEUE);
        let counters = Arc::new(Counters::default());
        let writers = settings.writers.clamp(1, 16);
        for _ in 0..writers {
            let mut link = Link::new(config.clone(), Role::Writer);
            link.get().await?;
            let writer = Writer::new(link, messages.clone(), Arc::clone(&counters));
            #[expect(
                clippy::disallowed_methods,
                reason = "a writer lives as long as the store; close() stops it"
            )]
            tokio::spawn(writer.run());
        }
        let mut readers = Vec::new();
        for _ in 0..settings.readers.clamp(1, 16) {
            let reader = Shared::new(Link::new(config.clone(), Role::Reader));
            reader.get().await?;
            readers.push(reader);
        }
        let (next, reads) = (AtomicUsize::new(0), Arc::new(Semaphore::new(READS)));
        Ok(PgStore {
            queue: Door::new(queue),
            writers,
            readers: readers.into(),
            next,
            reads,
            counters,
        })
    }
}

/// Reads; again when a connection was lost: every reader may have lost its own in the same moment.
async fn read(readers: &[Shared], first: usize, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
    let mut tries = 0;
    loop {
        let reader = &readers[first.wrapping_add(tries) % readers.len()];
        tries += 1;
        match read_once(reader, sql, params).await {
            Ok(rows) => return Ok(rows),
            Err(Reading::Store(error)) => return Err(error),
            Err(Reading::Postgres(error)) => {
                let again = matches!(class(&error), Class::Connection | Class::StalePlan | Class::Again);
                if !again || tries > readers.len() {
                    return Err(failed(&error));
                }
            }
        }
    }
}

async fn read_once(reader: &Shared, sql: &str, params: &[Value]) -> Result<Vec<Row>, Reading> {
    let connection = reader.get().await?;
    let statement = connection.query_statement(sql).await?;
    let params: Vec<Param<'_>> = params.iter().map(Param).collect();
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
    match connection.client.query(&statement, &params).await {
        Ok(rows) => Ok(rows.iter().map(row).collect::<Result<_, _>>()?),
        Err(error) => {
            if class(&error) == Class::StalePlan {
                connection.forget(sql);
            }
            Err(error.into())
        }
    }
}

/// Why a read failed.
enum Reading {
    Postgres(tokio_postgres::Error),
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Reading {
    fn from(error: tokio_postgres::Error) -> Self {
        Reading::Postgres(error)
    }
}

impl From<StoreError> for Reading {
    fn from(error: StoreError) -> Self {
        Reading::Store(error)
    }
}

#[async_trait]
impl Store for PgStore {
    async fn commit(&self, change: ChangeSet) -> Result<Commit, StoreError> {
        if change.is_empty() {
            return Ok(Commit::Done);
        }
        let checked = Checked::new(change)?;
        let (reply, answer) = reply();
        self.queue
            .ask(Message::Work(Work::Change(checked, reply)), answer)
            .await
    }

    async fn query(&self, sql: Cow<'static, str>, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        params.iter().try_for_each(Value::check_text)?;
        let permit = self.reads.clone().try_acquire_owned();
        let permit = permit.map_err(|refused| match refused {
            tokio::sync::TryAcquireError::NoPermits => StoreError::Busy,
            tokio::sync::TryAcquireError::Closed => closed(),
        })?;
        let (readers, first) = (self.readers.clone(), self.next.fetch_add(1, Relaxed));
        // In a task of its own: a caller who stops polling would hold up everybody else on that connection, whose driver waits until
        // an answer is taken, and whoever waits to connect anew.
        #[expect(clippy::disallowed_methods, reason = "it ends with its answer")]
        let reading = tokio::spawn(async move {
            let _permit = permit;
            read(&readers, first, &sql, &params).await
        });
        reading
            .await
            .unwrap_or_else(|_| Err(StoreError::unavailable("a read was cut off")))
    }

    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<Row>, StoreError> {
        if claim.limit == 0 {
            return Ok(Vec::new());
        }
        let (reply, answer) = reply();
        self.queue
            .ask(Message::Work(Work::Claim(*claim, reply)), answer)
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.query(Cow::Borrowed("SELECT 1"), Vec::new()).await.map(drop)
    }

    fn backend(&self) -> Backend {
        Backend::Postgres
    }

    fn stats(&self) -> StoreStats {
        self.counters.stats(self.queue.len())
    }

    async fn close(&self) {
        self.queue.close(self.writers, Message::Stop).await;
        self.reads.close();
        for reader in self.readers.iter() {
            reader.close();
        }
    }
}
