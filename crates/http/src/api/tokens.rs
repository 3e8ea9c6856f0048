//! One-time tokens.
use super::{answered, refuse};
use crate::app::App;
use crate::auth::WithEither;
use crate::body::Asked;
use crate::fields::Fields;
use crate::openapi as schema;
use crate::problem::Handled;
use axum::extract::State;
use kessai_engine::Problem;
use kessai_engine::payments::Source;
use serde_json::{Map, Value};

/// Make a token
///
/// Stands for payment details, once and for an hour, so that they need not pass through the shop's server.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = schema::NewToken,
    responses((status = 200, description = "The token", body = schema::Token)))]
pub(crate) async fn create_token(
    State(app): State<App>,
    WithEither(shop): WithEither,
    asked: Asked,
) -> Handled {
    let (key, read) = asked.read(read_token);
    match read {
        Ok(details) => answered(app.engine.create_token(&shop, key.as_ref(), details).await),
        Err(problem) => refuse(&app, &shop, key.as_ref(), problem).await,
    }
}

pub(crate) fn read_token(mut fields: Fields) -> Result<Map<String, Value>, Problem> {
    fields.currency()?;
    match fields.payment_details()? {
        Some(Source::Details(details)) => Ok(details),
        Some(Source::Token(_) | Source::Customer(_)) => Err(Problem::invalid(
            "payment_details",
            "payment_details must be an object",
        )),
        None => Err(Problem::missing("payment_details")),
    }
}
