//! Every state has a word, a colour and a shape, the same on every page.
use crate::Locale;

/// The colour and shape of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Done well: green, a full disc.
    Good,
    /// Something is awaited: amber, a ring.
    Wait,
    /// A person should look: red, a diamond.
    Bad,
    /// Over, or of no concern: grey, a bar.
    Quiet,
}

impl Tone {
    /// The class that carries colour and shape.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Wait => "wait",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

macro_rules! states {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $slug:literal $tone:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All of them, in the order of their tables.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in URLs, JSON and text keys.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),+ }
            }

            /// Its colour and shape.
            pub const fn tone(self) -> Tone {
                match self { $(Self::$variant => Tone::$tone),+ }
            }

            /// Reads what [`Self::slug`] writes.
            pub fn from_slug(slug: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.slug() == slug)
            }
        }
    };
}

states! {
    /// The state of a payment, an order or a finding as the pages show it.
    State {
        /// The shopper is on the way.
        Pending "pending" Wait,
        /// A card's amount is held.
        Authorized "authorized" Wait,
        /// A slip or transfer awaits the shopper's money.
        AwaitingPayment "awaiting_payment" Wait,
        /// The capture was asked for and not yet confirmed, or its outcome is unknown.
        Confirming "confirming" Wait,
        /// The money is the shop's.
        Captured "captured" Good,
        /// Some of it went back.
        PartlyRefunded "partly_refunded" Quiet,
        /// All of it went back.
        Refunded "refunded" Quiet,
        /// Called off before any money moved.
        Cancelled "cancelled" Quiet,
        /// Its deadline passed.
        Expired "expired" Quiet,
        /// It was declined.
        Failed "failed" Bad,
        /// An order nobody has looked at yet.
        OrderUnconfirmed "order_unconfirmed" Wait,
        /// An order whose payment is to be captured.
        AwaitingCapture "awaiting_capture" Wait,
        /// An order on its way to the customer.
        Shipped "shipped" Good,
        /// Two books disagree.
        Discrepancy "discrepancy" Bad,
    }
}

impl State {
    /// What a clerk reads.
    pub fn word(self, locale: Locale) -> String {
        locale.t(&format!("state-{}", self.slug()))
    }

    /// What a shopper reads: the same words, except that 「売上確定」 and 「与信済み」 are the shop's side of a payment
    /// which the shopper has made.
    pub fn shopper_word(self, locale: Locale) -> String {
        match self {
            Self::Captured => locale.t("state-shopper-paid"),
            Self::Authorized => locale.t("state-shopper-accepted"),
            Self::Confirming => locale.t("state-shopper-confirming"),
            _ => self.word(locale),
        }
    }

    /// Whether nothing more will happen on its own, so that a page may stop asking.
    pub const fn is_settled(self) -> bool {
        !matches!(
            self,
            Self::Pending
                | Self::Authorized
                | Self::AwaitingPayment
                | Self::Confirming
                | Self::OrderUnconfirmed
                | Self::AwaitingCapture
        )
    }
}

states! {
    /// The state of one notification to the shop's system.
    DeliveryState {
        /// Not yet tried.
        Queued "queued" Wait,
        /// Tried and refused; it will be tried again.
        Retrying "retrying" Wait,
        /// Taken by the shop's system.
        Delivered "delivered" Good,
        /// Given up; a person may send it again.
        Dead "dead" Bad,
    }
}

impl DeliveryState {
    /// What a clerk reads.
    pub fn word(self, locale: Locale) -> String {
        locale.t(&format!("delivery-{}", self.slug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_word_in_both_languages() {
        for locale in Locale::ALL {
            for state in State::ALL {
                for word in [state.word(locale), state.shopper_word(locale)] {
                    assert!(!word.contains('⟦'), "{word}");
                }
                assert_eq!(State::from_slug(state.slug()), Some(*state));
            }
            for state in DeliveryState::ALL {
                assert!(!state.word(locale).contains('⟦'));
            }
        }
    }
}
