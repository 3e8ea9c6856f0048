//! What a shop can be paid by.
use crate::app::App;
use crate::auth::WithEither;
use crate::openapi as schema;
use crate::problem::Handled;
use axum::extract::State;

/// List payment methods
///
/// One entry per method and currency, as a bare array.
#[utoipa::path(get, path = "/api/v1/payment_methods", tag = "payment methods",
    responses((status = 200, description = "The methods", body = Vec<schema::PaymentMethod>)))]
pub(crate) async fn list_payment_methods(State(app): State<App>, WithEither(shop): WithEither) -> Handled {
    Ok(app.engine.payment_methods(&shop).to_string().into())
}
