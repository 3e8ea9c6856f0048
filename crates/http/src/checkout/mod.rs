//! What a shopper's browser opens: the checkout of a session, the bank's check, slips, and the ways back. The browser decides nothing:
//! every return is a hint to ask the provider.
use crate::app::{App, is_id};
use crate::shown::{method_detail, state_of};
pub(crate) mod files;
mod offer;
mod returns;
mod slip;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use kessai_core::payment::{CaptureMode, Status};
use kessai_core::session::SessionStatus;
use kessai_engine::model::{Payment, Session};
use kessai_engine::payments::Source;
use kessai_engine::sessions::{PaySession, return_to};
use kessai_engine::{Problem, Shop};
use kessai_store::repo;
use kessai_web::shopper::{Cancelled, Completed, Expired, NotFound, Processing, ServerError, ThreeDSecure};
use kessai_web::{Frame, Locale, Page, State as Shown, render};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The shopper's doors.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/sessions/{id}", get(checkout))
        .route("/sessions/{id}/pay", post(pay))
        .route("/sessions/{id}/authenticate", get(authenticate))
        .route("/sessions/{id}/return", get(returns::come_back))
        .route("/sessions/{id}/status", get(session_status))
        .route("/instructions/{payment}", get(slip::instructions))
        .route("/instructions/{payment}/status", get(slip::payment_status))
        .route("/payments/{payment}/return", get(returns::direct_return))
        .route("/secure_tokens/{id}/return", get(returns::secure_token_return))
        .route("/assets/{*file}", get(files::asset))
        .route("/payment_methods/{file}", get(files::mark))
}

/// What a page's query may say. Texts from outside are only ever looked up.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Asked {
    locale: Option<String>,
    error: Option<String>,
    method: Option<String>,
    field: Option<String>,
    why: Option<String>,
    cancelled: Option<String>,
}

/// A page with the headers that every page of a shopper carries.
pub(crate) fn page(status: StatusCode, page: &impl Page, locale: Locale) -> Response {
    let mut response = (status, Html(render(page, locale))).into_response();
    protect(response.headers_mut(), &page.csp().header());
    response
        .headers_mut()
        .insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(locale.tag()));
    response
}

/// Nothing is kept, guessed, framed or told to others.
pub(crate) fn protect(headers: &mut HeaderMap, csp: &str) {
    if let Ok(value) = HeaderValue::from_str(csp) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    );
}

/// Sends a browser on. A shop's address may hold what a URL may not, as `完了` or a line break that was pasted along: it goes
/// out as a browser would write it.
pub(crate) fn see_other(url: &str) -> Response {
    let plain = url.bytes().all(|b| b.is_ascii_graphic());
    let written = (!plain).then(|| url::Url::parse(url).ok()).flatten();
    let url = written.as_ref().map_or(url, url::Url::as_str);
    let Ok(location) = HeaderValue::from_str(url) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn accepted(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
}

fn locale(asked: &Asked, default: Option<&str>, headers: &HeaderMap) -> Locale {
    Locale::negotiate(asked.locale.as_deref(), default, accepted(headers))
}

/// What was asked for, or the problem as a page.
fn or_refused(shown: Result<Response, Problem>, here: &str, asked: &Asked, headers: &HeaderMap) -> Response {
    shown.unwrap_or_else(|problem| refused(&problem, here, locale(asked, None, headers)))
}

/// A problem as a page. Only what was never there says so; the rest is ours to look into.
pub(crate) fn refused(problem: &Problem, here: &str, locale: Locale) -> Response {
    let here = here.to_owned();
    match problem.status() {
        404 => page(StatusCode::NOT_FOUND, &NotFound { live: true, here }, locale),
        status => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            page(
                status,
                &ServerError {
                    live: true,
                    here,
                    reference: problem.code.name.into(),
                },
                locale,
            )
        }
    }
}

async fn shop_of(app: &App, owner: Option<Box<str>>) -> Result<Arc<Shop>, Problem> {
    let owner = owner.ok_or_else(Problem::not_found)?;
    app.engine.shop(&owner).await?.ok_or_else(Problem::not_found)
}

async fn shop_of_session(app: &App, id: &str) -> Result<Arc<Shop>, Problem> {
    if !is_id(id) {
        return Err(Problem::not_found());
    }
    let owner = repo::session_owner(app.engine.store().as_ref(), id).await?;
    shop_of(app, owner).await
}

async fn shop_of_payment(app: &App, id: &str) -> Result<Arc<Shop>, Problem> {
    if !is_id(id) {
        return Err(Problem::not_found());
    }
    let owner = repo::payment_owner(app.engine.store().as_ref(), id).await?;
    shop_of(app, owner).await
}

fn frame(app: &App, shop: &Shop, here: String) -> Frame {
    Frame {
        shop_name: shop.name.clone().into(),
        live: shop.live,
        now: app.engine.now(),
        here,
    }
}

