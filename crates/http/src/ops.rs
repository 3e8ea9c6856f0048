//! The doors of tools.
use crate::app::App;
use crate::openapi::openapi;
use crate::problem::{Refused, json};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use kessai_engine::Problem;
use std::sync::LazyLock;
use std::time::Duration;

/// How long the store may take to answer before we are not ready, in milliseconds.
const READY_WITHIN_MS: u64 = 2_000;

static SPEC: LazyLock<String> = LazyLock::new(|| openapi().to_json().expect("made of plain data"));

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(spec))
        .route("/docs", get(crate::checkout::files::docs))
}

fn of_type(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The process lives.
async fn alive() -> Response {
    json(200, r#"{"status":"ok"}"#.into())
}

/// The store answers, so requests can be sent here.
async fn ready(State(app): State<App>) -> Response {
    let asked = tokio::time::timeout(Duration::from_millis(READY_WITHIN_MS), app.engine.store().ping()).await;
    match asked {
        Ok(Ok(())) => json(200, r#"{"status":"ok"}"#.into()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store is not ready");
            json(503, r#"{"status":"unavailable","store":"failed"}"#.into())
        }
        Err(_) => {
            tracing::warn!("the store does not answer");
            json(503, r#"{"status":"unavailable","store":"silent"}"#.into())
        }
    }
}

async fn metrics(State(app): State<App>) -> Response {
    match &app.metrics {
        Some(text) => of_type("text/plain; version=0.0.4; charset=utf-8", text()),
        None => Refused(Problem::not_found()).into_response(),
    }
}

async fn spec() -> Response {
    of_type("application/json; charset=utf-8", SPEC.as_str())
}
