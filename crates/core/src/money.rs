//! Money is an integer that knows its currency.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! currencies {
    ($($code:ident $exponent:literal),+ $(,)?) => {
        /// The currencies a payment may be in (ISO 4217).
        ///
        /// Source: docs/providers/komoju.md, "Scalars" (the API's enumeration).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "UPPERCASE")]
        #[allow(missing_docs, reason = "the names are ISO 4217's")]
        pub enum Currency { $($code),+ }

        impl Currency {
            /// Every currency, in the order of the enumeration.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The ISO 4217 code, upper case.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$code => stringify!($code)),+ }
            }

            /// How many decimal digits the minor unit has: 0 for the yen, 2 for the dollar.
            pub const fn exponent(self) -> u32 {
                match self { $(Self::$code => $exponent),+ }
            }
        }
    };
}

mod currency {
    use super::*;
    currencies! {
        JPY 0, USD 2, EUR 2, TWD 2, KRW 0, PLN 2, GBP 2, HKD 2, SGD 2, NZD 2, AUD 2, IDR 2, MYR 2, PHP 2,
        THB 2, CNY 2, BRL 2, CHF 2, CAD 2, VND 0,
    }
}
pub use currency::Currency;

/// A text that names no currency we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown currency")]
pub struct UnknownCurrency;

impl FromStr for Currency {
    type Err = UnknownCurrency;

    /// Reads a code in either case.
    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        Self::ALL
            .iter()
            .copied()
            .find(|c| c.code().eq_ignore_ascii_case(text))
            .ok_or(UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why an amount could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies met in one sum.
    #[error("amounts in {left} and {right} do not add up")]
    CurrencyMismatch {
        /// The currency on the left.
        left: Currency,
        /// The currency on the right.
        right: Currency,
    },
    /// Below zero, or above what an amount may hold.
    #[error("amount out of range")]
    OutOfRange,
}

/// A non-negative amount in the minor unit of its currency (ISO 4217): ¥1,000 is 1000, $10.00 is 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// No single amount is above this, so that sums of many stay far from the integer's end.
    pub const MAX_MINOR: i64 = 1_000_000_000_000;

    /// An amount of `minor` units.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] below zero or above [`Money::MAX_MINOR`].
    pub const fn new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if minor < 0 || minor > Self::MAX_MINOR {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self { minor, currency })
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The number of minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether nothing is left of it.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// When the currencies differ, or the sum is above [`Money::MAX_MINOR`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::new(self.minor.saturating_add(other.minor), self.currency)
    }

    /// The difference.
    ///
    /// # Errors
    /// When the currencies differ, or `other` is more than `self`.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::new(self.minor.saturating_sub(other.minor), self.currency)
    }

    /// Whether `self` is more than `other`.
    ///
    /// # Errors
    /// When the currencies differ: yen and dollars do not compare.
    pub fn exceeds(self, other: Self) -> Result<bool, MoneyError> {
        self.same_currency(other)?;
        Ok(self.minor > other.minor)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch {
                left: self.currency,
                right: other.currency,
            })
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        if exponent == 0 {
            return write!(f, "{} {}", self.minor, self.currency);
        }
        let unit = 10_i64.pow(exponent);
        write!(
            f,
            "{}.{:0width$} {}",
            self.minor / unit,
            self.minor % unit,
            self.currency,
            width = exponent as usize
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yen(minor: i64) -> Money {
        Money::new(minor, Currency::JPY).expect("in range")
    }

    #[test]
    fn subtracting_more_than_there_is_is_refused() {
        assert_eq!(yen(100).checked_sub(yen(101)), Err(MoneyError::OutOfRange));
        assert_eq!(yen(100).checked_sub(yen(100)), Ok(yen(0)));
    }

    #[test]
    fn currencies_do_not_mix() {
        let dollar = Money::new(100, Currency::USD).expect("in range");
        assert!(matches!(
            yen(1).checked_add(dollar),
            Err(MoneyError::CurrencyMismatch { .. })
        ));
        assert!(yen(1).exceeds(dollar).is_err());
    }

    #[test]
    fn extreme_sums_are_errors_not_panics() {
        let most = yen(Money::MAX_MINOR);
        assert_eq!(most.checked_add(most), Err(MoneyError::OutOfRange));
        assert_eq!(Money::new(i64::MIN, Currency::JPY), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn amounts_print_in_their_currencys_digits() {
        assert_eq!(yen(1_000).to_string(), "1000 JPY");
        assert_eq!(
            Money::new(1_005, Currency::USD).expect("in range").to_string(),
            "10.05 USD"
        );
    }
}
