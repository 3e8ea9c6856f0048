//! The list of payments.
use super::{Section, Shell};
use crate::{Locale, State, format};
use jiff::Timestamp;

/// What the list is narrowed to. Every field is a query parameter of the same name; empty means all.
#[derive(Debug, Clone, Default)]
pub struct PaymentFilter {
    /// Number, order number, name or address.
    pub q: String,
    /// A [`State::slug`].
    pub state: String,
    /// A method's slug.
    pub method: String,
    /// From this day, `2026-11-01`.
    pub from: String,
    /// To this day.
    pub to: String,
}

impl PaymentFilter {
    fn is_empty(&self) -> bool {
        [&self.q, &self.state, &self.method, &self.from, &self.to]
            .into_iter()
            .all(String::is_empty)
    }
}

/// One payment in the list.
#[derive(Debug, Clone)]
pub struct PaymentRow {
    /// Its number.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: State,
    /// The shop's order number.
    pub order_number: Option<String>,
    /// Who pays. People get 様.
    pub customer: Option<String>,
    /// The method's slug.
    pub method: String,
    /// Such as `Visa •••• 1111` or the chain.
    pub method_detail: Option<String>,
    /// The amount.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// How much went back.
    pub refunded: i64,
}

impl PaymentRow {
    pub(super) fn price(&self) -> String {
        format::money(self.amount, &self.currency)
    }

    pub(super) fn returned(&self) -> Option<String> {
        (self.refunded > 0).then(|| format::money(-self.refunded, &self.currency))
    }

    pub(crate) fn href(&self) -> String {
        format!("/shop/payments/{}", self.id)
    }
}

/// Where the reader is in a long list. Pages are cursors: only whether there is a newer and an older one is known.
#[derive(Debug, Clone, Default)]
pub struct Pager {
    /// The first row's number in the whole list, from 1.
    pub first: i64,
    /// The last row's.
    pub last: i64,
    /// The page before.
    pub newer_href: Option<String>,
    /// The page after.
    pub older_href: Option<String>,
}

/// `GET /shop/payments`.
#[derive(Debug, Clone)]
pub struct PaymentList {
    /// Around it.
    pub shell: Shell,
    /// What it is narrowed to.
    pub filter: PaymentFilter,
    /// The methods to offer in the filter.
    pub methods: Vec<String>,
    /// At most 50.
    pub rows: Vec<PaymentRow>,
    /// How many match.
    pub count: i64,
    /// What the matching yen payments add up to.
    pub total: i64,
    /// Where in the list.
    pub pager: Pager,
    /// The same list as CSV.
    pub csv_href: Option<String>,
}

impl PaymentList {
    fn section(&self) -> Section {
        Section::Payments
    }

    fn total_text(&self) -> String {
        format::yen(self.total)
    }

    fn state_options(&self, l: Locale) -> Vec<(&'static str, String)> {
        let payment_states = [
            State::Pending,
            State::Authorized,
            State::AwaitingPayment,
            State::Confirming,
            State::Captured,
            State::PartlyRefunded,
            State::Refunded,
            State::Cancelled,
            State::Expired,
            State::Failed,
        ];
        payment_states.map(|state| (state.slug(), state.word(l))).into()
    }

