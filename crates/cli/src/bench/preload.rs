//! Fills a store with payments as the hub itself writes them: a few are made through its API, and their rows are copied with new
//! ids and times.
use super::child::HubUnderTest;
use super::load::{Drive, drive};
use super::script::Sale;
use anyhow::Context as _;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use kessai_core::Entropy;
use kessai_core::id::new_text;
use kessai_store::repo::{AttemptRow, EventRow, IdempotencyRow, PaymentRow, PostingRow};
use kessai_store::{ChangeSet, Op, Row, Store, Table, Value, tables};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Payments in one commit.
const BATCH: u64 = 1_000;
/// Commits under way.
const AT_ONCE: usize = 4;
/// The payments are spread over so many hours before now.
const HOURS: i64 = 24 * 60;
/// From how many places ids are taken.
const SAMPLES: i64 = 20;
/// Idempotency rows live for a day.
const KEYS_HOURS: i64 = 24;

/// Makes sales through the hub's API, so that there is something to copy.
///
/// # Errors
/// When none is made.
pub async fn examples(hub: &HubUnderTest) -> anyhow::Result<()> {
    let few = Drive {
        address: hub.address,
        connections: 1,
        warmup: Duration::ZERO,
        measured: Duration::from_millis(300),
        rate: None,
    };
    let made = drive(few, Arc::new(Sale::new(&hub.authorization))).await?;
    anyhow::ensure!(
        made.good > 0,
        "no example payment could be made: {:?}",
        made.troubles
    );
    Ok(())
}

