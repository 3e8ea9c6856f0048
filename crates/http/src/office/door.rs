//! Signing in and out.
use super::session::{Knock, LASTS_S, Posted, Tried, Visitor, clean, door_cookie, local, session_cookie};
use super::{Handled, page, refused, see_other};
use crate::app::App;
use axum::extract::State;
use axum::response::Response;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use kessai_core::id;
use kessai_engine::office::Deed;
use kessai_web::office::Login as LoginPage;
use serde_json::json;

/// `GET /shop/login`
pub(super) async fn ask(State(app): State<App>, visitor: Visitor) -> Handled {
    let next = visitor.query.get("next").filter(|next| local(next)).cloned();
    if visitor.session.is_some() {
        return Ok(see_other(next.as_deref().unwrap_or("/shop")));
    }
    let problem = visitor.had_session.then_some("login-ended");
    Ok(form(&app, &visitor, StatusCode::OK, problem, next, String::new()))
}

/// `POST /shop/login`
pub(super) async fn enter(State(app): State<App>, knock: Knock) -> Handled {
    let Knock {
        visitor,
        fields,
        genuine,
    } = knock;
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let next = Some(field("next")).filter(|next| local(next)).map(str::to_owned);
    let user = clean(field("email"), 255);
    if !genuine {
        let problem = Some("login-ended");
        return Ok(form(&app, &visitor, StatusCode::FORBIDDEN, problem, next, user));
    }
    match visitor
        .office
        .try_login(&user, field("password"), app.engine.now())
    {
        Tried::Right => {}
        Tried::Wrong => {
            return Ok(form(
                &app,
                &visitor,
                StatusCode::FORBIDDEN,
                Some("login-wrong"),
                next,
                user,
            ));
        }
        Tried::Locked => {
            let problem = Some("login-locked");
            let mut response = form(&app, &visitor, StatusCode::TOO_MANY_REQUESTS, problem, next, user);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("60"));
            return Ok(response);
        }
    }
    let deed = Deed {
        who: &user,
        what: "sign_in",
        subject: &visitor.shop.id,
        body: json!({}),
    };
    let noted = app.engine.note_deed(&visitor.shop, &deed).await;
    noted.map_err(|problem| refused(&problem, &visitor.here, visitor.locale))?;
    let session = visitor.office.begin(app.engine.now(), app.engine.entropy());
    let mut response = see_other(next.as_deref().unwrap_or("/shop"));
    add_cookie(&mut response, &session_cookie(&app, &session, LASTS_S));
    Ok(response)
}

/// `POST /shop/logout`
pub(super) async fn leave(State(app): State<App>, posted: Posted) -> Handled {
    posted.clerk.office.end(&posted.clerk.session, app.engine.now());
    let mut response = see_other("/shop/login");
    add_cookie(&mut response, &session_cookie(&app, "", 0));
    Ok(response)
}

fn form(
    app: &App,
    visitor: &Visitor,
    status: StatusCode,
    problem: Option<&str>,
    next: Option<String>,
    email: String,
) -> Response {
    let before = match &visitor.before {
        Some(before) => before.clone(),
        None => id::random_text(25, app.engine.entropy()),
    };
    let shown = LoginPage {
        live: visitor.shop.live,
        here: visitor.here.clone(),
        csrf: visitor.office.door_token(&before),
        email,
        next: next.unwrap_or_else(|| "/shop".into()),
        problem: problem.map(Into::into),
        hint: None,
    };
    let mut response = page(status, &shown, visitor.locale);
    add_cookie(&mut response, &door_cookie(app, &before));
    response
}

fn add_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}
