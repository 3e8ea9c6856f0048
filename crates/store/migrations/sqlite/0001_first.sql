-- Times are microseconds since 1970; body is JSON. Rows that may pass 1 KB live in rowid tables with a unique key, because
-- WITHOUT ROWID tables spill them to overflow pages; small ones are WITHOUT ROWID.

-- Directory of shops.
CREATE TABLE shops (
    shop_id TEXT NOT NULL,
    merchant TEXT NOT NULL,
    live INTEGER NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id)
) STRICT;

-- API keys by their hash.
CREATE TABLE api_keys (
    key_hash BLOB NOT NULL,
    shop_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    hint TEXT NOT NULL,
    PRIMARY KEY (key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_shop ON api_keys (shop_id);

-- A shop's credentials at a provider, sealed.
CREATE TABLE accounts (
    shop_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, provider)
) STRICT;

-- Checkouts.
CREATE TABLE sessions (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    mode TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    completed_at INTEGER,
    body TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;

-- Payments.
CREATE TABLE payments (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    method TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_ref TEXT,
    session_id TEXT,
    customer_id TEXT,
    order_number TEXT,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    total INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    deadline_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;
CREATE INDEX payments_status ON payments (shop_id, status, id);
CREATE UNIQUE INDEX payments_provider_ref ON payments (shop_id, provider, provider_ref) WHERE provider_ref IS NOT NULL;
CREATE INDEX payments_session ON payments (shop_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX payments_order ON payments (shop_id, order_number) WHERE order_number IS NOT NULL;
CREATE INDEX payments_customer ON payments (shop_id, customer_id) WHERE customer_id IS NOT NULL;

-- Operations sent to a provider.
CREATE TABLE attempts (
    shop_id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    operation TEXT NOT NULL,
    provider TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, payment_id, n)
) STRICT;
CREATE INDEX attempts_open ON attempts (shop_id, status, created_at) WHERE status IN ('intended', 'unknown', 'pending');

-- Events we owe (outbox).
CREATE TABLE events (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    reason TEXT,
    data TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;
CREATE UNIQUE INDEX events_subject ON events (shop_id, subject_id, seq);

-- Order numbers in use, one owner each.
CREATE TABLE order_numbers (
    shop_id TEXT NOT NULL,
    number TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (shop_id, number)
) STRICT, WITHOUT ROWID;

-- Merchants' idempotency keys and their answers.
CREATE TABLE idempotency (
    shop_id TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    state INTEGER NOT NULL,
    status INTEGER NOT NULL,
    owner_id TEXT,
    answer_event TEXT,
    answer TEXT,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (shop_id, key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_created ON idempotency (created_at);

-- Background jobs; `attempt` is the version.
CREATE TABLE jobs (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT,
    run_at INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_due ON jobs (run_at, id);
CREATE INDEX jobs_lane ON jobs (shop_id, lane, id) WHERE lane IS NOT NULL;

-- Webhook endpoints of shops.
CREATE TABLE endpoints (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;

-- An event on its way to an endpoint.
CREATE TABLE deliveries (
    shop_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_at INTEGER,
    last_status INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, event_id, endpoint_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_open ON deliveries (shop_id, status, event_id) WHERE status <> 'delivered';

-- Notifications taken in, as they came.
CREATE TABLE inbox (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    dedupe BLOB NOT NULL,
    status TEXT NOT NULL,
    payment_id TEXT,
    received_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    raw BLOB NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;
CREATE UNIQUE INDEX inbox_dedupe ON inbox (shop_id, provider, dedupe);
CREATE INDEX inbox_new ON inbox (shop_id, status, id) WHERE status = 'new';
CREATE INDEX inbox_payment ON inbox (shop_id, payment_id) WHERE payment_id IS NOT NULL;

-- Members of a shop.
CREATE TABLE customers (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    email TEXT,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    version INTEGER NOT NULL,
    sealed BLOB,
    body TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;
CREATE INDEX customers_email ON customers (shop_id, email) WHERE email IS NOT NULL;

-- Stored cards, provider links and one-time tokens.
CREATE TABLE tokens (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;
CREATE INDEX tokens_expires ON tokens (expires_at);

-- The ledger: every change sums to zero.
CREATE TABLE postings (
    shop_id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    account TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (shop_id, payment_id, n)
) STRICT, WITHOUT ROWID;

-- Two books disagree and a person must see it.
CREATE TABLE discrepancies (
    shop_id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, payment_id, kind)
) STRICT;
CREATE INDEX discrepancies_open ON discrepancies (shop_id, status, id) WHERE status = 'open';

-- Audit: who did what.
CREATE TABLE acts (
    shop_id TEXT NOT NULL,
    id TEXT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, id)
) STRICT;
CREATE INDEX acts_subject ON acts (shop_id, subject_id);

-- Counters; `n` is only ever added to.
CREATE TABLE counts (
    shop_id TEXT NOT NULL,
    what TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    slot INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (shop_id, what, bucket, status, currency, slot)
) STRICT, WITHOUT ROWID;

-- Settings of the hub itself.
CREATE TABLE settings (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
