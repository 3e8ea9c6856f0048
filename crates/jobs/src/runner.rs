//! Takes due jobs and runs them.
use crate::job::{Backoff, Done, Job, JobError, Lease};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use kessai_core::Clock;
use kessai_store::repo::{JobRow, instant, micros};
use kessai_store::{ChangeSet, Guard, JobClaim, Store, StoreError, tables};
use std::collections::BTreeMap;
use std::sync::Arc;

type Body<C> =
    Box<dyn for<'a> Fn(&'a C, &'a Lease, &'a str) -> BoxFuture<'a, Result<Done, JobError>> + Send + Sync>;

struct Kind<C> {
    body: Body<C>,
    backoff: Backoff,
}

/// What one [`Runner::step`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stepped {
    /// How many jobs were run.
    pub ran: usize,
    /// How many of them are to be tried again or were given up.
    pub failed: usize,
}

/// Runs jobs against one context. [`Runner::step`] is the whole of it; [`Runner::keep_running`] is a thin shell.
pub struct Runner<C> {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    context: Arc<C>,
    kinds: BTreeMap<&'static str, Kind<C>>,
    lease_s: i64,
}

/// How many jobs one claim takes.
const BATCH: u32 = 64;
/// How many jobs run side by side.
const AT_ONCE: usize = 128;

/// Waits for something while the jobs under way go on: what it waits for may itself wait for one of them. Also whether one of them ended.
async fn meanwhile<T>(
    running: &mut FuturesUnordered<impl Future<Output = bool>>,
    what: impl Future<Output = T>,
) -> (T, bool) {
    let mut what = std::pin::pin!(what);
    let mut ended = false;
    loop {
        tokio::select! {
            // so that a run can be repeated
            biased;
            done = &mut what => return (done, ended),
            Some(_) = running.next(), if !running.is_empty() => ended = true,
        }
    }
}

