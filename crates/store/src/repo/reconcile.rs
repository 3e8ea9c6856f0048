//! What a reconciliation asks: which payments to compare with a provider's books, in pages that a cursor walks through.
use super::{DiscrepancyRow, rows};
use crate::{Row, Store, StoreError, Value};

rows! {
    /// A run that compares a shop's payments with one provider's books.
    ReconciliationRow = RECONCILIATIONS {
        shop_id: Box<str>, provider: Box<str>, id: Box<str>, status: Box<str>, started_at: i64, updated_at: i64,
        version: i64, body: Box<str>,
    }
}

/// One part of what is compared. The parts do not overlap while nothing changes, and each is walked through in the order of its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// Made before the span, and a shopper is still on the way.
    Pending,
    /// Made before the span, and still authorized.
    Authorized,
    /// Made before the span, closed or captured, without an event in it, but with an operation whose end is not known.
    Unsettled,
    /// Made before the span, closed or captured, and with an event in it.
    Changed,
    /// Made in the span.
    Recent,
}

impl Slice {
    /// All of them, in the order they are walked through: a payment that moves on meanwhile is met
    /// again, or by the next run: never missed by both.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Authorized,
        Self::Unsettled,
        Self::Changed,
        Self::Recent,
    ];

    /// `$1` shop, `$2` provider, `$3` and `$4` the span's first id and the id it ends before, `$5` cursor, `$6` how many.
    /// Cursor and payment.
    pub const fn sql(self) -> &'static str {
        match self {
            // Said as a span of the index on status and id, or SQLite takes the way over every payment of the shop.
            Self::Pending => {
                "SELECT id,id AS payment FROM payments WHERE shop_id=$1 AND (status,id)>('pending',$5) AND (status,id)<('pending',$3) \
                 AND provider=$2 AND $4<>'' ORDER BY status,id LIMIT $6"
            }
            Self::Authorized => {
                "SELECT id,id AS payment FROM payments WHERE shop_id=$1 AND (status,id)>('authorized',$5) \
                 AND (status,id)<('authorized',$3) AND provider=$2 AND $4<>'' ORDER BY status,id LIMIT $6"
            }
            // The index of open attempts is partial: its own words must stand in the question. What it finds is few, and taken first:
            // without CROSS, SQLite goes over every payment of the shop and looks it up among the few.
            Self::Unsettled => {
                "SELECT DISTINCT a.payment_id AS id,a.payment_id AS payment FROM (SELECT payment_id FROM attempts WHERE shop_id=$1 \
                 AND status IN ('intended', 'unknown', 'pending') AND status<>'pending' LIMIT 1000000) AS a \
                 CROSS JOIN payments p WHERE p.shop_id=$1 AND p.id=a.payment_id AND p.provider=$2 AND a.payment_id<$3 AND a.payment_id>$5 \
                 AND $4<>'' AND p.status NOT IN ('pending','authorized') AND COALESCE((SELECT e.id FROM events e WHERE e.shop_id=$1 \
                 AND e.subject_id=a.payment_id ORDER BY e.seq DESC LIMIT 1),'')<$3 ORDER BY a.payment_id LIMIT $6"
            }
            // A payment's first event in the span stands for it: the one before it, when there is one, came earlier.
            Self::Changed => {
                "SELECT e.id,e.subject_id AS payment FROM events e JOIN payments p ON p.shop_id=e.shop_id AND p.id=e.subject_id \
                 WHERE e.shop_id=$1 AND e.id>=$3 AND e.id<$4 AND e.id>$5 AND e.subject_id<$3 AND p.provider=$2 \
                 AND p.status NOT IN ('pending','authorized') AND NOT EXISTS (SELECT 1 FROM events b WHERE b.shop_id=$1 \
                 AND b.subject_id=e.subject_id AND b.seq=e.seq-1 AND b.id>=$3) ORDER BY e.id LIMIT $6"
            }
            Self::Recent => {
                "SELECT id,id AS payment FROM payments WHERE shop_id=$1 AND provider=$2 AND id>=$3 AND id<$4 AND id>$5 \
                 ORDER BY id LIMIT $6"
            }
        }
    }
}

/// Whose payments are compared with whom, and which of them count as recent.
#[derive(Debug, Clone, Copy)]
pub struct Compare<'a> {
    /// The shop.
    pub shop: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// The span's first id.
    pub from_id: &'a str,
    /// The id the span ends before.
    pub until_id: &'a str,
}

impl Compare<'_> {
    fn params(&self, after: &str, limit: i64) -> Vec<Value> {
        vec![
            self.shop.into(),
            self.provider.into(),
            self.from_id.into(),
            self.until_id.into(),
            after.into(),
            limit.into(),
        ]
    }
}

