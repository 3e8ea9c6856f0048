//! What a reconciliation's questions promise.

use super::rows::{SHOP, event, payment};
use super::suite::commit_all;
use crate::repo::{self, Compare, Slice};
use crate::tables::{ATTEMPTS, EVENTS, PAYMENTS};
use crate::{ChangeSet, Store, Value};

const COMPARE: Compare<'static> = Compare {
    shop: SHOP,
    provider: "komoju",
    from_id: "p5",
    until_id: "p9",
};

fn made(id: &str, status: &str, provider: &str) -> ChangeSet {
    let mut row = payment(id, None, 1);
    row[2] = status.into();
    row[4] = provider.into();
    ChangeSet::new().insert(&PAYMENTS, row)
}

fn attempt(payment: &str, status: &str) -> ChangeSet {
    let row = vec![
        SHOP.into(),
        payment.into(),
        1.into(),
        "refund".into(),
        "komoju".into(),
        status.into(),
        1.into(),
        Value::Null,
        1.into(),
        "{}".into(),
    ];
    ChangeSet::new().insert(&ATTEMPTS, row)
}

/// Open payments of any age, old ones that changed or wait for an answer, and all recent ones: each once, page by page.
pub async fn open_and_recent_payments_are_walked_through_once(store: &dyn Store) {
    commit_all(
        store,
        [
            made("p1", "pending", "komoju"),
            made("p2", "authorized", "komoju"),
            made("p20", "captured", "komoju"), // old and untouched: never seen
            made("p3", "captured", "komoju"),  // a refund of it waits for an answer
            made("p30", "pending", "komoju"),
            made("p4", "refunded", "komoju"), // changed in the span, twice
            made("p40", "captured", "other"), // somebody else's books
            made("p6", "failed", "komoju"),
            made("p7", "captured", "komoju"),
            made("p8", "pending", "komoju"),
            made("p9", "pending", "komoju"), // made after the run began
            attempt("p3", "unknown"),
            attempt("p4", "unknown"),
            attempt("p7", "unknown"),
            attempt("p20", "succeeded"),
        ],
    )
    .await;
    let told = [
        ("p11", "p20", 1),
        ("p12", "p4", 1),
        ("p61", "p4", 2),
        ("p62", "p4", 3),
        ("p63", "p40", 1),
        ("p64", "p1", 1),
        ("p71", "p7", 1),
        ("p95", "p20", 2), // after the run began
    ];
    commit_all(
        store,
        told.map(|(id, subject, seq)| ChangeSet::new().insert(&EVENTS, event(id, subject, seq))),
    )
    .await;
    let mut seen = Vec::new();
    for slice in Slice::ALL {
        let mut after: Box<str> = "".into();
        loop {
            let page = repo::to_compare(store, &COMPARE, slice, &after, 1)
                .await
                .expect("a page");
            let Some((cursor, payment)) = page.into_iter().next() else {
                break;
            };
            assert!(cursor > after);
            after = cursor;
            seen.push((slice, payment.to_string()));
        }
    }
    let expected = [
        (Slice::Pending, "p1"),
        (Slice::Pending, "p30"),
        (Slice::Authorized, "p2"),
        (Slice::Unsettled, "p3"),
        (Slice::Changed, "p4"),
        (Slice::Recent, "p6"),
        (Slice::Recent, "p7"),
        (Slice::Recent, "p8"),
    ];
    assert_eq!(seen, expected.map(|(slice, id)| (slice, id.to_owned())));
    assert_eq!(repo::count_to_compare(store, &COMPARE).await.expect("a count"), 8);
}

/// Runs come newest first, and the one that waits longest is known.
pub async fn runs_come_newest_first(store: &dyn Store) {
    let run = |provider: &str, id: &str, status: &str, at: i64| {
        let row = repo::ReconciliationRow {
            shop_id: SHOP.into(),
            provider: provider.into(),
            id: id.into(),
            status: status.into(),
            started_at: at,
            updated_at: at,
            version: 1,
            body: "{}".into(),
        };
        ChangeSet::new().insert(repo::ReconciliationRow::TABLE, row.into_values())
    };
    assert_eq!(repo::last_reconciled_everywhere(store).await.expect("none"), None);
    commit_all(
        store,
        [
            run("a", "1", "done", 10),
            run("a", "2", "done", 20),
            run("a", "3", "partial", 30),
            run("b", "2", "done", 15),
        ],
    )
    .await;
    let runs = repo::reconciliations(store, SHOP, "a", 2).await.expect("runs");
    assert_eq!(
        runs.iter().map(|run| run.id.as_ref()).collect::<Vec<_>>(),
        ["3", "2"]
    );
    let one = repo::reconciliation(store, SHOP, "b", "2").await.expect("a run");
    assert_eq!(one.map(|run| run.started_at), Some(15));
    assert_eq!(
        repo::last_reconciled_everywhere(store).await.expect("one"),
        Some(15)
    );
    let old = repo::reconciliations_below(store, SHOP, "a", "3", 10)
        .await
        .expect("ids");
    assert_eq!(old, ["1".into(), "2".into()]);
}
