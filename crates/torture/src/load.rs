//! What shops and shoppers do: each order a few steps, each step under a key of its own, sent to whichever node.
use crate::dice::Dice;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// One thing that is asked of the hub, or done at the counter.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Make the payment.
    Create,
    /// Take the money, or a part of it.
    Capture(Option<i64>),
    /// Give it up.
    Cancel,
    /// Return everything that is left, or a part.
    Refund(Option<i64>),
    /// The shopper pays the slip at the counter.
    PayAtCounter,
}

/// A wish and what became of it.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is asked.
    pub wish: Wish,
    /// Its idempotency key.
    pub key: String,
    /// The first final answer: status and JSON text.
    pub answer: Option<(u16, String)>,
    /// Final answers that differ from the first, though the key was the same.
    pub others: Vec<(u16, String)>,
}

/// One order and its life.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its number.
    pub n: usize,
    /// Its amount in yen.
    pub amount: i64,
    /// By slip; else by card.
    pub slip: bool,
    /// Whether the card is captured at once.
    pub at_once: bool,
    /// What is to happen, in order.
    pub steps: Vec<Step>,
}

impl Order {
    /// The order of this number under this seed.
    pub fn new(seed: u64, n: usize) -> Self {
        let mut dice = Dice::new(seed, 1_000_000 + n as u64);
        let amount = 1_000 + i64::try_from(n).unwrap_or(0);
        let (slip, at_once, rest): (bool, bool, Vec<Wish>) = match dice.below(100) {
            0..40 => (false, true, vec![]),
            40..50 => (false, true, vec![Wish::Refund(None)]),
            50..60 => (
                false,
                true,
                vec![Wish::Refund(Some(300)), Wish::Refund(Some(200))],
            ),
            60..68 => (false, false, vec![]),
            68..78 => (false, false, vec![Wish::Capture(None)]),
            78..83 => (false, false, vec![Wish::Capture(Some(700))]),
            83..91 => (false, false, vec![Wish::Cancel]),
            91..95 => (false, false, vec![Wish::Capture(None), Wish::Refund(None)]),
            _ => (true, true, vec![Wish::PayAtCounter]),
        };
        let wishes = std::iter::once(Wish::Create).chain(rest);
        let steps = wishes.enumerate().map(|(s, wish)| Step {
            wish,
            key: format!("torture-{n}-{s}"),
            answer: None,
            others: vec![],
        });
        Self {
            n,
            amount,
            slip,
            at_once,
            steps: steps.collect(),
        }
    }

    /// The order number shops know it by.
    pub fn number(&self) -> String {
        format!("order-{}", self.n)
    }

    /// The payment's id, once the hub acknowledged it.
    pub fn payment(&self) -> Option<String> {
        let (status, text) = self.steps.first()?.answer.as_ref()?;
        if !(200..300).contains(status) {
            return None;
        }
        let said: Value = serde_json::from_str(text).ok()?;
        said["id"].as_str().map(ToOwned::to_owned)
    }

    /// Whether nothing is left to be asked: every step has its answer, or the payment was refused.
    pub fn is_over(&self) -> bool {
        self.steps.iter().all(|step| step.answer.is_some())
            || self.steps[0].answer.is_some() && self.payment().is_none()
    }

    /// Path and body of a step.
    pub fn request(&self, step: usize) -> Option<(String, Value)> {
        let id = || self.payment();
        Some(match &self.steps[step].wish {
            Wish::Create => ("/payments".to_owned(), self.creation()),
            Wish::Capture(amount) => (format!("/payments/{}/capture", id()?), part(*amount)),
            Wish::Cancel => (format!("/payments/{}/cancel", id()?), json!({})),
            Wish::Refund(amount) => (format!("/payments/{}/refund", id()?), part(*amount)),
            Wish::PayAtCounter => return None,
        })
    }

    fn creation(&self) -> Value {
        let details = if self.slip {
            json!({"type": "konbini", "store": "lawson", "email": "torture@example.com"})
        } else {
            json!({"type": "credit_card", "number": "4111111111111111", "month": 12, "year": 2039,
                   "verification_value": "123", "name": "TORTURE"})
        };
        json!({
            "amount": self.amount, "currency": "JPY", "tax": 0, "capture": self.at_once,
            "external_order_num": self.number(), "payment_details": details,
        })
    }
}

fn part(amount: Option<i64>) -> Value {
    amount.map_or_else(|| json!({}), |amount| json!({"amount": amount, "tax": 0}))
}

/// A status and the text that came with it; nothing when the connection broke.
type Said = Option<(u16, String)>;

