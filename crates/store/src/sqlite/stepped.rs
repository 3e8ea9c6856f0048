//! The embedded engine without a thread, for simulation: the same writer and the same SQL on a database in memory, but nothing
//! happens by itself. What nodes commit waits until somebody calls [`SteppedDatabase::flush`]; what a flush came to waits as a
//! [`StoreAnswer`] until it is delivered, or turned into doubt, or never heard because the node is gone.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::sql::{self, Texts};
use super::writer::Writer;
use super::{SqliteSettings, connection};
use crate::change::Checked;
use crate::queue::{Answer, Counters, Work, reply};
use crate::{Backend, ChangeSet, Commit, JobClaim, Migrate, Row, Store, StoreError, StoreStats, Value, jobs};

type Heard<T> = oneshot::Sender<Result<T, StoreError>>;

/// Somebody's wait for an answer: what the writer says, and the caller who wants to hear it.
enum Ends {
    Commit(Answer<Commit>, Heard<Commit>),
    Rows(Answer<Vec<Row>>, Heard<Vec<Row>>),
}

struct Waiting {
    node: usize,
    work: Work,
    /// A copy, for whoever watches what is committed.
    set: Option<ChangeSet>,
    ends: Ends,
}

struct WaitingRead {
    node: usize,
    sql: Cow<'static, str>,
    params: Vec<Value>,
    heard: Heard<Vec<Row>>,
}

/// What a piece of work came to; nobody has heard of it yet. Dropped, nobody ever does.
pub struct StoreAnswer {
    /// Whose work it was.
    pub node: usize,
    what: Told,
}

enum Told {
    Commit(Result<Commit, StoreError>, Heard<Commit>),
    Rows(Result<Vec<Row>, StoreError>, Heard<Vec<Row>>),
}

impl StoreAnswer {
    /// The jobs it leases to whoever asked for some.
    pub fn claimed(&self) -> &[Row] {
        match &self.what {
            Told::Rows(Ok(rows), _) => rows,
            Told::Rows(Err(_), _) | Told::Commit(..) => &[],
        }
    }

    /// Whether it was a change set, and is durable now.
    pub fn is_durable(&self) -> bool {
        matches!(self.what, Told::Commit(Ok(Commit::Done), _))
    }

    /// Lets the caller hear it.
    pub fn deliver(self) {
        match self.what {
            Told::Commit(result, heard) => drop(heard.send(result)),
            Told::Rows(result, heard) => drop(heard.send(result)),
        }
    }

    /// Lets the caller hear that the outcome is not known, whatever it was.
    pub fn deliver_doubt(self) {
        match self.what {
            Told::Commit(_, heard) => drop(heard.send(Err(StoreError::InDoubt))),
            Told::Rows(_, heard) => drop(heard.send(Err(StoreError::InDoubt))),
        }
    }
}

/// How the database treats its callers now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Work waits for a flush.
    Stepped,
    /// Work is done while it is asked for.
    AtOnce,
    /// Everything is refused: the database cannot be reached.
    Unavailable,
    /// Every commit is refused: the queue is full.
    Busy,
}

struct Inner {
    connection: Option<(rusqlite::Connection, Texts)>,
    waiting: Vec<Waiting>,
    reads: Vec<WaitingRead>,
    mood: Mood,
    /// Of 1,024 reads, how many wait for a step of their own.
    slow_reads: u64,
    dice: u64,
}

/// Told of each change set as it becomes durable, in order.
pub type Witness<'a> = &'a mut dyn FnMut(&ChangeSet);

/// A database that several simulated nodes share.
pub struct SteppedDatabase {
    inner: Mutex<Inner>,
    counters: Counters,
}

