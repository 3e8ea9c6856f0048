//! What an answer of a provider, or its absence, means for an attempt and its payment.
//!
//! These are the decisions between a call and a commit. They are functions of what is known, so that the engine runs them and
//! `crates/model` explores them, and neither has a copy.
use crate::attempt::{AttemptStatus, Purpose};
use crate::money::Money;
use crate::payment::{Fact, Operation, State, Status, Suspicion};

/// What a provider believes of a payment's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Its status in our words.
    pub status: Status,
    /// What was promised or is awaited.
    pub total: Money,
    /// What was taken.
    pub captured: Option<Money>,
    /// What went back, by the provider's names, oldest first.
    pub refunds: &'a [(Box<str>, Money)],
    /// Why it failed, when it did.
    pub failure: Option<&'a str>,
}

impl Seen<'_> {
    /// As facts, in the order they happened.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        match self.status {
            Status::Pending => {}
            Status::Authorized => facts.push(Fact::Authorized { amount: self.total }),
            Status::Captured | Status::Refunded => {
                facts.push(Fact::Captured {
                    amount: self.captured.unwrap_or(self.total),
                });
                for (reference, amount) in self.refunds {
                    facts.push(Fact::Refunded {
                        reference: reference.clone(),
                        amount: *amount,
                    });
                }
            }
            Status::Cancelled => facts.push(Fact::Cancelled),
            Status::Expired => facts.push(Fact::Expired),
            Status::Failed => {
                facts.push(Fact::Failed {
                    code: self.failure.unwrap_or("other_error").into(),
                });
            }
        }
        facts
    }

    fn returned(&self) -> Money {
        self.refunds
            .iter()
            .fold(Money::zero(self.total.currency()), |sum, (_, refund)| {
                sum.checked_add(*refund).unwrap_or(sum)
            })
    }
}

impl Purpose {
    /// What is folded of what is seen, for an attempt of this purpose.
    pub fn facts(self, seen: &Seen<'_>) -> Vec<Fact> {
        match self {
            Self::Usual => seen.facts(),
            Self::Expiry => {
                let expired = |fact| {
                    if fact == Fact::Cancelled {
                        Fact::Expired
                    } else {
                        fact
                    }
                };
                seen.facts().into_iter().map(expired).collect()
            }
            Self::Unwind => Vec::new(),
        }
    }
}

/// How a call ended, as far as the payment is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The provider did it and shows the payment.
    Done,
    /// The provider accepted it and shows the payment; a step is left to the shopper or to the provider.
    Accepted,
    /// The provider refused, with this code of the API.
    Declined(&'a str),
    /// Our request was wrong, with this code of the API.
    Rejected(&'a str),
    /// It provably never left.
    NotSent,
    /// It may have happened.
    Unknown,
}

/// How an attempt stands, and what is folded besides what the provider shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// Where the attempt stands.
    pub status: AttemptStatus,
    /// Folded into the payment.
    pub fact: Option<Fact>,
}

/// What an answer means. A payment whose authorization was refused or never left has failed; any other operation that was refused
/// leaves the payment as it was; an unknown end changes nothing.
pub fn answered(operation: Operation, answer: Answer<'_>) -> Meaning {
    let authorizes = operation == Operation::Authorize;
    let fails = |code: &str| authorizes.then(|| Fact::Failed { code: code.into() });
    let (status, fact) = match answer {
        Answer::Done => (AttemptStatus::Succeeded, None),
        Answer::Accepted if authorizes => (AttemptStatus::Pending, None),
        Answer::Accepted => (AttemptStatus::Succeeded, None),
        Answer::Declined(code) => (AttemptStatus::Declined, fails(code)),
        Answer::Rejected(code) => (AttemptStatus::Rejected, fails(code)),
        Answer::NotSent => (AttemptStatus::NotSent, fails("service_unavailable")),
        Answer::Unknown => (AttemptStatus::Unknown, None),
    };
    Meaning { status, fact }
}

/// What an inquiry says about an attempt whose end is not known, if it says anything yet.
///
/// `before` is the payment before the inquiry was folded, `amount` what the attempt moves. `absent_long` says that the attempt is older than
/// any request can be on its way: only then does the lack of a trace mean that it never arrived.
pub fn settled(
    operation: Operation,
    seen: Option<&Seen<'_>>,
    before: &State,
    amount: Money,
    absent_long: bool,
) -> Option<Meaning> {
    let (status, fact) = match seen {
        None if operation == Operation::Authorize && absent_long => (
            AttemptStatus::NotSent,
            Some(Fact::Failed {
                code: "gateway_timeout".into(),
            }),
        ),
        // A payment that was there and is not shown now says nothing about an operation on it.
        None => return None,
        Some(seen) if took_effect(operation, seen, before, amount) => (AttemptStatus::Succeeded, None),
        Some(_) if absent_long => (AttemptStatus::NotSent, None),
        Some(_) => return None,
    };
    Some(Meaning { status, fact })
}