/// The next payments of a slice after a cursor, which is empty at the beginning: the cursor of each and its id.
pub async fn to_compare(
    store: &dyn Store,
    compare: &Compare<'_>,
    slice: Slice,
    after: &str,
    limit: i64,
) -> Result<Vec<(Box<str>, Box<str>)>, StoreError> {
    let rows = store
        .query(slice.sql().into(), compare.params(after, limit))
        .await?;
    rows.into_iter()
        .map(|mut row| Ok((row.take_text(0)?, row.take_text(1)?)))
        .collect()
}

/// How many payments all slices hold, each counted up to a million.
pub async fn count_to_compare(store: &dyn Store, compare: &Compare<'_>) -> Result<i64, StoreError> {
    let mut count = 0;
    for slice in Slice::ALL {
        let sql = format!("SELECT COUNT(*) FROM ({}) AS s", slice.sql());
        let rows = store.query(sql.into(), compare.params("", 1_000_000)).await?;
        count += rows.first().map_or(Ok(0), |row| row.int(0))?;
    }
    Ok(count)
}

fn reconciliation_rows(rows: Vec<Row>) -> Result<Vec<ReconciliationRow>, StoreError> {
    rows.into_iter().map(ReconciliationRow::from_row).collect()
}

/// One run.
pub async fn reconciliation(
    store: &dyn Store,
    shop: &str,
    provider: &str,
    id: &str,
) -> Result<Option<ReconciliationRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM reconciliations WHERE shop_id=$1 AND provider=$2 AND id=$3",
        ReconciliationRow::COLUMNS
    );
    let params = vec![shop.into(), provider.into(), id.into()];
    Ok(reconciliation_rows(store.query(sql.into(), params).await?)?.pop())
}

/// A shop's runs with one provider, newest first.
pub async fn reconciliations(
    store: &dyn Store,
    shop: &str,
    provider: &str,
    limit: i64,
) -> Result<Vec<ReconciliationRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM reconciliations WHERE shop_id=$1 AND provider=$2 ORDER BY id DESC LIMIT $3",
        ReconciliationRow::COLUMNS
    );
    let params = vec![shop.into(), provider.into(), limit.into()];
    reconciliation_rows(store.query(sql.into(), params).await?)
}

/// Runs below an id, for taking them away.
pub async fn reconciliations_below(
    store: &dyn Store,
    shop: &str,
    provider: &str,
    id: &str,
    limit: i64,
) -> Result<Vec<Box<str>>, StoreError> {
    const SQL: &str =
        "SELECT id FROM reconciliations WHERE shop_id=$1 AND provider=$2 AND id<$3 ORDER BY id LIMIT $4";
    let params = vec![shop.into(), provider.into(), id.into(), limit.into()];
    let rows = store.query(SQL.into(), params).await?;
    rows.into_iter().map(|mut row| row.take_text(0)).collect()
}

/// When the account that waits longest for it was last compared as a whole, in microseconds; none when none ever was.
pub async fn last_reconciled_everywhere(store: &dyn Store) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT MIN(last) FROM (SELECT MAX(started_at) AS last FROM reconciliations WHERE status='done' \
                       GROUP BY shop_id,provider) AS r";
    let rows = store.query(SQL.into(), vec![]).await?;
    rows.first().map_or(Ok(None), |row| row.opt_int(0))
}

/// Shops and the providers they have accounts at, after such a pair.
pub async fn accounts_after(
    store: &dyn Store,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<(Box<str>, Box<str>)>, StoreError> {
    const SQL: &str = "SELECT shop_id,provider FROM accounts WHERE (shop_id,provider) > ($1,$2) \
                       ORDER BY shop_id,provider LIMIT $3";
    let params = vec![after.0.into(), after.1.into(), limit.into()];
    let rows = store.query(SQL.into(), params).await?;
    rows.into_iter()
        .map(|mut row| Ok((row.take_text(0)?, row.take_text(1)?)))
        .collect()
}

/// The discrepancy of one kind about one payment, open or settled.
pub async fn discrepancy(
    store: &dyn Store,
    shop: &str,
    payment: &str,
    kind: &str,
) -> Result<Option<DiscrepancyRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM discrepancies WHERE shop_id=$1 AND payment_id=$2 AND kind=$3",
        DiscrepancyRow::COLUMNS
    );
    let params = vec![shop.into(), payment.into(), kind.into()];
    let rows = store.query(sql.into(), params).await?;
    rows.into_iter().next().map(DiscrepancyRow::from_row).transpose()
}

/// Whether a job of a shop stands in the queue, with an id from the first up to but not including the second.
pub async fn job_stands(store: &dyn Store, shop: &str, ids: (&str, &str)) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM jobs WHERE shop_id=$1 AND id>=$2 AND id<$3 LIMIT 1";
    let params = vec![shop.into(), ids.0.into(), ids.1.into()];
    Ok(!store.query(SQL.into(), params).await?.is_empty())
}
