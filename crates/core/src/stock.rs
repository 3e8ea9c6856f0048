//! Stock (在庫): pieces of what a shop sells. They are held for a payment before money moves, and sold or given back exactly once.
use crate::payment::Step;
use serde::{Deserialize, Serialize};

/// The longest stock-keeping unit, in bytes.
pub const SKU_MOST: usize = 64;
/// The most pieces of one thing in one order, or in one movement of stock.
pub const PIECES_MOST: i64 = 1_000_000;

/// Whether this can name a thing in stock: letters, digits, `.`, `_`, `~` and `-`, so that it stands in a path as it is.
pub fn is_sku(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-');
    (1..=SKU_MOST).contains(&text.len()) && text.bytes().all(allowed) && text.bytes().any(|byte| byte != b'.')
}

/// So many pieces of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goods {
    /// The stock-keeping unit.
    pub sku: Box<str>,
    /// How many pieces, from 1.
    pub pieces: i64,
}

/// One line for each thing, in the order of their names: a thing that stands in several lines is counted together. None when a count passes
/// [`PIECES_MOST`] or is below 1.
pub fn together(goods: impl IntoIterator<Item = Goods>) -> Option<Vec<Goods>> {
    let mut sums = std::collections::BTreeMap::<Box<str>, i64>::new();
    for Goods { sku, pieces } in goods {
        let sum = sums.entry(sku).or_default();
        *sum = sum.checked_add(pieces)?;
        if pieces < 1 || *sum > PIECES_MOST {
            return None;
        }
    }
    Some(
        sums.into_iter()
            .map(|(sku, pieces)| Goods { sku, pieces })
            .collect(),
    )
}

/// Where pieces can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// To be sold.
    Free,
    /// For a payment under way.
    Held,
    /// Paid for.
    Sold,
}

impl Place {
    /// As it stands in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Sold => "sold",
        }
    }
}

/// What a payment has of the stock. It begins as held, in the commit that writes its intent down, and changes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Held until the payment is paid or closed.
    Held,
    /// The payment was captured.
    Sold,
    /// The payment was closed unpaid; the pieces are free again.
    Released,
}

impl Hold {
    /// As the API shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Released => "released",
        }
    }

    /// What a step of the payment makes of it, and from where to where its pieces go, if they go. A refund moves nothing: whether the pieces
    /// came back, and whole, only a person knows.
    pub fn after(self, step: &Step) -> (Self, Option<(Place, Place)>) {
        match (self, step) {
            (Self::Held, Step::Captured { .. }) => (Self::Sold, Some((Place::Held, Place::Sold))),
            (Self::Held, Step::Cancelled | Step::Expired | Step::Failed { .. }) => {
                (Self::Released, Some((Place::Held, Place::Free)))
            }
            (Self::Held, Step::Authorized | Step::Refunded { .. }) | (Self::Sold | Self::Released, _) => {
                (self, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{CaptureMode, Fact, Folded, State};
    use crate::{Currency, Money};
    use proptest::prelude::*;

    fn goods(sku: &str, pieces: i64) -> Goods {
        Goods {
            sku: sku.into(),
            pieces,
        }
    }

    #[test]
    fn a_thing_in_several_lines_is_counted_together() {
        let lines = [goods("tea", 2), goods("cup", 1), goods("tea", 3)];
        assert_eq!(together(lines), Some(vec![goods("cup", 1), goods("tea", 5)]));
    }

    #[test]
    fn counts_that_make_no_sense_are_refused() {
        assert_eq!(together([goods("tea", 0)]), None);
        assert_eq!(together([goods("tea", -1), goods("tea", 5)]), None);
        assert_eq!(together([goods("tea", PIECES_MOST), goods("tea", 1)]), None);
        assert_eq!(together([goods("tea", i64::MAX), goods("tea", i64::MAX)]), None);
    }

    #[test]
    fn a_name_stands_in_a_path_as_it_is() {
        for good in ["TEA-001", "a", "1.5_kg~x", &"x".repeat(64)] {
            assert!(is_sku(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "お茶", "a%2f", &"x".repeat(65)] {
            assert!(!is_sku(bad), "{bad}");
        }
    }

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        let yen = |n| Money::new(n, Currency::JPY).expect("yen");
        let one = prop_oneof![
            Just(Fact::Authorized { amount: yen(1_000) }),
            Just(Fact::Captured { amount: yen(1_000) }),
            Just(Fact::Cancelled),
            Just(Fact::Expired),
            Just(Fact::Failed {
                code: "card_declined".into()
            }),
            Just(Fact::Refunded {
                reference: "r".into(),
                amount: yen(400)
            }),
        ];
        proptest::collection::vec(one, 0..8)
    }

    proptest! {
        /// Whatever is reported in whatever order, pieces move at most once, and are where the payment says.
        #[test]
        fn pieces_move_once_and_as_the_payment_does(facts in facts()) {
            let mut state = State::new(Money::new(1_000, Currency::JPY).expect("yen"), CaptureMode::Auto);
            let (mut hold, mut moved) = (Hold::Held, 0);
            for fact in &facts {
                if let Folded::Applied(steps) = state.fold(fact) {
                    for step in &steps {
                        let (next, moves) = hold.after(step);
                        hold = next;
                        moved += usize::from(moves.is_some());
                    }
                }
            }
            let expected = if !state.captured().is_zero() {
                Hold::Sold
            } else if state.status().is_open() {
                Hold::Held
            } else {
                Hold::Released
            };
            prop_assert_eq!(hold, expected);
            prop_assert_eq!(moved, usize::from(hold != Hold::Held));
        }
    }
}
