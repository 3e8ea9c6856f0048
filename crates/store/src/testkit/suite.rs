//! What commit and query promise, one function per promise.

use futures_util::future::join_all;

use super::rows::{all, counter, event, idempotency, one_int, order_number, payment, setting};
use crate::tables::{ALL, COUNTS, EVENTS, IDEMPOTENCY, ORDER_NUMBERS, PAYMENTS, SETTINGS};
use crate::{Backend, ChangeSet, Commit, Store, StoreError, Value};

const EVENT_COUNT: &str = "SELECT COUNT(*) FROM events";

fn refused(guard: usize) -> Commit {
    Commit::Refused { guard }
}

/// The declared tables are the opened ones: columns, their order and nullability.
pub async fn declared_tables_are_the_opened_ones(store: &dyn Store) {
    for table in ALL {
        let sql = match store.backend() {
            Backend::Sqlite => "SELECT name, \"notnull\" = 0, pk FROM pragma_table_info($1) ORDER BY cid",
            Backend::Postgres => {
                "SELECT column_name::text, is_nullable = 'YES' FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
            }
        };
        let found = all(store, sql, vec![table.name.into()]).await;
        let found: Vec<_> = found
            .iter()
            .map(|row| (row.text(0).unwrap(), row.int(1).unwrap() == 1))
            .collect();
        let declared: Vec<_> = table
            .columns
            .iter()
            .map(|column| (column.name, column.nullable))
            .collect();
        assert_eq!(found, declared, "{}", table.name);
        // every statement that can be generated for it is understood
        let nothing = format!("SELECT {} FROM {} WHERE 1 = 0", table.column_list(), table.name);
        assert!(store.query(nothing.into(), vec![]).await.unwrap().is_empty());
    }
}

/// Integers, text, bytes and nulls come back as they went.
pub async fn values_come_back_as_they_went(store: &dyn Store) {
    let long = "長い文字列 ".repeat(2000);
    for (key, number, text) in [
        (1, i64::MIN, ""),
        (2, i64::MAX, "𝄞'\"\\$1?"),
        (3, -1, long.as_str()),
    ] {
        let mut row = idempotency(key);
        row[3] = number.into();
        row[7] = text.into();
        row[2] = Value::from(vec![0, 255, 1]);
        assert_eq!(
            store
                .commit(ChangeSet::new().guard_insert(&IDEMPOTENCY, row.clone()))
                .await
                .unwrap(),
            Commit::Done
        );
        let sql = format!(
            "SELECT {} FROM idempotency WHERE shop_id = $1 AND key_hash = $2",
            IDEMPOTENCY.column_list()
        );
        let found = store.query(sql.into(), row[..2].to_vec()).await.unwrap();
        assert_eq!(found[0].values(), row);
        assert!(matches!(
            found[0].text(3),
            Err(StoreError::Corrupt { column: 3, .. })
        ));
    }
}

/// A marker is bound by its number, not by where it first appears.
pub async fn the_second_marker_may_come_first(store: &dyn Store) {
    commit_all(
        store,
        [setting("a", "x", 1), setting("b", "y", 2)].map(|row| ChangeSet::new().insert(&SETTINGS, row)),
    )
    .await;
    let sql = "SELECT name FROM settings WHERE version = $2 AND value = $1";
    let rows = all(store, sql, vec!["y".into(), 2.into()]).await;
    assert_eq!(rows[0].text(0).unwrap(), "b");
}

/// Text sorts and pages by its bytes.
pub async fn keyset_pages_have_the_same_order_everywhere(store: &dyn Store) {
    let names = ["Z", "a", "_", "あ", "ab", "a b", "B", "é"];
    commit_all(
        store,
        names.map(|name| ChangeSet::new().insert(&SETTINGS, setting(name, "", 1))),
    )
    .await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let sql = "SELECT name FROM settings WHERE name > $1 ORDER BY name LIMIT $2";
        let page = all(store, sql, vec![after.as_str().into(), 3.into()]).await;
        let Some(last) = page.last() else { break };
        after = last.text(0).unwrap().into();
        seen.extend(page.iter().map(|row| row.text(0).unwrap().to_owned()));
    }
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(seen, sorted);
}

