//! One checkout: how much, for what, by which methods, and where to return.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest and the usual life of a session, in seconds.
///
/// Source: docs/providers/komoju.md, "Sessions" (`expires_in_seconds`: default and maximum 86400).
pub const MAX_LIFE_S: i64 = 86_400;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionMode {
    /// Take a payment.
    Payment,
    /// Store a card.
    Customer,
    /// Both.
    CustomerPayment,
}

impl SessionMode {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Customer => "customer",
            Self::CustomerPayment => "customer_payment",
        }
    }

    /// Reads [`SessionMode::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Payment, Self::Customer, Self::CustomerPayment]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }

    /// Whether a customer comes out of it.
    pub const fn stores_customer(self) -> bool {
        matches!(self, Self::Customer | Self::CustomerPayment)
    }
}

/// Where a session stands. There is no "expired": that is a flag on a pending one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// May be paid.
    Pending,
    /// Paid, or a slip was made, or the customer stored.
    Completed,
    /// Given up by the shop.
    Cancelled,
}

impl SessionStatus {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads [`SessionStatus::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Completed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Why a session cannot be paid or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionClosed {
    /// It is paid.
    #[error("the session is completed")]
    Completed,
    /// The shop gave it up.
    #[error("the session is cancelled")]
    Cancelled,
    /// Its time is over.
    #[error("the session has expired")]
    Expired,
}

/// Whether a session may be paid or cancelled at `now`.
///
/// # Errors
/// [`SessionClosed`] says why not.
pub fn open(status: SessionStatus, expires_at: Timestamp, now: Timestamp) -> Result<(), SessionClosed> {
    match status {
        SessionStatus::Completed => Err(SessionClosed::Completed),
        SessionStatus::Cancelled => Err(SessionClosed::Cancelled),
        SessionStatus::Pending if expires_at <= now => Err(SessionClosed::Expired),
        SessionStatus::Pending => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_closes_at_its_last_second_and_stays_closed() {
        let at = |s: i64| Timestamp::from_second(s).unwrap();
        assert_eq!(open(SessionStatus::Pending, at(100), at(99)), Ok(()));
        assert_eq!(
            open(SessionStatus::Pending, at(100), at(100)),
            Err(SessionClosed::Expired)
        );
        assert_eq!(
            open(SessionStatus::Completed, at(100), at(1)),
            Err(SessionClosed::Completed)
        );
        assert_eq!(
            open(SessionStatus::Cancelled, at(100), at(1)),
            Err(SessionClosed::Cancelled)
        );
    }
}
