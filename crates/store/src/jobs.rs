//! Claiming due jobs: the SQL both engines share; and lanes.

use futures_util::future::join_all;

use crate::repo::JobRow;
use crate::{Backend, ChangeSet, Guard, Store, StoreError, tables};

/// A worker's wish for work.
#[derive(Clone, Copy, Debug)]
pub struct JobClaim {
    /// The worker's now, in microseconds.
    pub now_us: i64,
    /// Until when the jobs are its own; later they can be claimed again.
    pub lease_until_us: i64,
    /// At most so many.
    pub limit: u32,
}

/// Whether a job may be claimed at `now_us`, its lane apart. The claim's SQL says the same: `run_at <= $1 AND leased_until <= $1`.
pub fn is_due(run_at_us: i64, leased_until_us: i64, now_us: i64) -> bool {
    run_at_us <= now_us && leased_until_us <= now_us
}

/// A lane runs one job at a time, smallest id first: a job waits while an earlier one of its lane exists, and while a later one (inserted
/// first) is still leased after `$now`. [`wait_as_one`] sees to it that few are looked at in vain. `$by` names the index: without figures
/// of its own SQLite walks over all jobs of the shop instead.
macro_rules! its_turn {
    ($by:literal, $now:literal) => {
        concat!(
            "(j.lane IS NULL OR NOT EXISTS (SELECT 1 FROM jobs o ",
            $by,
            " WHERE o.shop_id = j.shop_id AND o.lane = j.lane AND (o.id < j.id OR (o.id > j.id AND o.leased_until > ",
            $now,
            "))))"
        )
    };
}

/// `$1` is now.
macro_rules! due {
    ($by:literal) => {
        concat!(
            "j.run_at <= $1 AND j.leased_until <= $1 AND ",
            its_turn!($by, "$1")
        )
    };
}

/// When the first free job that its lane lets through is due.
macro_rules! next_free {
    ($by:literal) => {
        concat!(
            "SELECT j.run_at FROM jobs j WHERE j.leased_until = 0 AND ",
            its_turn!($by, "0"),
            " ORDER BY j.run_at, j.id LIMIT 1"
        )
    };
}

/// One row when something is due. `$1` now.
pub(crate) const ANY_DUE_SQLITE: &str = concat!(
    "SELECT 1 FROM jobs j WHERE ",
    due!("INDEXED BY jobs_lane"),
    " LIMIT 1"
);

/// `$1` now, `$2` lease, `$3` limit.
pub(crate) const CLAIM_SQLITE: &str = concat!(
    "UPDATE jobs SET leased_until = $2, attempt = attempt + 1 WHERE (shop_id, id) IN (SELECT j.shop_id, j.id FROM jobs j WHERE ",
    due!("INDEXED BY jobs_lane"),
    " ORDER BY j.run_at, j.id LIMIT $3) \
     RETURNING shop_id, id, kind, lane, run_at, leased_until, attempt, payload"
);

/// The same, where other claimers may run at the same time.
pub(crate) const CLAIM_POSTGRES: &str = concat!(
    "WITH due AS (SELECT j.shop_id, j.id FROM jobs j WHERE ",
    due!(""),
    " ORDER BY j.run_at, j.id LIMIT $3 FOR UPDATE SKIP LOCKED) \
     UPDATE jobs SET leased_until = $2, attempt = jobs.attempt + 1 FROM due WHERE jobs.shop_id = due.shop_id AND jobs.id = due.id \
     RETURNING jobs.shop_id, jobs.id, jobs.kind, jobs.lane, jobs.run_at, jobs.leased_until, jobs.attempt, jobs.payload"
);

/// When the first free job that its lane lets through is due.
pub(crate) const fn next_free(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => next_free!("INDEXED BY jobs_lane"),
        Backend::Postgres => next_free!(""),
    }
}

/// When the first lease ends, among the jobs due until `$1`. A job leased later ends its lease later still.
pub(crate) const NEXT_LEASE: &str =
    "SELECT MIN(leased_until) FROM jobs WHERE leased_until > 0 AND run_at <= $1";

