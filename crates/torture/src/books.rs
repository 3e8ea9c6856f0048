//! What the hub, its provider's sandbox and the shops remember, laid side by side when all is quiet.
use crate::endpoint::Arrival;
use crate::load::{Order, Shop, Wish};
use anyhow::Context as _;
use futures_util::{StreamExt, stream};
use kessai_store::{Store, Value as Cell};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What was found, and everything that does not agree.
#[derive(Debug, Default)]
pub struct Findings {
    /// Payments of ours, by status.
    pub statuses: BTreeMap<String, usize>,
    /// Attempts, by status.
    pub attempts: BTreeMap<String, usize>,
    /// Yen captured and refunded in the sandbox's books.
    pub money: (i64, i64),
    /// Orders with an acknowledged payment, orders refused for good.
    pub orders: (usize, usize),
    /// Answers asked for again under their key.
    pub replayed: usize,
    /// Events written, events taken by the endpoint, deliveries beyond the first, dead letters.
    pub events: (usize, usize, usize, usize),
    /// Discrepancies a person is to see, by kind.
    pub discrepancies: BTreeMap<String, usize>,
    /// What is wrong, one sentence each.
    pub wrong: Vec<String>,
}

/// Every row of a query, page by page: `sql` orders by its first column and begins behind `$2`.
async fn all(store: &dyn Store, shop: &str, sql: &'static str) -> anyhow::Result<Vec<kessai_store::Row>> {
    const PAGE: usize = 2_000;
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let params = vec![Cell::Text(shop.into()), Cell::Text(after.as_str().into())];
        let page = store.query(Cow::Borrowed(sql), params).await?;
        let full = page.len() == PAGE;
        if let Some(last) = page.last() {
            after = last.text(0)?.to_owned();
        }
        rows.extend(page);
        if !full {
            return Ok(rows);
        }
    }
}