/// The rows of one payment's life, table by table.
struct Life {
    id: String,
    created_at: i64,
    rows: Vec<(&'static Table, Vec<Value>)>,
    reference: String,
    status: String,
    currency: String,
}

async fn rows(
    store: &dyn Store,
    table: &'static Table,
    clause: &str,
    params: Vec<Value>,
) -> anyhow::Result<Vec<(&'static Table, Vec<Value>)>> {
    let sql = format!(
        "SELECT {} FROM {} WHERE {clause}",
        table.column_list(),
        table.name
    );
    let rows = store.query(sql.into(), params).await?;
    Ok(rows
        .into_iter()
        .map(|row: Row| (table, row.into_values()))
        .collect())
}

async fn example(store: &dyn Store, shop: &str) -> anyhow::Result<Life> {
    let newest = rows(
        store,
        PaymentRow::TABLE,
        "shop_id=$1 ORDER BY id DESC LIMIT 1",
        vec![shop.into()],
    )
    .await?;
    let (_, values) = newest.first().context("no payment to copy")?;
    let row = PaymentRow::from_row(Row::new(values.clone()))?;
    let (id, of) = (row.id.to_string(), || vec![shop.into(), row.id.as_ref().into()]);
    let mut all = newest;
    all.extend(rows(store, AttemptRow::TABLE, "shop_id=$1 AND payment_id=$2", of()).await?);
    all.extend(rows(store, EventRow::TABLE, "shop_id=$1 AND subject_id=$2", of()).await?);
    all.extend(rows(store, PostingRow::TABLE, "shop_id=$1 AND payment_id=$2", of()).await?);
    all.extend(rows(store, IdempotencyRow::TABLE, "shop_id=$1 AND owner_id=$2", of()).await?);
    Ok(Life {
        id,
        created_at: row.created_at,
        rows: all,
        reference: row.provider_ref.context("a payment without a reference")?.into(),
        status: row.status.into(),
        currency: row.currency.into(),
    })
}

impl Life {
    /// The same life at another time under other ids.
    fn copy(&self, at: Timestamp, keys: bool, dice: &dyn Entropy, change: &mut ChangeSet) -> String {
        let (id, reference) = (new_text(at, dice), new_text(at, dice));
        let late = at.as_microsecond() - self.created_at;
        let mut events: HashMap<&str, String> = HashMap::new();
        for (table, values) in &self.rows {
            if table.name == "events"
                && let Value::Text(event) = &values[1]
            {
                let next = events
                    .values()
                    .max()
                    .map_or_else(|| new_text(at, dice), |last| kessai_core::id::next_text(last));
                events.insert(event, next);
            }
        }
        for (table, values) in &self.rows {
            if table.name == "idempotency" && !keys {
                continue;
            }
            let mut row = values.clone();
            for (column, value) in table.columns.iter().zip(&mut row) {
                match value {
                    Value::Int(n) if column.name.ends_with("at") => *n += late,
                    Value::Text(text) if events.contains_key(&**text) => {
                        *text = events[&**text].as_str().into()
                    }
                    Value::Text(text) if text.len() >= id.len() && column.name != "shop_id" => {
                        *text = text
                            .replace(&self.id, &id)
                            .replace(&self.reference, &reference)
                            .into();
                    }
                    Value::Blob(bytes) if column.name == "key_hash" => dice.fill(bytes),
                    Value::Null | Value::Int(_) | Value::Text(_) | Value::Blob(_) => {}
                }
            }
            change.ops.push(Op::Insert(table, row));
        }
        id
    }
}

/// Ids of a store that an earlier run filled, some thousands, spread over all; none when it holds fewer than `payments`.
///
/// # Errors
/// When the store cannot be read.
pub async fn filled_before(
    store: &dyn Store,
    shop: &str,
    payments: u64,
) -> anyhow::Result<Option<Vec<String>>> {
    let counted = store
        .query(
            "SELECT CAST(COALESCE(SUM(n),0) AS BIGINT) FROM counts WHERE shop_id=$1 AND what='payments'"
                .into(),
            vec![shop.into()],
        )
        .await?;
    let counted = counted.first().context("a sum")?.int(0)?;
    if u64::try_from(counted).unwrap_or(0) < payments {
        return Ok(None);
    }
    let mut ids = Vec::new();
    for part in 0..SAMPLES {
        let rows = store
            .query(
                "SELECT id FROM payments WHERE shop_id=$1 ORDER BY id LIMIT 1000 OFFSET $2".into(),
                vec![shop.into(), (counted / SAMPLES * part).into()],
            )
            .await?;
        for row in rows {
            ids.push(row.text(0)?.into());
        }
    }
    Ok(Some(ids))
}

/// Writes `payments` lives for a shop; some of their ids, evenly spread.
///
/// # Errors
/// When there is nothing to copy or the store refuses.
pub async fn preload(
    store: &Arc<dyn Store>,
    shop: &str,
    payments: u64,
    progress: &ProgressBar,
) -> anyhow::Result<Vec<String>> {
    use futures_util::StreamExt as _;
    let life = example(store.as_ref(), shop).await?;
    let dice = crate::real::SystemEntropy;
    let end = crate::real_now();
    let step_us = HOURS * 3_600_000_000 / i64::try_from(payments.max(1))?;
    let mut ids = Vec::new();
    let sample = (payments / 50_000).max(1);
    progress.set_length(payments);
    let mut under_way = futures_util::stream::FuturesOrdered::new();
    let mut next = 0;
    while next < payments || !under_way.is_empty() {
        if next < payments && under_way.len() < AT_ONCE {
            let mut change = ChangeSet::new();
            let mut counts: HashMap<i64, i64> = HashMap::new();
            let until = (next + BATCH).min(payments);
            let size = until - next;
            while next < until {
                let back = SignedDuration::from_micros(step_us * i64::try_from(payments - next)?);
                let at = end.saturating_sub(back)?;
                let keys = back < SignedDuration::from_hours(KEYS_HOURS);
                let id = life.copy(at, keys, &dice, &mut change);
                if next % sample == 0 {
                    ids.push(id);
                }
                *counts
                    .entry(at.as_microsecond().div_euclid(3_600_000_000))
                    .or_default() += 1;
                next += 1;
            }
            for (bucket, delta) in counts {
                let (status, currency) = (life.status.as_str().into(), life.currency.as_str().into());
                let key = vec![
                    shop.into(),
                    "payments".into(),
                    bucket.into(),
                    status,
                    currency,
                    0.into(),
                ];
                change.ops.push(Op::Add {
                    table: &tables::COUNTS,
                    key,
                    delta,
                });
            }
            let store = store.clone();
            under_way.push_back(async move { store.commit(change).await.map(|_| size) });
            continue;
        }
        if let Some(done) = under_way.next().await {
            progress.inc(done?);
        }
    }
    Ok(ids)
}
