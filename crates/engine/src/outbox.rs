//! Webhooks out: events we owe, in order per payment, at least once, for days.
use crate::change::{delivery, delivery_job};
use crate::directory::{Endpoint, Shop};
use crate::problem::Problem;
use crate::{Engine, later, vault, wire};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use kessai_core::{DeliveryId, EventId};
use kessai_jobs::{Backoff, Done, Job, JobError, Lease};
use kessai_provider::transport::{Method, Request, TransportFault};
use kessai_store::repo::{self, DeliveryRow, EventRow, micros};
use kessai_store::{ChangeSet, Commit, Guard, Op, Value, behind};
use serde::{Deserialize, Serialize};

/// The waits after each failed delivery, in seconds: 1 m, 5 m, 30 m, 2 h, 6 h, 12 h, then four days of 24 h.
///
/// Source: docs/providers/komoju.md, "Webhooks" (inferred: nothing is published).
pub const WAITS_S: [i64; 10] = [
    60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400, 86_400, 86_400,
];

/// Delivers one event to one endpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deliver {
    /// Which event.
    pub event: Box<str>,
    /// To whom.
    pub endpoint: Box<str>,
}

/// One try, as kept with its delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Try {
    /// In microseconds.
    pub at: i64,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<str>>,
}

/// What is kept of a delivery besides its columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeliveryBody {
    /// The last twenty tries, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// How often a person had it sent again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replays: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The headers of a delivery: KOMOJU's, and the Standard Webhooks ones beside them.
///
/// Sources: docs/providers/komoju.md, "Webhooks"; the Standard Webhooks specification (message `id.timestamp.body`, HMAC-SHA256,
/// base64 with `v1,`). A secret that begins with `whsec_` is used whole for the first. For the second its rest is decoded as base64 when
/// it is base64, else its bytes are the key.
pub fn headers(secret: &str, id: &str, kind: &str, at: Timestamp, body: &[u8]) -> Vec<(String, String)> {
    let hex_signature = hex::encode(vault::hmac_sha256(secret.as_bytes(), body));
    let seconds = at.as_second();
    let mut signed = format!("{id}.{seconds}.").into_bytes();
    signed.extend(body);
    let rest = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = BASE64.decode(rest).unwrap_or_else(|_| rest.as_bytes().to_vec());
    let standard = BASE64.encode(vault::hmac_sha256(&key, &signed));
    vec![
        ("content-type".into(), "application/json".into()),
        ("user-agent".into(), "Komoju-Webhook".into()),
        ("x-komoju-id".into(), id.into()),
        ("x-komoju-signature".into(), hex_signature),
        ("x-komoju-event".into(), kind.into()),
        ("webhook-id".into(), id.into()),
        ("webhook-timestamp".into(), seconds.to_string()),
        ("webhook-signature".into(), format!("v1,{standard}")),
    ]
}

#[async_trait]
impl Job<Engine> for Deliver {
    const NAME: &'static str = "deliver.v1";
    const BACKOFF: Backoff = Backoff {
        waits_s: &WAITS_S,
        give_up_after: None,
    };

    async fn run(self, engine: &Engine, lease: &Lease) -> Result<Done, JobError> {
        let shop = engine.shop_of_job(&lease.shop).await?;
        engine
            .deliver(&shop, &self.event, &self.endpoint, lease)
            .await
            .map_err(|p| JobError::Retry(p.message.into_owned()))
    }
}

