//! The step between a clerk's wish and the deed.
use super::{Section, Shell};
use crate::{Locale, format};

/// What moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// 売上確定
    Capture,
    /// 返金
    Refund,
    /// 取消
    Cancel,
}

impl Act {
    /// The last part of the path its form posts to.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Cancel => "cancel",
        }
    }
}

/// What is about to be done, to be confirmed. Posts to `/shop/payments/{id}/{act}` with `csrf`, `attempt`, `amount`,
/// `reason` and `confirmed=yes`.
#[derive(Debug, Clone)]
pub struct ConfirmAct {
    /// Around it.
    pub shell: Shell,
    /// What.
    pub act: Act,
    /// To which payment.
    pub payment_id: String,
    /// How much.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// What could still be done after: the rest that stays captured, or that is released.
    pub rest: i64,
    /// The shop's order number.
    pub order_number: Option<String>,
    /// Who paid.
    pub customer: Option<String>,
    /// The method's slug.
    pub method: String,
    /// Such as `Visa •••• 1111`.
    pub method_detail: Option<String>,
    /// Why, as the clerk typed it.
    pub reason: String,
    /// Used once, so that a form sent twice is one act.
    pub attempt: String,
}

impl ConfirmAct {
    fn section(&self) -> Section {
        Section::Payments
    }

    fn price(&self) -> String {
        format::money(self.amount, &self.currency)
    }

    fn rest_text(&self) -> String {
        format::money(self.rest, &self.currency)
    }

    fn text(&self, what: &str, l: Locale) -> String {
        l.t1(&format!("act-{}-{what}", self.act.slug()), "amount", self.price())
    }

    fn is_danger(&self) -> bool {
        self.act != Act::Capture
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let refund = Self {
            shell: Shell::sample("/shop/payments/bk3lh5xnsj25e22mn7zo2mgqh/refund"),
            act: Act::Refund,
            payment_id: "bk3lh5xnsj25e22mn7zo2mgqh".into(),
            amount: 3980,
            currency: "JPY".into(),
            rest: 1960,
            order_number: Some("MZ-20261120-0036".into()),
            customer: Some("渡辺 直子".into()),
            method: "credit_card".into(),
            method_detail: Some("Visa •••• 1111".into()),
            reason: "欠品のため".into(),
            attempt: "att-sample".into(),
        };
        let capture = Self {
            act: Act::Capture,
            rest: 0,
            reason: String::new(),
            ..refund.clone()
        };
        let cancel = Self {
            act: Act::Cancel,
            rest: 0,
            method: "konbini".into(),
            method_detail: None,
            customer: None,
            order_number: None,
            reason: String::new(),
            ..refund.clone()
        };
        vec![("refund", refund), ("capture", capture), ("cancel", cancel)]
    }
}

crate::page!(ConfirmAct, ConfirmActView, "office/confirm.html");
