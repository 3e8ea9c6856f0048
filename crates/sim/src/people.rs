//! Merchants and shoppers: each payment has somebody who begins it, somebody who pays it, and somebody who deals with it afterwards.
use crate::checks::Checks;
use crate::goods::SHELVES;
use crate::node::HUB_URL;
use crate::rng::Rng;
use crate::shared::{Ask, Heard, Owner, Seen, Wish, Wishes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A second, in microseconds.
pub const S: i64 = 1_000_000;

/// A shop as its own people know it.
#[derive(Debug)]
pub struct ShopFacts {
    /// Its id.
    pub id: String,
    /// Its secret key.
    pub key: String,
}

/// A good card.
pub const GOOD_CARD: &str = "4111111111111111";
/// A card that is always declined.
pub const BAD_CARD: &str = "4123111111111059";
/// A card whose owner must pass a check at their bank.
pub const CHECKED_CARD: &str = "4100000000005000";
/// The code on every card.
pub const CODE: &str = "739";

/// What a merchant wants the deliveries of one payment alone to be signed with.
pub const PAYMENT_HOOK_SECRET: &str = "whsec_of_one_payment";

/// One person's hands.
pub struct Person {
    wishes: Wishes,
    checks: Arc<Mutex<Checks>>,
    shop: Arc<ShopFacts>,
    rng: Rng,
    n: u64,
    keys: u64,
}

fn field<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn json_of(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap_or_default()
}

fn print(path: &str, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (path, body).hash(&mut hasher);
    hasher.finish()
}

/// Whether an answer is the last one under its key.
fn stays(seen: &Seen) -> bool {
    !matches!(seen.status, 409 | 500 | 503 | 504)
}

fn card(number: &str) -> Value {
    json!({"type": "credit_card", "number": number, "month": 12, "year": 2035, "verification_value": CODE})
}

fn konbini() -> Value {
    json!({"type": "konbini", "store": "lawson", "email": "taro@example.com"})
}

impl Person {
    /// The people around the `n`th payment.
    pub fn new(
        wishes: &Wishes,
        checks: &Arc<Mutex<Checks>>,
        shop: &Arc<ShopFacts>,
        rng: Rng,
        n: u64,
    ) -> Self {
        Self {
            wishes: wishes.clone(),
            checks: checks.clone(),
            shop: shop.clone(),
            rng,
            n,
            keys: 0,
        }
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, what: &'static str) {
        self.wishes.push(Wish::Count(what));
    }

    async fn wait(&self, us: i64) {
        self.wishes.wait(Owner::People, us).await;
    }

    async fn send(&self, ask: Ask) -> Heard {
        let (heard, hear) = oneshot::channel();
        self.wishes.push(Wish::Call { ask, heard });
        hear.await.unwrap_or(None)
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("key-{}-{}", self.n, self.keys)
    }

    fn refund_key(&mut self, payment: &str) -> String {
        *self.checks().refund_wishes.entry(payment.to_owned()).or_default() += 1;
        self.key()
    }

    /// Asks once; what was said is held against the hub from then on.
    async fn ask(&self, method: &'static str, path: &str, key: Option<&str>, body: &Value) -> Heard {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let authorization = format!("Basic {}", STANDARD.encode(format!("{}:", self.shop.key)));
        let mut headers = vec![
            ("authorization".to_owned(), authorization),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        if let Some(key) = key {
            headers.push(("x-komoju-idempotency".to_owned(), key.to_owned()));
        }
        let print = print(path, &bytes);
        let ask = Ask {
            method,
            path: format!("/api/v1{path}"),
            headers,
            body: bytes.into(),
        };
        let seen = self.send(ask).await?;
        if let Some(key) = key {
            self.checks()
                .answered(&self.shop.id, key, print, seen.status, &seen.body);
        }
        if seen.status < 300 {
            let said = json_of(&seen);
            let payment = if said["resource"] == "payment" {
                &said
            } else {
                &said["payment"]
            };
            if payment["resource"] == "payment" {
                let refunded = payment["amount_refunded"].as_i64().unwrap_or(0);
                self.checks()
                    .told(field(payment, "/id"), field(payment, "/status"), refunded);
            }
        }
        Some(seen)
    }

    /// Asks under a key until there is an answer that stays, or patience ends.
    async fn insist(&mut self, path: &str, key: &str, body: &Value) -> Heard {
        let waits = [2, 5, 15, 40, 90, 240, 600, 1_800, 3_600, 7_200];
        for wait in waits {
            match self.ask("POST", path, Some(key), body).await {
                Some(seen) if stays(&seen) => {
                    if self.rng.percent(10) {
                        self.count("merchant: the same key after its answer");
                        let _ = self.ask("POST", path, Some(key), body).await;
                    }
                    return Some(seen);
                }
                None if path.ends_with("/refund") && self.rng.percent(25) => {
                    self.count("merchant: asks for a refund once and forgets it");
                    return None;
                }
                _ => {}
            }
            self.count("merchant: the same key again");
            let wait = wait * S + self.rng.between(0, S);
            self.wait(wait).await;
        }
        None
    }

    /// Two requests under one key at once, which may meet on two nodes.
    async fn insist_twice(&mut self, path: &str, key: &str, body: &Value) -> Heard {
        self.count("merchant: one key twice at once");
        let (first, _) = self.at_once((path, key), (path, key), body).await;
        match first {
            Some(seen) if stays(&seen) && self.rng.percent(80) => Some(seen),
            // Either it has no answer yet, or it asks once more.
            _ => self.insist(path, key, body).await,
        }
    }

    /// Two requests at once, each to a path under a key.
    async fn at_once(&self, one: (&str, &str), two: (&str, &str), body: &Value) -> (Heard, Heard) {
        tokio::join!(
            self.ask("POST", one.0, Some(one.1), body),
            self.ask("POST", two.0, Some(two.1), body)
        )
    }

    /// Two requests at once, and each again until it has an answer.
    async fn race(&mut self, one: (&str, &str), two: (&str, &str), body: &Value) {
        let _ = self.at_once(one, two, body).await;
        let _ = self.insist(one.0, one.1, body).await;
        let _ = self.insist(two.0, two.1, body).await;
    }

    async fn shopper(&self, payment: &str, act: &'static str, amount: Option<i64>) -> bool {
        let (heard, hear) = oneshot::channel();
        self.wishes.push(Wish::Shopper {
            payment: payment.to_owned(),
            act,
            amount,
            heard,
        });
        hear.await.unwrap_or(false)
    }

    /// A browser comes to a page of ours.
    async fn browse(&self, path: String) -> Heard {
        self.send(Ask {
            method: "GET",
            path,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
        })
        .await
    }

    /// Lives through one payment.
    pub async fn live(mut self) {
        let amount = self.rng.between(100, 30_000);
        match self.rng.weighted(&[33, 14, 10, 8, 16, 6, 4, 8, 1]) {
            0 => self.direct(amount, card(GOOD_CARD), true).await,
            1 => self.direct(amount, card(GOOD_CARD), false).await,
            2 => self.direct(amount, konbini(), true).await,
            3 => self.direct(amount, json!({"type": "paypay"}), true).await,
            4 => self.session(amount).await,
            5 => self.direct(amount, card(BAD_CARD), true).await,
            6 => self.direct(amount, json!({"type": "bank_transfer", "email": "taro@example.com", "family_name": "山田", "given_name": "太郎", "family_name_kana": "ヤマダ", "given_name_kana": "タロウ", "phone": "0312345678"}), true).await,
            7 => self.raced_order(amount).await,
            _ => self.restock().await,
        }
    }

    /// A clerk puts pieces into stock, or takes some away.
    async fn restock(&mut self) {
        self.count("merchant: changes the stock");
        let key = self.key();
        let change = if self.rng.percent(30) {
            -1
        } else {
            self.rng.between(1, 3)
        };
        let path = format!("/stock/{}", SHELVES[usize::from(self.rng.percent(70))].0);
        let _ = self.insist(&path, &key, &json!({"change": change})).await;
    }

    fn wish(&mut self, amount: i64, details: Value, capture: bool) -> Value {
        let mut body = json!({"amount": amount, "currency": "JPY", "tax": 0, "capture": capture, "payment_details": details});
        if self.rng.percent(40) {
            body["external_order_num"] = json!(format!("order-{}", self.n));
        }
        if self.rng.percent(5) {
            body["webhooks"] =
                json!([{"url": "https://own.example/hook", "secret_token": PAYMENT_HOOK_SECRET}]);
        }
        body
    }

    async fn direct(&mut self, amount: i64, details: Value, capture: bool) {
        let key = self.key();
        let mut body = self.wish(amount, details, capture);
        body["metadata"] = json!({"key": key});
        let made = if self.rng.percent(10) {
            self.insist_twice("/payments", &key, &body).await
        } else {
            self.insist("/payments", &key, &body).await
        };
        let Some(made) = made else {
            return self.count("merchant: gave up");
        };
        if self.rng.percent(4) {
            let mut other = body.clone();
            other["amount"] = json!(amount + 1);
            self.count("merchant: same key, another body");
            let _ = self.ask("POST", "/payments", Some(&key), &other).await;
        }
        let said = json_of(&made);
        if made.status >= 300 {
            return;
        }
        let id = field(&said, "/id").to_owned();
        let kind = field(&said, "/payment_details/type").to_owned();
        self.afterwards(&id, &kind, amount, capture, None).await;
    }

    /// Two clerks make a payment for the same order at the same time.
    async fn raced_order(&mut self, amount: i64) {
        self.count("merchant: one order twice at once");
        let mut body = self.wish(amount, card(GOOD_CARD), true);
        body["external_order_num"] = json!(format!("order-{}", self.n));
        let (one, two) = (self.key(), self.key());
        let (a, b) = self
            .at_once(("/payments", &one), ("/payments", &two), &body)
            .await;
        let done = |seen: &Heard| seen.as_ref().is_some_and(|seen| seen.status < 300);
        if done(&a) && done(&b) {
            self.checks()
                .fail(format!("one live payment: order-{} was paid twice", self.n));
        }
        for (key, seen) in [(one, a), (two, b)] {
            if !done(&seen) {
                let _ = self.insist("/payments", &key, &body).await;
            }
        }
    }

    async fn session(&mut self, amount: i64) {
        let mut body = json!({"amount": amount, "currency": "JPY", "return_url": "https://shop.example/back",
                              "payment_data": {"name": "山田"}});
        if self.rng.percent(50) {
            body["payment_data"]["external_order_num"] = json!(format!("order-{}", self.n));
        }
        if self.rng.percent(60) {
            let (sku, most) = if self.rng.percent(50) {
                (SHELVES[1].0, 1)
            } else {
                (SHELVES[0].0, 3)
            };
            let again = self.rng.percent(20);
            let line = json!({"sku": sku, "quantity": self.rng.between(1, most)});
            body["line_items"] = if again { json!([line, line]) } else { json!([line]) };
        }
        let manual = self.rng.percent(20);
        if manual {
            body["payment_data"]["capture"] = json!("manual");
        }
        let key = self.key();
        let Some(made) = self.insist("/sessions", &key, &body).await else {
            return self.count("merchant: gave up");
        };
        let session = field(&json_of(&made), "/id").to_owned();
        if made.status >= 300 || session.is_empty() {
            if field(&json_of(&made), "/error/code") == "out_of_stock" {
                self.count("shopper: too late for the last piece");
            }
            return;
        }
        // A shopper may try several methods, one after the other or in two windows.
        for _ in 0..self.rng.between(1, 3) {
            self.wait(self.rng.clone().between(S, 60 * S)).await;
            let details = match self.rng.below(5) {
                0 => konbini(),
                1 => json!({"type": "paypay"}),
                2 => card(BAD_CARD),
                3 => card(CHECKED_CARD),
                _ => card(GOOD_CARD),
            };
            let path = format!("/sessions/{session}/pay");
            let pay = json!({"payment_details": details});
            let paid = if self.rng.percent(15) {
                self.count("shopper: double click");
                let (one, two) = (self.key(), self.key());
                let (a, b) = self.at_once((&path, &one), (&path, &two), &pay).await;
                a.or(b)
            } else if self.rng.percent(30) {
                self.by_form(&session, &pay).await
            } else {
                let key = self.key();
                self.insist(&path, &key, &pay).await
            };
            let said = paid.as_ref().map(json_of).unwrap_or_default();
            if field(&said, "/error/code") == "out_of_stock" {
                self.count("shopper: somebody else was faster");
            }
            let payment = field(&said, "/payment/id").to_owned();
            if payment.is_empty() {
                continue;
            }
            let kind = field(&pay, "/payment_details/type").to_owned();
            if field(&said, "/status") == "completed" && kind != "konbini" || self.rng.percent(60) {
                return self
                    .afterwards(&payment, &kind, amount, !manual, Some(&session))
                    .await;
            }
            self.count("shopper: another method");
        }
        if self.rng.percent(30) {
            self.count("merchant: cancels a session");
            self.cancel(&format!("/sessions/{session}")).await;
        }
    }

    /// The same through the hosted page, as a browser does it.
    async fn by_form(&mut self, session: &str, pay: &Value) -> Heard {
        let page = self.browse(format!("/sessions/{session}")).await?;
        let html = String::from_utf8_lossy(&page.body).into_owned();
        let hidden = |name: &str| {
            let at = html.find(&format!("name=\"{name}\" value=\""))?;
            let rest = &html[at + name.len() + 15..];
            Some(rest[..rest.find('"')?].to_owned())
        };
        let (csrf, attempt) = (hidden("csrf")?, hidden("attempt")?);
        let details = &pay["payment_details"];
        let mut form = vec![("csrf", csrf), ("attempt", attempt)];
        form.push(("method", field(details, "/type").to_owned()));
        for name in ["number", "verification_value", "store", "email"] {
            if let Some(value) = details[name].as_str() {
                form.push((name, value.to_owned()));
            }
        }
        if details["month"].is_number() {
            form.push(("month", "12".to_owned()));
            form.push(("year", "2035".to_owned()));
        }
        let encode = |text: &str| {
            text.replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D")
                .replace('@', "%40")
        };
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        let ask = Ask {
            method: "POST",
            path: format!("/sessions/{session}/pay"),
            headers: vec![(
                "content-type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            )],
            body: body.join("&").into_bytes().into(),
        };
        self.count("shopper: hosted page");
        let sent = self.send(ask.clone()).await;
        if sent.is_none() || self.rng.percent(10) {
            self.count("shopper: the form sent again");
            let _ = self.send(ask).await;
        }
        let shown = self
            .ask("GET", &format!("/sessions/{session}"), None, &Value::Null)
            .await?;
        let shown = json_of(&shown);
        let body = json!({"status": shown["status"], "payment": shown["payment"]});
        Some(Seen {
            status: 200,
            body: body.to_string().into(),
        })
    }

    /// The shopper does their part, then the merchant theirs.
    async fn afterwards(&mut self, id: &str, kind: &str, amount: i64, auto: bool, session: Option<&str>) {
        match kind {
            "credit_card" if auto => {}
            "credit_card" => return self.manual(id, amount).await,
            "konbini" | "bank_transfer" | "pay_easy" => {
                if !self.slip(id).await {
                    return;
                }
            }
            _ => {
                if !self.wallet(id, session).await {
                    return;
                }
            }
        }
        self.wait(self.rng.clone().between(S, 1_200 * S)).await;
        self.look(id).await;
        match self.rng.weighted(&[60, 14, 8, 6, 6, 6]) {
            0 => {}
            1 => self.refund(id, Some(self.rng.clone().between(1, amount))).await,
            2 => {
                self.refund(id, Some(amount / 3 + 1)).await;
                self.wait(30 * S).await;
                self.refund(id, None).await;
            }
            3 => self.refund(id, None).await,
            4 => {
                // Two clerks refund at once, each half and a little more: only one may get through.
                self.count("merchant: two refunds at once");
                let (one, two) = (self.refund_key(id), self.refund_key(id));
                let (path, body) = (
                    format!("/payments/{id}/refund"),
                    json!({"amount": amount / 2 + 1}),
                );
                self.race((&path, &one), (&path, &two), &body).await;
            }
            _ => {
                self.count("merchant: cancels what is paid");
                self.cancel(&format!("/payments/{id}")).await;
            }
        }
        self.look(id).await;
    }

    async fn cancel(&mut self, what: &str) {
        let key = self.key();
        let _ = self.insist(&format!("{what}/cancel"), &key, &json!({})).await;
    }

    async fn look(&mut self, id: &str) {
        if self.rng.percent(30) {
            let _ = self
                .ask("GET", &format!("/payments/{id}"), None, &Value::Null)
                .await;
        }
        if self.rng.percent(3) {
            let _ = self.ask("GET", "/payments?per_page=10", None, &Value::Null).await;
        }
    }

    async fn refund(&mut self, id: &str, amount: Option<i64>) {
        self.count("merchant: refunds");
        let key = self.refund_key(id);
        let body = amount.map_or_else(|| json!({}), |amount| json!({"amount": amount}));
        let path = format!("/payments/{id}/refund");
        if self.rng.percent(20) {
            let _ = self.insist_twice(&path, &key, &body).await;
        } else {
            let _ = self.insist(&path, &key, &body).await;
        }
    }

    async fn manual(&mut self, id: &str, amount: i64) {
        self.wait(self.rng.clone().between(S, 3_600 * S)).await;
        let (capture, cancel) = (
            format!("/payments/{id}/capture"),
            format!("/payments/{id}/cancel"),
        );
        let key = self.key();
        match self.rng.weighted(&[40, 20, 20, 16, 4]) {
            0 => {
                let _ = self.insist(&capture, &key, &json!({})).await;
            }
            1 => {
                let part = self.rng.between(1, amount);
                let _ = self
                    .insist_twice(&capture, &key, &json!({"amount": part, "tax": 0}))
                    .await;
            }
            2 => {
                let _ = self.insist(&cancel, &key, &json!({})).await;
                return;
            }
            3 => {
                self.count("merchant: capture and cancel at once");
                let other = self.key();
                self.race((&capture, &key), (&cancel, &other), &json!({})).await;
                return;
            }
            // Nobody does anything; it lapses after a month.
            _ => return self.count("merchant: forgets an authorization"),
        }
        if self.rng.percent(30) {
            self.wait(self.rng.clone().between(S, 600 * S)).await;
            self.refund(id, None).await;
        }
    }

    /// A slip is paid at a counter, hours later, or never.
    async fn slip(&mut self, id: &str) -> bool {
        self.wait(self.rng.clone().between(60 * S, 20_000 * S)).await;
        match self.rng.weighted(&[70, 15, 15]) {
            0 => self.shopper(id, "pay", None).await,
            1 => {
                self.count("merchant: cancels a slip");
                let key = self.key();
                let path = format!("/payments/{id}/cancel");
                let body = json!({});
                if self.rng.percent(50) {
                    self.count("a slip is paid while it is cancelled");
                    let _ = tokio::join!(
                        self.ask("POST", &path, Some(&key), &body),
                        self.shopper(id, "pay", None)
                    );
                }
                let _ = self.insist(&path, &key, &body).await;
                false
            }
            _ => {
                self.count("shopper: never pays a slip");
                false
            }
        }
    }

    async fn wallet(&mut self, id: &str, session: Option<&str>) -> bool {
        self.wait(self.rng.clone().between(S, 900 * S)).await;
        let (act, well) = match self.rng.weighted(&[65, 12, 8, 15]) {
            0 => ("approve", true),
            1 => ("abort", false),
            2 => ("fail", false),
            _ => {
                self.count("shopper: never comes back");
                return false;
            }
        };
        let done = self.shopper(id, act, None).await;
        if self.rng.percent(70) {
            // The browser may be faster than the notification.
            self.count("shopper: returns");
            let path = match session {
                Some(session) => format!("/sessions/{session}/return"),
                None => format!("/payments/{id}/return"),
            };
            if let Some(seen) = self.browse(path).await
                && seen.status >= 400
                && seen.status < 500
            {
                self.checks().fail(format!(
                    "page: {HUB_URL} answers a returning shopper {}",
                    seen.status
                ));
            }
        }
        well && done
    }
}
