//! `payment_details` by type. Source: docs/providers/komoju.md, section 9.
use super::cards::Card;
use super::error::ApiError;
use super::input::Params;
use super::methods::{self, Flow, STORES};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How a payment is to be made, as far as the details tell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The method's slug.
    pub slug: String,
    /// What responses show.
    pub shown: Map<String, Value>,
    pub means: Means,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_days: Option<u16>,
    /// Passed 3-D Secure already, or needs none.
    #[serde(default)]
    pub verified: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Means {
    Card(Card),
    Slip,
    Offsite,
    Prepaid(Prepaid),
}

/// A prepaid number as the sandbox remembers it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Prepaid {
    pub last4: String,
    pub points: i64,
    pub declined: Option<String>,
}

impl Prepaid {
    pub fn read(params: &Params) -> Result<Self, ApiError> {
        let number = params.need_text("prepaid_number", 40)?;
        let length = number.len();
        if !(16..=20).contains(&length) || !number.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(params.invalid("prepaid_number", "16 to 20 letters and digits were expected"));
        }
        let declined = match (number.starts_with('e'), &number[length - 3..]) {
            (false, _) => None,
            (true, "112") => Some("invalid_number"),
            (true, "113") => Some("used_number"),
            (true, _) => Some("other_error"),
        };
        Ok(Self {
            last4: number[length - 4..].to_owned(),
            points: 2000,
            declined: declined.map(str::to_owned),
        })
    }
}

impl Plan {
    /// Reads an object of details. An email that the session may know is not asked for here: see [`Plan::complete`].
    pub fn read(params: &Params, now: Timestamp) -> Result<Self, ApiError> {
        let slug = params.need_text("type", 60)?;
        let Some(spec) = methods::find(&slug) else {
            let allowed: Vec<&str> = methods::METHODS.iter().map(|spec| spec.slug).collect();
            return Err(ApiError::of("invalid_payment_type")
                .saying(format!(
                    "Payment type {slug} is not one of {}",
                    allowed.join(", ")
                ))
                .about(&params.name("type")));
        };
        let (mut shown, means) = match spec.flow {
            Flow::Card => {
                let (card, shown) = Card::read(params, now)?;
                (shown, Means::Card(card))
            }
            Flow::Prepaid => (Map::new(), Means::Prepaid(Prepaid::read(params)?)),
            Flow::Slip => (Map::new(), Means::Slip),
            Flow::Offsite => (Map::new(), Means::Offsite),
        };
        shown.insert("type".into(), json!(slug));
        if let Some(email) = email(params)? {
            shown.insert("email".into(), json!(email));
        }
        for (name, value) in addresses(params) {
            shown.insert(name, value);
        }
        match slug.as_str() {
            "konbini" => {
                let store = params
                    .choice("store", STORES)?
                    .ok_or_else(|| params.missing("store"))?;
                shown.insert("store".into(), json!(store));
                copy(params, &mut shown, &["family_name", "given_name", "name"])?;
                phone(params)?;
            }
            "bank_transfer" | "pay_easy" => {
                for name in ["given_name_kana", "family_name_kana"] {
                    params.need_text(name, 100)?;
                }
                phone(params)?.ok_or_else(|| params.missing("phone"))?;
                copy(
                    params,
                    &mut shown,
                    &[
                        "family_name",
                        "given_name",
                        "family_name_kana",
                        "given_name_kana",
                        "name",
                    ],
                )?;
            }
            "paidy" => {
                let name = params.text("customer_name", 100)?.or(params.text("name", 100)?);
                name.ok_or_else(|| params.missing("customer_name"))?;
                phone(params)?;
            }
            "alipay" => {
                params.need_text("name", 100)?;
            }
            _ => {}
        }
        let expiry_days = match (params.integer("expiry_days")?, slug.as_str()) {
            (None, _) => None,
            (Some(days @ 14..=59), "bank_transfer") => u16::try_from(days).ok(),
            (Some(days @ 0..=59), "konbini" | "pay_easy" | "credit_card") => u16::try_from(days).ok(),
            (Some(_), _) => {
                return Err(params.invalid("expiry_days", "Out of the range of this payment type"));
            }
        };
        Ok(Self {
            slug,
            shown,
            means,
            expiry_days,
            verified: false,
        })
    }

    /// A plan with a customer's saved card.
    pub fn with_saved(card: Card) -> Self {
        let shown = card.shown();
        Self {
            slug: "credit_card".into(),
            shown,
            means: Means::Card(card),
            expiry_days: None,
            verified: true,
        }
    }

    /// Cash methods need an email: the details' own, or the session's.
    pub fn complete(&mut self, session_email: Option<&str>) -> Result<(), ApiError> {
        if !matches!(self.means, Means::Slip) || self.shown.contains_key("email") {
            return Ok(());
        }
        let email = session_email.ok_or_else(|| ApiError::missing("payment_details.email"))?;
        self.shown.insert("email".into(), json!(email));
        Ok(())
    }

    pub fn flow(&self) -> Flow {
        match self.means {
            Means::Card(_) => Flow::Card,
            Means::Slip => Flow::Slip,
            Means::Offsite => Flow::Offsite,
            Means::Prepaid(_) => Flow::Prepaid,
        }
    }

    /// The end of how many Japanese days from now, when the request does not say. Section 12.3.
    pub fn days(&self, authorized_card: bool) -> u16 {
        self.expiry_days
            .unwrap_or(match (self.slug.as_str(), authorized_card) {
                ("bank_transfer", _) => 14,
                ("credit_card", true) => 30,
                ("credit_card", false) => 2,
                _ => 3,
            })
    }
}

fn copy(params: &Params, shown: &mut Map<String, Value>, names: &[&str]) -> Result<(), ApiError> {
    for name in names {
        if let Some(text) = params.text(name, 255)? {
            shown.insert((*name).to_owned(), json!(text));
        }
    }
    Ok(())
}

/// Addresses are repeated as they came, when they are plain texts of a sane length.
fn addresses(params: &Params) -> impl Iterator<Item = (String, Value)> + '_ {
    ["shipping_address_", "billing_address_"]
        .into_iter()
        .flat_map(move |prefix| {
            ["name", "line1", "line2", "city", "state", "zip", "country"]
                .into_iter()
                .filter_map(move |part| {
                    let name = format!("{prefix}{part}");
                    let text = params.text(&name, 255).ok().flatten()?;
                    Some((name, json!(text)))
                })
        })
}

pub(super) fn email(params: &Params) -> Result<Option<String>, ApiError> {
    let Some(email) = params.text("email", 255)? else {
        return Ok(None);
    };
    let sound = email
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if sound {
        Ok(Some(email))
    } else {
        Err(params.invalid("email", "An email address was expected"))
    }
}

fn phone(params: &Params) -> Result<Option<String>, ApiError> {
    let Some(phone) = params.text("phone", 60)? else {
        return Ok(None);
    };
    let sound = phone
        .bytes()
        .all(|b| b.is_ascii_digit() || b"() -_+".contains(&b))
        && phone.bytes().filter(u8::is_ascii_digit).count() >= 10;
    if sound {
        Ok(Some(phone))
    } else {
        Err(params.invalid("phone", "A phone number of at least 10 digits was expected"))
    }
}
