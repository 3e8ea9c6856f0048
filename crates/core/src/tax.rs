//! Tax and totals of a payment.
use crate::money::{Currency, Money, MoneyError};
use serde::{Deserialize, Serialize};

/// Japan's consumption tax, in percent, as direct payments add it when the shop says `auto`.
///
/// Source: docs/providers/komoju.md, "Tax and totals" (10 % since October 2019).
pub const AUTO_TAX_PERCENT: i64 = 10;

/// What a payment is made of. All three parts are in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Before tax, in minor units.
    pub amount: i64,
    /// Tax, in minor units.
    pub tax: i64,
    /// What the shopper pays on top for the method, in minor units.
    pub fee: i64,
    /// The currency of all three.
    pub currency: Currency,
}

/// How tax is to be found for a direct payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tax {
    /// [`AUTO_TAX_PERCENT`] of the amount, half up.
    Auto,
    /// Exactly this many minor units.
    Exactly(i64),
}

impl Totals {
    /// The parts of a direct payment.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when a part is negative or the sum is too large.
    pub fn direct(amount: Money, tax: Tax, fee: i64) -> Result<Self, MoneyError> {
        let tax = match tax {
            Tax::Auto => auto_tax(amount.minor()),
            Tax::Exactly(tax) => tax,
        };
        Self {
            amount: amount.minor(),
            tax,
            fee,
            currency: amount.currency(),
        }
        .checked()
    }

    /// The parts of a payment made in a session: no tax is added to a session's amount.
    ///
    /// # Errors
    /// As [`Totals::direct`].
    pub fn in_session(amount: Money, fee: i64) -> Result<Self, MoneyError> {
        Self {
            amount: amount.minor(),
            tax: 0,
            fee,
            currency: amount.currency(),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, MoneyError> {
        for part in [self.amount, self.tax, self.fee] {
            Money::new(part, self.currency)?;
        }
        Money::new(self.amount + self.tax + self.fee, self.currency)?;
        Ok(self)
    }

    /// What the shopper pays: amount, tax and fee.
    pub fn total(self) -> Money {
        Money::new(self.amount + self.tax + self.fee, self.currency).expect("checked when made")
    }
}

/// [`AUTO_TAX_PERCENT`] of `amount`, half up.
pub fn auto_tax(amount: i64) -> i64 {
    amount.saturating_mul(AUTO_TAX_PERCENT).saturating_add(50) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_tax_is_ten_percent_half_up() {
        for (amount, tax) in [
            (1, 0),
            (4, 0),
            (5, 1),
            (14, 1),
            (15, 2),
            (1_000, 100),
            (1_995, 200),
            (0, 0),
        ] {
            assert_eq!(auto_tax(amount), tax, "{amount}");
        }
    }

    #[test]
    fn a_session_payment_adds_no_tax() {
        let totals = Totals::in_session(Money::new(1_200, Currency::JPY).unwrap(), 190).unwrap();
        assert_eq!((totals.tax, totals.total().minor()), (0, 1_390));
    }

    #[test]
    fn negative_and_enormous_parts_are_refused() {
        let amount = Money::new(1, Currency::JPY).unwrap();
        assert!(Totals::direct(amount, Tax::Exactly(-1), 0).is_err());
        assert!(Totals::direct(amount, Tax::Exactly(i64::MAX), 0).is_err());
    }
}
