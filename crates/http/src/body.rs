//! Request bodies: read within limits of size and time, and turned from JSON, a form or multipart into one kind of map.
use crate::app::App;
use crate::fields::Fields;
use crate::problem::Refused;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use kessai_engine::{Idempotency, Problem};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::time::Duration;

/// The most a request of the API may weigh, in bytes.
pub(crate) const MOST: usize = 1024 * 1024;
/// How much of a body that is too large is read and thrown away, so that its sender hears why.
const PATIENCE: usize = 16 * 1024 * 1024;
/// How deep values may stand in one another.
pub(crate) const DEPTH: usize = 64;
/// How many names all objects of a body may hold together.
pub(crate) const KEYS: usize = 2_000;
/// How many values a body may hold.
pub(crate) const VALUES: usize = 10_000;

/// What was asked: the fields, or why they cannot be read, and the idempotency key of a POST.
pub(crate) struct Asked {
    pub key: Option<Idempotency>,
    fields: Result<Map<String, Value>, Problem>,
}

impl Asked {
    /// Reads the fields into a command.
    pub fn read<T>(
        self,
        read: impl FnOnce(Fields) -> Result<T, Problem>,
    ) -> (Option<Idempotency>, Result<T, Problem>) {
        (self.key, self.fields.and_then(|fields| read(Fields::new(fields))))
    }
}

impl FromRequest<App> for Asked {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        let raw = read(&parts.headers, body, MOST, app.limits.body_read_ms).await?;
        let key = match parts
            .headers
            .get("x-komoju-idempotency")
            .filter(|_| parts.method == Method::POST)
        {
            Some(key) => {
                Some(
                    app.engine
                        .idempotency(key.as_bytes(), parts.method.as_str(), parts.uri.path(), &raw)?,
                )
            }
            None => None,
        };
        let fields = parse(&parts.headers, raw).await;
        Ok(Self { key, fields })
    }
}

/// The query, as fields.
pub(crate) struct Query(pub Fields);

impl FromRequestParts<App> for Query {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        let map = form(parts.uri.query().unwrap_or_default())?;
        check(&map)?;
        Ok(Self(Fields::new(map)))
    }
}

/// Reads a whole body of at most `most` bytes.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    within_ms: u64,
) -> Result<Bytes, Problem> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > PATIENCE) {
        return Err(too_large(most));
    }
    match tokio::time::timeout(Duration::from_millis(within_ms), collect(body, most)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new("request_timeout")),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::with(
        "payload_too_large",
        format!("The request is larger than {} KiB.", most / 1024),
    )
}

async fn collect(mut body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::with("bad_request", "The body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > PATIENCE {
            break;
        }
        if seen > most {
            (first, joined) = (Bytes::new(), BytesMut::new());
        } else if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            // Only a body in several pieces is copied.
            if joined.is_empty() {
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&data);
        }
    }
    if seen > most {
        return Err(too_large(most));
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

pub(crate) async fn parse(headers: &HeaderMap, raw: Bytes) -> Result<Map<String, Value>, Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .map(|kind| kind.to_str().unwrap_or("?"))
        .unwrap_or_default();
    let essence = given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let map = match essence.as_str() {
        "" | "application/json" => json(&raw)?,
        kind if kind.starts_with("application/") && kind.ends_with("+json") => json(&raw)?,
        "application/x-www-form-urlencoded" => form(text(&raw)?)?,
        "multipart/form-data" => multipart(given, raw).await?,
        // A client that names a type out of habit and sends nothing has nothing that could be misread.
        _ if raw.is_empty() => Map::new(),
        _ => return Err(Problem::new("unsupported_media_type")),
    };
    check(&map)?;
    Ok(map)
}

fn malformed(what: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::with("bad_request", what)
}

fn text(raw: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(raw).map_err(|_| malformed("The body is not UTF-8."))
}

