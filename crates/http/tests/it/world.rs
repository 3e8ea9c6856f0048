//! A whole hub in one process: store in memory, KOMOJU's sandbox, two shops, and everyone who calls them.
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request as HttpRequest};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use kessai_core::{Clock, Entropy, Secret};
use kessai_engine::directory::{NewAccount, ShopSettings};
use kessai_engine::vault::Vault;
use kessai_engine::{Engine, EngineSettings, KeyKind, Parts, Shop, every_job};
use kessai_http::{App, Limits, Timed};
use kessai_jobs::Runner;
use kessai_provider::sandbox::{Answer, Ask, InProcess, Sandbox};
use kessai_provider::transport::{Method, Reply, Request, Transport, TransportFault};
use kessai_provider_komoju::Komoju;
use kessai_provider_komoju::sandbox::{BooksAt, KomojuSandbox, KomojuSandboxConfig};
use kessai_store::{Migrate, Settings, SqliteSettings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tower::ServiceExt;

pub const SECRET_KEY: &str = "sk_test_one";
pub const PUBLIC_KEY: &str = "pk_test_one";
pub const OTHER_KEY: &str = "sk_test_two";
pub const LIVE_KEY: &str = "sk_live_three";
pub const GOOD_CARD: &str = "4111111111111111";

/// A clock that stands until it is moved.
pub struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.0.load(Ordering::SeqCst)).expect("not that late");
        Timestamp::from_microsecond(micros).expect("an instant")
    }
}

