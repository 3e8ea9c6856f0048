//! Faults on command: by operation, at a rate, a number of times.
use super::Answer;
use crate::transport::Reply;
use bytes::Bytes;
use kessai_core::Entropy;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// No sandbox holds more rules than this.
pub const MAX_RULES: usize = 100;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection is refused; nothing is booked.
    Refuse,
    /// The connection breaks; nothing is booked.
    LoseBefore,
    /// It is booked, then the connection breaks.
    LoseAfter,
    /// It is booked and answered late.
    Delay {
        /// By how much.
        ms: u64,
    },
    /// It is answered with this HTTP status.
    Status {
        /// The status, as 503.
        code: u16,
        /// Whether it is booked all the same.
        #[serde(default)]
        booked: bool,
    },
    /// It is booked; the answer breaks off in the middle.
    Truncate,
    /// It is booked; the answer is unreadable.
    Garble,
    /// It is booked; the answer shows a state nobody has heard of.
    UnlistedStatus,
    /// It is declined with this code.
    Decline {
        /// The provider's code.
        code: String,
    },
    /// It is booked rightly and answered with another amount.
    WrongAmount,
    /// The notification is never sent.
    NoticeDrop,
    /// The notification is sent twice.
    NoticeDuplicate,
    /// The notification is overtaken by later ones.
    NoticeReorder,
    /// The notification comes late.
    NoticeDelay {
        /// By how much.
        ms: u64,
    },
    /// Besides the true one, a notification with a wrong signature is sent.
    NoticeForge,
    /// The notification shows another amount.
    NoticeWrongAmount,
    /// Besides the true one, a notification about a payment that never was is sent.
    NoticeUnknownPayment,
}

impl FaultKind {
    /// Whether it strikes notifications, not requests.
    pub const fn is_about_notices(&self) -> bool {
        match self {
            Self::NoticeDrop
            | Self::NoticeDuplicate
            | Self::NoticeReorder
            | Self::NoticeDelay { .. }
            | Self::NoticeForge
            | Self::NoticeWrongAmount
            | Self::NoticeUnknownPayment => true,
            Self::Refuse
            | Self::LoseBefore
            | Self::LoseAfter
            | Self::Delay { .. }
            | Self::Status { .. }
            | Self::Truncate
            | Self::Garble
            | Self::UnlistedStatus
            | Self::Decline { .. }
            | Self::WrongAmount => false,
        }
    }
}

/// When something goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// `payments.create`, `payments.*` or `*`; for notifications the event's type.
    pub operation: String,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many of a thousand are struck.
    #[serde(default = "always")]
    pub rate: u32,
    /// How many more are struck; without end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
}

const fn always() -> u32 {
    1000
}

impl FaultRule {
    fn names(&self, operation: &str) -> bool {
        match self.operation.strip_suffix('*') {
            Some(start) => operation.starts_with(start),
            None => self.operation == operation,
        }
    }
}

/// The rules in force.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Vec<FaultRule>>,
    count: AtomicUsize,
}

impl Faults {
    /// The rules in force.
    pub fn rules(&self) -> Vec<FaultRule> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a rule; false when there are too many already.
    pub fn add(&self, rule: FaultRule) -> bool {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.len() >= MAX_RULES {
            return false;
        }
        rules.push(rule);
        self.count.store(rules.len(), Ordering::Release);
        true
    }

    /// Puts these in place of all others.
    pub fn replace(&self, mut with: Vec<FaultRule>) {
        with.truncate(MAX_RULES);
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        *rules = with;
        self.count.store(rules.len(), Ordering::Release);
    }

    /// Throws the dice for a request. Costs nothing when there are no rules.
    pub fn draw(&self, operation: &str, entropy: &dyn Entropy) -> Drawn {
        self.throw(operation, entropy, false)
    }

    /// Throws the dice for a notification.
    pub fn draw_for_notice(&self, event: &str, entropy: &dyn Entropy) -> Drawn {
        self.throw(event, entropy, true)
    }