/// NUL is refused on the way in, on both engines.
pub async fn text_with_nul_is_refused(store: &dyn Store) {
    let change = ChangeSet::new().insert(&SETTINGS, setting("a", "x\0y", 1));
    assert!(matches!(store.commit(change).await, Err(StoreError::BadText)));
    let read = store
        .query("SELECT 1 FROM settings WHERE name = $1".into(), vec!["\0".into()])
        .await;
    assert!(matches!(read, Err(StoreError::BadText)));
}

/// What does not fit its table never reaches the database.
pub async fn a_change_set_that_does_not_fit_is_invalid(store: &dyn Store) {
    let twice = ChangeSet::new()
        .insert(&SETTINGS, setting("a", "x", 1))
        .update(&SETTINGS, setting("a", "y", 2));
    let short = ChangeSet::new().insert(&SETTINGS, vec!["a".into()]);
    let kind = ChangeSet::new().insert(&SETTINGS, vec!["a".into(), 1.into(), 1.into()]);
    let null = ChangeSet::new().insert(&SETTINGS, vec!["a".into(), Value::Null, 1.into()]);
    let counter = ChangeSet::new().add(&SETTINGS, vec!["a".into()], 1);
    let unversioned = ChangeSet::new().guard_update(&EVENTS, event("e", "p", 1), 1);
    for change in [twice, short, kind, null, counter, unversioned] {
        assert!(
            matches!(
                store.commit(change.clone()).await,
                Err(StoreError::Invalid { .. })
            ),
            "{change:?}"
        );
    }
}

/// A refused guard undoes what its change set wrote before it.
pub async fn a_refused_guard_undoes_the_whole_change_set(store: &dyn Store) {
    let taken = ChangeSet::new().guard_insert(&ORDER_NUMBERS, order_number("A-1", "pay_0"));
    assert_eq!(store.commit(taken).await.unwrap(), Commit::Done);
    let change = ChangeSet::new()
        .guard_insert(&IDEMPOTENCY, idempotency(1))
        .guard_insert(&ORDER_NUMBERS, order_number("A-1", "pay_1"))
        .guard_insert(&ORDER_NUMBERS, order_number("A-2", "pay_1"))
        .insert(&EVENTS, event("e1", "pay_1", 1))
        .add(&COUNTS, counter("sales"), 5);
    assert_eq!(store.commit(change).await.unwrap(), refused(1));
    for table in [
        "SELECT COUNT(*) FROM idempotency",
        EVENT_COUNT,
        "SELECT COUNT(*) FROM counts",
    ] {
        assert_eq!(one_int(store, table, vec![]).await, 0, "{table}");
    }
    assert_eq!(
        one_int(store, "SELECT COUNT(*) FROM order_numbers", vec![]).await,
        1
    );
}

/// Guards of every kind see what is there.
pub async fn guards_check_key_and_version(store: &dyn Store) {
    let key = || vec![Value::from("a")];
    let commit = |change| async move { store.commit(change).await.unwrap() };
    assert_eq!(
        commit(ChangeSet::new().guard_update(&SETTINGS, setting("a", "x", 2), 1)).await,
        refused(0)
    );
    assert_eq!(
        commit(ChangeSet::new().guard_insert(&SETTINGS, setting("a", "x", 1))).await,
        Commit::Done
    );
    assert_eq!(
        commit(ChangeSet::new().guard_insert(&SETTINGS, setting("a", "y", 1))).await,
        refused(0)
    );
    assert_eq!(
        commit(ChangeSet::new().guard_update(&SETTINGS, setting("a", "z", 2), 1)).await,
        Commit::Done
    );
    assert_eq!(
        commit(ChangeSet::new().guard_update(&SETTINGS, setting("a", "w", 2), 1)).await,
        refused(0)
    );
    assert_eq!(
        commit(ChangeSet::new().guard_delete(&SETTINGS, key(), Some(1))).await,
        refused(0)
    );
    let rows = all(store, "SELECT value, version FROM settings", vec![]).await;
    assert_eq!(rows[0].values(), [Value::from("z"), 2.into()]);
    assert_eq!(
        commit(ChangeSet::new().guard_delete(&SETTINGS, key(), Some(2))).await,
        Commit::Done
    );
    assert_eq!(
        commit(ChangeSet::new().guard_delete(&SETTINGS, key(), None)).await,
        refused(0)
    );
    // a plain update or delete of nothing is nothing
    assert_eq!(
        commit(ChangeSet::new().update(&SETTINGS, setting("b", "w", 2))).await,
        Commit::Done
    );
    assert_eq!(
        commit(ChangeSet::new().delete(&SETTINGS, key())).await,
        Commit::Done
    );
    assert_eq!(one_int(store, "SELECT COUNT(*) FROM settings", vec![]).await, 0);
}

