//! One operation sent to one provider for a payment.
use serde::{Deserialize, Serialize};

/// Why an attempt was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Somebody asked for it: its outcome is folded.
    #[default]
    Usual,
    /// The deadline passed: given up at the provider is expired here.
    Expiry,
    /// It takes back at the provider what is not ours; the payment stays as it is.
    Unwind,
}

impl Purpose {
    /// Whether somebody asked for it.
    pub fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// Written down, about to be sent.
    Intended,
    /// The provider did it.
    Succeeded,
    /// The provider accepted it; a step is left to the shopper or to the provider.
    Pending,
    /// The provider refused; no money moved.
    Declined,
    /// Our request was wrong; no money moved, an operator must look.
    Rejected,
    /// It provably never left this machine.
    NotSent,
    /// It may have happened. Only an inquiry settles it.
    Unknown,
}

impl AttemptStatus {
    /// As it stands in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Succeeded => "succeeded",
            Self::Pending => "pending",
            Self::Declined => "declined",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }

    /// Reads [`AttemptStatus::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Intended,
            Self::Succeeded,
            Self::Pending,
            Self::Declined,
            Self::Rejected,
            Self::NotSent,
            Self::Unknown,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }

    /// Whether its end is known.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Succeeded | Self::Pending | Self::Declined | Self::Rejected | Self::NotSent => true,
            Self::Intended | Self::Unknown => false,
        }
    }
}
