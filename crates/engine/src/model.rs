//! What the hub keeps of sessions, payments, customers and attempts, and how that becomes rows.
use crate::stock::Holding;
use jiff::Timestamp;
pub use kessai_core::attempt::Purpose;
use kessai_core::payment::{CaptureMode, State, Status};
use kessai_core::session::{SessionMode, SessionStatus};
use kessai_core::stock::Goods;
use kessai_core::tax::Totals;
use kessai_core::{CustomerId, Money, PaymentId, SessionId};
use kessai_provider::port::{Exchange, Handle, NextAction, View};
use kessai_store::repo::{AttemptRow, PaymentRow, SessionRow, instant, micros};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A row that fits no state. It names the table and the id; nobody guesses what was meant.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{table} {id}: {what}")]
pub struct BadRow {
    table: &'static str,
    id: Box<str>,
    what: String,
}

impl BadRow {
    fn new(table: &'static str, id: &str, what: impl std::fmt::Display) -> Self {
        Self {
            table,
            id: id.into(),
            what: what.to_string(),
        }
    }
}

/// Text to text, as shops attach it.
pub type Metadata = BTreeMap<Box<str>, Box<str>>;

fn is_empty(map: &Map<String, Value>) -> bool {
    map.is_empty()
}

/// A refund as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    /// Ours.
    pub id: Box<str>,
    /// The provider's.
    pub reference: Box<str>,
    /// Minor units.
    pub amount: i64,
    /// The shop's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// In microseconds.
    pub at: i64,
}

/// A bank refund asked of the provider, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefundRequest {
    /// Ours.
    pub id: Box<str>,
    /// `pending`, `rejected` or `completed`.
    pub status: Box<str>,
    /// The bank fields the API names, account number masked.
    pub fields: Map<String, Value>,
    /// In microseconds.
    pub at: i64,
}

/// A shopper's family name and given name, each when given.
pub type Names = (Option<Box<str>>, Option<Box<str>>);

/// A webhook endpoint of one payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Where it is.
    pub url: Box<str>,
    /// What signs its deliveries, sealed, in hex.
    pub sealed: Box<str>,
    /// Which event types it wants; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Box<str>>,
}

/// The part of a payment that nobody searches by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentBody {
    /// What is true about its money.
    pub state: State,
    /// What it shows: as asked, or what was captured.
    pub totals: Totals,
    /// How many attempts there are.
    pub attempts: u32,
    /// How many events there are.
    pub events: u32,
    /// How many ledger lines there are.
    pub postings: u32,
    /// What it has of the shop's stock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<Holding>,
    /// Whether a job looks after it until it is closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
    /// What may be shown of the instrument.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub details: Map<String, Value>,
    /// `ja`, `en` or `ko`.
    pub locale: Box<str>,
    /// The shop's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// The shop's notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
    /// When the money was taken, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<i64>,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refund>,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refund_requests: Vec<RefundRequest>,
    /// The provider's session, when it was made in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_session: Option<Box<str>>,
    /// Where the shopper must go, while pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextAction>,
    /// Where a direct payment's shopper returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<Box<str>>,
    /// Where a direct payment's shopper returns to after giving up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<Box<str>>,
    /// The merchant category code the shop gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcc: Option<Box<str>>,
    /// What the shop wants on the statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_descriptor: Option<Value>,
    /// Webhook endpoints of this payment alone, besides the shop's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Family name, given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_names: Option<Names>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// Whose.
    pub shop: Box<str>,
    /// Its id.
    pub id: PaymentId,
    /// The method's slug.
    pub method: Box<str>,
    /// Who moves the money.
    pub provider: Box<str>,
    /// The provider's name for it.
    pub reference: Option<Box<str>>,
    /// The session it was made in.
    pub session: Option<SessionId>,
    /// The customer it belongs to.
    pub customer: Option<CustomerId>,
    /// The shop's order number.
    pub order_number: Option<Box<str>>,
    /// When it lapses.
    pub deadline_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts its changes.
    pub version: i64,
    /// The rest.
    pub body: PaymentBody,
}

