//! Everything that goes wrong on purpose, by name.
use crate::rng::Rng;
use std::collections::BTreeSet;

macro_rules! faults {
    ($($name:ident $text:literal $says:literal,)*) => {
        /// One kind of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $(#[doc = $says] $name,)* }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name on the command line and in the coverage table.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

faults! {
    Refused "refused" "The connection to the provider is refused.",
    LostBefore "lost-before" "It breaks before the provider has the request.",
    LostAfter "lost-after" "It breaks after the provider booked.",
    LateArrival "late-arrival" "The request arrives after our time-out.",
    LateReply "late-reply" "The reply comes after our time-out, to nobody.",
    Truncated "truncated" "The reply breaks off.",
    Garbled "garbled" "The reply is unreadable.",
    UnlistedStatus "unlisted-status" "The reply shows a status nobody listed.",
    ErrorBefore "error-before" "A 5xx, and nothing was booked.",
    ErrorAfter "error-after" "A 5xx, though it was booked.",
    Maintenance "maintenance" "For a while the provider answers 503 to everything.",
    ProviderDown "provider-down" "For up to a day nobody reaches the provider.",
    NoticeLost "notice-lost" "A notification never comes.",
    NoticeTwice "notice-twice" "It comes twice.",
    NoticeLate "notice-late" "It comes late, behind others.",
    NoticeForged "notice-forged" "Another comes with a wrong signature.",
    NoticeUnknown "notice-unknown" "A genuine one about a payment that never was.",
    NoticeWrongAmount "notice-wrong-amount" "A genuine one shows another amount.",
    WrongCash "wrong-cash" "A shopper's slip is paid with another amount.",
    Crash "crash" "A node dies between two steps.",
    CrashBeforeCommit "crash-before-commit" "A node dies with work in the store's queue, which is lost.",
    CrashAfterCommit "crash-after-commit" "A node dies after its work is durable, before it hears so.",
    Pause "pause" "A node stands still for minutes, then goes on.",
    PauseAfterCommit "pause-after-commit" "It stands still for long when its work is durable, before it hears so.",
    PauseAfterIntent "pause-after-intent" "It stands still for long when what it is about to ask the provider for is written down.",
    PauseOverSend "pause-over-send" "It is suspended for long with a request on its way out, which leaves when it wakes.",
    ClockSkew "clock-skew" "Nodes' clocks differ.",
    DiskFull "disk-full" "The database's disk is full for a while.",
    StoreRefuses "store-refuses" "The database cannot be reached for a while.",
    StoreBusy "store-busy" "The database's queue is full for a while.",
    DoubtApplied "doubt-applied" "A commit's outcome is reported as unknown; it is durable.",
    DoubtLost "doubt-lost" "A commit's outcome is reported as unknown; it never happened.",
    AnswerLost "answer-lost" "Our answer never reaches the shop.",
    HangUp "hang-up" "The shop hangs up in the middle.",
    EndpointDown "endpoint-down" "A shop's webhook endpoint refuses connections for a while.",
    EndpointSlow "endpoint-slow" "It takes the delivery and does not answer in time.",
    EndpointError "endpoint-error" "It answers 500.",
    EndpointPrivate "endpoint-private" "Its name leads to a private address.",
}

/// What the sky looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sky {
    /// Nothing goes wrong.
    Clear,
    /// A little goes wrong.
    Rain,
    /// Much goes wrong.
    Storm,
}

impl Sky {
    /// Reads `clear`, `rain` or `storm`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "clear" => Some(Self::Clear),
            "rain" => Some(Self::Rain),
            "storm" => Some(Self::Storm),
            _ => None,
        }
    }

    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Rain => "rain",
            Self::Storm => "storm",
        }
    }
}

/// How often what goes wrong, for one run. Each run has only some of the faults, so that they do not hide each other.
#[derive(Clone, Debug)]
pub struct Weather {
    rates: Vec<u32>,
}

impl Weather {
    /// The weather of a seed. What is in `without` is drawn and then left out, so that leaving one out moves nothing else.
    pub fn new(rng: &mut Rng, sky: Sky, without: &BTreeSet<&'static str>) -> Self {
        let rates = Fault::ALL
            .iter()
            .map(|fault| {
                let usual: i64 = match fault {
                    Fault::Crash => 60,
                    Fault::Pause => 12,
                    Fault::CrashBeforeCommit | Fault::CrashAfterCommit | Fault::PauseAfterCommit => 150,
                    Fault::DoubtApplied | Fault::DoubtLost => 300,
                    // Once a run, or not at all.
                    Fault::Maintenance
                    | Fault::ProviderDown
                    | Fault::ClockSkew
                    | Fault::DiskFull
                    | Fault::StoreRefuses
                    | Fault::StoreBusy
                    | Fault::EndpointDown
                    | Fault::EndpointPrivate => 50_000,
                    Fault::NoticeForged | Fault::NoticeUnknown => 1_000,
                    Fault::NoticeLost | Fault::NoticeLate | Fault::NoticeTwice | Fault::NoticeWrongAmount => {
                        6_000
                    }
                    Fault::PauseAfterIntent | Fault::PauseOverSend => 5_000,
                    Fault::WrongCash => 15_000,
                    _ => 2_000,
                };
                let (on, strength) = (rng.percent(50), rng.between(usual / 4, usual * 2));
                let light = rng.percent(25);
                let kept = match sky {
                    Sky::Clear => false,
                    Sky::Rain => on && light,
                    Sky::Storm => on,
                };
                if kept && !without.contains(fault.name()) {
                    u32::try_from(strength).unwrap_or(0)
                } else {
                    0
                }
            })
            .collect();
        Self { rates }
    }

    /// How many times in 100,000.
    pub fn rate(&self, fault: Fault) -> u32 {
        self.rates[fault as usize]
    }
}