/// Plain operations of every kind do what they say, many at once.
pub async fn plain_operations_write_whole_rows(store: &dyn Store) {
    let names: Vec<String> = (0..40).map(|n| format!("s{n:02}")).collect();
    commit_all(
        store,
        names
            .iter()
            .map(|name| ChangeSet::new().insert(&SETTINGS, setting(name, "old", 1))),
    )
    .await;
    commit_all(
        store,
        names.iter().enumerate().map(|(n, name)| match n % 2 {
            0 => ChangeSet::new().update(&SETTINGS, setting(name, &format!("new {name}"), 2)),
            _ => ChangeSet::new().delete(&SETTINGS, vec![name.into()]),
        }),
    )
    .await;
    let rows = all(
        store,
        "SELECT name, value, version FROM settings ORDER BY name",
        vec![],
    )
    .await;
    assert_eq!(rows.len(), 20);
    for (row, name) in rows.iter().zip(names.iter().step_by(2)) {
        assert_eq!(
            row.values(),
            [name.into(), format!("new {name}").into(), Value::Int(2)]
        );
    }
}

/// Of many claims to one key in one moment exactly one wins, and only its rows are there.
pub async fn of_duplicates_in_one_batch_one_wins(store: &dyn Store) {
    let changes = (0..64).map(|n| {
        ChangeSet::new()
            .guard_insert(&IDEMPOTENCY, idempotency(1))
            .insert(&EVENTS, event(&format!("e{n}"), &format!("pay_{n}"), 1))
    });
    let answers = join_all(changes.map(|change| store.commit(change))).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Commit::Done)))
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Commit::Refused { guard: 0 })))
            .count(),
        63
    );
    assert_eq!(one_int(store, EVENT_COUNT, vec![]).await, 1);
}

/// Change sets with several guards that clash crosswise, also in a unique constraint beside the key: exactly those win
/// that some order of doing them one by one lets win.
pub async fn crosswise_duplicates_leave_one_winner_per_key(store: &dyn Store) {
    // A holds ref 1 and number 2, B holds ref 2 and number 1, for each of 20 pairs, and 8 copies of each
    let mut changes = Vec::new();
    for pair in 0..20 {
        for copy in 0..8 {
            for (side, other) in [(1, 2), (2, 1)] {
                let id = format!("pay_{pair}_{copy}_{side}");
                let reference = format!("ref_{pair}_{side}");
                changes.push(
                    ChangeSet::new()
                        .guard_insert(&PAYMENTS, payment(&id, Some(&reference), 1))
                        .guard_insert(&ORDER_NUMBERS, order_number(&format!("{pair}-{other}"), &id))
                        .insert(&EVENTS, event(&id, &id, 1)),
                );
            }
        }
    }
    let answers = join_all(changes.into_iter().map(|change| store.commit(change))).await;
    let done = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Commit::Done)))
        .count();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(done, 40, "one per reference");
    for table in [
        "SELECT COUNT(*) FROM payments",
        "SELECT COUNT(*) FROM order_numbers",
        EVENT_COUNT,
    ] {
        assert_eq!(one_int(store, table, vec![]).await, 40, "{table}");
    }
}

