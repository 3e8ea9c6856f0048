//! The writer thread: takes whatever waits, commits it in one transaction, answers each caller on its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

use rusqlite::{Connection, params_from_iter};
use tokio::sync::oneshot;

use super::readers::{self, Read};
use super::sql::{self, Bound, QueryError, Texts, Verb, failed};
use super::{checkpoint, connection};
use crate::change::{Checked, Guard, Op};
use crate::queue::{BATCH, BATCH_BYTES, Counters, Settled, Work};
use crate::table::Table;
use crate::{Commit, JobClaim, Row, StoreError, Value, jobs};

/// A message to the writer.
pub(super) enum Message {
    Work(Work),
    /// Only in memory, where there are no readers.
    Read(Read),
    Stop(oneshot::Sender<()>),
    #[cfg(test)]
    Panic(crate::queue::Reply<Commit>),
}

pub(super) fn run(
    connection: Connection,
    messages: &flume::Receiver<Message>,
    counters: &Counters,
    rewind: &AtomicBool,
    copier: Option<JoinHandle<()>>,
) {
    let mut writer = Writer {
        connection,
        texts: Texts::default(),
        counters,
    };
    loop {
        match catch_unwind(AssertUnwindSafe(|| writer.serve(messages, rewind))) {
            Ok(stopped) => {
                // whoever stops the hub to copy the file finds all of it there
                if let Some(copier) = copier {
                    checkpoint::finish(&mut writer.connection, copier);
                }
                drop(writer);
                if let Some(stopped) = stopped {
                    let _ = stopped.send(());
                }
                return;
            }
            Err(_) => {
                // the batch's callers were told "in doubt" when it unwound
                tracing::error!("the writer panicked; it goes on with the next batch");
                writer.rollback();
            }
        }
    }
}

pub(super) struct Writer<'a> {
    pub(super) connection: Connection,
    pub(super) texts: Texts,
    pub(super) counters: &'a Counters,
}

/// Why a batch did not commit. It is rolled back in every case.
enum Undone {
    /// It could not begin: no point in trying its parts.
    NotBegun(StoreError),
    /// Something must be undone that has no savepoint.
    NeedsSavepoints,
    /// A statement or COMMIT failed for another reason than a constraint.
    Failed(StoreError),
}

/// Where change sets get a savepoint.
#[derive(Clone, Copy, PartialEq)]
enum Savepoints {
    /// Where a later guard may refuse after an earlier one wrote. The rare other case runs the batch again.
    Likely,
    Everywhere,
}

