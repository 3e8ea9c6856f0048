//! What only PostgreSQL has.

use futures_util::future::join_all;
use kessai_store::tables::{COUNTS, EVENTS, PAYMENTS, SETTINGS};
use kessai_store::testkit::rows::{counter, event, one_int, payment, setting};
use kessai_store::testkit::{pg, suite, suite::commit_all};
use kessai_store::{ChangeSet, Commit, Migrate, PgStore, Store, StoreError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reopened_database_holds_what_was_acknowledged() {
    let database = pg::database().await;
    for round in 0..3 {
        let store = PgStore::open(&database.settings(), Migrate::Apply).await.unwrap();
        if round == 0 {
            commit_all(
                &store,
                (0..100).map(|n| ChangeSet::new().insert(&SETTINGS, setting(&n.to_string(), "x", 1))),
            )
            .await;
        }
        assert_eq!(
            one_int(&store, "SELECT COUNT(*) FROM settings", vec![]).await,
            100
        );
        if round == 1 {
            store.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_checked_on_opening() {
    let database = pg::database().await;
    let settings = database.settings();
    let empty = PgStore::open(&settings, Migrate::Refuse).await;
    assert!(matches!(empty, Err(StoreError::Older { found: 0, known: 4 })));
    for migrate in [Migrate::Apply, Migrate::Apply, Migrate::Refuse] {
        PgStore::open(&settings, migrate).await.unwrap().close().await;
    }
    let raw = database.client().await;
    raw.batch_execute("INSERT INTO schema_migrations VALUES (999, 'future', 0, 0)")
        .await
        .unwrap();
    for migrate in [Migrate::Apply, Migrate::Refuse] {
        let newer = PgStore::open(&settings, migrate).await;
        assert!(matches!(newer, Err(StoreError::Newer { found: 999, known: 4 })));
    }
    raw.batch_execute(
        "DELETE FROM schema_migrations WHERE version = 999; UPDATE schema_migrations SET checksum = 0",
    )
    .await
    .unwrap();
    assert!(matches!(
        PgStore::open(&settings, Migrate::Apply).await,
        Err(StoreError::Drifted { version: 1 })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_may_start_on_an_empty_database_at_once() {
    let database = pg::database().await;
    let settings = database.settings();
    for opened in join_all((0..4).map(|_| PgStore::open(&settings, Migrate::Apply))).await {
        opened.unwrap().close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_comes_back_and_nothing_is_done_twice() {
    let database = pg::database().await;
    let store = PgStore::open(&database.settings(), Migrate::Apply).await.unwrap();
    let mut acknowledged = 0;
    let mut doubtful = 0;
    for round in 0..5 {
        let changes = (0..200).map(|n| {
            let id = format!("{round}-{n:03}");
            store.commit(ChangeSet::new().guard_insert(&EVENTS, event(&id, &id, 1)).add(
                &COUNTS,
                counter("n"),
                1,
            ))
        });
        let (answers, ()) = futures_util::join!(join_all(changes), database.disconnect_all());
        for answer in answers {
            match answer {
                Ok(Commit::Done) => acknowledged += 1,
                Err(StoreError::InDoubt) => doubtful += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    // reads come back as well
    let stored = one_int(&store, "SELECT COUNT(*) FROM events", vec![]).await;
    assert!(
        (acknowledged..=acknowledged + doubtful).contains(&stored),
        "{acknowledged} {doubtful} {stored}"
    );
    assert_eq!(
        one_int(&store, "SELECT CAST(SUM(n) AS BIGINT) FROM counts", vec![]).await,
        stored
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_lock_rows_crosswise_both_finish() {
    let database = pg::database().await;
    let first = PgStore::open(&database.settings(), Migrate::Apply).await.unwrap();
    let second = PgStore::open(&database.settings(), Migrate::Apply).await.unwrap();
    let names: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    let rows = names.iter().map(|n| {
        ChangeSet::new()
            .insert(&PAYMENTS, payment(n, None, 1))
            .insert(&SETTINGS, setting(n, "x", 1))
    });
    commit_all(&first, rows).await;
    // one node goes payment then setting, the other setting then payment; every change adds to the same counter
    for round in 0..4 {
        let one = names.iter().map(|n| {
            let change = ChangeSet::new()
                .guard_update(&PAYMENTS, payment(n, None, 1), 1)
                .update(&SETTINGS, setting(n, "one", round));
            first.commit(change.add(&COUNTS, counter("n"), 1))
        });
        let other = names.iter().rev().map(|n| {
            let change = ChangeSet::new()
                .guard_delete(&SETTINGS, vec![n.into()], None)
                .update(&PAYMENTS, payment(n, None, 1));
            second.commit(change.add(&COUNTS, counter("n"), 1))
        });
        let (one, other) = futures_util::join!(join_all(one), join_all(other));
        for answer in one.iter().chain(&other) {
            assert!(matches!(answer, Ok(Commit::Done)), "{answer:?}");
        }
        let back = names
            .iter()
            .map(|n| ChangeSet::new().guard_insert(&SETTINGS, setting(n, "x", 1)));
        commit_all(&second, back).await;
    }
    assert_eq!(
        one_int(&first, "SELECT CAST(SUM(n) AS BIGINT) FROM counts", vec![]).await,
        4 * 40
    );
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_callers_hear_it() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("host='{}' user=nobody password=geheim", folder.path().display());
    let settings = kessai_store::PgSettings::new(address);
    assert!(!format!("{settings:?}").contains("geheim"));
    let opened = PgStore::open(&settings, Migrate::Apply).await;
    assert!(matches!(opened, Err(StoreError::Unavailable { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_says_busy() {
    let database = pg::database().await;
    let store = PgStore::open(&database.settings(), Migrate::Apply).await.unwrap();
    // the writers wait for this lock
    let other = database.client().await;
    other
        .batch_execute("BEGIN; LOCK TABLE settings IN EXCLUSIVE MODE")
        .await
        .unwrap();
    suite::a_full_queue_says_busy(&store, async { other.batch_execute("COMMIT").await.unwrap() }).await;
    store.close().await;
}

/// A job runner waits for the store with a hundred jobs in its hands that it does not poll meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_stops_listening_holds_up_nobody_else() {
    let database = pg::database().await;
    let store = PgStore::open(&database.settings(), Migrate::Apply).await.unwrap();
    let much = "SELECT CAST(n AS BIGINT), repeat('x', 1000) FROM generate_series(1, 20000) n";
    // Prepared on both connections, the next ones are sent when they are polled first.
    for _ in 0..2 {
        assert_eq!(store.query(much.into(), vec![]).await.unwrap().len(), 20_000);
    }
    let mut unheard: Vec<_> = (0..4)
        .map(|_| Box::pin(store.query(much.into(), vec![])))
        .collect();
    for query in &mut unheard {
        assert!(futures_util::poll!(query).is_pending());
    }
    for _ in 0..4 {
        let served = tokio::time::timeout(std::time::Duration::from_secs(30), store.ping()).await;
        served.expect("others are served").unwrap();
    }
    for query in unheard {
        assert_eq!(query.await.unwrap().len(), 20_000);
    }
}