impl SteppedDatabase {
    /// A fresh database in memory, migrated. Of 1,024 reads `slow_reads` wait, which ones `seed` decides.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn open(seed: u64, slow_reads: u64) -> Result<Arc<Self>, StoreError> {
        let settings = SqliteSettings {
            cache_mib: 16,
            ..SqliteSettings::new(":memory:")
        };
        let connection = connection::open_writer(&settings, Migrate::Apply)?;
        Ok(Arc::new(Self {
            inner: Mutex::new(Inner {
                connection: Some((connection, Texts::default())),
                waiting: Vec::new(),
                reads: Vec::new(),
                mood: Mood::AtOnce,
                slow_reads,
                dice: seed | 1,
            }),
            counters: Counters::default(),
        }))
    }

    /// The door of one node. A restarted node takes a new one.
    pub fn door(self: &Arc<Self>, node: usize) -> Arc<SteppedStore> {
        Arc::new(SteppedStore {
            database: self.clone(),
            node,
        })
    }

    /// How callers are treated from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// How many pieces of work wait for a flush.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How many reads wait.
    pub fn waiting_reads(&self) -> usize {
        self.lock().reads.len()
    }

    /// Commits the first `most` pieces of waiting work as one group, as the writer does.
    pub fn flush(&self, most: usize, witness: Witness<'_>) -> Vec<StoreAnswer> {
        let mut inner = self.lock();
        let most = most.min(inner.waiting.len());
        let taken: Vec<Waiting> = inner.waiting.drain(..most).collect();
        self.run(&mut inner, taken, witness)
    }

    fn run(&self, inner: &mut Inner, taken: Vec<Waiting>, witness: Witness<'_>) -> Vec<StoreAnswer> {
        let (connection, texts) = inner.connection.take().expect("put back after every batch");
        let mut writer = Writer {
            connection,
            texts,
            counters: &self.counters,
        };
        let (mut batch, mut rest) = (Vec::with_capacity(taken.len()), Vec::with_capacity(taken.len()));
        for one in taken {
            batch.push(one.work);
            rest.push((one.node, one.set, one.ends));
        }
        writer.commit(batch);
        inner.connection = Some((writer.connection, writer.texts));
        let lost = || Err(StoreError::InDoubt);
        rest.into_iter()
            .map(|(node, set, ends)| {
                let what = match ends {
                    Ends::Commit(mut answer, heard) => {
                        let result = answer.try_recv().unwrap_or_else(|_| lost());
                        if let (Ok(Commit::Done), Some(set)) = (&result, &set) {
                            witness(set);
                        }
                        Told::Commit(result, heard)
                    }
                    Ends::Rows(mut answer, heard) => Told::Rows(
                        answer.try_recv().unwrap_or_else(|_| Err(StoreError::InDoubt)),
                        heard,
                    ),
                };
                StoreAnswer { node, what }
            })
            .collect()
    }

    /// Takes one piece of waiting work away without doing it; whose it was. Its caller hears `error`.
    pub fn fail_first(&self, error: StoreError) -> Option<usize> {
        let mut inner = self.lock();
        if inner.waiting.is_empty() {
            return None;
        }
        let one = inner.waiting.remove(0);
        drop(inner);
        match one.ends {
            Ends::Commit(_, heard) => drop(heard.send(Err(error))),
            Ends::Rows(_, heard) => drop(heard.send(Err(error))),
        }
        Some(one.node)
    }

    /// A node died: what it had waiting never happens. How much that was.
    pub fn forget(&self, node: usize) -> usize {
        let mut inner = self.lock();
        let before = inner.waiting.len();
        inner.waiting.retain(|one| one.node != node);
        inner.reads.retain(|one| one.node != node);
        before - inner.waiting.len()
    }

    /// Answers the waiting reads; whose they were.
    pub fn read_waiting(&self) -> Vec<usize> {
        let reads = std::mem::take(&mut self.lock().reads);
        let mut nodes = Vec::with_capacity(reads.len());
        for read in reads {
            nodes.push(read.node);
            let rows = self.lock().query(read.sql, &read.params);
            drop(read.heard.send(rows));
        }
        nodes
    }

    /// Reads now, past everything that waits.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn look(&self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.lock().query(Cow::Borrowed(sql), params)
    }

    /// Fills the disk up, so that no page can be added, or makes room again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn fill_disk(&self, full: bool) -> Result<(), StoreError> {
        let inner = self.lock();
        let (connection, _) = inner.connection.as_ref().expect("put back after every batch");
        let pages = if full { 1_i64 } else { 1_073_741_823 };
        connection
            .query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))
            .map_err(sql::failed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, node: usize, work: Work, set: Option<ChangeSet>, ends: Ends) {
        let mut inner = self.lock();
        let one = Waiting {
            node,
            work,
            set,
            ends,
        };
        if inner.mood == Mood::AtOnce {
            let answers = self.run(&mut inner, vec![one], &mut |_| {});
            drop(inner);
            answers.into_iter().for_each(StoreAnswer::deliver);
        } else {
            inner.waiting.push(one);
        }
    }
}

