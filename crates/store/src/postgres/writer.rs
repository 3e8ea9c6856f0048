//! A writer: takes whatever waits in the shared queue, commits it as one batch, answers each caller on its own.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::batch::{self, Failure};
use super::connection::Link;
use crate::StoreError;
use crate::queue::{BATCH, BATCH_BYTES, Counters, Settled, Work};

/// How often a batch goes again because of other transactions.
const TRIES: u32 = 8;
/// The pause before that, doubled each time up to 64 of it.
const PAUSE: Duration = Duration::from_millis(1);
/// How many batches stay careful after that.
const CAREFUL: u32 = 64;
/// How often a batch goes again because its connection was lost before COMMIT.
const RECONNECTS: usize = 3;

/// A message to a writer.
pub(super) enum Message {
    Work(Work),
    Stop(oneshot::Sender<()>),
}

pub(super) struct Writer {
    link: Link,
    messages: flume::Receiver<Message>,
    counters: Arc<Counters>,
    /// Change sets that touch a row of the batch before them.
    parked: VecDeque<Work>,
    stopping: Option<oneshot::Sender<()>>,
    /// Batches that still lock their rows first, because another writer was met.
    careful: u32,
}

impl Writer {
    pub fn new(link: Link, messages: flume::Receiver<Message>, counters: Arc<Counters>) -> Self {
        Writer {
            link,
            messages,
            counters,
            parked: VecDeque::new(),
            stopping: None,
            careful: 0,
        }
    }

    /// Serves until told to stop or until the store is dropped.
    pub async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            if AssertUnwindSafe(self.commit(batch)).catch_unwind().await.is_err() {
                // the batch's callers were told "in doubt" when it unwound; the connection may be inside a transaction
                tracing::error!("a writer panicked; it goes on with a new connection");
                self.link.reset();
            }
        }
        self.link.reset();
        if let Some(stopped) = self.stopping.take() {
            let _ = stopped.send(());
        }
    }

    /// What was parked and what waits, at most one change per row.
    async fn next_batch(&mut self) -> Option<Vec<Work>> {
        let mut candidates = std::mem::take(&mut self.parked);
        if candidates.is_empty() && self.stopping.is_none() {
            match self.messages.recv_async().await {
                Ok(Message::Work(work)) => candidates.push_back(work),
                Ok(Message::Stop(stopped)) => self.stopping = Some(stopped),
                Err(_) => return None,
            }
        }
        let mut bytes: usize = candidates.iter().map(Work::size).sum();
        // Stop comes after all that was asked before it, and each writer takes one
        while self.stopping.is_none() && candidates.len() < BATCH && bytes < BATCH_BYTES {
            match self.messages.try_recv() {
                Ok(Message::Work(work)) => {
                    bytes += work.size();
                    candidates.push_back(work);
                }
                Ok(Message::Stop(stopped)) => self.stopping = Some(stopped),
                Err(_) => break,
            }
        }
        if candidates.is_empty() {
            return None;
        }
        let (mut written, mut added, mut taken) = (
            HashSet::<u64>::new(),
            HashSet::<u64>::new(),
            HashSet::<u64>::new(),
        );
        let mut batch = Vec::with_capacity(candidates.len());
        for work in candidates {
            let free = match &work {
                Work::Claim(..) => true,
                Work::Change(checked, _) => {
                    let apart = |keys: &[u64], from: &[&HashSet<u64>]| {
                        keys.iter()
                            .all(|key| !from.iter().any(|touched| touched.contains(key)))
                    };
                    let free = apart(&checked.writes, &[&written, &added, &taken])
                        && apart(&checked.adds, &[&written, &taken])
                        && apart(&checked.takes, &[&written, &added]);
                    // a parked one keeps its place: later ones that touch its rows wait behind it
                    written.extend(&checked.writes);
                    added.extend(&checked.adds);
                    taken.extend(&checked.takes);
                    free
                }
            };
            if free {
                batch.push(work)
            } else {
                self.parked.push_back(work)
            }
        }
        Some(batch)
    }

    async fn commit(&mut self, mut batch: Vec<Work>) {
        batch.iter_mut().for_each(Work::start);
        let mut works: Vec<Option<Settled>> = batch.iter().map(|_| None).collect();
        // claims come after the changes, so that they see them
        let (changes, claims): (Vec<usize>, Vec<usize>) =
            (0..batch.len()).partition(|&item| matches!(batch[item], Work::Change(..)));
        let mut segments: VecDeque<Vec<usize>> = VecDeque::new();
        if !changes.is_empty() {
            segments.push_back(changes);
        }
        segments.extend(claims.into_iter().map(|claim| vec![claim]));
        let mut planned = segments.len();
        while let Some(segment) = segments.pop_front() {
            if planned == 0 {
                self.counters.rerun();
            }
            planned = planned.saturating_sub(1);
            match self.segment(&batch, &segment).await {
                Ok(step) => {
                    for (item, settled) in step.settled {
                        works[item] = Some(settled);
                    }
                    for rest in step.rest.into_iter().rev() {
                        segments.push_front(rest);
                    }
                }
                Err(Failed::Split(error)) if segment.len() > 1 => {
                    tracing::warn!(%error, changes = segment.len(), "a batch failed; its halves are tried");
                    let (left, right) = segment.split_at(segment.len() / 2);
                    segments.push_front(right.to_vec());
                    segments.push_front(left.to_vec());
                }
                Err(Failed::Split(error) | Failed::All(error)) => {
                    segment
                        .iter()
                        .for_each(|&item| works[item] = Some(Settled::Failed(error.clone())));
                }
            }
        }
        for (work, settled) in batch.into_iter().zip(works) {
            work.settle(settled.unwrap_or(Settled::Failed(StoreError::InDoubt)));
        }
    }

    async fn segment(&mut self, batch: &[Work], segment: &[usize]) -> Result<batch::Step, Failed> {
        let (mut tries, mut reconnects) = (0_u32, 0);
        loop {
            let connection = self.link.get().await.map_err(Failed::All)?;
            let done = match (&batch[segment[0]], segment) {
                (Work::Claim(claim, _), [item]) => {
                    batch::claim(&connection, claim).await.map(|rows| batch::Step {
                        settled: vec![(*item, rows)],
                        rest: Vec::new(),
                    })
                }
                _ => batch::run(&connection, batch, segment, self.careful > 0).await,
            };
            match done {
                Ok(step) => {
                    self.careful = self.careful.saturating_sub(1);
                    if step.rest.is_empty() {
                        self.counters.batch(step.settled.len());
                    }
                    return Ok(step);
                }
                Err(Failure::Rejected(error)) => return Err(Failed::Split(error)),
                Err(Failure::InDoubt) => {
                    self.link.reset();
                    return Err(Failed::All(StoreError::InDoubt));
                }
                Err(Failure::Again(error)) => {
                    tries += 1;
                    self.careful = CAREFUL;
                    self.counters.rerun();
                    if tries == TRIES {
                        return Err(Failed::Split(error));
                    }
                    tokio::time::sleep(PAUSE * (1 << tries.min(6))).await;
                }
                Err(Failure::Lost(error)) => {
                    self.link.reset();
                    reconnects += 1;
                    if reconnects == RECONNECTS {
                        return Err(Failed::All(error));
                    }
                }
            }
        }
    }
}

/// Why a part of a batch has no answer yet.
enum Failed {
    /// One of it may be to blame.
    Split(StoreError),
    /// All of it is answered so.
    All(StoreError),
}
