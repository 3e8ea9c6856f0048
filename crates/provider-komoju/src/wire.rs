//! What KOMOJU writes, read by hand: lenient about shape (numbers as text, keys twice, keys unknown), strict about what money
//! depends on. What is missing or odd is named; what it held is not, since it may have been a secret.
//!
//! Source: docs/providers/komoju.md, "Reading replies".
use kessai_core::{Currency, Money};
use serde_json::{Map, Value};

/// Why a reply cannot be read. Names the field, never its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Reads a body. KOMOJU repeats keys inside errors (`details`); the last one wins.
///
/// # Errors
/// [`Unreadable`] when it is not a JSON object.
pub fn parse(body: &[u8]) -> Result<Value, Unreadable> {
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Unreadable("not a JSON object".into())),
        Err(_) => Err(Unreadable("not JSON".into())),
    }
}

struct Fields<'a> {
    of: &'static str,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of(of: &'static str, value: &'a Value) -> Result<Self, Unreadable> {
        let map = value
            .as_object()
            .ok_or_else(|| Unreadable(format!("{of} is not an object")))?;
        Ok(Self { of, map })
    }

    fn odd(&self, name: &str) -> Unreadable {
        Unreadable(format!("{}.{name} is missing or odd", self.of))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn maybe_text(&self, name: &str) -> Result<Option<&'a str>, Unreadable> {
        self.get(name)
            .map(|value| value.as_str().ok_or_else(|| self.odd(name)))
            .transpose()
    }

    fn text(&self, name: &str) -> Result<&'a str, Unreadable> {
        self.maybe_text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.odd(name))
    }

    fn maybe_minor(&self, name: &str) -> Result<Option<i64>, Unreadable> {
        self.get(name)
            .map(|value| minor(value).ok_or_else(|| self.odd(name)))
            .transpose()
    }

    fn money(&self, name: &str, currency: Currency) -> Result<Money, Unreadable> {
        let minor = self.maybe_minor(name)?.ok_or_else(|| self.odd(name))?;
        Money::new(minor, currency).map_err(|_| self.odd(name))
    }

    fn currency(&self) -> Result<Currency, Unreadable> {
        self.text("currency")?.parse().map_err(|_| self.odd("currency"))
    }

    fn maybe_object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Unreadable> {
        self.get(name)
            .map(|value| value.as_object().ok_or_else(|| self.odd(name)))
            .transpose()
    }

    fn list(&self, name: &str) -> Result<&'a [Value], Unreadable> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.odd(name)),
        }
    }
}

/// Minor units from `1500`, `"1500"` or `"1500.0000"`. A fraction of a unit is not an amount.
pub fn minor(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let readable = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (readable && fraction.bytes().all(|b| b == b'0'))
        .then(|| whole.parse().ok())
        .flatten()
}

/// `{"error": …}`, an object or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    /// The machine's word, when there is one.
    pub code: Option<String>,
    /// The words for people.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
}

impl ErrorBody {
    /// The error a body reports, if it reports one. Success is the absence of a top-level `error`.
    pub fn find(body: &Value) -> Option<Self> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        match body.get("error") {
            Some(Value::Object(error)) => Some(Self {
                code: text(error.get("code")).filter(|code| !code.is_empty()),
                message: text(error.get("message")).unwrap_or_default(),
                param: text(error.get("param")),
            }),
            // A bare text is a code when it looks like one, and words otherwise.
            Some(Value::String(error)) => {
                let is_code = !error.is_empty() && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                Some(Self {
                    code: is_code.then(|| error.clone()),
                    message: error.clone(),
                    param: None,
                })
            }
            _ if body.get("status").and_then(Value::as_str) == Some("error") => Some(Self {
                code: None,
                message: String::new(),
                param: None,
            }),
            Some(Value::Null) | None => None,
            Some(_) => Some(Self {
                code: None,
                message: String::new(),
                param: None,
            }),
        }
    }
}

