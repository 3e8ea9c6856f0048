//! The suite every provider's client passes, against KOMOJU's sandbox.
use base64::Engine as _;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use kessai_core::payment::{CaptureMode, Status};
use kessai_core::tax::Totals;
use kessai_core::{Clock, Currency, Entropy, Money, Secret};
use kessai_provider::conformance::{Bench, Booked, Purchase, Sent, Step};
use kessai_provider::port::{Account, Authorize, Call, Card, Handle, Instrument, Outcome, Provider};
use kessai_provider::sandbox::{Answer, Ask, FaultKind, InProcess, Sandbox};
use kessai_provider::transport::{Method, Transport};
use kessai_provider_komoju::Komoju;
use kessai_provider_komoju::sandbox::{BooksAt, KomojuSandbox, KomojuSandboxConfig, Webhook};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

const BASE: &str = "http://sandbox.test/komoju";
const SECRET_KEY: &str = "sk_test_conformance";
const PUBLISHABLE_KEY: &str = "pk_test_conformance";
const WEBHOOK_SECRET: &str = "whsec_conformance";
const GOOD: &str = "4242424242424242";
const DECLINED: &str = "4123111111111059";
const CODE: &str = "9173";

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).expect("in range")
    }
}

/// Dice that count: unpredictable enough for a sandbox in memory.
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let n = self
                .0
                .fetch_add(1, Ordering::SeqCst)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&(n ^ (n >> 29)).to_be_bytes()[..chunk.len()]);
        }
    }
}

struct KomojuBench {
    sandbox: Arc<KomojuSandbox>,
    transport: Arc<InProcess>,
    clock: Arc<Hands>,
    /// Whether payments are made in sessions, as in the checkout, or directly, as by the API.
    in_session: bool,
}

impl KomojuBench {
    fn open(in_session: bool) -> Self {
        let start: Timestamp = "2026-01-15T03:00:00Z".parse().expect("an instant");
        let clock = Arc::new(Hands(AtomicI64::new(start.as_microsecond())));
        let config = KomojuSandboxConfig {
            books: BooksAt::Memory,
            public_url: BASE.into(),
            secret_key: Secret::new(SECRET_KEY),
            publishable_key: PUBLISHABLE_KEY.into(),
            webhook: Some(Webhook {
                url: "http://hub.test/inbound/komoju/s1".into(),
                secret: Secret::new(WEBHOOK_SECRET),
            }),
        };
        let sandbox =
            KomojuSandbox::open(config, Arc::new(Counting(AtomicU64::new(1)))).expect("books in memory");
        let transport = Arc::new(InProcess::new(BASE, sandbox.clone(), clock.clone()));
        Self {
            sandbox,
            transport,
            clock,
            in_session,
        }
    }

    /// Asks the sandbox past the client and past its faults.
    fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let key = base64::engine::general_purpose::STANDARD.encode(format!("{SECRET_KEY}:"));
        let headers = [
            ("authorization", format!("Basic {key}")),
            ("content-type", "application/json".to_owned()),
        ];
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let ask = Ask {
            method,
            path_and_query: path.to_owned(),
            headers,
            body,
        };
        match self.sandbox.answer(&ask, self.clock.now()) {
            Answer::Reply { reply, .. } if reply.status == 200 => {
                serde_json::from_slice(&reply.body).expect("the sandbox writes JSON")
            }
            other => panic!("{path}: {other:?}"),
        }
    }

    fn card(&self, number: &str) -> Instrument {
        Instrument::Card(Card {
            number: Secret::new(number),
            month: 12,
            year: 2030,
            verification_value: Some(Secret::new(CODE)),
            name: Some("TARO YAMADA".into()),
        })
    }
}

fn yen(value: &Value) -> Money {
    Money::new(value.as_i64().expect("an integer"), Currency::JPY).expect("in range")
}

