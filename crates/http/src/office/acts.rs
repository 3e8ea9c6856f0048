//! What a clerk does to a payment. Money moves in two steps: the first post shows what will be done, the second does it.
use super::session::{Clerk, Posted};
use super::{Handled, Instead, page, rows, see_other};
use crate::app::App;
use crate::auth::Id;
use axum::extract::State;
use http::StatusCode;
use kessai_core::{ActId, id};
use kessai_engine::Problem;
use kessai_engine::model::Payment;
use kessai_engine::office::{ClerkAct, Deed, Possible};
use kessai_web::office::{Act, ConfirmAct};
use serde_json::json;

/// How long a reason may be, in characters.
const REASON_MOST: usize = 200;
/// How long a note may be, in characters.
const NOTE_MOST: usize = 500;

/// `POST /shop/payments/{id}/capture`
pub(super) async fn capture(State(app): State<App>, Id(id): Id, posted: Posted) -> Handled {
    act(&app, &id, &posted, Act::Capture).await
}

/// `POST /shop/payments/{id}/refund`
pub(super) async fn refund(State(app): State<App>, Id(id): Id, posted: Posted) -> Handled {
    act(&app, &id, &posted, Act::Refund).await
}

/// `POST /shop/payments/{id}/cancel`
pub(super) async fn cancel(State(app): State<App>, Id(id): Id, posted: Posted) -> Handled {
    act(&app, &id, &posted, Act::Cancel).await
}

async fn act(app: &App, id: &str, posted: &Posted, act: Act) -> Handled {
    let clerk = &posted.clerk;
    let payment = payment(app, clerk, id).await?;
    let home = home(id);
    let reason = posted.text("reason", REASON_MOST);
    let amount = match act {
        Act::Capture | Act::Refund => posted.text("amount", 20).parse().unwrap_or(0),
        Act::Cancel => payment.total().minor(),
    };
    let amount_text = amount.to_string();
    let shown = [id, act.slug(), &amount_text, &reason];
    let confirmed = posted
        .fields
        .get("confirmed")
        .is_some_and(|confirmed| confirmed == "yes");
    let attempt = posted
        .fields
        .get("attempt")
        .map(String::as_str)
        .unwrap_or_default();
    match clerk.signed(attempt, &shown).filter(|_| confirmed) {
        Some(once) => {
            let asked = ClerkAct {
                once: once.into(),
                who: clerk.session.user.as_str().into(),
                operation: act.slug(),
                amount,
                reason: reason.into(),
            };
            let key = done(app, clerk, &payment, act, &asked).await?;
            Ok(see_other(&clerk.with_notice(&home, key, amount)))
        }
        None => {
            let possible = app.engine.possible(&payment);
            let Some(rest) = rest(&possible, act, amount) else {
                return Ok(see_other(&clerk.with_notice(&home, "notice-refused", amount)));
            };
            let nonce = ActId::new(app.engine.now(), app.engine.entropy());
            let confirm = ConfirmAct {
                shell: clerk.fresh_shell(app).await?,
                act,
                payment_id: id.into(),
                amount,
                currency: payment.body.totals.currency.code().into(),
                rest,
                order_number: payment.order_number.as_deref().map(Into::into),
                customer: rows::customer(&payment),
                method: payment.method.to_string(),
                method_detail: rows::detail(&payment, clerk.locale),
                attempt: clerk.sign(nonce.as_str(), &shown),
                reason,
            };
            Ok(page(StatusCode::OK, &confirm, clerk.locale))
        }
    }
}

