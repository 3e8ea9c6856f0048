//! A small reader over what was sent: each rule once, each refusal naming its parameter. JSON gives numbers and booleans, forms give
//! texts; both are understood everywhere.
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use kessai_core::payment::CaptureMode;
use kessai_core::stock::{Goods, PIECES_MOST, SKU_MOST, is_sku, together};
use kessai_core::{Currency, Secret};
use kessai_engine::Problem;
use kessai_engine::details::check_email;
use kessai_engine::directory::check_return_url;
use kessai_engine::model::Metadata;
use kessai_engine::payments::Source;
use serde_json::{Map, Value};

/// The largest amount of one payment.
///
/// Source: docs/providers/komoju.md, "Scalars".
pub(crate) const AMOUNT_MOST: i64 = 9_999_999;
/// The longest ordinary text, in characters.
pub(crate) const TEXT_MOST: usize = 255;
const METADATA_KEYS: usize = 50;
const METADATA_KEY_MOST: usize = 30;
const METADATA_VALUE_MOST: usize = 2_000;
/// How many entries a list may have.
const ENTRIES: usize = 100;
/// What is passed through as it stands may be this large, in bytes of JSON.
const PASSED_THROUGH: usize = 8 * 1024;
/// How far a list may be paged.
const OFFSET_MOST: i64 = 10_000_000;

/// What was sent. A field is taken out when it is read; what nobody reads is ignored.
#[derive(Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

fn invalid(name: &str) -> Problem {
    Problem::invalid(name.to_owned(), format!("{name} is invalid"))
}

fn too_long(name: &str, most: usize) -> Problem {
    Problem::invalid(
        name.to_owned(),
        format!("{name} is too long (at most {most} characters)"),
    )
}

/// The digits before the point, with their sign, and those after it.
fn decimal(text: &str) -> Option<(i64, &str)> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if digits.is_empty() || !plain(digits) || !plain(fraction) || fraction.len() > 40 {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let lost = number == 0 && whole.starts_with('-') && fraction.bytes().any(|b| b != b'0');
    (!lost).then_some((number, fraction))
}