impl TestClock {
    /// Time passes, and no job runs.
    pub fn sleep(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

/// Dice that fall the same way every time.
pub struct Dice(AtomicU64);

impl Dice {
    pub fn new(from: AtomicU64) -> Self {
        Self(from)
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

/// The way to the provider, which can be closed for a while, or break in our hands.
pub struct Gate {
    inner: InProcess,
    closed: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
    broken: AtomicBool,
    failing: AtomicBool,
    pub sent: AtomicUsize,
}

impl Gate {
    /// An open one, before that sandbox.
    pub fn to(sandbox: &Arc<KomojuSandbox>, clock: &Arc<TestClock>) -> Self {
        Self {
            inner: InProcess::new("http://sandbox.test/komoju", sandbox.clone(), clock.clone()),
            closed: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            broken: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            sent: AtomicUsize::new(0),
        }
    }

    /// From now on nothing that comes through arrives, and nobody hears why.
    pub fn fail_all(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }

    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    pub fn open(&self) {
        self.closed.send_replace(false);
    }

    pub fn break_once(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// Until somebody waits at the closed gate.
    pub async fn somebody_waits(&self) {
        self.waiting
            .subscribe()
            .wait_for(|waiting| *waiting > 0)
            .await
            .expect("the gate stands");
    }
}

#[async_trait]
impl Transport for Gate {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        assert!(
            !self.broken.swap(false, Ordering::SeqCst),
            "the transport breaks in our hands"
        );
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.waiting.send_modify(|waiting| *waiting += 1);
        self.closed
            .subscribe()
            .wait_for(|closed| !closed)
            .await
            .expect("the gate stands");
        self.waiting.send_modify(|waiting| *waiting -= 1);
        if self.failing.load(Ordering::SeqCst) {
            return Err(TransportFault::NotSent("connection refused".to_owned()));
        }
        self.inner.send(request).await
    }
}

/// The shops' own webhook endpoints.
pub struct Endpoints {
    pub got: Mutex<Vec<Request>>,
    pub status: AtomicU16,
}

#[async_trait]
impl Transport for Endpoints {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        self.got.lock().expect("the endpoints").push(request);
        let status = self.status.load(Ordering::SeqCst);
        Ok(Reply {
            status,
            headers: vec![],
            body: bytes::Bytes::new(),
        })
    }
}

/// An answer as its caller sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Seen {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub fn param(&self) -> &str {
        self.body["error"]["param"].as_str().unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    pub fn str(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer} in {}", self.text))
    }

    pub fn int(&self, pointer: &str) -> i64 {
        self.body
            .pointer(pointer)
            .and_then(Value::as_i64)
            .unwrap_or_else(|| panic!("{pointer} in {}", self.text))
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self
    }
}

pub struct World {
    pub app: App,
    pub router: Router,
    pub engine: Arc<Engine>,
    pub sandbox: Arc<KomojuSandbox>,
    pub clock: Arc<TestClock>,
    pub gate: Arc<Gate>,
    pub endpoints: Arc<Endpoints>,
    pub shop: Box<str>,
    runner: Runner<Engine>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(1_768_446_000_000_000)));
        let dice = Arc::new(Dice(AtomicU64::new(7)));
        let settings = Settings::Sqlite(SqliteSettings::new(":memory:"));
        let store = kessai_store::open(&settings, Migrate::Apply)
            .await
            .expect("a store");
        let config = KomojuSandboxConfig {
            books: BooksAt::Memory,
            public_url: "http://sandbox.test/komoju".into(),
            secret_key: Secret::new("sk_test_sandbox"),
            publishable_key: "pk_test_sandbox".into(),
            webhook: None,
        };
        let sandbox = KomojuSandbox::open(config, dice.clone()).expect("a sandbox");
        let gate = Arc::new(Gate::to(&sandbox, &clock));
        let endpoints = Arc::new(Endpoints {
            got: Mutex::default(),
            status: AtomicU16::new(200),
        });
        let engine = Arc::new(Engine::new(Parts {
            store: store.clone(),
            clock: clock.clone(),
            entropy: dice.clone(),
            transport: Arc::new(Timed::new(gate.clone())),
            webhooks: endpoints.clone(),
            providers: vec![Arc::new(Komoju)],
            vault: Vault::new(&[[7; 32]], dice),
            settings: EngineSettings {
                public_url: "http://hub.test".into(),
                ..EngineSettings::default()
            },
        }));
        let mut shops = Vec::new();
        for (name, live, keys) in [
            (
                "One",
                false,
                vec![(KeyKind::Secret, SECRET_KEY), (KeyKind::Publishable, PUBLIC_KEY)],
            ),
            ("Two", false, vec![(KeyKind::Secret, OTHER_KEY)]),
            ("Three", true, vec![(KeyKind::Secret, LIVE_KEY)]),
        ] {
            let shop = engine
                .add_shop("merchant", name, live, &ShopSettings::default())
                .await
                .expect("a shop");
            for (kind, key) in keys {
                engine.add_key(&shop, kind, key).await.expect("a key");
            }
            let secrets = [
                ("secret_key", "sk_test_sandbox"),
                ("publishable_key", "pk_test_sandbox"),
                ("webhook_secret", "whsec_loopback"),
            ];
            let account = NewAccount {
                base_url: "http://sandbox.test/komoju".into(),
                secrets: secrets
                    .into_iter()
                    .map(|(name, secret)| (name.into(), Secret::new(secret)))
                    .collect(),
                settings: BTreeMap::new(),
            };
            engine
                .set_account(&shop, "komoju", &account)
                .await
                .expect("an account");
            shops.push(shop);
        }
        let runner = every_job(Runner::new(store, clock.clone(), engine.clone(), 60));
        let app = App::new(engine.clone(), limits);
        let world = Self {
            router: kessai_http::router(app.clone()),
            app,
            engine,
            sandbox,
            clock,
            gate,
            endpoints,
            shop: shops[0].clone(),
            runner,
        };
        let url = format!("http://hub.test/inbound/komoju/{}", world.shop);
        world.control(
            Method::Post,
            "webhook",
            json!({"url": url, "secret": "whsec_loopback"}),
        );
        world.advance(0).await;
        world
    }

    /// The same hub behind other doors.
    pub fn behind(self, app: App) -> Self {
        Self {
            router: kessai_http::router(app.clone()),
            app,
            ..self
        }
    }

    /// Calls with a key of one's own, and whatever headers and bytes.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Seen {
        let mut request = HttpRequest::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header(
                "authorization",
                format!("Basic {}", STANDARD.encode(format!("{key}:"))),
            );
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request")).await
    }

    pub async fn send(&self, request: HttpRequest<Body>) -> Seen {
        // No two requests come in one millisecond, so that ids tell their order.
        self.clock.0.fetch_add(1_000, Ordering::SeqCst);
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Seen {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text,
            body,
        }
    }

    pub async fn json(&self, method: &str, path: &str, body: Value, headers: &[(&str, &str)]) -> Seen {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.call(
            method,
            &format!("/api/v1{path}"),
            SECRET_KEY,
            &all,
            body.to_string(),
        )
        .await
    }

    pub async fn post(&self, path: &str, body: Value) -> Seen {
        self.json("POST", path, body, &[]).await
    }

    pub async fn post_under(&self, key: &str, path: &str, body: Value) -> Seen {
        self.json("POST", path, body, &[("x-komoju-idempotency", key)])
            .await
    }

    /// Makes a payment, which must go well; its id.
    pub async fn made(&self, body: Value) -> String {
        self.post("/payments", body).await.ok().str("/id").to_owned()
    }

    /// Asks for something to be done about a payment: `capture`, `cancel`, `refund`.
    pub async fn act(&self, payment: &str, operation: &str, body: Value) -> Seen {
        self.post(&format!("/payments/{payment}/{operation}"), body).await
    }

    pub async fn get(&self, path: &str) -> Seen {
        self.call("GET", &format!("/api/v1{path}"), SECRET_KEY, &[], Body::empty())
            .await
    }

    /// Something done in the sandbox, outside of its API.
    pub fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let ask = Ask {
            method,
            path_and_query: format!("/sandbox/{path}"),
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
        };
        match self.sandbox.answer(&ask, self.clock.now()) {
            Answer::Reply { reply, .. } => {
                assert_eq!(
                    reply.status,
                    200,
                    "{path}: {}",
                    String::from_utf8_lossy(&reply.body)
                );
                serde_json::from_slice(&reply.body).expect("JSON")
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn fault(&self, rule: Value) {
        self.control(Method::Post, "faults", rule);
    }

    /// What a shopper does about a payment of ours, at the provider: `pay`, `approve`, `abort`, `fail`.
    pub async fn shopper(&self, payment: &str, act: &str) {
        let reference = self.payment(payment).await.reference.expect("a reference");
        self.control(Method::Post, &format!("payments/{reference}/{act}"), json!({}));
    }

    /// Somebody edits a payment of ours on the provider's side.
    pub async fn edit(&self, payment: &str, what: Value) {
        let reference = self.payment(payment).await.reference.expect("a reference");
        self.control(Method::Post, &format!("payments/{reference}/edit"), what);
    }

    /// The provider's own view of a payment of ours.
    pub async fn there(&self, payment: &str) -> Value {
        let reference = self.payment(payment).await.reference.expect("a reference");
        self.control(Method::Get, &format!("payments/{reference}"), Value::Null)
    }

    /// The kinds of the discrepancies a shop sees.
    pub async fn open_discrepancies(&self) -> Vec<String> {
        let list = self.get("/discrepancies").await.ok();
        let rows = list.body["data"].as_array().expect("a list");
        rows.iter()
            .map(|row| row["kind"].as_str().expect("a kind").to_owned())
            .collect()
    }

    pub async fn shop(&self) -> Arc<Shop> {
        self.engine
            .shop(&self.shop)
            .await
            .expect("the store")
            .expect("the shop")
    }

    pub async fn payment(&self, id: &str) -> kessai_engine::model::Payment {
        self.engine
            .payment(&*self.shop().await, id)
            .await
            .expect("a payment")
    }

    pub async fn status(&self, payment: &str) -> String {
        self.get(&format!("/payments/{payment}"))
            .await
            .ok()
            .str("/status")
            .to_owned()
    }

    /// Moves the clock, and on the way lets everything happen that is due: notifications, deliveries, inquiries.
    pub async fn advance(&self, seconds: i64) {
        let target = self.clock.now() + SignedDuration::from_secs(seconds);
        for _ in 0..10_000 {
            self.settle().await;
            let due = self.engine.store().next_due().await.expect("the store");
            match due.and_then(|due| Timestamp::from_microsecond(due).ok()) {
                Some(due) if due <= target && due > self.clock.now() => self.set(due),
                _ => break,
            }
        }
        self.set(target);
        self.settle().await;
    }

    fn set(&self, at: Timestamp) {
        self.clock.0.store(
            u64::try_from(at.as_microsecond()).expect("after 1970"),
            Ordering::SeqCst,
        );
    }

    /// Everything that is due now.
    async fn settle(&self) {
        for _ in 0..50 {
            let now = self.clock.now();
            self.sandbox.pass_time(now);
            let notices = self.sandbox.due_notices(now, 100);
            let noticed = notices.len();
            for notice in notices {
                let path = notice
                    .request
                    .url
                    .trim_start_matches("http://hub.test")
                    .to_owned();
                let headers: Vec<(&str, &str)> = notice
                    .request
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                let seen = self.call("POST", &path, "", &headers, notice.request.body).await;
                self.sandbox.noticed(&notice.id, Some(seen.status), now);
            }
            let ran = self.runner.drain(now, 1_000).await.expect("the store");
            if noticed == 0 && ran == 0 {
                return;
            }
        }
        panic!("there is no end of what is due");
    }

    /// The types of all events so far, oldest first.
    pub async fn events(&self) -> Vec<String> {
        let list = self.get("/events?per_page=100").await.ok();
        let data = list.body["data"].as_array().expect("a list");
        data.iter()
            .rev()
            .map(|event| event["type"].as_str().expect("a type").to_owned())
            .collect()
    }

    /// What the sandbox's ledger says about a payment of ours: authorized, captured, refunded, cancelled.
    pub async fn books(&self, payment: &str) -> [i64; 4] {
        let reference = self.payment(payment).await.reference.expect("a reference");
        let books = self.control(Method::Get, "books?limit=5000", Value::Null);
        let rows = books["data"].as_array().expect("rows");
        let row = rows
            .iter()
            .find(|row| row["payment"] == reference.as_ref())
            .cloned()
            .unwrap_or_default();
        ["authorized", "captured", "refunded", "cancelled"].map(|name| row[name].as_i64().unwrap_or(0))
    }

    /// How many movements of one kind the sandbox's ledger holds.
    pub fn movements(&self, what: &str) -> usize {
        let charges = self.control(Method::Get, "charges?limit=5000", Value::Null);
        charges["data"]
            .as_array()
            .expect("rows")
            .iter()
            .filter(|row| row["what"] == what)
            .count()
    }
}

pub fn card(number: &str) -> Value {
    json!({"type": "credit_card", "number": number, "month": 12, "year": 2030, "verification_value": "123"})
}

pub fn sale(number: &str) -> Value {
    json!({"amount": 1000, "currency": "JPY", "tax": 0, "payment_details": card(number)})
}

pub fn authorization() -> Value {
    json!({"amount": 1000, "currency": "JPY", "tax": 0, "capture": false, "payment_details": card(GOOD_CARD)})
}

pub fn konbini() -> Value {
    json!({"type": "konbini", "store": "lawson", "email": "taro@example.com"})
}

pub fn checkout() -> Value {
    json!({"amount": 1200, "currency": "JPY", "return_url": "https://shop.example/back?o=1"})
}
