//! What the back office asks: lists with filters, totals by day, what needs a person. Every question reads a bounded number of rows.
use super::{ActRow, DeliveryRow, DiscrepancyRow, PaymentRow};
use crate::{Row, Store, StoreError, Value};

/// How many rows a sum or a count looks at, at most.
pub const SUMMED_MOST: i64 = 50_000;
/// How many rows a count of what waits looks at, at most.
pub const COUNTED_MOST: i64 = 10_000;

/// Which payments a clerk's list shows; what is absent means any.
#[derive(Debug, Clone, Default)]
pub struct OfficeFilter {
    /// A payment's id, or the beginning of an order number.
    pub q: Option<Box<str>>,
    /// The column's status.
    pub status: Option<&'static str>,
    /// Whether some of the money went back.
    pub refunded: Option<bool>,
    /// Whether an operation has not been answered yet.
    pub unanswered: Option<bool>,
    /// How the body begins.
    pub body_begins: Option<&'static str>,
    /// The method's slug.
    pub method: Option<Box<str>>,
    /// Ids at or above.
    pub from_id: Option<Box<str>>,
    /// Ids below.
    pub below_id: Option<Box<str>>,
}

/// Where a page of a list begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// At the newest row.
    #[default]
    Top,
    /// Right below this row: older ones.
    Below(Box<str>),
    /// Right above this row: newer ones.
    Above(Box<str>),
}

/// A number of things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: i64,
    /// What those in yen add up to.
    pub amount: i64,
    /// When the oldest was made, in microseconds.
    pub oldest_us: Option<i64>,
}

/// The attempts whose end is not known. The index is partial: its own words must stand in the question, or SQLite passes it by.
const OPEN_ATTEMPTS: &str = "shop_id=$1 AND status IN ('intended', 'unknown', 'pending')";

struct Clause {
    sql: String,
    params: Vec<Value>,
}

impl Clause {
    fn new(shop: &str) -> Self {
        Self {
            sql: "WHERE shop_id=$1".into(),
            params: vec![shop.into()],
        }
    }

    fn add(&mut self, text: &str, value: impl Into<Value>) {
        self.params.push(value.into());
        self.sql
            .push_str(&text.replace('?', &format!("${}", self.params.len())));
    }
}

impl OfficeFilter {
    fn clause(&self, shop: &str) -> Clause {
        let mut clause = Clause::new(shop);
        if let Some(q) = &self.q {
            clause.add(
                " AND id IN (SELECT id FROM payments WHERE shop_id=$1 AND id=?",
                q.as_ref(),
            );
            clause.add(
                " UNION SELECT id FROM (SELECT id FROM payments WHERE shop_id=$1 AND order_number>=?",
                q.as_ref(),
            );
            clause.add(" AND order_number<?", format!("{q}\u{10FFFF}"));
            clause.add(" ORDER BY order_number DESC LIMIT ?) AS o)", COUNTED_MOST);
        }
        if let Some(status) = self.status {
            clause.add(" AND status=?", status);
        }
        if let Some(method) = &self.method {
            clause.add(" AND method=?", method.as_ref());
        }
        if let Some(begins) = self.body_begins {
            clause.add(" AND body LIKE ?", format!("{begins}%"));
        }
        if let Some(id) = &self.from_id {
            clause.add(" AND id>=?", id.as_ref());
        }
        if let Some(id) = &self.below_id {
            clause.add(" AND id<?", id.as_ref());
        }
        match self.refunded {
            Some(true) => clause.sql.push_str(" AND refunded>0"),
            Some(false) => clause.sql.push_str(" AND refunded=0"),
            None => {}
        }
        if let Some(unanswered) = self.unanswered {
            let not = if unanswered { "" } else { "NOT " };
            clause.sql.push_str(&format!(
                " AND id {not}IN (SELECT payment_id FROM attempts WHERE {OPEN_ATTEMPTS} AND status<>'pending')"
            ));
        }
        clause
    }
}

