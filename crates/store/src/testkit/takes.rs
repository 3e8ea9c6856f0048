//! What taking from a counter promises: never more than is there, all of a change set or nothing of it.

use futures_util::future::join_all;

use super::rows::{SHOP, one_int, order_number};
use super::suite::commit_all;
use crate::tables::{SETTINGS, STOCK};
use crate::{ChangeSet, Commit, Store, StoreError, Value, tables};

fn place(sku: &str, place: &str) -> Vec<Value> {
    vec![SHOP.into(), sku.into(), place.into()]
}

async fn left(store: &dyn Store, sku: &str, at: &str) -> i64 {
    let sql =
        "SELECT CAST(COALESCE(SUM(n),0) AS BIGINT) FROM stock WHERE shop_id = $1 AND sku = $2 AND place = $3";
    one_int(store, sql, place(sku, at)).await
}

async fn put(store: &dyn Store, sku: &str, n: i64) {
    commit_all(store, [ChangeSet::new().add(&STOCK, place(sku, "free"), n)]).await;
}

/// From free to held.
fn hold(sku: &str, n: i64) -> ChangeSet {
    ChangeSet::new()
        .guard_take(&STOCK, place(sku, "free"), n)
        .add(&STOCK, place(sku, "held"), n)
}

async fn done(store: &dyn Store, changes: Vec<ChangeSet>) -> Vec<bool> {
    let answers = join_all(changes.into_iter().map(|change| store.commit(change))).await;
    let done = |answer: Result<Commit, StoreError>| answer.expect("the commit is right").is_done();
    answers.into_iter().map(done).collect()
}

/// Of 64 who want one of the last ten pieces at once, ten get one, and all else of the others is undone.
pub async fn of_64_buyers_ten_get_the_last_ten(store: &dyn Store) {
    put(store, "tea", 10).await;
    let wishes =
        (0..64).map(|n| hold("tea", 1).insert(&tables::ORDER_NUMBERS, order_number(&n.to_string(), "o")));
    let won = done(store, wishes.collect()).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 10);
    assert_eq!(
        (left(store, "tea", "free").await, left(store, "tea", "held").await),
        (0, 10)
    );
    assert_eq!(
        one_int(store, "SELECT COUNT(*) FROM order_numbers", vec![]).await,
        10
    );
}

/// While enough is left, everybody who asks at once gets what he asked for.
pub async fn nobody_is_refused_while_enough_is_left(store: &dyn Store) {
    put(store, "tea", 1_000).await;
    let won = done(store, (0..100).map(|n| hold("tea", 1 + n % 3)).collect()).await;
    assert!(won.iter().all(|won| *won));
    let taken: i64 = (0..100).map(|n| 1 + n % 3).sum();
    assert_eq!(left(store, "tea", "free").await, 1_000 - taken);
    assert_eq!(left(store, "tea", "held").await, taken);
}

/// One thing that is short refuses the whole change set and is named; a row that is not there is short.
pub async fn what_is_short_refuses_all_of_its_change_set(store: &dyn Store) {
    put(store, "tea", 5).await;
    put(store, "cup", 1).await;
    let both = |cups| {
        ChangeSet::new()
            .guard_take(&STOCK, place("tea", "free"), 2)
            .guard_take(&STOCK, place("cup", "free"), cups)
    };
    assert_eq!(store.commit(both(2)).await.unwrap(), Commit::Refused { guard: 1 });
    assert_eq!(left(store, "tea", "free").await, 5);
    assert_eq!(store.commit(both(1)).await.unwrap(), Commit::Done);
    assert_eq!(
        (left(store, "tea", "free").await, left(store, "cup", "free").await),
        (3, 0)
    );
    let missing = ChangeSet::new().guard_take(&STOCK, place("pot", "free"), 1);
    assert_eq!(store.commit(missing).await.unwrap(), Commit::Refused { guard: 0 });
}

/// Pieces that go back and forth at once are neither lost nor made, and several things held in any order block nobody.
pub async fn what_goes_back_and_forth_stays_as_much(store: &dyn Store) {
    put(store, "tea", 12).await;
    put(store, "cup", 12).await;
    for round in 0..6 {
        let wishes = (0..48_i64).map(|n| {
            let (first, second) = if n % 2 == 0 {
                ("tea", "cup")
            } else {
                ("cup", "tea")
            };
            match (n + round) % 3 {
                0 => {
                    let mut both = hold(first, 1 + n % 4);
                    both.append(hold(second, 1));
                    both
                }
                1 => hold(first, 1),
                _ => ChangeSet::new().guard_take(&STOCK, place(first, "held"), 1).add(
                    &STOCK,
                    place(first, "free"),
                    1,
                ),
            }
        });
        done(store, wishes.collect()).await;
        for sku in ["tea", "cup"] {
            let (free, held) = (left(store, sku, "free").await, left(store, sku, "held").await);
            assert_eq!(
                free + held,
                12,
                "{sku} in round {round}: {free} free, {held} held"
            );
        }
    }
}

/// Only a counter can be taken from, only something, and each row once in a change set.
pub async fn a_take_that_makes_no_sense_is_invalid(store: &dyn Store) {
    put(store, "tea", 5).await;
    let key = || place("tea", "free");
    for change in [
        ChangeSet::new().guard_take(&STOCK, key(), 0),
        ChangeSet::new().guard_take(&STOCK, key(), -1),
        ChangeSet::new().guard_take(&SETTINGS, vec!["a".into()], 1),
        ChangeSet::new().guard_take(&STOCK, key()[..2].to_vec(), 1),
        ChangeSet::new()
            .guard_take(&STOCK, key(), 1)
            .guard_take(&STOCK, key(), 1),
        ChangeSet::new()
            .guard_take(&STOCK, key(), 1)
            .add(&STOCK, key(), 1),
    ] {
        let answer = store.commit(change).await;
        assert!(matches!(answer, Err(StoreError::Invalid { .. })), "{answer:?}");
    }
    assert_eq!(left(store, "tea", "free").await, 5);
}