/// Whether the operation we lost the answer of shows in what the provider believes now.
fn took_effect(operation: Operation, seen: &Seen<'_>, before: &State, amount: Money) -> bool {
    match operation {
        Operation::Authorize => true,
        Operation::Capture => matches!(seen.status, Status::Captured | Status::Refunded),
        Operation::Cancel => seen.status.is_terminal(),
        // A refund of ours that we did not know yet, of just this amount.
        Operation::Refund => seen
            .returned()
            .checked_sub(before.refunded())
            .is_ok_and(|news| news.minor() >= amount.minor()),
        Operation::Amend => seen.total == amount,
    }
}

/// What is done about a report that does not fit, besides telling a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    /// The payment does not count as paid.
    pub fails: bool,
    /// What stands at the provider is given up there.
    pub unwinds: bool,
    /// Money that was taken is given back as well. Without it, money that comes after all is for a person to decide about.
    pub refunds: bool,
}

/// What is done about a suspicion in a payment of this status.
pub fn remedy(suspicion: Suspicion, status: Status) -> Remedy {
    match suspicion {
        // Charged otherwise than asked: it does not count as paid, and goes back.
        Suspicion::AmountMismatch if status == Status::Pending => Remedy {
            fails: true,
            unwinds: true,
            refunds: true,
        },
        // Nobody waits for it any more.
        Suspicion::LateAuthorization => Remedy {
            fails: false,
            unwinds: true,
            refunds: false,
        },
        // Not ours to touch, or money that a person decides about.
        Suspicion::AmountMismatch
        | Suspicion::OtherPayment
        | Suspicion::LateCapture
        | Suspicion::OverRefund
        | Suspicion::UnexpectedRefund
        | Suspicion::ClosedAfterCapture => Remedy {
            fails: false,
            unwinds: false,
            refunds: false,
        },
    }
}

/// What gives up at the provider what should not be there: nothing when nothing is there, or when only a person can.
pub fn unwinding(seen: &Seen<'_>, cancels: bool, refunds: bool) -> Option<(Operation, Money)> {
    match seen.status {
        Status::Cancelled | Status::Expired | Status::Failed | Status::Refunded => None,
        Status::Pending | Status::Authorized => cancels.then_some((Operation::Cancel, seen.total)),
        Status::Captured => {
            let left = seen
                .captured
                .unwrap_or(seen.total)
                .checked_sub(seen.returned())
                .ok()?;
            (refunds && !left.is_zero()).then_some((Operation::Refund, left))
        }
    }
}

/// Whether an intended operation may still be sent. Once it is older than any call may take, others treat it as abandoned and ask what became
/// of it; whoever was paused for so long and wakes up before its call must not make it.
pub fn may_send(age_s: i64, timeout_ms: u64) -> bool {
    age_s <= abandoned_after_s(timeout_ms)
}

/// After how long an attempt that nobody concluded is abandoned, in seconds.
pub fn abandoned_after_s(timeout_ms: u64) -> i64 {
    i64::try_from(timeout_ms.div_ceil(1_000)).unwrap_or(i64::MAX / 4) * 2 + 15
}

/// Whether an answer still says something about an attempt that was settled by asking while the answer was awaited: that it was done after
/// all. Anything else is known already.
pub fn overrules(answer: Answer<'_>, settled: AttemptStatus) -> bool {
    match answer {
        Answer::Done | Answer::Accepted => match settled {
            AttemptStatus::Declined | AttemptStatus::Rejected | AttemptStatus::NotSent => true,
            AttemptStatus::Intended
            | AttemptStatus::Succeeded
            | AttemptStatus::Pending
            | AttemptStatus::Unknown => false,
        },
        Answer::Declined(_) | Answer::Rejected(_) | Answer::NotSent | Answer::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_slept_longer_than_a_call_may_take_does_not_call() {
        assert_eq!(abandoned_after_s(30_000), 75);
        assert!(may_send(0, 30_000) && may_send(75, 30_000));
        assert!(!may_send(76, 30_000) && !may_send(600, 30_000));
        assert!(may_send(-3, 30_000), "a clock that was set back is no sleep");
    }

    #[test]
    fn an_answer_that_tells_of_success_counts_though_the_attempt_was_given_up() {
        for answer in [Answer::Done, Answer::Accepted] {
            assert!(overrules(answer, AttemptStatus::NotSent));
            assert!(
                !overrules(answer, AttemptStatus::Succeeded) && !overrules(answer, AttemptStatus::Pending)
            );
        }
        for answer in [
            Answer::Declined("card_declined"),
            Answer::Rejected("bad_request"),
            Answer::NotSent,
            Answer::Unknown,
        ] {
            assert!(!overrules(answer, AttemptStatus::NotSent), "{answer:?}");
        }
    }
}