/// A payment.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// Its id.
    pub id: String,
    /// Its status, as written.
    pub status: String,
    /// Amount, tax and fee together.
    pub total: Money,
    /// Our key.
    pub external_order_num: Option<String>,
    /// Its session's id.
    pub session: Option<String>,
    /// When it lapses, as written.
    pub payment_deadline: Option<String>,
    /// What it was paid with.
    pub payment_details: Map<String, Value>,
    /// Id, amount and description of what went back, oldest first.
    pub refunds: Vec<(String, Money)>,
}

impl Payment {
    /// Reads a payment.
    ///
    /// # Errors
    /// [`Unreadable`] without id, status, total or currency, and when its sums contradict each other.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let fields = Fields::of("payment", value)?;
        if fields
            .maybe_text("resource")?
            .is_some_and(|resource| resource != "payment")
        {
            return Err(fields.odd("resource"));
        }
        let currency = fields.currency()?;
        let total = fields.money("total", currency)?;
        let mut refunds = Vec::new();
        let mut refunded = Money::zero(currency);
        for item in fields.list("refunds")? {
            let refund = Fields::of("refund", item)?;
            let amount = refund.money("amount", currency)?;
            refunded = refunded.checked_add(amount).map_err(|_| fields.odd("refunds"))?;
            refunds.push((refund.text("id")?.to_owned(), amount));
        }
        // Without this, a refund that is counted but not named would be lost to our books.
        if fields
            .maybe_minor("amount_refunded")?
            .is_some_and(|sum| sum != refunded.minor())
        {
            return Err(fields.odd("amount_refunded"));
        }
        let own = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            id: fields.text("id")?.to_owned(),
            status: fields.text("status")?.to_owned(),
            total,
            external_order_num: own(fields.maybe_text("external_order_num")?),
            session: own(fields.maybe_text("session")?),
            payment_deadline: own(fields.maybe_text("payment_deadline")?),
            payment_details: fields
                .maybe_object("payment_details")?
                .cloned()
                .unwrap_or_default(),
            refunds,
        })
    }
}

/// The answer to `POST /sessions/{id}/pay`.
#[derive(Debug, Clone, PartialEq)]
pub struct PayResult {
    /// `pending` or `completed`; an error never gets here.
    pub status: String,
    /// Where the shopper goes.
    pub redirect_url: Option<String>,
    /// The app link.
    pub app_url: Option<String>,
    /// The payment, when it names one.
    pub payment: Option<Payment>,
}

impl PayResult {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`Unreadable`] when it has no status or holds an odd payment.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let fields = Fields::of("pay", value)?;
        Ok(Self {
            status: fields.text("status")?.to_owned(),
            redirect_url: fields.maybe_text("redirect_url")?.map(str::to_owned),
            app_url: fields.maybe_text("app_url")?.map(str::to_owned),
            payment: fields.get("payment").map(Payment::read).transpose()?,
        })
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// `pending`, `completed` or `cancelled`, as written.
    pub status: String,
    /// Whether its time is over.
    pub expired: bool,
    /// What it asks for.
    pub amount: Money,
    /// The newest payment made in it.
    pub payment: Option<Payment>,
    /// Where a 3-D Secure authentication goes on, while it does.
    pub authentication_url: Option<String>,
}

impl Session {
    /// Reads a session.
    ///
    /// # Errors
    /// [`Unreadable`] without id, status, amount or currency.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let fields = Fields::of("session", value)?;
        let secure = fields
            .get("secure_token")
            .and_then(|token| SecureToken::read(token).ok());
        Ok(Self {
            id: fields.text("id")?.to_owned(),
            status: fields.text("status")?.to_owned(),
            expired: fields.get("expired") == Some(&Value::Bool(true)),
            amount: fields.money("amount", fields.currency()?)?,
            payment: fields.get("payment").map(Payment::read).transpose()?,
            authentication_url: secure
                .filter(|token| token.verification_status == "NEEDS_VERIFY")
                .and_then(|token| token.authentication_url),
        })
    }
}

/// A page of payments, as far as they can be told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The items as written, newest first.
    pub data: Vec<Value>,
    /// Whether there are more on other pages.
    pub more: bool,
}

