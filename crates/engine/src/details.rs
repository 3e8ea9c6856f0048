//! `payment_details`: what a shopper chose and typed, checked field by field before anything is written down.
use crate::problem::Problem;
use jiff::Timestamp;
use kessai_core::capability::{Capability, Deadline, Kind};
use kessai_core::time::BusinessDate;
use kessai_core::{Secret, time};
use kessai_provider::port::{Card, Instrument};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The konbini chains a slip can be made for.
///
/// Source: docs/providers/komoju.md, "Scalars".
pub const STORES: [&str; 6] = [
    "seven-eleven",
    "lawson",
    "family-mart",
    "ministop",
    "daily-yamazaki",
    "seicomart",
];

/// Payment details that passed every check.
#[derive(Debug, Clone)]
pub struct Details {
    /// The method's slug.
    pub method: Box<str>,
    /// What is charged; secrets inside.
    pub instrument: Instrument,
    /// The public fields, as the API names them.
    pub fields: Map<String, Value>,
}

const CARD_SECRETS: [&str; 4] = ["number", "verification_value", "month", "year"];
const TEXT_MOST: usize = 255;

/// Reads and checks `payment_details`.
///
/// # Errors
/// The problem names the field, as `payment_details.store`. A card number never stands in it.
pub fn read(
    given: &Map<String, Value>,
    capability: impl Fn(&str) -> Option<&'static Capability>,
    session_email: Option<&str>,
    now: Timestamp,
) -> Result<Details, Problem> {
    let method = text(given, "type")?.ok_or_else(|| Problem::missing("type"))?;
    let capability = capability(&method).ok_or_else(|| Problem {
        param: Some("payment_details".into()),
        ..Problem::new("invalid_payment_type")
    })?;
    let instrument = match capability.kind {
        Kind::Card => Instrument::Card(card(given, now)?),
        Kind::Prepaid => {
            let number =
                digits(given, "prepaid_number", 16, 20)?.ok_or_else(|| Problem::missing("prepaid_number"))?;
            Instrument::Prepaid(BTreeMap::from([("prepaid_number".into(), Secret::new(number))]))
        }
        Kind::Slip | Kind::Offsite => Instrument::Fields,
    };
    let mut fields = Map::new();
    for (name, value) in given.iter().filter(|(name, _)| is_public(name)) {
        let value = match value {
            Value::Null => continue,
            Value::String(text) if text.len() <= TEXT_MOST * 4 && text.chars().count() <= TEXT_MOST => {
                value.clone()
            }
            Value::Number(number) if number.is_i64() || number.is_u64() => value.clone(),
            Value::Bool(_) => value.clone(),
            Value::String(_) => return Err(Problem::invalid(name.clone(), format!("{name} is too long"))),
            Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Problem::invalid(name.clone(), format!("{name} is invalid")));
            }
        };
        fields.insert(name.clone(), value);
    }
    if let (None, Some(email)) = (present(&fields, "email"), session_email) {
        fields.insert("email".into(), email.into());
    }
    match method.as_ref() {
        "konbini" => {
            require(&fields, &["store", "email"])?;
            let store = fields["store"].as_str().unwrap_or_default();
            if !STORES.contains(&store) {
                return Err(Problem::invalid(
                    "store",
                    "store is not one of the chains a slip can be made for",
                ));
            }
        }
        "bank_transfer" | "pay_easy" => {
            require(
                &fields,
                &["phone", "email", "given_name_kana", "family_name_kana"],
            )?;
        }
        "paidy" => require(&fields, &["customer_name"])?,
        _ => {}
    }
    for asked in capability.asks {
        require(&fields, &[asked])?;
    }
    if let Some(email) = present(&fields, "email") {
        check_email(email)?;
    }
    if let Some(phone) = present(&fields, "phone") {
        check_phone(phone)?;
    }
    if let Some(days) = fields.get("expiry_days") {
        let days = days
            .as_i64()
            .or_else(|| days.as_str().and_then(|text| text.parse().ok()));
        let within = match capability.deadline {
            Deadline::Days { least, most, .. } => {
                days.is_some_and(|days| (i64::from(least)..=i64::from(most)).contains(&days))
            }
            Deadline::Seconds(_) => true,
        };
        let Some(days) = days.filter(|_| within) else {
            return Err(Problem::invalid(
                "expiry_days",
                "expiry_days is outside of what the method allows",
            ));
        };
        fields.insert("expiry_days".into(), days.into());
    }
    Ok(Details {
        method,
        instrument,
        fields,
    })
}

/// When a payment of this method lapses, counted from `now`.
pub fn deadline(capability: &Capability, fields: &Map<String, Value>, now: Timestamp) -> Timestamp {
    match capability.deadline {
        Deadline::Days { default, .. } => {
            let days = fields
                .get("expiry_days")
                .and_then(Value::as_u64)
                .and_then(|days| u16::try_from(days).ok());
            time::deadline(now, days.unwrap_or(default))
        }
        Deadline::Seconds(seconds) => now
            .saturating_add(jiff::SignedDuration::from_secs(i64::from(seconds)))
            .unwrap_or(Timestamp::MAX),
    }
}

