//! What must hold once the weather is clear and time has passed: both books agree, everything owed was delivered, nothing waits.
use crate::checks::{Known, rank};
use crate::world::{World, lock};
use std::collections::{BTreeMap, BTreeSet};

/// What a sandbox's ledger says of one payment.
#[derive(Clone, Debug, Default)]
struct Theirs {
    number: String,
    authorized: i64,
    captured: i64,
    refunded: i64,
    let_go: i64,
    refunds: u64,
}

impl World {
    pub(crate) fn final_checks(&mut self) {
        self.life_ends();
        self.nothing_waits();
        self.books_agree();
        self.stock_agrees();
        self.events_were_delivered();
        self.discrepancies_are_explained();
    }

    fn nothing_waits(&self) {
        for (sql, what) in [
            (
                "SELECT payment_id || '_' || n || ' ' || status FROM attempts WHERE status IN ('intended', 'unknown')",
                "an attempt is not settled",
            ),
            (
                "SELECT j.id || ' ' || j.kind FROM jobs j WHERE j.shop_id <> 'hub' AND NOT EXISTS (SELECT 1 FROM discrepancies d \
                 WHERE d.shop_id = j.shop_id AND j.id = d.payment_id || 'w' AND d.status = 'open')",
                "a job waits",
            ),
            (
                "SELECT id || ' ' || body FROM inbox WHERE status = 'new'",
                "a notification was not processed",
            ),
            (
                "SELECT p.id || ' ' || p.status FROM payments p WHERE p.status IN ('pending', 'authorized') AND NOT EXISTS (SELECT 1 \
                 FROM discrepancies d WHERE d.shop_id = p.shop_id AND p.id = d.payment_id AND d.status = 'open')",
                "a payment is open for ever and nobody was told",
            ),
            (
                "SELECT owner_id FROM idempotency WHERE state = 0",
                "an idempotency key runs for ever, of payment",
            ),
            (
                "SELECT id FROM payments WHERE body LIKE '%\"in_flight\":{%'",
                "an operation is in flight for ever, of payment",
            ),
        ] {
            for row in self.database.look(sql, &[]).expect("the database") {
                self.fail(format!("rest: {what}: {}", row.text(0).unwrap_or_default()));
            }
        }
        let recurring = "SELECT COUNT(*) FROM jobs WHERE shop_id = 'hub'";
        let rows = self.database.look(recurring, &[]).expect("the database");
        if rows[0].int(0).ok() != Some(3) {
            self.fail("rest: a recurring job of the hub is gone".to_owned());
        }
    }

    fn stock_agrees(&self) {
        let mut found = std::collections::BTreeMap::new();
        let sql = "SELECT shop_id, sku, place, n FROM stock";
        for row in self.database.look(sql, &[]).expect("the database") {
            let text = |at: usize| row.text(at).unwrap_or_default().to_owned();
            found.insert((text(0), text(1), text(2)), row.int(3).unwrap_or(i64::MIN));
        }
        let checks = lock(&self.checks);
        let (unclaimed, same) = (checks.shelves.unclaimed(), checks.shelves.spots == found);
        drop(checks);
        for broken in unclaimed {
            self.fail(broken);
        }
        if !same {
            self.fail(format!(
                "stock: the shelves hold {found:?}, which no commits made"
            ));
        }
    }

