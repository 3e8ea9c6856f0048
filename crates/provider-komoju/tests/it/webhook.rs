//! Notifications against the two worked examples of the reference.
use kessai_core::Secret;
use kessai_provider::port::{Account, Notification, NotificationRejected, Provider, RawNotification};
use kessai_provider_komoju::Komoju;
use std::collections::BTreeMap;

const CAPTURED: &str = r#"{"id":"6h49xdt2jmiq55ffigjz4g5da","type":"payment.captured","resource":"event","data":{"id":"bk3lh5xnsj25e22mn7zo2mgqh","resource":"payment","status":"captured","amount":1200,"tax":0,"currency":"JPY","total":1200,"external_order_num":"ORDER-1","session":"63r9bjkqklasnofxttq7z9abc"},"created_at":"2026-01-15T03:04:05Z","reason":null}"#;
const CAPTURED_SIGNED: &str = "bae66b9079a5e33c12c89602408bd8eae142a6251fc434e76d9f1fbea4c1c610";
const PING: &str = r#"{"id":"x","type":"ping","resource":"event","data":{"名前":"山田"},"created_at":"2026-01-15T03:04:05Z","reason":null}"#;
const PING_SIGNED: &str = "160da026e7744fcddd5cb0d9dbb6c0c4e7a813ede2069d827f9c5682314dd855";

fn read(
    secrets: &[(&str, &str)],
    signature: Option<&str>,
    body: &[u8],
) -> Result<Notification, NotificationRejected> {
    let account = Account {
        base_url: "https://komoju.example".into(),
        secrets: secrets
            .iter()
            .map(|(name, value)| ((*name).into(), Secret::new(*value)))
            .collect(),
        settings: BTreeMap::new(),
        live: false,
    };
    let headers: Vec<_> = signature
        .map(|value| ("x-komoju-signature".to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    Komoju.read_notification(
        &account,
        &RawNotification {
            headers: &headers,
            body,
        },
    )
}

const LOOPBACK: &[(&str, &str)] = &[("webhook_secret", "whsec_loopback")];

#[test]
fn the_references_worked_examples_are_believed() {
    assert_eq!((CAPTURED.len(), PING.len()), (333, 120));
    let captured = read(LOOPBACK, Some(CAPTURED_SIGNED), CAPTURED.as_bytes()).unwrap();
    assert_eq!(
        captured,
        Notification {
            dedupe: "6h49xdt2jmiq55ffigjz4g5da".into(),
            kind: "payment.captured".into(),
            reference: Some("bk3lh5xnsj25e22mn7zo2mgqh".into()),
            key: Some("ORDER-1".into()),
        }
    );
    let ping = read(LOOPBACK, Some(PING_SIGNED), PING.as_bytes()).unwrap();
    assert_eq!((&*ping.kind, ping.reference, ping.key), ("ping", None, None));
}

#[test]
fn whatever_else_is_signed_is_not() {
    let mismatch = Err(NotificationRejected::Mismatch);
    let body = CAPTURED.as_bytes();
    assert_eq!(read(LOOPBACK, None, body), Err(NotificationRejected::Unsigned));
    for signature in [
        "",
        "zz",
        &CAPTURED_SIGNED[..62],
        PING_SIGNED,
        &format!("sha256={CAPTURED_SIGNED}"),
    ] {
        assert_eq!(read(LOOPBACK, Some(signature), body), mismatch, "{signature}");
    }
    assert_eq!(
        read(&[("webhook_secret", "other")], Some(CAPTURED_SIGNED), body),
        mismatch
    );
    assert_eq!(read(&[], Some(CAPTURED_SIGNED), body), mismatch);
    let spaced = CAPTURED.replace(",\"type\"", ", \"type\"");
    assert_eq!(
        read(LOOPBACK, Some(CAPTURED_SIGNED), spaced.as_bytes()),
        mismatch,
        "the bytes are signed, not the JSON"
    );
}

#[test]
fn an_empty_secret_believes_nobody() {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"");
    let signature = hex::encode(aws_lc_rs::hmac::sign(&key, CAPTURED.as_bytes()));
    let read = read(&[("webhook_secret", "")], Some(&signature), CAPTURED.as_bytes());
    assert_eq!(read, Err(NotificationRejected::Mismatch));
}

#[test]
fn while_the_secret_rotates_both_are_believed() {
    for secrets in [
        [
            ("webhook_secret", "whsec_new"),
            ("webhook_secret_previous", "whsec_loopback"),
        ],
        [
            ("webhook_secret", "whsec_loopback"),
            ("webhook_secret_previous", "whsec_old"),
        ],
    ] {
        assert!(read(&secrets, Some(CAPTURED_SIGNED), CAPTURED.as_bytes()).is_ok());
    }
}

fn signed(body: &str) -> Result<Notification, NotificationRejected> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"whsec_loopback");
    let signature = hex::encode(aws_lc_rs::hmac::sign(&key, body.as_bytes()));
    read(LOOPBACK, Some(&signature), body.as_bytes())
}

#[test]
fn only_payments_and_their_refunds_name_a_payment() {
    let refund = signed(
        r#"{"id":"e1","type":"payment.refund.created","data":{"id":"r1","resource":"refund","payment":"p1"}}"#,
    );
    assert_eq!(refund.unwrap().reference.as_deref(), Some("p1"));
    for data in [
        r#"{"id":"c1","resource":"customer"}"#,
        r#"{"id":"q1","payment":"p1"}"#,
        "null",
        "[]",
    ] {
        let read = signed(&format!(
            r#"{{"id":"e1","type":"refund_request.updated","data":{data}}}"#
        ))
        .unwrap();
        assert_eq!(
            (&*read.kind, read.reference, read.key),
            ("refund_request.updated", None, None),
            "{data}"
        );
    }
}

#[test]
fn genuine_nonsense_is_unreadable() {
    let deep = "[".repeat(10_000);
    for body in [
        "",
        "{}",
        "null",
        r#"{"id":"e1"}"#,
        r#"{"id":"","type":"ping"}"#,
        r#"{"id":1,"type":"ping"}"#,
        &deep,
    ] {
        assert_eq!(signed(body), Err(NotificationRejected::Unreadable));
    }
}
