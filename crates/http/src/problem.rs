//! The engine's answers and problems as HTTP responses.
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use kessai_engine::{Answer, Problem};

/// An answer on its way out.
#[derive(Debug)]
pub struct Reply(pub Answer);

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self(answer)
    }
}

impl From<String> for Reply {
    fn from(body: String) -> Self {
        Self(Answer::ok(body))
    }
}

/// A problem on its way out, in the API's envelope.
#[derive(Debug)]
pub struct Refused(pub Problem);

impl<P: Into<Problem>> From<P> for Refused {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

/// What a handler of the API gives.
pub(crate) type Handled = Result<Reply, Refused>;

/// JSON that nobody may keep: it speaks of money and people.
pub(crate) fn json(status: u16, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        json(self.0.status, self.0.body)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let mut response = json(problem.status(), problem.body());
        match problem.status() {
            401 => {
                let scheme = HeaderValue::from_static("Basic realm=\"Kessai\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            }
            503 => {
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// No such path.
pub(crate) async fn no_such_path() -> Refused {
    Refused(Problem::not_found())
}

/// No such method on this path.
pub(crate) async fn no_such_method() -> Refused {
    Refused(Problem::new("method_not_allowed"))
}
