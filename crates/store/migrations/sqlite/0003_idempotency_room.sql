-- Nothing to do here: PostgreSQL's pages get room for the second write of a row, SQLite writes in place.
SELECT 1;
