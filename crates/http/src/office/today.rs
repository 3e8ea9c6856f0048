//! 今日: what needs a person, above what happened.
use super::session::Clerk;
use super::{Handled, page, rows};
use crate::app::App;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use kessai_engine::Problem;
use kessai_engine::office::{Needs, day_of};
use kessai_store::repo::{DaySum, OfficeFilter, Place, Tally, instant};
use kessai_web::office::{DayTotal, Figure, Task, TaskKind, Today};

/// How many days the chart shows.
const DAYS: i32 = 7;
/// How many payments stand below it.
const RECENT: i64 = 10;

/// `GET /shop`
pub(super) async fn show(State(app): State<App>, clerk: Clerk) -> Handled {
    let problem = |problem: Problem| clerk.refused(&problem);
    let (engine, shop) = (&app.engine, &clerk.shop);
    let needs = engine.office_needs(shop).await.map_err(problem)?;
    let days = engine.office_days(shop, DAYS).await.map_err(problem)?;
    let waiting = engine.office_waiting(shop).await.map_err(problem)?;
    let recent = engine
        .office_payments(shop, &OfficeFilter::default(), &Place::Top, RECENT)
        .await
        .map_err(problem)?;
    let today = day_of(engine.now());
    let today = Today {
        shell: clerk.shell(&app, &needs),
        tasks: tasks(&needs),
        captured: figure(&days.captured, today),
        waiting: Figure {
            count: waiting.count,
            amount: waiting.amount,
        },
        refunded: figure(&days.refunded, today),
        days: days
            .days
            .iter()
            .map(|day| {
                let Figure { count, amount } = figure(&days.captured, *day);
                DayTotal {
                    day: noon(*day),
                    count,
                    amount,
                }
            })
            .collect(),
        recent: recent
            .iter()
            .map(|payment| rows::payment_row(payment, clerk.locale))
            .collect(),
    };
    Ok(page(StatusCode::OK, &today, clerk.locale))
}

fn figure(sums: &[DaySum], day: i64) -> Figure {
    let found = sums.iter().find(|sum| sum.day == day);
    found.map_or_else(Figure::default, |sum| Figure {
        count: sum.count,
        amount: sum.amount,
    })
}

/// Noon in Japan of a day since 1970.
fn noon(day: i64) -> Timestamp {
    Timestamp::from_second(day * 86_400 + 3 * 3_600).unwrap_or_default()
}

/// The gravest first; what there is none of is not said.
fn tasks(needs: &Needs) -> Vec<Task> {
    let dead = Tally {
        count: needs.deliveries.dead,
        amount: 0,
        oldest_us: needs.deliveries.oldest_dead_us,
    };
    let kinds = [
        (
            TaskKind::Discrepancy,
            needs.discrepancies,
            false,
            "/shop/discrepancies",
        ),
        (
            TaskKind::Unknown,
            needs.unknown,
            true,
            "/shop/payments?state=confirming",
        ),
        (
            TaskKind::DeadDeliveries,
            dead,
            false,
            "/shop/deliveries?state=dead",
        ),
        (
            TaskKind::ToCapture,
            needs.to_capture,
            true,
            "/shop/payments?state=authorized",
        ),
        (
            TaskKind::SlipsEnding,
            needs.slips_ending,
            true,
            "/shop/payments?state=awaiting_payment",
        ),
    ];
    let some = kinds.into_iter().filter(|(_, tally, ..)| tally.count > 0);
    some.map(|(kind, tally, has_amount, href)| Task {
        kind,
        count: tally.count,
        amount: has_amount.then_some(tally.amount),
        oldest_at: tally.oldest_us.map(instant),
        href: href.into(),
    })
    .collect()
}
