//! What the sandbox's tests share: a sandbox with fixed dice, and someone who asks it things.
use jiff::{SignedDuration, Timestamp};
use kessai_core::{Entropy, Secret};
use kessai_provider::sandbox::{Answer, Ask, Sandbox};
use kessai_provider::transport::{Method, Reply};
use kessai_provider_komoju::sandbox::{BooksAt, KomojuSandbox, KomojuSandboxConfig, Webhook};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Dice that fall the same way every time.
pub struct Dice(AtomicU64);

impl Dice {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0x9e37_79b9_7f4a_7c15)))
    }
}

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(x ^ (x >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

pub struct World {
    pub sandbox: Arc<KomojuSandbox>,
    now: Mutex<Timestamp>,
}

pub fn config(books: BooksAt, hooked: bool) -> KomojuSandboxConfig {
    let webhook = Webhook {
        url: "http://hub.test/inbound/komoju/s1".into(),
        secret: Secret::new("whsec_loopback"),
    };
    KomojuSandboxConfig {
        books,
        public_url: "http://sandbox.test/komoju/".into(),
        secret_key: Secret::new("sk_test_secret"),
        publishable_key: "pk_test_public".into(),
        webhook: hooked.then_some(webhook),
    }
}

pub fn world() -> World {
    World::with(BooksAt::Memory, false)
}

pub fn hooked() -> World {
    World::with(BooksAt::Memory, true)
}

/// `base64("sk_test_secret:")`
pub const SECRET_KEY: &str = "Basic c2tfdGVzdF9zZWNyZXQ6";
/// `base64("pk_test_public")`, without the colon
pub const PUBLIC_KEY: &str = "Basic cGtfdGVzdF9wdWJsaWM=";

impl World {
    pub fn with(books: BooksAt, hooked: bool) -> Self {
        let sandbox = KomojuSandbox::open(config(books, hooked), Dice::new()).expect("the sandbox opens");
        Self {
            sandbox,
            now: Mutex::new("2026-01-15T03:00:00Z".parse().expect("an instant")),
        }
    }

    pub fn now(&self) -> Timestamp {
        *self.now.lock().expect("the clock")
    }

    pub fn set(&self, to: &str) {
        *self.now.lock().expect("the clock") = to.parse().expect("an instant");
    }

    pub fn wait(&self, seconds: i64) {
        let later = self.now() + SignedDuration::from_secs(seconds);
        *self.now.lock().expect("the clock") = later;
    }

    pub fn answer(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let ask = Ask {
            method,
            path_and_query: path.to_owned(),
            headers,
            body: body.to_vec().into(),
        };
        self.sandbox.answer(&ask, self.now())
    }

    pub fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        match self.answer(method, path, headers, body) {
            Answer::Reply { reply, .. } => reply,
            other => panic!("no reply: {other:?}"),
        }
    }

    /// A call of the API with the secret key: status and body.
    pub fn call(&self, method: Method, path: &str, extra: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let mut headers = vec![
            ("authorization", SECRET_KEY),
            ("content-type", "application/json"),
        ];
        headers.extend_from_slice(extra);
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let reply = self.ask(method, &format!("/api/v1{path}"), &headers, &bytes);
        (reply.status, serde_json::from_slice(&reply.body).expect("JSON"))
    }

    pub fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::Post, path, &[], &body)
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::Get, path, &[], &Value::Null);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Something only the control API does.
    pub fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let reply = self.ask(
            method,
            &format!("/sandbox/{path}"),
            &[("content-type", "application/json")],
            &bytes,
        );
        (reply.status, serde_json::from_slice(&reply.body).expect("JSON"))
    }

    pub fn fault(&self, rule: Value) {
        let (status, body) = self.control(Method::Post, "faults", rule);
        assert_eq!(status, 200, "{body}");
    }

    pub fn form(&self, path: &str, body: &str) -> Reply {
        self.ask(
            Method::Post,
            path,
            &[("content-type", "application/x-www-form-urlencoded")],
            body.as_bytes(),
        )
    }

    pub fn html(&self, path: &str) -> String {
        let reply = self.ask(Method::Get, path, &[], b"");
        assert_eq!(
            reply.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&reply.body)
        );
        String::from_utf8(reply.body.to_vec()).expect("UTF-8")
    }

    /// Deliveries that are due, each acknowledged: type and body.
    pub fn deliveries(&self) -> Vec<(String, Value)> {
        let mut seen = Vec::new();
        for notice in self.sandbox.due_notices(self.now(), 100) {
            let body: Value = serde_json::from_slice(&notice.request.body).expect("JSON");
            seen.push((body["type"].as_str().expect("a type").to_owned(), body));
            self.sandbox.noticed(&notice.id, Some(200), self.now());
        }
        seen
    }

    pub fn events(&self) -> Vec<String> {
        self.deliveries().into_iter().map(|(kind, _)| kind).collect()
    }

    /// What the ledger says about a payment: authorized, captured, refunded, cancelled.
    pub fn books(&self, payment: &str) -> [i64; 4] {
        let (_, books) = self.control(Method::Get, "books", Value::Null);
        let rows = books["data"].as_array().expect("rows");
        let row = rows
            .iter()
            .find(|row| row["payment"] == payment)
            .cloned()
            .unwrap_or_default();
        ["authorized", "captured", "refunded", "cancelled"].map(|name| row[name].as_i64().unwrap_or(0))
    }
}

pub fn card(number: &str) -> Value {
    json!({"type": "credit_card", "number": number, "month": 12, "year": 2030, "verification_value": "123"})
}

pub fn sale(number: &str) -> Value {
    json!({"amount": 1000, "currency": "JPY", "tax": 0, "payment_details": card(number)})
}

pub fn konbini() -> Value {
    json!({"type": "konbini", "store": "lawson", "email": "taro@example.com"})
}

pub fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_default()
}

pub fn text<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer} in {body}"))
}

pub const GOOD: &str = "4111111111111111";