impl Payment {
    /// Its status.
    pub fn status(&self) -> Status {
        self.body.state.status()
    }

    /// What it shows as total.
    pub fn total(&self) -> Money {
        self.body.totals.total()
    }

    /// The key of one of its attempts, as sent to the provider. It names the payment, so that a report by key finds it.
    pub fn key(&self, n: u32) -> Box<str> {
        format!("{}_{n}", self.id).into()
    }

    /// The payment that a key belongs to.
    pub fn of_key(key: &str) -> Option<&str> {
        let (payment, n) = key.split_once('_')?;
        (payment.len() == kessai_core::id::ID_LEN && n.parse::<u32>().is_ok()).then_some(payment)
    }

    /// Whether a view is of this payment: the order number there is one of our keys for it, and its name there the one we know. Nothing
    /// is believed, and nothing is done, on a view of another.
    pub fn is_shown_by(&self, view: &View) -> bool {
        let ours = |key: &str| Self::of_key(key) == Some(self.id.as_str());
        let named = view.key.as_deref().is_none_or(ours);
        let known = match &self.reference {
            Some(reference) => view.reference.is_empty() || view.reference == *reference,
            None => true,
        };
        named && known
    }

    /// How the provider finds it.
    pub fn handle(&self) -> Handle {
        let asked = self.body.state.asked();
        Handle {
            key: self.key(1),
            reference: self.reference.clone(),
            session: self.body.provider_session.clone(),
            totals: Totals {
                amount: asked.minor(),
                tax: 0,
                fee: 0,
                currency: asked.currency(),
            },
            method: self.method.clone(),
        }
    }

    /// As a row. `updated_at` is now.
    pub fn row(&self, now: Timestamp) -> PaymentRow {
        self.body.state.assert_sound();
        let totals = self.body.totals;
        PaymentRow {
            shop_id: self.shop.clone(),
            id: self.id.as_str().into(),
            status: self.status().as_str().into(),
            method: self.method.clone(),
            provider: self.provider.clone(),
            provider_ref: self.reference.clone(),
            session_id: self.session.as_ref().map(|id| id.as_str().into()),
            customer_id: self.customer.as_ref().map(|id| id.as_str().into()),
            order_number: self.order_number.clone(),
            currency: totals.currency.code().into(),
            amount: totals.amount,
            total: totals.total().minor(),
            refunded: self.body.state.refunded().minor(),
            deadline_at: self.deadline_at.map(micros),
            created_at: micros(self.created_at),
            updated_at: micros(now),
            version: self.version,
            body: serde_json::to_string(&self.body).expect("plain data").into(),
        }
    }

    /// From a row.
    ///
    /// # Errors
    /// [`BadRow`] when the row fits no payment.
    pub fn from_row(row: PaymentRow) -> Result<Self, BadRow> {
        let bad = |what: &dyn std::fmt::Display| BadRow::new("payments", &row.id, what);
        let body: PaymentBody = serde_json::from_str(&row.body).map_err(|e| bad(&e))?;
        body.state.assert_sound();
        if row.status.as_ref() != body.state.status().as_str() {
            return Err(bad(&format!(
                "column says {}, body {}",
                row.status,
                body.state.status().as_str()
            )));
        }
        let id = |text: &Option<Box<str>>| text.as_ref().map(|text| text.parse()).transpose();
        Ok(Self {
            id: row.id.parse().map_err(|e| bad(&e))?,
            session: row
                .session_id
                .as_ref()
                .map(|text| text.parse())
                .transpose()
                .map_err(|e| bad(&e))?,
            customer: id(&row.customer_id).map_err(|e| bad(&e))?,
            shop: row.shop_id,
            method: row.method,
            provider: row.provider,
            reference: row.provider_ref,
            order_number: row.order_number,
            deadline_at: row.deadline_at.map(instant),
            created_at: instant(row.created_at),
            version: row.version,
            body,
        })
    }
}