/// One figure.
///
/// # Errors
/// When the store does not answer.
pub async fn figure(store: &dyn Store, sql: &'static str, params: Vec<Cell>) -> anyhow::Result<i64> {
    let rows = store.query(Cow::Borrowed(sql), params).await?;
    Ok(rows.first().context("a row")?.int(0)?)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Ours {
    status: String,
    order: String,
    total: i64,
    refunded: i64,
    events: usize,
    posted: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Theirs {
    payments: usize,
    status: String,
    authorized: i64,
    captured: i64,
    refunded: i64,
    let_go: i64,
}

async fn theirs(shop: &Shop) -> anyhow::Result<BTreeMap<String, Theirs>> {
    let mut books: BTreeMap<String, Theirs> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/sandbox/books?limit=1000&after={after}");
        let (_, text) = shop.get(0, &path).await.context("the sandbox's books")?;
        let page: Value = serde_json::from_str(&text)?;
        for row in page["data"].as_array().context("rows")? {
            let of = |name: &str| row[name].as_i64().unwrap_or(0);
            let number = row["number"].as_str().unwrap_or_default().to_owned();
            let book = books.entry(number).or_default();
            book.payments += 1;
            book.status = row["status"].as_str().unwrap_or_default().to_owned();
            book.authorized += of("authorized");
            book.captured += of("captured");
            book.refunded += of("refunded");
            book.let_go += of("cancelled");
        }
        match page["next"].as_str() {
            Some(next) if !next.is_empty() => after = next.to_owned(),
            _ => return Ok(books),
        }
    }
}

async fn ours(store: &dyn Store, shop: &str, found: &mut Findings) -> anyhow::Result<BTreeMap<String, Ours>> {
    let rows = all(
        store,
        shop,
        "SELECT id, status, order_number, total, refunded FROM payments WHERE shop_id = $1 AND id > $2 ORDER BY id LIMIT 2000",
    )
    .await?;
    let mut payments = BTreeMap::new();
    for row in rows {
        let payment = Ours {
            status: row.text(1)?.to_owned(),
            order: row.opt_text(2)?.unwrap_or_default().to_owned(),
            total: row.int(3)?,
            refunded: row.int(4)?,
            events: 0,
            posted: 0,
        };
        *found.statuses.entry(payment.status.clone()).or_default() += 1;
        payments.insert(row.text(0)?.to_owned(), payment);
    }
    let postings = all(
        store,
        shop,
        "SELECT payment_id, CAST(SUM(amount) AS BIGINT), CAST(SUM(CASE WHEN account = 'provider' THEN amount ELSE 0 END) AS BIGINT) \
         FROM postings WHERE shop_id = $1 AND payment_id > $2 GROUP BY payment_id ORDER BY payment_id LIMIT 2000",
    )
    .await?;
    for row in postings {
        let id = row.text(0)?;
        if row.int(1)? != 0 {
            found
                .wrong
                .push(format!("the postings of {id} sum to {}", row.int(1)?));
        }
        match payments.get_mut(id) {
            Some(payment) => payment.posted = row.int(2)?,
            None => found.wrong.push(format!("postings of {id}, which is no payment")),
        }
    }
    Ok(payments)
}

/// Our books against the sandbox's, payment by payment.
fn compare(ours: &BTreeMap<String, Ours>, theirs: &BTreeMap<String, Theirs>, found: &mut Findings) {
    let mut charged: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, payment) in ours {
        let there = theirs.get(&format!("{id}_1")).cloned().unwrap_or_default();
        found.money.0 += there.captured;
        found.money.1 += there.refunded;
        if there.payments > 1 {
            found
                .wrong
                .push(format!("{id} was sent {} times: {there:?}", there.payments));
        }
        let expected = |authorized, captured, refunded, let_go| Theirs {
            payments: usize::from(authorized > 0),
            status: payment.status.clone(),
            authorized,
            captured,
            refunded,
            let_go,
        };
        let (total, refunded) = (payment.total, payment.refunded);
        // A partial capture lets the rest go; what was set aside is what stands there.
        let asked = there.authorized;
        let fits = match payment.status.as_str() {
            "captured" | "refunded" => {
                there.payments == 1
                    && there.captured == total
                    && there.refunded == refunded
                    && there.status == payment.status
            }
            "authorized" => there == expected(total, 0, 0, 0),
            "pending" => there.status == "pending" && there.captured == 0,
            "cancelled" => there == expected(asked, 0, 0, asked),
            "expired" => there.captured == 0 && there.authorized == there.let_go,
            // Declined, or never arrived.
            "failed" => there.captured == 0 && there.authorized == there.let_go,
            _ => false,
        };
        if !fits {
            found.wrong.push(format!(
                "books disagree about {id}: ours {payment:?}, theirs {there:?}"
            ));
        }
        if payment.posted != there.captured - there.refunded {
            found.wrong.push(format!(
                "the ledger of {id} holds {}, theirs {there:?}",
                payment.posted
            ));
        }
        if there.captured > 0 || there.authorized > there.let_go {
            charged.entry(&payment.order).or_default().push(id);
        }
    }
    for (order, ids) in charged.iter().filter(|(_, ids)| ids.len() > 1) {
        found
            .wrong
            .push(format!("{order} was charged by {} payments: {ids:?}", ids.len()));
    }
    for (number, there) in theirs {
        if !number.strip_suffix("_1").is_some_and(|id| ours.contains_key(id)) {
            found.wrong.push(format!(
                "the sandbox booked {number}, which we do not know: {there:?}"
            ));
        }
    }
}

/// How far along a payment is; a later state never has a smaller number.
fn rank(status: &str) -> u8 {
    match status {
        "pending" => 0,
        "authorized" => 1,
        "captured" => 2,
        _ => 3,
    }
}