/// One page of payments, newest first.
pub async fn office_payments(
    store: &dyn Store,
    shop: &str,
    filter: &OfficeFilter,
    place: &Place,
    limit: i64,
) -> Result<Vec<PaymentRow>, StoreError> {
    let mut clause = filter.clause(shop);
    let order = match place {
        Place::Top => "DESC",
        Place::Below(id) => {
            clause.add(" AND id<?", id.as_ref());
            "DESC"
        }
        Place::Above(id) => {
            clause.add(" AND id>?", id.as_ref());
            "ASC"
        }
    };
    clause.add(&format!(" ORDER BY id {order} LIMIT ?"), limit);
    let sql = format!("SELECT {} FROM payments {}", PaymentRow::COLUMNS, clause.sql);
    let rows = store.query(sql.into(), clause.params).await?;
    let mut rows = rows
        .into_iter()
        .map(PaymentRow::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    if order == "ASC" {
        rows.reverse();
    }
    Ok(rows)
}

/// How many payments a filter matches and what they add up to; the newest [`SUMMED_MOST`] are looked at.
pub async fn office_sums(store: &dyn Store, shop: &str, filter: &OfficeFilter) -> Result<Tally, StoreError> {
    let mut clause = filter.clause(shop);
    clause.add(" ORDER BY id DESC LIMIT ?", SUMMED_MOST);
    let sql = format!(
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN currency='JPY' THEN total ELSE 0 END),0) AS BIGINT), \
         MIN(created_at) FROM (SELECT currency,total,created_at FROM payments {}) AS p",
        clause.sql
    );
    tally(&store.query(sql.into(), clause.params).await?)
}

/// When the payment was made that [`SUMMED_MOST`] newer ones came after; none when there are not as many.
pub async fn payments_reach(store: &dyn Store, shop: &str) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT created_at FROM payments WHERE shop_id=$1 AND id=\
                       (SELECT id FROM payments WHERE shop_id=$1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
    let rows = store
        .query(SQL.into(), vec![shop.into(), SUMMED_MOST.into()])
        .await?;
    rows.first().map(|row| row.int(0)).transpose()
}

/// The payments with an operation whose answer was lost.
pub async fn unknown_attempts(store: &dyn Store, shop: &str) -> Result<Tally, StoreError> {
    let sql = format!(
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN p.currency='JPY' THEN p.total ELSE 0 END),0) AS BIGINT), \
         MIN(a.at) FROM (SELECT payment_id, created_at AS at FROM attempts WHERE {OPEN_ATTEMPTS} AND status='unknown' \
         LIMIT $2) AS a JOIN payments p ON p.shop_id=$1 AND p.id=a.payment_id"
    );
    tally(
        &store
            .query(sql.into(), vec![shop.into(), COUNTED_MOST.into()])
            .await?,
    )
}

/// Authorized payments whose body begins so, with a deadline from one instant up to another.
pub async fn authorized_until(
    store: &dyn Store,
    shop: &str,
    body_begins: &str,
    span_us: (i64, i64),
) -> Result<Tally, StoreError> {
    const SQL: &str = "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN currency='JPY' THEN total ELSE 0 END),0) AS BIGINT), \
                       MIN(created_at) FROM (SELECT currency,total,created_at FROM payments \
                       WHERE shop_id=$1 AND status='authorized' AND body LIKE $2 AND deadline_at>=$3 AND deadline_at<$4 \
                       LIMIT $5) AS p";
    let begins = format!("{body_begins}%");
    let params = vec![
        shop.into(),
        begins.into(),
        span_us.0.into(),
        span_us.1.into(),
        COUNTED_MOST.into(),
    ];
    tally(&store.query(SQL.into(), params).await?)
}

/// The open discrepancies.
pub async fn open_discrepancy_tally(store: &dyn Store, shop: &str) -> Result<Tally, StoreError> {
    const SQL: &str = "SELECT COUNT(*), CAST(0 AS BIGINT), MIN(created_at) FROM (SELECT created_at FROM discrepancies \
                       WHERE shop_id=$1 AND status='open' LIMIT $2) AS d";
    tally(
        &store
            .query(SQL.into(), vec![shop.into(), COUNTED_MOST.into()])
            .await?,
    )
}

fn tally(rows: &[Row]) -> Result<Tally, StoreError> {
    match rows.first() {
        Some(row) => Ok(Tally {
            count: row.int(0)?,
            amount: row.int(1)?,
            oldest_us: row.opt_int(2)?,
        }),
        None => Ok(Tally::default()),
    }
}