impl Writer<'_> {
    /// Serves until told to stop (then it answers whom to tell) or until nobody is left to ask.
    fn serve(
        &mut self,
        messages: &flume::Receiver<Message>,
        rewind: &AtomicBool,
    ) -> Option<oneshot::Sender<()>> {
        let mut stopping = None;
        loop {
            // after Stop: what still waits is committed, and nothing is waited for
            let first = match stopping {
                None => messages.recv().ok(),
                Some(_) => messages.try_recv().ok(),
            };
            let Some(first) = first else { return stopping };
            let (mut batch, mut reads, mut bytes, mut next) = (Vec::new(), Vec::new(), 0, Some(first));
            while let Some(message) = next {
                match message {
                    Message::Work(work) => {
                        bytes += work.size();
                        batch.push(work);
                    }
                    Message::Read(read) => reads.push(read),
                    Message::Stop(stopped) => stopping = Some(stopped),
                    #[cfg(test)]
                    Message::Panic(mut reply) => {
                        reply.start();
                        self.connection
                            .execute_batch("BEGIN IMMEDIATE")
                            .expect("no transaction is open");
                        panic!("asked to");
                    }
                }
                next = if batch.len() < BATCH && reads.len() < BATCH && bytes < BATCH_BYTES {
                    messages.try_recv().ok()
                } else {
                    None
                };
            }
            self.commit(batch);
            self.read(reads);
            // after the answers: nobody of this batch waits for it
            if rewind.load(Relaxed) && rewind.swap(false, Relaxed) {
                checkpoint::rewind(&self.connection, connection::BUSY_WAIT);
            }
        }
    }

    /// In memory only: reads between batches, so that none sees what is not committed.
    fn read(&mut self, reads: Vec<Read>) {
        if reads.is_empty() {
            return;
        }
        let read_only = self.statement("PRAGMA query_only=1");
        for read in reads {
            match (read, &read_only) {
                (Read::Query { sql, params, reply }, Ok(())) => {
                    readers::answer(&self.connection, &mut self.texts, sql, &params, reply);
                }
                // dropped, both tell their callers
                (Read::Query { .. } | Read::Stop(_), _) => {}
            }
        }
        if let Err(error) = self.statement("PRAGMA query_only=0") {
            tracing::error!(%error, "the connection stays read-only");
        }
    }

    pub(super) fn commit(&mut self, mut batch: Vec<Work>) {
        if batch.is_empty() {
            return;
        }
        batch.iter_mut().for_each(Work::start);
        let mut outcome = self.try_commit(&batch, Savepoints::Likely);
        if matches!(outcome, Err(Undone::NeedsSavepoints)) {
            self.counters.rerun();
            outcome = self.try_commit(&batch, Savepoints::Everywhere);
        }
        match outcome {
            Ok(settled) => batch
                .into_iter()
                .zip(settled)
                .for_each(|(work, settled)| work.settle(settled)),
            Err(Undone::NotBegun(error)) => {
                batch
                    .into_iter()
                    .for_each(|work| work.settle(Settled::Failed(error.clone())));
            }
            Err(Undone::Failed(error)) if batch.len() == 1 => {
                batch
                    .into_iter()
                    .for_each(|work| work.settle(Settled::Failed(error.clone())));
            }
            Err(Undone::Failed(error)) => {
                tracing::warn!(%error, changes = batch.len(), "a batch failed; its changes are tried one by one");
                self.counters.rerun();
                for work in batch {
                    let settled = match self.try_commit(std::slice::from_ref(&work), Savepoints::Everywhere) {
                        Ok(mut settled) => settled.pop().expect("one piece of work settles once"),
                        Err(Undone::NotBegun(error) | Undone::Failed(error)) => Settled::Failed(error),
                        Err(Undone::NeedsSavepoints) => unreachable!("it had savepoints"),
                    };
                    work.settle(settled);
                }
            }
            Err(Undone::NeedsSavepoints) => unreachable!("it had savepoints"),
        }
    }

    fn try_commit(&mut self, batch: &[Work], savepoints: Savepoints) -> Result<Vec<Settled>, Undone> {
        let done = self.execute(batch, savepoints);
        match &done {
            Ok(_) => self.counters.batch(batch.len()),
            Err(_) => self.rollback(),
        }
        done
    }

    fn execute(&mut self, batch: &[Work], savepoints: Savepoints) -> Result<Vec<Settled>, Undone> {
        self.statement("BEGIN IMMEDIATE")
            .map_err(|error| Undone::NotBegun(failed(error)))?;
        let mut settled = Vec::with_capacity(batch.len());
        for work in batch {
            settled.push(match work {
                Work::Change(checked, _) => self.change(checked, savepoints)?,
                Work::Claim(claim, _) => {
                    let rows = self.claim(claim).map_err(|error| Undone::Failed(error.into()))?;
                    Settled::Rows(rows)
                }
            });
        }
        self.statement("COMMIT").map_err(|error| {
            // after a failed sync the log may hold the transaction or not, until the next one overwrites it
            Undone::Failed(if sql::is_io(&error) {
                StoreError::InDoubt
            } else {
                failed(error)
            })
        })?;
        Ok(settled)
    }

    fn change(&mut self, checked: &Checked, savepoints: Savepoints) -> Result<Settled, Undone> {
        let guarded = savepoints == Savepoints::Everywhere || checked.set.guards.len() > 1;
        let broken = |error| Undone::Failed(failed(error));
        if guarded {
            self.statement("SAVEPOINT change").map_err(broken)?;
        }
        let mut wrote = false;
        let settled = match self.apply(checked, &mut wrote) {
            Ok(commit) => Settled::Commit(commit),
            Err(error) if sql::is_constraint(&error) => Settled::Failed(failed(error)),
            Err(error) => return Err(broken(error)),
        };
        let undo = wrote && !matches!(settled, Settled::Commit(Commit::Done));
        if undo && !guarded {
            return Err(Undone::NeedsSavepoints);
        }
        if guarded {
            if undo {
                self.statement("ROLLBACK TO change").map_err(broken)?;
            }
            self.statement("RELEASE change").map_err(broken)?;
        }
        Ok(settled)
    }

    fn apply(&mut self, checked: &Checked, wrote: &mut bool) -> rusqlite::Result<Commit> {
        for (index, guard) in checked.set.guards.iter().enumerate() {
            let rows = match guard {
                Guard::Insert(table, row) => self.row(table, Verb::InsertNew, row, None)?,
                Guard::Update { table, row, expected } => {
                    self.row(table, Verb::UpdateFrom, row, Some(*expected))?
                }
                Guard::Delete {
                    table,
                    key,
                    expected: None,
                } => self.row(table, Verb::Delete, key, None)?,
                Guard::Delete { table, key, expected } => {
                    self.row(table, Verb::DeleteFrom, key, *expected)?
                }
                Guard::Take { table, key, amount } => self.row(table, Verb::Take, key, Some(*amount))?,
            };
            if rows == 0 {
                return Ok(Commit::Refused { guard: index });
            }
            *wrote = true;
        }
        for op in &checked.set.ops {
            match op {
                Op::Insert(table, row) => self.row(table, Verb::Insert, row, None)?,
                Op::Update(table, row) => self.row(table, Verb::Update, row, None)?,
                Op::Delete(table, key) => self.row(table, Verb::Delete, key, None)?,
                Op::Add { table, key, delta } => self.row(table, Verb::Add, key, Some(*delta))?,
            };
            *wrote = true;
        }
        Ok(Commit::Done)
    }

    /// Runs a generated statement with these values and one integer after them.
    fn row(
        &mut self,
        table: &'static Table,
        verb: Verb,
        row: &[Value],
        last: Option<i64>,
    ) -> rusqlite::Result<usize> {
        let mut statement = self
            .connection
            .prepare_cached(self.texts.generated(table, verb))?;
        let last = last.map(Value::Int);
        statement.execute(params_from_iter(row.iter().chain(&last).map(Bound)))
    }

    fn claim(&mut self, claim: &JobClaim) -> Result<Vec<Row>, QueryError> {
        let mut statement = self
            .connection
            .prepare_cached(self.texts.rewritten(jobs::CLAIM_SQLITE.into()))?;
        let params = [
            claim.now_us.into(),
            claim.lease_until_us.into(),
            i64::from(claim.limit).into(),
        ];
        let mut rows = sql::rows(&mut statement, &params)?;
        jobs::oldest_first(&mut rows);
        Ok(rows)
    }

    fn statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn rollback(&self) {
        // some failures end the transaction by themselves
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a rollback failed");
        }
    }
}
