//! Where two books disagree, and how a person settled it.
use super::session::{Clerk, Posted};
use super::{Handled, page, rows, see_other};
use crate::app::{App, is_id};
use crate::auth::Id;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use kessai_engine::Problem;
use kessai_engine::office::Deed;
use kessai_engine::reconcile::{Run, RunStatus};
use kessai_store::repo::{ToldDiscrepancy, instant};
use kessai_web::office::{Discrepancies, DiscrepancyRow, RunRow, RunState, Settlement};
use kessai_web::{Locale, State as Shown, format};
use serde_json::{Value, json};

/// How many open ones are shown.
const OPEN_MOST: i64 = 200;
/// How many settled ones are shown below.
const SETTLED_MOST: i64 = 50;

/// `GET /shop/discrepancies`
pub(super) async fn show(State(app): State<App>, clerk: Clerk) -> Handled {
    let settled = clerk.query.get("state").is_some_and(|state| state == "settled");
    let most = if settled {
        (0, SETTLED_MOST)
    } else {
        (OPEN_MOST, 0)
    };
    let refused = |problem: Problem| clerk.refused(&problem);
    let found = app
        .engine
        .office_discrepancies(&clerk.shop, most.0, most.1)
        .await
        .map_err(refused)?;
    let runs = app.engine.runs(&clerk.shop, 1).await.map_err(refused)?;
    let now = app.engine.now();
    let shown = Discrepancies {
        shell: clerk.fresh_shell(&app).await?,
        settled,
        rows: found.iter().map(|told| row(told, clerk.locale)).collect(),
        more: found.len() >= usize::try_from(most.0 + most.1).unwrap_or(usize::MAX),
        runs: runs.iter().map(|run| run_row(run, now)).collect(),
        notice: clerk.notice(None),
    };
    Ok(page(StatusCode::OK, &shown, clerk.locale))
}

/// `POST /shop/discrepancies/reconcile`
pub(super) async fn reconcile(State(app): State<App>, posted: Posted) -> Handled {
    let clerk = &posted.clerk;
    let refused = |problem: Problem| clerk.refused(&problem);
    let begun = app
        .engine
        .reconcile_for_clerk(&clerk.shop)
        .await
        .map_err(refused)?;
    if begun > 0 {
        let deed = Deed {
            who: &clerk.session.user,
            what: "reconcile",
            subject: &clerk.shop.id,
            body: json!({"runs": begun}),
        };
        app.engine.note_deed(&clerk.shop, &deed).await.map_err(refused)?;
    }
    let key = if begun > 0 {
        "notice-reconciling"
    } else {
        "notice-reconciling-already"
    };
    Ok(see_other(&clerk.with_notice("/shop/discrepancies", key, 0)))
}

fn run_row(run: &Run, now: Timestamp) -> RunRow {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let found = run.found();
    let state = match run.status() {
        RunStatus::Done => RunState::Done,
        RunStatus::Partial => RunState::Partial,
        RunStatus::Running if !run.is_under_way(now) => RunState::Left,
        RunStatus::Running if run.is_held_up() => RunState::Held,
        RunStatus::Running => RunState::Running,
    };
    RunRow {
        provider: rows::provider(run.provider()),
        state,
        started_at: run.started_at(),
        ended_at: run.ended_at(),
        seen: count(run.seen()),
        total: count(run.total().unwrap_or_default()),
        compared: count(found.compared),
        agreed: count(found.agreed),
        settled: count(found.settled),
        raised: count(found.raised),
        standing: count(found.standing),
        waiting: count(found.waiting),
        unanswered: count(found.unanswered),
        trouble: run.trouble().map(Into::into),
    }
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

/// Who settled it, and the note.
pub(super) fn settlement(body: &Value) -> Option<(String, String)> {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
    Some((text("/settled/by")?, text("/settled/note")?))
}

/// Whether nobody settled it: the books agreed again.
pub(super) fn settled_itself(body: &Value) -> bool {
    body.pointer("/settled/itself").and_then(Value::as_bool) == Some(true)
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
        let money = |minor| format::money(minor, currency.unwrap_or("JPY"));
        let amount = amount.map(money).unwrap_or_default();
        let back = number("refunded")
            .map(|minor| format!(" ({} {})", locale.t("money-refunded"), money(minor)))
            .unwrap_or_default();
        Some(format!("{word} {amount}{back}").trim_end().to_owned())
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
        kind: told.row.kind.to_string(),
        payment_id: told
            .provider
            .as_ref()
            .map(|_| told.row.payment_id.to_string())
            .filter(|id| is_id(id)),
        provider: provider.map(|id| rows::provider(&id)).unwrap_or_default(),
        ours,
        theirs,
        found_at: instant(told.row.created_at),
        again_at: body.get("again_at").and_then(Value::as_i64).map(instant),
        earlier: earlier(&body, locale),
        settled: told.row.settled_at.map(|at| {
            let how = if settled_itself(&body) {
                Settlement::Agreed
            } else {
                let by = settlement(&body).map(|(by, note)| format!("{note} ({by})"));
                Settlement::Said(by.unwrap_or_default())
            };
            (instant(at), how)
        }),
    }
}

/// How it was settled before it was found again.
fn earlier(body: &Value, locale: Locale) -> Vec<String> {
    let list = body.get("earlier").and_then(Value::as_array);
    let told = |before: &Value| {
        let text = |name: &str| before.get(name).and_then(Value::as_str);
        if before.get("itself").and_then(Value::as_bool) == Some(true) {
            return Some(locale.t("discrepancy-agreed"));
        }
        Some(format!("{} ({})", text("note")?, text("by")?))
    };
    list.into_iter().flatten().filter_map(told).collect()
}
