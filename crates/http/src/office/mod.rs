//! The shop's back office, `/shop/*`: what a clerk uses all day. Pages come from `kessai_web::office`, decisions from the engine.
//!
//! Nobody gets in without a [`Login`]; every POST carries a token made for its session; acts that move money are posted twice, and the
//! second post holds a nonce that is bound to exactly what the first one showed.
mod acts;
mod csv;
mod deliveries;
mod detail;
mod discrepancies;
mod door;
pub(crate) mod list;
mod rows;
pub(crate) mod session;
mod timeline;
mod today;

pub use session::Login;
pub(crate) use session::Office;

use crate::app::App;
use crate::checkout;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use kessai_engine::Problem;
use kessai_web::{Locale, Page};

/// The clerk's doors.
pub(crate) fn router() -> Router<App> {
    let routes = [
        ("/shop", get(today::show)),
        ("/shop/login", get(door::ask).post(door::enter)),
        ("/shop/logout", post(door::leave)),
        ("/shop/payments", get(list::show)),
        ("/shop/payments.csv", get(list::csv)),
        ("/shop/payments/{id}", get(detail::show)),
        ("/shop/payments/{id}/capture", post(acts::capture)),
        ("/shop/payments/{id}/refund", post(acts::refund)),
        ("/shop/payments/{id}/cancel", post(acts::cancel)),
        ("/shop/payments/{id}/inquire", post(acts::inquire)),
        ("/shop/payments/{id}/note", post(acts::note)),
        ("/shop/deliveries", get(deliveries::show)),
        ("/shop/deliveries/replay", post(deliveries::replay_span)),
        ("/shop/deliveries/{id}/replay", post(deliveries::replay_one)),
        ("/shop/discrepancies", get(discrepancies::show)),
        ("/shop/discrepancies/reconcile", post(discrepancies::reconcile)),
        ("/shop/discrepancies/{id}/settle", post(discrepancies::settle)),
    ];
    let add = |router: Router<App>, (path, methods): (&str, MethodRouter<App>)| {
        router.route(path, methods.fallback(other_method))
    };
    routes
        .into_iter()
        .fold(Router::new(), add)
        .layer(from_fn(guarded))
}

/// Where no office is, not even the methods of a path are told.
async fn other_method(State(app): State<App>) -> Response {
    match &app.office {
        Some(_) => (
            StatusCode::METHOD_NOT_ALLOWED,
            [(ALLOW, HeaderValue::from_static("GET, POST"))],
        )
            .into_response(),
        None => nowhere(),
    }
}

/// No such page, as the whole hub says it.
fn nowhere() -> Response {
    crate::problem::Refused(Problem::not_found()).into_response()
}

/// What every answer of the office carries, and the language the reader chose, kept for the next page.
async fn guarded(request: Request, next: Next) -> Response {
    let query = session::pairs(request.uri().query().unwrap_or_default());
    let chosen = query.get("locale").and_then(|tag| Locale::from_tag(tag));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Some(locale) = chosen {
        let cookie = format!(
            "{}={}; Path=/shop; SameSite=Lax; Max-Age=31536000",
            session::LOCALE,
            locale.tag()
        );
        headers.append(SET_COOKIE, HeaderValue::from_str(&cookie).expect("plain ASCII"));
    }
    response
}

/// A page of the office.
fn page(status: StatusCode, page: &impl Page, locale: Locale) -> Response {
    checkout::page(status, page, locale)
}

/// Go there with GET.
fn see_other(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What is answered instead of what was asked for.
#[derive(Debug)]
pub(crate) struct Instead(Box<Response>);

impl From<Response> for Instead {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What a handler of the office gives.
type Handled = Result<Response, Instead>;

/// A problem as a page, with its code in small print.
fn refused(problem: &Problem, here: &str, locale: Locale) -> Instead {
    checkout::refused(problem, here, locale).into()
}

/// The form was not made for this session, or came from another site. Nothing was done.
fn forged(locale: Locale) -> Instead {
    let text = match locale {
        Locale::Ja => {
            "この画面は古くなったか、別のサイトから送られました。何も実行していません。前の画面に戻り、開き直してからもう一度お試しください。"
        }
        Locale::En => {
            "This form is too old or came from another site. Nothing was done. Go back, reload the page and try again."
        }
    };
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (CONTENT_LANGUAGE, HeaderValue::from_static(locale.tag())),
    ];
    Instead::from((StatusCode::FORBIDDEN, headers, text).into_response())
}