/// Everything acknowledged with 2xx is there and says at least that much.
async fn acknowledged(shop: &Shop, orders: &[Order], found: &mut Findings) {
    let looked = stream::iter(orders.iter().filter_map(|order| Some((order, order.payment()?))))
        .map(|(order, id)| async move {
            let now = shop.get(order.n, &format!("/payments/{id}")).await;
            (order, id, now)
        })
        .buffer_unordered(16);
    let looked: Vec<_> = looked.collect().await;
    for (order, id, now) in looked {
        let Some((200, text)) = now else {
            found
                .wrong
                .push(format!("{id} was acknowledged and is gone: {now:?}"));
            continue;
        };
        let now: Value = serde_json::from_str(&text).unwrap_or_default();
        for step in &order.steps {
            let Some((status @ 200..=299, text)) = &step.answer else {
                continue;
            };
            let then: Value = serde_json::from_str(text).unwrap_or_default();
            if matches!(step.wish, Wish::PayAtCounter) {
                if now["status"] != "captured" {
                    found
                        .wrong
                        .push(format!("{id} was paid at the counter and is {}", now["status"]));
                }
                continue;
            }
            let (was, is) = (
                then["status"].as_str().unwrap_or_default(),
                now["status"].as_str().unwrap_or_default(),
            );
            let refunded = |of: &Value| of["amount_refunded"].as_i64().unwrap_or(-1);
            // A payment may end as captured or as something else, but what was said to have ended stays so.
            let kept = rank(is) >= rank(was)
                && (rank(was) < 3 || is == was)
                && (was != "captured" || is != "cancelled");
            if !kept || refunded(&now) < refunded(&then) || then["id"] != now["id"] {
                found.wrong.push(format!(
                    "{id}: acknowledged with {status} as {was}, now {is}: {text} / {now}"
                ));
            }
            if *status == 200 {
                let done = match step.wish {
                    Wish::Create => was != "failed",
                    Wish::Capture(_) => matches!(is, "captured" | "refunded"),
                    Wish::Cancel => is == "cancelled",
                    Wish::Refund(_) => refunded(&then) > 0,
                    Wish::PayAtCounter => true,
                };
                if !done {
                    found.wrong.push(format!(
                        "{id}: {:?} was answered 200 without effect: {text}",
                        step.wish
                    ));
                }
            }
        }
        if now["operation"].is_string() {
            found.wrong.push(format!("{id} still says {}", now["operation"]));
        }
    }
}

/// The same key, the same answer.
async fn replay(shop: &Shop, orders: &[Order], found: &mut Findings) {
    let asked = orders
        .iter()
        .flat_map(|order| (0..order.steps.len()).map(move |s| (order, s)));
    let again = stream::iter(
        asked.filter_map(|(order, s)| Some((order, s, order.request(s)?, order.steps[s].answer.as_ref()?))),
    )
    .map(|(order, s, (path, body), first)| async move {
        let step = &order.steps[s];
        let again = shop.post(order.n + 1, &path, &body, Some(&step.key)).await;
        (step, first, again)
    })
    .buffer_unordered(16);
    let again: Vec<_> = again.collect().await;
    for (step, first, again) in again {
        found.replayed += 1;
        if again.as_ref() != Some(first) {
            found
                .wrong
                .push(format!("{}: first answered {first:?}, again {again:?}", step.key));
        }
        for other in &step.others {
            found
                .wrong
                .push(format!("{}: answered {first:?} and {other:?}", step.key));
        }
    }
}

