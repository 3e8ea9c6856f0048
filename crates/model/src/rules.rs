//! The product's decisions as values, so that a test can replace one by a wrong one and see it caught.
use kessai_core::Money;
use kessai_core::attempt::AttemptStatus;
use kessai_core::payment::{Command, Fact, Folded, Operation, Refused, State, Status, Suspicion};
use kessai_core::settle::{self, Answer, Meaning, Remedy, Seen};

/// What decides. [`Rules::product`] is what runs.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "named as the product's functions")]
pub struct Rules {
    pub permit: fn(&State, Command) -> Result<Money, Refused>,
    pub fold: fn(&mut State, &Fact) -> Folded,
    pub answered: for<'a> fn(Operation, Answer<'a>) -> Meaning,
    pub settled: for<'a, 'b> fn(Operation, Option<&'a Seen<'b>>, &'a State, Money, bool) -> Option<Meaning>,
    pub remedy: fn(Suspicion, Status) -> Remedy,
    pub unwinding: for<'a, 'b> fn(&'a Seen<'b>, bool, bool) -> Option<(Operation, Money)>,
    pub may_send: fn(i64, u64) -> bool,
    pub overrules: for<'a> fn(Answer<'a>, AttemptStatus) -> bool,
    /// Every commit carries the version that was read (`Draft::commit`).
    pub versions: bool,
    /// An attempt's age is that of the moment when the provider was asked (`Engine::settle_in_turn`).
    pub old_when_asked: bool,
    /// An unknown attempt is sent again. Never.
    pub resends: bool,
    /// Every payment is compared with its provider now and then, closed ones too.
    pub reconciles: bool,
}

impl Rules {
    /// What runs in the hub.
    pub fn product() -> Self {
        Self {
            permit: State::permit,
            fold: State::fold,
            answered: settle::answered,
            settled: settle::settled,
            remedy: settle::remedy,
            unwinding: settle::unwinding,
            may_send: settle::may_send,
            overrules: settle::overrules,
            versions: true,
            old_when_asked: true,
            resends: false,
            reconciles: true,
        }
    }
}
