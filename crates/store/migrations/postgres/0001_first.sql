-- Times are microseconds since 1970; body is JSON. Text that is compared or sorted is COLLATE "C", so that both stores sort alike.

-- Directory of shops.
CREATE TABLE shops (
    shop_id TEXT COLLATE "C" NOT NULL,
    merchant TEXT COLLATE "C" NOT NULL,
    live BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id)
);

-- API keys by their hash.
CREATE TABLE api_keys (
    key_hash BYTEA NOT NULL,
    shop_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    hint TEXT NOT NULL,
    PRIMARY KEY (key_hash)
);
CREATE INDEX api_keys_shop ON api_keys (shop_id);

-- A shop's credentials at a provider, sealed.
CREATE TABLE accounts (
    shop_id TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, provider)
);

-- Checkouts.
CREATE TABLE sessions (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    mode TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);

-- Payments.
CREATE TABLE payments (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    provider_ref TEXT COLLATE "C",
    session_id TEXT COLLATE "C",
    customer_id TEXT COLLATE "C",
    order_number TEXT COLLATE "C",
    currency TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    total BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    deadline_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX payments_status ON payments (shop_id, status, id);
CREATE UNIQUE INDEX payments_provider_ref ON payments (shop_id, provider, provider_ref) WHERE provider_ref IS NOT NULL;
CREATE INDEX payments_session ON payments (shop_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX payments_order ON payments (shop_id, order_number) WHERE order_number IS NOT NULL;
CREATE INDEX payments_customer ON payments (shop_id, customer_id) WHERE customer_id IS NOT NULL;

-- Operations sent to a provider.
CREATE TABLE attempts (
    shop_id TEXT COLLATE "C" NOT NULL,
    payment_id TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, payment_id, n)
);
CREATE INDEX attempts_open ON attempts (shop_id, status, created_at) WHERE status IN ('intended', 'unknown', 'pending');

-- Events we owe (outbox).
CREATE TABLE events (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    reason TEXT COLLATE "C",
    data TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE UNIQUE INDEX events_subject ON events (shop_id, subject_id, seq);

-- Order numbers in use, one owner each.
CREATE TABLE order_numbers (
    shop_id TEXT COLLATE "C" NOT NULL,
    number TEXT COLLATE "C" NOT NULL,
    owner_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (shop_id, number)
);

-- Merchants' idempotency keys and their answers.
CREATE TABLE idempotency (
    shop_id TEXT COLLATE "C" NOT NULL,
    key_hash BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL,
    state BIGINT NOT NULL,
    status BIGINT NOT NULL,
    owner_id TEXT COLLATE "C",
    answer_event TEXT COLLATE "C",
    answer TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (shop_id, key_hash)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

-- Background jobs; `attempt` is the version.
CREATE TABLE jobs (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    lane TEXT COLLATE "C",
    run_at BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX jobs_due ON jobs (run_at, id);
CREATE INDEX jobs_lane ON jobs (shop_id, lane, id) WHERE lane IS NOT NULL;

-- Webhook endpoints of shops.
CREATE TABLE endpoints (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    url TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);

-- An event on its way to an endpoint.
CREATE TABLE deliveries (
    shop_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT,
    last_status BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, event_id, endpoint_id)
);
CREATE INDEX deliveries_open ON deliveries (shop_id, status, event_id) WHERE status <> 'delivered';

-- Notifications taken in, as they came.
CREATE TABLE inbox (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    dedupe BYTEA NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    payment_id TEXT COLLATE "C",
    received_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    raw BYTEA NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE UNIQUE INDEX inbox_dedupe ON inbox (shop_id, provider, dedupe);
CREATE INDEX inbox_new ON inbox (shop_id, status, id) WHERE status = 'new';
CREATE INDEX inbox_payment ON inbox (shop_id, payment_id) WHERE payment_id IS NOT NULL;

-- Members of a shop.
CREATE TABLE customers (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version BIGINT NOT NULL,
    sealed BYTEA,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX customers_email ON customers (shop_id, email) WHERE email IS NOT NULL;

-- Stored cards, provider links and one-time tokens.
CREATE TABLE tokens (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX tokens_expires ON tokens (expires_at);

-- The ledger: every change sums to zero.
CREATE TABLE postings (
    shop_id TEXT COLLATE "C" NOT NULL,
    payment_id TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (shop_id, payment_id, n)
);

-- Two books disagree and a person must see it.
CREATE TABLE discrepancies (
    shop_id TEXT COLLATE "C" NOT NULL,
    payment_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, payment_id, kind)
);
CREATE INDEX discrepancies_open ON discrepancies (shop_id, status, id) WHERE status = 'open';

-- Audit: who did what.
CREATE TABLE acts (
    shop_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    who TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (shop_id, id)
);
CREATE INDEX acts_subject ON acts (shop_id, subject_id);

-- Counters; `n` is only ever added to.
CREATE TABLE counts (
    shop_id TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    bucket BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (shop_id, what, bucket, status, currency, slot)
);

-- Settings of the hub itself.
CREATE TABLE settings (
    name TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (name)
);