/// How many deliveries stand where; each number stops at [`COUNTED_MOST`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryTally {
    /// Not yet tried.
    pub queued: i64,
    /// Tried in vain, to be tried again.
    pub retrying: i64,
    /// Taken.
    pub delivered: i64,
    /// Given up.
    pub dead: i64,
    /// When the oldest that was given up was made, in microseconds.
    pub oldest_dead_us: Option<i64>,
}

/// Counts the deliveries that are still open, and those that were taken when `with_delivered`.
pub async fn delivery_tally(
    store: &dyn Store,
    shop: &str,
    with_delivered: bool,
) -> Result<DeliveryTally, StoreError> {
    // The index of open deliveries finds the keys; SQLite would walk the whole table for more columns than it holds.
    const PENDING: &str = "SELECT CASE WHEN d.tries>0 THEN 1 ELSE 0 END, COUNT(*) FROM \
                           (SELECT shop_id,event_id,endpoint_id FROM deliveries WHERE shop_id=$1 \
                           AND status <> 'delivered' AND status='pending' ORDER BY event_id LIMIT $2) AS o \
                           JOIN deliveries d ON d.shop_id=o.shop_id AND d.event_id=o.event_id \
                           AND d.endpoint_id=o.endpoint_id GROUP BY 1";
    const DEAD: &str = "SELECT COUNT(*), MIN(d.created_at) FROM (SELECT shop_id,event_id,endpoint_id FROM deliveries \
                        WHERE shop_id=$1 AND status <> 'delivered' AND status='dead' ORDER BY event_id LIMIT $2) AS o \
                        JOIN deliveries d ON d.shop_id=o.shop_id AND d.event_id=o.event_id \
                        AND d.endpoint_id=o.endpoint_id";
    const TAKEN: &str = "SELECT COUNT(*) FROM (SELECT status FROM deliveries WHERE shop_id=$1 AND status='delivered' \
                         LIMIT $2) AS d";
    let params = || vec![shop.into(), COUNTED_MOST.into()];
    let mut found = DeliveryTally::default();
    for row in store.query(PENDING.into(), params()).await? {
        match row.int(0)? {
            0 => found.queued = row.int(1)?,
            _ => found.retrying = row.int(1)?,
        }
    }
    if let Some(row) = store.query(DEAD.into(), params()).await?.first() {
        (found.dead, found.oldest_dead_us) = (row.int(0)?, row.opt_int(1)?);
    }
    if with_delivered && let Some(row) = store.query(TAKEN.into(), params()).await?.first() {
        found.delivered = row.int(0)?;
    }
    Ok(found)
}

/// A delivery with the type and the subject of its event.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldDelivery {
    /// The delivery.
    pub row: DeliveryRow,
    /// The event's type.
    pub kind: Box<str>,
    /// The payment or customer the event is about.
    pub subject: Box<str>,
}

/// Where a delivery stands, as the back office sorts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not yet tried.
    Queued,
    /// Tried in vain, to be tried again.
    Retrying,
    /// Taken.
    Delivered,
    /// Given up.
    Dead,
}

impl Standing {
    /// What the index knows of it.
    const fn clause(self) -> &'static str {
        match self {
            Self::Queued | Self::Retrying => " AND status <> 'delivered' AND status='pending'",
            Self::Delivered => " AND status='delivered'",
            Self::Dead => " AND status <> 'delivered' AND status='dead'",
        }
    }

    /// What only the row knows.
    const fn rest(self) -> &'static str {
        match self {
            Self::Queued => " AND d.tries=0",
            Self::Retrying => " AND d.tries>0",
            Self::Delivered | Self::Dead => "",
        }
    }
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only these; all but cancelled ones when absent.
    pub standing: Option<Standing>,
    /// Only events of this type, among the next [`COUNTED_MOST`] deliveries.
    pub kind: Option<Box<str>>,
    /// Only events about this payment or customer.
    pub subject: Option<Box<str>>,
}

