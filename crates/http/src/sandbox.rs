//! A sandbox behind HTTP, so that browsers, SDKs and hubs in other processes can walk it.
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use kessai_core::Clock;
use kessai_provider::sandbox::{Answer, Ask, Sandbox};
use kessai_provider::transport::{Method, Reply};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The most a request may weigh, in bytes.
const MOST: usize = 4 * 1024 * 1024;
/// The longest a reply is held back, in milliseconds.
const WAIT_MOST_MS: u64 = 60_000;

#[derive(Clone)]
struct Mounted {
    sandbox: Arc<dyn Sandbox>,
    clock: Arc<dyn Clock>,
}

/// Mounts a sandbox: every method and path is its own. Replies that it delays come late; connections that it breaks, break.
pub fn sandbox_router(sandbox: Arc<dyn Sandbox>, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(Mounted { sandbox, clock })
}

async fn answer(State(mounted): State<Mounted>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(method) = Method::parse(parts.method.as_str()) else {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    };
    let Ok(body) = Limited::new(body, MOST).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let path_and_query = parts
        .uri
        .path_and_query()
        .map_or("/", |given| given.as_str())
        .to_owned();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    let ask = Ask {
        method,
        path_and_query,
        headers,
        body: body.to_bytes(),
    };
    // Its books are a file: it may block.
    let answering = tokio::task::spawn_blocking(move || {
        let now = mounted.clock.now();
        mounted.sandbox.pass_time(now);
        mounted.sandbox.answer(&ask, now)
    });
    match answering.await {
        Ok(Answer::Reply { reply, after_ms }) => {
            if after_ms > 0 {
                tokio::time::sleep(Duration::from_millis(after_ms.min(WAIT_MOST_MS))).await;
            }
            written(reply)
        }
        Ok(Answer::Refused | Answer::Dropped) => broken_off(),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn written(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A response whose body fails before its first byte: hyper closes the connection without having written anything.
fn broken_off() -> Response {
    let broken = stream::iter([Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))]);
    Response::new(Body::from_stream(broken))
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
