//! Jobs, events, deliveries, notifications taken in, discrepancies and acts.
use super::rows;
use crate::{Store, StoreError, Value};
use std::borrow::Cow;

rows! {
    /// A durable job.
    JobRow = JOBS {
        shop_id: Box<str>, id: Box<str>, kind: Box<str>, lane: Option<Box<str>>, run_at: i64, leased_until: i64,
        attempt: i64, payload: Box<str>,
    }
    /// Something that happened, as told to the shop.
    EventRow = EVENTS {
        shop_id: Box<str>, id: Box<str>, subject_id: Box<str>, seq: i64, kind: Box<str>, created_at: i64,
        reason: Option<Box<str>>, data: Box<str>,
    }
    /// One event on its way to one endpoint.
    DeliveryRow = DELIVERIES {
        shop_id: Box<str>, event_id: Box<str>, endpoint_id: Box<str>, id: Box<str>, status: Box<str>, tries: i64,
        next_at: Option<i64>, last_status: Option<i64>, created_at: i64, updated_at: i64, version: i64, body: Box<str>,
    }
    /// A notification taken in.
    InboxRow = INBOX {
        shop_id: Box<str>, id: Box<str>, provider: Box<str>, dedupe: Vec<u8>, status: Box<str>,
        payment_id: Option<Box<str>>, received_at: i64, version: i64, raw: Vec<u8>, body: Box<str>,
    }
    /// Two books disagree.
    DiscrepancyRow = DISCREPANCIES {
        shop_id: Box<str>, payment_id: Box<str>, kind: Box<str>, id: Box<str>, status: Box<str>, created_at: i64,
        settled_at: Option<i64>, version: i64, body: Box<str>,
    }
    /// What a person did.
    ActRow = ACTS {
        shop_id: Box<str>, id: Box<str>, who: Box<str>, what: Box<str>, subject_id: Box<str>, at: i64, body: Box<str>,
    }
}

fn select(columns: &str, table: &str, rest: &str) -> Cow<'static, str> {
    format!("SELECT {columns} FROM {table} {rest}").into()
}

/// The event of that id.
pub async fn event(store: &dyn Store, shop: &str, id: &str) -> Result<Option<EventRow>, StoreError> {
    const SQL: &str = "SELECT shop_id,id,subject_id,seq,kind,created_at,reason,data FROM events \
                       WHERE shop_id=$1 AND id=$2";
    store
        .query(SQL.into(), vec![shop.into(), id.into()])
        .await?
        .pop()
        .map(EventRow::from_row)
        .transpose()
}

/// One page of events within a span of ids, newest first.
pub async fn events(
    store: &dyn Store,
    shop: &str,
    span: (&str, &str),
    offset: i64,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let rest = "WHERE shop_id=$1 AND id>=$2 AND id<$3 ORDER BY id DESC LIMIT $4 OFFSET $5";
    let params = vec![
        shop.into(),
        span.0.into(),
        span.1.into(),
        limit.into(),
        offset.into(),
    ];
    let rows = store
        .query(select(EventRow::COLUMNS, "events", rest), params)
        .await?;
    rows.into_iter().map(EventRow::from_row).collect()
}

/// How many events stand within a span of ids.
pub async fn count_events(store: &dyn Store, shop: &str, span: (&str, &str)) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM events WHERE shop_id=$1 AND id>=$2 AND id<$3";
    let rows = store
        .query(SQL.into(), vec![shop.into(), span.0.into(), span.1.into()])
        .await?;
    rows.first().map_or(Ok(0), |row| row.int(0))
}

/// The events of one payment or customer, first to last.
pub async fn events_of(store: &dyn Store, shop: &str, subject: &str) -> Result<Vec<EventRow>, StoreError> {
    let sql = select(
        EventRow::COLUMNS,
        "events",
        "WHERE shop_id=$1 AND subject_id=$2 ORDER BY seq",
    );
    store
        .query(sql, vec![shop.into(), subject.into()])
        .await?
        .into_iter()
        .map(EventRow::from_row)
        .collect()
}

