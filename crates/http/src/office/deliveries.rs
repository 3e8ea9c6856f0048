//! Webhooks out: where they stand, and sending them again.
use super::list::{Leaf, ROWS, moment};
use super::session::{Clerk, Posted, clean, encoded};
use super::{Handled, page, refused, rows, see_other};
use crate::app::{App, is_id};
use axum::extract::{Path, State};
use http::StatusCode;
use kessai_engine::Problem;
use kessai_engine::office::Deed;
use kessai_store::repo::{DeliveryFilter as Filter, Place, Standing};
use kessai_web::DeliveryState;
use kessai_web::office::{Deliveries, DeliveryCounts, DeliveryFilter};
use serde_json::json;

/// `GET /shop/deliveries`
pub(super) async fn show(State(app): State<App>, clerk: Clerk) -> Handled {
    let problem = |problem: Problem| clerk.refused(&problem);
    let given = |name: &str| clean(clerk.query.get(name).map(String::as_str).unwrap_or_default(), 100);
    let state = DeliveryState::from_slug(&given("state"));
    let q = given("q");
    let is_kind = q.contains('.') || q == "ping";
    let narrowed = Filter {
        standing: state.map(|state| match state {
            DeliveryState::Queued => Standing::Queued,
            DeliveryState::Retrying => Standing::Retrying,
            DeliveryState::Delivered => Standing::Delivered,
            DeliveryState::Dead => Standing::Dead,
        }),
        kind: Some(q.as_str()).filter(|_| is_kind).map(Into::into),
        subject: Some(q.as_str())
            .filter(|q| !is_kind && !q.is_empty())
            .map(Into::into),
    };
    let engine = &app.engine;
    let leaf = Leaf::asked(&clerk.query, |place| split(place).is_some());
    let mut found = engine
        .office_deliveries(&clerk.shop, &narrowed, &leaf.place, ROWS + 1)
        .await
        .map_err(problem)?;
    let leaf = if leaf.is_short_top(found.len()) {
        found = engine
            .office_deliveries(&clerk.shop, &narrowed, &Place::Top, ROWS + 1)
            .await
            .map_err(problem)?;
        Leaf::top()
    } else {
        leaf
    };
    let slug = state.map(DeliveryState::slug).unwrap_or_default();
    let mut query = vec![];
    for (name, value) in [("state", slug), ("q", &q)] {
        if !value.is_empty() {
            query.push(format!("{name}={}", encoded(value)));
        }
    }
    let pager = leaf.turn(&mut found, "/shop/deliveries", &query.join("&"), |told| {
        format!("{}.{}", told.row.event_id, told.row.endpoint_id)
    });
    let counts = engine.office_delivery_tally(&clerk.shop).await.map_err(problem)?;
    let shown = Deliveries {
        shell: clerk.fresh_shell(&app).await?,
        filter: DeliveryFilter {
            state: slug.into(),
            q,
        },
        counts: DeliveryCounts {
            queued: counts.queued,
            retrying: counts.retrying,
            delivered: counts.delivered,
            dead: counts.dead,
        },
        rows: found
            .iter()
            .filter_map(|told| {
                let about_payment =
                    told.kind.starts_with("payment.") || told.kind.starts_with("refund_request.");
                rows::delivery_row(
                    &clerk.shop,
                    &told.row,
                    &told.kind,
                    about_payment.then_some(&told.subject),
                )
            })
            .collect(),
        pager,
        notice: clerk.notice(None),
    };
    Ok(page(StatusCode::OK, &shown, clerk.locale))
}

/// `event.endpoint`
fn split(id: &str) -> Option<(&str, &str)> {
    id.split_once('.')
        .filter(|(event, endpoint)| is_id(event) && is_id(endpoint))
}

/// `POST /shop/deliveries/{id}/replay`
pub(super) async fn replay_one(State(app): State<App>, Path(id): Path<String>, posted: Posted) -> Handled {
    let clerk = &posted.clerk;
    let Some((event, endpoint)) = split(&id) else {
        return Err(clerk.refused(&Problem::not_found()));
    };
    let key = match app.engine.replay_delivery(&clerk.shop, event, endpoint).await {
        Ok(()) => "notice-replayed",
        // It is being sent at this moment.
        Err(problem) if problem.status() == 409 => "notice-refused",
        Err(problem) => return Err(clerk.refused(&problem)),
    };
    if key == "notice-replayed" {
        let body = json!({"event": event, "endpoint": endpoint});
        let deed = Deed {
            who: &clerk.session.user,
            what: "replay",
            subject: event,
            body,
        };
        app.engine
            .note_deed(&clerk.shop, &deed)
            .await
            .map_err(|problem| clerk.refused(&problem))?;
    }
    let back = posted.from.as_deref().unwrap_or("/shop/deliveries");
    Ok(see_other(&clerk.with_notice(back, key, 1)))
}

/// `POST /shop/deliveries/replay`
pub(super) async fn replay_span(State(app): State<App>, posted: Posted) -> Handled {
    let clerk = &posted.clerk;
    let (from, to) = (posted.text("from", 30), posted.text("to", 30));
    let all = match posted.text("only", 10).as_str() {
        "all" => true,
        "dead" => false,
        _ => {
            return Ok(see_other(&clerk.with_notice(
                "/shop/deliveries",
                "notice-refused",
                0,
            )));
        }
    };
    let (Some(begin), Some(end)) = (moment(&from), moment(&to)) else {
        return Ok(see_other(&clerk.with_notice(
            "/shop/deliveries",
            "notice-refused",
            0,
        )));
    };
    if end < begin {
        return Ok(see_other(&clerk.with_notice(
            "/shop/deliveries",
            "notice-refused",
            0,
        )));
    }
    let replayed = if all {
        app.engine.replay_all(&clerk.shop, begin, end).await
    } else {
        app.engine.replay_dead(&clerk.shop, begin, end).await
    };
    let problem = |problem: Problem| refused(&problem, &clerk.here, clerk.locale);
    let count = i64::try_from(replayed.map_err(problem)?).unwrap_or(i64::MAX);
    let body = json!({"from": from, "to": to, "only": if all { "all" } else { "dead" }, "count": count});
    let deed = Deed {
        who: &clerk.session.user,
        what: "replay_span",
        subject: &clerk.shop.id,
        body,
    };
    app.engine.note_deed(&clerk.shop, &deed).await.map_err(problem)?;
    Ok(see_other(&clerk.with_notice(
        "/shop/deliveries",
        "notice-replayed",
        count,
    )))
}
