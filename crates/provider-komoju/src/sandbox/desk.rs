//! One request at work: the open page of the books, the instant, and what every operation needs of them.
use super::KomojuSandbox;
use super::error::{ApiError, Done};
use super::model::{Customer, Payment, SecureToken, Session, Token};
use jiff::Timestamp;
use kessai_core::id::new_text;
use kessai_core::time::wire_utc;
use kessai_provider::sandbox::Page;
use kessai_provider::sandbox::books::{Movement, NewCharge, NewObject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Kinds of objects in the books.
pub(super) const PAYMENT: &str = "payment";
pub(super) const SESSION: &str = "session";
pub(super) const TOKEN: &str = "token";
pub(super) const SECURE_TOKEN: &str = "secure_token";
pub(super) const CUSTOMER: &str = "customer";
pub(super) const EVENT: &str = "event";
/// Numbers at the counter, each leading to its payment.
pub(super) const SLIP: &str = "slip";

/// One request at work.
pub(super) struct Desk<'a> {
    pub page: &'a Page<'a>,
    pub house: &'a KomojuSandbox,
    pub now: Timestamp,
    /// The code to decline with, from `Komoju-Scenario` or a fault.
    pub forced: Option<String>,
    /// Before 2025-01-28.
    pub old_version: bool,
}

/// A reply of the API before faults and headers.
#[derive(Debug)]
pub(super) struct Said {
    pub status: u16,
    pub body: String,
}

impl Said {
    pub fn json(body: &impl Serialize) -> Done<Self> {
        Ok(Self {
            status: 200,
            body: serde_json::to_string(body)?,
        })
    }
}

