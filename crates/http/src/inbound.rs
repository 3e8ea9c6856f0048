//! Providers' notifications: stored raw, answered, processed afterwards.
use crate::app::{App, is_id};
use crate::body;
use crate::problem::Handled;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::post;
use http::HeaderMap;
use kessai_engine::Problem;

/// The most a notification may weigh, in bytes.
const MOST: usize = 256 * 1024;

pub(crate) fn router() -> Router<App> {
    Router::new().route("/inbound/{provider}/{shop}", post(take_in))
}

/// 200 means that it is on disk. What came before is told the same.
async fn take_in(
    State(app): State<App>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Handled {
    let Ok(Path((provider, shop))) = path else {
        return Err(Problem::not_found().into());
    };
    if !is_id(&provider) || !is_id(&shop) {
        return Err(Problem::not_found().into());
    }
    let raw = body::read(&headers, body, MOST, app.limits.body_read_ms).await?;
    // Names come in lower case; a value that is no text is none we could believe.
    let headers: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    app.engine.take_in(&shop, &provider, &headers, &raw).await?;
    Ok(String::from("{}").into())
}
