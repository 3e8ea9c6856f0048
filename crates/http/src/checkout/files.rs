//! What pages are made of, and the API reference as a page.
use super::{Asked, locale, page};
use crate::app::App;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

pub(super) async fn asset(Path(file): Path<String>) -> Response {
    let Some((bytes, mime)) = kessai_web::asset(&format!("/assets/{file}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, mime),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, bytes.into_owned()).into_response()
}

pub(super) async fn mark(Path(file): Path<String>) -> Response {
    let slug = file.strip_suffix(".svg").unwrap_or(&file);
    if !slug
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    {
        return StatusCode::NOT_FOUND.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, kessai_web::mark_svg(slug)).into_response()
}

/// The API reference as a page.
pub(crate) async fn docs(State(app): State<App>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    let spec = serde_json::to_value(crate::openapi()).unwrap_or_default();
    let base_url = app.engine.settings().public_url.to_string();
    let view = kessai_web::api_docs::ApiDocs {
        spec,
        base_url,
        here: "/docs".into(),
        live: true,
    };
    page(StatusCode::OK, &view, locale(&asked, None, &headers))
}