impl Inner {
    fn query(&mut self, sql: Cow<'static, str>, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let (connection, texts) = self.connection.as_mut().expect("put back after every batch");
        sql::query(connection, texts, sql, params)
    }

    fn refusal(&self, writes: bool) -> Result<(), StoreError> {
        match self.mood {
            Mood::Unavailable => Err(StoreError::unavailable("the database cannot be reached")),
            Mood::Busy if writes => Err(StoreError::Busy),
            Mood::Busy | Mood::Stepped | Mood::AtOnce => Ok(()),
        }
    }

    fn is_slow(&mut self) -> bool {
        // xorshift: a stream of its own, so that a read more here changes no id there
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.mood != Mood::AtOnce && (self.dice >> 20) % 1024 < self.slow_reads
    }
}

/// One node's door to a [`SteppedDatabase`].
pub struct SteppedStore {
    database: Arc<SteppedDatabase>,
    node: usize,
}

#[async_trait]
impl Store for SteppedStore {
    async fn commit(&self, change: ChangeSet) -> Result<Commit, StoreError> {
        if change.is_empty() {
            return Ok(Commit::Done);
        }
        self.database.lock().refusal(true)?;
        let set = Some(change.clone());
        let checked = Checked::new(change)?;
        let (inner, answer) = reply();
        let (heard, hear) = oneshot::channel();
        let work = Work::Change(checked, inner);
        self.database
            .ask(self.node, work, set, Ends::Commit(answer, heard));
        hear.await.unwrap_or(Err(StoreError::InDoubt))
    }

    async fn query(&self, sql: Cow<'static, str>, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        params.iter().try_for_each(Value::check_text)?;
        let hear = {
            let mut inner = self.database.lock();
            inner.refusal(false)?;
            if !inner.is_slow() {
                return inner.query(sql, &params);
            }
            let (heard, hear) = oneshot::channel();
            inner.reads.push(WaitingRead {
                node: self.node,
                sql,
                params,
                heard,
            });
            hear
        };
        hear.await
            .unwrap_or_else(|_| Err(StoreError::unavailable("the reader stopped")))
    }

    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<Row>, StoreError> {
        let due = self
            .query(
                Cow::Borrowed(jobs::ANY_DUE_SQLITE),
                vec![Value::Int(claim.now_us)],
            )
            .await?;
        if due.is_empty() || claim.limit == 0 {
            return Ok(Vec::new());
        }
        self.database.lock().refusal(true)?;
        let (inner, answer) = reply();
        let (heard, hear) = oneshot::channel();
        let work = Work::Claim(*claim, inner);
        self.database
            .ask(self.node, work, None, Ends::Rows(answer, heard));
        hear.await.unwrap_or(Err(StoreError::InDoubt))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.query(Cow::Borrowed("SELECT 1"), Vec::new()).await.map(drop)
    }

    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    fn stats(&self) -> StoreStats {
        self.database.counters.stats(self.database.waiting())
    }

    async fn close(&self) {}
}