/// Lanes whose first job waits for its time while others stand due behind it. `$1` now, `$2` limit.
macro_rules! held_back {
    ($by:literal) => {
        concat!(
            "SELECT DISTINCT j.shop_id, j.lane FROM jobs j WHERE j.run_at <= $1 AND j.leased_until <= $1 AND j.lane IS NOT NULL \
             AND (SELECT h.run_at FROM jobs h ",
            $by,
            " WHERE h.shop_id = j.shop_id AND h.lane = j.lane ORDER BY h.id LIMIT 1) > $1 LIMIT $2"
        )
    };
}

/// A lane, first job first. `$1` shop, `$2` lane, `$3` limit.
macro_rules! lane {
    ($by:literal) => {
        concat!(
            "SELECT shop_id, id, kind, lane, run_at, leased_until, attempt, payload FROM jobs ",
            $by,
            " WHERE shop_id = $1 AND lane = $2 ORDER BY id LIMIT $3"
        )
    };
}

/// How many jobs of one lane are looked at together.
const LANE_MOST: i64 = 1_000;

async fn lane_of(store: &dyn Store, shop: &str, lane: &str) -> Result<Vec<JobRow>, StoreError> {
    let sql = match store.backend() {
        Backend::Sqlite => lane!("INDEXED BY jobs_lane"),
        Backend::Postgres => lane!(""),
    };
    let params = vec![shop.into(), lane.into(), LANE_MOST.into()];
    let rows = store.query(sql.into(), params).await?;
    rows.into_iter().map(JobRow::from_row).collect()
}

fn moved(job: JobRow, run_at: i64) -> Guard {
    let expected = job.attempt;
    let row = JobRow { run_at, ..job };
    Guard::Update {
        table: &tables::JOBS,
        row: row.into_values(),
        expected,
    }
}

/// What has the jobs behind this one of a lane wait until the same instant: conditions for the change set that moves it.
///
/// # Errors
/// When the store cannot be asked.
pub async fn behind(
    store: &dyn Store,
    shop: &str,
    lane: &str,
    id: &str,
    run_at_us: i64,
) -> Result<Vec<Guard>, StoreError> {
    let jobs = lane_of(store, shop, lane).await?.into_iter();
    let moves = |job: &JobRow| job.id.as_ref() > id && job.leased_until == 0 && job.run_at != run_at_us;
    Ok(jobs.filter(moves).map(|job| moved(job, run_at_us)).collect())
}

/// Has jobs wait as long as the first one of their lane, in at most so many lanes; in how many. Behind a job that waits hours for its next
/// try others stand due, and every claim looks at them in vain. This only spares work: whether a job may run is the claim's own question.
///
/// # Errors
/// When the store cannot be asked.
pub async fn wait_as_one(store: &dyn Store, now_us: i64, most: i64) -> Result<usize, StoreError> {
    let sql = match store.backend() {
        Backend::Sqlite => held_back!("INDEXED BY jobs_lane"),
        Backend::Postgres => held_back!(""),
    };
    let lanes = store.query(sql.into(), vec![now_us.into(), most.into()]).await?;
    let waits = lanes.iter().map(|row| async move {
        let (shop, lane) = (row.text(0)?, row.text(1)?);
        let first = lane_of(store, shop, lane).await?.into_iter().next();
        let Some(first) = first.filter(|first| first.run_at > now_us) else {
            return Ok(false);
        };
        let (id, until) = (first.id.clone(), first.run_at);
        let mut guards = behind(store, shop, lane, &id, until).await?;
        // Should it be called early, or run, meanwhile, the others must not be left behind.
        guards.push(moved(first, until));
        let change = ChangeSet {
            guards,
            ops: Vec::new(),
        };
        Ok(store.commit(change).await?.is_done())
    });
    let done: Vec<bool> = join_all(waits)
        .await
        .into_iter()
        .collect::<Result<_, StoreError>>()?;
    Ok(done.into_iter().filter(|done| *done).count())
}

/// RETURNING promises no order; the claim does: oldest first.
pub(crate) fn oldest_first(rows: &mut [crate::Row]) {
    const RUN_AT: usize = 4;
    const ID: usize = 1;
    rows.sort_by(|a, b| (&a.values()[RUN_AT], &a.values()[ID]).cmp(&(&b.values()[RUN_AT], &b.values()[ID])));
}
