//! What the shop has to sell.
use super::{answered, refuse};
use crate::app::App;
use crate::auth::WithSecret;
use crate::body::{Asked, Query};
use crate::openapi as schema;
use crate::problem::{Handled, Refused};
use axum::extract::{FromRequestParts, Path, State};
use http::request::Parts;
use kessai_core::stock::{PIECES_MOST, SKU_MOST, is_sku};
use kessai_engine::Problem;

/// A stock-keeping unit in a path. What has not the shape of one is not found.
pub(crate) struct Sku(String);

impl FromRequestParts<App> for Sku {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(sku)) if is_sku(&sku) => Ok(Self(sku)),
            _ => Err(Problem::not_found().into()),
        }
    }
}

/// List stock
///
/// What the shop has of each thing, in the order of their names.
#[utoipa::path(get, path = "/api/v1/stock", tag = "stock",
    params(
        ("after" = Option<String>, Query, description = "Only things after this one: the `next` of the page before"),
        ("per_page" = Option<i64>, Query, minimum = 1, maximum = 100)),
    responses((status = 200, description = "A page", body = schema::StockList)))]
pub(crate) async fn list_stock(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Query(mut query): Query,
) -> Handled {
    let after = query.text("after", SKU_MOST)?.unwrap_or_default();
    let (_, per_page) = query.page()?;
    Ok(app.engine.list_stock(&shop, &after, per_page).await?.into())
}

/// Show the stock of one thing
#[utoipa::path(get, path = "/api/v1/stock/{sku}", tag = "stock", params(("sku" = String, Path)),
    responses((status = 200, description = "What there is", body = schema::Stock)))]
pub(crate) async fn show_stock(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Sku(sku): Sku,
) -> Handled {
    Ok(app.engine.show_stock(&shop, &sku).await?.into())
}

/// Put pieces into stock, or take free ones away
///
/// A thing is in stock from the first change on. Use an idempotency key: the same change asked for twice is made twice without one.
#[utoipa::path(post, path = "/api/v1/stock/{sku}", tag = "stock", params(("sku" = String, Path)),
    request_body = schema::StockChangeWish,
    responses((status = 200, description = "The change", body = schema::StockChange)))]
pub(crate) async fn change_stock(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Sku(sku): Sku,
    asked: Asked,
) -> Handled {
    let (key, read) = asked.read(|mut fields| {
        let change = fields
            .integer("change")?
            .ok_or_else(|| Problem::missing("change"))?;
        if change == 0 || change.checked_abs().is_none_or(|pieces| pieces > PIECES_MOST) {
            let text = format!("change must be from 1 to {PIECES_MOST} pieces, or as many less");
            return Err(Problem::invalid("change", text));
        }
        Ok(change)
    });
    match read {
        Ok(change) => answered(app.engine.change_stock(&shop, key.as_ref(), &sku, change).await),
        Err(problem) => refuse(&app, &shop, key.as_ref(), problem).await,
    }
}
