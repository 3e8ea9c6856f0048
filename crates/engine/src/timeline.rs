//! A payment's story: each request and reply (masked), notification, event, delivery and act, oldest first. Support starts here.
use crate::Engine;
use crate::directory::Shop;
use crate::inbox::InboxBody;
use crate::model::{Payment, attempt_body};
use crate::outbox::DeliveryBody;
use crate::problem::Problem;
use kessai_core::time::wire_utc;
use kessai_store::repo::{
    self, AttemptRow, DeliveryRow, DiscrepancyRow, EventRow, InboxRow, PostingRow, instant,
};
use serde::Serialize;
use serde_json::{Value, json};

/// Everything that is known about one payment.
pub struct Story {
    /// The payment.
    pub payment: Payment,
    /// Its attempts, first to last.
    pub attempts: Vec<AttemptRow>,
    /// Its events with their deliveries.
    pub events: Vec<(EventRow, Vec<DeliveryRow>)>,
    /// What its provider notified.
    pub notifications: Vec<InboxRow>,
    /// Where books disagree.
    pub discrepancies: Vec<DiscrepancyRow>,
    /// Its ledger.
    pub postings: Vec<PostingRow>,
    /// What people did.
    pub acts: Vec<repo::ActRow>,
}

/// One line of the timeline.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// In microseconds since 1970.
    #[serde(skip)]
    pub at_us: i64,
    /// UTC.
    pub at: String,
    /// `attempt`, `call`, `event`, `delivery`, `notification`, `discrepancy` or `act`.
    pub kind: &'static str,
    /// Who or what.
    pub who: String,
    /// What happened, in a few words.
    pub what: String,
    /// The rest, masked.
    pub details: Value,
}

impl Engine {
    /// Collects a payment's story.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn story(&self, shop: &Shop, id: &str) -> Result<Story, Problem> {
        let store = self.store.as_ref();
        let payment = self.payment(shop, id).await?;
        let mut events = Vec::new();
        for event in repo::events_of(store, &shop.id, id).await? {
            let deliveries = repo::deliveries_of(store, &shop.id, &event.id).await?;
            events.push((event, deliveries));
        }
        Ok(Story {
            payment,
            attempts: repo::attempts(store, &shop.id, id).await?,
            events,
            notifications: repo::inbox_of(store, &shop.id, id).await?,
            discrepancies: repo::discrepancies_of(store, &shop.id, id).await?,
            postings: repo::postings(store, &shop.id, id).await?,
            acts: repo::acts_of(store, &shop.id, id).await?,
        })
    }

    /// The open discrepancies of a shop as a list, newest first, at most 100.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_discrepancies(&self, shop: &Shop) -> Result<String, Problem> {
        let rows = repo::open_discrepancies(self.store.as_ref(), &shop.id, 100).await?;
        let data: Vec<Value> = rows
            .iter()
            .map(|row| {
                let details: Value = serde_json::from_str(&row.body).unwrap_or_default();
                json!({
                    "id": row.id, "resource": "discrepancy", "kind": row.kind, "status": row.status, "payment": row.payment_id,
                    "details": details, "created_at": wire_utc(instant(row.created_at)),
                })
            })
            .collect();
        Ok(json!({"resource": "list", "total": data.len(), "data": data}).to_string())
    }

    /// The story as JSON, oldest first.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn timeline(&self, shop: &Shop, id: &str) -> Result<String, Problem> {
        let story = self.story(shop, id).await?;
        let stock = story.payment.body.stock.as_ref();
        Ok(
            json!({"resource": "timeline", "payment": id, "stock": stock, "data": story.entries()})
                .to_string(),
        )
    }
}

impl Story {
    /// The lines of the timeline, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut add = |at_us: i64, kind, who: &str, what: String, details| {
            entries.push(Entry {
                at_us,
                at: wire_utc(instant(at_us)),
                kind,
                who: who.into(),
                what,
                details,
            });
        };
        for row in &self.attempts {
            let body = attempt_body(row).ok();
            let total = body
                .as_ref()
                .map(|body| body.totals.total().to_string())
                .unwrap_or_default();
            let note = body.as_ref().and_then(|body| body.note.clone());
            let details = json!({"n": row.n, "status": row.status, "note": note,
                                 "inquiries": body.as_ref().map(|body| body.inquiries)});
            add(
                row.created_at,
                "attempt",
                &row.provider,
                format!("{} {total}", row.operation),
                details,
            );
            for exchange in body.iter().flat_map(|body| &body.exchanges) {
                let details =
                    json!({"request": exchange.request, "status": exchange.status, "reply": exchange.reply});
                add(
                    exchange.at_us,
                    "call",
                    &row.provider,
                    exchange.call.to_string(),
                    details,
                );
            }
            if let Some(at) = row.settled_at {
                add(
                    at,
                    "attempt",
                    &row.provider,
                    format!("{} {}", row.operation, row.status),
                    json!({"n": row.n, "note": note}),
                );
            }
        }
        for (event, deliveries) in &self.events {
            let details = json!({"id": event.id, "seq": event.seq, "reason": event.reason});
            add(
                event.created_at,
                "event",
                "kessai",
                event.kind.to_string(),
                details,
            );
            for delivery in deliveries {
                let body: DeliveryBody = serde_json::from_str(&delivery.body).unwrap_or_default();
                let details = json!({
                    "event": event.id, "endpoint": delivery.endpoint_id, "tries": delivery.tries,
                    "last_status": delivery.last_status, "log": body.tries,
                });
                let what = format!("{} {}", event.kind, delivery.status);
                add(delivery.updated_at, "delivery", "kessai", what, details);
            }
        }
        for row in &self.notifications {
            let body: InboxBody = serde_json::from_str(&row.body).unwrap_or_default();
            let details = json!({"id": row.id, "status": row.status, "note": body.note});
            add(
                row.received_at,
                "notification",
                &row.provider,
                body.kind.to_string(),
                details,
            );
        }
        for row in &self.discrepancies {
            let details = serde_json::from_str(&row.body).unwrap_or_default();
            add(
                row.created_at,
                "discrepancy",
                "kessai",
                format!("{} {}", row.kind, row.status),
                details,
            );
        }
        for row in &self.acts {
            let details = serde_json::from_str(&row.body).unwrap_or_default();
            add(row.at, "act", &row.who, row.what.to_string(), details);
        }
        entries.sort_by_key(|entry| entry.at_us);
        entries
    }
}