fn json(raw: &[u8]) -> Result<Map<String, Value>, Problem> {
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(raw) {
        Ok(Value::Object(map)) => Ok(map),
        // What PHP makes of an empty map.
        Ok(Value::Array(list)) if list.is_empty() => Ok(Map::new()),
        Ok(_) => Err(malformed("The body must be a JSON object.")),
        // The parser's words name a place, never a value.
        Err(error) => Err(malformed(format!(
            "The body is not valid JSON (line {}, column {}).",
            error.line(),
            error.column()
        ))),
    }
}

/// Reads `a=1&b[c]=2&d[]=3&e[][f]=4` into nested values, all texts.
pub(crate) fn form(text: &str) -> Result<Map<String, Value>, Problem> {
    let mut map = Map::new();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    for (n, pair) in pairs.enumerate() {
        if n >= KEYS {
            return Err(malformed("The form holds too many fields."));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        put(&mut map, &decode(name)?, decode(value)?)?;
    }
    Ok(map)
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        std::borrow::Cow::Borrowed(text)
    };
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| malformed("The form is not UTF-8."))
}

/// Puts one field of a form where its name says.
fn put(map: &mut Map<String, Value>, name: &str, value: String) -> Result<(), Problem> {
    let (first, mut rest) = name.find('[').map_or((name, ""), |at| name.split_at(at));
    if first.is_empty() {
        return Err(malformed("A field of the form has no name."));
    }
    let mut steps = Vec::new();
    while let Some(open) = rest.strip_prefix('[') {
        let (step, after) = open
            .split_once(']')
            .ok_or_else(|| malformed("A field's name lacks a bracket."))?;
        if steps.len() >= DEPTH {
            return Err(malformed("A field's name is nested too deep."));
        }
        steps.push(step);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(malformed("A field's name is malformed."));
    }
    let Some((last, steps)) = steps.split_last() else {
        map.insert(first.to_owned(), Value::String(value));
        return Ok(());
    };
    let mut place = map.entry(first).or_insert(Value::Null);
    for (n, step) in steps.iter().enumerate() {
        // The name that follows decides whether `a[]` goes on with its last element or begins another.
        let next = steps.get(n + 1).copied().unwrap_or(last);
        place = descend(place, step, next)?;
    }
    match (*last, &mut *place) {
        ("", Value::Null) => *place = Value::Array(vec![Value::String(value)]),
        ("", Value::Array(list)) => list.push(Value::String(value)),
        (name, Value::Null) if !name.is_empty() => {
            *place = Value::Object(Map::from_iter([(name.to_owned(), Value::String(value))]));
        }
        (name, Value::Object(map)) if !name.is_empty() => {
            map.insert(name.to_owned(), Value::String(value));
        }
        _ => return Err(malformed("A field of the form is both one value and many.")),
    }
    Ok(())
}

fn descend<'a>(place: &'a mut Value, step: &str, next: &str) -> Result<&'a mut Value, Problem> {
    if place.is_null() {
        *place = if step.is_empty() {
            Value::Array(Vec::new())
        } else {
            Value::Object(Map::new())
        };
    }
    match place {
        Value::Array(list) if step.is_empty() => {
            let goes_on = matches!(list.last(), Some(Value::Object(last)) if !last.contains_key(next));
            if !goes_on || next.is_empty() {
                list.push(Value::Null);
            }
            Ok(list.last_mut().expect("just made sure"))
        }
        Value::Object(map) if !step.is_empty() => Ok(map.entry(step).or_insert(Value::Null)),
        _ => Err(malformed("A field of the form is both one value and many.")),
    }
}

/// Reads the text parts of a multipart form; a file has no business here.
async fn multipart(kind: &str, raw: Bytes) -> Result<Map<String, Value>, Problem> {
    let broken = || malformed("The multipart body cannot be read.");
    let request = Request::builder()
        .header(CONTENT_TYPE, kind)
        .body(Body::from(raw))
        .map_err(|_| broken())?;
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|_| broken())?;
    let mut map = Map::new();
    let mut seen = 0;
    while let Some(part) = parts.next_field().await.map_err(|_| broken())? {
        seen += 1;
        if seen > KEYS {
            return Err(malformed("The form holds too many fields."));
        }
        if part.file_name().is_some() {
            return Err(malformed("A file cannot be uploaded here."));
        }
        let name = part.name().ok_or_else(broken)?.to_owned();
        let value = part.bytes().await.map_err(|_| broken())?;
        put(&mut map, &name, text(&value)?.to_owned())?;
    }
    Ok(map)
}