impl Engine {
    /// Adds a delivery of an event for every endpoint that wants it; whether there was any.
    pub(crate) fn owe(&self, shop: &Shop, event: &EventRow, change: &mut ChangeSet) -> bool {
        let mut any = false;
        for endpoint in shop
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.wants(&event.kind))
        {
            self.owe_to(&shop.id, event, &endpoint.id, change);
            any = true;
        }
        any
    }

    pub(crate) fn owe_to(&self, shop: &str, event: &EventRow, endpoint: &str, change: &mut ChangeSet) {
        let now = self.now();
        let id = DeliveryId::new(now, self.entropy.as_ref());
        let row = delivery(shop, event, endpoint, id.as_str().into(), now);
        change.ops.push(Op::Insert(DeliveryRow::TABLE, row.into_values()));
        change.ops.push(delivery_job(shop, event, endpoint, now).op());
    }

    /// A `ping` to one endpoint, written with `change`.
    pub(crate) fn ping(&self, shop: &str, endpoint: &str, change: &mut ChangeSet) {
        let id = EventId::new(self.now(), self.entropy.as_ref());
        let row = EventRow {
            shop_id: shop.into(),
            id: id.as_str().into(),
            // A ping is about its endpoint, and each is its own first.
            subject_id: id.as_str().into(),
            seq: 1,
            kind: "ping".into(),
            created_at: micros(self.now()),
            reason: None,
            data: "{}".into(),
        };
        self.owe_to(shop, &row, endpoint, change);
        change.ops.push(Op::Insert(EventRow::TABLE, row.into_values()));
    }

    async fn deliver(
        &self,
        shop: &Shop,
        event: &str,
        endpoint: &str,
        lease: &Lease,
    ) -> Result<Done, Problem> {
        let store = self.store.as_ref();
        let Some(delivery) = repo::delivery(store, &shop.id, event, endpoint).await? else {
            return Ok(Done::Finished);
        };
        if delivery.status.as_ref() != "pending" {
            return Ok(Done::Finished);
        }
        let Some(event) = repo::event(store, &shop.id, event).await? else {
            return Ok(Done::Finished);
        };
        let target = self.target(shop, endpoint).await?;
        let Some(target) = target.filter(|target| target.enabled) else {
            return self.end_delivery(delivery, "cancelled", None, lease).await;
        };
        let sent = self.post(&target, &delivery, &event).await;
        let tried = Try {
            at: micros(self.now()),
            status: sent.as_ref().ok().copied(),
            error: sent.as_ref().err().map(|cause| cause.as_str().into()),
        };
        let outcome = match &sent {
            Ok(200..=299) => "delivered",
            _ if delivery.tries as usize >= WAITS_S.len() => "dead",
            _ => "retry",
        };
        metrics::counter!("kessai_webhook_deliveries_total", "outcome" => outcome).increment(1);
        if outcome != "retry" {
            if outcome == "dead" {
                tracing::error!(delivery = %delivery.id, event = %event.id, "a webhook was given up; it can be sent again");
            }
            return self.end_delivery(delivery, outcome, Some(tried), lease).await;
        }
        let next = later(self.now(), WAITS_S[delivery.tries as usize]);
        tracing::warn!(delivery = %delivery.id, tries = delivery.tries + 1, status = ?tried.status, "a webhook was not taken");
        let expected = delivery.version;
        let row = DeliveryRow {
            next_at: Some(micros(next)),
            ..self.tried(delivery, Some(tried))
        };
        let guard = Guard::Update {
            table: DeliveryRow::TABLE,
            row: row.into_values(),
            expected,
        };
        let _ = self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops: vec![],
            })
            .await?;
        Ok(Done::Again(next))
    }

    /// The endpoint of a delivery: one of the shop's, or `payment-n` for one that a payment brought along.
    async fn target(&self, shop: &Shop, id: &str) -> Result<Option<Endpoint>, Problem> {
        let Some((payment, n)) = id.split_once('-') else {
            return Ok(shop
                .endpoints
                .iter()
                .find(|candidate| candidate.id.as_ref() == id)
                .cloned());
        };
        let Some(payment) = self.load(&shop.id, payment).await? else {
            return Ok(None);
        };
        let hook = n.parse().ok().and_then(|n: usize| payment.body.hooks.get(n));
        let opened = hook.and_then(|hook| {
            let sealed = hex::decode(hook.sealed.as_bytes()).ok()?;
            let secret = self
                .vault
                .open(&hook_place(&shop.id, payment.id.as_str()), &sealed)
                .ok()?;
            Some(Endpoint {
                id: id.into(),
                url: hook.url.clone(),
                enabled: true,
                events: hook.events.clone(),
                secret,
                version: 1,
                created_at: payment.created_at,
            })
        });
        Ok(opened)
    }

    fn tried(&self, delivery: DeliveryRow, tried: Option<Try>) -> DeliveryRow {
        let mut body: DeliveryBody = serde_json::from_str(&delivery.body).unwrap_or_default();
        let status = tried.as_ref().and_then(|tried| tried.status).map(i64::from);
        let tries = delivery.tries + i64::from(tried.is_some());
        // The first success needs no log: the columns say it all.
        if let Some(tried) =
            tried.filter(|tried| delivery.tries > 0 || !matches!(tried.status, Some(200..=299)))
        {
            body.tries.push(tried);
            if body.tries.len() > 20 {
                body.tries.remove(0);
            }
        }
        DeliveryRow {
            tries,
            last_status: status.or(delivery.last_status),
            updated_at: micros(self.now()),
            version: delivery.version + 1,
            body: serde_json::to_string(&body).expect("plain data").into(),
            ..delivery
        }
    }

    /// Ends a delivery and takes its job away in one commit.
    async fn end_delivery(
        &self,
        delivery: DeliveryRow,
        status: &str,
        tried: Option<Try>,
        lease: &Lease,
    ) -> Result<Done, Problem> {
        let expected = delivery.version;
        let row = DeliveryRow {
            status: status.into(),
            next_at: None,
            ..self.tried(delivery, tried)
        };
        let guards = vec![
            lease.finish(),
            Guard::Update {
                table: DeliveryRow::TABLE,
                row: row.into_values(),
                expected,
            },
        ];
        match self.store.commit(ChangeSet { guards, ops: vec![] }).await? {
            // The next event of the same subject waits for this one.
            Commit::Done => {
                self.wake.notify_one();
                Ok(Done::Included)
            }
            // The lease was lost: whoever holds it delivers again, which at-least-once allows.
            Commit::Refused { .. } => Ok(Done::Included),
        }
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        delivery: &DeliveryRow,
        event: &EventRow,
    ) -> Result<u16, String> {
        let body = Bytes::from(wire::event(event));
        let request = Request {
            method: Method::Post,
            url: endpoint.url.to_string(),
            headers: headers(
                endpoint.secret.expose(),
                &delivery.id,
                &event.kind,
                self.now(),
                &body,
            ),
            body,
            timeout_ms: self.settings.webhook_timeout_ms,
        };
        match self.webhooks.send(request).await {
            Ok(reply) => Ok(reply.status),
            Err(TransportFault::NotSent(cause) | TransportFault::Lost(cause)) => Err(cause),
        }
    }

    /// Has one delivery sent again, whatever became of it.
    ///
    /// # Errors
    /// `not_found`; `conflict` while it is being sent.
    pub async fn replay_delivery(&self, shop: &Shop, event: &str, endpoint: &str) -> Result<(), Problem> {
        let store = self.store.as_ref();
        let delivery = repo::delivery(store, &shop.id, event, endpoint)
            .await?
            .ok_or_else(Problem::not_found)?;
        let event = repo::event(store, &shop.id, event)
            .await?
            .ok_or_else(Problem::not_found)?;
        if self.revive(shop, delivery, &event).await? {
            Ok(())
        } else {
            Err(Problem::new("conflict"))
        }
    }

    /// Has the dead deliveries of a span of events sent again, oldest first, at most 1,000; how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn replay_dead(
        &self,
        shop: &Shop,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<usize, Problem> {
        let (from, until) = (
            kessai_core::id::floor(from),
            kessai_core::id::floor(later(until, 1)),
        );
        let dead = repo::dead_deliveries(self.store.as_ref(), &shop.id, &from, &until, 1_000).await?;
        let mut revived = 0;
        for delivery in dead {
            if let Some(event) = repo::event(self.store.as_ref(), &shop.id, &delivery.event_id).await?
                && self.revive(shop, delivery, &event).await?
            {
                revived += 1;
            }
        }
        Ok(revived)
    }

    async fn revive(&self, shop: &Shop, delivery: DeliveryRow, event: &EventRow) -> Result<bool, Problem> {
        let now = self.now();
        let mut body: DeliveryBody = serde_json::from_str(&delivery.body).unwrap_or_default();
        body.replays += 1;
        let expected = delivery.version;
        let waiting = delivery.status.as_ref() == "pending";
        let endpoint = delivery.endpoint_id.clone();
        let row = DeliveryRow {
            status: "pending".into(),
            tries: 0,
            next_at: Some(micros(now)),
            updated_at: micros(now),
            version: expected + 1,
            body: serde_json::to_string(&body).expect("plain data").into(),
            ..delivery
        };
        let mut guards = vec![Guard::Update {
            table: DeliveryRow::TABLE,
            row: row.into_values(),
            expected,
        }];
        let job = delivery_job(&shop.id, event, &endpoint, now);
        if waiting {
            // Its job stands and waits for its time: it is called now, and those that wait behind it come along.
            let Op::Insert(table, row) = job.op() else {
                unreachable!("a job is inserted")
            };
            if let (Value::Text(id), Value::Text(lane)) = (&row[1], &row[3]) {
                guards.extend(behind(self.store.as_ref(), &shop.id, lane, id, micros(now)).await?);
            }
            let done = self
                .store
                .commit(ChangeSet {
                    guards,
                    ops: vec![Op::Update(table, row)],
                })
                .await?
                .is_done();
            self.wake.notify_one();
            return Ok(done);
        }
        guards.push(job.guard());
        let done = self
            .store
            .commit(ChangeSet { guards, ops: vec![] })
            .await?
            .is_done();
        self.wake.notify_one();
        Ok(done)
    }

    /// Deliveries as a list, newest event first: those in one status, or all that were not delivered. `next` goes on from there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_deliveries(
        &self,
        shop: &Shop,
        status: Option<&str>,
        before: Option<&str>,
        limit: i64,
    ) -> Result<String, Problem> {
        let rows = repo::deliveries(self.store.as_ref(), &shop.id, status, before, limit).await?;
        let full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
        let next = rows.last().filter(|_| full).map(|row| row.event_id.clone());
        let at = |micros: i64| kessai_core::time::wire_utc(repo::instant(micros));
        let data: Vec<serde_json::Value> = rows
            .iter()
            .map(|row| {
                let body: DeliveryBody = serde_json::from_str(&row.body).unwrap_or_default();
                serde_json::json!({
                    "id": row.id, "resource": "webhook_delivery", "event_id": row.event_id, "endpoint_id": row.endpoint_id,
                    "status": row.status, "tries": row.tries, "last_status": row.last_status,
                    "next_at": row.next_at.map(at), "created_at": at(row.created_at), "updated_at": at(row.updated_at),
                    "replays": body.replays, "log": body.tries,
                })
            })
            .collect();
        Ok(serde_json::json!({"resource": "list", "data": data, "next": next}).to_string())
    }

    /// `GET /events`, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_events(
        &self,
        shop: &Shop,
        span: (Option<Timestamp>, Option<Timestamp>),
        page: i64,
        per_page: i64,
    ) -> Result<String, Problem> {
        let (from, until) = span_of_ids(span);
        let store = self.store.as_ref();
        let total = repo::count_events(store, &shop.id, (&from, &until)).await?;
        let rows = repo::events(store, &shop.id, (&from, &until), (page - 1) * per_page, per_page).await?;
        Ok(wire::list(
            total,
            page,
            per_page,
            rows.iter().map(wire::event).collect(),
        ))
    }

    /// `GET /events/{id}`.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn show_event(&self, shop: &Shop, id: &str) -> Result<String, Problem> {
        let row = repo::event(self.store.as_ref(), &shop.id, id)
            .await?
            .ok_or_else(Problem::not_found)?;
        Ok(wire::event(&row))
    }
}

