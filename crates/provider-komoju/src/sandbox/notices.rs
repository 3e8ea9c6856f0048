//! Webhooks out: what is owed, how it is signed, when it is tried again. Source: docs/providers/komoju.md, section 14.
use super::KomojuSandbox;
use super::desk::{Desk, EVENT, event_body};
use super::error::Done;
use super::model::Hook;
use aws_lc_rs::hmac;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use kessai_core::id::random_text;
use kessai_provider::sandbox::{BooksError, FaultKind, Notice};
use kessai_provider::transport::{Method, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Seconds until the next try: 1 m, 5 m, 30 m, 2 h, 6 h, 12 h, 24 h.
const RETRIES: [i64; 7] = [60, 300, 1_800, 7_200, 21_600, 43_200, 86_400];
const LEASE: SignedDuration = SignedDuration::from_secs(60);
const TIMEOUT_MS: u64 = 10_000;

/// What a notice in the books says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    /// `X-Komoju-ID`.
    delivery: String,
    event: String,
    kind: String,
    /// A payment's own webhook instead of the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hook: Option<Hook>,
    /// Signed with a key nobody gave out.
    #[serde(default)]
    forged: bool,
    /// Not tried again.
    #[serde(default)]
    once: bool,
}

/// Lowercase hex HMAC-SHA256 over the raw body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    hex::encode(hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        body,
    ))
}

impl Desk<'_> {
    /// Owes an event to a webhook, with whatever goes wrong on the way. An empty body stands for the event's own.
    pub(super) fn owe(&self, kind: &str, event: &str, data: &Value, hook: Option<&Hook>) -> Done<()> {
        let drawn = self.house.faults.draw_for_notice(kind, &*self.house.entropy);
        self.house.save_faults(&drawn, self.page)?;
        let put = |at: Timestamp, body: &str, forged: bool, once: bool| -> Done<()> {
            let about = About {
                delivery: self.new_id(),
                event: event.to_owned(),
                kind: kind.to_owned(),
                hook: hook.cloned(),
                forged,
                once,
            };
            Ok(self.page.owe(at, &serde_json::to_string(&about)?, body)?)
        };
        let (mut at, mut body, mut copies) = (self.now, String::new(), 1);
        for fault in &drawn.kinds {
            match fault {
                FaultKind::NoticeDrop => copies = 0,
                FaultKind::NoticeDuplicate => copies = 2,
                FaultKind::NoticeReorder => at = later(at, 90),
                FaultKind::NoticeDelay { ms } => {
                    let ms = i64::try_from(*ms).unwrap_or(i64::MAX);
                    at = at
                        .saturating_add(SignedDuration::from_millis(ms))
                        .unwrap_or(Timestamp::MAX);
                }
                FaultKind::NoticeWrongAmount => {
                    let mut wrong = data.clone();
                    misstate(&mut wrong);
                    body = event_body(event, kind, &wrong, self.now, None);
                }
                FaultKind::NoticeForge => {
                    let mut forged = data.clone();
                    if forged.get("status").is_some() {
                        forged["status"] = json!("captured");
                    }
                    let id = self.new_id();
                    put(
                        self.now,
                        &event_body(&id, "payment.captured", &forged, self.now, None),
                        true,
                        true,
                    )?;
                }
                FaultKind::NoticeUnknownPayment => {
                    let mut unknown = data.clone();
                    unknown["id"] = json!(self.new_id());
                    unknown["external_order_num"] = Value::Null;
                    let id = self.new_id();
                    put(
                        self.now,
                        &event_body(&id, kind, &unknown, self.now, None),
                        false,
                        true,
                    )?;
                }
                _ => {}
            }
        }
        for _ in 0..copies {
            put(at, &body, false, false)?;
        }
        Ok(())
    }
}

/// Another amount than the true one.
pub(super) fn misstate(data: &mut Value) {
    for name in ["amount", "total"] {
        if let Some(amount) = data.get(name).and_then(Value::as_i64) {
            data[name] = json!(amount.saturating_add(1));
        }
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

impl KomojuSandbox {
    pub(super) fn take_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<Notice>, BooksError> {
        if limit == 0 || !self.books.may_owe(now) {
            return Ok(Vec::new());
        }
        let lease_until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
        self.books.write(|page| {
            let mut notices = Vec::new();
            for owed in page.take_notices(now, limit, lease_until)? {
                let about: About = serde_json::from_str(&owed.about)?;
                let body = match owed.body.is_empty() {
                    true => page.object(EVENT, &about.event)?.map(|event| event.body),
                    false => Some(owed.body),
                };
                let to = about
                    .hook
                    .as_ref()
                    .map(|hook| (hook.url.clone(), hook.secret_token.clone()));
                let Some(((url, secret), body)) = to.or_else(|| self.webhook_now()).zip(body) else {
                    page.notice_settled(owed.n)?;
                    continue;
                };
                let secret = if about.forged {
                    random_text(32, &*self.entropy)
                } else {
                    secret
                };
                let headers = [
                    ("content-type", "application/json".to_owned()),
                    ("user-agent", "Komoju-Webhook".to_owned()),
                    ("x-komoju-id", about.delivery),
                    ("x-komoju-event", about.kind),
                    ("x-komoju-signature", signature(&secret, body.as_bytes())),
                ];
                notices.push(Notice {
                    id: owed.n.to_string(),
                    request: Request {
                        method: Method::Post,
                        url,
                        headers: headers
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect(),
                        body: Bytes::from(body),
                        timeout_ms: TIMEOUT_MS,
                    },
                });
            }
            Ok(notices)
        })
    }

    pub(super) fn note_delivery(
        &self,
        id: &str,
        status: Option<u16>,
        now: Timestamp,
    ) -> Result<(), BooksError> {
        let Ok(n) = id.parse::<i64>() else { return Ok(()) };
        self.books.write(|page| {
            let Some(owed) = page.owed(n)? else { return Ok(()) };
            let about: About = serde_json::from_str(&owed.about)?;
            if about.once || status.is_some_and(|status| (200..300).contains(&status)) {
                return page.notice_settled(n);
            }
            let wait = usize::try_from(owed.tries)
                .ok()
                .and_then(|tries| RETRIES.get(tries));
            page.notice_failed(n, wait.map(|seconds| later(now, *seconds)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn the_reference_s_worked_examples_sign_alike() {
        let body = r#"{"id":"6h49xdt2jmiq55ffigjz4g5da","type":"payment.captured","resource":"event","data":{"id":"bk3lh5xnsj25e22mn7zo2mgqh","resource":"payment","status":"captured","amount":1200,"tax":0,"currency":"JPY","total":1200,"external_order_num":"ORDER-1","session":"63r9bjkqklasnofxttq7z9abc"},"created_at":"2026-01-15T03:04:05Z","reason":null}"#;
        assert_eq!(body.len(), 333);
        assert_eq!(
            signature("whsec_loopback", body.as_bytes()),
            "bae66b9079a5e33c12c89602408bd8eae142a6251fc434e76d9f1fbea4c1c610"
        );
        let body = r#"{"id":"x","type":"ping","resource":"event","data":{"名前":"山田"},"created_at":"2026-01-15T03:04:05Z","reason":null}"#;
        assert_eq!(
            signature("whsec_loopback", body.as_bytes()),
            "160da026e7744fcddd5cb0d9dbb6c0c4e7a813ede2069d827f9c5682314dd855"
        );
    }
}
