//! What may happen to a payment.
//!
//! Two kinds of things happen. A shop's *command* meets [`State::permit`] and may be refused. A provider's *fact* meets
//! [`State::fold`], the one function that takes facts in, through whatever door they came and in whatever order: it is applied,
//! already known, or suspect, which means that only a fresh look at the provider can tell a late report from two books that disagree.
//! Nothing here ever moves a payment backwards.
use crate::money::{Money, MoneyError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a payment shows to the world.
///
/// Source: docs/providers/komoju.md, "Scalars" (the API's enumeration).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Begun; the shopper or the provider has a step to take.
    Pending,
    /// The money is promised (card) or awaited (slip).
    Authorized,
    /// The money is ours.
    Captured,
    /// Given up before any money moved.
    Cancelled,
    /// Its deadline passed before any money moved.
    Expired,
    /// All of the money went back.
    Refunded,
    /// The provider refused.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Authorized,
        Self::Captured,
        Self::Cancelled,
        Self::Expired,
        Self::Refunded,
        Self::Failed,
    ];

    /// As it stands on the wire and in the database.
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

    /// Reads [`Status::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether nothing leaves this status.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Cancelled | Self::Expired | Self::Refunded | Self::Failed => true,
            Self::Pending | Self::Authorized | Self::Captured => false,
        }
    }

    /// Whether a shopper could still pay it, so that it counts as its order's live payment.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Authorized => true,
            Self::Captured | Self::Cancelled | Self::Expired | Self::Refunded | Self::Failed => false,
        }
    }
}

/// When the money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMode {
    /// As soon as the provider says yes.
    Auto,
    /// When the shop says so.
    Manual,
}

impl CaptureMode {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        }
    }
}

/// One operation at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "DESIGN's words")]
pub enum Operation {
    Authorize,
    Capture,
    Cancel,
    Refund,
    Amend,
}

impl Operation {
    /// As it stands in the database and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::Amend => "amend",
        }
    }
}

/// What a provider reports. It already happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The whole amount is promised or awaited.
    Authorized {
        /// How much.
        amount: Money,
    },
    /// Money was taken.
    Captured {
        /// How much.
        amount: Money,
    },
    /// Money went back.
    Refunded {
        /// The provider's name for this refund; the same name is the same refund.
        reference: Box<str>,
        /// How much.
        amount: Money,
    },
    /// Released without money moving.
    Cancelled,
    /// Lapsed without money moving.
    Expired,
    /// Refused.
    Failed {
        /// Why, as an error code of the API.
        code: Box<str>,
    },
}

/// A step a payment took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It became authorized.
    Authorized,
    /// It became captured.
    Captured {
        /// How much was taken.
        amount: Money,
    },
    /// Part or all of it was returned.
    Refunded {
        /// The provider's name for the refund.
        reference: Box<str>,
        /// How much.
        amount: Money,
        /// Whether nothing is left.
        whole: bool,
    },
    /// It became cancelled.
    Cancelled,
    /// It became expired.
    Expired,
    /// It became failed.
    Failed {
        /// Why.
        code: Box<str>,
    },
}

/// What two books may disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// The provider's amount is not the one we asked for.
    AmountMismatch,
    /// Authorized at the provider though closed here.
    LateAuthorization,
    /// Paid at the provider though closed here.
    LateCapture,
    /// More went back than was taken.
    OverRefund,
    /// A refund of a payment that is closed here.
    UnexpectedRefund,
    /// Closed at the provider though paid here.
    ClosedAfterCapture,
    /// What the provider shows carries another order number or name: it is not this payment.
    OtherPayment,
}

impl Suspicion {
    /// As it stands in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmountMismatch => "amount_mismatch",
            Self::LateAuthorization => "late_authorization",
            Self::LateCapture => "late_capture",
            Self::OverRefund => "over_refund",
            Self::UnexpectedRefund => "unexpected_refund",
            Self::ClosedAfterCapture => "closed_after_capture",
            Self::OtherPayment => "other_payment",
        }
    }
}

