-- Each row is written twice within milliseconds, when a request begins and when it is answered. With room in its page the second write
-- touches no index.
ALTER TABLE idempotency SET (fillfactor = 45);
