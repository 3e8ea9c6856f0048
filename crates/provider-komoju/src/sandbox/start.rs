//! How a payment begins: what the card, the slip or the wallet makes of it.
use super::cards::ThreeDs;
use super::desk::{Desk, SLIP};
use super::details::{Means, Plan, Prepaid};
use super::error::Done;
use super::methods::Flow;
use super::model::{Payment, SecureToken, Status, Way};
use jiff::SignedDuration;
use kessai_core::Currency;
use kessai_core::time::{deadline, wire_utc};
use kessai_provider::sandbox::books::Movement;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long a buyer has to come back from a wallet or a 3-D Secure page.
const AWAY: SignedDuration = SignedDuration::from_hours(1);

/// How a payment began.
pub(super) enum Started {
    /// It stands: captured, authorized, or waiting for more prepaid numbers.
    Done,
    /// It waits for the buyer, who has to go there.
    Away(String),
    /// It was declined with this code and is booked as failed.
    Declined(String),
}

impl Desk<'_> {
    /// A payment with nothing in it but the plan.
    pub(super) fn blank(&self, plan: &Plan) -> Payment {
        Payment {
            id: self.new_id(),
            status: Status::Pending,
            way: match plan.flow() {
                Flow::Card => Way::Card,
                Flow::Slip => Way::Slip,
                Flow::Offsite => Way::Offsite,
                Flow::Prepaid => Way::Prepaid,
            },
            amount: 0,
            tax: 0,
            fee: 0,
            currency: Currency::JPY,
            details: plan.shown.clone(),
            created_at: self.now,
            auto: true,
            locale: "ja".to_owned(),
            deadline: None,
            customer: None,
            description: None,
            captured_at: None,
            number: None,
            metadata: BTreeMap::new(),
            amount_refunded: 0,
            released: 0,
            session: None,
            mcc: None,
            statement_descriptor: None,
            platform_details: None,
            refunds: Vec::new(),
            refund_requests: Vec::new(),
            return_url: None,
            cancel_url: None,
            doomed: None,
            paid_points: 0,
            hooks: Vec::new(),
            saving: None,
        }
    }

    /// Enters the payment as its means make it. `plan.verified` says whether 3-D Secure is out of the way.
    pub(super) fn start(&self, payment: &mut Payment, plan: &Plan) -> Done<Started> {
        let declined = match &plan.means {
            _ if self.forced.is_some() => self.forced.clone(),
            Means::Prepaid(prepaid) => prepaid.declined.clone(),
            Means::Card(card) if plan.verified || card.three_ds == ThreeDs::None => card.declined.clone(),
            Means::Card(_) | Means::Slip | Means::Offsite => None,
        };
        if let Some(code) = declined {
            payment.status = Status::Failed;
            self.enter_payment(payment)?;
            self.payment_event("payment.failed", payment, Some(&code))?;
            return Ok(Started::Declined(code));
        }
        match &plan.means {
            Means::Card(card) if plan.verified || card.three_ds == ThreeDs::None => {
                self.charge_card(payment, plan)?;
                self.enter_payment(payment)?;
                self.authorized_or_captured(payment)?;
                Ok(Started::Done)
            }
            Means::Card(card) => {
                payment.deadline = self.now.saturating_add(AWAY).ok();
                payment.doomed = card.declined.clone();
                let token = SecureToken {
                    id: self.new_id(),
                    verification_status: "NEEDS_VERIFY".to_owned(),
                    created_at: self.now,
                    card: card.clone(),
                    shown: plan.shown.clone(),
                    amount: payment.total(),
                    currency: payment.currency,
                    return_url: None,
                    payment: Some(payment.id.clone()),
                    saving_for: None,
                };
                self.enter_secure_token(&token)?;
                self.enter_payment(payment)?;
                Ok(Started::Away(self.house.three_ds_url(&token.id)))
            }
            Means::Slip => {
                payment.status = Status::Authorized;
                payment.deadline = Some(deadline(self.now, plan.days(true)));
                self.write_slip(payment)?;
                self.enter_payment(payment)?;
                self.charge(Movement::Authorize, payment, payment.total(), Some("slip issued"))?;
                self.payment_event("payment.authorized", payment, None)?;
                Ok(Started::Done)
            }
            Means::Offsite => {
                payment.deadline = self.now.saturating_add(AWAY).ok();
                let url = format!("{}/offsite/{}", self.house.public_url, payment.id);
                payment.details.insert("redirect_url".into(), json!(url));
                match plan.slug.as_str() {
                    "paypay" => {
                        payment
                            .details
                            .insert("external_payment_id".into(), json!(self.digits(20)));
                    }
                    "rakutenpay" => {
                        payment
                            .details
                            .insert("charge_key".into(), json!(self.digits(20)));
                    }
                    "wechatpay" => {
                        payment.details.insert("trade_type".into(), json!("NATIVE"));
                        payment.details.insert("qr_code_url".into(), json!(url));
                        payment.details.insert("mweb_url".into(), json!(url));
                    }
                    _ => {}
                }
                self.enter_payment(payment)?;
                Ok(Started::Away(url))
            }
            Means::Prepaid(prepaid) => {
                payment.deadline = self.now.saturating_add(AWAY).ok();
                self.enter_payment(payment)?;
                self.add_prepaid(payment, prepaid)?;
                Ok(Started::Done)
            }
        }
    }

    /// What a good card does at once: state and deadline.
    fn charge_card(&self, payment: &mut Payment, plan: &Plan) -> Done<()> {
        payment.deadline = Some(deadline(self.now, plan.days(!payment.auto)));
        payment.status = if payment.auto {
            Status::Captured
        } else {
            Status::Authorized
        };
        payment.captured_at = payment.auto.then_some(self.now);
        Ok(())
    }

    /// Ledger and event of a payment that was just authorized or captured.
    pub(super) fn authorized_or_captured(&self, payment: &Payment) -> Done<()> {
        self.charge(Movement::Authorize, payment, payment.total(), None)?;
        if payment.status == Status::Captured {
            self.charge(Movement::Capture, payment, payment.total(), None)?;
            return self.payment_event("payment.captured", payment, None);
        }
        self.payment_event("payment.authorized", payment, None)
    }

    /// Numbers and accounts to pay to.
    fn write_slip(&self, payment: &mut Payment) -> Done<()> {
        let instructions = format!(
            "{}/{}/instructions/{}",
            self.house.public_url, payment.locale, payment.id
        );
        let deadline = payment.deadline.map(wire_utc);
        let method = payment.method().to_owned();
        let store = payment.detail("store").unwrap_or_default().to_owned();
        let number = self.digits(13);
        let mut put = |name: &str, value: Value| payment.details.insert(name.to_owned(), value);
        put("instructions_url", json!(instructions));
        match method.as_str() {
            "konbini" => {
                put("receipt", json!(number));
                put(
                    "confirmation_code",
                    if store == "family-mart" {
                        json!(self.digits(5))
                    } else {
                        Value::Null
                    },
                );
            }
            "pay_easy" => {
                put("bank_id", json!("58091"));
                put("customer_id", json!(number));
                put("confirmation_id", json!(self.digits(6)));
                put("payment_url", json!(instructions));
                put("cvs_code", json!(self.digits(6)));
            }
            _ => {
                put("order_id", json!(number));
                put("bank_name", json!("テスト銀行"));
                put("account_branch_name", json!("テスト支店"));
                put("account_number", json!(self.digits(7)));
                put("account_type", json!("普通"));
                put("account_name", json!("カ）テスト"));
                put("payment_deadline", json!(deadline));
            }
        }
        self.enter(SLIP, &number, None, &method, &payment.id)
    }

    /// Adds a prepaid number's points; captured when they are enough.
    pub(super) fn add_prepaid(&self, payment: &mut Payment, prepaid: &Prepaid) -> Done<()> {
        let wanted = payment.total() - payment.paid_points;
        let points = prepaid.points.min(wanted);
        payment.paid_points += points;
        let short = wanted - points;
        if payment.method() != "bit_cash" {
            payment.details.insert("short_amount".into(), json!(short));
            let card = json!({"last_four_digits": prepaid.last4, "points": points});
            let cards = payment
                .details
                .entry("prepaid_cards")
                .or_insert_with(|| json!([]));
            if let Value::Array(cards) = cards {
                cards.push(card);
            }
        }
        if short == 0 {
            payment.status = Status::Captured;
            payment.captured_at = Some(self.now);
            self.authorized_or_captured(payment)?;
        }
        self.save_payment(payment)
    }
}
