//! Claiming due jobs: the SQL both engines share.

use crate::Backend;

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
/// first) is still leased after `$now`. Triggers (migration 4) have those behind wait as long as the first one does, so that few of them
/// are looked at in vain. `$by` names the index: without figures of its own SQLite walks over all jobs of the shop instead.
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

/// RETURNING promises no order; the claim does: oldest first.
pub(crate) fn oldest_first(rows: &mut [crate::Row]) {
    const RUN_AT: usize = 4;
    const ID: usize = 1;
    rows.sort_by(|a, b| (&a.values()[RUN_AT], &a.values()[ID]).cmp(&(&b.values()[RUN_AT], &b.values()[ID])));
}