/// One version is left by one of many.
pub async fn of_32_writers_of_one_version_one_wins(store: &dyn Store) {
    commit_all(store, [ChangeSet::new().insert(&PAYMENTS, payment("p", None, 1))]).await;
    for version in 1..=5 {
        let changes = (0..32).map(|n| {
            ChangeSet::new()
                .guard_update(&PAYMENTS, payment("p", None, version + 1), version)
                .insert(&EVENTS, event(&format!("e{version}-{n}"), "p", version))
        });
        let answers = join_all(changes.map(|change| store.commit(change))).await;
        let done = answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Commit::Done)))
            .count();
        assert_eq!(done, 1, "{answers:?}");
        assert_eq!(one_int(store, EVENT_COUNT, vec![]).await, version);
    }
}

/// A change set that breaks a constraint fails alone and leaves nothing.
pub async fn a_broken_constraint_fails_its_change_set_alone(store: &dyn Store) {
    commit_all(store, [ChangeSet::new().insert(&EVENTS, event("taken", "p", 1))]).await;
    let changes = (0..60).map(|n| {
        let id = format!("e{n}");
        let good = ChangeSet::new()
            .guard_insert(&ORDER_NUMBERS, order_number(&id, "x"))
            .add(&COUNTS, counter("n"), 1);
        match n % 10 {
            // the key is free, (subject, seq) is not
            3 => good.insert(&EVENTS, event(&id, "p", 1)),
            // the key is taken
            7 => good.insert(&EVENTS, event("taken", &id, 1)),
            _ => good.insert(&EVENTS, event(&id, &id, 1)),
        }
    });
    let answers = join_all(changes.map(|change| store.commit(change))).await;
    for (n, answer) in answers.iter().enumerate() {
        match (n % 10, answer) {
            (3 | 7, Err(StoreError::Constraint { table, .. })) => assert_eq!(&**table, "events"),
            (3 | 7, other) => panic!("{n}: {other:?}"),
            (_, other) => assert!(matches!(other, Ok(Commit::Done)), "{n}: {other:?}"),
        }
    }
    assert_eq!(one_int(store, EVENT_COUNT, vec![]).await, 49);
    assert_eq!(
        one_int(store, "SELECT COUNT(*) FROM order_numbers", vec![]).await,
        48
    );
    assert_eq!(
        one_int(store, "SELECT CAST(SUM(n) AS BIGINT) FROM counts", vec![]).await,
        48
    );
}

/// Two rows of one moment that clash in a unique constraint beside the key: one of them stands.
pub async fn neighbours_that_clash_leave_one(store: &dyn Store) {
    let changes = ["a", "b"].map(|id| ChangeSet::new().insert(&EVENTS, event(id, "p", 1)));
    let answers = join_all(changes.map(|change| store.commit(change))).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Commit::Done)))
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Err(StoreError::Constraint { .. })))
            .count(),
        1
    );
}

/// Counters sum to what was acknowledged, negative deltas and repeats in one change set included.
pub async fn additions_sum_up_under_concurrency(store: &dyn Store) {
    let changes = (0..300_i64).map(|n| {
        ChangeSet::new()
            .add(&COUNTS, counter("a"), n)
            .add(&COUNTS, counter("a"), 1)
            .add(&COUNTS, counter(if n % 2 == 0 { "b" } else { "c" }), -2)
    });
    commit_all(store, changes).await;
    let rows = all(
        store,
        "SELECT what, CAST(SUM(n) AS BIGINT) FROM counts GROUP BY what ORDER BY what",
        vec![],
    )
    .await;
    let sums: Vec<_> = rows.iter().map(|row| row.int(1).unwrap()).collect();
    assert_eq!(sums, [299 * 300 / 2 + 300, -300, -300]);
}