/// One delivery.
pub async fn delivery(
    store: &dyn Store,
    shop: &str,
    event: &str,
    endpoint: &str,
) -> Result<Option<DeliveryRow>, StoreError> {
    let sql = select(
        DeliveryRow::COLUMNS,
        "deliveries",
        "WHERE shop_id=$1 AND event_id=$2 AND endpoint_id=$3",
    );
    let params = vec![shop.into(), event.into(), endpoint.into()];
    store
        .query(sql, params)
        .await?
        .pop()
        .map(DeliveryRow::from_row)
        .transpose()
}

/// The deliveries of one event.
pub async fn deliveries_of(
    store: &dyn Store,
    shop: &str,
    event: &str,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = select(
        DeliveryRow::COLUMNS,
        "deliveries",
        "WHERE shop_id=$1 AND event_id=$2 ORDER BY endpoint_id",
    );
    store
        .query(sql, vec![shop.into(), event.into()])
        .await?
        .into_iter()
        .map(DeliveryRow::from_row)
        .collect()
}

/// Deliveries in one status (any but delivered when none is named), newest first; events before `below`.
pub async fn deliveries(
    store: &dyn Store,
    shop: &str,
    status: Option<&str>,
    below: Option<&str>,
    limit: i64,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut params: Vec<Value> = vec![shop.into(), below.unwrap_or("~").into(), limit.into()];
    let which = match status {
        Some(status) => {
            params.push(status.into());
            "status=$4"
        }
        None => "status <> 'delivered'",
    };
    let rest = format!("WHERE shop_id=$1 AND event_id<$2 AND {which} ORDER BY event_id DESC LIMIT $3");
    let rows = store
        .query(select(DeliveryRow::COLUMNS, "deliveries", &rest), params)
        .await?;
    rows.into_iter().map(DeliveryRow::from_row).collect()
}

/// Dead deliveries of events from one id to another, inclusive, oldest first, at most `limit`.
pub async fn dead_deliveries(
    store: &dyn Store,
    shop: &str,
    from: &str,
    until: &str,
    limit: i64,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let rest =
        "WHERE shop_id=$1 AND status='dead' AND event_id>=$2 AND event_id<=$3 ORDER BY event_id LIMIT $4";
    let params = vec![shop.into(), from.into(), until.into(), limit.into()];
    let rows = store
        .query(select(DeliveryRow::COLUMNS, "deliveries", rest), params)
        .await?;
    rows.into_iter().map(DeliveryRow::from_row).collect()
}

/// One notification taken in.
pub async fn inbox(store: &dyn Store, shop: &str, id: &str) -> Result<Option<InboxRow>, StoreError> {
    let sql = select(InboxRow::COLUMNS, "inbox", "WHERE shop_id=$1 AND id=$2");
    store
        .query(sql, vec![shop.into(), id.into()])
        .await?
        .pop()
        .map(InboxRow::from_row)
        .transpose()
}

/// The notifications about one payment, oldest first, at most 100.
pub async fn inbox_of(store: &dyn Store, shop: &str, payment: &str) -> Result<Vec<InboxRow>, StoreError> {
    let sql = select(
        InboxRow::COLUMNS,
        "inbox",
        "WHERE shop_id=$1 AND payment_id=$2 ORDER BY id LIMIT 100",
    );
    store
        .query(sql, vec![shop.into(), payment.into()])
        .await?
        .into_iter()
        .map(InboxRow::from_row)
        .collect()
}

/// The discrepancies of one payment, oldest first.
pub async fn discrepancies_of(
    store: &dyn Store,
    shop: &str,
    payment: &str,
) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let sql = select(
        DiscrepancyRow::COLUMNS,
        "discrepancies",
        "WHERE shop_id=$1 AND payment_id=$2",
    );
    let rows = store.query(sql, vec![shop.into(), payment.into()]).await?;
    let rows = rows.into_iter().map(DiscrepancyRow::from_row);
    // Few or none, and asked for often: a sort in the database costs more than the rest of the question.
    let mut rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(rows)
}

/// Open discrepancies, newest first.
pub async fn open_discrepancies(
    store: &dyn Store,
    shop: &str,
    limit: i64,
) -> Result<Vec<DiscrepancyRow>, StoreError> {
    let rest = "WHERE shop_id=$1 AND status='open' ORDER BY id DESC LIMIT $2";
    let rows = store.query(
        select(DiscrepancyRow::COLUMNS, "discrepancies", rest),
        vec![shop.into(), limit.into()],
    );
    rows.await?.into_iter().map(DiscrepancyRow::from_row).collect()
}

