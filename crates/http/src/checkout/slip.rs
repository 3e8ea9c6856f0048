//! How to pay a slip, until the money is in.
use super::{Asked, changed, frame, locale, page, refused, shop_of_payment};
use crate::app::App;
use crate::shown::state_of;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use kessai_engine::Problem;
use kessai_engine::model::Payment;
use kessai_engine::sessions::return_to;
use kessai_web::instructions::{Instructions, Slip};
use serde_json::Value;

pub(super) async fn instructions(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let here = format!("/instructions/{id}");
    let shown = async {
        let shop = shop_of_payment(&app, &id).await?;
        let payment = app.engine.payment(&shop, &id).await?;
        let locale = locale(&asked, Some(&payment.body.locale), &headers);
        let Some(slip) = slip(&payment) else {
            return Err(Problem::not_found());
        };
        let session = match &payment.session {
            Some(session) => Some(app.engine.session(&shop, session.as_str()).await?.0),
            None => None,
        };
        let return_url = match &session {
            Some(session) => session.body.return_url.as_ref().map(|_| return_to("", session)),
            None => payment.body.return_url.as_ref().map(ToString::to_string),
        };
        let view = Instructions {
            frame: frame(&app, &shop, here.clone()),
            payment_id: id.clone(),
            amount: payment.total().minor(),
            currency: payment.body.totals.currency.code().into(),
            fee: payment.body.totals.fee,
            deadline: payment.deadline_at,
            state: state_of(&payment),
            slip,
            // No mail is sent by us, and whether the provider sends one is its affair.
            email: None,
            order_number: payment.order_number.as_ref().map(ToString::to_string),
            return_url,
            status_url: format!("/instructions/{id}/status"),
        };
        Ok(page(StatusCode::OK, &view, locale))
    };
    shown
        .await
        .unwrap_or_else(|problem| refused(&problem, &here, locale(&asked, None, &headers)))
}

fn slip(payment: &Payment) -> Option<Slip> {
    let text = |name: &str| {
        payment
            .body
            .details
            .get(name)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    let must = |name: &str| text(name).unwrap_or_default();
    match payment.method.as_ref() {
        "konbini" => {
            let receipt = text("receipt").or_else(|| text("confirmation_code"))?;
            let store = must("store");
            // Only its tills read the slip itself; the others' machines ask for the numbers.
            let barcode = (store == "seven-eleven")
                .then(|| kessai_web::code128_svg(&receipt, &receipt))
                .flatten();
            Some(Slip::Konbini {
                store,
                confirmation_code: text("confirmation_code").filter(|code| *code != receipt),
                receipt,
                barcode: barcode.map(kessai_web::Html::trusted),
            })
        }
        "bank_transfer" => Some(Slip::BankTransfer {
            bank: must("bank_name"),
            branch: must("account_branch_name"),
            branch_number: text("account_branch_number"),
            account_type: must("account_type"),
            account_number: text("account_number")?,
            account_name: must("account_name"),
        }),
        "pay_easy" => Some(Slip::PayEasy {
            bank_id: must("bank_id"),
            customer_id: text("customer_id")?,
            confirmation_id: must("confirmation_id"),
            payment_url: text("payment_url"),
        }),
        _ => None,
    }
}

pub(super) async fn payment_status(State(app): State<App>, Path(id): Path<String>) -> Response {
    let told = async {
        let shop = shop_of_payment(&app, &id).await?;
        let payment = app.engine.payment(&shop, &id).await?;
        Ok::<_, Problem>(changed(
            state_of(&payment).slug(),
            None,
            !payment.status().is_open(),
        ))
    };
    told.await
        .unwrap_or_else(|_| StatusCode::NOT_FOUND.into_response())
}