/// What became of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folded {
    /// The payment took these steps, in this order.
    Applied(Vec<Step>),
    /// Nothing new.
    Known,
    /// It does not fit. Nothing changed; ask the provider afresh, and raise a discrepancy if it stands by it.
    Suspect(Suspicion),
}

/// What a shop may ask of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Take the money.
    Capture {
        /// How much; no more than was authorized.
        amount: Money,
    },
    /// Give it up before money moves.
    Cancel,
    /// Return money.
    Refund {
        /// How much; everything that is left when none.
        amount: Option<Money>,
    },
}

impl Command {
    /// The operation the command becomes.
    pub const fn operation(self) -> Operation {
        match self {
            Self::Capture { .. } => Operation::Capture,
            Self::Cancel => Operation::Cancel,
            Self::Refund { .. } => Operation::Refund,
        }
    }
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The status does not allow it.
    #[error("a payment that is {} does not allow {}", .status.as_str(), .operation.as_str())]
    Status {
        /// What it is.
        status: Status,
        /// What was asked.
        operation: Operation,
    },
    /// It captures by itself.
    #[error("the payment is captured automatically")]
    CapturesItself,
    /// Nothing or less was asked.
    #[error("the amount must be greater than 0")]
    NothingAsked,
    /// More was asked than is left.
    #[error("at most {left} is left")]
    TooMuch {
        /// What is left.
        left: Money,
    },
    /// Another operation has not been answered yet.
    #[error("{} is still being confirmed with the provider", .operation.as_str())]
    InFlight {
        /// Which one.
        operation: Operation,
    },
    /// The amounts do not fit together.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// An operation that was begun and whose end we do not know yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InFlight {
    /// Which attempt of the payment, counted from 1.
    pub attempt: u32,
    /// What it does.
    pub operation: Operation,
    /// How much it moves.
    pub amount: Money,
}

/// What is true about one payment's money. Everything else about a payment hangs around this.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    status: Status,
    capture: CaptureMode,
    /// What was asked for: the most that may ever be captured.
    asked: Money,
    captured: Money,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    refunds: BTreeMap<Box<str>, Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_flight: Option<InFlight>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Box<str>>,
}

impl State {
    /// A payment that has just been wished for.
    pub fn new(asked: Money, capture: CaptureMode) -> Self {
        Self {
            status: Status::Pending,
            capture,
            asked,
            captured: Money::zero(asked.currency()),
            refunds: BTreeMap::new(),
            in_flight: None,
            failure: None,
        }
    }

    /// What it shows to the world.
    pub fn status(&self) -> Status {
        self.status
    }

    /// When its money is taken.
    pub fn capture_mode(&self) -> CaptureMode {
        self.capture
    }

    /// What was asked for.
    pub fn asked(&self) -> Money {
        self.asked
    }

    /// What is promised: the asked amount once authorized, what was taken after a capture, nothing before or after that.
    pub fn authorized(&self) -> Money {
        match self.status {
            Status::Authorized | Status::Captured | Status::Refunded => self.asked,
            Status::Pending | Status::Cancelled | Status::Expired | Status::Failed => {
                Money::zero(self.asked.currency())
            }
        }
    }

    /// What was taken.
    pub fn captured(&self) -> Money {
        self.captured
    }

    /// What went back. Refunds reported before their capture count from the capture on.
    pub fn refunded(&self) -> Money {
        match self.status {
            Status::Captured | Status::Refunded => self.refunds_sum(),
            Status::Pending | Status::Authorized | Status::Cancelled | Status::Expired | Status::Failed => {
                Money::zero(self.asked.currency())
            }
        }
    }

    /// What could still be returned.
    pub fn refundable(&self) -> Money {
        self.captured
            .checked_sub(self.refunded())
            .expect("refunded ≤ captured")
    }

    /// The operation that has not been answered yet.
    pub fn in_flight(&self) -> Option<&InFlight> {
        self.in_flight.as_ref()
    }

