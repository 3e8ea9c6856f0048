//! What may be written down of a conversation with KOMOJU. Allow-lists: a field nobody thought of is hidden.
use serde_json::{Map, Value, json};

/// Scalars of requests that may be shown as they are.
const OPEN: &[&str] = &[
    "account_type",
    "amount",
    "bank_code",
    "branch_number",
    "capture",
    "currency",
    "default_locale",
    "expiry_days",
    "external_order_num",
    "include_payment_method_fee",
    "initiator",
    "installments",
    "intent",
    "locale",
    "mode",
    "store",
    "tax",
    "type",
    "usage",
];

/// Scalars of replies that may be shown as they are.
const SHOWN: &[&str] = &[
    "amount",
    "amount_refunded",
    "currency",
    "deleted",
    "expired",
    "external_order_num",
    "payment_deadline",
    "payment_method_fee",
    "status",
    "tax",
    "total",
    "verification_status",
];

const HIDDEN: &str = "***";

/// A request body without card numbers, codes, tokens, names and addresses.
pub fn request(body: &Value) -> Value {
    match body {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, v)| (name.clone(), field(name, v)))
                .collect(),
        ),
        Value::Null => Value::Null,
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => HIDDEN.into(),
    }
}

fn field(name: &str, value: &Value) -> Value {
    match (name, value) {
        (_, Value::Null) => Value::Null,
        ("payment_types", Value::Array(_)) => value.clone(),
        ("email" | "customer_email", Value::String(text)) => email(text).into(),
        ("return_url" | "cancel_url", Value::String(text)) => host(text).into(),
        ("payment_details" | "payment_data" | "fraud_details", Value::Object(_)) => request(value),
        (name, Value::String(text)) if OPEN.contains(&name) => scrub(text).into(),
        (name, Value::Bool(_) | Value::Number(_)) if OPEN.contains(&name) => value.clone(),
        _ => HIDDEN.into(),
    }
}

/// The few things of a reply that support needs.
pub fn reply(body: &Value) -> Value {
    let Some(fields) = body.as_object() else {
        return Value::Null;
    };
    let mut shown = Map::new();
    // Ids of tokens and customers can be charged with; those of payments, sessions and refunds cannot.
    let resource = fields.get("resource").and_then(Value::as_str);
    if let Some(id) = fields.get("id").and_then(Value::as_str) {
        let open = matches!(resource, Some("payment" | "session" | "refund" | "event"));
        shown.insert("id".into(), if open { scrub(id) } else { HIDDEN.into() }.into());
    }
    for name in SHOWN {
        match fields.get(*name) {
            Some(Value::String(text)) => _ = shown.insert((*name).into(), scrub(text).into()),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => {
                _ = shown.insert((*name).into(), value.clone())
            }
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {}
        }
    }
    if let Some(Value::String(session)) = fields.get("session") {
        shown.insert("session".into(), scrub(session).into());
    }
    for name in ["redirect_url", "authentication_url"] {
        if let Some(Value::String(url)) = fields.get(name) {
            shown.insert(name.into(), host(url).into());
        }
    }
    match fields.get("error") {
        Some(Value::Object(error)) => {
            let text = |name: &str| error.get(name).and_then(Value::as_str).map(scrub);
            let error = json!({"code": text("code"), "message": text("message"), "param": text("param")});
            shown.insert("error".into(), error);
        }
        Some(Value::String(error)) => _ = shown.insert("error".into(), scrub(error).into()),
        _ => {}
    }
    if let Some(payment @ Value::Object(_)) = fields.get("payment") {
        shown.insert("payment".into(), reply(payment));
    }
    if let Some(Value::Array(refunds)) = fields.get("refunds") {
        let brief = |refund: &Value| {
            let id = refund.get("id").and_then(Value::as_str).map(scrub);
            json!({"id": id, "amount": refund.get("amount").filter(|amount| amount.is_number())})
        };
        shown.insert("refunds".into(), refunds.iter().map(brief).collect());
    }
    if let Some(Value::Array(data)) = fields.get("data") {
        shown.insert("data".into(), data.iter().take(10).map(reply).collect());
    }
    Value::Object(shown)
}

