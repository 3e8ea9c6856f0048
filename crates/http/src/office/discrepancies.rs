//! Where two books disagree, and how a person settled it.
use super::session::{Clerk, Posted};
use super::{Handled, page, rows, see_other};
use crate::app::{App, is_id};
use crate::auth::Id;
use axum::extract::State;
use http::StatusCode;
use kessai_engine::Problem;
use kessai_store::repo::{ToldDiscrepancy, instant};
use kessai_web::office::{Discrepancies, DiscrepancyRow};
use kessai_web::{Locale, State as Shown, format};
use serde_json::Value;

/// How many open ones are shown.
const OPEN_MOST: i64 = 200;
/// How many settled ones are shown below.
const SETTLED_MOST: i64 = 50;

/// `GET /shop/discrepancies`
pub(super) async fn show(State(app): State<App>, clerk: Clerk) -> Handled {
    let found = app
        .engine
        .office_discrepancies(&clerk.shop, OPEN_MOST, SETTLED_MOST)
        .await;
    let found = found.map_err(|problem| clerk.refused(&problem))?;
    let shown = Discrepancies {
        shell: clerk.fresh_shell(&app).await?,
        rows: found.iter().map(|told| row(told, clerk.locale)).collect(),
        notice: clerk.notice(None),
    };
    Ok(page(StatusCode::OK, &shown, clerk.locale))
}

/// `POST /shop/discrepancies/{id}/settle`
pub(super) async fn settle(State(app): State<App>, Id(id): Id, posted: Posted) -> Handled {
    let clerk = &posted.clerk;
    let note = posted.text("note", 500);
    if note.is_empty() {
        return Ok(see_other(&clerk.with_notice(
            "/shop/discrepancies",
            "notice-refused",
            0,
        )));
    }
    let settled = app
        .engine
        .settle_discrepancy(&clerk.shop, &id, &clerk.session.user, &note)
        .await;
    settled.map_err(|problem: Problem| clerk.refused(&problem))?;
    Ok(see_other(&clerk.with_notice(
        "/shop/discrepancies",
        "notice-settled",
        1,
    )))
}

/// The engine's kinds in the page's words.
fn kind(kind: &str) -> &'static str {
    match kind {
        "amount_mismatch" | "over_refund" => "amount",
        "late_authorization" | "late_capture" => "late_money",
        "unexpected_refund" | "closed_after_capture" => "state",
        "unknown_payment" => "missing_here",
        "unknown_at_provider" => "missing_there",
        _ => "other",
    }
}

/// Who settled it, and the note.
pub(super) fn settlement(body: &Value) -> Option<(String, String)> {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
    Some((text("/settled/by")?, text("/settled/note")?))
}

/// What each book says, as far as the finding tells.
pub(super) fn books(body: &Value, currency: Option<&str>, locale: Locale) -> (String, String) {
    let side = |name: &str| {
        let side = body.get(name)?;
        let number = |field: &str| {
            side.get(field)
                .and_then(Value::as_i64)
                .filter(|minor| *minor != 0)
        };
        let state = side.get("status").and_then(Value::as_str)?;
        let word = Shown::from_slug(state).map_or_else(|| state.to_owned(), |state| state.word(locale));
        let amount = number("captured").or_else(|| number("total"));
        let amount = amount
            .map(|minor| format::money(minor, currency.unwrap_or("JPY")))
            .unwrap_or_default();
        Some(format!("{word} {amount}").trim_end().to_owned())
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let ours = side("ours").or_else(|| body.get("attempt").map(|n| format!("#{n}")));
    let theirs = side("theirs")
        .or_else(|| text("last"))
        .or_else(|| text("reference"));
    (
        ours.unwrap_or_else(|| "-".into()),
        theirs.unwrap_or_else(|| "-".into()),
    )
}

fn row(told: &ToldDiscrepancy, locale: Locale) -> DiscrepancyRow {
    let body: Value = serde_json::from_str(&told.row.body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let (ours, theirs) = match told.row.kind.as_ref() {
        // What we know and they do not stands on our side.
        "unknown_at_provider" => (text("reference").unwrap_or_else(|| "-".into()), "-".into()),
        _ => books(&body, told.currency.as_deref(), locale),
    };
    let provider = told
        .provider
        .as_deref()
        .map(str::to_owned)
        .or_else(|| text("provider"));
    DiscrepancyRow {
        id: told.row.id.to_string(),
        kind: kind(&told.row.kind).into(),
        payment_id: told
            .provider
            .as_ref()
            .map(|_| told.row.payment_id.to_string())
            .filter(|id| is_id(id)),
        provider: provider.map(|id| rows::provider(&id)).unwrap_or_default(),
        ours,
        theirs,
        found_at: instant(told.row.created_at),
        settled: told.row.settled_at.map(|at| {
            let by = settlement(&body).map(|(by, note)| format!("{note} ({by})"));
            (instant(at), by.unwrap_or_default())
        }),
    }
}