/// What people did to one subject, oldest first, at most 200.
pub async fn acts_of(store: &dyn Store, shop: &str, subject: &str) -> Result<Vec<ActRow>, StoreError> {
    let sql = select(
        ActRow::COLUMNS,
        "acts",
        "WHERE shop_id=$1 AND subject_id=$2 ORDER BY id LIMIT 200",
    );
    store
        .query(sql, vec![shop.into(), subject.into()])
        .await?
        .into_iter()
        .map(ActRow::from_row)
        .collect()
}

/// How many jobs wait, how many are overdue at `now_us`, and when the oldest was due.
pub async fn job_backlog(store: &dyn Store, now_us: i64) -> Result<(i64, i64, Option<i64>), StoreError> {
    let count = |rows: Vec<crate::Row>| rows.first().map_or(Ok(0), |row| row.int(0));
    let all = count(store.query("SELECT COUNT(*) FROM jobs".into(), vec![]).await?)?;
    let due = count(
        store
            .query(
                "SELECT COUNT(*) FROM jobs WHERE run_at<=$1".into(),
                vec![now_us.into()],
            )
            .await?,
    )?;
    let rows = store.query("SELECT MIN(run_at) FROM jobs".into(), vec![]).await?;
    let oldest = rows.first().map_or(Ok(None), |row| row.opt_int(0))?;
    Ok((all, due, oldest))
}

/// How many attempts are unsettled, and since when the oldest is.
pub async fn unsettled_attempts(store: &dyn Store, shop: &str) -> Result<(i64, Option<i64>), StoreError> {
    const SQL: &str = "SELECT COUNT(*), MIN(created_at) FROM attempts \
                       WHERE shop_id=$1 AND status IN ('intended', 'unknown', 'pending') AND status<>'pending'";
    let rows = store.query(SQL.into(), vec![shop.into()]).await?;
    rows.first()
        .map_or(Ok((0, None)), |row| Ok((row.int(0)?, row.opt_int(1)?)))
}

/// Attempts of all shops that are still only intended and were written down before `before_us`, oldest of each shop first: shop,
/// payment, number.
pub async fn abandoned_attempts(
    store: &dyn Store,
    before_us: i64,
    limit: i64,
) -> Result<Vec<(Box<str>, Box<str>, i64)>, StoreError> {
    // The first condition is the index's own, word for word: SQLite recognises it by that.
    const SQL: &str = "SELECT shop_id,payment_id,n FROM attempts \
                       WHERE status IN ('intended', 'unknown', 'pending') AND status='intended' AND created_at<$1 \
                       ORDER BY shop_id, created_at LIMIT $2";
    let rows = store
        .query(SQL.into(), vec![before_us.into(), limit.into()])
        .await?;
    rows.into_iter()
        .map(|mut row| Ok((row.take_text(0)?, row.take_text(1)?, row.int(2)?)))
        .collect()
}

/// How many attempts are unsettled in all shops, and since when the oldest is.
pub async fn unsettled_everywhere(store: &dyn Store) -> Result<(i64, Option<i64>), StoreError> {
    // The first condition is the index's own, word for word: SQLite recognises it by that.
    const SQL: &str = "SELECT COUNT(*), MIN(created_at) FROM attempts \
                       WHERE status IN ('intended', 'unknown', 'pending') AND status<>'pending'";
    let rows = store.query(SQL.into(), vec![]).await?;
    rows.first()
        .map_or(Ok((0, None)), |row| Ok((row.int(0)?, row.opt_int(1)?)))
}

/// How many discrepancies are open in all shops.
pub async fn discrepancies_everywhere(store: &dyn Store) -> Result<i64, StoreError> {
    let rows = store
        .query(
            "SELECT COUNT(*) FROM discrepancies WHERE status='open'".into(),
            vec![],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| row.int(0))
}

/// How many deliveries were given up in all shops.
pub async fn dead_everywhere(store: &dyn Store) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM deliveries WHERE status <> 'delivered' AND status='dead'";
    let rows = store.query(SQL.into(), vec![]).await?;
    rows.first().map_or(Ok(0), |row| row.int(0))
}
