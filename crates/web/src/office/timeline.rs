//! A payment's timeline: who did what, when, and what changed.
use crate::{Locale, State, format};
use jiff::Timestamp;

/// Who or what made something happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The shopper, on our pages.
    Shopper,
    /// The shop's system, through the API.
    Shop,
    /// A clerk, by name.
    Clerk(String),
    /// A provider, by name: `KOMOJU`.
    Provider(String),
    /// Kessai itself: a job or a deadline.
    Hub,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told by its text")]
pub enum Happening {
    SessionOpened,
    MethodChosen,
    SlipIssued,
    AuthorizeAsked,
    Authorized,
    CaptureAsked,
    Captured,
    RefundAsked,
    Refunded,
    CancelAsked,
    Cancelled,
    Expired,
    Declined,
    ReplyLost,
    Inquired,
    Notified,
    WebhookDelivered,
    WebhookFailed,
    DiscrepancyFound,
    DiscrepancySettled,
    Noted,
    ClockMoved,
}

impl Happening {
    /// All of them.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::SessionOpened, "session-opened"),
        (Self::MethodChosen, "method-chosen"),
        (Self::SlipIssued, "slip-issued"),
        (Self::AuthorizeAsked, "authorize-asked"),
        (Self::Authorized, "authorized"),
        (Self::CaptureAsked, "capture-asked"),
        (Self::Captured, "captured"),
        (Self::RefundAsked, "refund-asked"),
        (Self::Refunded, "refunded"),
        (Self::CancelAsked, "cancel-asked"),
        (Self::Cancelled, "cancelled"),
        (Self::Expired, "expired"),
        (Self::Declined, "declined"),
        (Self::ReplyLost, "reply-lost"),
        (Self::Inquired, "inquired"),
        (Self::Notified, "notified"),
        (Self::WebhookDelivered, "webhook-delivered"),
        (Self::WebhookFailed, "webhook-failed"),
        (Self::DiscrepancyFound, "discrepancy-found"),
        (Self::DiscrepancySettled, "discrepancy-settled"),
        (Self::Noted, "noted"),
        (Self::ClockMoved, "clock-moved"),
    ];

    fn slug(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == self)
            .map_or("", |(_, slug)| slug)
    }
}

/// A request or a reply, masked before it gets here: no card number, security code, token or key.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// `POST /api/v1/payments` or `200 OK, 182 ms`.
    pub head: String,
    /// The body, indented.
    pub body: String,
}

/// One moment of a payment's life.
#[derive(Debug, Clone)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Who,
    /// What.
    pub what: Happening,
    /// The state after it, when it changed.
    pub becomes: Option<State>,
    /// The amount it was about, already formatted with its currency by [`format::money`]. Empty when none.
    pub amount: String,
    /// A line of detail: an error code, a note, the address of a webhook.
    pub detail: Option<String>,
    /// What was sent.
    pub request: Option<Exchange>,
    /// What came back.
    pub reply: Option<Exchange>,
}

impl Moment {
    pub(super) fn who_text(&self, l: Locale) -> String {
        match &self.who {
            Who::Shopper => l.t("who-shopper"),
            Who::Shop => l.t("who-shop"),
            Who::Hub => l.t("who-hub"),
            Who::Clerk(name) | Who::Provider(name) => name.clone(),
        }
    }

    pub(super) fn what_text(&self, l: Locale) -> String {
        l.t(&format!("happening-{}", self.what.slug()))
    }

    pub(super) fn clock(&self) -> String {
        format::clock_seconds(self.at)
    }

    pub(super) fn day(&self, l: Locale) -> String {
        format::day(self.at, l)
    }

    pub(super) fn dot(&self) -> &'static str {
        match (self.becomes, self.what) {
            (Some(state), _) => state.tone().class(),
            (None, Happening::Declined | Happening::DiscrepancyFound | Happening::WebhookFailed) => "bad",
            (None, Happening::ReplyLost) => "wait",
            (None, Happening::WebhookDelivered) => "good",
            (None, _) => "quiet",
        }
    }
}

pub(super) fn sample() -> Vec<Moment> {
    let moment = |at: &str, who, what| Moment {
        at: crate::sample_time(at),
        who,
        what,
        becomes: None,
        amount: String::new(),
        detail: None,
        request: None,
        reply: None,
    };
    let komoju = || Who::Provider("KOMOJU".into());
    let exchange = |head: &str, body: &str| {
        Some(Exchange {
            head: head.into(),
            body: body.into(),
        })
    };
    vec![
        Moment {
            detail: Some("payment.refunded → https://shop.example/hooks (200)".into()),
            ..moment("2026-11-21T05:04:02Z", Who::Hub, Happening::WebhookDelivered)
        },
        Moment {
            becomes: Some(State::PartlyRefunded),
            amount: format::yen(1980),
            request: exchange(
                "POST /api/v1/payments/bk3lh5xnsj25e22mn7zo2mgqh/refund",
                "{\n  \"amount\": 1980,\n  \"description\": \"欠品のため\"\n}",
            ),
            reply: exchange(
                "200 OK, 182 ms",
                "{\n  \"status\": \"captured\",\n  \"amount_refunded\": 1980\n}",
            ),
            ..moment("2026-11-21T05:04:01Z", komoju(), Happening::Refunded)
        },
        Moment {
            amount: format::yen(1980),
            detail: Some("欠品のため".into()),
            ..moment(
                "2026-11-21T05:04:00Z",
                Who::Clerk("佐藤 美咲".into()),
                Happening::RefundAsked,
            )
        },
        Moment {
            becomes: Some(State::Captured),
            amount: format::yen(5940),
            reply: exchange(
                "200 OK, 96 ms",
                "{\n  \"status\": \"captured\",\n  \"total\": 5940\n}",
            ),
            ..moment("2026-11-20T13:09:42Z", Who::Hub, Happening::Inquired)
        },
        Moment {
            becomes: Some(State::Confirming),
            amount: format::yen(5940),
            detail: Some("timeout after 10 s".into()),
            request: exchange(
                "POST /api/v1/payments",
                "{\n  \"amount\": 5940,\n  \"currency\": \"JPY\",\n  \"payment_details\": \"tok_••••\"\n}",
            ),
            ..moment("2026-11-20T13:09:22Z", komoju(), Happening::ReplyLost)
        },
        Moment {
            detail: Some("credit_card".into()),
            ..moment("2026-11-20T13:09:10Z", Who::Shopper, Happening::MethodChosen)
        },
        Moment {
            becomes: Some(State::Pending),
            amount: format::yen(5940),
            ..moment("2026-11-20T13:07:55Z", Who::Shop, Happening::SessionOpened)
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_happen_has_a_sentence() {
        for l in Locale::ALL {
            for (_, slug) in Happening::ALL {
                assert!(l.has(&format!("happening-{slug}")), "{slug}");
            }
        }
    }
}
