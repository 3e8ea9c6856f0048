//! Notifications: whether KOMOJU sent them, and what they are about.
use aws_lc_rs::hmac;
use kessai_core::Secret;
use kessai_provider::port::{Account, Notification, NotificationRejected, RawNotification};
use serde_json::Value;

/// The header that carries the signature.
pub const SIGNATURE: &str = "x-komoju-signature";

/// Checks that KOMOJU sent this notification.
///
/// `body` is the bytes as received: JSON parsed and written again has another signature. `signature` is the
/// `X-Komoju-Signature` header, the hex of HMAC-SHA256 under `secret`. Compared in constant time. Does not look at age;
/// replays are refused by the inbox.
///
/// # Errors
/// [`NotificationRejected::Unsigned`] without the header, [`NotificationRejected::Mismatch`] for anything else that does
/// not match: bad hex, and an empty secret, under which anybody could sign.
///
/// Source: docs/providers/komoju.md, "Webhooks".
pub fn verify(body: &[u8], signature: Option<&str>, secret: &Secret) -> Result<(), NotificationRejected> {
    let given = signature.ok_or(NotificationRejected::Unsigned)?;
    let given = hex::decode(given).map_err(|_| NotificationRejected::Mismatch)?;
    if secret.expose().is_empty() {
        return Err(NotificationRejected::Mismatch);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hmac::verify(&key, body, &given).map_err(|_| NotificationRejected::Mismatch)
}

/// Verifies under the account's `webhook_secret`, or under `webhook_secret_previous` while keys rotate; then reads.
pub(crate) fn read(
    account: &Account,
    raw: &RawNotification<'_>,
) -> Result<Notification, NotificationRejected> {
    let signature = raw
        .headers
        .iter()
        .find(|(name, _)| name == SIGNATURE)
        .map(|(_, value)| value.trim());
    let mut verdict = match signature {
        Some(_) => Err(NotificationRejected::Mismatch),
        None => Err(NotificationRejected::Unsigned),
    };
    for name in ["webhook_secret", "webhook_secret_previous"] {
        if let Some(secret) = account.secrets.get(name) {
            verdict = verdict.or_else(|_| verify(raw.body, signature, secret));
        }
    }
    verdict?;
    event(raw.body).ok_or(NotificationRejected::Unreadable)
}

fn event(body: &[u8]) -> Option<Notification> {
    let event: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(Box::<str>::from)
    };
    let kind = text(&event, "type")?;
    let dedupe = text(&event, "id")?;
    let data = event.get("data").unwrap_or(&Value::Null);
    // A refund names its payment; requests for bank refunds, customers and the rest are about no payment's money.
    let (reference, key) = match data.get("resource").and_then(Value::as_str) {
        Some("payment") => (text(data, "id"), text(data, "external_order_num")),
        Some("refund") => (text(data, "payment"), None),
        _ => (None, None),
    };
    Some(Notification {
        dedupe,
        kind,
        reference,
        key,
    })
}
