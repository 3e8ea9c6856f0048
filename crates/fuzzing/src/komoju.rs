//! What comes from the provider: replies to every call, and notifications.
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use jiff::Timestamp;
use kessai_core::payment::{CaptureMode, State, Status};
use kessai_core::tax::Totals;
use kessai_core::{Currency, Money, Secret};
use kessai_provider::port::{
    Account, Authorize, Call, Handle, Instrument, NotificationRejected, Outcome, Provider, RawNotification,
    View,
};
use kessai_provider::transport::{Reply, Request, Transport, TransportFault};
use kessai_provider_komoju::{Komoju, wire};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Says the same to whatever is asked.
struct Parrot {
    status: u16,
    body: Bytes,
}

#[async_trait]
impl Transport for Parrot {
    async fn send(&self, _: Request) -> Result<Reply, TransportFault> {
        Ok(Reply {
            status: self.status,
            headers: vec![],
            body: self.body.clone(),
        })
    }
}

const STATUSES: [u16; 16] = [
    200, 201, 204, 302, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503,
];
const TOKEN: &str = "tok_thisisthesecretofthecall1";

fn account(secret: &str) -> Account {
    let secrets = [
        ("secret_key", "sk_test_1"),
        ("publishable_key", "pk_test_1"),
        ("webhook_secret", secret),
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

fn totals() -> Totals {
    Totals {
        amount: 1_000,
        tax: 0,
        fee: 0,
        currency: Currency::JPY,
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the parrot answers at once")
}

/// What the first byte chooses is asked, the second byte is the status, the rest is the body of each reply.
pub(crate) fn reply(bytes: &[u8]) {
    let [choice, status, body @ ..] = bytes else {
        return;
    };
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let parrot = Arc::new(Parrot {
        status,
        body: Bytes::copy_from_slice(body),
    });
    let now: Timestamp = "2026-01-15T03:00:00Z".parse().expect("an instant");
    let call = Call::new(
        Arc::new(account("whsec_1")),
        "0123456789abcdefghijklmno_1",
        parrot,
        5_000,
        now,
    );
    let handle = Handle {
        key: "0123456789abcdefghijklmno_1".into(),
        reference: (choice & 64 == 0).then(|| "p".into()),
        session: (choice & 128 != 0).then(|| "s".into()),
        totals: totals(),
        method: "credit_card".into(),
    };
    let amount = Money::new(1_000, Currency::JPY).expect("in range");
    let komoju = Komoju;
    match choice % 6 {
        0 | 1 => {
            let authorize = Authorize {
                method: if choice & 8 == 0 { "credit_card" } else { "konbini" }.into(),
                instrument: if choice & 8 == 0 {
                    Instrument::Token(Secret::new(TOKEN))
                } else {
                    Instrument::Fields
                },
                fields: Map::new(),
                totals: totals(),
                capture: if choice & 16 == 0 {
                    CaptureMode::Auto
                } else {
                    CaptureMode::Manual
                },
                in_session: choice % 6 == 1,
                return_url: Some("https://shop.example/back".into()),
                cancel_url: None,
                locale: "ja".into(),
                email: None,
                description: None,
                scenario: None,
                fraud_details: None,
            };
            outcome(status, at_once(komoju.authorize(&call, &authorize)));
        }
        2 => outcome(
            status,
            at_once(
                komoju
                    .captures()
                    .expect("captures")
                    .capture(&call, &handle, totals()),
            ),
        ),
        3 => outcome(
            status,
            at_once(komoju.cancels().expect("cancels").cancel(&call, &handle)),
        ),
        4 => outcome(
            status,
            at_once(
                komoju
                    .refunds()
                    .expect("refunds")
                    .refund(&call, &handle, amount, None),
            ),
        ),
        _ => {
            if let Ok(Some(view)) = at_once(komoju.inquire(&call, &handle)) {
                assert!(status < 400, "an error shows no payment");
                believed(&view);
            }
        }
    }
    let told = serde_json::to_string(&call.take_exchanges()).expect("plain data");
    assert!(
        !told.contains("sk_test_1") && !told.contains(TOKEN),
        "a secret is in the timeline"
    );
    pieces(body);
}

/// The pieces of replies, each read by itself.
fn pieces(body: &[u8]) {
    let Ok(value) = wire::parse(body) else { return };
    let _ = wire::ErrorBody::find(&value);
    let _ = (
        wire::Session::read(&value),
        wire::PayResult::read(&value),
        wire::Page::read(&value),
    );
    let _ = (
        wire::Token::read(&value),
        wire::SecureToken::read(&value),
        wire::Customer::read(&value),
    );
    if let Ok(payment) = wire::Payment::read(&value) {
        assert!(!payment.id.is_empty());
        if let Ok(view) = kessai_provider_komoju::map::view(&payment) {
            believed(&view);
        }
        let read_again: Value = serde_json::from_str(&value.to_string()).expect("JSON printed is JSON");
        assert_eq!(
            wire::Payment::read(&read_again).as_ref(),
            Ok(&payment),
            "printed and read again"
        );
    }
    if let Some(amount) = value.get("amount") {
        let (number, text) = (
            wire::minor(amount),
            wire::minor(&Value::from(amount.to_string().trim_matches('"'))),
        );
        assert!(
            number.is_none() || number == text,
            "an amount as number and as text: {amount}"
        );
    }
}

/// A server error is doubt, not refusal; what went well shows a payment that makes sense.
fn outcome(status: u16, outcome: Outcome<View>) {
    match outcome {
        Outcome::Succeeded(view) | Outcome::Pending(view) => {
            assert!(status < 300, "{status} is no success");
            believed(&view);
        }
        Outcome::Declined(_) => assert!(
            matches!(status, 200..=299 | 400..=499 | 502),
            "{status} does not say that no money moved"
        ),
        Outcome::Rejected(_) => assert!(
            matches!(status, 200..=299 | 400..=499),
            "{status} is not our fault"
        ),
        Outcome::NotSent(_) | Outcome::Unknown(_) => {}
    }
}

/// Whatever a view says, folding it leaves sound books, twice is once, and only names that are there are believed.
fn believed(view: &View) {
    assert!(
        !view.reference.is_empty() || view.session.is_some(),
        "a payment without a name"
    );
    assert!(view.next.is_none() || view.status == Status::Pending);
    for mode in [CaptureMode::Auto, CaptureMode::Manual] {
        for asked in [1_000, view.total.minor().max(1)] {
            let Ok(asked) = Money::new(asked, Currency::JPY) else {
                continue;
            };
            let mut state = State::new(asked, mode);
            for fact in view.facts() {
                let _ = state.fold(&fact);
                state.assert_sound();
            }
            let once = state.clone();
            for fact in view.facts() {
                let _ = state.fold(&fact);
            }
            assert_eq!(once, state, "the same view twice changes nothing");
        }
    }
}

/// A notification: as it came, and with a signature under which it is genuine.
pub(crate) fn webhook(bytes: &[u8]) {
    const SECRET: &str = "whsec_1";
    let account = account(SECRET);
    let (given, body) = bytes.split_at(bytes.len().min(64));
    let read = |signature: Option<&str>, body: &[u8]| {
        let headers: Vec<(String, String)> = signature
            .into_iter()
            .map(|signature| ("x-komoju-signature".to_owned(), signature.to_owned()))
            .collect();
        Komoju.read_notification(
            &account,
            &RawNotification {
                headers: &headers,
                body,
            },
        )
    };
    let genuine = |body: &[u8]| hex::encode(kessai_engine::vault::hmac_sha256(SECRET.as_bytes(), body));
    // Made up by anybody: the bytes themselves as the signature of the rest.
    let forged = String::from_utf8_lossy(given);
    if forged.trim().to_ascii_lowercase() != genuine(body) {
        assert_eq!(read(Some(&forged), body), Err(NotificationRejected::Mismatch));
    }
    assert_eq!(read(None, bytes), Err(NotificationRejected::Unsigned));
    // Genuine: only its content can still be odd, and the same bytes are the same notification.
    let signature = genuine(bytes);
    match read(Some(&signature), bytes) {
        Ok(notification) => {
            assert!(!notification.dedupe.is_empty() && !notification.kind.is_empty());
            assert_eq!(read(Some(&signature), bytes), Ok(notification));
        }
        Err(rejected) => assert_eq!(rejected, NotificationRejected::Unreadable),
    }
    // With another secret it is not believed.
    let stranger = self::account("whsec_2");
    let headers = [("x-komoju-signature".to_owned(), signature)];
    let raw = RawNotification {
        headers: &headers,
        body: bytes,
    };
    assert_eq!(
        Komoju.read_notification(&stranger, &raw),
        Err(NotificationRejected::Mismatch)
    );
}
