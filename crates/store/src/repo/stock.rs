//! What a shop has of which thing.
use crate::{Row, Store, StoreError};

/// What a shop has of one thing, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    /// The stock-keeping unit.
    pub sku: Box<str>,
    /// To be sold.
    pub free: i64,
    /// For payments under way.
    pub held: i64,
    /// Paid for.
    pub sold: i64,
}

impl StockLevel {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            sku: row.text(0)?.into(),
            free: row.int(1)?,
            held: row.int(2)?,
            sold: row.int(3)?,
        })
    }
}

const LEVELS: &str = "SELECT sku,CAST(SUM(CASE WHEN place='free' THEN n ELSE 0 END) AS BIGINT),\
                      CAST(SUM(CASE WHEN place='held' THEN n ELSE 0 END) AS BIGINT),\
                      CAST(SUM(CASE WHEN place='sold' THEN n ELSE 0 END) AS BIGINT) FROM stock WHERE shop_id=$1";

/// What there is of one thing; none when it was never in stock.
pub async fn stock_level(store: &dyn Store, shop: &str, sku: &str) -> Result<Option<StockLevel>, StoreError> {
    let sql = format!("{LEVELS} AND sku=$2 GROUP BY sku");
    let rows = store.query(sql.into(), vec![shop.into(), sku.into()]).await?;
    rows.first().map(StockLevel::from_row).transpose()
}

/// A page of all things in the order of their names, after this one.
pub async fn stock_levels(
    store: &dyn Store,
    shop: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<StockLevel>, StoreError> {
    let sql = format!("{LEVELS} AND sku>$2 GROUP BY sku ORDER BY sku LIMIT $3");
    let params = vec![shop.into(), after.into(), limit.into()];
    store
        .query(sql.into(), params)
        .await?
        .iter()
        .map(StockLevel::from_row)
        .collect()
}
