//! What claiming jobs promises.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::rows::{SHOP, job, one_int};
use super::suite::commit_all;
use crate::tables::JOBS;
use crate::{ChangeSet, Commit, Guard, JobClaim, Row, Store, Value, behind, wait_as_one};

const NOW: i64 = 1_000;
const LEASE: i64 = 2_000;

async fn add(store: &dyn Store, jobs: impl IntoIterator<Item = Vec<Value>>) {
    commit_all(
        store,
        jobs.into_iter().map(|row| ChangeSet::new().insert(&JOBS, row)),
    )
    .await;
}

async fn claim(store: &dyn Store, now_us: i64, limit: u32) -> Vec<Row> {
    let claim = JobClaim {
        now_us,
        lease_until_us: now_us + (LEASE - NOW),
        limit,
    };
    store.claim_jobs(&claim).await.expect("the claim is right")
}

fn ids(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.text(1).expect("an id")).collect()
}

async fn finish(store: &dyn Store, id: &str, attempt: i64) -> Commit {
    let key = vec![SHOP.into(), id.into()];
    store
        .commit(ChangeSet::new().guard_delete(&JOBS, key, Some(attempt)))
        .await
        .expect("the commit is right")
}

/// Due jobs come oldest first, with all columns, leased and counted.
pub async fn due_jobs_come_oldest_first(store: &dyn Store) {
    add(
        store,
        [
            job("c", None, 10),
            job("a", None, 900),
            job("b", None, 10),
            job("later", None, NOW + 1),
        ],
    )
    .await;
    let first = claim(store, NOW, 2).await;
    assert_eq!(ids(&first), ["b", "c"]);
    let mut expected = job("b", None, 10);
    (expected[5], expected[6]) = (LEASE.into(), 1.into());
    assert_eq!(first[0].values(), expected);
    assert_eq!(ids(&claim(store, NOW, 10).await), ["a"]);
    assert!(claim(store, NOW, 10).await.is_empty());
    assert_eq!(ids(&claim(store, NOW + 1, 10).await), ["later"]);
}

/// The claim's SQL and [`crate::is_due`], which the model explores, say the same of every order of the three instants.
pub async fn a_claim_takes_exactly_what_is_due(store: &dyn Store) {
    let mut expected = BTreeSet::new();
    let mut rows = Vec::new();
    for run_at in [NOW - 1, NOW, NOW + 1] {
        for leased_until in [0, NOW - 1, NOW, NOW + 1] {
            let id = format!("{run_at}-{leased_until}");
            let mut row = job(&id, None, run_at);
            row[5] = leased_until.into();
            rows.push(row);
            if crate::is_due(run_at, leased_until, NOW) {
                expected.insert(id);
            }
        }
    }
    add(store, rows).await;
    let claimed = claim(store, NOW, 100).await;
    assert_eq!(
        ids(&claimed)
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        expected
    );
}

/// A lane's jobs come one at a time, smallest id first, whatever their times.
pub async fn a_lane_runs_in_order_one_at_a_time(store: &dyn Store) {
    add(
        store,
        [
            job("1", Some("x"), 50),
            job("2", Some("x"), 10),
            job("3", Some("y"), 20),
            job("4", None, 30),
        ],
    )
    .await;
    assert_eq!(ids(&claim(store, NOW, 10).await), ["3", "4", "1"]);
    assert!(claim(store, NOW, 10).await.is_empty());
    assert_eq!(finish(store, "1", 1).await, Commit::Done);
    assert_eq!(ids(&claim(store, NOW, 10).await), ["2"]);
    // a head that waits for its next try holds its lane back
    let mut head = job("2", Some("x"), NOW + 500);
    head[6] = 1.into();
    add(store, [job("5", Some("x"), 10)]).await;
    assert_eq!(
        store
            .commit(ChangeSet::new().guard_update(&JOBS, head, 1))
            .await
            .unwrap(),
        Commit::Done
    );
    assert!(claim(store, NOW, 10).await.is_empty());
    assert_eq!(ids(&claim(store, NOW + 500, 10).await), ["2"]);
    // an earlier one that comes late waits for the one that runs
    add(store, [job("0", Some("x"), 10)]).await;
    assert!(claim(store, NOW + 500, 10).await.is_empty());
    assert_eq!(finish(store, "2", 2).await, Commit::Done);
    assert_eq!(ids(&claim(store, NOW + 500, 10).await), ["0"]);
}

async fn run_at(store: &dyn Store, id: &str) -> i64 {
    one_int(store, "SELECT run_at FROM jobs WHERE id = $1", vec![id.into()]).await
}

async fn move_to(store: &dyn Store, id: &str, run_at: i64, attempt: i64) {
    let mut row = job(id, Some("x"), run_at);
    row[6] = attempt.into();
    let change = ChangeSet::new().guard_update(&JOBS, row, attempt);
    assert_eq!(store.commit(change).await.unwrap(), Commit::Done);
}

