-- Runs that compare a shop's payments with one provider's books: where each stands, so that a crash does not begin again.
CREATE TABLE reconciliations (
    shop_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (shop_id, provider, id)
) STRICT;