/// A shop's program: speaks to any node.
#[derive(Clone)]
pub struct Shop {
    client: reqwest::Client,
    nodes: Arc<[String]>,
    key: Arc<str>,
    sandbox: Arc<str>,
}

impl Shop {
    /// With a secret key, at these nodes, and with its provider's sandbox.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(nodes: Vec<String>, key: &str, sandbox: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            nodes: nodes.into(),
            key: key.into(),
            sandbox: sandbox.into(),
        })
    }

    /// Posts to a node.
    pub async fn post(&self, node: usize, path: &str, body: &Value, key: Option<&str>) -> Said {
        let url = format!("{}/api/v1{path}", self.nodes[node % self.nodes.len()]);
        self.send(self.client.post(url), body, key).await
    }

    /// Gets from a node, or from the sandbox for a path that begins with `/sandbox`.
    pub async fn get(&self, node: usize, path: &str) -> Said {
        let url = if path.starts_with("/sandbox") {
            format!("{}{path}", self.sandbox)
        } else {
            format!("{}/api/v1{path}", self.nodes[node % self.nodes.len()])
        };
        let reply = self
            .client
            .get(url)
            .basic_auth(&self.key, Some(""))
            .send()
            .await
            .ok()?;
        Some((reply.status().as_u16(), reply.text().await.ok()?))
    }

    /// Posts to the sandbox's control door.
    pub async fn control(&self, path: &str, body: &Value) -> Said {
        let url = format!("{}{path}", self.sandbox);
        self.send(self.client.post(url), body, None).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, body: &Value, key: Option<&str>) -> Said {
        let mut request = request
            .basic_auth(&self.key, Some(""))
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = key {
            request = request.header("X-KOMOJU-IDEMPOTENCY", key);
        }
        let reply = request.send().await.ok()?;
        Some((reply.status().as_u16(), reply.text().await.ok()?))
    }

    async fn has_failed(&self, node: usize, payment: &str) -> bool {
        let said = self.get(node, &format!("/payments/{payment}")).await;
        said.and_then(|(_, text)| serde_json::from_str::<Value>(&text).ok())
            .is_some_and(|now| now["status"] == "failed")
    }

    /// Takes an order as far as it goes now: each step a few times, now and then at two nodes at once. Stops at the first
    /// step without a final answer.
    pub async fn carry(
        &self,
        order: &mut Order,
        dice: &mut Dice,
        weather: Weather,
        paid: impl AsyncFn(&str) -> bool,
    ) {
        for s in 0..order.steps.len() {
            if order.steps[s].answer.is_some() {
                continue;
            }
            let Some((path, body)) = order.request(s) else {
                let Some(id) = order.payment() else { return };
                if paid(&id).await {
                    order.steps[s].answer = Some((200, String::new()));
                } else if self.has_failed(order.n, &id).await {
                    // No slip was ever printed.
                    order.steps[s].answer = Some((410, String::new()));
                }
                continue;
            };
            let key = order.steps[s].key.clone();
            let mut busy = 0;
            for attempt in 0..weather.tries() {
                let node = dice.below(self.nodes.len());
                let first = self.post(node, &path, &body, Some(&key));
                let (one, two) = if dice.per_mille(50) {
                    futures_util::join!(first, self.post(node + 1, &path, &body, Some(&key)))
                } else {
                    (first.await, None)
                };
                for said in [one, two].into_iter().flatten() {
                    if said.0 == 409 {
                        busy += 1;
                    }
                    if is_final(said.0, weather) {
                        order.steps[s].heard(said);
                    }
                }
                // Who is told that it runs already waits for its end, and asks again later.
                if order.steps[s].answer.is_some() || busy >= 3 {
                    break;
                }
                let pause = 20_u64 << attempt.min(6);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            if order.steps[s].answer.is_none() || order.is_over() {
                return;
            }
        }
    }
}

impl Step {
    /// Notes a final answer.
    pub fn heard(&mut self, said: (u16, String)) {
        match &self.answer {
            None => self.answer = Some(said),
            Some(first) if *first == said => {}
            Some(_) => self.others.push(said),
        }
    }
}

/// Whether anything may go wrong just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Anything may.
    Storm,
    /// Nothing does.
    Calm,
}

impl Weather {
    const fn tries(self) -> usize {
        match self {
            Self::Storm => 10,
            Self::Calm => 2,
        }
    }
}

/// Whether an answer is the last word under its key; others say that the same key may be sent again. In calm weather a provider does
/// answer: 504 is then what an attempt that never arrived left under its key.
fn is_final(status: u16, weather: Weather) -> bool {
    match status {
        408 | 409 | 413 | 500 | 503 => false,
        504 => weather == Weather::Calm,
        _ => true,
    }
}