/// Every event was taken at least once, in order, or is a dead letter that a person sees.
async fn events(
    store: &dyn Store,
    shop: &str,
    payments: &mut BTreeMap<String, Ours>,
    taken: &BTreeMap<String, Arrival>,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let rows = all(
        store,
        shop,
        "SELECT id, subject_id, seq, kind FROM events WHERE shop_id = $1 AND id > $2 AND kind <> 'ping' ORDER BY id LIMIT 2000",
    )
    .await?;
    let dead = all(
        store,
        shop,
        "SELECT event_id FROM deliveries WHERE shop_id = $1 AND event_id > $2 AND status = 'dead' ORDER BY event_id LIMIT 2000",
    )
    .await?;
    let dead: BTreeSet<&str> = dead.iter().filter_map(|row| row.text(0).ok()).collect();
    let mut by_subject: BTreeMap<&str, Vec<(i64, Option<usize>)>> = BTreeMap::new();
    for row in &rows {
        let (id, subject) = (row.text(0)?, row.text(1)?);
        let arrival = taken.get(id);
        if arrival.is_none() && !dead.contains(id) {
            found.wrong.push(format!(
                "event {id} ({} of {subject}) was never delivered",
                row.text(3)?
            ));
        }
        by_subject
            .entry(subject)
            .or_default()
            .push((row.int(2)?, arrival.map(|arrival| arrival.place)));
        if let Some(payment) = payments.get_mut(subject) {
            payment.events += 1;
        }
    }
    for (subject, mut seen) in by_subject {
        seen.sort_unstable();
        if seen
            .iter()
            .map(|(seq, _)| *seq)
            .ne(1..=i64::try_from(seen.len())?)
        {
            found
                .wrong
                .push(format!("the events of {subject} have gaps: {seen:?}"));
        }
        let places: Vec<usize> = seen.iter().filter_map(|(_, place)| *place).collect();
        if !places.is_sorted() {
            found.wrong.push(format!(
                "the events of {subject} first arrived out of order: {seen:?}"
            ));
        }
    }
    for (id, payment) in payments.iter() {
        let least = match payment.status.as_str() {
            "captured" | "authorized" | "failed" | "cancelled" | "expired" => 1,
            "refunded" => 2,
            _ => 0,
        };
        if payment.events < least {
            found.wrong.push(format!(
                "{id} is {} and told only {} events",
                payment.status, payment.events
            ));
        }
    }
    let extra = taken.values().map(|arrival| arrival.times - 1).sum();
    found.events = (
        rows.len(),
        rows.iter()
            .filter(|row| row.text(0).is_ok_and(|id| taken.contains_key(id)))
            .count(),
        extra,
        dead.len(),
    );
    Ok(())
}

async fn tally(store: &dyn Store, shop: &str, sql: &'static str) -> anyhow::Result<BTreeMap<String, usize>> {
    let rows = store
        .query(Cow::Borrowed(sql), vec![Cell::Text(shop.into())])
        .await?;
    rows.iter()
        .map(|row| Ok((row.text(0)?.to_owned(), usize::try_from(row.int(1)?)?)))
        .collect()
}

/// Looks at everything.
///
/// # Errors
/// When books cannot be read at all; what is wrong in them is in the findings.
pub async fn look(
    store: &dyn Store,
    shop_id: &str,
    shop: &Shop,
    orders: &[Order],
    taken: &BTreeMap<String, Arrival>,
) -> anyhow::Result<Findings> {
    let mut found = Findings::default();
    let mut payments = ours(store, shop_id, &mut found).await?;
    compare(&payments, &theirs(shop).await?, &mut found);
    acknowledged(shop, orders, &mut found).await;
    replay(shop, orders, &mut found).await;
    events(store, shop_id, &mut payments, taken, &mut found).await?;
    found.attempts = tally(
        store,
        shop_id,
        "SELECT status, COUNT(*) FROM attempts WHERE shop_id = $1 GROUP BY status ORDER BY status",
    )
    .await?;
    for status in ["intended", "unknown"] {
        if let Some(left) = found.attempts.get(status) {
            found.wrong.push(format!("{left} attempts are still {status}"));
        }
    }
    found.discrepancies = tally(
        store,
        shop_id,
        "SELECT kind, COUNT(*) FROM discrepancies WHERE shop_id = $1 GROUP BY kind ORDER BY kind",
    )
    .await?;
    for (kind, n) in &found.discrepancies {
        found
            .wrong
            .push(format!("{n} discrepancies {kind}, though none was put in"));
    }
    for order in orders {
        match (order.is_over(), order.payment()) {
            (false, _) => found.wrong.push(format!(
                "{} has no final answer yet: {:?}",
                order.number(),
                order.steps
            )),
            (true, Some(_)) => found.orders.0 += 1,
            (true, None) => found.orders.1 += 1,
        }
    }
    Ok(found)
}
