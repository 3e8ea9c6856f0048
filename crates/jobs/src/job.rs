//! What a job is.
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kessai_store::repo::{JobRow, micros};
use kessai_store::{Guard, Op, Value, tables};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long to wait before the next try: a list of waits, the last of which repeats.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Seconds to wait after the first, second, … failed try.
    pub waits_s: &'static [i64],
    /// After how many tries to give up; none for never.
    pub give_up_after: Option<u32>,
}

impl Backoff {
    /// The wait after `tries` failed tries, at least one.
    pub fn wait(&self, tries: u32) -> SignedDuration {
        let index = (tries.max(1) as usize - 1).min(self.waits_s.len().saturating_sub(1));
        SignedDuration::from_secs(self.waits_s.get(index).copied().unwrap_or(60))
    }
}

/// How a job that did its work ends.
#[derive(Debug)]
pub enum Done {
    /// The runner takes the job away.
    Finished,
    /// The body took it away in its own commit, with [`Lease::finish`].
    Included,
    /// It is to run again at that instant, as a new try.
    Again(Timestamp),
}

/// How a job that could not do its work ends.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may work later.
    #[error("{0}")]
    Retry(String),
    /// It will never work. The body has raised something that a person sees.
    #[error("{0}")]
    GiveUp(String),
}

impl JobError {
    /// It may work later.
    pub fn retry(cause: impl std::fmt::Display) -> Self {
        Self::Retry(cause.to_string())
    }
}

/// A job in hand.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The shop it works for.
    pub shop: Box<str>,
    /// Its id.
    pub id: Box<str>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// When it was due.
    pub due_at: Timestamp,
}

impl Lease {
    /// Put into a change set, it takes the job away together with the change; refused when the lease was lost.
    pub fn finish(&self) -> Guard {
        Guard::Delete {
            table: &tables::JOBS,
            key: vec![Value::Text(self.shop.clone()), Value::Text(self.id.clone())],
            expected: Some(i64::from(self.attempt)),
        }
    }
}

/// A small durable promise.
#[async_trait]
pub trait Job<C: Sync>: Serialize + DeserializeOwned + Send {
    /// Lives in stored rows: a new payload is a new name.
    const NAME: &'static str;
    /// When to try again.
    const BACKOFF: Backoff;

    /// Does the work.
    async fn run(self, context: &C, lease: &Lease) -> Result<Done, JobError>;
}

/// A job to be queued, as part of the change that needs it.
#[derive(Debug, Clone)]
pub struct NewJob {
    row: JobRow,
}

impl NewJob {
    /// A job of type `J` with this payload. The same id is the same job.
    pub fn new<C: Sync, J: Job<C>>(shop: &str, id: impl Into<Box<str>>, run_at: Timestamp, job: &J) -> Self {
        let payload = serde_json::to_string(job).expect("payloads are plain data");
        Self {
            row: JobRow {
                shop_id: shop.into(),
                id: id.into(),
                kind: J::NAME.into(),
                lane: None,
                run_at: micros(run_at),
                leased_until: 0,
                attempt: 0,
                payload: payload.into(),
            },
        }
    }

    /// Runs strictly after the jobs of the same lane with smaller ids.
    pub fn in_lane(mut self, lane: impl Into<Box<str>>) -> Self {
        self.row.lane = Some(lane.into());
        self
    }

    /// As part of a change set.
    pub fn op(self) -> Op {
        Op::Insert(&tables::JOBS, self.row.into_values())
    }

    /// As part of a change set; the change is refused when a job of that id stands already.
    pub fn guard(self) -> Guard {
        Guard::Insert(&tables::JOBS, self.row.into_values())
    }
}
