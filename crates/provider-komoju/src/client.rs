//! The requests: URLs, headers, bodies, and the order they are sent in.
use crate::map::{self, Asked, Refusal};
use crate::wire::{ErrorBody, Page, PayResult, Payment, Session, Unreadable};
use crate::{capability, mask, webhook, wire};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kessai_core::Money;
use kessai_core::capability::Capability;
use kessai_core::payment::{CaptureMode, Status};
use kessai_core::tax::Totals;
use kessai_provider::port::{
    Account, Authorize, BankRefund, BankRefunds, BrowserTokens, Call, Cancels, Captures, Doubt, Handle,
    InquiryError, Instrument, NextAction, Notification, NotificationRejected, Outcome, Provider,
    RawNotification, Refunds, Rejection, Tokens, Vault, View,
};
use kessai_provider::transport::{Method, Request, TransportFault};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

mod cards;

/// KOMOJU. Holds nothing: whose account, which key and which network come with each call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Komoju;

/// The version asked for when the account names none.
pub const API_VERSION: &str = "2025-01-28";

/// Everything in a path segment or query value that is not plainly itself.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// One request, before it has a URL and headers.
struct Ask<'a> {
    method: Method,
    /// Below `/api/v1`.
    path: String,
    /// The path as the timeline shows it, when it holds a token.
    shown: Option<&'static str>,
    body: Option<Value>,
    /// For POST: the same key and body are done once.
    idempotency: Option<String>,
    scenario: Option<&'a str>,
    /// A publishable key will do.
    publishable: bool,
    asked: Asked,
}

impl<'a> Ask<'a> {
    fn get(path: String) -> Self {
        Self {
            method: Method::Get,
            path,
            shown: None,
            body: None,
            idempotency: None,
            scenario: None,
            publishable: false,
            asked: Asked::Other,
        }
    }

    fn post(path: String, body: Value, key: &str, asked: Asked) -> Self {
        let idempotency = Some(key.to_owned());
        Self {
            method: Method::Post,
            body: Some(body),
            idempotency,
            asked,
            ..Self::get(path)
        }
    }

    fn scenario(self, scenario: Option<&'a str>) -> Self {
        Self { scenario, ..self }
    }
}

/// What came back, before anybody decided what it means.
struct Got {
    status: u16,
    body: Result<Value, Unreadable>,
}