/// The part of a session that nobody searches by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionBody {
    /// Minor units, taxes included.
    pub amount: Money,
    /// Where the shopper returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<Box<str>>,
    /// `ja`, `en` or `ko`.
    pub locale: Box<str>,
    /// The offered methods; all of the shop's when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Box<str>>,
    /// The shopper's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Box<str>>,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// The shop's order number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<Box<str>>,
    /// What the shop sent as `payment_data`, without what stands elsewhere.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub payment_data: Map<String, Value>,
    /// For display.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line_items: Vec<Value>,
    /// What of them is counted in stock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goods: Vec<Goods>,
    /// The shop's notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
    /// The customer to update, or the one that came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// Every pay fails with this code (test mode).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Box<str>>,
    /// The latest payment that was not declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// How many payments were tried.
    #[serde(default)]
    pub tries: u32,
    /// The shop's name for the shopper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_customer_id: Option<Box<str>>,
    /// When it was cancelled, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<i64>,
}

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Whose.
    pub shop: Box<str>,
    /// Its id.
    pub id: SessionId,
    /// Where it stands.
    pub status: SessionStatus,
    /// What it is for.
    pub mode: SessionMode,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// The rest.
    pub body: SessionBody,
}

impl Session {
    /// Whether its time ran out.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.status == SessionStatus::Pending && self.expires_at <= now
    }

    /// As a row.
    pub fn row(&self) -> SessionRow {
        SessionRow {
            shop_id: self.shop.clone(),
            id: self.id.as_str().into(),
            status: self.status.as_str().into(),
            mode: self.mode.as_str().into(),
            version: self.version,
            created_at: micros(self.created_at),
            expires_at: micros(self.expires_at),
            completed_at: self.completed_at.map(micros),
            body: serde_json::to_string(&self.body).expect("plain data").into(),
        }
    }

    /// From a row.
    ///
    /// # Errors
    /// [`BadRow`] when the row fits no session.
    pub fn from_row(row: SessionRow) -> Result<Self, BadRow> {
        let bad = |what: &dyn std::fmt::Display| BadRow::new("sessions", &row.id, what);
        Ok(Self {
            id: row.id.parse().map_err(|e| bad(&e))?,
            status: SessionStatus::parse(&row.status).ok_or_else(|| bad(&"status"))?,
            mode: SessionMode::parse(&row.mode).ok_or_else(|| bad(&"mode"))?,
            body: serde_json::from_str(&row.body).map_err(|e| bad(&e))?,
            shop: row.shop_id,
            version: row.version,
            created_at: instant(row.created_at),
            expires_at: instant(row.expires_at),
            completed_at: row.completed_at.map(instant),
        })
    }
}

/// The part of an attempt that nobody searches by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptBody {
    /// How much it moves.
    pub totals: Totals,
    /// SHA-256 of what is asked, without secrets, 16 bytes in hex.
    pub fingerprint: Box<str>,
    /// The shop's idempotency key (hashed, in hex), so that whoever settles the attempt can answer it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Box<str>>,
    /// The shop's words (refunds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// Requests and replies, masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// How it ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// How often it was inquired about.
    #[serde(default)]
    pub inquiries: u32,
    /// Why it was made, where that changes what its outcome means.
    #[serde(default, skip_serializing_if = "Purpose::is_usual")]
    pub purpose: Purpose,
}

impl AttemptBody {
    /// An attempt that moves this much.
    pub fn new(totals: Totals) -> Self {
        Self {
            totals,
            fingerprint: "".into(),
            idempotency: None,
            description: None,
            exchanges: vec![],
            note: None,
            inquiries: 0,
            purpose: Purpose::Usual,
        }
    }
}

/// An attempt's row.
pub fn attempt_body(row: &AttemptRow) -> Result<AttemptBody, BadRow> {
    serde_json::from_str(&row.body).map_err(|e| BadRow::new("attempts", &row.payment_id, e))
}
