//! `/api/v1`: KOMOJU's API and our extensions of it, one file per resource.
pub(crate) mod customers;
mod events;
pub(crate) mod extensions;
mod payment_methods;
pub(crate) mod payments;
pub(crate) mod secure_tokens;
pub(crate) mod sessions;
pub(crate) mod stock;
pub(crate) mod tokens;

pub(crate) mod docs {
    //! What the documentation is generated from: each handler's own description.
    pub(crate) use super::customers::*;
    pub(crate) use super::events::*;
    pub(crate) use super::extensions::*;
    pub(crate) use super::payment_methods::*;
    pub(crate) use super::payments::*;
    pub(crate) use super::secure_tokens::*;
    pub(crate) use super::sessions::*;
    pub(crate) use super::stock::*;
    pub(crate) use super::tokens::*;
}

use crate::app::App;
use crate::problem::{Handled, Refused, no_such_path};
use axum::Router;
use axum::routing::{MethodRouter, delete, get, patch, post};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use kessai_engine::problem::CODES;
use kessai_engine::{Answer, Halt, Idempotency, Problem, Shop};

/// The paths that browser code of other origins calls.
///
/// Source: docs/providers/komoju.md, "Transport".
pub const BROWSER_PATHS: [&str; 6] = [
    "/api/v1/sessions/{id}",
    "/api/v1/sessions/{id}/pay",
    "/api/v1/tokens",
    "/api/v1/secure_tokens",
    "/api/v1/secure_tokens/{id}",
    "/api/v1/payment_methods",
];

fn routes() -> Vec<(&'static str, &'static str, MethodRouter<App>)> {
    vec![
        ("POST", "/api/v1/sessions", post(sessions::create_session)),
        ("GET", "/api/v1/sessions/{id}", get(sessions::show_session)),
        ("POST", "/api/v1/sessions/{id}/pay", post(sessions::pay_session)),
        (
            "POST",
            "/api/v1/sessions/{id}/cancel",
            post(sessions::cancel_session),
        ),
        ("POST", "/api/v1/payments", post(payments::create_payment)),
        ("GET", "/api/v1/payments", get(payments::list_payments)),
        ("GET", "/api/v1/payments/{id}", get(payments::show_payment)),
        ("PATCH", "/api/v1/payments/{id}", patch(payments::update_payment)),
        (
            "POST",
            "/api/v1/payments/{id}/capture",
            post(payments::capture_payment),
        ),
        (
            "POST",
            "/api/v1/payments/{id}/cancel",
            post(payments::cancel_payment),
        ),
        (
            "POST",
            "/api/v1/payments/{id}/refund",
            post(payments::refund_payment),
        ),
        (
            "POST",
            "/api/v1/payments/{id}/refund_request",
            post(payments::request_refund),
        ),
        ("GET", "/api/v1/payments/{id}/timeline", get(extensions::timeline)),
        (
            "GET",
            "/api/v1/payment_methods",
            get(payment_methods::list_payment_methods),
        ),
        ("POST", "/api/v1/tokens", post(tokens::create_token)),
        (
            "POST",
            "/api/v1/secure_tokens",
            post(secure_tokens::create_secure_token),
        ),
        (
            "GET",
            "/api/v1/secure_tokens/{id}",
            get(secure_tokens::show_secure_token),
        ),
        ("POST", "/api/v1/customers", post(customers::create_customer)),
        ("GET", "/api/v1/customers", get(customers::list_customers)),
        ("GET", "/api/v1/customers/{id}", get(customers::show_customer)),
        (
            "PATCH",
            "/api/v1/customers/{id}",
            patch(customers::update_customer),
        ),
        (
            "DELETE",
            "/api/v1/customers/{id}",
            delete(customers::delete_customer),
        ),
        ("GET", "/api/v1/events", get(events::list_events)),
        ("GET", "/api/v1/events/{id}", get(events::show_event)),
        (
            "GET",
            "/api/v1/webhook_endpoints",
            get(extensions::list_endpoints),
        ),
        (
            "POST",
            "/api/v1/webhook_endpoints",
            post(extensions::create_endpoint),
        ),
        (
            "PATCH",
            "/api/v1/webhook_endpoints/{id}",
            patch(extensions::update_endpoint),
        ),
        (
            "DELETE",
            "/api/v1/webhook_endpoints/{id}",
            delete(extensions::delete_endpoint),
        ),
        (
            "GET",
            "/api/v1/webhook_deliveries",
            get(extensions::list_deliveries),
        ),
        (
            "POST",
            "/api/v1/webhook_deliveries/replay",
            post(extensions::replay_deliveries),
        ),
        (
            "POST",
            "/api/v1/webhook_deliveries/{event_id}/{endpoint_id}/replay",
            post(extensions::replay_delivery),
        ),
        ("GET", "/api/v1/capabilities", get(extensions::capabilities)),
        ("GET", "/api/v1/discrepancies", get(extensions::discrepancies)),
        ("GET", "/api/v1/stock", get(stock::list_stock)),
        ("GET", "/api/v1/stock/{sku}", get(stock::show_stock)),
        ("POST", "/api/v1/stock/{sku}", post(stock::change_stock)),
    ]
}

/// Method and path of everything served under `/api/v1`.
pub fn served() -> Vec<(&'static str, &'static str)> {
    routes()
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect()
}

pub(crate) fn router() -> Router<App> {
    let mut router = Router::new();
    for (_, path, handler) in routes() {
        router = router.route(path, handler);
    }
    for path in BROWSER_PATHS {
        router = router.route(path, axum::routing::options(preflight));
    }
    router.route("/api/v1", axum::routing::any(no_such_path))
}

/// Lets browser code of any origin read a response: the key decides, no cookie does.
pub(crate) fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

/// What a browser asks before it calls from another origin.
async fn preflight() -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, accept, komoju-via, x-komoju-api-version, x-komoju-idempotency",
        ),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (StatusCode::NO_CONTENT, headers)
}

/// Refuses what cannot be read, and keeps that answer under the request's idempotency key: the same key with another body is another
/// request, whatever the first one was answered.
async fn refuse(app: &App, shop: &Shop, key: Option<&Idempotency>, problem: Problem) -> Handled {
    refuse_as(app, shop, key, Problem::body, problem).await
}

async fn refuse_as(
    app: &App,
    shop: &Shop,
    key: Option<&Idempotency>,
    body: fn(&Problem) -> String,
    problem: Problem,
) -> Handled {
    let refused = std::future::ready(Err(Halt::Problem(problem)));
    Ok(app
        .engine
        .once_as(&shop.id, key, body, refused)
        .await
        .map_err(Refused)?
        .into())
}

fn answered(answer: Result<Answer, Problem>) -> Handled {
    Ok(answer?.into())
}

/// `Komoju-Scenario`: the code that everything shall fail with, for shops without real money.
///
/// Source: docs/providers/komoju.md, "Test mode".
fn scenario(headers: &HeaderMap, shop: &Shop) -> Result<Option<Box<str>>, Problem> {
    let Some(given) = headers.get("komoju-scenario").filter(|_| !shop.live) else {
        return Ok(None);
    };
    let known = CODES.iter().find(|code| code.name.as_bytes() == given.as_bytes());
    match known {
        Some(code) => Ok(Some(code.name.into())),
        None => Err(Problem::invalid(
            "Komoju-Scenario",
            "Komoju-Scenario must be an error code",
        )),
    }
}
