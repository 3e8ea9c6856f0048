//! The shopper's other pages: the bank's check, waiting, and the ends a session can come to.
use crate::parts::Frame;
use crate::{Csp, Locale, State, csp, format};

/// The host of the bank's 3-D Secure page.
#[derive(Debug, Clone)]
pub struct ThreeDSecure {
    /// Shop, time, address.
    pub frame: Frame,
    /// The session's id.
    pub session_id: String,
    /// What is being paid.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// The provider's page, shown in a frame.
    pub url: String,
}

/// What the bank's page comes back to, inside the frame: it sends the whole window on.
#[derive(Debug, Clone)]
pub struct FrameReturn {
    /// Shop, time, address.
    pub frame: Frame,
    /// Where the window goes: `/sessions/{id}/return`.
    pub onward: String,
}

/// The outcome is not known yet.
#[derive(Debug, Clone)]
pub struct Processing {
    /// Shop, time, address.
    pub frame: Frame,
    /// What is being paid.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// The number to quote.
    pub reference: String,
    /// Asked every five seconds (see `assets/poll.js`).
    pub status_url: String,
    /// Back to the shop.
    pub return_url: Option<String>,
}

/// Paid, and the shop named no page to go back to.
#[derive(Debug, Clone)]
pub struct Completed {
    /// Shop, time, address.
    pub frame: Frame,
    /// What was paid.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// Captured, or authorized: accepted.
    pub state: State,
    /// How: the method's slug.
    pub method: String,
    /// Shown instead of the method's name, such as `Visa •••• 1111`.
    pub method_detail: Option<String>,
    /// When.
    pub paid_at: Option<jiff::Timestamp>,
    /// The shop's order number.
    pub order_number: Option<String>,
    /// The payment's number.
    pub payment_id: String,
    /// Back to the shop.
    pub return_url: Option<String>,
}

/// Too late.
#[derive(Debug, Clone)]
pub struct Expired {
    /// Shop, time, address.
    pub frame: Frame,
    /// The number to quote.
    pub reference: String,
    /// Back to the shop.
    pub return_url: Option<String>,
}

/// Called off by the shop or the shopper.
#[derive(Debug, Clone)]
pub struct Cancelled {
    /// Shop, time, address.
    pub frame: Frame,
    /// The number to quote.
    pub reference: String,
    /// Back to the shop.
    pub return_url: Option<String>,
}

/// No such page. Shown to anybody, so that it names no shop.
#[derive(Debug, Clone)]
pub struct NotFound {
    /// Whether real money moves here.
    pub live: bool,
    /// Path and query of this page.
    pub here: String,
}

/// Something of ours broke.
#[derive(Debug, Clone)]
pub struct ServerError {
    /// Whether real money moves here.
    pub live: bool,
    /// Path and query of this page.
    pub here: String,
    /// The request's number, to quote.
    pub reference: String,
}

impl NotFound {
    fn in_locale(&self, locale: Locale) -> String {
        crate::parts::with_query(&self.here, "locale", locale.tag())
    }
}

impl ServerError {
    fn in_locale(&self, locale: Locale) -> String {
        crate::parts::with_query(&self.here, "locale", locale.tag())
    }
}

macro_rules! priced {
    ($($page:ident),+) => { $(
        impl $page {
            fn price(&self) -> String {
                format::money(self.amount, &self.currency)
            }
        }
    )+ };
}
priced!(ThreeDSecure, Processing, Completed);

impl Completed {
    fn method_text(&self, l: Locale) -> String {
        match &self.method_detail {
            Some(detail) => detail.clone(),
            None => l.method_name(&self.method),
        }
    }
}