    /// Why it failed, when it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether a command may be sent to the provider now, and with which amount.
    ///
    /// # Errors
    /// [`Refused`] says what stood in the way; nothing has changed.
    pub fn permit(&self, command: Command) -> Result<Money, Refused> {
        let operation = command.operation();
        let no = Refused::Status {
            status: self.status,
            operation,
        };
        let waits = || match &self.in_flight {
            Some(flight) => Err(Refused::InFlight {
                operation: flight.operation,
            }),
            None => Ok(()),
        };
        match command {
            Command::Capture { amount } => match self.status {
                Status::Authorized if self.capture == CaptureMode::Auto => Err(Refused::CapturesItself),
                Status::Authorized => {
                    waits()?;
                    between_nothing_and(amount, self.asked)
                }
                Status::Pending
                | Status::Captured
                | Status::Cancelled
                | Status::Expired
                | Status::Refunded
                | Status::Failed => Err(no),
            },
            Command::Cancel => match self.status {
                Status::Pending | Status::Authorized => {
                    waits()?;
                    Ok(self.asked)
                }
                Status::Captured
                | Status::Cancelled
                | Status::Expired
                | Status::Refunded
                | Status::Failed => Err(no),
            },
            Command::Refund { amount } => match self.status {
                Status::Captured => {
                    waits()?;
                    between_nothing_and(amount.unwrap_or(self.refundable()), self.refundable())
                }
                Status::Pending
                | Status::Authorized
                | Status::Cancelled
                | Status::Expired
                | Status::Refunded
                | Status::Failed => Err(no),
            },
        }
    }

    /// Notes that an operation is on its way. Until [`State::land`], no other may start.
    ///
    /// # Panics
    /// When another is on its way: [`State::permit`] comes first.
    pub fn take_off(&mut self, flight: InFlight) {
        assert!(self.in_flight.is_none(), "one operation at a time");
        self.in_flight = Some(flight);
    }

    /// Notes that the operation's end is known. Does nothing when it was known already.
    pub fn land(&mut self, attempt: u32) {
        if self
            .in_flight
            .as_ref()
            .is_some_and(|flight| flight.attempt == attempt)
        {
            self.in_flight = None;
        }
    }

    /// Takes in what a provider reports.
    pub fn fold(&mut self, fact: &Fact) -> Folded {
        let folded = match fact {
            Fact::Authorized { amount } => self.fold_authorized(*amount),
            Fact::Captured { amount } => self.fold_captured(*amount),
            Fact::Refunded { reference, amount } => self.fold_refunded(reference, *amount),
            Fact::Cancelled => self.fold_closed(Status::Cancelled, Step::Cancelled),
            Fact::Expired => self.fold_closed(Status::Expired, Step::Expired),
            Fact::Failed { code } => {
                let folded = self.fold_closed(Status::Failed, Step::Failed { code: code.clone() });
                if matches!(folded, Folded::Applied(_)) {
                    self.failure = Some(code.clone());
                }
                folded
            }
        };
        self.assert_sound();
        folded
    }

    fn fold_authorized(&mut self, amount: Money) -> Folded {
        match self.status {
            Status::Pending if amount == self.asked => {
                self.status = Status::Authorized;
                Folded::Applied(vec![Step::Authorized])
            }
            Status::Pending => Folded::Suspect(Suspicion::AmountMismatch),
            // Captured implies authorized: the report was merely slow.
            Status::Authorized | Status::Captured | Status::Refunded if amount == self.asked => Folded::Known,
            Status::Authorized | Status::Captured | Status::Refunded => {
                Folded::Suspect(Suspicion::AmountMismatch)
            }
            Status::Cancelled | Status::Expired | Status::Failed => {
                Folded::Suspect(Suspicion::LateAuthorization)
            }
        }
    }

