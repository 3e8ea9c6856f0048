//! The embedded engine: one writer thread that group-commits, one that copies the log into the file, a few reader threads.

mod checkpoint;
mod connection;
mod readers;
mod sql;
#[cfg(feature = "stepped")]
pub mod stepped;
mod writer;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use async_trait::async_trait;

use crate::change::Checked;
use crate::queue::{Counters, Door, QUEUE, Work, closed, reply};
use crate::{Backend, ChangeSet, Commit, JobClaim, Migrate, Row, Store, StoreError, StoreStats, Value, jobs};
use checkpoint::Rewind;
use readers::Read;
use writer::Message;

/// How to open an embedded store.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// The database file; `:memory:` for one that lives as long as the store (tests).
    pub path: PathBuf,
    /// Page cache of the writer in MiB; a reader takes a quarter of it.
    pub cache_mib: u32,
    /// The write-ahead log is copied into the file every so many pages, beside the writer. Commits wait for the disk while it takes in
    /// what was copied: larger makes that wait longer, and rarer. See docs/performance.md.
    pub checkpoint_pages: u32,
    /// Reader threads.
    pub readers: usize,
}

impl SqliteSettings {
    /// The defaults: 64 MiB, 1000 pages, 2 readers.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SqliteSettings {
            path: path.into(),
            cache_mib: 64,
            checkpoint_pages: 1_000,
            readers: 2,
        }
    }

    fn in_memory(&self) -> bool {
        self.path.as_os_str() == ":memory:"
    }
}

/// The embedded store.
pub struct SqliteStore {
    writer: Door<Message>,
    /// None in memory: then the writer's connection is the only one and reads as well.
    readers: Option<Door<Read>>,
    reader_threads: usize,
    counters: Arc<Counters>,
}

impl SqliteStore {
    /// Opens or creates the database. Blocks for as long as the migrations take.
    pub fn open(settings: &SqliteSettings, migrate: Migrate) -> Result<Self, StoreError> {
        let mut writing = connection::open_writer(settings, migrate)?;
        let counters = Arc::new(Counters::default());
        let (writer, messages) = flume::bounded(QUEUE);
        let writer = Door::new(writer);
        let counted = Arc::clone(&counters);
        let rewind = Rewind::default();
        let copier = if settings.in_memory() {
            None
        } else {
            let connection = connection::open_copier(settings)?;
            let (ask, asked) = flume::bounded(1);
            checkpoint::ask_every(&mut writing, settings.checkpoint_pages, ask, Arc::clone(&rewind))?;
            let rewind = Arc::clone(&rewind);
            Some(spawn("store-checkpoint".into(), move || {
                checkpoint::run(&connection, &asked, &rewind)
            })?)
        };
        spawn("store-writer".into(), move || {
            writer::run(writing, &messages, &counted, &rewind, copier)
        })?;
        if settings.in_memory() {
            return Ok(SqliteStore {
                writer,
                readers: None,
                reader_threads: 0,
                counters,
            });
        }
        let (queue, reads) = flume::bounded(readers::QUEUE);
        let reader_threads = settings.readers.clamp(1, 16);
        for n in 0..reader_threads {
            let connection = connection::open_reader(settings)?;
            let reads = reads.clone();
            spawn(format!("store-reader-{n}"), move || {
                readers::run(connection, &reads)
            })?;
        }
        Ok(SqliteStore {
            writer,
            readers: Some(Door::new(queue)),
            reader_threads,
            counters,
        })
    }

    /// Makes the writer panic in the middle of a batch.
    #[cfg(test)]
    async fn panic_in_writer(&self) -> Result<Commit, StoreError> {
        let (reply, answer) = reply();
        self.writer.ask(Message::Panic(reply), answer).await
    }
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, StoreError> {
    thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(StoreError::backend)
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, change: ChangeSet) -> Result<Commit, StoreError> {
        if change.is_empty() {
            return Ok(Commit::Done);
        }
        let checked = Checked::new(change)?;
        let (reply, answer) = reply();
        self.writer
            .ask(Message::Work(Work::Change(checked, reply)), answer)
            .await
    }

    async fn query(&self, sql: Cow<'static, str>, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        params.iter().try_for_each(Value::check_text)?;
        let (reply, answer) = reply();
        let read = Read::Query { sql, params, reply };
        match &self.readers {
            Some(readers) => readers.ask(read, answer).await,
            None => self.writer.ask(Message::Read(read), answer).await,
        }
        // a read leaves nothing behind, so a lost one is no doubt about anything
        .map_err(|error| match error {
            StoreError::InDoubt => StoreError::unavailable("the reader stopped"),
            other => other,
        })
    }

    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<Row>, StoreError> {
        // when nothing is due the writer is not disturbed
        let due = self
            .query(
                Cow::Borrowed(jobs::ANY_DUE_SQLITE),
                vec![Value::Int(claim.now_us)],
            )
            .await?;
        if due.is_empty() || claim.limit == 0 {
            return Ok(Vec::new());
        }
        let (reply, answer) = reply();
        self.writer
            .ask(Message::Work(Work::Claim(*claim, reply)), answer)
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.writer.is_closed() {
            return Err(closed());
        }
        self.query(Cow::Borrowed("SELECT 1"), Vec::new()).await.map(drop)
    }

    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    fn stats(&self) -> StoreStats {
        self.counters.stats(self.writer.len())
    }

    async fn close(&self) {
        // readers first: the last checkpoint wants the file to itself
        if let Some(readers) = &self.readers {
            readers.close(self.reader_threads, Read::Stop).await;
        }
        self.writer.close(1, Message::Stop).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::SETTINGS;

    #[tokio::test]
    async fn a_panic_in_the_writer_is_doubt_for_its_callers_and_no_end_for_the_store() {
        let store = SqliteStore::open(&SqliteSettings::new(":memory:"), Migrate::Apply).unwrap();
        assert!(matches!(store.panic_in_writer().await, Err(StoreError::InDoubt)));
        let row = vec!["a".into(), "b".into(), 1.into()];
        let done = store.commit(ChangeSet::new().guard_insert(&SETTINGS, row)).await;
        assert!(matches!(done, Ok(Commit::Done)));
        store.close().await;
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
    }
}