async fn send(call: &Call, ask: &Ask<'_>) -> Result<Got, TransportFault> {
    let account = &*call.account;
    let key = match account.secret("secret_key") {
        "" if ask.publishable => account.secret("publishable_key"),
        key => key,
    };
    let version = account
        .settings
        .get("api_version")
        .map_or(API_VERSION, |version| version);
    let mut headers = vec![
        (
            "authorization".to_owned(),
            format!("Basic {}", STANDARD.encode(format!("{key}:"))),
        ),
        ("accept".to_owned(), "application/json".to_owned()),
        (
            "user-agent".to_owned(),
            concat!("kessai/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("x-komoju-api-version".to_owned(), version.to_owned()),
    ];
    if let Some(key) = &ask.idempotency {
        debug_assert!(
            key.len() <= 100 && key.is_ascii(),
            "KOMOJU takes keys of at most 100 ASCII characters"
        );
        headers.push(("x-komoju-idempotency".to_owned(), key.clone()));
    }
    if let (Some(scenario), false) = (ask.scenario, account.live) {
        headers.push(("komoju-scenario".to_owned(), scenario.to_owned()));
    }
    let body = match &ask.body {
        Some(body) => {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    let name = format!("{} {}", ask.method.as_str(), ask.shown.unwrap_or(&ask.path));
    let masked = ask.body.as_ref().map_or(Value::Null, mask::request);
    let url = format!("{}/api/v1{}", account.base_url, ask.path);
    let request = Request {
        method: ask.method,
        url,
        headers,
        body,
        timeout_ms: call.timeout_ms,
    };
    let reply = call.send(&name, masked, request).await?;
    let body = wire::parse(&reply.body);
    call.remember_reply(match &body {
        Ok(body) => mask::reply(body),
        Err(unreadable) => Value::String(unreadable.to_string()),
    });
    Ok(Got {
        status: reply.status,
        body,
    })
}

/// Sends, and hands out the body of a success; everything else ends the operation.
async fn ask(call: &Call, ask: Ask<'_>) -> Result<Value, Refusal> {
    let asked = ask.asked;
    let got = match send(call, &ask).await {
        Ok(got) => got,
        Err(TransportFault::NotSent(why)) => return Err(Refusal::NotSent(why)),
        Err(TransportFault::Lost(why)) if asked == Asked::Prepare => {
            return Err(Refusal::NotSent(format!("no session: {why}")));
        }
        Err(TransportFault::Lost(why)) => return Err(Refusal::Unknown(Doubt::Lost(why))),
    };
    let error = got.body.as_ref().ok().and_then(ErrorBody::find);
    match got.body {
        Ok(body) if (200..=299).contains(&got.status) && error.is_none() => Ok(body),
        Ok(_) => Err(map::refusal(got.status, error.as_ref(), asked)),
        Err(why) if (200..=299).contains(&got.status) && asked == Asked::Prepare => {
            Err(Refusal::NotSent(format!("no session: {why}")))
        }
        Err(why) if (200..=299).contains(&got.status) => Err(why.into()),
        Err(_) => Err(map::refusal(got.status, None, asked)),
    }
}

/// Asks without changing anything; `None` when KOMOJU says it knows no such thing.
async fn look(call: &Call, path: String) -> Result<Option<Value>, InquiryError> {
    let got = send(call, &Ask::get(path))
        .await
        .map_err(|fault| InquiryError::NoAnswer(fault.to_string()))?;
    let error = got.body.as_ref().ok().and_then(ErrorBody::find);
    let code = error.as_ref().and_then(|error| error.code.as_deref());
    match (got.status, got.body) {
        (200..=299, Ok(body)) if error.is_none() => Ok(Some(body)),
        (200..=299, Err(why)) => Err(InquiryError::Unreadable(why.0)),
        // Only KOMOJU's own word counts: a wrong address answers 404 as well.
        (404, Ok(_)) if code == Some("not_found") => Ok(None),
        (401 | 403, _) => Err(InquiryError::Refused(format!("HTTP {}", got.status))),
        (429 | 500.., _) => Err(InquiryError::NoAnswer(format!("HTTP {}", got.status))),
        (status, _) => Err(InquiryError::Unreadable(format!("HTTP {status}"))),
    }
}

/// The shopper's details of a method as KOMOJU wants them: an object, or a token as it is.
fn payment_details(
    method: &str,
    instrument: &Instrument,
    fields: &Map<String, Value>,
    email: Option<&str>,
) -> Value {
    let mut details = Map::new();
    match instrument {
        Instrument::Token(token) | Instrument::SecureToken(token) => return token.expose().into(),
        Instrument::Card(card) => {
            details.insert("number".into(), card.number.expose().into());
            details.insert("month".into(), card.month.into());
            details.insert("year".into(), card.year.into());
            if let Some(code) = &card.verification_value {
                details.insert("verification_value".into(), code.expose().into());
            }
            if let Some(name) = &card.name {
                details.insert("name".into(), (&**name).into());
            }
        }
        Instrument::Prepaid(secrets) => {
            details.extend(
                secrets
                    .iter()
                    .map(|(name, secret)| (name.to_string(), secret.expose().into())),
            );
        }
        // A stored card is named by `customer`, beside the details, never in them.
        Instrument::Stored(_) | Instrument::Fields => {}
    }
    for (name, value) in fields {
        details.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if let Some(email) = email {
        details.entry("email").or_insert_with(|| email.into());
    }
    details.insert("type".into(), method.into());
    details.into()
}

/// `{name: value}` for what is there.
fn given(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// What `POST /payments` is sent: everything explicit, so that no default of KOMOJU's decides about money.
fn payment_body(key: &str, request: &Authorize) -> Value {
    let totals = request.totals;
    let mut body = object(json!({
        "amount": totals.amount,
        "tax": totals.tax,
        "currency": totals.currency.code(),
        "capture": request.capture == CaptureMode::Auto,
        "external_order_num": key,
        "locale": &*request.locale,
    }));
    match &request.instrument {
        Instrument::Stored(customer) => _ = body.insert("customer".into(), customer.expose().into()),
        Instrument::Card(_)
        | Instrument::Token(_)
        | Instrument::SecureToken(_)
        | Instrument::Fields
        | Instrument::Prepaid(_) => {
            let details = payment_details(
                &request.method,
                &request.instrument,
                &request.fields,
                request.email.as_deref(),
            );
            body.insert("payment_details".into(), details);
        }
    }
    given(&mut body, "return_url", request.return_url.as_deref());
    given(&mut body, "cancel_url", request.cancel_url.as_deref());
    given(&mut body, "description", request.description.as_deref());
    given(&mut body, "fraud_details", request.fraud_details.clone());
    body.into()
}

/// What `POST /sessions` is sent. The fee of the method comes on top of `amount`; KOMOJU adds it.
fn session_body(key: &str, request: &Authorize) -> Value {
    let mut data = object(json!({"capture": request.capture.as_str(), "external_order_num": key}));
    given(
        &mut data,
        "name",
        request
            .fields
            .get("name")
            .filter(|name| name.is_string())
            .cloned(),
    );
    let mut body = object(json!({
        "amount": session_amount(request.totals).minor(),
        "currency": request.totals.currency.code(),
        "payment_types": [&*request.method],
        "default_locale": &*request.locale,
        "payment_data": data,
    }));
    given(&mut body, "return_url", request.return_url.as_deref());
    given(&mut body, "email", request.email.as_deref());
    given(&mut body, "fraud_details", request.fraud_details.clone());
    body.into()
}

/// A session's amount includes tax and excludes the method's fee.
fn session_amount(totals: Totals) -> Money {
    Money::new(totals.amount + totals.tax, totals.currency).expect("a part of a checked total")
}

async fn pay_directly(call: &Call, request: &Authorize) -> Result<Outcome<View>, Refusal> {
    let body = payment_body(&call.key, request);
    let asking = Ask::post("/payments".into(), body, &call.key, Asked::Pay);
    let body = ask(call, asking.scenario(request.scenario.as_deref())).await?;
    let view = map::view(&Payment::read(&body)?)?;
    Ok(map::authorized(view, &call.key, request.totals.total()))
}

async fn pay_in_session(call: &Call, request: &Authorize) -> Result<Outcome<View>, Refusal> {
    let asking = Ask::post(
        "/sessions".into(),
        session_body(&call.key, request),
        &format!("{}-s", call.key),
        Asked::Prepare,
    );
    let made = ask(call, asking.scenario(request.scenario.as_deref())).await?;
    let session = Session::read(&made).map_err(|why| Refusal::NotSent(format!("no session: {why}")))?;
    if session.amount != session_amount(request.totals) {
        return Err(Refusal::Rejected(Rejection {
            code: "unprocessable_entity".into(),
            message: "the session KOMOJU made asks for another amount".into(),
            param: Some("amount".into()),
            status: 200,
        }));
    }

    let details = payment_details(
        &request.method,
        &request.instrument,
        &request.fields,
        request.email.as_deref(),
    );
    let mut body = object(json!({"payment_details": details}));
    given(&mut body, "fraud_details", request.fraud_details.clone());
    let path = format!("/sessions/{}/pay", segment(&session.id));
    let asking = Ask::post(path, body.into(), &call.key, Asked::PaySession);
    let paid = ask(call, asking).await?;
    let result = PayResult::read(&paid)?;
    if !["pending", "completed"].contains(&result.status.as_str()) {
        return Err(Unreadable("pay.status is none we know".into()).into());
    }
    let next = if result.status == "pending" {
        map::next(&result, &request.method)
    } else {
        None
    };
    let mut view = match result.payment {
        Some(payment) => map::view(&payment)?,
        None if result.status == "pending" => unnamed(call, &session, request, next.clone()).await?,
        None => return Err(Unreadable("pay.payment is missing".into()).into()),
    };
    match &view.session {
        Some(theirs) if **theirs != *session.id => {
            return Err(Unreadable("the payment belongs to another session".into()).into());
        }
        Some(_) | None => view.session = Some(session.id.as_str().into()),
    }
    if view.status == Status::Pending {
        view.next = next.or(view.next);
    }
    Ok(map::authorized(view, &call.key, request.totals.total()))
}

/// The payment behind a pending pay that named none: the session may know it; otherwise it goes unnamed until the shopper is
/// back from 3-D Secure, and the inquiry finds it by session or key.
async fn unnamed(
    call: &Call,
    session: &Session,
    request: &Authorize,
    next: Option<NextAction>,
) -> Result<View, Refusal> {
    let looked = look(call, format!("/sessions/{}", segment(&session.id))).await;
    if let Ok(Some(body)) = looked
        && let Ok(Session {
            payment: Some(payment),
            ..
        }) = Session::read(&body)
    {
        return Ok(map::view(&payment)?);
    }
    Ok(map::empty_session(
        session,
        &call.key,
        request.totals.total(),
        next,
    )?)
}

#[async_trait]
impl Provider for Komoju {
    fn id(&self) -> &'static str {
        "komoju"
    }

    fn capabilities(&self) -> &'static [Capability] {
        capability::CAPABILITIES
    }

    async fn authorize(&self, call: &Call, request: &Authorize) -> Outcome<View> {
        // A customer's card cannot be used in a session: `pay` takes details and tokens only.
        let direct = !request.in_session || matches!(request.instrument, Instrument::Stored(_));
        let done = if direct {
            pay_directly(call, request).await
        } else {
            pay_in_session(call, request).await
        };
        done.unwrap_or_else(Refusal::outcome)
    }

    async fn inquire(&self, call: &Call, handle: &Handle) -> Result<Option<View>, InquiryError> {
        let unreadable = |why: Unreadable| InquiryError::Unreadable(why.0);
        if let Some(reference) = handle
            .reference
            .as_deref()
            .filter(|reference| !reference.is_empty())
        {
            let Some(body) = look(call, format!("/payments/{}", segment(reference))).await? else {
                return Ok(None);
            };
            let payment = Payment::read(&body).map_err(unreadable)?;
            if payment.id != reference {
                return Err(InquiryError::Unreadable("another payment came back".into()));
            }
            return map::view(&payment).map(Some).map_err(unreadable);
        }
        let mut session = None;
        if let Some(id) = &handle.session
            && let Some(body) = look(call, format!("/sessions/{}", segment(id))).await?
        {
            let found = Session::read(&body).map_err(unreadable)?;
            if found.id != **id {
                return Err(InquiryError::Unreadable("another session came back".into()));
            }
            if let Some(payment) = &found.payment {
                let mut view = map::view(payment).map_err(unreadable)?;
                view.session.get_or_insert_with(|| id.clone());
                return Ok(Some(view));
            }
            session = Some(found);
        }
        if let Some(view) = find_by_key(call, &handle.key).await? {
            return Ok(Some(view));
        }
        let empty = |session: Session| map::empty_session(&session, &handle.key, handle.totals.total(), None);
        session.map(empty).transpose().map_err(unreadable)
    }

    fn browser_tokens(&self, account: &Account) -> Option<BrowserTokens> {
        let publishable_key = account.secret("publishable_key");
        (!publishable_key.is_empty()).then(|| BrowserTokens {
            url: format!("{}/api/v1/tokens", account.base_url).into(),
            publishable_key: publishable_key.into(),
        })
    }

    fn read_notification(
        &self,
        account: &Account,
        raw: &RawNotification<'_>,
    ) -> Result<Notification, NotificationRejected> {
        webhook::read(account, raw)
    }

    fn captures(&self) -> Option<&dyn Captures> {
        Some(self)
    }

    fn cancels(&self) -> Option<&dyn Cancels> {
        Some(self)
    }

    fn refunds(&self) -> Option<&dyn Refunds> {
        Some(self)
    }

    fn tokens(&self) -> Option<&dyn Tokens> {
        Some(self)
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

/// The payment that stands under our key. Several may: those of one session share it.
async fn find_by_key(call: &Call, key: &str) -> Result<Option<View>, InquiryError> {
    let unreadable = |why: Unreadable| InquiryError::Unreadable(why.0);
    let path = format!("/payments?external_order_num={}&per_page=100", segment(key));
    let body = look(call, path)
        .await?
        .ok_or_else(|| InquiryError::Unreadable("HTTP 404".into()))?;
    let page = Page::read(&body).map_err(unreadable)?;
    let mut found = Vec::new();
    for item in &page.data {
        // The filter is KOMOJU's; that the number is exactly ours is for us to see.
        if item.get("external_order_num").and_then(Value::as_str) == Some(key) {
            found.push(
                Payment::read(item)
                    .and_then(|payment| map::view(&payment))
                    .map_err(unreadable)?,
            );
        }
    }
    let rank = |view: &View| match view.status {
        Status::Captured | Status::Refunded => 0,
        Status::Authorized => 1,
        Status::Pending => 2,
        Status::Cancelled | Status::Expired => 3,
        Status::Failed => 4,
    };
    if found.iter().filter(|view| rank(view) == 0).count() > 1 {
        return Err(InquiryError::Unreadable(
            "several charges stand under our key".into(),
        ));
    }
    // Stable: among equals the newest comes first.
    found.sort_by_key(rank);
    if found.is_empty() && page.more {
        return Err(InquiryError::Unreadable(
            "the list is longer than a page and our key is not on it".into(),
        ));
    }
    Ok(found.into_iter().next())
}

/// The payment an operation is about, or why it cannot be sent.
fn named(handle: &Handle) -> Result<&str, Refusal> {
    let missing = || Refusal::NotSent("the provider has not named the payment yet".into());
    handle
        .reference
        .as_deref()
        .filter(|reference| !reference.is_empty())
        .ok_or_else(missing)
}

async fn change(call: &Call, reference: &str, verb: &str, body: Value) -> Result<View, Refusal> {
    let path = format!("/payments/{}/{verb}", segment(reference));
    let body = ask(call, Ask::post(path, body, &call.key, Asked::Change)).await?;
    Ok(map::view(&Payment::read(&body)?)?)
}

#[async_trait]
impl Captures for Komoju {
    async fn capture(&self, call: &Call, handle: &Handle, totals: Totals) -> Outcome<View> {
        let sent = async {
            let reference = named(handle)?;
            let body = json!({"amount": totals.amount, "tax": totals.tax});
            let view = change(call, reference, "capture", body).await?;
            Ok(map::changed(view, reference, totals.total(), |view| {
                view.captured.is_some()
            }))
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }
}

#[async_trait]
impl Cancels for Komoju {
    async fn cancel(&self, call: &Call, handle: &Handle) -> Outcome<View> {
        let sent = async {
            let asked = handle.totals.total();
            if let (Err(_), Some(id)) = (named(handle), &handle.session) {
                return cancel_session(call, handle, id).await;
            }
            let reference = named(handle)?;
            let view = change(call, reference, "cancel", json!({})).await?;
            Ok(map::changed(view, reference, asked, |view| {
                view.status == Status::Cancelled
            }))
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }
}

/// Gives up a session in which no payment shows yet, so that none can come of it.
async fn cancel_session(call: &Call, handle: &Handle, id: &str) -> Result<Outcome<View>, Refusal> {
    let path = format!("/sessions/{}/cancel", segment(id));
    // A session that is closed already answers 422; only the inquiry knows which way it closed.
    let body = ask(call, Ask::post(path, json!({}), &call.key, Asked::PaySession)).await?;
    let session = Session::read(&body)?;
    let view = match &session.payment {
        Some(payment) => map::view(payment)?,
        None => map::empty_session(&session, &handle.key, handle.totals.total(), None)?,
    };
    let done = session.id == id && view.status == Status::Cancelled;
    let doubt = || {
        Outcome::Unknown(Doubt::Unreadable(
            "the session does not show that it is cancelled".into(),
        ))
    };
    Ok(if done { Outcome::Succeeded(view) } else { doubt() })
}

#[async_trait]
impl Refunds for Komoju {
    async fn refund(
        &self,
        call: &Call,
        handle: &Handle,
        amount: Money,
        description: Option<&str>,
    ) -> Outcome<View> {
        let sent = async {
            let reference = named(handle)?;
            let mut body = object(json!({"amount": amount.minor()}));
            given(&mut body, "description", description);
            let view = change(call, reference, "refund", body.into()).await?;
            // The newest is last, and under our key it is ours.
            let shows = |view: &View| view.refunds.iter().any(|(_, refunded)| *refunded == amount);
            Ok(map::changed(view, reference, amount, shows))
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }

    fn bank_refunds(&self) -> Option<&dyn BankRefunds> {
        Some(self)
    }
}

#[async_trait]
impl BankRefunds for Komoju {
    async fn request(&self, call: &Call, handle: &Handle, refund: &BankRefund) -> Outcome<View> {
        let sent = async {
            let reference = named(handle)?;
            let mut body = refund.fields.clone();
            if let Some(amount) = refund.amount {
                body.insert("amount".into(), amount.minor().into());
            }
            let path = format!("/payments/{}/refund_request", segment(reference));
            let asking = Ask::post(path, body.into(), &call.key, Asked::Change);
            // The SDKs know no body for this success, so only its status is believed and the payment is looked up.
            let got = match send(call, &asking).await {
                Ok(got) => got,
                Err(TransportFault::NotSent(why)) => return Err(Refusal::NotSent(why)),
                Err(TransportFault::Lost(why)) => return Err(Refusal::Unknown(Doubt::Lost(why))),
            };
            let error = got.body.as_ref().ok().and_then(ErrorBody::find);
            if !(200..=299).contains(&got.status) || error.is_some() {
                return Err(map::refusal(got.status, error.as_ref(), Asked::Change));
            }
            let unsure = |why: String| Refusal::Unknown(Doubt::Lost(why));
            match self.inquire(call, handle).await {
                Ok(Some(view)) => Ok(Outcome::Pending(view)),
                Ok(None) => Err(unsure("the payment cannot be found".into())),
                Err(why) => Err(unsure(why.to_string())),
            }
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }
}