crate::page!(
    ThreeDSecure,
    ThreeDSecureView,
    "shopper/three_d_secure.html",
    |page| {
        let mut policy = Csp::default();
        policy.frame.extend(csp::origin(&page.url));
        policy
    }
);
crate::page!(
    FrameReturn,
    FrameReturnView,
    "shopper/frame_return.html",
    |_page| Csp {
        framed_by_us: true,
        ..Csp::default()
    }
);
crate::page!(Processing, ProcessingView, "shopper/processing.html");
crate::page!(Completed, CompletedView, "shopper/completed.html");
crate::page!(Expired, ExpiredView, "shopper/expired.html");
crate::page!(Cancelled, CancelledView, "shopper/cancelled.html");
crate::page!(NotFound, NotFoundView, "shopper/not_found.html");
crate::page!(ServerError, ServerErrorView, "shopper/server_error.html");

const SESSION: &str = "63r9bjkqklasnofxttq7z9abc";
const SHOP: &str = "https://shop.example/";

impl ThreeDSecure {
    fn sample_data() -> Vec<(&'static str, Self)> {
        let page = Self {
            frame: Frame::sample("/sessions/63r9bjkqklasnofxttq7z9abc/3ds"),
            session_id: SESSION.into(),
            amount: 3980,
            currency: "JPY".into(),
            url: "https://komoju.com/three_d_secure_service/offsite?token=abc".into(),
        };
        vec![("frame", page)]
    }
}

impl FrameReturn {
    fn sample_data() -> Vec<(&'static str, Self)> {
        let frame = Frame::sample("/sessions/63r9bjkqklasnofxttq7z9abc/3ds/return");
        vec![(
            "onward",
            Self {
                frame,
                onward: format!("/sessions/{SESSION}/return"),
            },
        )]
    }
}

impl Processing {
    fn sample_data() -> Vec<(&'static str, Self)> {
        let page = Self {
            frame: Frame::sample("/sessions/63r9bjkqklasnofxttq7z9abc/return"),
            amount: 3980,
            currency: "JPY".into(),
            reference: "bk3lh5xnsj25e22mn7zo2mgqh".into(),
            status_url: format!("/sessions/{SESSION}/status"),
            return_url: Some(SHOP.into()),
        };
        vec![("unknown", page)]
    }
}

impl Completed {
    fn sample_data() -> Vec<(&'static str, Self)> {
        let page = Self {
            frame: Frame::sample("/sessions/63r9bjkqklasnofxttq7z9abc"),
            amount: 3980,
            currency: "JPY".into(),
            state: State::Captured,
            method: "credit_card".into(),
            method_detail: Some("Visa •••• 1111".into()),
            paid_at: Some(crate::sample_now()),
            order_number: Some("MZ-20261121-0042".into()),
            payment_id: "bk3lh5xnsj25e22mn7zo2mgqh".into(),
            return_url: None,
        };
        let accepted = Self {
            state: State::Authorized,
            method: "paypay".into(),
            method_detail: None,
            order_number: None,
            paid_at: None,
            return_url: Some(SHOP.into()),
            ..page.clone()
        };
        vec![("paid", page), ("accepted", accepted)]
    }
}

macro_rules! ended {
    ($page:ident, $name:literal) => {
        impl $page {
            fn sample_data() -> Vec<(&'static str, Self)> {
                let page = Self {
                    frame: Frame::sample("/sessions/63r9bjkqklasnofxttq7z9abc"),
                    reference: SESSION.into(),
                    return_url: Some(SHOP.into()),
                };
                vec![
                    ($name, page.clone()),
                    (
                        "nowhere-to-go",
                        Self {
                            return_url: None,
                            ..page
                        },
                    ),
                ]
            }
        }
    };
}
ended!(Expired, "expired");
ended!(Cancelled, "cancelled");

impl NotFound {
    fn sample_data() -> Vec<(&'static str, Self)> {
        vec![(
            "not-found",
            Self {
                live: true,
                here: "/sessions/unknown".into(),
            },
        )]
    }
}

impl ServerError {
    fn sample_data() -> Vec<(&'static str, Self)> {
        vec![(
            "broken",
            Self {
                live: false,
                here: "/sessions/x".into(),
                reference: "req_01J9Z8".into(),
            },
        )]
    }
}
