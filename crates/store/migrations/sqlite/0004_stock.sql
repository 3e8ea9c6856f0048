-- How many pieces of a thing a shop sells are where: 'free' to be sold, 'held' for a payment under way, 'sold'. Nobody reads a row to
-- change it: pieces are taken where enough are left and added elsewhere, in one commit.
CREATE TABLE stock (
    shop_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    place TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (shop_id, sku, place)
) STRICT, WITHOUT ROWID;