/// `/sessions/{id}` with what the page was asked to say, without the language.
fn here(session: &Session, asked: &Asked) -> String {
    let mut here = format!("/sessions/{}", session.id);
    let mut joint = '?';
    for (name, value) in [("error", &asked.error), ("method", &asked.method)] {
        if let Some(value) = value.as_deref().filter(|value| is_id(value)) {
            here.push_str(&format!("{joint}{name}={value}"));
            joint = '&';
        }
    }
    here
}

async fn checkout(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let shop = shop_of_session(&app, &id).await?;
        let (session, payment) = app.engine.session(&shop, &id).await?;
        Ok::<_, Problem>(show(&app, &shop, &session, payment.as_ref(), &asked, &headers))
    };
    or_refused(shown.await, &format!("/sessions/{id}"), &asked, &headers)
}

/// The page of a session as it now stands.
fn show(
    app: &App,
    shop: &Shop,
    session: &Session,
    payment: Option<&Payment>,
    asked: &Asked,
    headers: &HeaderMap,
) -> Response {
    let locale = locale(asked, Some(&session.body.locale), headers);
    let frame = frame(app, shop, here(session, asked));
    let reference = session.id.as_str().to_owned();
    let return_url = session.body.return_url.as_ref().map(|_| return_to("", session));
    let (amount, currency) = money(session);
    match session.status {
        SessionStatus::Cancelled => page(
            StatusCode::OK,
            &Cancelled {
                frame,
                reference,
                return_url,
            },
            locale,
        ),
        SessionStatus::Completed => match payment {
            Some(payment) if is_slip(payment) => see_other(&format!("/instructions/{}", payment.id)),
            payment => {
                let completed = Completed {
                    frame,
                    amount,
                    currency,
                    state: payment.map_or(Shown::Captured, state_of),
                    method: payment.map_or_else(|| "credit_card".into(), |p| p.method.to_string()),
                    method_detail: payment.and_then(method_detail),
                    paid_at: session.completed_at,
                    order_number: session.body.order_number.as_ref().map(ToString::to_string),
                    payment_id: payment.map_or(reference, |payment| payment.id.as_str().to_owned()),
                    return_url,
                };
                page(StatusCode::OK, &completed, locale)
            }
        },
        SessionStatus::Pending if session.expired(app.engine.now()) => page(
            StatusCode::OK,
            &Expired {
                frame,
                reference,
                return_url,
            },
            locale,
        ),
        SessionStatus::Pending => match payment {
            Some(payment) if payment.body.state.in_flight().is_some() => {
                let status_url = format!("/sessions/{}/status", session.id);
                let reference = payment.id.as_str().to_owned();
                page(
                    StatusCode::OK,
                    &Processing {
                        frame,
                        amount,
                        currency,
                        reference,
                        status_url,
                        return_url,
                    },
                    locale,
                )
            }
            _ => page(
                StatusCode::OK,
                &offer::offer(app, shop, session, payment, asked, frame, return_url),
                locale,
            ),
        },
    }
}

fn money(session: &Session) -> (i64, String) {
    (
        session.body.amount.minor(),
        session.body.amount.currency().code().to_owned(),
    )
}

fn is_slip(payment: &Payment) -> bool {
    payment.body.state.capture_mode() == CaptureMode::Auto
        && payment.body.details.contains_key("instructions_url")
        && payment.status() != Status::Failed
}

fn csrf(session: &str) -> String {
    format!("pay/{session}")
}

/// The fields a checkout form may post; everything else is left alone.
const FIELDS: [&str; 9] = [
    "store",
    "email",
    "phone",
    "name",
    "family_name",
    "given_name",
    "family_name_kana",
    "given_name_kana",
    "prepaid_number",
];

async fn pay(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let paid = async {
        let shop = shop_of_session(&app, &id).await?;
        Ok::<_, Problem>(pay_form(&app, &shop, &id, &body).await)
    };
    match paid.await {
        Ok(response) => response,
        Err(problem) => refused(
            &problem,
            &format!("/sessions/{id}"),
            locale(&asked, None, &headers),
        ),
    }
}

fn try_again(id: &str, code: &str, method: &str, field: Option<(&str, &str)>) -> Response {
    let mut url = format!("/sessions/{id}?error={code}");
    if is_id(method) {
        url.push_str(&format!("&method={method}"));
    }
    if let Some((field, why)) = field.filter(|(field, _)| is_id(field)) {
        url.push_str(&format!("&field={field}&why={why}"));
    }
    see_other(&url)
}

