//! What only the embedded engine has.

use kessai_store::repo::Slice;
use kessai_store::tables::SETTINGS;
use kessai_store::testkit::rows::{one_int, setting};
use kessai_store::testkit::suite::{self, commit_all};
use kessai_store::{ChangeSet, Migrate, SqliteSettings, SqliteStore, Store, StoreError, Value};

const COUNT: &str = "SELECT COUNT(*) FROM settings";

fn changes(count: usize) -> impl Iterator<Item = ChangeSet> {
    (0..count).map(|n| ChangeSet::new().insert(&SETTINGS, setting(&n.to_string(), "x", 1)))
}

#[tokio::test]
async fn a_reopened_database_holds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings::new(folder.path().join("k.db"));
    for round in 0..3 {
        let store = SqliteStore::open(&settings, Migrate::Apply).unwrap();
        if round == 0 {
            commit_all(&store, changes(100)).await;
        }
        assert_eq!(one_int(&store, COUNT, vec![]).await, 100);
        // once dropped without close, once closed
        if round == 1 {
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_copy_of_file_and_log_taken_while_open_holds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.db");
    let store = SqliteStore::open(&SqliteSettings::new(&path), Migrate::Apply).unwrap();
    commit_all(&store, changes(500)).await;
    // as after a power cut: without the shared-memory file, and nobody closed anything
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("k.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let copy = SqliteStore::open(&SqliteSettings::new(copy), Migrate::Refuse).unwrap();
    assert_eq!(one_int(&copy, COUNT, vec![]).await, 500);
}

#[tokio::test]
async fn closing_leaves_an_empty_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&SqliteSettings::new(folder.path().join("k.db")), Migrate::Apply).unwrap();
    commit_all(&store, changes(100)).await;
    store.close().await;
    let left = std::fs::metadata(folder.path().join("k.db-wal")).map_or(0, |log| log.len());
    assert_eq!(left, 0);
}

#[tokio::test]
async fn versions_are_checked_on_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.db");
    let settings = SqliteSettings::new(&path);
    let missing = SqliteStore::open(&settings, Migrate::Refuse);
    assert!(matches!(missing, Err(StoreError::Older { found: 0, known: 4 })));
    assert!(!path.exists());
    // migrations twice, then only checked
    for migrate in [Migrate::Apply, Migrate::Apply, Migrate::Refuse] {
        SqliteStore::open(&settings, migrate).unwrap().close().await;
    }
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("INSERT INTO schema_migrations VALUES (999, 'future', 0, 0)")
        .unwrap();
    for migrate in [Migrate::Apply, Migrate::Refuse] {
        let newer = SqliteStore::open(&settings, migrate);
        assert!(matches!(newer, Err(StoreError::Newer { found: 999, known: 4 })));
    }
    raw.execute_batch(
        "DELETE FROM schema_migrations WHERE version = 999; UPDATE schema_migrations SET checksum = 0",
    )
    .unwrap();
    assert!(matches!(
        SqliteStore::open(&settings, Migrate::Apply),
        Err(StoreError::Drifted { version: 1 })
    ));
}

#[tokio::test]
async fn two_programs_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings::new(folder.path().join("k.db"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let settings = settings.clone();
            std::thread::spawn(move || SqliteStore::open(&settings, Migrate::Apply).map(drop))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_change_that_breaks_its_batch_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.db");
    let store = SqliteStore::open(&SqliteSettings::new(&path), Migrate::Apply).unwrap();
    commit_all(&store, changes(10)).await;
    store.close().await;
    // an insert that fails otherwise than by a constraint, as a full disk would let it
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON settings WHEN NEW.value = 'big' BEGIN SELECT CAST(zeroblob(2000000000) AS TEXT); END",
    )
    .unwrap();
    drop(raw);
    let store = SqliteStore::open(&SqliteSettings::new(&path), Migrate::Apply).unwrap();
    let wishes = (10..40).map(|n| {
        let value = if n % 10 == 0 { "big" } else { "small" };
        store.commit(ChangeSet::new().insert(&SETTINGS, setting(&n.to_string(), value, 1)))
    });
    let answers = futures_util::future::join_all(wishes).await;
    for (n, answer) in answers.iter().enumerate() {
        match n % 10 {
            0 => assert!(matches!(answer, Err(StoreError::Backend(_))), "{answer:?}"),
            _ => assert!(matches!(answer, Ok(kessai_store::Commit::Done)), "{answer:?}"),
        }
    }
    assert_eq!(one_int(&store, COUNT, vec![]).await, 37);
}

#[tokio::test]
async fn a_full_queue_says_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.db");
    let store = SqliteStore::open(&SqliteSettings::new(&path), Migrate::Apply).unwrap();
    // the writer waits for this lock
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    suite::a_full_queue_says_busy(&store, async { other.execute_batch("COMMIT").unwrap() }).await;
    store.close().await;
}

#[tokio::test]
async fn a_comparison_finds_open_payments_without_looking_at_all_the_others() {
    let store = SqliteStore::open(&SqliteSettings::new(":memory:"), Migrate::Apply).unwrap();
    for (slice, index) in [
        (Slice::Pending, "payments_status"),
        (Slice::Authorized, "payments_status"),
        (Slice::Unsettled, "attempts_open"),
        (
            Slice::Changed,
            "sqlite_autoindex_events_1 (shop_id=? AND id>? AND id<?)",
        ),
        (
            Slice::Recent,
            "sqlite_autoindex_payments_1 (shop_id=? AND id>? AND id<?)",
        ),
    ] {
        let sql = format!("EXPLAIN QUERY PLAN {}", slice.sql());
        let params = ["s", "p", "1", "2", ""].map(Value::from);
        let params = params.into_iter().chain([Value::from(1)]).collect();
        let plan = store.query(sql.into(), params).await.unwrap();
        let plan: Vec<&str> = plan.iter().map(|row| row.text(3).unwrap()).collect();
        let first = plan.iter().find(|step| step.starts_with("SEARCH")).unwrap();
        assert!(first.contains(index), "{slice:?}: {plan:?}");
        let then = plan.iter().filter(|step| step.starts_with("SEARCH p USING"));
        for step in then.skip_while(|step| *step == first) {
            assert!(step.ends_with("(shop_id=? AND id=?)"), "{slice:?}: {plan:?}");
        }
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_closed_is_whole_in_its_file_without_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    for round in 0..6 {
        let path = folder.path().join(format!("{round}.db"));
        // The log is copied all the time, so that closing meets a copy on its way.
        let settings = SqliteSettings {
            checkpoint_pages: 20,
            ..SqliteSettings::new(&path)
        };
        let store = SqliteStore::open(&settings, Migrate::Apply).unwrap();
        let text = "x".repeat(4_000);
        let rows = (0..400).map(|n| ChangeSet::new().insert(&SETTINGS, setting(&n.to_string(), &text, 1)));
        commit_all(&store, rows).await;
        store.close().await;
        let log = path.with_extension("db-wal");
        assert_eq!(
            std::fs::metadata(&log).map_or(0, |log| log.len()),
            0,
            "round {round}"
        );
        std::fs::copy(&path, &copy).unwrap();
        let copied = SqliteStore::open(&SqliteSettings::new(&copy), Migrate::Refuse).unwrap();
        assert_eq!(one_int(&copied, COUNT, vec![]).await, 400);
        copied.close().await;
    }
}
