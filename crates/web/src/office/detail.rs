//! One payment, whole.
use super::deliveries::sample_deliveries;
use super::{DeliveryRow, Moment, Section, Shell};
use crate::{Locale, Notice, State, Tone, format};
use jiff::Timestamp;

/// The four numbers of a payment.
#[derive(Debug, Clone, Copy, Default)]
pub struct MoneyBox {
    /// Held.
    pub authorized: i64,
    /// Taken.
    pub captured: i64,
    /// Gone back.
    pub refunded: i64,
    /// The method's fee within what was taken.
    pub fee: i64,
}

/// Who pays.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The name, without 様.
    pub name: String,
    /// The address for mail.
    pub email: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
}

/// A number at a provider.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Such as `KOMOJU payment`.
    pub label: String,
    /// The number.
    pub value: String,
}

/// What may be done now; what may not is not drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Acts {
    /// The most that can be captured.
    pub capture: Option<i64>,
    /// Whether less than that can.
    pub partial_capture: bool,
    /// The most that can be refunded.
    pub refund: Option<i64>,
    /// Whether less than that can.
    pub partial_refund: bool,
    /// Whether it can be called off.
    pub cancel: bool,
    /// Whether the provider can be asked again now.
    pub inquire: bool,
}

/// `GET /shop/payments/{id}`. Its forms post to `…/capture`, `…/refund` (`amount`, `reason`), `…/cancel` (`reason`),
/// `…/inquire` and `…/note` (`note`), each with `csrf`.
#[derive(Debug, Clone)]
pub struct PaymentDetail {
    /// Around it.
    pub shell: Shell,
    /// Its number.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// The amount.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// The method's slug.
    pub method: String,
    /// Such as `Visa •••• 1111`.
    pub method_detail: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it waits.
    pub deadline: Option<Timestamp>,
    /// The shop's order number.
    pub order_number: Option<String>,
    /// The shop's description.
    pub description: Option<String>,
    /// Who pays.
    pub customer: Option<Customer>,
    /// The numbers.
    pub money: MoneyBox,
    /// The providers' numbers.
    pub references: Vec<Reference>,
    /// Newest first.
    pub timeline: Vec<Moment>,
    /// Notifications about it.
    pub deliveries: Vec<DeliveryRow>,
    /// What may be done.
    pub acts: Acts,
    /// What just happened.
    pub notice: Option<Notice>,
}

impl PaymentDetail {
    fn section(&self) -> Section {
        Section::Payments
    }

    fn money(&self, amount: &i64) -> String {
        format::money(*amount, &self.currency)
    }

    fn remaining(&self) -> String {
        format::money(self.money.captured - self.money.refunded, &self.currency)
    }

    fn is_waiting(&self) -> bool {
        !self.state.is_settled()
    }

    fn can_act(&self) -> bool {
        self.acts.capture.is_some() || self.acts.refund.is_some() || self.acts.cancel || self.acts.inquire
    }

    fn has_details(&self, moment: &Moment) -> bool {
        moment.request.is_some() || moment.reply.is_some()
    }

    fn starts_day(&self, index: &usize, l: Locale) -> bool {
        *index == 0 || self.timeline[*index].day(l) != self.timeline[*index - 1].day(l)
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let id = "bk3lh5xnsj25e22mn7zo2mgqh";
        let refunded = Self {
            shell: Shell::sample(&format!("/shop/payments/{id}")),
            id: id.into(),
            state: State::PartlyRefunded,
            amount: 5940,
            currency: "JPY".into(),
            method: "credit_card".into(),
            method_detail: Some("Visa •••• 1111".into()),
            created_at: crate::sample_time("2026-11-20T13:09:10Z"),
            deadline: None,
            order_number: Some("MZ-20261120-0036".into()),
            description: Some("深蒸し煎茶 ほか2点".into()),
            customer: Some(Customer {
                name: "渡辺 直子".into(),
                email: Some("naoko@example.jp".into()),
                phone: Some("090-0000-0000".into()),
            }),
            money: MoneyBox {
                authorized: 5940,
                captured: 5940,
                refunded: 1980,
                fee: 0,
            },
            references: vec![
                Reference {
                    label: "KOMOJU payment".into(),
                    value: id.into(),
                },
                Reference {
                    label: "KOMOJU session".into(),
                    value: "63r9bjkqklasnofxttq7z9abc".into(),
                },
            ],
            timeline: super::timeline::sample(),
            deliveries: sample_deliveries(),
            acts: Acts {
                refund: Some(3960),
                partial_refund: true,
                ..Acts::default()
            },
            notice: Some(Notice {
                tone: Tone::Good,
                key: "notice-refunded".into(),
                amount: format::yen(1980),
            }),
        };
        let authorized = Self {
            state: State::Authorized,
            money: MoneyBox {
                authorized: 5940,
                ..MoneyBox::default()
            },
            deadline: Some(crate::sample_time("2026-12-20T14:59:59Z")),
            acts: Acts {
                capture: Some(5940),
                partial_capture: true,
                cancel: true,
                inquire: true,
                ..Acts::default()
            },
            notice: None,
            ..refunded.clone()
        };
        let konbini = Self {
            state: State::AwaitingPayment,
            method: "konbini".into(),
            method_detail: None,
            customer: None,
            order_number: None,
            description: None,
            deliveries: Vec::new(),
            timeline: Vec::new(),
            acts: Acts {
                cancel: true,
                ..Acts::default()
            },
            ..authorized.clone()
        };
        let unknown = Self {
            state: State::Confirming,
            acts: Acts {
                inquire: true,
                ..Acts::default()
            },
            notice: Some(Notice {
                tone: Tone::Wait,
                key: "notice-unknown".into(),
                amount: format::yen(5940),
            }),
            ..authorized.clone()
        };
        vec![
            ("refunded", refunded),
            ("authorized", authorized),
            ("konbini", konbini),
            ("unknown", unknown),
        ]
    }
}

crate::page!(PaymentDetail, PaymentDetailView, "office/payment.html");
