//! Every table of the hub, as both engines' statements need it. The columns stand in the order of the migrations; a
//! behaviour of the suite compares them with the opened database.

use crate::table::{Column, Kind, Table};

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn index_of(columns: &[Column], name: &str) -> Option<usize> {
    let mut i = 0;
    while i < columns.len() {
        if same(columns[i].name, name) {
            return Some(i);
        }
        i += 1;
    }
    None
}

macro_rules! column {
    ($name:ident int $($null:ident)?) => { column!(@ $name Int $($null)?) };
    ($name:ident text $($null:ident)?) => { column!(@ $name Text $($null)?) };
    ($name:ident blob $($null:ident)?) => { column!(@ $name Blob $($null)?) };
    (@ $name:ident $kind:ident null) => { Column { name: stringify!($name), kind: Kind::$kind, nullable: true } };
    (@ $name:ident $kind:ident) => { Column { name: stringify!($name), kind: Kind::$kind, nullable: false } };
}

macro_rules! table {
    ($(#[$doc:meta])* $id:ident = $name:literal, key $key:literal, version $version:literal, unique $unique:literal;
     $($col:ident $kind:ident $($null:ident)?,)*) => {
        $(#[$doc])*
        pub static $id: Table = {
            const COLUMNS: &[Column] = &[$(column!($col $kind $($null)?)),*];
            Table { name: $name, columns: COLUMNS, key: $key, version: index_of(COLUMNS, $version), unique: $unique }
        };
    };
}

table! {
    /// Directory of shops.
    SHOPS = "shops", key 1, version "version", unique false;
    shop_id text,
    merchant text,
    live int,
    name text,
    version int,
    created_at int,
    body text,
}

table! {
    /// API keys by their hash.
    API_KEYS = "api_keys", key 1, version "version", unique false;
    key_hash blob,
    shop_id text,
    kind text,
    created_at int,
    revoked_at int null,
    hint text,
}

table! {
    /// A shop's credentials at a provider, sealed.
    ACCOUNTS = "accounts", key 2, version "version", unique false;
    shop_id text,
    provider text,
    version int,
    updated_at int,
    sealed blob,
    body text,
}

table! {
    /// Checkouts.
    SESSIONS = "sessions", key 2, version "version", unique false;
    shop_id text,
    id text,
    status text,
    mode text,
    version int,
    created_at int,
    expires_at int,
    completed_at int null,
    body text,
}

table! {
    /// Payments.
    PAYMENTS = "payments", key 2, version "version", unique true;
    shop_id text,
    id text,
    status text,
    method text,
    provider text,
    provider_ref text null,
    session_id text null,
    customer_id text null,
    order_number text null,
    currency text,
    amount int,
    total int,
    refunded int,
    deadline_at int null,
    created_at int,
    updated_at int,
    version int,
    body text,
}

table! {
    /// Operations sent to a provider.
    ATTEMPTS = "attempts", key 3, version "version", unique false;
    shop_id text,
    payment_id text,
    n int,
    operation text,
    provider text,
    status text,
    created_at int,
    settled_at int null,
    version int,
    body text,
}

table! {
    /// Events we owe (outbox).
    EVENTS = "events", key 2, version "version", unique true;
    shop_id text,
    id text,
    subject_id text,
    seq int,
    kind text,
    created_at int,
    reason text null,
    data text,
}

table! {
    /// Order numbers in use, one owner each.
    ORDER_NUMBERS = "order_numbers", key 2, version "version", unique false;
    shop_id text,
    number text,
    owner_id text,
    created_at int,
}

table! {
    /// Merchants' idempotency keys and their answers.
    IDEMPOTENCY = "idempotency", key 2, version "version", unique false;
    shop_id text,
    key_hash blob,
    fingerprint blob,
    state int,
    status int,
    owner_id text null,
    answer_event text null,
    answer text null,
    created_at int,
    version int,
}

table! {
    /// Background jobs; `attempt` is the version.
    JOBS = "jobs", key 2, version "attempt", unique false;
    shop_id text,
    id text,
    kind text,
    lane text null,
    run_at int,
    leased_until int,
    attempt int,
    payload text,
}

table! {
    /// Webhook endpoints of shops.
    ENDPOINTS = "endpoints", key 2, version "version", unique false;
    shop_id text,
    id text,
    url text,
    enabled int,
    version int,
    created_at int,
    sealed blob,
    body text,
}

table! {
    /// An event on its way to an endpoint.
    DELIVERIES = "deliveries", key 3, version "version", unique false;
    shop_id text,
    event_id text,
    endpoint_id text,
    id text,
    status text,
    tries int,
    next_at int null,
    last_status int null,
    created_at int,
    updated_at int,
    version int,
    body text,
}

table! {
    /// Notifications taken in, as they came.
    INBOX = "inbox", key 2, version "version", unique true;
    shop_id text,
    id text,
    provider text,
    dedupe blob,
    status text,
    payment_id text null,
    received_at int,
    version int,
    raw blob,
    body text,
}

table! {
    /// Members of a shop.
    CUSTOMERS = "customers", key 2, version "version", unique false;
    shop_id text,
    id text,
    email text null,
    created_at int,
    deleted_at int null,
    version int,
    sealed blob null,
    body text,
}

table! {
    /// Stored cards, provider links and one-time tokens.
    TOKENS = "tokens", key 2, version "version", unique false;
    shop_id text,
    id text,
    kind text,
    created_at int,
    expires_at int,
    used_at int null,
    version int,
    sealed blob,
    body text,
}

table! {
    /// The ledger: every change sums to zero.
    POSTINGS = "postings", key 3, version "version", unique false;
    shop_id text,
    payment_id text,
    n int,
    account text,
    amount int,
    currency text,
    at int,
}

table! {
    /// Two books disagree and a person must see it.
    DISCREPANCIES = "discrepancies", key 3, version "version", unique false;
    shop_id text,
    payment_id text,
    kind text,
    id text,
    status text,
    created_at int,
    settled_at int null,
    version int,
    body text,
}

table! {
    /// Audit: who did what.
    ACTS = "acts", key 2, version "version", unique false;
    shop_id text,
    id text,
    who text,
    what text,
    subject_id text,
    at int,
    body text,
}

table! {
    /// Counters; `n` is only ever added to.
    COUNTS = "counts", key 6, version "version", unique false;
    shop_id text,
    what text,
    bucket int,
    status text,
    currency text,
    slot int,
    n int,
}

table! {
    /// How many pieces of a thing a shop sells are where.
    STOCK = "stock", key 3, version "version", unique false;
    shop_id text,
    sku text,
    place text,
    n int,
}

table! {
    /// Settings of the hub itself.
    SETTINGS = "settings", key 1, version "version", unique false;
    name text,
    value text,
    version int,
}

table! {
    /// Runs that compare a shop's payments with one provider's books.
    RECONCILIATIONS = "reconciliations", key 3, version "version", unique false;
    shop_id text,
    provider text,
    id text,
    status text,
    started_at int,
    updated_at int,
    version int,
    body text,
}

/// All of them, in the order of the migrations (for checks, and for moving a database from one store to the other).
pub static ALL: &[&Table] = &[
    &SHOPS,
    &API_KEYS,
    &ACCOUNTS,
    &SESSIONS,
    &PAYMENTS,
    &ATTEMPTS,
    &EVENTS,
    &ORDER_NUMBERS,
    &IDEMPOTENCY,
    &JOBS,
    &ENDPOINTS,
    &DELIVERIES,
    &INBOX,
    &CUSTOMERS,
    &TOKENS,
    &POSTINGS,
    &DISCREPANCIES,
    &ACTS,
    &COUNTS,
    &SETTINGS,
    &RECONCILIATIONS,
    &STOCK,
];
