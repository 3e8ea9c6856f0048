//! What happens to a payment after it began: captures, refunds, buyers at counters and wallets, and time.
//!
//! Source: docs/providers/komoju.md, section 12.
use super::cards::ThreeDs;
use super::desk::{Desk, PAYMENT};
use super::error::{ApiError, Done};
use super::model::{Customer, Payment, Refund, SecureToken, SessionStatus, Status, Way};
use jiff::Timestamp;
use kessai_core::time::{deadline, wire_utc};
use kessai_provider::sandbox::books::Movement;

/// The password that passes a 3-D Secure challenge.
pub(super) const PASSWORD: &str = "123456";

/// What a buyer does at a wallet's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Approve,
    Abort,
    Fail,
}

impl Desk<'_> {
    /// Takes an authorization's money, wholly or in part; the rest is let go.
    pub(super) fn take(&self, payment: &mut Payment, amount: i64, tax: i64) -> Done<()> {
        let before = payment.total();
        payment.amount = amount;
        payment.tax = tax;
        payment.status = Status::Captured;
        payment.captured_at = Some(self.now);
        let released = before - payment.total();
        self.charge(Movement::Capture, payment, payment.total(), None)?;
        if released > 0 {
            payment.released = released;
            self.charge(Movement::Cancel, payment, released, Some("partial capture"))?;
        }
        self.save_payment(payment)?;
        self.payment_event("payment.captured", payment, None)
    }

    /// Ends a pending or authorized payment without money.
    pub(super) fn let_go(&self, payment: &mut Payment, to: Status) -> Done<()> {
        let (what, event) = match to {
            Status::Expired => (Movement::Expire, "payment.expired"),
            _ => (Movement::Cancel, "payment.cancelled"),
        };
        if payment.status == Status::Authorized {
            self.charge(what, payment, payment.total(), None)?;
        }
        payment.status = to;
        self.save_payment(payment)?;
        self.payment_event(event, payment, None)
    }

    pub(super) fn give_back(
        &self,
        payment: &mut Payment,
        amount: i64,
        description: Option<String>,
    ) -> Done<()> {
        if payment.refunds.len() >= 200 {
            return Err(ApiError::impossible("There are too many refunds.").into());
        }
        payment.refunds.push(Refund {
            id: self.new_id(),
            resource: "refund".to_owned(),
            amount,
            currency: payment.currency,
            payment: payment.id.clone(),
            description,
            created_at: wire_utc(self.now),
            chargeback: false,
        });
        payment.amount_refunded += amount;
        let whole = payment.amount_refunded >= payment.total();
        if whole {
            payment.status = Status::Refunded;
        }
        self.charge(Movement::Refund, payment, amount, None)?;
        self.save_payment(payment)?;
        self.payment_event("payment.refund.created", payment, None)?;
        if whole {
            self.payment_event("payment.refunded", payment, None)
        } else {
            Ok(())
        }
    }

    /// Cash arrives for a slip, possibly another amount than was asked for.
    pub(super) fn cash_arrives(&self, payment: &mut Payment, amount: Option<i64>) -> Done<()> {
        if payment.way != Way::Slip || payment.status != Status::Authorized {
            return Err(ApiError::impossible("This payment does not wait for cash.").into());
        }
        let total = payment.total();
        let arrived = amount.unwrap_or(total);
        if arrived <= 0 || arrived > super::payments::MAX_AMOUNT * 2 {
            return Err(ApiError::invalid("amount", "Amount is out of range").into());
        }
        payment.amount = arrived - payment.tax - payment.fee;
        payment.status = Status::Captured;
        payment.captured_at = Some(self.now);
        let detail = if arrived == total {
            None
        } else {
            Some("another amount than asked for")
        };
        self.charge(Movement::Capture, payment, arrived, detail)?;
        self.save_payment(payment)?;
        self.payment_event("payment.captured", payment, None)
    }

    /// The buyer is back from a wallet or from 3-D Secure.
    pub(super) fn choose(&self, payment: &mut Payment, choice: Choice) -> Done<()> {
        if payment.status != Status::Pending {
            return Err(ApiError::impossible("This payment does not wait for its buyer any more.").into());
        }
        match (choice, payment.doomed.clone()) {
            (Choice::Approve, None) => {
                payment.status = if payment.auto {
                    Status::Captured
                } else {
                    Status::Authorized
                };
                payment.captured_at = payment.auto.then_some(self.now);
                payment.deadline = Some(deadline(self.now, if payment.auto { 2 } else { 30 }));
                self.save_payment(payment)?;
                self.authorized_or_captured(payment)?;
                self.complete_session(payment)
            }
            (Choice::Approve, Some(code)) => self.fail(payment, &code),
            (Choice::Fail, _) => self.fail(payment, "card_declined"),
            (Choice::Abort, _) => self.let_go(payment, Status::Cancelled),
        }
    }

    pub(super) fn fail(&self, payment: &mut Payment, code: &str) -> Done<()> {
        if payment.status == Status::Authorized {
            self.charge(Movement::Cancel, payment, payment.total(), Some(code))?;
        }
        payment.status = Status::Failed;
        self.save_payment(payment)?;
        self.payment_event("payment.failed", payment, Some(code))
    }

    /// A session is done once its payment is authorized or captured, whichever of its attempts that was.
    pub(super) fn complete_session(&self, payment: &mut Payment) -> Done<()> {
        let Some(id) = payment.session.clone() else {
            return Ok(());
        };
        let mut session = self.session(&id)?;
        if session.status != SessionStatus::Pending {
            return Ok(());
        }
        session.status = SessionStatus::Completed;
        session.completed_at = Some(self.now);
        session.payment = Some(payment.id.clone());
        session.secure_token = None;
        if let Some(card) = payment.saving.take() {
            let customer = self.save_customer(session.customer.clone(), session.email.clone(), card)?;
            session.customer = Some(customer.id.clone());
            payment.customer = Some(customer.id);
            self.save_payment(payment)?;
        }
        self.save_session(&session)
    }

    /// Saves a card under a customer, a new one unless an id is given.
    pub(super) fn save_customer(
        &self,
        id: Option<String>,
        email: Option<String>,
        card: super::cards::Card,
    ) -> Done<Customer> {
        if let Some(id) = &id
            && let Some(mut customer) = self.customer(id)?
        {
            customer.card = Some(card);
            customer.email = email.or(customer.email);
            self.save_customer_object(&customer)?;
            self.plain_event("customer.updated", super::vault::customer_view(&customer))?;
            return Ok(customer);
        }
        let customer = Customer {
            id: self.new_id(),
            email,
            card: Some(card),
            metadata: std::collections::BTreeMap::new(),
            created_at: self.now,
            scenario: None,
        };
        self.enter_customer(&customer)?;
        self.plain_event("customer.created", super::vault::customer_view(&customer))?;
        Ok(customer)
    }

    /// The buyer answers (or is waved through) at the 3-D Secure page; says where the browser goes.
    pub(super) fn authenticate(
        &self,
        token: &mut SecureToken,
        password: Option<&str>,
    ) -> Done<Option<String>> {
        if token.verification_status == "NEEDS_VERIFY" {
            let passed = match token.card.three_ds {
                ThreeDs::None | ThreeDs::Frictionless => true,
                ThreeDs::Challenge => password == Some(PASSWORD),
                ThreeDs::FailsOnReturn | ThreeDs::ChallengeFails => false,
            };
            token.verification_status = if passed { "OK" } else { "ERRORED" }.to_owned();
            self.save_secure_token(token)?;
            if let Some(id) = &token.payment {
                let mut payment = self.payment(id)?;
                if payment.status == Status::Pending {
                    let choice = if passed { Choice::Approve } else { Choice::Fail };
                    self.choose(&mut payment, choice)?;
                }
            } else if let Some(session) = token.saving_for.as_ref().filter(|_| passed) {
                let mut session = self.session(session)?;
                self.register(&mut session, token.card.clone())?;
            }
        }
        self.after_authentication(token)
    }

    /// Where the browser goes once the authentication is over.
    fn after_authentication(&self, token: &SecureToken) -> Done<Option<String>> {
        let Some(id) = &token.payment else {
            let url = token.return_url.as_deref();
            return Ok(url.map(|url| match &token.saving_for {
                Some(_) => url.to_owned(),
                None => super::model::with_query(url, "secure_token_id", &token.id),
            }));
        };
        let payment = self.payment(id)?;
        self.back_from(&payment, true)
    }

    /// Where the browser goes after a payment was approved (`well`), aborted or failed.
    pub(super) fn back_from(&self, payment: &Payment, well: bool) -> Done<Option<String>> {
        if let Some(id) = &payment.session {
            let session = self.session(id)?;
            return Ok(Some(session.back().unwrap_or_else(|| self.house.session_url(id))));
        }
        let other = payment.cancel_url.clone().filter(|_| !well);
        Ok(other.or_else(|| payment.return_url.clone()))
    }

    /// Ends what is due. Says whether there may be more.
    pub(super) fn lapse(&self, limit: u32) -> Done<bool> {
        let due = self.page.due(self.now, limit)?;
        let more = due.len() == usize::try_from(limit).unwrap_or(usize::MAX);
        for (kind, id) in due {
            if kind != PAYMENT {
                continue;
            }
            let mut payment = self.payment(&id)?;
            // The event carries the instant at which it lapsed, however late we look.
            let then = Desk {
                now: payment
                    .deadline
                    .map_or(self.now, |at: Timestamp| at.min(self.now)),
                ..self.again()
            };
            then.let_go(&mut payment, Status::Expired)?;
        }
        self.page.remember_next_due()?;
        Ok(more)
    }

    pub(super) fn again(&self) -> Self {
        Self {
            page: self.page,
            house: self.house,
            now: self.now,
            forced: None,
            old_version: self.old_version,
        }
    }
}