/// Where the secret of a payment's own endpoint is sealed for.
pub(crate) fn hook_place(shop: &str, payment: &str) -> String {
    format!("hooks/{shop}/{payment}")
}

/// A span of time as a span of ids: from the first, up to but not including the second.
pub(crate) fn span_of_ids(span: (Option<Timestamp>, Option<Timestamp>)) -> (String, String) {
    let from = span.0.map_or_else(String::new, kessai_core::id::floor);
    let until = span
        .1
        .map_or_else(|| "~".into(), |until| kessai_core::id::floor(later(until, 1)));
    (from, until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_carry_the_signature_of_the_reference_and_the_standard_one() {
        let body = r#"{"id":"x","type":"ping","resource":"event","data":{"名前":"山田"},"created_at":"2026-01-15T03:04:05Z","reason":null}"#;
        assert_eq!(body.len(), 120);
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let headers = headers("whsec_loopback", "d", "ping", at, body.as_bytes());
        let header = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
                .unwrap()
        };
        assert_eq!(
            header("x-komoju-signature"),
            "160da026e7744fcddd5cb0d9dbb6c0c4e7a813ede2069d827f9c5682314dd855"
        );
        assert_eq!(header("webhook-timestamp"), "1614265330");
        assert!(header("webhook-signature").starts_with("v1,"));
    }

    #[test]
    fn the_standard_signature_matches_the_specifications_example() {
        // The example of the Standard Webhooks specification's libraries.
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let secret = ["whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"].concat();
        let headers = headers(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "t",
            at,
            br#"{"test": 2432232314}"#,
        );
        let signature = &headers.iter().find(|(n, _)| n == "webhook-signature").unwrap().1;
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn retries_go_on_for_days() {
        assert!(WAITS_S.iter().sum::<i64>() > 4 * 86_400);
    }
}
