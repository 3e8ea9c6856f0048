//! The demo shop, a small tea merchant with a face of its own.
use crate::{Locale, State, format};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A tea on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tea {
    /// Its name in forms and text keys.
    pub slug: &'static str,
    /// Its price in yen, tax included.
    pub price: i64,
    /// The asset that draws it.
    pub image: &'static str,
}

/// From how many on the shelf says how many are left.
const LAST_FEW: i64 = 10;

/// The three teas.
pub const TEAS: [Tea; 3] = [
    Tea {
        slug: "hojicha",
        price: 1200,
        image: "tea/hojicha.svg",
    },
    Tea {
        slug: "sencha",
        price: 1980,
        image: "tea/sencha.svg",
    },
    Tea {
        slug: "matcha",
        price: 3980,
        image: "tea/matcha.svg",
    },
];

impl Tea {
    /// The tea of a slug.
    pub fn find(slug: &str) -> Option<Self> {
        TEAS.into_iter().find(|tea| tea.slug == slug)
    }

    /// What it is called.
    pub fn name(&self, l: Locale) -> String {
        l.t(&format!("tea-{}", self.slug))
    }

    fn words(&self, l: Locale) -> String {
        l.t(&format!("tea-{}-words", self.slug))
    }

    fn weight(&self, l: Locale) -> String {
        l.t(&format!("tea-{}-weight", self.slug))
    }

    fn price_text(&self) -> String {
        format::yen(self.price)
    }

    fn image_url(&self) -> &'static str {
        crate::asset_url(self.image)
    }
}

/// What every page of the tea shop has around it.
#[derive(Debug, Clone)]
pub struct TeaFrame {
    /// Now.
    pub now: Timestamp,
    /// Path and query of this page.
    pub here: String,
    /// Where the tea shop lives: `/demo`, without a slash at its end, or empty.
    pub base: String,
}

impl TeaFrame {
    fn in_locale(&self, locale: Locale) -> String {
        crate::parts::with_query(&self.here, "locale", locale.tag())
    }

    fn sample(here: &str) -> Self {
        Self {
            now: crate::sample_now(),
            here: here.into(),
            base: "/demo".into(),
        }
    }
}

/// The shelf. Each tea's form posts `product` and `quantity` to `{base}/buy`.
#[derive(Debug, Clone)]
pub struct TeaShop {
    /// Around it.
    pub frame: TeaFrame,
    /// What could not be done: a text key such as `tea-sold-out`.
    pub problem: Option<String>,
    /// What is left of each tea, by slug; a tea that is not named is not counted.
    pub left: BTreeMap<String, i64>,
    /// Where the checkout is, as `https://pay.example`: the buy form's redirect leads there.
    pub checkout: String,
}

/// An order of the tea shop.
#[derive(Debug, Clone)]
pub struct TeaOrderRow {
    /// Its number.
    pub number: String,
    /// The tea's slug.
    pub product: String,
    /// How many.
    pub quantity: u32,
    /// What it costs.
    pub amount: i64,
    /// Where its payment stands.
    pub state: State,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When a notification said it was paid.
    pub paid_at: Option<Timestamp>,
}

impl TeaOrderRow {
    fn tea(&self, l: Locale) -> String {
        Tea::find(&self.product).map_or_else(|| self.product.clone(), |tea| tea.name(l))
    }

    fn price(&self) -> String {
        format::yen(self.amount)
    }
}

/// The shop's orders, which turn to paid when the notification comes in.
#[derive(Debug, Clone)]
pub struct TeaOrders {
    /// Around it.
    pub frame: TeaFrame,
    /// Newest first.
    pub rows: Vec<TeaOrderRow>,
    /// Asked every five seconds; answers `{"state":"…"}` where the state is any text that changes with the list.
    pub status_url: String,
    /// That text now.
    pub fingerprint: String,
}

/// A notification the tea shop took in.
#[derive(Debug, Clone)]
pub struct WebhookLine {
    /// When.
    pub at: Timestamp,
    /// `payment.captured`.
    pub event: String,
    /// Whether its signature was right.
    pub verified: bool,
}

/// Where the shopper lands after paying, or after not paying.
#[derive(Debug, Clone)]
pub struct TeaOrder {
    /// Around it.
    pub frame: TeaFrame,
    /// The order.
    pub order: TeaOrderRow,
    /// What came in, newest first.
    pub log: Vec<WebhookLine>,
    /// The timeline in the back office.
    pub timeline_href: Option<String>,
    /// The slip, while it is to be paid.
    pub instructions_href: Option<String>,
    /// The checkout, while it can be tried again.
    pub retry_href: Option<String>,
    /// Asked every five seconds, until it is settled and, when paid, a notification has said so; answers `{"state":"…"}` where the
    /// state is any text that changes with the order.
    pub status_url: String,
    /// That text now.
    pub fingerprint: String,
}

