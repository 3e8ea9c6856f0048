//! Request bodies and queries of the API, and the commands that are read from them.
use kessai_core::Money;
use kessai_engine::details::{check_email, is_secret, read, shown};
use kessai_engine::directory::check_return_url;
use kessai_engine::payments::{HOOKS_MOST, Source};
use kessai_http::fuzzing::{self, DEPTH, KEYS, Reads, VALUES, reads};
use kessai_provider_komoju::CAPABILITIES;
use serde_json::{Map, Value};

const AMOUNT_MOST: i64 = 9_999_999;

/// A body of JSON.
pub(crate) fn api_json(bytes: &[u8]) {
    let Some(map) = sent("application/json", bytes) else {
        return;
    };
    let printed = serde_json::to_vec(&map).expect("a map prints");
    let again =
        sent("application/json; charset=utf-8", &printed).expect("what was read and printed is read again");
    // Compared as text: a number too long for any type of ours is kept in another form.
    assert_eq!(printed, serde_json::to_vec(&again).expect("a map prints"));
    commands(&map);
}

/// A form.
pub(crate) fn api_form(bytes: &[u8]) {
    let Some(map) = sent("application/x-www-form-urlencoded", bytes) else {
        return;
    };
    commands(&map);
    let mut printed = String::new();
    if print_form(&mut printed, "", &Value::Object(map.clone())) {
        let again = sent("application/x-www-form-urlencoded", printed.as_bytes());
        assert_eq!(
            again.as_ref(),
            Some(&map),
            "a form printed and read again: {printed}"
        );
    }
}

/// A multipart form, whose boundary is `x`.
pub(crate) fn api_multipart(bytes: &[u8]) {
    if let Some(map) = sent("multipart/form-data; boundary=x", bytes) {
        commands(&map);
    }
    // The boundary too comes from outside.
    if let Some((head, body)) = bytes.split_at_checked(usize::from(bytes.first().copied().unwrap_or(0) % 80))
    {
        let boundary = String::from_utf8_lossy(head);
        let _ = fuzzing::body(&format!("multipart/form-data; boundary={boundary}"), body);
    }
}

/// A query.
pub(crate) fn api_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match fuzzing::query(text) {
        Ok(map) => {
            bounded(&map);
            commands(&map);
        }
        Err(problem) => assert!((400..500).contains(&problem.status()), "{problem:?}"),
    }
}

fn sent(kind: &str, bytes: &[u8]) -> Option<Map<String, Value>> {
    match fuzzing::body(kind, bytes)? {
        Ok(map) => {
            bounded(&map);
            Some(map)
        }
        Err(problem) => {
            assert!((400..500).contains(&problem.status()), "{problem:?}");
            None
        }
    }
}

/// The limits hold for whatever is let in, counted here in another way than there.
fn bounded(map: &Map<String, Value>) {
    fn walk(value: &Value, depth: usize, keys: &mut usize, values: &mut usize) {
        *values += 1;
        assert!(depth <= DEPTH, "nested too deep");
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => assert!(!text.contains('\0'), "a NUL came through"),
            Value::Array(list) => list.iter().for_each(|value| walk(value, depth + 1, keys, values)),
            Value::Object(map) => {
                for (name, value) in map {
                    *keys += 1;
                    assert!(!name.contains('\0'), "a NUL came through");
                    walk(value, depth + 1, keys, values);
                }
            }
        }
    }
    let (mut keys, mut values) = (0, 0);
    for (name, value) in map {
        keys += 1;
        assert!(!name.contains('\0'), "a NUL came through");
        walk(value, 1, &mut keys, &mut values);
    }
    assert!(keys <= KEYS, "{keys} names");
    assert!(values <= VALUES, "{values} values");
}

