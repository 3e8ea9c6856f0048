//! The parsers of outside bytes, opened for `crates/fuzzing`. Nothing here decides anything; see docs/fuzzing.md.
#![allow(missing_docs, reason = "named as what they open")]
use crate::api::{customers, extensions, payments, secure_tokens, sessions, tokens};
use crate::fields::Fields;
use crate::office::{Login, list, session};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use kessai_core::{Entropy, Secret};
use kessai_engine::Problem;
use kessai_engine::customers::ChangeCustomer;
use kessai_engine::directory::ChangeEndpoint;
use kessai_engine::payments::{CreatePayment, ListPayments};
use kessai_engine::sessions::{CreateSession, PaySession};
use kessai_engine::tokens::CreateSecureToken;
use kessai_store::repo::{OfficeFilter, Place};
use kessai_web::office::PaymentFilter;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub const DEPTH: usize = crate::body::DEPTH;
pub const KEYS: usize = crate::body::KEYS;
pub const VALUES: usize = crate::body::VALUES;

pub fn is_id(text: &str) -> bool {
    crate::app::is_id(text)
}

pub fn api_key(header: &[u8]) -> Option<Secret> {
    crate::auth::key(header)
}

pub fn moment(text: &str) -> Option<Timestamp> {
    list::moment(text)
}

pub fn clean(text: &str, most: usize) -> String {
    session::clean(text, most)
}

pub fn encoded(text: &str) -> String {
    session::encoded(text)
}

pub fn local(path: &str) -> bool {
    session::local(path)
}

pub fn pairs(text: &str) -> BTreeMap<String, String> {
    session::pairs(text)
}

/// A request body of that content type. Everything is there already, so nothing is waited for.
pub fn body(kind: &str, raw: &[u8]) -> Option<Result<Map<String, Value>, Problem>> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).ok()?);
    Some(
        crate::body::parse(&headers, Bytes::copy_from_slice(raw))
            .now_or_never()
            .expect("a body in memory is there at once"),
    )
}

/// A query as the API reads it.
pub fn query(text: &str) -> Result<Map<String, Value>, Problem> {
    let map = crate::body::form(text)?;
    crate::body::check(&map)?;
    Ok(map)
}

/// What each door makes of the same fields.
pub struct Reads {
    pub payment: Result<CreatePayment, Problem>,
    pub session: Result<CreateSession, Problem>,
    pub pay: Result<PaySession, Problem>,
    pub secure_token: Result<CreateSecureToken, Problem>,
    pub customer: Result<ChangeCustomer, Problem>,
    pub endpoint: Result<ChangeEndpoint, Problem>,
    pub token: Result<Map<String, Value>, Problem>,
    pub notes: Result<payments::Notes, Problem>,
    pub refund_request: Result<(Option<i64>, Map<String, Value>), Problem>,
    pub list: Result<ListPayments, Problem>,
}

pub fn reads(map: &Map<String, Value>) -> Reads {
    let fields = || Fields::new(map.clone());
    Reads {
        payment: payments::read_payment(fields(), None),
        session: sessions::read_session(fields(), None),
        pay: sessions::read_pay(fields()),
        secure_token: secure_tokens::read_secure_token(fields()),
        customer: customers::read_customer(fields()),
        endpoint: extensions::read_endpoint(fields()),
        token: tokens::read_token(fields()),
        notes: payments::read_notes(fields()),
        refund_request: payments::read_refund_request(fields()),
        list: payments::read_list(fields()),
    }
}

/// Where a browser is sent.
pub fn see_other(url: &str) -> Response {
    crate::checkout::see_other(url)
}

/// The office's list: what was understood, and how it stands in a link again.
pub fn filter(query: &BTreeMap<String, String>) -> (PaymentFilter, OfficeFilter, String) {
    let shown = list::filter(query);
    let narrowed = list::narrowed(&shown);
    let printed = list::query(&shown);
    (shown, narrowed, printed)
}

/// A page of a list of that many rows, its place, and the links to its neighbours.
pub fn leaf(query: &BTreeMap<String, String>, rows: usize) -> (Place, Vec<String>) {
    let leaf = list::Leaf::asked(query, is_id);
    let place = leaf.place.clone();
    let mut found: Vec<usize> = (0..rows).collect();
    let pager = leaf.turn(&mut found, "/l", "", ToString::to_string);
    (
        place,
        [pager.newer_href, pager.older_href]
            .into_iter()
            .flatten()
            .collect(),
    )
}

/// Path and query of a page, as it is gone back to.
pub fn here(uri: &str) -> Option<String> {
    Some(session::here(&uri.parse().ok()?))
}

/// A cookie of a request.
pub fn cookie(line: &[u8], name: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::COOKIE, HeaderValue::from_bytes(line).ok()?);
    session::cookie(&headers, name)
}

/// The office's sessions.
pub struct Sessions(session::Office);

impl Sessions {
    pub fn new(entropy: &dyn Entropy) -> Self {
        let login = Login {
            shop: "shop".into(),
            user: "clerk@example.com".into(),
            password: Secret::new("correct horse"),
        };
        Self(session::Office::new(login, entropy))
    }

    pub fn begin(&self, now: Timestamp, entropy: &dyn Entropy) -> String {
        self.0.begin(now, entropy)
    }

    /// Whether the cookie is a session that lives.
    pub fn opens(&self, cookie: &str, now: Timestamp) -> bool {
        self.0.session(cookie, now).is_some()
    }
}