fn as_decimal<T>(value: &Value, read: impl FnOnce(i64, &str) -> Option<T>) -> Option<T> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => read(whole, ""),
            // 1500.0 is a whole number too; its text tells, without arithmetic.
            None => {
                let text = number.to_string();
                let (whole, fraction) = decimal(&text)?;
                read(whole, fraction)
            }
        },
        Value::String(text) => {
            let (whole, fraction) = decimal(text)?;
            read(whole, fraction)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn whole(value: &Value) -> Option<i64> {
    as_decimal(value, |whole, fraction| {
        fraction.bytes().all(|b| b == b'0').then_some(whole)
    })
}

fn webhook(given: &Value) -> Option<(Box<str>, Secret, Vec<Box<str>>)> {
    let url = given["url"].as_str()?;
    let secret = given["secret_token"]
        .as_str()
        .filter(|secret| (1..=TEXT_MOST).contains(&secret.len()))?;
    kessai_engine::directory::check_url("webhooks", url).ok()?;
    let known = |kind: &&str| kessai_core::event::KINDS.contains(kind);
    let events = given["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(known);
    Some((url.into(), Secret::new(secret), events.map(Into::into).collect()))
}

/// What a `sku` must be like.
const SKU_SHAPE: &str = "sku must be 1 to 64 letters, digits, '.', '_', '~' or '-'";

impl Fields {
    pub fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// What was sent under that name. Null and the empty text are nothing.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0
            .remove(name)
            .filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// Whether the name was sent at all, be it as null.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text of at most `most` characters.
    pub fn text(&mut self, name: &str, most: usize) -> Result<Option<Box<str>>, Problem> {
        match self.take(name) {
            None => Ok(None),
            // Bytes are counted first: a text that is short in bytes is short in characters.
            Some(Value::String(text)) if text.len() <= most || text.chars().count() <= most => {
                Ok(Some(text.into()))
            }
            Some(Value::String(_)) => Err(too_long(name, most)),
            Some(_) => Err(invalid(name)),
        }
    }

    /// A text that may be taken away by null or the empty text: absent, taken away, or set.
    pub fn nullable_text(&mut self, name: &str, most: usize) -> Result<Option<Option<Box<str>>>, Problem> {
        if !self.has(name) {
            return Ok(None);
        }
        self.text(name, most).map(Some)
    }

    /// Webhook endpoints of one payment: `[{url, secret_token, events?}]`. What is malformed is ignored.
    ///
    /// Source: docs/providers/komoju.md, "Open questions" (inferred: the format is not published).
    pub fn webhooks(&mut self) -> Vec<(Box<str>, Secret, Vec<Box<str>>)> {
        let Some(Value::Array(given)) = self.take("webhooks") else {
            return vec![];
        };
        given
            .iter()
            .filter_map(webhook)
            .take(kessai_engine::payments::HOOKS_MOST)
            .collect()
    }

    /// A whole number.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match whole(&value) {
                Some(number) => Ok(Some(number)),
                None => Err(Problem::invalid(
                    name.to_owned(),
                    format!("{name} must be an integer"),
                )),
            },
        }
    }

    /// An amount in the smallest unit, above 0, or from 0 where that means something.
    fn amount_from(&mut self, name: &str, least: i64) -> Result<Option<i64>, Problem> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let Some(amount) = whole(&value) else {
            let message = format!("{name} must be an integer in the currency's smallest unit");
            return Err(Problem::invalid(name.to_owned(), message));
        };
        if amount < least {
            let mut message = format!("{name} must be greater than {}", least - 1);
            if name == "amount" {
                "Amount must be greater than 0".clone_into(&mut message);
            }
            return Err(Problem::invalid(name.to_owned(), message));
        }
        if amount > AMOUNT_MOST {
            return Err(Problem::invalid(
                name.to_owned(),
                format!("{name} must be at most {AMOUNT_MOST}"),
            ));
        }
        Ok(Some(amount))
    }

    /// An amount above 0.
    pub fn amount(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        self.amount_from(name, 1)
    }

    /// An amount of 0 or more.
    pub fn amount_or_zero(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        self.amount_from(name, 0)
    }

    /// A tax: nothing for `auto`, else an amount of 0 or more; more digits than the currency has are rounded half up.
    ///
    /// Source: docs/providers/komoju.md, "Payments".
    pub fn tax(&mut self) -> Result<Option<i64>, Problem> {
        let value = match self.take("tax") {
            None => return Ok(None),
            Some(Value::String(text)) if text == "auto" => return Ok(None),
            Some(value) => value,
        };
        let rounded = as_decimal(&value, |whole, fraction| {
            let up = fraction.as_bytes().first().is_some_and(|digit| *digit >= b'5');
            (whole >= 0).then(|| whole.saturating_add(i64::from(up)))
        });
        match rounded {
            Some(tax) if tax <= AMOUNT_MOST => Ok(Some(tax)),
            Some(_) => Err(Problem::invalid(
                "tax",
                format!("tax must be at most {AMOUNT_MOST}"),
            )),
            None => Err(Problem::invalid(
                "tax",
                "tax must be auto or an integer of 0 or more",
            )),
        }
    }

    /// Yes or no.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        Ok(match self.take(name) {
            None => None,
            Some(Value::Bool(flag)) => Some(flag),
            Some(Value::String(text)) => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => {
                    return Err(Problem::invalid(
                        name.to_owned(),
                        format!("{name} must be true or false"),
                    ));
                }
            },
            Some(Value::Number(number)) if number.as_i64() == Some(0) => Some(false),
            Some(Value::Number(number)) if number.as_i64() == Some(1) => Some(true),
            Some(_) => {
                return Err(Problem::invalid(
                    name.to_owned(),
                    format!("{name} must be true or false"),
                ));
            }
        })
    }

    /// `auto` or `manual`.
    pub fn capture_mode(&mut self) -> Result<Option<CaptureMode>, Problem> {
        Ok(match self.choice("capture", &["auto", "manual"])? {
            None => None,
            Some("auto") => Some(CaptureMode::Auto),
            Some(_) => Some(CaptureMode::Manual),
        })
    }

    /// Yes or no, or `auto` or `manual`.
    pub fn capture_flag(&mut self) -> Result<Option<CaptureMode>, Problem> {
        if matches!(self.0.get("capture"), Some(Value::String(text)) if text == "auto" || text == "manual") {
            return self.capture_mode();
        }
        let mode = |now: bool| {
            if now {
                CaptureMode::Auto
            } else {
                CaptureMode::Manual
            }
        };
        Ok(self.boolean("capture")?.map(mode))
    }

    /// One of a few words.
    pub fn choice(&mut self, name: &str, of: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value
                .as_str()
                .and_then(|text| of.iter().copied().find(|word| *word == text))
            {
                Some(word) => Ok(Some(word)),
                None => {
                    let message = format!("{name} must be one of {}", of.join(", "));
                    Err(Problem::invalid(name.to_owned(), message))
                }
            },
        }
    }

    /// A currency.
    pub fn currency(&mut self) -> Result<Option<Currency>, Problem> {
        match self.take("currency") {
            None => Ok(None),
            Some(value) => match value.as_str().and_then(|text| text.parse().ok()) {
                Some(currency) => Ok(Some(currency)),
                None => Err(Problem {
                    param: Some("currency".into()),
                    ..Problem::new("invalid_currency")
                }),
            },
        }
    }

    /// A language of ours.
    pub fn locale(&mut self, name: &str) -> Result<Box<str>, Problem> {
        Ok(self.choice(name, &["ja", "en", "ko"])?.unwrap_or("ja").into())
    }

    /// A URL to send a browser to.
    pub fn return_url(&mut self, name: &'static str) -> Result<Option<Box<str>>, Problem> {
        let url = self.text(name, 2_000)?;
        url.as_deref().map_or(Ok(()), |url| check_return_url(name, url))?;
        Ok(url)
    }

    /// An email address.
    pub fn email(&mut self) -> Result<Option<Box<str>>, Problem> {
        let email = self.text("email", TEXT_MOST)?;
        email.as_deref().map_or(Ok(()), check_email)?;
        Ok(email)
    }

    /// An object. PHP writes an empty one as an empty list.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self(map))),
            Some(Value::Array(list)) if list.is_empty() => Ok(Some(Self::default())),
            Some(_) => Err(Problem::invalid(
                name.to_owned(),
                format!("{name} must be an object"),
            )),
        }
    }

    /// A list of at most 100. Forms may number its entries.
    pub fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Problem> {
        let list = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(Value::Object(map)) if map.keys().all(|key| key.parse::<u16>().is_ok()) => {
                let mut entries: Vec<(u16, Value)> = map
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.parse().ok()?, value)))
                    .collect();
                entries.sort_by_key(|(n, _)| *n);
                entries.into_iter().map(|(_, value)| value).collect()
            }
            Some(_) => {
                return Err(Problem::invalid(
                    name.to_owned(),
                    format!("{name} must be a list"),
                ));
            }
        };
        if list.len() > ENTRIES {
            return Err(Problem::invalid(
                name.to_owned(),
                format!("{name} has too many entries (at most {ENTRIES})"),
            ));
        }
        Ok(Some(list))
    }

    /// A list of short texts; one text alone stands for a list of one.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<Box<str>>>, Problem> {
        if let Some(Value::String(_)) = self.0.get(name) {
            return Ok(self.text(name, TEXT_MOST)?.map(|text| vec![text]));
        }
        let Some(list) = self.list(name)? else {
            return Ok(None);
        };
        let texts = list.into_iter().map(|value| match value {
            Value::String(text) if text.chars().count() <= TEXT_MOST => Ok(text.into()),
            _ => Err(Problem::invalid(
                name.to_owned(),
                format!("{name} must be a list of texts"),
            )),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The shop's notes: text to text.
    ///
    /// Source: docs/providers/komoju.md, "Scalars".
    pub fn metadata(&mut self) -> Result<Option<Metadata>, Problem> {
        let Some(Self(map)) = self.object("metadata")? else {
            return Ok(None);
        };
        let wrong = |message: String| Problem::invalid("metadata", message);
        if map.len() > METADATA_KEYS {
            return Err(wrong(format!(
                "metadata has too many entries (at most {METADATA_KEYS})"
            )));
        }
        let entries = map.into_iter().map(|(key, value)| {
            if key.chars().count() > METADATA_KEY_MOST {
                return Err(wrong(format!(
                    "a key of metadata is too long (at most {METADATA_KEY_MOST} characters)"
                )));
            }
            match value {
                Value::String(text) if text.chars().count() <= METADATA_VALUE_MOST => {
                    Ok((key.into(), text.into()))
                }
                Value::String(_) => Err(wrong(format!(
                    "a value of metadata is too long (at most {METADATA_VALUE_MOST} characters)"
                ))),
                _ => Err(wrong("the values of metadata must be texts".to_owned())),
            }
        });
        entries.collect::<Result<_, _>>().map(Some)
    }

    /// An object of a few short texts; its other names are ignored.
    pub fn texts_by_name(&mut self, name: &str, of: &[&str]) -> Result<Option<Value>, Problem> {
        let Some(mut given) = self.object(name)? else {
            return Ok(None);
        };
        let mut kept = Map::new();
        for field in of {
            let text = given.text(field, TEXT_MOST).map_err(|problem| Problem {
                param: Some(name.to_owned().into()),
                ..problem
            })?;
            if let Some(text) = text {
                kept.insert((*field).to_owned(), Value::String(text.into()));
            }
        }
        Ok(Some(Value::Object(kept)))
    }

    /// What shall stand on the card statement.
    pub fn statement_descriptor(&mut self) -> Result<Option<Value>, Problem> {
        const FIELDS: [&str; 5] = [
            "statement_descriptor",
            "statement_descriptor_alpha",
            "statement_descriptor_kana",
            "statement_city",
            "contact_phone",
        ];
        self.texts_by_name("statement_descriptor", &FIELDS)
    }

    /// A postal address.
    pub fn address(&mut self, name: &str) -> Result<Option<Value>, Problem> {
        const FIELDS: [&str; 7] = [
            "name",
            "street_address1",
            "street_address2",
            "city",
            "state",
            "zipcode",
            "country",
        ];
        self.texts_by_name(name, &FIELDS)
    }

    /// An object that is passed through as it stands, if it is not too large.
    pub fn passed_through(&mut self, name: &str) -> Result<Option<Value>, Problem> {
        let Some(Self(map)) = self.object(name)? else {
            return Ok(None);
        };
        let value = Value::Object(map);
        if value.to_string().len() > PASSED_THROUGH {
            return Err(Problem::invalid(name.to_owned(), format!("{name} is too large")));
        }
        Ok(Some(value))
    }

    /// What is bought, for display, and what of it is counted in stock: the lines with a `sku`. Sums are not checked.
    pub fn line_items(&mut self) -> Result<(Vec<Value>, Vec<Goods>), Problem> {
        let Some(list) = self.list("line_items")? else {
            return Ok((vec![], vec![]));
        };
        let mut goods = Vec::new();
        let wrong = |problem: Problem| Problem {
            param: Some("line_items".into()),
            ..problem
        };
        let items = list.into_iter().map(|item| {
            let Value::Object(map) = item else {
                return Err(Problem::invalid(
                    "line_items",
                    "line_items must be a list of objects",
                ));
            };
            let mut given = Self(map);
            let mut kept = Map::new();
            if let Some(amount) = given.integer("amount").map_err(wrong)? {
                if amount.checked_abs().is_none_or(|amount| amount > AMOUNT_MOST) {
                    return Err(Problem::invalid("line_items", "amount is out of range"));
                }
                kept.insert("amount".into(), amount.into());
            }
            let quantity = given.integer("quantity").map_err(wrong)?.unwrap_or(1);
            if !(0..=AMOUNT_MOST).contains(&quantity) {
                return Err(Problem::invalid("line_items", "quantity is out of range"));
            }
            kept.insert("quantity".into(), quantity.into());
            if let Some(sku) = given.text("sku", SKU_MOST).map_err(wrong)? {
                if !is_sku(&sku) {
                    return Err(Problem::invalid("line_items", SKU_SHAPE));
                }
                kept.insert("sku".into(), Value::String(sku.to_string()));
                goods.push(Goods {
                    sku,
                    pieces: quantity,
                });
            }
            for (name, most) in [
                ("description", 1_000),
                ("image", 2_000),
                ("external_product_num", TEXT_MOST),
            ] {
                if let Some(text) = given.text(name, most).map_err(wrong)? {
                    kept.insert(name.into(), Value::String(text.into()));
                }
            }
            Ok(Value::Object(kept))
        });
        let items = items.collect::<Result<_, _>>()?;
        let counted = together(goods).ok_or_else(|| {
            let text = format!("quantity of what has a sku must be from 1 to {PIECES_MOST}");
            Problem::invalid("line_items", text)
        })?;
        Ok((items, counted))
    }

    /// `payment_details`: an object, or a token's id.
    pub fn payment_details(&mut self) -> Result<Option<Source>, Problem> {
        match self.take("payment_details") {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Source::Details(map))),
            Some(Value::String(token)) if token.len() <= TEXT_MOST => Ok(Some(Source::Token(token.into()))),
            Some(_) => Err(Problem::invalid(
                "payment_details",
                "payment_details must be an object or a token",
            )),
        }
    }

    /// `payment_details` or `customer`, never both.
    pub fn source(&mut self) -> Result<Source, Problem> {
        let customer = self.text("customer", TEXT_MOST)?;
        match (self.payment_details()?, customer) {
            (Some(_), Some(_)) => Err(Problem::invalid(
                "customer",
                "customer and payment_details cannot be given together",
            )),
            (Some(details), None) => Ok(details),
            (None, Some(customer)) => Ok(Source::Customer(customer)),
            (None, None) => Err(Problem::missing("payment_details")),
        }
    }

    /// Which page of a list, and how long.
    pub fn page(&mut self) -> Result<(i64, i64), Problem> {
        let page = self.integer("page")?.unwrap_or(1);
        let per_page = self.integer("per_page")?.unwrap_or(10);
        if per_page < 1 {
            return Err(Problem::invalid("per_page", "per_page must be 1 or more"));
        }
        let per_page = per_page.min(100);
        if page < 1 || (page - 1).saturating_mul(per_page) > OFFSET_MOST {
            return Err(Problem::invalid(
                "page",
                format!("page must be from 1 to {}", OFFSET_MOST / per_page + 1),
            ));
        }
        Ok((page, per_page))
    }

    /// From when, until when.
    pub fn span(&mut self) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
        Ok((self.instant("start_time")?, self.instant("end_time")?))
    }

    fn instant(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name, 40)? else {
            return Ok(None);
        };
        instant(&text)
            .map(Some)
            .ok_or_else(|| Problem::invalid(name, format!("{name} must be an ISO 8601 instant")))
    }
}

/// An ISO 8601 instant; without an offset it is UTC, without a time the day's beginning.
fn instant(text: &str) -> Option<Timestamp> {
    // A plus sign that nobody escaped arrives as a blank.
    let mended = match text.len().checked_sub(6) {
        Some(at) if text.as_bytes()[at] == b' ' => {
            let mut mended = text.to_owned();
            mended.replace_range(at..=at, "+");
            mended
        }
        _ => text.to_owned(),
    };
    if let Ok(at) = mended.parse::<Timestamp>() {
        return Some(at);
    }
    let civil: DateTime = mended.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests;