impl Page {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Unreadable`] when it is none.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let fields = Fields::of("list", value)?;
        let data = fields
            .get("data")
            .and_then(Value::as_array)
            .ok_or_else(|| fields.odd("data"))?;
        let last_page = fields.maybe_minor("last_page")?.unwrap_or(1);
        Ok(Self {
            data: data.clone(),
            more: last_page > 1,
        })
    }
}

/// A one-time token.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub id: String,
    /// What may be shown of what it stands for.
    pub payment_details: Map<String, Value>,
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// [`Unreadable`] without an id.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let fields = Fields::of("token", value)?;
        let payment_details = fields
            .maybe_object("payment_details")?
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            id: fields.text("id")?.to_owned(),
            payment_details,
        })
    }
}

/// A 3-D Secure authentication.
#[derive(Clone)]
pub struct SecureToken {
    /// The token itself: `id` in the SDKs, `secure_token` in the documents' sample.
    pub id: String,
    /// `NEEDS_VERIFY`, `OK`, `SKIPPED` or `ERRORED`.
    pub verification_status: String,
    /// Where the shopper authenticates.
    pub authentication_url: Option<String>,
}

impl SecureToken {
    /// Reads an authentication.
    ///
    /// # Errors
    /// [`Unreadable`] without an id, or in a state nobody listed.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let fields = Fields::of("secure_token", value)?;
        let status = fields.text("verification_status")?;
        if !["NEEDS_VERIFY", "OK", "SKIPPED", "ERRORED"].contains(&status) {
            return Err(fields.odd("verification_status"));
        }
        let id = match fields.maybe_text("id")? {
            Some(id) if !id.is_empty() => id,
            Some(_) | None => fields.text("secure_token")?,
        };
        Ok(Self {
            id: id.to_owned(),
            verification_status: status.to_owned(),
            authentication_url: fields.maybe_text("authentication_url")?.map(str::to_owned),
        })
    }
}

/// A customer with what is stored for them.
#[derive(Clone)]
pub struct Customer {
    /// Its id, which can be charged.
    pub id: String,
    /// What may be shown of the stored card.
    pub source: Map<String, Value>,
}

impl Customer {
    /// Reads a customer.
    ///
    /// # Errors
    /// [`Unreadable`] without an id.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let fields = Fields::of("customer", value)?;
        let source = fields.maybe_object("source")?.cloned().unwrap_or_default();
        Ok(Self {
            id: fields.text("id")?.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_read_from_numbers_and_decimal_texts_and_never_rounded() {
        for (value, expected) in [
            (json!(1500), Some(1500)),
            (json!("1500"), Some(1500)),
            (json!("1500.0000"), Some(1500)),
            (json!(1500.0), Some(1500)),
            (json!(-5), Some(-5)),
            (json!("1500.5"), None),
            (json!(1500.5), None),
            (json!("15e2"), None),
            (json!("1,500"), None),
            (json!(""), None),
            (json!(".0"), None),
            (json!(null), None),
            (json!(true), None),
            (json!("99999999999999999999"), None),
        ] {
            assert_eq!(minor(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_does_not_hide_the_error() {
        let body = parse(
            br#"{"error":{"code":"card_declined","message":"No.","param":null,"details":{},"details":null}}"#,
        );
        let error = ErrorBody::find(&body.unwrap()).unwrap();
        assert_eq!(error.code.as_deref(), Some("card_declined"));
    }

    #[test]
    fn errors_come_as_objects_texts_and_bare_statuses() {
        let code = |body: Value| ErrorBody::find(&body).map(|error| error.code);
        assert_eq!(
            code(json!({"error": "card_declined"})),
            Some(Some("card_declined".into()))
        );
        assert_eq!(code(json!({"error": "Something went wrong"})), Some(None));
        assert_eq!(code(json!({"status": "error"})), Some(None));
        assert_eq!(code(json!({"error": null, "status": "completed"})), None);
        assert_eq!(code(json!({"id": "x"})), None);
    }

    #[test]
    fn a_refund_that_is_counted_but_not_named_makes_a_payment_unreadable() {
        let payment = json!({"id": "p", "status": "captured", "total": 100, "currency": "JPY", "amount_refunded": 10, "refunds": []});
        assert_eq!(
            Payment::read(&payment),
            Err(Unreadable("payment.amount_refunded is missing or odd".into()))
        );
    }
}
