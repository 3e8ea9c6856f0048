//! The sandbox's own objects as they lie in its books, and as the wire shows them.
//!
//! Source: docs/providers/komoju.md, sections 7.2, 8.2, 8.6, 8.7 and 10.
use super::cards::Card;
use super::details::Plan;
use jiff::Timestamp;
use kessai_core::Currency;
use kessai_core::time::wire_utc;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A payment's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Authorized,
    Captured,
    Cancelled,
    Expired,
    Refunded,
    Failed,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Authorized,
        Self::Captured,
        Self::Cancelled,
        Self::Expired,
        Self::Refunded,
        Self::Failed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether it still waits for someone.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Authorized)
    }
}

/// What a payment is made with, as far as later operations care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    Card,
    Slip,
    Offsite,
    Prepaid,
}

/// A payment as it lies in the books.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Payment {
    pub id: String,
    pub status: Status,
    pub way: Way,
    pub amount: i64,
    pub tax: i64,
    pub fee: i64,
    pub currency: Currency,
    pub details: Map<String, Value>,
    pub created_at: Timestamp,
    /// Whether it is captured as soon as it can be.
    pub auto: bool,
    pub locale: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub amount_refunded: i64,
    /// What a partial capture let go.
    #[serde(default)]
    pub released: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_descriptor: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_details: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refund>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refund_requests: Vec<RefundRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<String>,
    /// The code it is going to be declined with when the buyer comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doomed: Option<String>,
    /// What short prepaid cards paid so far.
    #[serde(default)]
    pub paid_points: i64,
    /// Webhooks of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// The card to save as a customer once it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saving: Option<Card>,
}

/// A payment's own webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hook {
    pub url: String,
    pub secret_token: String,
    #[serde(default)]
    pub events: Vec<String>,
}

/// A refund, as the wire shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Refund {
    pub id: String,
    pub resource: String,
    pub amount: i64,
    pub currency: Currency,
    pub payment: String,
    pub description: Option<String>,
    pub created_at: String,
    pub chargeback: bool,
}

/// A refund by hand, as the wire shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RefundRequest {
    pub id: String,
    pub payment: String,
    pub customer_name: String,
    pub bank_name: String,
    pub bank_code: Option<String>,
    pub branch_name: Option<String>,
    pub branch_number: String,
    pub account_type: String,
    pub account_number: String,
    pub description: Option<String>,
    pub status: String,
    pub created_at: String,
    pub amount: i64,
}

impl Payment {
    pub fn total(&self) -> i64 {
        self.amount + self.tax + self.fee
    }

    /// When time itself ends it.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.deadline.filter(|_| self.status.is_open())
    }

    pub fn method(&self) -> &str {
        self.details
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("unknown")
    }

    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.get(name).and_then(Value::as_str)
    }

    /// As the wire shows it. Before 2025-01-28 what a partial capture let go was shown as a refund.
    pub fn view(&self, old: bool) -> PaymentView<'_> {
        let mut refunds: Vec<Refund> = self.refunds.clone();
        let released = if old { self.released } else { 0 };
        if released > 0 {
            refunds.insert(
                0,
                Refund {
                    id: format!("r{}", &self.id[1..]),
                    resource: "refund".into(),
                    amount: released,
                    currency: self.currency,
                    payment: self.id.clone(),
                    description: None,
                    created_at: self.captured_at.map(wire_utc).unwrap_or_default(),
                    chargeback: false,
                },
            );
        }
        PaymentView {
            id: &self.id,
            resource: "payment",
            status: self.status,
            amount: self.amount + released,
            tax: self.tax,
            customer: self.customer.as_deref(),
            payment_deadline: self.deadline.map(wire_utc),
            payment_details: &self.details,
            payment_method_fee: self.fee,
            total: self.total() + released,
            currency: self.currency,
            description: self.description.as_deref(),
            captured_at: self.captured_at.map(wire_utc),
            external_order_num: self.number.as_deref(),
            metadata: &self.metadata,
            created_at: wire_utc(self.created_at),
            amount_refunded: self.amount_refunded + released,
            locale: &self.locale,
            session: self.session.as_deref(),
            customer_family_name: self.detail("family_name"),
            customer_given_name: self.detail("given_name"),
            mcc: self.mcc.as_deref(),
            statement_descriptor: self.statement_descriptor.as_ref(),
            platform_details: self.platform_details.as_ref(),
            refunds,
            refund_requests: &self.refund_requests,
        }
    }
}