impl TeaOrder {
    /// Which of the three results: the last part of the text keys.
    fn result(&self) -> &'static str {
        match self.order.state {
            State::Captured | State::Authorized | State::AwaitingCapture | State::Shipped => "paid",
            State::AwaitingPayment => "waiting",
            // Nothing was sent to anybody yet: there is no payment to show.
            State::Pending if self.timeline_href.is_none() => "unpaid",
            State::Pending | State::Confirming | State::OrderUnconfirmed | State::Discrepancy => "checking",
            State::PartlyRefunded | State::Refunded => "refunded",
            State::Cancelled | State::Expired | State::Failed => "unpaid",
        }
    }

    fn headline(&self, l: Locale) -> String {
        l.t(&format!("order-{}", self.result()))
    }

    fn words(&self, l: Locale) -> String {
        l.t(&format!("order-{}-words", self.result()))
    }

    fn is_open(&self) -> bool {
        let told = || self.log.iter().any(|line| line.event == "payment.captured");
        !self.order.state.is_settled() || (self.order.state == State::Captured && !told())
    }

    fn image_url(&self) -> &'static str {
        Tea::find(&self.order.product).map_or_else(|| crate::asset_url("tea/leaf.svg"), |tea| tea.image_url())
    }
}

impl TeaShop {
    fn teas(&self) -> [Tea; 3] {
        TEAS
    }

    /// What a shopper should know about how many are left, if anything.
    fn left(&self, l: Locale, tea: &Tea) -> Option<String> {
        match self.left.get(tea.slug)? {
            ..=0 => Some(l.t("tea-left-none")),
            n @ ..=LAST_FEW => Some(l.t1("tea-left", "n", n)),
            _ => None,
        }
    }

    fn sold_out(&self, tea: &Tea) -> bool {
        self.left.get(tea.slug).is_some_and(|left| *left <= 0)
    }

    /// The quantities to choose from.
    fn quantities(&self, tea: &Tea) -> std::ops::RangeInclusive<i64> {
        1..=self.left.get(tea.slug).map_or(5, |left| (*left).clamp(1, 5))
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let page = Self {
            frame: TeaFrame::sample("/demo"),
            problem: None,
            left: BTreeMap::from([("sencha".to_owned(), 3), ("matcha".to_owned(), 0)]),
            checkout: "https://pay.example".into(),
        };
        vec![
            ("shelf", page.clone()),
            (
                "sold-out",
                Self {
                    problem: Some("tea-sold-out".into()),
                    ..page.clone()
                },
            ),
            (
                "problem",
                Self {
                    problem: Some("tea-problem".into()),
                    ..page
                },
            ),
        ]
    }
}

fn sample_order(n: u32, product: &str, quantity: u32, state: State) -> TeaOrderRow {
    TeaOrderRow {
        number: format!("HN-{:05}", 1042 - n),
        product: product.into(),
        quantity,
        amount: Tea::find(product).map_or(0, |tea| tea.price) * i64::from(quantity),
        state,
        placed_at: crate::sample_time("2026-11-21T04:58:00Z"),
        paid_at: (state == State::Captured).then(crate::sample_now),
    }
}

impl TeaOrders {
    fn sample_data() -> Vec<(&'static str, Self)> {
        let page = Self {
            frame: TeaFrame::sample("/demo/orders"),
            rows: vec![
                sample_order(0, "matcha", 1, State::Captured),
                sample_order(1, "sencha", 2, State::AwaitingPayment),
                sample_order(2, "hojicha", 1, State::Failed),
            ],
            status_url: "/demo/orders/status".into(),
            fingerprint: "3-abc".into(),
        };
        vec![
            ("some", page.clone()),
            (
                "none",
                Self {
                    rows: Vec::new(),
                    ..page
                },
            ),
        ]
    }
}

impl TeaOrder {
    fn sample_data() -> Vec<(&'static str, Self)> {
        let paid = Self {
            frame: TeaFrame::sample("/demo/orders/HN-01042"),
            order: sample_order(0, "matcha", 1, State::Captured),
            log: vec![
                WebhookLine {
                    at: crate::sample_now(),
                    event: "payment.captured".into(),
                    verified: true,
                },
                WebhookLine {
                    at: crate::sample_time("2026-11-21T04:59:58Z"),
                    event: "payment.authorized".into(),
                    verified: true,
                },
            ],
            timeline_href: Some("/shop/payments/bk3lh5xnsj25e22mn7zo2mgqh".into()),
            instructions_href: None,
            retry_href: None,
            status_url: "/demo/orders/HN-01042/status".into(),
            fingerprint: "captured-2".into(),
        };
        let waiting = Self {
            order: sample_order(1, "sencha", 2, State::AwaitingPayment),
            instructions_href: Some("/instructions/bk3lh5xnsj25e22mn7zo2mgqh".into()),
            ..paid.clone()
        };
        let checking = Self {
            order: sample_order(1, "sencha", 2, State::Confirming),
            log: Vec::new(),
            ..paid.clone()
        };
        let unpaid = Self {
            order: sample_order(2, "hojicha", 1, State::Failed),
            log: vec![WebhookLine {
                at: crate::sample_now(),
                event: "payment.failed".into(),
                verified: false,
            }],
            retry_href: Some("/sessions/63r9bjkqklasnofxttq7z9abc".into()),
            ..paid.clone()
        };
        let refunded = Self {
            order: sample_order(0, "matcha", 1, State::Refunded),
            ..paid.clone()
        };
        vec![
            ("paid", paid),
            ("waiting", waiting),
            ("checking", checking),
            ("unpaid", unpaid),
            ("refunded", refunded),
        ]
    }
}

crate::page!(TeaShop, TeaShopView, "demo/shop.html", |page| crate::Csp {
    form: crate::csp::origin(&page.checkout).into_iter().collect(),
    ..crate::Csp::default()
});
crate::page!(TeaOrders, TeaOrdersView, "demo/orders.html");
crate::page!(TeaOrder, TeaOrderView, "demo/order.html");