/// What may be kept of the fields for display and for the API's answers.
pub fn shown(fields: &Map<String, Value>) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(name, _)| name.as_str() != "type")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn is_public(name: &str) -> bool {
    const PUBLIC: [&str; 28] = [
        "email",
        "store",
        "phone",
        "name",
        "family_name",
        "given_name",
        "family_name_kana",
        "given_name_kana",
        "expiry_days",
        "intent",
        "initiator",
        "usage",
        "scheme_reference",
        "installments",
        "customer_name",
        "customer_age",
        "customer_order_count",
        "customer_lifetime_value",
        "item_title",
        "scanned_code",
        "shipping_address_name",
        "shipping_address_line1",
        "shipping_address_line2",
        "shipping_address_city",
        "shipping_address_state",
        "shipping_address_zip",
        "shipping_address_country",
        "billing_address_name",
    ];
    PUBLIC.contains(&name) || name.starts_with("billing_address_")
}

fn present<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
}

fn require(fields: &Map<String, Value>, names: &[&'static str]) -> Result<(), Problem> {
    names.iter().try_for_each(|name| match present(fields, name) {
        Some(_) => Ok(()),
        None => Err(Problem::missing(*name)),
    })
}

/// At most 255 characters, one `@` with something on both sides, no white space.
pub fn check_email(email: &str) -> Result<(), Problem> {
    let (local, domain) = email.rsplit_once('@').unwrap_or_default();
    let fine = !local.is_empty()
        && !domain.is_empty()
        && email.chars().count() <= TEXT_MOST
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if fine {
        Ok(())
    } else {
        Err(Problem::invalid("email", "email is invalid"))
    }
}

/// At least ten digits with brackets, blanks, dashes, plus and underscore between them.
///
/// Source: docs/providers/komoju.md, "Scalars" (phone).
fn check_phone(phone: &str) -> Result<(), Problem> {
    let digits = phone.bytes().filter(u8::is_ascii_digit).count();
    let allowed = phone
        .bytes()
        .all(|b| b.is_ascii_digit() || b"() -_+".contains(&b));
    if digits >= 10 && allowed && phone.len() <= 40 {
        Ok(())
    } else {
        Err(Problem::invalid("phone", "phone is invalid"))
    }
}

fn text(map: &Map<String, Value>, name: &'static str) -> Result<Option<Box<str>>, Problem> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= TEXT_MOST => Ok(Some(text.as_str().into())),
        Some(Value::Number(number)) => Ok(Some(number.to_string().into())),
        Some(Value::String(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Problem::invalid(name, format!("{name} is invalid")))
        }
    }
}

fn digits(
    map: &Map<String, Value>,
    name: &'static str,
    least: usize,
    most: usize,
) -> Result<Option<Box<str>>, Problem> {
    let Some(given) = text(map, name)? else {
        return Ok(None);
    };
    let bare: String = given.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    // Prepaid test numbers of one brand begin with a letter, hence letters and digits.
    let fine = (least..=most).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_alphanumeric());
    if fine {
        Ok(Some(bare.into()))
    } else {
        Err(Problem::invalid(name, format!("{name} is invalid")))
    }
}

fn number(map: &Map<String, Value>, name: &'static str) -> Result<u16, Problem> {
    let given = text(map, name)?.ok_or_else(|| Problem::missing(name))?;
    given
        .trim()
        .parse()
        .map_err(|_| Problem::invalid(name, format!("{name} is invalid")))
}

fn card(map: &Map<String, Value>, now: Timestamp) -> Result<Card, Problem> {
    let number_text = digits(map, "number", 12, 19)?.ok_or_else(|| Problem::missing("number"))?;
    if !number_text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::invalid("number", "number is invalid"));
    }
    let month = u8::try_from(number(map, "month")?)
        .ok()
        .filter(|month| (1..=12).contains(month));
    let month = month.ok_or_else(|| Problem::invalid("month", "month is invalid"))?;
    let year = match number(map, "year")? {
        short @ 0..100 => 2_000 + short,
        long @ 2_000..=2_099 => long,
        _ => return Err(Problem::invalid("year", "year is invalid")),
    };
    let today = BusinessDate::of(now).date();
    if (i32::from(year), i32::from(month)) < (i32::from(today.year()), i32::from(today.month())) {
        return Err(Problem::new("card_expired"));
    }
    let verification_value = text(map, "verification_value")?;
    if verification_value
        .as_ref()
        .is_some_and(|v| !(3..=4).contains(&v.len()) || !v.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(Problem::invalid(
            "verification_value",
            "verification_value is invalid",
        ));
    }
    let name = match (
        text(map, "name")?,
        text(map, "given_name")?,
        text(map, "family_name")?,
    ) {
        (Some(name), _, _) => Some(name),
        (None, Some(given), Some(family)) => Some(format!("{given} {family}").into()),
        (None, one, other) => one.or(other),
    };
    Ok(Card {
        number: Secret::new(number_text),
        month,
        year,
        verification_value: verification_value.map(Secret::new),
        name,
    })
}

/// Whether a field of `payment_details` may hold a secret, so that nobody prints it.
pub fn is_secret(name: &str) -> bool {
    CARD_SECRETS.contains(&name) || name == "prepaid_number" || name.ends_with("password")
}