/// Jobs behind one that waits for its time wait as long, so that claims need not look at them, and come along when it is called early.
pub async fn a_lane_waits_as_long_as_its_first_job(store: &dyn Store) {
    let rows = [("1", "x", 10), ("2", "x", 20), ("3", "y", 20)];
    add(store, rows.map(|(id, lane, run_at)| job(id, Some(lane), run_at))).await;
    assert_eq!(
        wait_as_one(store, NOW, 10).await.unwrap(),
        0,
        "a job that is due holds nobody longer"
    );
    assert_eq!(ids(&claim(store, NOW, 1).await), ["1"]);
    assert_eq!(
        wait_as_one(store, NOW, 10).await.unwrap(),
        0,
        "nor does one that runs"
    );
    move_to(store, "1", NOW + 500, 1).await;
    add(store, [job("4", Some("x"), NOW)]).await;
    assert_eq!(wait_as_one(store, NOW, 10).await.unwrap(), 1);
    assert_eq!(wait_as_one(store, NOW, 10).await.unwrap(), 0, "once is enough");
    for (id, expected) in [("1", 500), ("2", 500), ("3", 20 - NOW), ("4", 500)] {
        assert_eq!(run_at(store, id).await, NOW + expected, "{id}");
    }
    let mut early = behind(store, SHOP, "x", "1", NOW).await.unwrap();
    assert_eq!(early.len(), 2);
    let mut first = job("1", Some("x"), NOW);
    first[6] = 1.into();
    early.push(Guard::Update {
        table: &JOBS,
        row: first,
        expected: 1,
    });
    let change = ChangeSet {
        guards: early,
        ops: vec![],
    };
    assert_eq!(store.commit(change).await.unwrap(), Commit::Done);
    for expected in ["1", "2", "4"] {
        let claimed = claim(store, NOW, 10).await;
        let job = claimed
            .iter()
            .find(|row| row.text(1).is_ok_and(|id| id == expected));
        let attempt = job
            .unwrap_or_else(|| panic!("{expected} in {claimed:?}"))
            .int(6)
            .unwrap();
        assert_eq!(finish(store, expected, attempt).await, Commit::Done);
    }
}

/// Two claimers never share a job.
pub async fn two_claimers_never_share_a_job(store: &dyn Store) {
    add(
        store,
        (0..200).map(|n| job(&format!("j{n:03}"), (n % 4 == 0).then_some("lane"), n)),
    )
    .await;
    let mut seen = BTreeSet::new();
    let mut laned = 0;
    for _ in 0..10 {
        for rows in join_all((0..8).map(|_| claim(store, NOW, 7))).await {
            for row in rows {
                laned += usize::from(row.opt_text(3).unwrap().is_some());
                assert!(seen.insert(row.text(1).unwrap().to_owned()), "{row:?} came twice");
            }
        }
    }
    assert_eq!(
        (seen.len(), laned),
        (151, 1),
        "all without a lane, and the lane's head"
    );
}

/// A lease that ran out is given to another, and its first owner can no longer finish the job.
pub async fn an_expired_lease_is_given_again(store: &dyn Store) {
    add(store, [job("a", Some("x"), 10)]).await;
    assert_eq!(claim(store, NOW, 1).await[0].int(6).unwrap(), 1);
    assert!(claim(store, LEASE - 1, 1).await.is_empty());
    assert_eq!(claim(store, LEASE, 1).await[0].int(6).unwrap(), 2);
    assert_eq!(finish(store, "a", 1).await, Commit::Refused { guard: 0 });
    assert_eq!(finish(store, "a", 2).await, Commit::Done);
}

/// The runner learns when to wake; jobs their lane holds back do not wake it.
pub async fn the_next_due_time_is_known(store: &dyn Store) {
    assert_eq!(store.next_due().await.unwrap(), None);
    add(
        store,
        [
            job("1", Some("x"), 100),
            job("2", Some("x"), 50),
            job("3", None, 5_000),
        ],
    )
    .await;
    assert_eq!(store.next_due().await.unwrap(), Some(100));
    assert_eq!(ids(&claim(store, NOW, 10).await), ["1"]);
    assert_eq!(store.next_due().await.unwrap(), Some(LEASE));
    add(store, [job("4", None, 1_500)]).await;
    assert_eq!(store.next_due().await.unwrap(), Some(1_500));
}

/// Claims and commits of one moment do not get in each other's way.
pub async fn claims_and_commits_share_batches(store: &dyn Store) {
    add(store, (0..100).map(|n| job(&format!("j{n:03}"), None, n))).await;
    let claims = join_all((0..10).map(|_| claim(store, NOW, 10)));
    let more = join_all((100..160).map(|n| {
        let change = ChangeSet::new().insert(&JOBS, job(&format!("j{n:03}"), None, NOW + n));
        store.commit(change)
    }));
    let (claimed, added) = futures_util::join!(claims, more);
    assert!(added.iter().all(|answer| matches!(answer, Ok(Commit::Done))));
    let finished = claimed
        .iter()
        .flatten()
        .map(|row| finish(store, row.text(1).unwrap(), 1));
    assert!(join_all(finished).await.iter().all(|commit| commit.is_done()));
    // one claimer may pass over rows another one is looking at, so ask until nothing is left
    loop {
        let rows = claim(store, NOW, 100).await;
        if rows.is_empty() {
            break;
        }
        assert!(
            join_all(rows.iter().map(|row| finish(store, row.text(1).unwrap(), 1)))
                .await
                .iter()
                .all(|c| c.is_done())
        );
    }
    assert_eq!(one_int(store, "SELECT COUNT(*) FROM jobs", vec![]).await, 60);
}

/// When nothing is due, nothing is written.
pub async fn a_claim_of_nothing_writes_nothing(store: &dyn Store) {
    add(store, [job("a", None, NOW + 1)]).await;
    let before = store.stats();
    for _ in 0..10 {
        assert!(claim(store, NOW, 10).await.is_empty());
    }
    if store.backend() == crate::Backend::Sqlite {
        assert_eq!(store.stats().batches, before.batches);
    }
}