/// Writes values as the form they would have come in as; whether the form can say them at all.
fn print_form(out: &mut String, name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(&format!("{name}={}", fuzzing::encoded(text)));
            true
        }
        Value::Object(map) => map.iter().all(|(key, value)| {
            let step = fuzzing::encoded(key);
            if name.is_empty() {
                !key.contains('[') && !key.is_empty() && print_form(out, &step, value)
            } else {
                !key.contains(']') && !key.is_empty() && print_form(out, &format!("{name}[{step}]"), value)
            }
        }),
        // Where one element of a list of objects ends is told by a name that comes again; only plain lists say it by themselves.
        Value::Array(list) => list
            .iter()
            .all(|value| value.is_string() && print_form(out, &format!("{name}[]"), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn source(source: &Source) {
    match source {
        Source::Details(given) => details(given),
        Source::Token(text) | Source::Customer(text) => {
            assert!(!text.is_empty() && text.chars().count() <= 255);
        }
    }
}

/// What a shopper typed is checked against every method, and nothing secret is among what may be shown.
fn details(given: &Map<String, Value>) {
    let now = "2026-01-15T03:00:00Z".parse().expect("an instant");
    let offered = |method: &str| CAPABILITIES.iter().find(|line| line.method == method);
    match read(given, offered, None, now) {
        Ok(details) => {
            assert!(offered(&details.method).is_some());
            assert!(
                !details
                    .fields
                    .keys()
                    .chain(shown(&details.fields).keys())
                    .any(|name| { is_secret(name) && !matches!(name.as_str(), "month" | "year") })
            );
        }
        Err(problem) => {
            // KOMOJU answers a decline 502, and so do we: a card that cannot be valid any more is declined unasked.
            let declined = problem.status() == 502 && problem.code.name == "card_expired";
            assert!(declined || (400..500).contains(&problem.status()), "{problem:?}");
            let number = given
                .get("number")
                .and_then(Value::as_str)
                .filter(|number| number.len() >= 12);
            assert!(
                number.is_none_or(|number| !problem.message.contains(number)),
                "a problem tells a card number"
            );
        }
    }
}

fn amount(amount: i64, least: i64) {
    assert!((least..=AMOUNT_MOST).contains(&amount), "{amount}");
    assert!(Money::new(amount, kessai_core::Currency::JPY).is_ok());
}

fn short(text: Option<&str>, most: usize) {
    assert!(text.is_none_or(|text| !text.is_empty() && text.chars().count() <= most));
}

/// Every door reads the same fields; what it accepts is within its limits, and what it refuses is the caller's fault.
fn commands(map: &Map<String, Value>) {
    let Reads {
        payment,
        session,
        pay,
        secure_token,
        customer,
        endpoint,
        token,
        notes,
        refund_request,
        list,
    } = reads(map);
    for problem in [
        payment.as_ref().err(),
        session.as_ref().err(),
        pay.as_ref().err(),
        secure_token.as_ref().err(),
        customer.as_ref().err(),
        endpoint.as_ref().err(),
        token.as_ref().err(),
        notes.as_ref().err(),
        refund_request.as_ref().err(),
        list.as_ref().err(),
    ]
    .into_iter()
    .flatten()
    {
        assert!((400..500).contains(&problem.status()), "{problem:?}");
        assert!(problem.message.len() < 4_000, "a problem repeats the request");
    }
    if let Ok(payment) = payment {
        amount(payment.amount, 1);
        source(&payment.source);
        short(payment.order_number.as_deref(), 255);
        short(payment.description.as_deref(), 255);
        assert!(payment.metadata.len() <= 50 && payment.webhooks.len() <= HOOKS_MOST);
        for url in [&payment.return_url, &payment.cancel_url].into_iter().flatten() {
            check_return_url("return_url", url).expect("it was checked");
            crate::texts::leads_back(url);
        }
        assert!(["ja", "en", "ko"].contains(&payment.locale.as_ref()));
    }
    if let Ok(session) = session {
        amount(session.amount, 0);
        assert!(session.methods.len() <= 100 && session.line_items.len() <= 100);
        if let Some(email) = &session.email {
            check_email(email).expect("it was checked");
        }
        if let Some(url) = &session.return_url {
            crate::texts::leads_back(url);
        }
    }
    if let Ok(pay) = pay {
        source(&pay.source);
    }
    if let Ok(token) = secure_token {
        amount(token.amount, 1);
        crate::texts::leads_back(&token.return_url);
        source(&token.source);
    }
    if let Ok(customer) = customer {
        customer.source.iter().for_each(source);
    }
    if let Ok(endpoint) = endpoint {
        short(endpoint.url.as_deref(), 2_000);
    }
    if let Ok(given) = token {
        details(&given);
    }
    if let Ok((description, metadata)) = notes {
        short(description.flatten().as_deref(), 255);
        assert!(metadata.is_none_or(|metadata| metadata.len() <= 50));
    }
    if let Ok((asked, fields)) = refund_request {
        asked.iter().for_each(|asked| amount(*asked, 1));
        assert_eq!(fields["account_number"].as_str().map(str::len), Some(7));
    }
    if let Ok(list) = list {
        assert!(list.page >= 1 && (1..=100).contains(&list.per_page));
        assert!(
            (list.page - 1) * list.per_page <= 10_000_000,
            "a page beyond what is read"
        );
        assert!(list.filter.statuses.len() <= 7);
    }
}
