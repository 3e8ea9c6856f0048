//! What the client's tests share: a transport that says what it is told to, and a shop that asks.
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use kessai_core::payment::CaptureMode;
use kessai_core::tax::Totals;
use kessai_core::{Currency, Secret};
use kessai_provider::port::*;
use kessai_provider::transport::{Reply, Request, Transport, TransportFault};
use kessai_provider_komoju::Komoju;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name, ".json"))
    };
}

pub const CARD_NUMBER: &str = "4111111111111111";
pub const PAYMENT: &str = "bk3lh5xnsj25e22mn7zo2mgqh";
pub const SESSION: &str = "63r9bjkqklasnofxttq7z9abc";

/// Answers in the order of the script; refuses whatever comes after its end.
#[derive(Default)]
pub struct Script {
    replies: Mutex<VecDeque<Result<Reply, TransportFault>>>,
    seen: Mutex<Vec<Request>>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        self.seen.lock().unwrap().push(request);
        let next = self.replies.lock().unwrap().pop_front();
        next.unwrap_or_else(|| Err(TransportFault::NotSent("the script is over".into())))
    }
}

impl Script {
    pub fn says(replies: &[(u16, &str)]) -> Arc<Self> {
        let reply = |(status, body): &(u16, &str)| {
            Ok(Reply {
                status: *status,
                headers: vec![],
                body: Bytes::copy_from_slice(body.as_bytes()),
            })
        };
        Arc::new(Self {
            replies: Mutex::new(replies.iter().map(reply).collect()),
            seen: Mutex::default(),
        })
    }

    pub fn then(self: Arc<Self>, fault: TransportFault) -> Arc<Self> {
        self.replies.lock().unwrap().push_back(Err(fault));
        self
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub fn paths(&self) -> Vec<String> {
        let path = |request: &Request| {
            format!(
                "{} {}",
                request.method.as_str(),
                request.url.strip_prefix("https://komoju.example/api/v1").unwrap()
            )
        };
        self.requests().iter().map(path).collect()
    }
}

pub fn account() -> Account {
    let secrets = [
        ("secret_key", "sk_test_1"),
        ("publishable_key", "pk_test_1"),
        ("webhook_secret", "whsec_1"),
    ];
    Account {
        base_url: "https://komoju.example".into(),
        secrets: secrets
            .into_iter()
            .map(|(name, value)| (name.into(), Secret::new(value)))
            .collect(),
        settings: BTreeMap::new(),
        live: false,
    }
}

pub fn call(script: &Arc<Script>) -> Call {
    let now: Timestamp = "2026-01-15T03:00:00Z".parse().unwrap();
    Call::new(Arc::new(account()), "att1", script.clone(), 5_000, now)
}

pub fn totals(amount: i64, tax: i64, fee: i64) -> Totals {
    Totals {
        amount,
        tax,
        fee,
        currency: Currency::JPY,
    }
}

pub fn card() -> Card {
    Card {
        number: Secret::new(CARD_NUMBER),
        month: 12,
        year: 2030,
        verification_value: Some(Secret::new("123")),
        name: Some("TARO YAMADA".into()),
    }
}

pub fn by_card() -> Authorize {
    Authorize {
        method: "credit_card".into(),
        instrument: Instrument::Card(card()),
        fields: Map::new(),
        totals: totals(1_200, 120, 0),
        capture: CaptureMode::Auto,
        in_session: false,
        return_url: Some("https://shop.example/back".into()),
        cancel_url: Some("https://shop.example/cancel".into()),
        locale: "ja".into(),
        email: Some("taro@example.com".into()),
        description: Some("tea".into()),
        scenario: None,
        fraud_details: Some(json!({"customer_ip": "192.0.2.1"})),
    }
}

pub fn card_in_session() -> Authorize {
    Authorize {
        totals: totals(1_200, 0, 0),
        in_session: true,
        ..by_card()
    }
}

pub fn by_konbini() -> Authorize {
    let Value::Object(fields) = json!({"store": "lawson", "name": "山田太郎"}) else {
        unreachable!()
    };
    Authorize {
        method: "konbini".into(),
        instrument: Instrument::Fields,
        fields,
        totals: totals(1_200, 0, 190),
        in_session: true,
        fraud_details: None,
        ..by_card()
    }
}

pub fn handle() -> Handle {
    Handle {
        key: "att1".into(),
        reference: Some(PAYMENT.into()),
        session: None,
        totals: totals(1_200, 120, 0),
        method: "credit_card".into(),
    }
}

pub fn lost() -> TransportFault {
    TransportFault::Lost("connection reset".into())
}

pub fn sent(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

pub fn parsed(fixture: &str) -> Value {
    serde_json::from_str(fixture).unwrap()
}

pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

pub fn succeeded<T: std::fmt::Debug>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Succeeded(done) => done,
        other => panic!("{other:?}"),
    }
}

pub fn pending(outcome: Outcome<View>) -> View {
    match outcome {
        Outcome::Pending(view) => view,
        other => panic!("{other:?}"),
    }
}

pub async fn pay(script: &Arc<Script>, request: &Authorize) -> Outcome<View> {
    Komoju.authorize(&call(script), request).await
}

pub(crate) use fixture;