impl Bench for KomojuBench {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(Komoju)
    }

    fn transport(&self) -> Arc<dyn Transport> {
        self.transport.clone()
    }

    fn account(&self) -> Arc<Account> {
        let secrets = [
            ("secret_key", SECRET_KEY),
            ("publishable_key", PUBLISHABLE_KEY),
            ("webhook_secret", WEBHOOK_SECRET),
        ];
        Arc::new(Account {
            base_url: BASE.into(),
            secrets: secrets
                .into_iter()
                .map(|(name, value)| (name.into(), Secret::new(value)))
                .collect(),
            settings: BTreeMap::new(),
            live: false,
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn advance(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_micros()).expect("a few days at most");
        self.clock.0.fetch_add(by, Ordering::SeqCst);
        self.sandbox.pass_time(self.clock.now());
    }

    fn purchase(&self, purchase: Purchase) -> Option<Authorize> {
        let totals = |amount, tax, fee| Totals {
            amount,
            tax,
            fee,
            currency: Currency::JPY,
        };
        let card = Authorize {
            method: "credit_card".into(),
            instrument: self.card(GOOD),
            fields: Map::new(),
            totals: if self.in_session {
                totals(3_000, 0, 0)
            } else {
                totals(2_728, 272, 0)
            },
            capture: CaptureMode::Auto,
            in_session: self.in_session,
            return_url: Some("https://shop.example/back?o=1".into()),
            cancel_url: None,
            locale: "ja".into(),
            email: Some("taro@example.com".into()),
            description: None,
            scenario: None,
            fraud_details: None,
        };
        Some(match purchase {
            Purchase::Immediate => card,
            Purchase::TwoStep => Authorize {
                capture: CaptureMode::Manual,
                ..card
            },
            Purchase::Declined => Authorize {
                instrument: self.card(DECLINED),
                ..card
            },
            Purchase::Slip => {
                let Value::Object(fields) = json!({"store": "lawson"}) else {
                    unreachable!()
                };
                let totals = if self.in_session {
                    totals(3_000, 0, 190)
                } else {
                    card.totals
                };
                Authorize {
                    method: "konbini".into(),
                    instrument: Instrument::Fields,
                    fields,
                    totals,
                    ..card
                }
            }
            Purchase::Offsite => Authorize {
                method: "paypay".into(),
                instrument: Instrument::Fields,
                ..card
            },
        })
    }

    fn booked(&self, key: &str) -> Vec<Booked> {
        let list = self.ask(
            Method::Get,
            &format!("/api/v1/payments?external_order_num={key}&per_page=100"),
            Value::Null,
        );
        // What was taken and returned is the ledger's word, not that of the page the client reads.
        let ledger = self.ask(Method::Get, "/sandbox/books?limit=5000", Value::Null);
        let sum = |payment: &Value, what: &str| {
            let mut lines = ledger["data"].as_array().expect("a list").iter();
            yen(lines
                .find(|line| line["payment"] == payment["id"])
                .map_or(&json!(0), |line| &line[what]))
        };
        let booked = |payment: &Value| Booked {
            status: Status::parse(payment["status"].as_str().expect("a status")).expect("a listed status"),
            total: yen(&payment["total"]),
            captured: sum(payment, "captured"),
            refunded: sum(payment, "refunded"),
        };
        list["data"]
            .as_array()
            .expect("a list")
            .iter()
            .rev()
            .map(booked)
            .collect()
    }

    fn inject(&self, step: Step, fault: FaultKind) -> bool {
        let operations: &[&str] = match (step, self.in_session) {
            (Step::Authorize, false) => &["payments.create"],
            (Step::Authorize, true) => &["sessions.pay"],
            (Step::Capture, _) => &["payments.capture"],
            (Step::Cancel, _) => &["payments.cancel"],
            (Step::Refund, _) => &["payments.refund"],
            // By key or by reference, whichever it will be; the other rule is taken back with the next one.
            (Step::Inquire, _) => &["payments.list", "payments.show"],
        };
        let mut rules = Vec::new();
        for operation in operations {
            let mut rule = serde_json::to_value(&fault).expect("a fault");
            rule["operation"] = json!(operation);
            rule["remaining"] = json!(1);
            rules.push(rule);
        }
        self.ask(Method::Post, "/sandbox/faults/clear", Value::Null);
        self.ask(Method::Post, "/sandbox/faults", json!(rules));
        true
    }

    fn shopper_pays(&self, reference: &str) {
        self.ask(
            Method::Post,
            &format!("/sandbox/payments/{reference}/pay"),
            json!({}),
        );
    }

    fn notices(&self) -> Vec<Sent> {
        let now = self.clock.now();
        let mut sent = Vec::new();
        for notice in self.sandbox.due_notices(now, 100) {
            self.sandbox.noticed(&notice.id, Some(200), now);
            sent.push(Sent {
                headers: notice.request.headers,
                body: notice.request.body.to_vec(),
            });
        }
        sent
    }

    fn secrets(&self) -> Vec<String> {
        let encoded = |key: &str| base64::engine::general_purpose::STANDARD.encode(key);
        [SECRET_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, GOOD, DECLINED, CODE]
            .into_iter()
            .map(str::to_owned)
            .chain([encoded(SECRET_KEY), encoded(&format!("{SECRET_KEY}:"))])
            .collect()
    }

    fn personal(&self) -> Vec<String> {
        vec!["TARO".into(), "taro".into()]
    }
}

/// Payments made by the API.
mod direct {
    kessai_provider::conformance!(super::KomojuBench::open(false));
}

/// Payments made in a checkout, where KOMOJU adds fees and authenticates cards.
mod in_a_session {
    kessai_provider::conformance!(super::KomojuBench::open(true));
}

#[tokio::test]
async fn a_card_that_must_be_authenticated_is_captured_once_its_holder_is_back() {
    let bench = KomojuBench::open(true);
    let request = Authorize {
        instrument: bench.card("4100000000005000"),
        ..bench.purchase(Purchase::Immediate).expect("cards are sold")
    };
    let call = || Call::new(bench.account(), "a1", bench.transport(), 5_000, bench.now());
    let Outcome::Pending(view) = Komoju.authorize(&call(), &request).await else {
        panic!("3-D Secure first")
    };
    assert!(view.next.as_ref().is_some_and(|next| next.frameable));
    let (totals, method) = (request.totals, request.method.clone());
    let handle = Handle {
        key: "a1".into(),
        reference: None,
        session: view.session.clone(),
        totals,
        method,
    };
    let waiting = Komoju
        .inquire(&call(), &handle)
        .await
        .expect("an answer")
        .expect("a payment");
    assert_eq!(
        (waiting.status, &waiting.session),
        (Status::Pending, &view.session)
    );
    bench.shopper_pays(&waiting.reference);
    let paid = Komoju
        .inquire(&call(), &handle)
        .await
        .expect("an answer")
        .expect("a payment");
    assert_eq!(
        (paid.status, paid.captured),
        (Status::Captured, Some(totals.total()))
    );
}
