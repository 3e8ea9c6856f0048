//! What the handlers share, and what happens to every request on its way in and out.
use crate::office::{Login, Office};
use crate::problem::{Refused, no_such_method, no_such_path};
use crate::{api, inbound, ops, timing};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method};
use kessai_engine::{Engine, Problem};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::Instrument;

/// Writes the metrics down in Prometheus' text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// How much the doors take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a whole request body may take to arrive, in milliseconds.
    pub body_read_ms: u64,
    /// How many requests that change something may be under way; more are answered 503.
    pub at_once: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_read_ms: 20_000,
            at_once: 16_384,
        }
    }
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The hub.
    pub engine: Arc<Engine>,
    /// What `/metrics` shows; 404 when there is none.
    pub metrics: Option<MetricsText>,
    /// How much the doors take.
    pub limits: Limits,
    /// The shop's back office; 404 when there is none.
    pub(crate) office: Option<Arc<Office>>,
    running: Arc<Semaphore>,
}

impl App {
    /// The doors of this hub.
    pub fn new(engine: Arc<Engine>, limits: Limits) -> Self {
        let running = Arc::new(Semaphore::new(limits.at_once as usize));
        Self {
            engine,
            metrics: None,
            office: None,
            limits,
            running,
        }
    }

    /// With metrics to show.
    #[must_use]
    pub fn with_metrics(self, metrics: MetricsText) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// With a back office at `/shop`, which this login opens.
    #[must_use]
    pub fn with_office(self, login: Login) -> Self {
        let office = Office::new(login, self.engine.entropy());
        Self {
            office: Some(Arc::new(office)),
            ..self
        }
    }

    /// Waits until nothing is under way and lets nothing more begin: for a clean end.
    pub async fn drain(&self) {
        let all = self.running.acquire_many(self.limits.at_once).await;
        drop(all);
        self.running.close();
    }
}

/// All doors. Pages are merged in by [`Router::merge`] before the layer, so that every request is observed.
pub fn router(app: App) -> Router {
    observed(
        api::router()
            .merge(inbound::router())
            .merge(ops::router())
            .merge(crate::checkout::router())
            .merge(crate::office::router()),
        app,
    )
}

/// Puts the doors behind [`observe`], with the API's envelope for paths and methods that are not there.
pub(crate) fn observed(router: Router<App>, app: App) -> Router {
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Gives a request its id, span, log line and place in the metrics; answers panics; finishes what was begun.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = timing::stopwatch();
    let id = kessai_core::id::new_text(app.engine.now(), app.engine.entropy());
    let method = label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        id,
        method,
        route,
        payment = tracing::field::Empty,
        session = tracing::field::Empty
    );
    if let Some((field, subject)) = subject(route, request.uri().path()) {
        span.record(field, subject);
    }
    let browser = api::BROWSER_PATHS.contains(&route);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let (mut response, asked) = if changes {
        to_the_end(&app, request, next, span.clone()).await
    } else {
        let answering = AssertUnwindSafe(timing::told(next.run(request))).catch_unwind();
        answering
            .instrument(span.clone())
            .await
            .unwrap_or_else(|_| (broken(&span), Duration::ZERO))
    };
    if browser {
        api::allow_any_origin(response.headers_mut());
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let took = began.elapsed();
    if let Some(timing) = timing::header(took, asked) {
        response.headers_mut().insert(SERVER_TIMING, timing);
    }
    let status = response.status();
    count(route, method, status.as_u16(), took);
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    tracing::info!(parent: &span, status = status.as_u16(), duration_us, "answered");
    response
}

/// Runs a command in a task of its own: a caller who hangs up does not cut it between asking a provider and writing down the answer.
async fn to_the_end(app: &App, request: Request, next: Next, span: tracing::Span) -> (Response, Duration) {
    let Ok(place) = app.running.clone().try_acquire_owned() else {
        let refused = Refused(Problem::with(
            "service_unavailable",
            "The server is busy. Nothing was done; try again.",
        ));
        return (refused.into_response(), Duration::ZERO);
    };
    let command = async move {
        let told = timing::told(next.run(request)).await;
        drop(place);
        told
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a caller who hangs up must not cut a payment in the middle"
    )]
    let task = tokio::spawn(command.instrument(span.clone()));
    task.await.unwrap_or_else(|_| (broken(&span), Duration::ZERO))
}

fn broken(span: &tracing::Span) -> Response {
    tracing::error!(parent: span, "a handler panicked");
    metrics::counter!("kessai_http_panics_total").increment(1);
    Refused(Problem::new("internal_server_error")).into_response()
}

fn count(route: &str, method: &'static str, status: u16, took: Duration) {
    let route = route.to_owned();
    let status = status.to_string();
    metrics::counter!("kessai_http_requests_total", "route" => route.clone(), "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!("kessai_http_request_duration_seconds", "route" => route, "method" => method)
        .record(took);
}

/// The methods we know by name; a caller cannot make up a label.
fn label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The payment or session a request is about, when its path names one in the shape of an id.
fn subject<'a>(route: &str, path: &'a str) -> Option<(&'static str, &'a str)> {
    const ABOUT: [(&str, &str, &str); 4] = [
        ("/api/v1/payments/{", "/api/v1/payments/", "payment"),
        ("/api/v1/sessions/{", "/api/v1/sessions/", "session"),
        ("/sessions/{", "/sessions/", "session"),
        ("/instructions/{", "/instructions/", "payment"),
    ];
    let (_, before, field) = ABOUT.into_iter().find(|(prefix, ..)| route.starts_with(prefix))?;
    let id = path.strip_prefix(before)?.split('/').next()?;
    is_id(id).then_some((field, id))
}

/// Whether a text has the shape of an id; everything else is not found, without asking the store.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_names_a_subject_only_when_it_looks_like_an_id() {
        assert_eq!(
            subject("/api/v1/payments/{id}/capture", "/api/v1/payments/abc/capture"),
            Some(("payment", "abc"))
        );
        assert_eq!(
            subject("/api/v1/sessions/{id}", "/api/v1/sessions/abc"),
            Some(("session", "abc"))
        );
        assert_eq!(
            subject("/api/v1/payments/{id}", "/api/v1/payments/%0aforged"),
            None
        );
        assert_eq!(subject("/api/v1/payments", "/api/v1/payments"), None);
    }
}
