//! What a shop was told.
use crate::app::App;
use crate::auth::{Id, WithSecret};
use crate::body::Query;
use crate::openapi as schema;
use crate::problem::Handled;
use axum::extract::State;

/// List events
///
/// Newest first; the same JSON as webhooks carry.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(
        ("page" = Option<i64>, Query, minimum = 1), ("per_page" = Option<i64>, Query, minimum = 1, maximum = 100),
        ("start_time" = Option<String>, Query, description = "ISO 8601"),
        ("end_time" = Option<String>, Query, description = "ISO 8601")),
    responses((status = 200, description = "A page of events", body = schema::EventList)))]
pub(crate) async fn list_events(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Query(mut query): Query,
) -> Handled {
    let (page, per_page) = query.page()?;
    let span = query.span()?;
    Ok(app.engine.list_events(&shop, span, page, per_page).await?.into())
}

/// Show an event
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events", params(("id" = String, Path)),
    responses((status = 200, description = "The event", body = schema::Event)))]
pub(crate) async fn show_event(State(app): State<App>, WithSecret(shop): WithSecret, Id(id): Id) -> Handled {
    Ok(app.engine.show_event(&shop, &id).await?.into())
}
