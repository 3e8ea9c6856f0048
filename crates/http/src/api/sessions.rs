//! Checkout sessions.
use super::{answered, refuse, refuse_as, scenario};
use crate::app::App;
use crate::auth::{Id, WithEither, WithSecret};
use crate::body::Asked;
use crate::fields::{Fields, TEXT_MOST};
use crate::openapi as schema;
use crate::problem::{Handled, Refused, Reply, json};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use kessai_core::session::{MAX_LIFE_S, SessionMode};
use kessai_engine::Problem;
use kessai_engine::sessions::{CreateSession, PaySession};
use serde_json::{Map, Value};

/// Make a session
///
/// One checkout: how much, by which methods, and where the shopper returns to. Send the shopper to `session_url`, or pay it yourself.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", request_body = schema::NewSession,
    responses((status = 200, description = "The session", body = schema::Session)))]
pub(crate) async fn create_session(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    headers: HeaderMap,
    asked: Asked,
) -> Handled {
    let scenario = scenario(&headers, &shop);
    let (key, read) = asked.read(|fields| read_session(fields, scenario?));
    match read {
        Ok(command) => answered(app.engine.create_session(&shop, key.as_ref(), command).await),
        Err(problem) => refuse(&app, &shop, key.as_ref(), problem).await,
    }
}

pub(crate) fn read_session(mut fields: Fields, scenario: Option<Box<str>>) -> Result<CreateSession, Problem> {
    let mode = fields.choice("mode", &["payment", "customer", "customer_payment"])?;
    let mode = mode.and_then(SessionMode::parse).unwrap_or(SessionMode::Payment);
    let mut data = fields.object("payment_data")?.unwrap_or_default();
    let amount = match fields.amount_or_zero("amount")? {
        Some(amount) => amount,
        None => data
            .amount_or_zero("amount")?
            .ok_or_else(|| Problem::missing("amount"))?,
    };
    let currency = match fields.currency()? {
        Some(currency) => currency,
        None => data.currency()?.ok_or_else(|| Problem::missing("currency"))?,
    };
    let (line_items, goods) = fields.line_items()?;
    Ok(CreateSession {
        mode,
        amount,
        currency,
        return_url: fields.return_url("return_url")?,
        locale: fields.locale("default_locale")?,
        methods: fields.texts("payment_types")?.unwrap_or_default(),
        email: fields.email()?,
        life_s: fields.integer("expires_in_seconds")?.unwrap_or(MAX_LIFE_S),
        external_customer_id: fields.text("external_customer_id", TEXT_MOST)?,
        line_items,
        goods,
        metadata: fields.metadata()?.unwrap_or_default(),
        capture: data
            .capture_mode()?
            .unwrap_or(kessai_core::payment::CaptureMode::Auto),
        order_number: data.text("external_order_num", TEXT_MOST)?,
        payment_data: rest_of(data)?,
        customer: fields.text("customer_id", TEXT_MOST)?,
        scenario,
    })
}

/// What is kept of `payment_data` besides what has its own place.
fn rest_of(mut data: Fields) -> Result<Map<String, Value>, Problem> {
    let mut kept = Map::new();
    for name in ["name", "name_kana", "mcc", "intent"] {
        if let Some(text) = data.text(name, TEXT_MOST)? {
            kept.insert(name.into(), Value::String(text.into()));
        }
    }
    let objects = [
        ("statement_descriptor", data.statement_descriptor()?),
        ("platform_details", data.passed_through("platform_details")?),
        ("billing_address", data.address("billing_address")?),
        ("shipping_address", data.address("shipping_address")?),
    ];
    kept.extend(
        objects
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?))),
    );
    Ok(kept)
}

/// Show a session
///
/// Ask here when the shopper is back at `return_url`; what the browser says is a hint only.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, description = "The session", body = schema::Session)))]
pub(crate) async fn show_session(
    State(app): State<App>,
    WithEither(shop): WithEither,
    Id(id): Id,
) -> Handled {
    Ok(app.engine.show_session(&shop, &id).await?.into())
}

/// A problem in the form that a failed pay answers with.
struct PayRefused(Problem);

impl IntoResponse for PayRefused {
    fn into_response(self) -> Response {
        let headers = Refused(self.0.clone()).into_response().headers().clone();
        let mut response = json(self.0.status(), self.0.pay_body());
        for (name, value) in &headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

/// Pay a session
///
/// A decline answers with the error's own HTTP status and `"status":"error"`; the same session may be paid again.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/pay", tag = "sessions", params(("id" = String, Path)),
    request_body = schema::PaySession,
    responses((status = 200, description = "What became of it", body = schema::PayResult)))]
pub(crate) async fn pay_session(
    State(app): State<App>,
    WithEither(shop): WithEither,
    Id(id): Id,
    asked: Asked,
) -> Response {
    let (key, read) = asked.read(read_pay);
    let paid: Result<Reply, Refused> = match read {
        Ok(command) => answered(app.engine.pay_session(&shop, &id, key.as_ref(), command).await),
        Err(problem) => match app.engine.show_session(&shop, &id).await {
            // Whose session it is not learns nothing about its request.
            Err(unknown) => Err(unknown.into()),
            Ok(_) => refuse_as(&app, &shop, key.as_ref(), Problem::pay_body, problem).await,
        },
    };
    match paid {
        Ok(reply) => reply.into_response(),
        Err(Refused(problem)) => PayRefused(problem).into_response(),
    }
}

pub(crate) fn read_pay(mut fields: Fields) -> Result<PaySession, Problem> {
    Ok(PaySession {
        source: fields
            .payment_details()?
            .ok_or_else(|| Problem::missing("payment_details"))?,
        capture: fields.capture_mode()?,
        fraud_details: fields.passed_through("fraud_details")?,
    })
}

/// Cancel a session
///
/// Also gives up its open payment at the provider, so that nothing can be paid afterwards.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/cancel", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, description = "The cancelled session", body = schema::Session)))]
pub(crate) async fn cancel_session(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    let (key, read) = asked.read(|_| Ok(()));
    match read {
        Ok(()) => answered(app.engine.cancel_session(&shop, &id, key.as_ref()).await),
        Err(problem) => refuse(&app, &shop, key.as_ref(), problem).await,
    }
}