/// One page of deliveries, newest event first. A place is `event.endpoint`.
pub async fn office_deliveries(
    store: &dyn Store,
    shop: &str,
    filter: &DeliveryFilter,
    place: &Place,
    limit: i64,
) -> Result<Vec<ToldDelivery>, StoreError> {
    let mut clause = Clause::new(shop);
    clause.sql.push_str(
        filter
            .standing
            .map_or(" AND status <> 'cancelled'", Standing::clause),
    );
    if let Some(subject) = &filter.subject {
        clause.add(
            " AND event_id IN (SELECT id FROM events WHERE shop_id=$1 AND subject_id=?)",
            subject.as_ref(),
        );
    }
    let order = match place {
        Place::Top => "DESC",
        Place::Below(id) | Place::Above(id) => {
            let (event, endpoint) = id.split_once('.').unwrap_or((id, ""));
            let (sign, order) = if matches!(place, Place::Below(_)) {
                ('<', "DESC")
            } else {
                ('>', "ASC")
            };
            clause.add(&format!(" AND (event_id,endpoint_id) {sign} (?"), event);
            clause.add(",?)", endpoint);
            order
        }
    };
    let rest = filter.standing.map_or("", Standing::rest);
    let looked_at = if filter.kind.is_some() || !rest.is_empty() {
        COUNTED_MOST
    } else {
        limit
    };
    clause.add(
        &format!(" ORDER BY event_id {order}, endpoint_id {order} LIMIT ?"),
        looked_at,
    );
    let inner = format!(
        "SELECT shop_id,event_id,endpoint_id FROM deliveries {}",
        clause.sql
    );
    let columns: Vec<String> = DeliveryRow::COLUMNS
        .split(',')
        .map(|column| format!("d.{column}"))
        .collect();
    let mut outer = Clause {
        sql: format!(" WHERE d.shop_id=$1{rest}"),
        params: clause.params,
    };
    if let Some(kind) = &filter.kind {
        outer.add(" AND e.kind=?", kind.as_ref());
    }
    outer.add(
        &format!(" ORDER BY d.event_id {order}, d.endpoint_id {order} LIMIT ?"),
        limit,
    );
    let sql = format!(
        "SELECT {},e.kind,e.subject_id FROM ({inner}) AS o JOIN deliveries d ON d.shop_id=o.shop_id \
         AND d.event_id=o.event_id AND d.endpoint_id=o.endpoint_id \
         JOIN events e ON e.shop_id=d.shop_id AND e.id=d.event_id{}",
        columns.join(","),
        outer.sql
    );
    let mut rows = Vec::new();
    for mut row in store.query(sql.into(), outer.params).await? {
        let (kind, subject) = (row.take_text(columns.len())?, row.take_text(columns.len() + 1)?);
        rows.push(ToldDelivery {
            row: DeliveryRow::from_row(row)?,
            kind,
            subject,
        });
    }
    if order == "ASC" {
        rows.reverse();
    }
    Ok(rows)
}

/// Which deliveries belong to a span of events, from the first id up to but not including the second, oldest first: event, endpoint.
pub async fn deliveries_between(
    store: &dyn Store,
    shop: &str,
    span: (&str, &str),
    limit: i64,
) -> Result<Vec<(Box<str>, Box<str>)>, StoreError> {
    const SQL: &str = "SELECT event_id,endpoint_id FROM deliveries WHERE shop_id=$1 AND event_id>=$2 AND event_id<$3 \
                       AND status <> 'cancelled' ORDER BY event_id, endpoint_id LIMIT $4";
    let params = vec![shop.into(), span.0.into(), span.1.into(), limit.into()];
    let rows = store.query(SQL.into(), params).await?;
    rows.into_iter()
        .map(|mut row| Ok((row.take_text(0)?, row.take_text(1)?)))
        .collect()
}

/// A discrepancy with the provider and the currency of its payment, when that is known here.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldDiscrepancy {
    /// The discrepancy.
    pub row: DiscrepancyRow,
    /// Who moves the payment's money.
    pub provider: Option<Box<str>>,
    /// The payment's currency.
    pub currency: Option<Box<str>>,
}

