//! Reading requests: JSON, forms and multipart into one shape, and the scalars in it.
//!
//! Source: docs/providers/komoju.md, sections 1 and 4.
use super::error::ApiError;
use kessai_core::Currency;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// No request is larger.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_DEPTH: usize = 8;
const MAX_FIELDS: usize = 1_000;

/// The parameters of a request, or of an object within it.
#[derive(Debug, Clone, Default)]
pub(super) struct Params {
    fields: Map<String, Value>,
    within: String,
}

fn bad_request(message: &str) -> ApiError {
    ApiError::of("bad_request").saying(message)
}

impl Params {
    /// Reads a body by its content type. An empty body holds no parameters.
    pub fn read(content_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        if body.len() > MAX_BODY_BYTES {
            let mut error = bad_request("The request body is too large.");
            error.status = 413;
            return Err(error);
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let kind = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let fields = match kind.as_str() {
            "application/x-www-form-urlencoded" => Self::form(&String::from_utf8_lossy(body)).fields,
            "multipart/form-data" => multipart(content_type, body)?,
            _ => match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => return Err(bad_request("A JSON object was expected.")),
                Err(_) => return Err(bad_request("The request body is not valid JSON.")),
            },
        };
        Ok(Self {
            fields,
            within: String::new(),
        })
    }

    /// Reads `a=1&b[c]=2&d[]=3`.
    pub fn form(text: &str) -> Self {
        let mut fields = Map::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()).take(MAX_FIELDS) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            plant(&mut fields, &decode(name), decode(value));
        }
        Self {
            fields,
            within: String::new(),
        }
    }

    /// Parameters already taken apart.
    pub fn from_object(fields: Map<String, Value>, within: &str) -> Self {
        Self {
            fields,
            within: within.to_owned(),
        }
    }

    /// The parameters as they came.
    pub fn into_object(self) -> Map<String, Value> {
        self.fields
    }

    /// What this parameter is called in an error.
    pub fn name(&self, name: &str) -> String {
        if self.within.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.within)
        }
    }

    pub fn missing(&self, name: &str) -> ApiError {
        ApiError::missing(&self.name(name))
    }

    pub fn invalid(&self, name: &str, message: &str) -> ApiError {
        ApiError::invalid(&self.name(name), message)
    }

    /// A parameter that is there and not null.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A text of at most `limit` characters; numbers are taken for texts. Empty is absent.
    pub fn text(&self, name: &str, limit: usize) -> Result<Option<String>, ApiError> {
        let text = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(self.invalid(name, "A string was expected")),
        };
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > limit && text.chars().count() > limit {
            return Err(self.invalid(name, &format!("Must be at most {limit} characters")));
        }
        Ok(Some(text))
    }

    pub fn need_text(&self, name: &str, limit: usize) -> Result<String, ApiError> {
        self.text(name, limit)?.ok_or_else(|| self.missing(name))
    }

    /// An address the browser can be sent to.
    pub fn url(&self, name: &str) -> Result<Option<String>, ApiError> {
        let Some(url) = self.text(name, 2048)? else {
            return Ok(None);
        };
        let scheme = url
            .split_once("://")
            .map(|(scheme, _)| scheme.to_ascii_lowercase());
        let sound = scheme.is_some_and(|scheme| {
            !scheme.is_empty()
                && !["javascript", "data", "vbscript", "file", "blob"].contains(&scheme.as_str())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        }) && !url
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\');
        if sound {
            Ok(Some(url))
        } else {
            Err(self.invalid(name, "A URL was expected"))
        }
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(yes)) => Ok(Some(*yes)),
            Some(Value::String(text)) => match text.as_str() {
                "true" | "1" => Ok(Some(true)),
                "false" | "0" => Ok(Some(false)),
                "" => Ok(None),
                _ => Err(self.invalid(name, "A boolean was expected")),
            },
            Some(_) => Err(self.invalid(name, "A boolean was expected")),
        }
    }

    /// A whole number, as a number or as digits.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name, 40)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| self.invalid(name, "An integer was expected"))
    }

    /// An amount: an integer, `"1500"` or `"1500.0000"`; a fraction of a unit is refused.
    pub fn money(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name, 40)? else {
            return Ok(None);
        };
        match decimal(&text) {
            Some((whole, false)) => Ok(Some(whole)),
            Some((_, true)) => {
                Err(self.invalid(name, "Must be a whole number of the currency's smallest unit"))
            }
            None => Err(self.invalid(name, "Must be a number")),
        }
    }

    /// An amount in which a fraction is rounded half up.
    pub fn rounded_money(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name, 40)? else {
            return Ok(None);
        };
        let Some((whole, fraction)) = decimal(&text) else {
            return Err(self.invalid(name, "Must be a number"));
        };
        let up = fraction
            && text
                .split_once('.')
                .is_some_and(|(_, digits)| digits.as_bytes()[0] >= b'5');
        Ok(Some(whole.saturating_add(i64::from(up))))
    }

    pub fn currency(&self, name: &str) -> Result<Option<Currency>, ApiError> {
        let Some(text) = self.text(name, 10)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            ApiError::of("invalid_currency")
                .saying(format!("The currency {text} is invalid."))
                .about(&self.name(name))
        })
    }

    /// One of a closed list.
    pub fn choice(&self, name: &str, of: &[&'static str]) -> Result<Option<&'static str>, ApiError> {
        let Some(text) = self.text(name, 60)? else {
            return Ok(None);
        };
        let known = of.iter().copied().find(|choice| *choice == text);
        known
            .map(Some)
            .ok_or_else(|| self.invalid(name, &format!("Must be one of {}", of.join(", "))))
    }

    /// Parameters within a parameter. PHP's empty array counts as an empty object.
    pub fn object(&self, name: &str) -> Result<Option<Self>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self::from_object(fields.clone(), &self.name(name)))),
            Some(Value::Array(items)) if items.is_empty() => {
                Ok(Some(Self::from_object(Map::new(), &self.name(name))))
            }
            Some(_) => Err(self.invalid(name, "An object was expected")),
        }
    }

    /// A list of texts, at most a hundred.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let items = match self.value(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.invalid(name, "An array was expected")),
        };
        if items.len() > 100 {
            return Err(self.invalid(name, "Too many elements"));
        }
        let texts = items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>();
        texts
            .map(Some)
            .ok_or_else(|| self.invalid(name, "An array of strings was expected"))
    }

    /// `metadata`: strings to strings, keys to 30 characters, values to 2000.
    pub fn metadata(&self) -> Result<Option<BTreeMap<String, String>>, ApiError> {
        let Some(object) = self.object("metadata")? else {
            return Ok(None);
        };
        if object.fields.len() > 100 {
            return Err(self.invalid("metadata", "Too many keys"));
        }
        let mut metadata = BTreeMap::new();
        for (key, value) in object.fields {
            let Value::String(value) = value else {
                return Err(self.invalid("metadata", "Values must be strings"));
            };
            if key.chars().count() > 30 || value.chars().count() > 2000 {
                return Err(self.invalid("metadata", "Keys have at most 30 characters, values at most 2000"));
            }
            metadata.insert(key, value);
        }
        Ok(Some(metadata))
    }
}