impl<C: Send + Sync + 'static> Runner<C> {
    /// A runner that knows no jobs yet. A lease lasts `lease_s` seconds of our clock.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, context: Arc<C>, lease_s: i64) -> Self {
        Self {
            store,
            clock,
            context,
            kinds: BTreeMap::new(),
            lease_s,
        }
    }

    /// Teaches it one type of job. Retired names stay taught until none is left in any store.
    #[must_use]
    pub fn with<J: Job<C> + 'static>(mut self) -> Self {
        let body: Body<C> = Box::new(|context, lease, payload| {
            Box::pin(async move {
                let job: J =
                    serde_json::from_str(payload).map_err(|e| JobError::GiveUp(format!("payload: {e}")))?;
                job.run(context, lease).await
            })
        });
        self.kinds.insert(
            J::NAME,
            Kind {
                body,
                backoff: J::BACKOFF,
            },
        );
        self
    }

    /// Takes the jobs due at `now`, oldest first, and runs each once. Call again until nothing ran.
    ///
    /// # Errors
    /// When the store cannot be asked. The jobs stay where they are.
    pub async fn step(&self, now: Timestamp) -> Result<Stepped, StoreError> {
        let mut stepped = Stepped { ran: 0, failed: 0 };
        for job in self.claim(now, BATCH).await? {
            stepped.ran += 1;
            if !self.run(job).await {
                stepped.failed += 1;
            }
        }
        Ok(stepped)
    }

    /// Steps until nothing is due at `now`, at most `most` times.
    ///
    /// # Errors
    /// As [`Runner::step`].
    pub async fn drain(&self, now: Timestamp, most: usize) -> Result<usize, StoreError> {
        let mut ran = 0;
        for _ in 0..most {
            let stepped = self.step(now).await?;
            ran += stepped.ran;
            if stepped.ran == 0 {
                break;
            }
        }
        Ok(ran)
    }

    async fn claim(&self, now: Timestamp, limit: u32) -> Result<Vec<JobRow>, StoreError> {
        let until = now
            .saturating_add(SignedDuration::from_secs(self.lease_s))
            .unwrap_or(Timestamp::MAX);
        let claim = JobClaim {
            now_us: micros(now),
            lease_until_us: micros(until),
            limit,
        };
        self.store
            .claim_jobs(&claim)
            .await?
            .into_iter()
            .map(JobRow::from_row)
            .collect()
    }

    /// Runs one claimed job; whether it is over and done with.
    async fn run(&self, row: JobRow) -> bool {
        let attempt = u32::try_from(row.attempt).unwrap_or(u32::MAX);
        let lease = Lease {
            shop: row.shop_id.clone(),
            id: row.id.clone(),
            attempt,
            due_at: instant(row.run_at),
        };
        let Some(kind) = self.kinds.get(row.kind.as_ref()) else {
            tracing::error!(job = %row.id, kind = %row.kind, "a job of a kind this version does not know; kept for an hour");
            self.again(
                row,
                self.clock
                    .now()
                    .saturating_add(SignedDuration::from_hours(1))
                    .unwrap_or(Timestamp::MAX),
            )
            .await;
            return false;
        };
        let ended = (kind.body)(&self.context, &lease, &row.payload).await;
        let label = row.kind.clone();
        let outcome = match ended {
            Ok(Done::Finished) => {
                self.finish(&lease).await;
                "done"
            }
            Ok(Done::Included) => "done",
            Ok(Done::Again(at)) => {
                self.again(row, at).await;
                "again"
            }
            Err(JobError::Retry(cause)) => {
                let given_up = kind.backoff.give_up_after.is_some_and(|most| attempt >= most);
                tracing::warn!(job = %lease.id, kind = %label, attempt, given_up, %cause, "a job did not get through");
                if given_up {
                    self.finish(&lease).await;
                    "given_up"
                } else {
                    let at = self
                        .clock
                        .now()
                        .saturating_add(kind.backoff.wait(attempt))
                        .unwrap_or(Timestamp::MAX);
                    self.again(row, at).await;
                    "retry"
                }
            }
            Err(JobError::GiveUp(cause)) => {
                tracing::error!(job = %lease.id, kind = %label, attempt, %cause, "a job was given up");
                self.finish(&lease).await;
                "given_up"
            }
        };
        metrics::counter!("kessai_jobs_total", "kind" => label.to_string(), "outcome" => outcome)
            .increment(1);
        matches!(outcome, "done" | "again")
    }

    async fn finish(&self, lease: &Lease) {
        // Refused means that another runner holds it now: that one will find the work done.
        let change = ChangeSet {
            guards: vec![lease.finish()],
            ops: Vec::new(),
        };
        if let Err(error) = self.store.commit(change).await {
            tracing::warn!(job = %lease.id, %error, "a finished job stays until its lease runs out");
        }
    }

    async fn again(&self, row: JobRow, at: Timestamp) {
        let expected = row.attempt;
        let id = row.id.clone();
        let row = JobRow {
            run_at: micros(at),
            leased_until: 0,
            ..row
        };
        let guard = Guard::Update {
            table: &tables::JOBS,
            row: row.into_values(),
            expected,
        };
        if let Err(error) = self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops: Vec::new(),
            })
            .await
        {
            tracing::warn!(job = %id, %error, "a job to be tried again waits for its lease to run out");
        }
    }

    /// Runs jobs as they fall due until `stop` resolves; `woken` resolves whenever new jobs may be there.
    /// `pause` waits that many milliseconds of real time, or less.
    pub async fn keep_running(
        &self,
        stop: tokio::sync::watch::Receiver<bool>,
        woken: Arc<tokio::sync::Notify>,
        pause: impl Fn(u64) -> BoxFuture<'static, ()> + Send,
    ) {
        let mut running = FuturesUnordered::new();
        let mut stop = stop;
        loop {
            if *stop.borrow() {
                break;
            }
            let room = AT_ONCE - running.len();
            let mut claimed = 0;
            if room > 0 {
                let limit = u32::try_from(room).unwrap_or(BATCH).min(BATCH);
                let (jobs, _) = meanwhile(&mut running, self.claim(self.clock.now(), limit)).await;
                match jobs {
                    Ok(jobs) => {
                        claimed = jobs.len();
                        running.extend(jobs.into_iter().map(|job| self.run(job)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the store could not be asked for jobs");
                        meanwhile(&mut running, pause(1_000)).await;
                    }
                }
            }
            if claimed > 0 && running.len() < AT_ONCE {
                continue;
            }
            let (wait, ended) = meanwhile(&mut running, self.wait_ms()).await;
            if ended {
                // Its lane may be free now, which was not known when the wait was reckoned.
                continue;
            }
            // In this order, so that a run can be repeated; running jobs first, so that wake-ups cannot starve them. Whether to stop is
            // looked at on every round.
            tokio::select! {
                biased;
                Some(_) = running.next(), if !running.is_empty() => {}
                _ = stop.changed() => {}
                () = woken.notified(), if running.len() < AT_ONCE => {}
                () = pause(wait), if running.len() < AT_ONCE => {}
            }
        }
        // What was begun is finished: its lease is ours.
        while running.next().await.is_some() {}
    }

    /// Until the next job is due, but at most two seconds: another node may add one.
    async fn wait_ms(&self) -> u64 {
        let now = micros(self.clock.now());
        match self.store.next_due().await {
            Ok(Some(due)) => u64::try_from((due - now) / 1_000).unwrap_or(0).clamp(5, 2_000),
            Ok(None) | Err(_) => 2_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use kessai_core::Clock;
    use kessai_store::{Backend, Commit, Migrate, Row, SqliteSettings, SqliteStore, StoreStats, Value};
    use serde::{Deserialize, Serialize};
    use std::borrow::Cow;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::{Notify, watch};

    struct Noon;
    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(43_200).expect("an instant")
        }
    }

    #[derive(Default)]
    struct Signs {
        ended: Notify,
        asked: AtomicBool,
    }

    #[derive(Serialize, Deserialize)]
    struct Ends {}

    #[async_trait]
    impl Job<Signs> for Ends {
        const NAME: &'static str = "ends.v1";
        const BACKOFF: Backoff = Backoff {
            waits_s: &[1],
            give_up_after: None,
        };

        async fn run(self, signs: &Signs, _: &Lease) -> Result<Done, JobError> {
            while !signs.asked.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            signs.ended.notify_one();
            Ok(Done::Finished)
        }
    }

    /// Reads wait until a job has ended, as those of a connection that a job's answer jams do.
    struct Jammed(SqliteStore, Arc<Signs>);

    #[async_trait]
    impl Store for Jammed {
        async fn commit(&self, change: ChangeSet) -> Result<Commit, StoreError> {
            self.0.commit(change).await
        }
        async fn query(&self, sql: Cow<'static, str>, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
            if !self.1.asked.swap(true, Ordering::SeqCst) {
                self.1.ended.notified().await;
            }
            self.0.query(sql, params).await
        }
        async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<Row>, StoreError> {
            self.0.claim_jobs(claim).await
        }
        async fn ping(&self) -> Result<(), StoreError> {
            self.0.ping().await
        }
        fn backend(&self) -> Backend {
            self.0.backend()
        }
        fn stats(&self) -> StoreStats {
            self.0.stats()
        }
        async fn close(&self) {
            self.0.close().await;
        }
    }

    #[tokio::test]
    async fn jobs_go_on_while_the_runner_waits_for_the_store() {
        let sqlite = SqliteStore::open(&SqliteSettings::new(":memory:"), Migrate::Apply).expect("a store");
        let signs = Arc::new(Signs::default());
        let store = Arc::new(Jammed(sqlite, signs.clone()));
        let job = crate::NewJob::new::<Signs, _>("shop", "job", Noon.now(), &Ends {});
        let change = ChangeSet {
            guards: vec![job.guard()],
            ops: vec![],
        };
        assert!(store.commit(change).await.expect("the store").is_done());
        let runner = Runner::new(store, Arc::new(Noon), signs, 60).with::<Ends>();
        let (stop, stopped) = watch::channel(false);
        let stop = Arc::new(stop);
        // It pauses for the first time when the job has ended and nothing is left: then it is told to stop.
        let running = runner.keep_running(stopped, Arc::default(), |_| {
            let stop = stop.clone();
            Box::pin(async move {
                stop.send_replace(true);
            })
        });
        let patience = std::time::Duration::from_secs(20);
        tokio::time::timeout(patience, running)
            .await
            .expect("it does not jam");
    }
}
