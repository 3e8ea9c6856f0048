//! One payment, whole.
use super::session::Clerk;
use super::{Handled, page, rows, timeline};
use crate::app::App;
use crate::auth::Id;
use crate::shown::state_of;
use axum::extract::State;
use http::StatusCode;
use kessai_engine::Problem;
use kessai_engine::model::Payment;
use kessai_store::repo;
use kessai_web::office::{Acts, Customer, DeliveryRow, MoneyBox, PaymentDetail, Reference};

/// How many deliveries stand beside the timeline; the list has them all.
const DELIVERIES: usize = 50;

/// `GET /shop/payments/{id}`
pub(super) async fn show(State(app): State<App>, Id(id): Id, clerk: Clerk) -> Handled {
    let problem = |problem: Problem| clerk.refused(&problem);
    let story = app.engine.story(&clerk.shop, &id).await.map_err(problem)?;
    let payment = &story.payment;
    let session = match &payment.session {
        Some(session) => {
            let found = repo::session(app.engine.store().as_ref(), &clerk.shop.id, session.as_str()).await;
            found.map_err(|error| problem(error.into()))?
        }
        None => None,
    };
    let opened = session.map(|row| repo::instant(row.created_at));
    let deliveries: Vec<DeliveryRow> = story
        .events
        .iter()
        .rev()
        .flat_map(|(event, deliveries)| {
            deliveries
                .iter()
                .filter_map(|row| rows::delivery_row(&clerk.shop, row, &event.kind, Some(&id)))
        })
        .take(DELIVERIES)
        .collect();
    let state = &payment.body.state;
    let currency = payment.body.totals.currency.code();
    let shown = PaymentDetail {
        shell: clerk.fresh_shell(&app).await?,
        id: id.clone(),
        state: state_of(payment),
        amount: payment.total().minor(),
        currency: currency.into(),
        method: payment.method.to_string(),
        method_detail: rows::detail(payment, clerk.locale),
        created_at: payment.created_at,
        deadline: payment.deadline_at,
        order_number: payment.order_number.as_deref().map(Into::into),
        description: payment.body.description.as_deref().map(Into::into),
        customer: payer(payment),
        money: MoneyBox {
            authorized: state.authorized().minor(),
            captured: state.captured().minor(),
            refunded: state.refunded().minor(),
            fee: payment.body.totals.fee,
        },
        references: references(payment),
        timeline: timeline::moments(&story, opened, &clerk.shop, clerk.locale),
        deliveries,
        acts: acts(&app, payment),
        notice: clerk.notice(Some(currency)),
    };
    Ok(page(StatusCode::OK, &shown, clerk.locale))
}

fn acts(app: &App, payment: &Payment) -> Acts {
    let possible = app.engine.possible(payment);
    Acts {
        capture: possible.capture,
        partial_capture: possible.partial_capture,
        refund: possible.refund,
        partial_refund: possible.partial_refund,
        cancel: possible.cancel,
        inquire: payment.status().is_open() || payment.body.state.in_flight().is_some(),
    }
}

fn payer(payment: &Payment) -> Option<Customer> {
    let (name, email, phone) = (
        rows::customer(payment),
        rows::field_of(payment, "email"),
        rows::field_of(payment, "phone"),
    );
    if name.is_none() && email.is_none() && phone.is_none() {
        return None;
    }
    // Without a name, the address is the best we have; it is not said twice.
    match name {
        Some(name) => Some(Customer { name, email, phone }),
        None => Some(Customer {
            name: "-".into(),
            email,
            phone,
        }),
    }
}

fn references(payment: &Payment) -> Vec<Reference> {
    let provider = rows::provider(&payment.provider);
    let theirs = [
        ("payment", &payment.reference),
        ("session", &payment.body.provider_session),
    ];
    let known = theirs
        .into_iter()
        .filter_map(|(what, value)| value.as_ref().map(|value| (what, value)));
    known
        .map(|(what, value)| Reference {
            label: format!("{provider} {what}"),
            value: value.to_string(),
        })
        .collect()
}