impl Desk<'_> {
    pub fn new_id(&self) -> String {
        new_text(self.now, &*self.house.entropy)
    }

    /// `digits` random decimal digits, the first not zero.
    pub fn digits(&self, digits: usize) -> String {
        let mut dice = [0_u8; 32];
        self.house.entropy.fill(&mut dice);
        let text = dice.iter().take(digits).enumerate();
        text.map(|(place, die)| {
            char::from(if place == 0 {
                b'1' + die % 9
            } else {
                b'0' + die % 10
            })
        })
        .collect()
    }

    fn load<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Done<Option<T>> {
        let found = self.page.object(kind, id)?;
        Ok(found
            .map(|object| serde_json::from_str(&object.body))
            .transpose()?)
    }

    pub fn payment(&self, id: &str) -> Done<Payment> {
        self.load(PAYMENT, id)?
            .ok_or_else(|| ApiError::of("not_found").into())
    }

    pub fn session(&self, id: &str) -> Done<Session> {
        self.load(SESSION, id)?
            .ok_or_else(|| ApiError::of("not_found").into())
    }

    pub fn customer(&self, id: &str) -> Done<Option<Customer>> {
        self.load(CUSTOMER, id)
    }

    pub fn secure_token(&self, id: &str) -> Done<Option<SecureToken>> {
        self.load(SECURE_TOKEN, id)
    }

    pub fn enter_payment(&self, payment: &Payment) -> Done<()> {
        Ok(self.page.insert(&NewObject {
            kind: PAYMENT,
            id: &payment.id,
            number: payment.number.as_deref(),
            status: payment.status.as_str(),
            created_at: payment.created_at,
            due_at: payment.due_at(),
            body: &serde_json::to_string(payment)?,
        })?)
    }

    pub fn save_payment(&self, payment: &Payment) -> Done<()> {
        let body = serde_json::to_string(payment)?;
        Ok(self.page.update(
            PAYMENT,
            &payment.id,
            payment.status.as_str(),
            payment.due_at(),
            &body,
        )?)
    }

    pub fn enter_session(&self, session: &Session) -> Done<()> {
        let body = serde_json::to_string(session)?;
        self.enter(
            SESSION,
            &session.id,
            session.number.as_deref(),
            session.status.as_str(),
            &body,
        )
    }

    pub fn save_session(&self, session: &Session) -> Done<()> {
        let body = serde_json::to_string(session)?;
        Ok(self
            .page
            .update(SESSION, &session.id, session.status.as_str(), None, &body)?)
    }

    pub fn enter_customer(&self, customer: &Customer) -> Done<()> {
        self.enter(
            CUSTOMER,
            &customer.id,
            None,
            "active",
            &serde_json::to_string(customer)?,
        )
    }

    pub fn enter_secure_token(&self, token: &SecureToken) -> Done<()> {
        self.enter(
            SECURE_TOKEN,
            &token.id,
            None,
            &token.verification_status,
            &serde_json::to_string(token)?,
        )
    }

    pub fn save_secure_token(&self, token: &SecureToken) -> Done<()> {
        let body = serde_json::to_string(token)?;
        Ok(self
            .page
            .update(SECURE_TOKEN, &token.id, &token.verification_status, None, &body)?)
    }

    pub fn enter(&self, kind: &str, id: &str, number: Option<&str>, status: &str, body: &str) -> Done<()> {
        let (created_at, due_at) = (self.now, None);
        Ok(self.page.insert(&NewObject {
            kind,
            id,
            number,
            status,
            created_at,
            due_at,
            body,
        })?)
    }

    /// Takes a token out of use. Unknown, used and lapsed ones are all invalid.
    pub fn spend_token(&self, id: &str) -> Done<Token> {
        let invalid = || ApiError::of("invalid_token").about("payment_details");
        let object = self.page.object(TOKEN, id)?.ok_or_else(invalid)?;
        let token: Token = serde_json::from_str(&object.body)?;
        if object.status != "fresh" || self.now >= token.expires_at {
            return Err(invalid().into());
        }
        Ok(token)
    }

    /// Whether an order number was ever used. A number is not freed by cancel or expiry.
    pub fn number_is_taken(&self, number: &str) -> Done<bool> {
        Ok(self.page.has_number(PAYMENT, number)? || self.page.has_number(SESSION, number)?)
    }

    pub fn charge(&self, what: Movement, payment: &Payment, amount: i64, detail: Option<&str>) -> Done<()> {
        Ok(self.page.charge(&NewCharge {
            at: self.now,
            what,
            payment: &payment.id,
            amount,
            currency: payment.currency.code(),
            number: payment.number.as_deref(),
            detail,
        })?)
    }

    pub fn payment_event(&self, kind: &str, payment: &Payment, reason: Option<&str>) -> Done<()> {
        if payment.hooks.is_empty() && !self.house.has_webhook() {
            return Ok(());
        }
        let data = serde_json::to_value(payment.view(false))?;
        self.event(kind, data, reason, payment)
    }

    /// An event that is about no payment.
    pub fn plain_event(&self, kind: &str, data: Value) -> Done<()> {
        if !self.house.has_webhook() {
            return Ok(());
        }
        let id = self.enter_event(kind, &data, None)?;
        self.owe(kind, &id, &data, None)
    }

    fn event(&self, kind: &str, data: Value, reason: Option<&str>, payment: &Payment) -> Done<()> {
        let id = self.enter_event(kind, &data, reason)?;
        if self.house.has_webhook() {
            self.owe(kind, &id, &data, None)?;
        }
        for hook in &payment.hooks {
            if hook.events.is_empty() || hook.events.iter().any(|wanted| wanted == kind) {
                self.owe(kind, &id, &data, Some(hook))?;
            }
        }
        Ok(())
    }

    fn enter_event(&self, kind: &str, data: &Value, reason: Option<&str>) -> Done<String> {
        let id = self.new_id();
        let body = event_body(&id, kind, data, self.now, reason);
        self.enter(EVENT, &id, None, kind, &body)?;
        Ok(id)
    }
}

/// An event, as `GET /events/{id}` and webhooks show it.
pub(super) fn event_body(id: &str, kind: &str, data: &Value, now: Timestamp, reason: Option<&str>) -> String {
    let created_at = wire_utc(now);
    json!({"id": id, "type": kind, "resource": "event", "data": data, "created_at": created_at, "reason": reason})
        .to_string()
}