    fn theirs(&self, shop: usize) -> BTreeMap<String, Theirs> {
        let mut all: BTreeMap<String, Theirs> = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = self.control(shop, &format!("charges?limit=5000&after={after}"), Vec::new());
            let Some(page) = page else { break };
            for row in page["data"].as_array().into_iter().flatten() {
                let id = row["payment"].as_str().unwrap_or_default();
                let theirs = all.entry(id.to_owned()).or_default();
                theirs.number = row["number"].as_str().unwrap_or_default().to_owned();
                let amount = row["amount"].as_i64().unwrap_or(0);
                match row["what"].as_str().unwrap_or_default() {
                    "authorize" => theirs.authorized += amount,
                    "capture" => theirs.captured += amount,
                    "refund" => {
                        theirs.refunded -= amount;
                        theirs.refunds += 1;
                    }
                    _ => theirs.let_go -= amount,
                }
                // A slip paid with another amount is the one thing that is captured beyond what was authorized.
                let planted = theirs
                    .number
                    .split('_')
                    .next()
                    .is_some_and(|id| self.planted.contains_key(id));
                if theirs.refunded > theirs.captured || (theirs.captured > theirs.authorized && !planted) {
                    self.fail(format!("provider: {id}: {theirs:?}"));
                }
            }
            match page["next"].as_i64() {
                Some(next) => after = next,
                None => break,
            }
        }
        all
    }

    fn books_agree(&self) {
        let payments = lock(&self.checks).payments.clone();
        let doubted: BTreeSet<String> = lock(&self.checks)
            .discrepancies
            .keys()
            .map(|(id, _)| id.clone())
            .collect();
        let mut paid: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut under_key: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
        let wishes = lock(&self.checks).refund_wishes.clone();
        for shop in 0..self.shops.len() {
            for (reference, theirs) in self.theirs(shop) {
                let id = theirs.number.split('_').next().unwrap_or_default();
                let Some(ours) = payments.get(id) else {
                    self.fail(format!(
                        "books: the provider has {reference} ({theirs:?}), which is nobody's"
                    ));
                    continue;
                };
                if !seen.insert(id.to_owned()) {
                    self.fail(format!("books: the provider has two payments for {id}"));
                }
                if let Some(key) = &ours.key {
                    under_key
                        .entry((shop, key.clone()))
                        .or_default()
                        .push(id.to_owned());
                }
                let asked = wishes.get(id).copied().unwrap_or(0);
                if theirs.refunds > asked {
                    self.fail(format!(
                        "one key, one effect: {id}: {asked} refunds were asked for and {} made",
                        theirs.refunds
                    ));
                }
                let kept = theirs.captured - theirs.refunded;
                if let Some(order) = &ours.order
                    && kept > 0
                {
                    paid.entry((shop, order.clone())).or_default().push(id.to_owned());
                }
                self.compare(id, ours, &theirs, doubted.contains(id));
            }
        }
        for (id, ours) in &payments {
            if ours.captured > 0 && !seen.contains(id) {
                self.fail(format!(
                    "books: {id} is captured here and the provider knows nothing of it"
                ));
            }
            if rank(&ours.status) < ours.told.0 || ours.refunded < ours.told.1 {
                self.fail(format!(
                    "acknowledged: {id} was told {:?} and is {}",
                    ours.told, ours.status
                ));
            }
        }
        for ((_, key), ids) in under_key {
            if ids.len() > 1 {
                self.fail(format!("one key, one effect: {key} made {ids:?} at the provider"));
            }
        }
        for ((_, order), ids) in paid {
            if ids.len() > 1 {
                self.fail(format!("one live payment: {order} was paid by {ids:?}"));
            }
        }
    }

    fn compare(&self, id: &str, ours: &Known, theirs: &Theirs, doubted: bool) {
        let held = theirs.authorized - theirs.captured - theirs.let_go;
        if held > 0 && rank(&ours.status) >= 2 {
            self.fail(format!(
                "books: {id} is {} and {held} is still held at the provider",
                ours.status
            ));
        }
        if doubted {
            return;
        }
        if (ours.captured, ours.refunded) != (theirs.captured, theirs.refunded) {
            self.fail(format!(
                "books: {id} ({}): captured {} and refunded {} here, {} and {} there",
                ours.status, ours.captured, ours.refunded, theirs.captured, theirs.refunded
            ));
        }
    }

    fn events_were_delivered(&self) {
        let events = lock(&self.checks).events.clone();
        let payments = lock(&self.checks).payments.clone();
        let sql = "SELECT d.event_id, e.url, d.status FROM deliveries d JOIN endpoints e ON e.shop_id = d.shop_id AND e.id = d.endpoint_id";
        let mut states = BTreeMap::new();
        for row in self.database.look(sql, &[]).expect("the database") {
            let (event, url, status) = (row.text(0), row.text(1), row.text(2));
            if let (Ok(event), Ok(url), Ok(status)) = (event, url, status) {
                states.insert((url.to_owned(), event.to_owned()), status.to_owned());
            }
        }
        for (event, (subject, seq)) in &events {
            let Some(payment) = payments.get(subject) else {
                continue;
            };
            let Some(shop) = self.shops.iter().find(|shop| shop.facts.id == payment.shop) else {
                continue;
            };
            for url in &shop.endpoints {
                let place = (url.clone(), event.clone());
                let arrived = self.delivered.contains_key(&place);
                match states.get(&place).map(String::as_str) {
                    Some("delivered") if arrived => {}
                    Some("dead") => {}
                    state => self.fail(format!(
                        "webhooks: event {seq} of {subject} for {url}: {state:?}, arrived: {arrived}"
                    )),
                }
            }
        }
    }

    fn discrepancies_are_explained(&self) {
        let found = lock(&self.checks).discrepancies.clone();
        for ((about, kind), body) in &found {
            if self.planted.get(about) != Some(&kind.as_str()) {
                self.fail(format!("discrepancy: {kind} about {about} has no cause: {body}"));
            }
        }
        for (about, kind) in &self.planted {
            if !found.contains_key(&(about.clone(), (*kind).to_owned())) {
                self.fail(format!(
                    "discrepancy: {kind} about {about} was planted and is not reported"
                ));
            }
        }
    }
}
