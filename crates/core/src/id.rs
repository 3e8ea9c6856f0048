//! Typed ids in KOMOJU's shape: 25 lowercase letters and digits, sortable by the time they were made.
use crate::time::Entropy;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// How long a hub-made id is.
pub const ID_LEN: usize = 25;

/// A text that is not an id of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 1 to 40 lowercase letters, digits or underscores expected")]
pub struct BadId;

/// 25 characters in base 36 hold 128 bits: 48 of Unix milliseconds, 80 of chance. Text order is time order.
pub fn new_text(at: Timestamp, entropy: &dyn Entropy) -> String {
    let mut dice = [0_u8; 16];
    entropy.fill(&mut dice[6..]);
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0) & 0xffff_ffff_ffff;
    dice[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    let mut value = u128::from_be_bytes(dice);
    let mut text = [b'0'; ID_LEN];
    for place in text.iter_mut().rev() {
        *place = DIGITS[(value % 36) as usize];
        value /= 36;
    }
    String::from_utf8(text.to_vec()).expect("base 36 is ASCII")
}

/// The id right after `id` in text order, so that several made in one instant keep their order.
pub fn next_text(id: &str) -> String {
    let mut text: Vec<u8> = id.bytes().collect();
    for place in text.iter_mut().rev() {
        let digit = DIGITS.iter().position(|d| d == place).unwrap_or(35);
        *place = DIGITS[(digit + 1) % 36];
        if digit < 35 {
            break;
        }
    }
    String::from_utf8(text).expect("base 36 is ASCII")
}

/// The smallest id that can be made at `at`: ids made earlier sort below it, ids made then or later do not.
pub fn floor(at: Timestamp) -> String {
    struct Nothing;
    impl Entropy for Nothing {
        fn fill(&self, into: &mut [u8]) {
            into.fill(0);
        }
    }
    new_text(at, &Nothing)
}

/// `length` unpredictable lowercase letters and digits, for keys and secrets.
pub fn random_text(length: usize, entropy: &dyn Entropy) -> String {
    let mut text = String::with_capacity(length);
    let mut dice = [0_u8; 64];
    while text.len() < length {
        entropy.fill(&mut dice);
        // 252 is the largest multiple of 36 in a byte: the rest is thrown away so that no letter is likelier.
        text.extend(
            dice.iter()
                .filter(|b| **b < 252)
                .map(|b| DIGITS[usize::from(*b % 36)] as char),
        );
    }
    text.truncate(length);
    text
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// A fresh id, later in text order than those made before `at`.
            pub fn new(at: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(new_text(at, entropy).into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let shaped = !text.is_empty()
                    && text.len() <= 40
                    && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'_');
                if shaped { Ok(Self(text.into())) } else { Err(BadId) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    )+};
}

ids! {
    /// A shop. Short, because every row carries it.
    ShopId,
    /// A payment.
    PaymentId,
    /// One operation sent to one provider for a payment.
    AttemptId,
    /// A refund.
    RefundId,
    /// A manual bank refund asked of the provider.
    RefundRequestId,
    /// A checkout session.
    SessionId,
    /// A shop's member.
    CustomerId,
    /// Something that happened, as told to the shop.
    EventId,
    /// A webhook endpoint of a shop.
    EndpointId,
    /// One event on its way to one endpoint.
    DeliveryId,
    /// A durable job.
    JobId,
    /// A notification taken in from a provider.
    InboxId,
    /// A disagreement between two books.
    DiscrepancyId,
    /// An operator's or clerk's act worth remembering.
    ActId,
    /// `tok_…`: payment details to be used once.
    TokenId,
    /// A 3-D Secure authentication in progress.
    SecureTokenId,
}

impl ShopId {
    /// A fresh, short shop id (10 characters, not sortable).
    pub fn short(entropy: &dyn Entropy) -> Self {
        Self(random_text(10, entropy).into())
    }
}

impl TokenId {
    /// A fresh token id in the wire's shape, `tok_` and 25 characters.
    pub fn prefixed(at: Timestamp, entropy: &dyn Entropy) -> Self {
        Self(format!("tok_{}", new_text(at, entropy)).into())
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

    #[test]
    fn ids_are_25_lowercase_letters_and_digits_in_time_order() {
        let earlier = PaymentId::new("2026-01-01T00:00:00Z".parse().unwrap(), &Fixed(255));
        let later = PaymentId::new("2026-01-01T00:00:00.001Z".parse().unwrap(), &Fixed(0));
        assert!(earlier < later);
        for id in [&earlier, &later] {
            assert_eq!(id.as_str().len(), 25);
            assert!(
                id.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
            );
        }
    }

    #[test]
    fn the_next_id_sorts_right_after() {
        assert_eq!(next_text("a9"), "aa");
        assert_eq!(next_text("azz"), "b00");
        assert!(
            floor("2026-01-01T00:00:00Z".parse().unwrap())
                <= new_text("2026-01-01T00:00:00Z".parse().unwrap(), &Fixed(0))
        );
    }

    #[test]
    fn texts_that_are_no_ids_are_refused() {
        for bad in ["", "ABC", "a-b", "../x", &"a".repeat(41), "a b", "ｉｄ"] {
            assert_eq!(bad.parse::<PaymentId>(), Err(BadId), "{bad}");
        }
    }
}
