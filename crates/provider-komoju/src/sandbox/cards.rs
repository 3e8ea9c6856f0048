//! Test cards and what becomes of them. A card's number lives only while it is read.
//!
//! Source: docs/providers/komoju.md, section 16.
use super::error::ApiError;
use super::input::Params;
use jiff::Timestamp;
use kessai_core::time::tokyo;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How a 3-D Secure authentication of a card goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ThreeDs {
    /// Not asked for.
    #[default]
    None,
    /// Passes without a question.
    Frictionless,
    /// Asks for a password; 123456 passes.
    Challenge,
    /// Fails without a question.
    FailsOnReturn,
    /// Asks for a password; none passes.
    ChallengeFails,
}

/// A card as the sandbox remembers it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Card {
    pub brand: String,
    pub last4: String,
    pub month: i64,
    pub year: i64,
    /// The code it is declined with; none when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<String>,
    #[serde(default)]
    pub three_ds: ThreeDs,
}

const DECLINED: &[(&str, &str)] = &[
    ("4123111111111000", "insufficient_funds"),
    ("4123111111111018", "exceeds_limit"),
    ("4123111111111034", "bad_verification_value"),
    ("4123111111111042", "card_expired"),
    ("4123111111111059", "card_declined"),
    ("4123111111111067", "invalid_number"),
    ("4123111111111075", "other_invalid"),
    ("4123111111111083", "fraudulent"),
];

const THREE_DS: &[(&str, ThreeDs)] = &[
    ("4100000000000100", ThreeDs::Frictionless),
    ("5100000000000107", ThreeDs::Frictionless),
    ("3528000000000106", ThreeDs::Frictionless),
    ("4100000000005000", ThreeDs::Challenge),
    ("5100000000005007", ThreeDs::Challenge),
    ("3528000000005006", ThreeDs::Challenge),
    ("4100000000500000", ThreeDs::FailsOnReturn),
    ("5100000000500007", ThreeDs::FailsOnReturn),
    ("3528000000500006", ThreeDs::FailsOnReturn),
    ("4100000000300005", ThreeDs::ChallengeFails),
    ("5100000000300002", ThreeDs::ChallengeFails),
    ("3528000000300001", ThreeDs::ChallengeFails),
];

fn brand(number: &str) -> Option<&'static str> {
    let head = |digits: usize| {
        number
            .get(..digits)
            .and_then(|d| d.parse::<u32>().ok())
            .unwrap_or(0)
    };
    match (head(1), head(2), head(3), head(4)) {
        (4, ..) => Some("visa"),
        (_, 51..=55, ..) | (.., 2221..=2720) => Some("master"),
        (_, 34 | 37, ..) => Some("american_express"),
        (.., 3528..=3589) => Some("jcb"),
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305, _) => Some("diners_club"),
        (_, 65, ..) | (.., 6011) => Some("discover"),
        _ => None,
    }
}

/// The check digit of ISO/IEC 7812.
fn checks(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match (place % 2, digit * 2) {
                (0, _) => digit,
                (_, double) if double > 9 => double - 9,
                (_, double) => double,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

impl Card {
    /// Reads a card and what the response shows of it.
    pub fn read(params: &Params, now: Timestamp) -> Result<(Self, Map<String, Value>), ApiError> {
        let number = params.need_text("number", 40)?;
        if number.len() > 19 || number.len() < 12 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(params.invalid("number", "A card number of at most 19 digits was expected"));
        }
        let month = params.integer("month")?.ok_or_else(|| params.missing("month"))?;
        let year = params.integer("year")?.ok_or_else(|| params.missing("year"))?;
        if !(1..=12).contains(&month) {
            return Err(params.invalid("month", "Must be 1 to 12"));
        }
        if !(0..10_000).contains(&year) {
            return Err(params.invalid("year", "Must be a year"));
        }
        let year = if year < 100 { 2000 + year } else { year };
        let code = params.text("verification_value", 10)?;
        if code
            .as_deref()
            .is_some_and(|code| !(3..=4).contains(&code.len()) || !code.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(params.invalid("verification_value", "Three or four digits were expected"));
        }
        let mut card = Self {
            brand: brand(&number).unwrap_or("visa").to_owned(),
            last4: number[number.len() - 4..].to_owned(),
            month,
            year,
            declined: None,
            three_ds: ThreeDs::None,
        };
        let today = now.to_zoned(tokyo()).date();
        if let Some((_, declined)) = DECLINED.iter().find(|(listed, _)| *listed == number) {
            card.declined = Some((*declined).to_owned());
        } else if let Some((_, three_ds)) = THREE_DS.iter().find(|(listed, _)| *listed == number) {
            card.three_ds = *three_ds;
        } else if brand(&number).is_none() || !checks(&number) {
            card.declined = Some("invalid_number".to_owned());
        }
        if (year, month) < (i64::from(today.year()), i64::from(today.month())) {
            card.declined = Some("card_expired".to_owned());
        }
        let mut shown = Map::new();
        shown.insert("type".into(), json!("credit_card"));
        shown.insert("brand".into(), json!(card.brand));
        shown.insert("last_four_digits".into(), json!(card.last4));
        shown.insert("month".into(), json!(month));
        shown.insert("year".into(), json!(year));
        let checked = match (&code, card.declined.as_deref()) {
            (None, _) => "Not Supplied",
            (Some(_), Some("bad_verification_value")) => "Invalid",
            (Some(_), _) => "Approved",
        };
        shown.insert("verification_value".into(), json!(checked));
        for name in [
            "name",
            "given_name",
            "family_name",
            "intent",
            "initiator",
            "usage",
            "scheme_reference",
        ] {
            if let Some(text) = params.text(name, 255)? {
                // Someone will put the number into the wrong field; it is not kept there either.
                if text.bytes().filter(u8::is_ascii_digit).count() < 12 {
                    shown.insert(name.into(), json!(text));
                }
            }
        }
        if let Some(installments) = params.text("installments", 10)? {
            const LISTED: &[&str] = &["3", "5", "6", "10", "12", "15", "18", "20", "24", "revolving"];
            if !LISTED.contains(&installments.as_str()) {
                return Err(params.invalid(
                    "installments",
                    "Must be one of 3, 5, 6, 10, 12, 15, 18, 20, 24, revolving",
                ));
            }
            shown.insert("installments".into(), json!(installments));
        }
        Ok((card, shown))
    }

    /// What a payment with a saved card shows.
    pub fn shown(&self) -> Map<String, Value> {
        let mut shown = self.source();
        shown.insert("verification_value".into(), json!("Not Supplied"));
        shown
    }

    /// A customer's `source`.
    pub fn source(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("type".into(), json!("credit_card"));
        shown.insert("brand".into(), json!(self.brand));
        shown.insert("last_four_digits".into(), json!(self.last4));
        shown.insert("month".into(), json!(self.month));
        shown.insert("year".into(), json!(self.year));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brands_follow_the_first_digits() {
        for (number, expected) in [
            ("4242424242424242", "visa"),
            ("5555555555554444", "master"),
            ("3530111333300000", "jcb"),
            ("378282246310005", "american_express"),
            ("30569309025904", "diners_club"),
            ("6011111111111117", "discover"),
        ] {
            assert_eq!(brand(number), Some(expected));
            assert!(checks(number), "{number}");
        }
    }
}