/// A payment as the wire shows it.
#[derive(Serialize)]
pub(super) struct PaymentView<'a> {
    id: &'a str,
    resource: &'static str,
    status: Status,
    amount: i64,
    tax: i64,
    customer: Option<&'a str>,
    payment_deadline: Option<String>,
    payment_details: &'a Map<String, Value>,
    payment_method_fee: i64,
    total: i64,
    currency: Currency,
    description: Option<&'a str>,
    captured_at: Option<String>,
    external_order_num: Option<&'a str>,
    metadata: &'a BTreeMap<String, String>,
    created_at: String,
    amount_refunded: i64,
    locale: &'a str,
    session: Option<&'a str>,
    customer_family_name: Option<&'a str>,
    customer_given_name: Option<&'a str>,
    mcc: Option<&'a str>,
    statement_descriptor: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform_details: Option<&'a Value>,
    refunds: Vec<Refund>,
    refund_requests: &'a [RefundRequest],
}

/// A session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SessionStatus {
    Pending,
    Completed,
    Cancelled,
}

impl SessionStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A session as it lies in the books.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub id: String,
    pub mode: String,
    pub status: SessionStatus,
    pub amount: i64,
    pub currency: Currency,
    pub locale: String,
    pub types: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub auto: bool,
    pub payment_data: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_items: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What every pay fails with (`Komoju-Scenario`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
}

impl Session {
    pub fn expired(&self, now: Timestamp) -> bool {
        self.status == SessionStatus::Pending && now >= self.expires_at
    }

    /// Where the buyer goes afterwards: the return URL with `session_id` added, a fragment staying last.
    pub fn back(&self) -> Option<String> {
        self.return_url
            .as_deref()
            .map(|url| with_query(url, "session_id", &self.id))
    }
}

/// Adds a query parameter to a URL.
pub(super) fn with_query(url: &str, name: &str, value: &str) -> String {
    let (rest, fragment) = url
        .split_once('#')
        .map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
    let joint = if rest.contains('?') { '&' } else { '?' };
    let fragment = fragment
        .map(|fragment| format!("#{fragment}"))
        .unwrap_or_default();
    format!("{rest}{joint}{name}={value}{fragment}")
}

/// A token: details to be used once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    pub plan: Plan,
    pub expires_at: Timestamp,
}

/// A 3-D Secure authentication.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SecureToken {
    pub id: String,
    pub verification_status: String,
    pub created_at: Timestamp,
    pub card: Card,
    pub shown: Map<String, Value>,
    pub amount: i64,
    pub currency: Currency,
    pub return_url: Option<String>,
    /// The payment that waits for it, within a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// The session that saves the card once it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saving_for: Option<String>,
}

/// A customer with a saved card.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Customer {
    pub id: String,
    pub email: Option<String>,
    pub card: Option<Card>,
    pub metadata: BTreeMap<String, String>,
    pub created_at: Timestamp,
    /// What every payment fails with (`Komoju-Scenario`).
    pub scenario: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_join_queries_and_stay_before_fragments() {
        for (url, expected) in [
            ("https://s.test/b", "https://s.test/b?session_id=x"),
            (
                "https://s.test/?wc-api=X",
                "https://s.test/?wc-api=X&session_id=x",
            ),
            ("https://s.test/b#done", "https://s.test/b?session_id=x#done"),
        ] {
            assert_eq!(with_query(url, "session_id", "x"), expected);
        }
    }
}