async fn pay_form(app: &App, shop: &Shop, id: &str, body: &[u8]) -> Response {
    if body.len() > 64 * 1024 {
        return try_again(id, "bad_request", "", None);
    }
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let text = |name: &str| form.get(name).map_or("", String::as_str).trim();
    let method = text("method");
    if !app.engine.proves(&csrf(id), text("csrf")) {
        return try_again(id, "form_expired", method, None);
    }
    // The form carries a number of its own: sent twice as it is, it is one attempt with one answer. A page that the browser
    // restored and that was filled in anew is another.
    let path = format!("/sessions/{id}/pay");
    let print = kessai_engine::vault::sha256(body);
    let attempt = format!("form-{}-{}", text("attempt"), hex::encode(&print[..8]));
    let Ok(key) = app.engine.idempotency(attempt.as_bytes(), "POST", &path, body) else {
        return try_again(id, "bad_request", method, None);
    };
    let token = text("token");
    let source = if !token.is_empty() {
        Source::Token(token.into())
    } else {
        let mut details = Map::new();
        details.insert("type".into(), method.into());
        for name in FIELDS {
            let value = text(name);
            if !value.is_empty() {
                details.insert(name.into(), value.into());
            }
        }
        Source::Details(details)
    };
    let command = PaySession {
        source,
        capture: None,
        fraud_details: None,
    };
    let answer = match app.engine.pay_session(shop, id, Some(&key), command).await {
        Ok(answer) => answer,
        Err(problem) => return fix(id, method, &problem),
    };
    let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if let Some(code) = said["error"]["code"].as_str() {
        let problem = Problem {
            param: said["error"]["param"]
                .as_str()
                .map(|param| param.to_owned().into()),
            ..Problem::new(code)
        };
        return fix(id, method, &problem);
    }
    let redirect = said["redirect_url"].as_str().unwrap_or_default();
    let framed = method == "credit_card"
        && said["status"] == "pending"
        && !redirect.starts_with(&format!("{}/", app.engine.settings().public_url));
    if framed {
        return see_other(&format!("/sessions/{id}/authenticate"));
    }
    see_other(redirect)
}

/// Back to the form, with the field that is to blame.
fn fix(id: &str, method: &str, problem: &Problem) -> Response {
    if problem.code.name == "unprocessable_entity" && problem.param.is_none() {
        // The session is closed: its page says how.
        return see_other(&format!("/sessions/{id}"));
    }
    let field = problem.param.as_deref().map(|param| {
        let why = match (problem.code.name, param) {
            ("missing_parameter", _) => "required",
            (_, known @ ("email" | "phone" | "store" | "number")) => known,
            (_, _) => "invalid",
        };
        (param, why)
    });
    try_again(id, problem.code.name, method, field)
}

async fn authenticate(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let shop = shop_of_session(&app, &id).await?;
        let (session, payment) = app.engine.session(&shop, &id).await?;
        let locale = locale(&asked, Some(&session.body.locale), &headers);
        let next = payment.as_ref().and_then(|payment| payment.body.next.clone());
        let (SessionStatus::Pending, Some(next)) = (session.status, next) else {
            return Ok(see_other(&format!("/sessions/{id}")));
        };
        if !next.frameable {
            return Ok(see_other(&next.redirect_url));
        }
        let (amount, currency) = money(&session);
        let frame = frame(&app, &shop, format!("/sessions/{id}/authenticate"));
        let url = next.redirect_url.into();
        Ok::<_, Problem>(page(
            StatusCode::OK,
            &ThreeDSecure {
                frame,
                session_id: id.clone(),
                amount,
                currency,
                url,
            },
            locale,
        ))
    };
    or_refused(shown.await, &format!("/sessions/{id}"), &asked, &headers)
}

fn changed(state: &str, redirect: Option<String>, terminal: bool) -> Response {
    let mut body = json!({"state": state});
    if let Some(redirect) = redirect {
        body["redirect"] = redirect.into();
    }
    if terminal {
        body["terminal"] = true.into();
    }
    let mut response = axum::Json(body).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn session_status(State(app): State<App>, Path(id): Path<String>) -> Response {
    let told = async {
        let shop = shop_of_session(&app, &id).await?;
        let (session, payment) = app.engine.session(&shop, &id).await?;
        let in_flight = payment
            .as_ref()
            .is_some_and(|payment| payment.body.state.in_flight().is_some());
        let redirect = match session.status {
            SessionStatus::Completed => Some(format!("/sessions/{id}/return")),
            SessionStatus::Cancelled => Some(format!("/sessions/{id}")),
            SessionStatus::Pending if !in_flight => Some(format!("/sessions/{id}/return")),
            SessionStatus::Pending => None,
        };
        let state = payment
            .as_ref()
            .map_or("pending", |payment| state_of(payment).slug());
        Ok::<_, Problem>(changed(state, redirect, session.status != SessionStatus::Pending))
    };
    told.await
        .unwrap_or_else(|_| StatusCode::NOT_FOUND.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shopper_returns_to_an_address_in_japanese_and_to_one_with_a_line_break() {
        for (url, location) in [
            ("https://shop.example/a?b=1#c", "https://shop.example/a?b=1#c"),
            ("/sessions/abc", "/sessions/abc"),
            (
                "https://shop.example/完了",
                "https://shop.example/%E5%AE%8C%E4%BA%86",
            ),
            ("https://shop.example/a\n", "https://shop.example/a"),
        ] {
            let response = see_other(url);
            assert_eq!(response.status(), StatusCode::SEE_OTHER, "{url:?}");
            assert_eq!(response.headers()[header::LOCATION], location);
        }
    }
}