/// Discrepancies: the open ones, newest first, or those settled last.
pub async fn office_discrepancies(
    store: &dyn Store,
    shop: &str,
    open: bool,
    limit: i64,
) -> Result<Vec<ToldDiscrepancy>, StoreError> {
    let which = if open {
        "status='open' ORDER BY id DESC"
    } else {
        "status <> 'open' ORDER BY settled_at DESC, id DESC"
    };
    let columns: Vec<String> = DiscrepancyRow::COLUMNS
        .split(',')
        .map(|column| format!("d.{column}"))
        .collect();
    let again = if open {
        "d.id DESC"
    } else {
        "d.settled_at DESC, d.id DESC"
    };
    let sql = format!(
        "SELECT {},p.provider,p.currency FROM (SELECT {} FROM discrepancies WHERE shop_id=$1 AND {which} LIMIT $2) AS d \
         LEFT JOIN payments p ON p.shop_id=d.shop_id AND p.id=d.payment_id ORDER BY {again}",
        columns.join(","),
        DiscrepancyRow::COLUMNS
    );
    let mut found = Vec::new();
    for mut row in store.query(sql.into(), vec![shop.into(), limit.into()]).await? {
        let (provider, currency) = (
            row.take_opt_text(columns.len())?,
            row.take_opt_text(columns.len() + 1)?,
        );
        found.push(ToldDiscrepancy {
            row: DiscrepancyRow::from_row(row)?,
            provider,
            currency,
        });
    }
    Ok(found)
}

/// The open discrepancy of that id.
pub async fn open_discrepancy(
    store: &dyn Store,
    shop: &str,
    id: &str,
) -> Result<Option<DiscrepancyRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM discrepancies WHERE shop_id=$1 AND status='open' AND id=$2",
        DiscrepancyRow::COLUMNS
    );
    let rows = store.query(sql.into(), vec![shop.into(), id.into()]).await?;
    rows.into_iter().next().map(DiscrepancyRow::from_row).transpose()
}

/// The act of that id.
pub async fn act(store: &dyn Store, shop: &str, id: &str) -> Result<Option<ActRow>, StoreError> {
    let sql = format!("SELECT {} FROM acts WHERE shop_id=$1 AND id=$2", ActRow::COLUMNS);
    let rows = store.query(sql.into(), vec![shop.into(), id.into()]).await?;
    rows.into_iter().next().map(ActRow::from_row).transpose()
}

/// What the ledger took in on one day of Japan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySum {
    /// Days since 1970 in Japan.
    pub day: i64,
    /// How many postings.
    pub count: i64,
    /// How many yen.
    pub amount: i64,
}

/// What was posted to one side of an account, day by day, since `from_us`. The payments are found by their events of type `kind` from
/// `from_id` on, of which the newest [`SUMMED_MOST`] are looked at: see [`events_reach`].
pub async fn posted_by_day(
    store: &dyn Store,
    shop: &str,
    account: &str,
    kind: &str,
    from: (&str, i64),
) -> Result<Vec<DaySum>, StoreError> {
    const SQL: &str = "SELECT (at + 32400000000) / 86400000000, COUNT(*), CAST(SUM(amount) AS BIGINT) FROM postings \
                       WHERE shop_id=$1 AND account=$2 AND amount>0 AND currency='JPY' AND at>=$3 AND payment_id IN \
                       (SELECT subject_id FROM (SELECT subject_id,kind FROM events WHERE shop_id=$1 AND id>=$4 \
                       ORDER BY id DESC LIMIT $5) AS e WHERE kind=$6) GROUP BY 1 ORDER BY 1";
    let params = vec![
        shop.into(),
        account.into(),
        from.1.into(),
        from.0.into(),
        SUMMED_MOST.into(),
        kind.into(),
    ];
    let rows = store.query(SQL.into(), params).await?;
    rows.iter()
        .map(|row| {
            Ok(DaySum {
                day: row.int(0)?,
                count: row.int(1)?,
                amount: row.int(2)?,
            })
        })
        .collect()
}

/// Since when all events are among the newest [`SUMMED_MOST`] from `from_id` on: none when they all are.
pub async fn events_reach(store: &dyn Store, shop: &str, from_id: &str) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT COUNT(*), MIN(created_at) FROM (SELECT created_at FROM events WHERE shop_id=$1 AND id>=$2 \
                       ORDER BY id DESC LIMIT $3) AS e";
    let rows = store
        .query(SQL.into(), vec![shop.into(), from_id.into(), SUMMED_MOST.into()])
        .await?;
    match rows.first() {
        Some(row) if row.int(0)? >= SUMMED_MOST => row.opt_int(1),
        _ => Ok(None),
    }
}