/// What was acknowledged is seen by the next read.
pub async fn a_read_sees_what_was_acknowledged(store: &dyn Store) {
    for n in 1..=50 {
        let row = setting("a", "x", n);
        let change = ChangeSet::new();
        let change = if n == 1 {
            change.insert(&SETTINGS, row)
        } else {
            change.guard_update(&SETTINGS, row, n - 1)
        };
        assert_eq!(store.commit(change).await.unwrap(), Commit::Done);
        assert_eq!(one_int(store, "SELECT version FROM settings", vec![]).await, n);
    }
}

/// Readers cannot write, and a wrong query is an error, not an end.
pub async fn a_query_cannot_write(store: &dyn Store) {
    commit_all(store, [ChangeSet::new().insert(&SETTINGS, setting("a", "x", 1))]).await;
    assert!(store.query("DELETE FROM settings".into(), vec![]).await.is_err());
    assert!(
        store
            .query("SELECT nonsense FROM nowhere".into(), vec![])
            .await
            .is_err()
    );
    assert!(
        store
            .query("SELECT name FROM settings WHERE name = $1".into(), vec![])
            .await
            .is_err()
    );
    assert!(store.query("SELECT 1.5".into(), vec![]).await.is_err());
    assert_eq!(one_int(store, "SELECT COUNT(*) FROM settings", vec![]).await, 1);
    store.ping().await.unwrap();
}

/// The figures count what was done.
pub async fn figures_count_batches_and_changes(store: &dyn Store) {
    assert_eq!(store.commit(ChangeSet::new()).await.unwrap(), Commit::Done);
    let before = store.stats();
    commit_all(
        store,
        (0..100).map(|n| ChangeSet::new().insert(&SETTINGS, setting(&n.to_string(), "x", 1))),
    )
    .await;
    let after = store.stats();
    assert_eq!(after.changes - before.changes, 100);
    assert!((1..=100).contains(&(after.batches - before.batches)), "{after:?}");
    assert_eq!(after.queued, 0);
}

/// While nothing moves (until `release` is done) the surplus over what the queue holds hears so at once. Afterwards the
/// others are done, many in a batch.
pub async fn a_full_queue_says_busy(store: &dyn Store, release: impl Future<Output = ()>) {
    let before = store.stats();
    let changes = (0..6_000).map(|n| ChangeSet::new().insert(&SETTINGS, setting(&n.to_string(), "x", 1)));
    let (answers, ()) = futures_util::join!(join_all(changes.map(|change| store.commit(change))), release);
    let done = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Commit::Done)))
        .count();
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Err(StoreError::Busy)))
        .count();
    assert_eq!(done + busy, 6_000);
    assert!((4_096..=4_096 + 2 * 256).contains(&done), "{done}");
    let stored = one_int(store, "SELECT COUNT(*) FROM settings", vec![]).await;
    assert_eq!(usize::try_from(stored).unwrap(), done);
    let batches = store.stats().batches - before.batches;
    assert!((16..=22).contains(&batches), "{batches}");
}

/// After close everything waiting was committed and every call is turned away.
pub async fn a_closed_store_turns_callers_away(store: &dyn Store) {
    let changes = (0..50).map(|n| ChangeSet::new().insert(&SETTINGS, setting(&n.to_string(), "x", 1)));
    let (answers, ()) = futures_util::join!(
        join_all(changes.map(|change| store.commit(change))),
        store.close()
    );
    assert!(
        answers.iter().all(|answer| matches!(answer, Ok(Commit::Done))),
        "{answers:?}"
    );
    let late = store
        .commit(ChangeSet::new().insert(&SETTINGS, setting("late", "x", 1)))
        .await;
    assert!(matches!(late, Err(StoreError::Unavailable { .. })), "{late:?}");
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
    store.close().await;
}

/// Commits all at once; each must be done.
pub async fn commit_all(store: &dyn Store, changes: impl IntoIterator<Item = ChangeSet>) {
    for answer in join_all(changes.into_iter().map(|change| store.commit(change))).await {
        assert_eq!(answer.expect("the commit is right"), Commit::Done);
    }
}