    fn fold_captured(&mut self, amount: Money) -> Folded {
        match self.status {
            Status::Pending | Status::Authorized => {
                let fits = match self.capture {
                    CaptureMode::Auto => amount == self.asked,
                    CaptureMode::Manual => !amount.is_zero() && amount.exceeds(self.asked) == Ok(false),
                };
                if !fits {
                    return Folded::Suspect(Suspicion::AmountMismatch);
                }
                self.status = Status::Captured;
                self.captured = amount;
                let mut steps = vec![Step::Captured { amount }];
                // Refunds reported ahead of their capture take effect now.
                let early = std::mem::take(&mut self.refunds);
                for (reference, amount) in early {
                    if let Folded::Applied(more) = self.fold_refunded(&reference, amount) {
                        steps.extend(more);
                    }
                }
                Folded::Applied(steps)
            }
            Status::Captured | Status::Refunded if amount == self.captured => Folded::Known,
            Status::Captured | Status::Refunded => Folded::Suspect(Suspicion::AmountMismatch),
            Status::Cancelled | Status::Expired | Status::Failed => Folded::Suspect(Suspicion::LateCapture),
        }
    }

    fn fold_refunded(&mut self, reference: &str, amount: Money) -> Folded {
        if let Some(known) = self.refunds.get(reference) {
            return if *known == amount {
                Folded::Known
            } else {
                Folded::Suspect(Suspicion::AmountMismatch)
            };
        }
        if amount.is_zero() || amount.currency() != self.asked.currency() {
            return Folded::Suspect(Suspicion::AmountMismatch);
        }
        match self.status {
            Status::Pending | Status::Authorized => {
                let within = self
                    .refunds_sum()
                    .checked_add(amount)
                    .is_ok_and(|sum| sum.exceeds(self.asked) == Ok(false));
                if !within {
                    return Folded::Suspect(Suspicion::OverRefund);
                }
                self.refunds.insert(reference.into(), amount);
                Folded::Applied(Vec::new())
            }
            Status::Captured => {
                let Ok(left) = self.refundable().checked_sub(amount) else {
                    return Folded::Suspect(Suspicion::OverRefund);
                };
                self.refunds.insert(reference.into(), amount);
                let whole = left.is_zero();
                if whole {
                    self.status = Status::Refunded;
                }
                Folded::Applied(vec![Step::Refunded {
                    reference: reference.into(),
                    amount,
                    whole,
                }])
            }
            Status::Refunded => Folded::Suspect(Suspicion::OverRefund),
            Status::Cancelled | Status::Expired | Status::Failed => {
                Folded::Suspect(Suspicion::UnexpectedRefund)
            }
        }
    }

    fn fold_closed(&mut self, status: Status, step: Step) -> Folded {
        match self.status {
            Status::Pending | Status::Authorized => {
                self.status = status;
                Folded::Applied(vec![step])
            }
            // Closed is closed: which word the other side uses for it changes nothing for anybody.
            Status::Cancelled | Status::Expired | Status::Failed => Folded::Known,
            Status::Captured | Status::Refunded => Folded::Suspect(Suspicion::ClosedAfterCapture),
        }
    }

    fn refunds_sum(&self) -> Money {
        self.refunds
            .values()
            .fold(Money::zero(self.asked.currency()), |sum, refund| {
                sum.checked_add(*refund)
                    .expect("each refund was checked against what was captured")
            })
    }

    /// Refunded ≤ captured ≤ authorized, and the status says what the amounts say.
    ///
    /// # Panics
    /// When that is not so: a broken invariant about money must not be written down.
    pub fn assert_sound(&self) {
        let (asked, captured, refunded) =
            (self.asked.minor(), self.captured.minor(), self.refunded().minor());
        assert!(
            refunded <= captured && captured <= asked,
            "refunded {refunded} ≤ captured {captured} ≤ {asked}"
        );
        match self.status {
            Status::Captured => assert!(
                captured > 0 && refunded < captured,
                "captured: {captured}, {refunded}"
            ),
            Status::Refunded => assert!(
                captured > 0 && refunded == captured,
                "refunded: {captured}, {refunded}"
            ),
            Status::Pending | Status::Authorized | Status::Cancelled | Status::Expired | Status::Failed => {
                assert!(captured == 0, "{:?} with {captured} captured", self.status);
            }
        }
    }
}

fn between_nothing_and(amount: Money, most: Money) -> Result<Money, Refused> {
    if amount.is_zero() {
        return Err(Refused::NothingAsked);
    }
    if amount.exceeds(most)? {
        return Err(Refused::TooMuch { left: most });
    }
    Ok(amount)
}

#[cfg(test)]
mod tests;