/// Bounds what a body holds, and refuses text that no database keeps.
pub(crate) fn check(map: &Map<String, Value>) -> Result<(), Problem> {
    let (mut keys, mut values) = (0, 0);
    for (name, value) in map {
        if name.contains('\0') || !sound(value, 1, &mut keys, &mut values)? {
            let name = name.replace('\0', "");
            let message = format!("{name} holds a NUL character");
            return Err(Problem::invalid(name, message));
        }
    }
    if keys + map.len() > KEYS {
        return Err(malformed("The body holds too many names."));
    }
    Ok(())
}

/// Whether no text in `value` holds a NUL.
fn sound(value: &Value, depth: usize, keys: &mut usize, values: &mut usize) -> Result<bool, Problem> {
    *values += 1;
    if *values > VALUES || *keys > KEYS {
        return Err(malformed("The body holds too many values."));
    }
    if depth > DEPTH {
        return Err(malformed("The body is nested too deep."));
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(true),
        Value::String(text) => Ok(!text.as_bytes().contains(&0)),
        Value::Array(list) => {
            for value in list {
                if !sound(value, depth + 1, keys, values)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Value::Object(map) => {
            *keys += map.len();
            for (name, value) in map {
                if name.as_bytes().contains(&0) || !sound(value, depth + 1, keys, values)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_become_the_same_values_as_json() {
        for (text, expected) in [
            ("", json!({})),
            (
                "amount=1500&currency=JPY",
                json!({"amount": "1500", "currency": "JPY"}),
            ),
            (
                "a[b]=1&a[c][d]=%E5%B1%B1+%26",
                json!({"a": {"b": "1", "c": {"d": "山 &"}}}),
            ),
            (
                "payment_types[]=konbini&payment_types[]=paypay",
                json!({"payment_types": ["konbini", "paypay"]}),
            ),
            (
                "l[][a]=1&l[][b]=2&l[][a]=3&l[][b]=4",
                json!({"l": [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]}),
            ),
            (
                "l[0][a]=1&l[1][a]=2",
                json!({"l": {"0": {"a": "1"}, "1": {"a": "2"}}}),
            ),
            ("a=1&a=2&flag", json!({"a": "2", "flag": ""})),
        ] {
            assert_eq!(Value::Object(form(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn forms_that_contradict_themselves_are_refused() {
        for text in [
            "a=1&a[b]=2",
            "a[]=1&a[b]=2",
            "a[b]=1&a[]=2",
            "a[b=1",
            "[b]=1",
            "a[b]c=1",
            "a=%ff",
            "a[b]=1&a[b][c]=2",
        ] {
            assert_eq!(form(text).unwrap_err().code.name, "bad_request", "{text}");
        }
    }

    #[test]
    fn bodies_are_bounded_in_depth_and_number() {
        let mut deep = json!(1);
        for _ in 0..70 {
            deep = json!([deep]);
        }
        let wide: Map<String, Value> = (0..2_001).map(|n| (n.to_string(), json!(1))).collect();
        let inner = Map::from_iter([("a".to_owned(), Value::Object(wide.clone()))]);
        let long = Map::from_iter([("a".to_owned(), json!(vec![1; 10_001]))]);
        for map in [Map::from_iter([("a".to_owned(), deep)]), wide, inner, long] {
            assert_eq!(check(&map).unwrap_err().status(), 400);
        }
        let text = format!("a{}=1", "[b]".repeat(70));
        assert_eq!(form(&text).unwrap_err().status(), 400);
    }

    #[test]
    fn text_with_nul_is_refused_by_name() {
        let problem = check(json!({"a": {"b": ["x\0"]}}).as_object().unwrap()).unwrap_err();
        assert_eq!((problem.status(), problem.param.as_deref()), (422, Some("a")));
    }
}