/// The whole part, and whether a fraction other than zero follows.
fn decimal(text: &str) -> Option<(i64, bool)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !numeric(digits) || !numeric(fraction) {
        return None;
    }
    Some((whole.parse().ok()?, fraction.bytes().any(|b| b != b'0')))
}

/// Percent-decoding, with `+` for a blank.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// Puts `a[b][]` into its place.
fn plant(fields: &mut Map<String, Value>, name: &str, value: String) {
    let (first, rest) = name.split_once('[').unwrap_or((name, ""));
    let mut path: Vec<&str> = Vec::new();
    if !rest.is_empty() {
        path.extend(rest.trim_end_matches(']').split("][").take(MAX_DEPTH));
    }
    if rest == "]" {
        path = vec![""];
    }
    let mut place = fields.entry(first).or_insert(Value::Null);
    for step in path {
        if step.is_empty() {
            if place.is_null() {
                *place = Value::Array(Vec::new());
            }
            let Value::Array(items) = place else { return };
            items.push(Value::Null);
            let Some(last) = items.last_mut() else { return };
            place = last;
        } else {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(inner) = place else { return };
            place = inner.entry(step).or_insert(Value::Null);
        }
    }
    *place = Value::String(value);
}

fn multipart(content_type: &str, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let boundary = content_type
        .split("boundary=")
        .nth(1)
        .map(|b| b.split(';').next().unwrap_or(b).trim_matches('"'));
    let Some(boundary) = boundary.filter(|b| !b.is_empty()) else {
        return Err(bad_request("The multipart boundary is missing."));
    };
    let text = String::from_utf8_lossy(body);
    let mut fields = Map::new();
    for part in text.split(&format!("--{boundary}")).skip(1).take(MAX_FIELDS) {
        let Some((head, value)) = part.split_once("\r\n\r\n") else {
            continue;
        };
        let Some(name) = head
            .split("name=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
        else {
            continue;
        };
        plant(
            &mut fields,
            name,
            value.strip_suffix("\r\n").unwrap_or(value).to_owned(),
        );
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(text: &str) -> Value {
        Value::Object(Params::form(text).fields)
    }

    #[test]
    fn forms_nest_as_rails_does() {
        assert_eq!(
            form(
                "a=1&payment_details[type]=konbini&payment_types[]=a&payment_types[]=b&m[%E5%90%8D]=%E5%B1%B1+x"
            ),
            json!({"a": "1", "payment_details": {"type": "konbini"}, "payment_types": ["a", "b"], "m": {"名": "山 x"}})
        );
        assert_eq!(
            form("a[b][c]=1&a[b][d]=2"),
            json!({"a": {"b": {"c": "1", "d": "2"}}})
        );
    }

    #[test]
    fn amounts_come_as_numbers_digits_and_decimals_but_never_as_fractions() {
        let Value::Object(fields) =
            json!({"a": 1500, "b": "1500", "c": "1500.0000", "d": "1.5", "e": "x", "f": 1e30})
        else {
            unreachable!()
        };
        let params = Params::from_object(fields, "");
        for name in ["a", "b", "c"] {
            assert_eq!(params.money(name).expect(name), Some(1500));
        }
        for name in ["d", "e", "f"] {
            assert_eq!(params.money(name).expect_err(name).status, 422);
        }
        assert_eq!(params.rounded_money("d").expect("rounded"), Some(2));
    }

    #[test]
    fn multipart_bodies_are_read() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n100\r\n--X--\r\n";
        let params = Params::read("multipart/form-data; boundary=X", body.as_bytes()).expect("read");
        assert_eq!(params.money("amount").expect("money"), Some(100));
    }
}
