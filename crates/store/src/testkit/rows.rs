//! Rows to test with.

use crate::{Row, Store, Value};

/// The shop of every test row.
pub const SHOP: &str = "shop_1";

/// A setting: the smallest versioned row.
pub fn setting(name: &str, value: &str, version: i64) -> Vec<Value> {
    vec![name.into(), value.into(), version.into()]
}

/// An event; (shop, subject, seq) is unique beside its key.
pub fn event(id: &str, subject: &str, seq: i64) -> Vec<Value> {
    vec![
        SHOP.into(),
        id.into(),
        subject.into(),
        seq.into(),
        "payment.created".into(),
        1.into(),
        Value::Null,
        "{}".into(),
    ]
}

/// An idempotency key.
pub fn idempotency(key: u8) -> Vec<Value> {
    let (hash, fingerprint) = ([key; 16], [7_u8; 32]);
    let (state, status, created, version) = (0.into(), 0.into(), 1.into(), 1.into());
    vec![
        SHOP.into(),
        hash.into(),
        fingerprint.into(),
        state,
        status,
        Value::Null,
        Value::Null,
        Value::Null,
        created,
        version,
    ]
}

/// An order number.
pub fn order_number(number: &str, owner: &str) -> Vec<Value> {
    vec![SHOP.into(), number.into(), owner.into(), 1.into()]
}

/// A payment with a provider's reference (unique when there is one).
pub fn payment(id: &str, provider_ref: Option<&str>, version: i64) -> Vec<Value> {
    let none = Value::Null;
    vec![
        SHOP.into(),
        id.into(),
        "pending".into(),
        "konbini".into(),
        "komoju".into(),
        provider_ref.into(),
        none.clone(),
        none.clone(),
        none.clone(),
        "JPY".into(),
        1000.into(),
        1000.into(),
        0.into(),
        none,
        1.into(),
        1.into(),
        version.into(),
        "{\"note\":\"日本語\"}".into(),
    ]
}

/// A job that nobody holds.
pub fn job(id: &str, lane: Option<&str>, run_at: i64) -> Vec<Value> {
    vec![
        SHOP.into(),
        id.into(),
        "Tick".into(),
        lane.into(),
        run_at.into(),
        0.into(),
        0.into(),
        "{}".into(),
    ]
}

/// The key of a counter.
pub fn counter(what: &str) -> Vec<Value> {
    vec![
        SHOP.into(),
        what.into(),
        0.into(),
        "captured".into(),
        "JPY".into(),
        0.into(),
    ]
}

/// All rows of a query that must succeed.
pub async fn all(store: &dyn Store, sql: &'static str, params: Vec<Value>) -> Vec<Row> {
    store.query(sql.into(), params).await.expect("the query is right")
}

/// The single integer of a query that must succeed.
pub async fn one_int(store: &dyn Store, sql: &'static str, params: Vec<Value>) -> i64 {
    all(store, sql, params)
        .await
        .first()
        .expect("one row")
        .int(0)
        .expect("an integer")
}
