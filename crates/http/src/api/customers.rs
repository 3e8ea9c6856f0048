//! Customers and the cards stored for them.
use super::{answered, refuse, scenario};
use crate::app::App;
use crate::auth::{Id, WithSecret};
use crate::body::{Asked, Query};
use crate::fields::Fields;
use crate::openapi as schema;
use crate::problem::Handled;
use axum::extract::State;
use http::HeaderMap;
use kessai_engine::Problem;
use kessai_engine::customers::ChangeCustomer;
use kessai_engine::model::Metadata;

/// Make a customer
///
/// With a card to store, or without.
#[utoipa::path(post, path = "/api/v1/customers", tag = "customers", request_body = schema::CustomerFields,
    responses((status = 200, description = "The customer", body = schema::Customer)))]
pub(crate) async fn create_customer(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    headers: HeaderMap,
    asked: Asked,
) -> Handled {
    let scenario = scenario(&headers, &shop);
    let (key, read) = asked.read(|fields| {
        Ok(ChangeCustomer {
            scenario: scenario?,
            ..read_customer(fields)?
        })
    });
    match read {
        Ok(command) => answered(app.engine.create_customer(&shop, key.as_ref(), command).await),
        Err(problem) => refuse(&app, &shop, key.as_ref(), problem).await,
    }
}

pub(crate) fn read_customer(mut fields: Fields) -> Result<ChangeCustomer, Problem> {
    let (named, noted) = (fields.has("email"), fields.has("metadata"));
    let email = fields.email()?;
    Ok(ChangeCustomer {
        email: named.then_some(email),
        source: fields.payment_details()?,
        currency: fields.currency()?,
        metadata: fields.metadata()?.or_else(|| noted.then(Metadata::new)),
        scenario: None,
    })
}

/// List customers
///
/// Newest first; deleted ones are not listed.
#[utoipa::path(get, path = "/api/v1/customers", tag = "customers",
    params(
        ("page" = Option<i64>, Query, minimum = 1), ("per_page" = Option<i64>, Query, minimum = 1, maximum = 100),
        ("start_time" = Option<String>, Query, description = "ISO 8601"),
        ("end_time" = Option<String>, Query, description = "ISO 8601")),
    responses((status = 200, description = "A page of customers", body = schema::CustomerList)))]
pub(crate) async fn list_customers(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Query(mut query): Query,
) -> Handled {
    let (page, per_page) = query.page()?;
    let span = query.span()?;
    Ok(app
        .engine
        .list_customers(&shop, span, page, per_page)
        .await?
        .into())
}

/// Show a customer
#[utoipa::path(get, path = "/api/v1/customers/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, description = "The customer", body = schema::Customer)))]
pub(crate) async fn show_customer(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
) -> Handled {
    Ok(app.engine.show_customer(&shop, &id).await?.into())
}

/// Change a customer
///
/// New payment details replace the stored card.
#[utoipa::path(patch, path = "/api/v1/customers/{id}", tag = "customers", params(("id" = String, Path)),
    request_body = schema::CustomerFields,
    responses((status = 200, description = "The customer", body = schema::Customer)))]
pub(crate) async fn update_customer(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    let (_, read) = asked.read(read_customer);
    answered(app.engine.update_customer(&shop, &id, read?).await)
}

/// Delete a customer
///
/// Erases the stored card here and at the provider; records of money stay.
#[utoipa::path(delete, path = "/api/v1/customers/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, description = "The customer as it was erased", body = schema::Customer)))]
pub(crate) async fn delete_customer(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
) -> Handled {
    answered(app.engine.delete_customer(&shop, &id).await)
}