/// Does it; which notice tells how it went.
async fn done(
    app: &App,
    clerk: &Clerk,
    payment: &Payment,
    act: Act,
    asked: &ClerkAct,
) -> Result<&'static str, Instead> {
    let answer = app.engine.act_for_clerk(&clerk.shop, payment, asked).await;
    match answer {
        Ok(answer) if answer.status == 202 => Ok("notice-unknown"),
        Ok(answer) if answer.status < 300 => Ok(match act {
            Act::Capture => "notice-captured",
            Act::Refund => "notice-refunded",
            Act::Cancel => "notice-cancelled",
        }),
        // Refused by us or by the provider; the timeline holds the code.
        Ok(_) => Ok("notice-refused"),
        Err(problem) => {
            tracing::warn!(payment = %payment.id, code = problem.code.name, "a clerk's act brought no answer");
            // Whether something is under way stands in the payment, not in the error.
            let now = self::payment(app, clerk, payment.id.as_str()).await?;
            let under_way = now.body.state.in_flight().is_some() || problem.status() >= 500;
            Ok(if under_way {
                "notice-unknown"
            } else {
                "notice-refused"
            })
        }
    }
}

/// What is left after an act; none when it cannot be done.
fn rest(possible: &Possible, act: Act, amount: i64) -> Option<i64> {
    let within = |most: Option<i64>, parts: bool| {
        let most = most?;
        let fits = (1..=most).contains(&amount) && (parts || amount == most);
        fits.then(|| most - amount)
    };
    match act {
        Act::Capture => within(possible.capture, possible.partial_capture),
        Act::Refund => within(possible.refund, possible.partial_refund),
        Act::Cancel => possible.cancel.then_some(0),
    }
}

/// `POST /shop/payments/{id}/inquire`
pub(super) async fn inquire(State(app): State<App>, Id(id): Id, posted: Posted) -> Handled {
    let clerk = &posted.clerk;
    let payment = payment(&app, clerk, &id).await?;
    let deed = Deed {
        who: &clerk.session.user,
        what: "inquire",
        subject: &id,
        body: json!({}),
    };
    app.engine
        .note_deed(&clerk.shop, &deed)
        .await
        .map_err(|problem| clerk.refused(&problem))?;
    let home = home(&id);
    match app.engine.refresh(&clerk.shop, &id).await {
        Ok(_) => Ok(see_other(&home)),
        // Nothing is lost: it is asked again by itself.
        Err(_) => Ok(see_other(&clerk.with_notice(
            &home,
            "notice-unknown",
            payment.total().minor(),
        ))),
    }
}

/// `POST /shop/payments/{id}/note`
pub(super) async fn note(State(app): State<App>, Id(id): Id, posted: Posted) -> Handled {
    let clerk = &posted.clerk;
    payment(&app, clerk, &id).await?;
    let note = posted.text("note", NOTE_MOST);
    if note.is_empty() {
        return Ok(see_other(&home(&id)));
    }
    let deed = Deed {
        who: &clerk.session.user,
        what: "note",
        subject: &id,
        body: json!({"reason": note}),
    };
    app.engine
        .note_deed(&clerk.shop, &deed)
        .await
        .map_err(|problem| clerk.refused(&problem))?;
    Ok(see_other(&clerk.with_notice(&home(&id), "notice-noted", 0)))
}

async fn payment(app: &App, clerk: &Clerk, id: &str) -> Result<Payment, Instead> {
    app.engine
        .payment(&clerk.shop, id)
        .await
        .map_err(|problem: Problem| clerk.refused(&problem))
}

fn home(id: &str) -> String {
    format!("/shop/payments/{id}")
}

const _: () = assert!(id::ID_LEN <= 64, "an act's id fits into an idempotency key");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_done_is_confirmed() {
        let possible = Possible {
            refund: Some(500),
            ..Possible::default()
        };
        assert_eq!(rest(&possible, Act::Refund, 500), Some(0));
        assert_eq!(rest(&possible, Act::Refund, 499), None, "the whole only");
        let parts = Possible {
            partial_refund: true,
            ..possible
        };
        assert_eq!(rest(&parts, Act::Refund, 200), Some(300));
        for (act, amount) in [
            (Act::Refund, 501),
            (Act::Refund, 0),
            (Act::Refund, -1),
            (Act::Capture, 1),
            (Act::Cancel, 1),
        ] {
            assert_eq!(rest(&parts, act, amount), None, "{act:?} {amount}");
        }
    }
}
