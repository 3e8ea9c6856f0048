//! What travels between callers and writers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

use tokio::sync::oneshot;

use crate::change::Checked;
use crate::{Commit, JobClaim, Row, StoreError, StoreStats};

/// Change sets that may wait; beyond it callers hear [`StoreError::Busy`].
pub(crate) const QUEUE: usize = 4096;
/// Change sets in one transaction.
pub(crate) const BATCH: usize = 256;
/// Bytes after which a batch takes no further change set.
pub(crate) const BATCH_BYTES: usize = 64 << 20;

/// The way back to a caller. Dropped unanswered (a panic, a closed store), it still answers.
pub(crate) struct Reply<T> {
    to: Option<oneshot::Sender<Result<T, StoreError>>>,
    started: bool,
}

pub(crate) type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

pub(crate) fn reply<T>() -> (Reply<T>, Answer<T>) {
    let (to, answer) = oneshot::channel();
    (
        Reply {
            to: Some(to),
            started: false,
        },
        answer,
    )
}

impl<T> Reply<T> {
    /// From here on a lost answer means an unknown outcome.
    pub fn start(&mut self) {
        self.started = true;
    }

    pub fn send(mut self, result: Result<T, StoreError>) {
        if let Some(to) = self.to.take() {
            // a caller that went away does not hear it; its change stands all the same
            let _ = to.send(result);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            let error = if self.started {
                StoreError::InDoubt
            } else {
                closed()
            };
            let _ = to.send(Err(error));
        }
    }
}

pub(crate) fn closed() -> StoreError {
    StoreError::unavailable("the store is closed")
}

/// A bounded queue that can be closed. Once closed nothing comes in, so what its last reader leaves behind is known.
pub(crate) struct Door<M> {
    queue: flume::Sender<M>,
    closed: RwLock<bool>,
}

impl<M> Door<M> {
    pub fn new(queue: flume::Sender<M>) -> Self {
        Door {
            queue,
            closed: RwLock::new(false),
        }
    }

    /// Puts a message into the queue and waits for its answer.
    pub async fn ask<T>(&self, message: M, answer: Answer<T>) -> Result<T, StoreError> {
        {
            let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
            if *closed {
                return Err(self::closed());
            }
            self.queue.try_send(message).map_err(|refused| match refused {
                flume::TrySendError::Full(_) => StoreError::Busy,
                flume::TrySendError::Disconnected(_) => self::closed(),
            })?;
        }
        answer.await.unwrap_or(Err(StoreError::InDoubt))
    }

    pub fn is_closed(&self) -> bool {
        *self.closed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the door, sends `stops` messages behind all that came in, and waits until each was answered.
    pub async fn close(&self, stops: usize, stop: impl Fn(oneshot::Sender<()>) -> M) {
        if std::mem::replace(
            &mut *self.closed.write().unwrap_or_else(PoisonError::into_inner),
            true,
        ) {
            return;
        }
        let mut waits = Vec::with_capacity(stops);
        for _ in 0..stops {
            let (stopped, wait) = oneshot::channel();
            if self.queue.send_async(stop(stopped)).await.is_ok() {
                waits.push(wait);
            }
        }
        for wait in waits {
            // an error means that its reader is gone, which is what was asked for
            let _ = wait.await;
        }
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }
}

/// One piece of work in a batch.
pub(crate) enum Work {
    Change(Checked, Reply<Commit>),
    Claim(JobClaim, Reply<Vec<Row>>),
}

/// What a piece of work came to.
#[derive(Debug)]
pub(crate) enum Settled {
    Commit(Commit),
    Rows(Vec<Row>),
    Failed(StoreError),
}

impl Work {
    pub fn start(&mut self) {
        match self {
            Work::Change(_, reply) => reply.start(),
            Work::Claim(_, reply) => reply.start(),
        }
    }

    pub fn size(&self) -> usize {
        match self {
            Work::Change(checked, _) => checked.size,
            Work::Claim(..) => 0,
        }
    }

    pub fn settle(self, settled: Settled) {
        match (self, settled) {
            (Work::Change(_, reply), Settled::Commit(commit)) => reply.send(Ok(commit)),
            (Work::Claim(_, reply), Settled::Rows(rows)) => reply.send(Ok(rows)),
            (Work::Change(_, reply), Settled::Failed(error)) => reply.send(Err(error)),
            (Work::Claim(_, reply), Settled::Failed(error)) => reply.send(Err(error)),
            (Work::Change(..), Settled::Rows(_)) => unreachable!("a change is answered by a commit"),
            (Work::Claim(..), Settled::Commit(_)) => unreachable!("a claim is answered by rows"),
        }
    }
}

/// Counters the writers keep.
#[derive(Default)]
pub(crate) struct Counters {
    batches: AtomicU64,
    changes: AtomicU64,
    reruns: AtomicU64,
}

impl Counters {
    pub fn batch(&self, changes: usize) {
        self.batches.fetch_add(1, Relaxed);
        self.changes.fetch_add(changes as u64, Relaxed);
    }

    pub fn rerun(&self) {
        self.reruns.fetch_add(1, Relaxed);
    }

    pub fn stats(&self, queued: usize) -> StoreStats {
        StoreStats {
            batches: self.batches.load(Relaxed),
            changes: self.changes.load(Relaxed),
            reruns: self.reruns.load(Relaxed),
            queued,
        }
    }
}