/// `a***@example.com`.
fn email(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            let first: String = local.chars().take(1).collect();
            format!("{first}{HIDDEN}@{domain}")
        }
        None => HIDDEN.into(),
    }
}

/// `https://shop.example`: paths and queries may hold tokens.
fn host(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}")
        }
        None => HIDDEN.into(),
    }
}

/// The most of a foreign text we keep, in characters.
const LONGEST: usize = 300;

/// A provider's text, cut short, without what looks like a card number, a key or a token.
pub fn scrub(text: &str) -> String {
    let text: String = text.chars().take(LONGEST).filter(|c| !c.is_control()).collect();
    hide_digits(&hide_keys(&text))
}

/// Whether a text is a key or a token by its looks.
fn is_key(word: &str) -> bool {
    ["sk_", "pk_", "tok_", "whsec_"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

fn hide_keys(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let word_len = rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
        let (before, tail) = rest.split_at(start);
        let (word, after) = tail.split_at(word_len);
        out.push_str(before);
        out.push_str(if is_key(word) { HIDDEN } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Hides runs of 13 and more digits, spaces and hyphens between them included: card numbers have 13 to 19.
fn hide_digits(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        // A run starts at a digit that stands by itself, not inside a word such as an id.
        let alone = at == 0 || !chars[at - 1].is_ascii_alphanumeric();
        if !(chars[at].is_ascii_digit() && alone) {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        let (mut end, mut digits) = (at, 0);
        for (place, c) in chars.iter().enumerate().skip(at) {
            if c.is_ascii_digit() {
                (end, digits) = (place + 1, digits + 1);
            } else if !matches!(c, ' ' | '-') {
                break;
            }
        }
        let ends_alone = chars.get(end).is_none_or(|c| !c.is_ascii_alphanumeric());
        if digits >= 13 && ends_alone {
            out.push_str(HIDDEN);
        } else {
            out.extend(&chars[at..end]);
        }
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_leaves_no_trace_in_a_recorded_request() {
        let body = json!({
            "amount": 1200, "currency": "JPY", "capture": true, "external_order_num": "att1",
            "return_url": "https://shop.example/back?token=abc",
            "payment_details": {
                "type": "credit_card", "number": "4111111111111111", "month": 12, "year": 2030,
                "verification_value": "123", "name": "TARO YAMADA", "email": "taro@example.com"
            }
        });
        let expected = json!({
            "amount": 1200, "currency": "JPY", "capture": true, "external_order_num": "att1",
            "return_url": "https://shop.example",
            "payment_details": {
                "type": "credit_card", "number": "***", "month": "***", "year": "***",
                "verification_value": "***", "name": "***", "email": "t***@example.com"
            }
        });
        assert_eq!(request(&body), expected);
    }

    #[test]
    fn tokens_and_stored_cards_are_hidden_wherever_they_stand() {
        let body = json!({"payment_details": "tok_abcdefgh", "customer": "abc", "metadata": {"a": "b"}, "prepaid": ["1"]});
        assert_eq!(
            request(&body),
            json!({"payment_details": "***", "customer": "***", "metadata": "***", "prepaid": "***"})
        );
        assert_eq!(
            reply(&json!({"id": "tok_abc", "resource": "token"})),
            json!({"id": "***"})
        );
        assert_eq!(
            reply(&json!({"id": "abc", "resource": "customer", "email": "a@b"})),
            json!({"id": "***"})
        );
    }

    #[test]
    fn words_of_the_provider_are_scrubbed_of_numbers_and_keys() {
        for (text, expected) in [
            ("Card 4111 1111-1111 1111 declined", "Card *** declined"),
            ("key sk_test_abc is wrong", "key *** is wrong"),
            ("token tok_123.", "token ***."),
            ("Amount must be greater than 0", "Amount must be greater than 0"),
            ("at 2026-01-18T14:59:59Z", "at 2026-01-18T14:59:59Z"),
            ("2026-01-18T14:59:59Z", "2026-01-18T14:59:59Z"),
            ("63r9bjkqklasnofxttq7z9abc", "63r9bjkqklasnofxttq7z9abc"),
            ("カード4111111111111111は使えません", "カード***は使えません"),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }
}
