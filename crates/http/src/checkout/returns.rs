//! The ways back of a shopper. Every return is a hint to ask the provider; what the browser says decides nothing.
use super::{
    Asked, frame, is_slip, locale, or_refused, page, refused, see_other, shop_of_payment, shop_of_session,
};
use crate::app::{App, is_id};
use crate::shown::{method_detail, state_of};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use kessai_core::payment::Status;
use kessai_engine::model::Payment;
use kessai_engine::sessions::return_to;
use kessai_engine::{Problem, Shop};
use kessai_store::repo;
use kessai_web::shopper::{Cancelled, Completed, FrameReturn};

/// A shopper comes back from a bank's or a wallet's page, in our frame or beside it.
pub(super) async fn come_back(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let framed = headers
        .get("sec-fetch-dest")
        .is_some_and(|value| value == "iframe");
    let back = async {
        let shop = shop_of_session(&app, &id).await?;
        if framed {
            let (session, _) = app.engine.session(&shop, &id).await?;
            let locale = locale(&asked, Some(&session.body.locale), &headers);
            let onward = format!("/sessions/{id}/return");
            let frame = frame(&app, &shop, onward.clone());
            return Ok(page(StatusCode::OK, &FrameReturn { frame, onward }, locale));
        }
        Ok::<_, Problem>(see_other(&where_now(&app, &shop, &id).await?))
    };
    or_refused(back.await, &format!("/sessions/{id}"), &asked, &headers)
}

/// Asks the provider, then says where the shopper belongs.
async fn where_now(app: &App, shop: &Shop, id: &str) -> Result<String, Problem> {
    let page = format!("/sessions/{id}");
    let (session, payment) = app.engine.session(shop, id).await?;
    let payment = match payment {
        // A provider that does not answer now is asked again by the watch; the shopper waits on a page of ours.
        Some(payment) => match app.engine.refresh(shop, payment.id.as_str()).await {
            Ok(payment) => payment,
            Err(problem) if problem.status() >= 500 => payment,
            Err(problem) => return Err(problem),
        },
        // A notification was faster than the shopper: the session has let go of what failed, but they are owed the reason.
        None => match last_try(app, shop, id).await? {
            Some(payment) => payment,
            None => return Ok(page),
        },
    };
    let back = || match &session.body.return_url {
        Some(_) => return_to("", &session),
        None => page.clone(),
    };
    Ok(match payment.status() {
        _ if payment.body.state.in_flight().is_some() => page,
        Status::Captured | Status::Refunded => back(),
        Status::Authorized if is_slip(&payment) => format!("/instructions/{}", payment.id),
        Status::Authorized => back(),
        Status::Pending | Status::Cancelled => format!("{page}?error=abandoned&method={}", payment.method),
        Status::Expired => format!("{page}?error=abandoned"),
        Status::Failed => {
            // A card comes back here from the bank's check only, and an inquiry says that it failed but not why.
            let code = match payment.body.state.failure() {
                None | Some("other_error") if payment.method.as_ref() == "credit_card" => {
                    "three_d_secure_failed"
                }
                code => code.unwrap_or("other_error"),
            };
            format!("{page}?error={code}&method={}", payment.method)
        }
    })
}

/// The newest payment that was begun in a session.
pub(super) async fn last_try(app: &App, shop: &Shop, id: &str) -> Result<Option<Payment>, Problem> {
    let filter = repo::PaymentFilter {
        session: Some(id.into()),
        ..repo::PaymentFilter::default()
    };
    let rows = repo::payments(app.engine.store().as_ref(), &shop.id, &filter, 0, 1).await?;
    match rows.first() {
        Some(row) => app.engine.payment(shop, &row.id).await.map(Some),
        None => Ok(None),
    }
}

/// A shopper of a payment without a session comes back: the provider is asked, then the shop's page opens.
pub(super) async fn direct_return(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let back = async {
        let shop = shop_of_payment(&app, &id).await?;
        let payment = match app.engine.refresh(&shop, &id).await {
            Ok(payment) => payment,
            Err(problem) if problem.status() >= 500 => app.engine.payment(&shop, &id).await?,
            Err(problem) => return Err(problem),
        };
        let body = &payment.body;
        let given_up =
            asked.cancelled.is_some() && !matches!(payment.status(), Status::Captured | Status::Authorized);
        let url = if given_up {
            body.cancel_url.as_ref().or(body.return_url.as_ref())
        } else {
            body.return_url.as_ref()
        };
        if let Some(url) = url {
            return Ok(see_other(url));
        }
        let locale = locale(&asked, Some(&body.locale), &headers);
        let frame = frame(&app, &shop, format!("/payments/{id}/return"));
        let reference = id.clone();
        if given_up || !matches!(payment.status(), Status::Captured | Status::Authorized) {
            return Ok(page(
                StatusCode::OK,
                &Cancelled {
                    frame,
                    reference,
                    return_url: None,
                },
                locale,
            ));
        }
        let completed = Completed {
            frame,
            amount: payment.total().minor(),
            currency: body.totals.currency.code().into(),
            state: state_of(&payment),
            method: payment.method.to_string(),
            method_detail: method_detail(&payment),
            paid_at: body.captured_at.map(repo::instant),
            order_number: payment.order_number.as_ref().map(ToString::to_string),
            payment_id: reference,
            return_url: None,
        };
        Ok::<_, Problem>(page(StatusCode::OK, &completed, locale))
    };
    or_refused(back.await, &format!("/payments/{id}/return"), &asked, &headers)
}

/// A shopper comes back from the bank's check of a card that is not charged yet.
pub(super) async fn secure_token_return(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let found = if is_id(&id) {
        app.engine.secure_token_return(&id).await
    } else {
        Err(Problem::not_found())
    };
    match found {
        Ok(url) => see_other(&url),
        Err(problem) => refused(&problem, "/", locale(&asked, None, &headers)),
    }
}