    fn method_options(&self, l: Locale) -> Vec<(&str, String)> {
        self.methods
            .iter()
            .map(|slug| (slug.as_str(), l.method_name(slug)))
            .collect()
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let full = Self {
            shell: Shell::sample("/shop/payments"),
            filter: PaymentFilter::default(),
            methods: ["credit_card", "konbini", "paypay", "bank_transfer", "pay_easy"]
                .map(String::from)
                .into(),
            rows: sample_rows(),
            count: 128,
            total: 1_204_310,
            pager: Pager {
                first: 1,
                last: 11,
                newer_href: None,
                older_href: Some("/shop/payments?before=abc".into()),
            },
            csv_href: Some("/shop/payments.csv".into()),
        };
        let narrowed = Self {
            shell: Shell::sample("/shop/payments?state=refunded&q=MZ"),
            filter: PaymentFilter {
                q: "MZ".into(),
                state: "refunded".into(),
                ..PaymentFilter::default()
            },
            rows: sample_rows()
                .into_iter()
                .filter(|row| row.state == State::Refunded)
                .collect(),
            count: 1,
            total: 1200,
            pager: Pager {
                first: 1,
                last: 1,
                ..Pager::default()
            },
            ..full.clone()
        };
        let nothing = Self {
            rows: Vec::new(),
            count: 0,
            total: 0,
            pager: Pager::default(),
            ..narrowed.clone()
        };
        let first_day = Self {
            filter: PaymentFilter::default(),
            ..nothing.clone()
        };
        vec![
            ("full", full),
            ("narrowed", narrowed),
            ("nothing", nothing),
            ("first-day", first_day),
        ]
    }
}

/// Payments to look at, one in nearly every state.
pub(super) fn sample_rows() -> Vec<PaymentRow> {
    let row =
        |n: u32, at: &str, state, customer: &str, method: &str, detail: Option<&str>, amount, refunded| {
            PaymentRow {
                id: format!("bk3lh5xnsj25e22mn7zo2mg{n:02}"),
                created_at: crate::sample_time(at),
                state,
                order_number: Some(format!("MZ-20261121-{:04}", 42 - n)),
                customer: (!customer.is_empty()).then(|| customer.into()),
                method: method.into(),
                method_detail: detail.map(String::from),
                amount,
                currency: "JPY".into(),
                refunded,
            }
        };
    let visa = Some("Visa •••• 1111");
    vec![
        row(
            0,
            "2026-11-21T05:02:11Z",
            State::Captured,
            "山田 花子",
            "credit_card",
            visa,
            3980,
            0,
        ),
        row(
            1,
            "2026-11-21T04:47:40Z",
            State::AwaitingPayment,
            "鈴木 一郎",
            "konbini",
            Some("ローソン"),
            4170,
            0,
        ),
        row(
            2,
            "2026-11-21T04:31:05Z",
            State::Confirming,
            "高橋 次郎",
            "credit_card",
            Some("JCB •••• 0006"),
            12_800,
            0,
        ),
        row(
            3,
            "2026-11-21T03:58:59Z",
            State::Pending,
            "",
            "paypay",
            None,
            1200,
            0,
        ),
        row(
            4,
            "2026-11-21T02:15:00Z",
            State::Authorized,
            "田中 恵",
            "credit_card",
            Some("Mastercard •••• 4444"),
            7960,
            0,
        ),
        row(
            5,
            "2026-11-20T23:41:32Z",
            State::Failed,
            "伊藤 誠",
            "credit_card",
            visa,
            3980,
            0,
        ),
        row(
            6,
            "2026-11-20T13:09:10Z",
            State::PartlyRefunded,
            "渡辺 直子",
            "credit_card",
            visa,
            5940,
            1980,
        ),
        row(
            7,
            "2026-11-20T09:00:03Z",
            State::Refunded,
            "中村 亮",
            "paypay",
            None,
            1200,
            1200,
        ),
        row(
            8,
            "2026-11-19T04:20:44Z",
            State::Expired,
            "小林 由美",
            "konbini",
            Some("セイコーマート"),
            2170,
            0,
        ),
        row(
            9,
            "2026-11-18T10:10:10Z",
            State::Cancelled,
            "加藤 健",
            "bank_transfer",
            None,
            39_800,
            0,
        ),
        row(
            10,
            "2025-12-28T01:30:00Z",
            State::Captured,
            "吉田 さくら",
            "pay_easy",
            None,
            1980,
            0,
        ),
    ]
}

crate::page!(PaymentList, PaymentListView, "office/payments.html");
