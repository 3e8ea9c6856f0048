//! A process killed in the middle of its commits: what it acknowledged is there, and every change set is whole.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use kessai_store::tables::{COUNTS, EVENTS, JOBS, ORDER_NUMBERS};
use kessai_store::testkit::rows::{counter, event, job, one_int, order_number};
use kessai_store::testkit::{pg, suite};
use kessai_store::{ChangeSet, Migrate, PgSettings, Settings, SqliteSettings};

const WHERE: &str = "KESSAI_TEST_CRASH";

fn settings(place: &str) -> Settings {
    match place.strip_prefix("sqlite:") {
        Some(path) => Settings::Sqlite(SqliteSettings::new(path)),
        None => Settings::Postgres(PgSettings::new(place)),
    }
}

fn change(n: usize) -> ChangeSet {
    let id = format!("{n:06}");
    ChangeSet::new()
        .guard_insert(&ORDER_NUMBERS, order_number(&id, "x"))
        .guard_insert(&EVENTS, event(&id, &id, 1))
        .insert(&JOBS, job(&id, None, 1))
        .add(&COUNTS, counter("n"), 1)
}

/// The victim: commits for ever, and says what was acknowledged. Started by nobody who would kill it, it commits two rounds and looks
/// at them as the others do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(place) = std::env::var(WHERE) else {
        let folder = tempfile::tempdir().unwrap();
        let place = format!("sqlite:{}", folder.path().join("unharmed.db").display());
        let store = kessai_store::open(&settings(&place), Migrate::Apply)
            .await
            .unwrap();
        suite::commit_all(&*store, (0..40).map(change)).await;
        store.close().await;
        return look(&place, 40).await;
    };
    let store = kessai_store::open(&settings(&place), Migrate::Apply)
        .await
        .unwrap();
    for round in 0.. {
        suite::commit_all(&*store, (0..20).map(|n| change(round * 20 + n))).await;
        println!("acknowledged {}", (round + 1) * 20);
    }
}

async fn kill_and_look(place: &str) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::victim", "--nocapture"])
        .env(WHERE, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = 0;
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    while acknowledged < 1000 {
        let line = lines.next().expect("the victim goes on").unwrap();
        // the harness's own words may stand before ours
        if let Some((_, number)) = line.split_once("acknowledged ") {
            acknowledged = number.parse().unwrap();
        }
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    for line in lines.map_while(Result::ok) {
        if let Some((_, number)) = line.split_once("acknowledged ") {
            acknowledged = number.parse().unwrap_or(acknowledged);
        }
    }
    look(place, acknowledged).await;
}

/// Every acknowledged change set is there, and none by halves.
async fn look(place: &str, acknowledged: i64) {
    let store = kessai_store::open(&settings(place), Migrate::Refuse)
        .await
        .unwrap();
    let whole = "SELECT COUNT(*) FROM events e JOIN order_numbers o ON o.shop_id = e.shop_id AND o.number = e.id \
                 JOIN jobs j ON j.shop_id = e.shop_id AND j.id = e.id";
    let sizes = "SELECT (SELECT COUNT(*) FROM events), (SELECT COUNT(*) FROM order_numbers), (SELECT COUNT(*) FROM jobs), \
                 (SELECT CAST(SUM(n) AS BIGINT) FROM counts)";
    let rows = store.query(sizes.into(), vec![]).await.unwrap();
    let sizes: Vec<i64> = (0..4).map(|i| rows[0].int(i).unwrap()).collect();
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    assert!(sizes[0] >= acknowledged, "{sizes:?} of {acknowledged}");
    assert_eq!(one_int(&*store, whole, vec![]).await, sizes[0]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_whole_change_sets_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    kill_and_look(&format!("sqlite:{}", folder.path().join("k.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_whole_change_sets_on_postgres() {
    let database = pg::database().await;
    kill_and_look(&database.address()).await;
}