    fn throw(&self, operation: &str, entropy: &dyn Entropy, notice: bool) -> Drawn {
        let mut drawn = Drawn::default();
        if self.count.load(Ordering::Acquire) == 0 {
            return drawn;
        }
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules.iter_mut() {
            if rule.kind.is_about_notices() != notice || !rule.names(operation) || rule.remaining == Some(0) {
                continue;
            }
            if rule.rate < 1000 {
                let mut dice = [0_u8; 4];
                entropy.fill(&mut dice);
                if u32::from_be_bytes(dice) % 1000 >= rule.rate {
                    continue;
                }
            }
            if let Some(left) = &mut rule.remaining {
                *left -= 1;
                drawn.used_up = true;
            }
            drawn.kinds.push(rule.kind.clone());
        }
        rules.retain(|rule| rule.remaining != Some(0));
        self.count.store(rules.len(), Ordering::Release);
        drawn
    }
}

/// What goes wrong this time.
#[derive(Debug, Default)]
pub struct Drawn {
    /// In the order of the rules.
    pub kinds: Vec<FaultKind>,
    /// Whether a rule's count went down, so that the rules should be saved.
    pub used_up: bool,
}

impl Drawn {
    /// Whether this goes wrong.
    pub fn has(&self, kind: &FaultKind) -> bool {
        self.kinds.contains(kind)
    }

    /// The code to decline with.
    pub fn decline(&self) -> Option<&str> {
        self.kinds.iter().find_map(|kind| {
            if let FaultKind::Decline { code } = kind {
                Some(code.as_str())
            } else {
                None
            }
        })
    }

    /// The answer, when it never comes to booking. `error` is the provider's reply with an HTTP status.
    pub fn before(&self, error: impl Fn(u16) -> Reply) -> Option<Answer> {
        self.kinds.iter().find_map(|kind| match kind {
            FaultKind::Refuse => Some(Answer::Refused),
            FaultKind::LoseBefore => Some(Answer::Dropped),
            FaultKind::Status { code, booked: false } => Some(Answer::Reply {
                reply: error(*code),
                after_ms: self.delay_ms(),
            }),
            _ => None,
        })
    }

    /// The answer, once it is booked.
    pub fn after(&self, mut reply: Reply, error: impl Fn(u16) -> Reply) -> Answer {
        for kind in &self.kinds {
            match kind {
                FaultKind::LoseAfter => return Answer::Dropped,
                FaultKind::Status { code, booked: true } => reply = error(*code),
                FaultKind::Truncate => reply.body.truncate(reply.body.len() / 2),
                FaultKind::Garble => reply.body = Bytes::from_static(b"<html><body>upstream \xff\xfe error"),
                _ => {}
            }
        }
        Answer::Reply {
            reply,
            after_ms: self.delay_ms(),
        }
    }

    fn delay_ms(&self) -> u64 {
        let each = self.kinds.iter().map(|kind| {
            if let FaultKind::Delay { ms } = kind {
                *ms
            } else {
                0
            }
        });
        each.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&self, into: &mut [u8]) {
            into.fill(self.0);
        }
    }

    fn rule(json: &str) -> FaultRule {
        serde_json::from_str(json).expect("a rule")
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_was_asked_to_and_no_more() {
        let faults = Faults::default();
        assert!(faults.add(rule(
            r#"{"operation":"payments.*","kind":"refuse","remaining":1}"#
        )));
        assert!(faults.draw("sessions.pay", &Fixed(0)).kinds.is_empty());
        assert_eq!(
            faults.draw("payments.create", &Fixed(0)).kinds,
            [FaultKind::Refuse]
        );
        assert!(faults.draw("payments.create", &Fixed(0)).kinds.is_empty());
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn the_rate_is_per_thousand() {
        let faults = Faults::default();
        assert!(faults.add(rule(r#"{"operation":"*","kind":"delay","ms":5,"rate":300}"#)));
        // 0xffffffff % 1000 is 295, 0x55555555 % 1000 is 765.
        assert_eq!(faults.draw("x", &Fixed(0xff)).kinds.len(), 1);
        assert_eq!(faults.draw("x", &Fixed(0x55)).kinds.len(), 0);
    }

    #[test]
    fn requests_and_notifications_have_separate_faults() {
        let faults = Faults::default();
        assert!(faults.add(rule(r#"{"operation":"*","kind":"notice_drop"}"#)));
        assert!(faults.draw("payments.create", &Fixed(0)).kinds.is_empty());
        assert_eq!(
            faults.draw_for_notice("payment.captured", &Fixed(0)).kinds,
            [FaultKind::NoticeDrop]
        );
    }
}
