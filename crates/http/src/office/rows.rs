//! The engine's things as rows of the office's pages.
use crate::shown::{method_detail, state_of};
use kessai_engine::Shop;
use kessai_engine::model::Payment;
use kessai_engine::office::Standing;
use kessai_engine::outbox::{DeliveryBody, Try};
use kessai_store::repo::{DeliveryRow as Delivery, instant};
use kessai_web::office::{DeliveryRow, PaymentRow};
use kessai_web::{DeliveryState, Locale, State, format};
use serde_json::Value;

/// What a state in a filter narrows to.
pub(super) fn standing(state: State) -> Option<Standing> {
    Some(match state {
        State::Pending => Standing::Pending,
        State::Authorized => Standing::Authorized,
        State::AwaitingPayment => Standing::AwaitingPayment,
        State::Confirming => Standing::Confirming,
        State::Captured => Standing::Captured,
        State::PartlyRefunded => Standing::PartlyRefunded,
        State::Refunded => Standing::Refunded,
        State::Cancelled => Standing::Cancelled,
        State::Expired => Standing::Expired,
        State::Failed => Standing::Failed,
        State::OrderUnconfirmed | State::AwaitingCapture | State::Shipped | State::Discrepancy => {
            return None;
        }
    })
}

pub(super) fn payment_row(payment: &Payment, locale: Locale) -> PaymentRow {
    PaymentRow {
        id: payment.id.as_str().into(),
        created_at: payment.created_at,
        state: state_of(payment),
        order_number: payment.order_number.as_deref().map(Into::into),
        customer: customer(payment),
        method: payment.method.to_string(),
        method_detail: detail(payment, locale),
        amount: payment.total().minor(),
        currency: payment.body.totals.currency.code().into(),
        refunded: payment.body.state.refunded().minor(),
    }
}

/// The payer's name: family name first, as Japan writes it.
pub(super) fn customer(payment: &Payment) -> Option<String> {
    if let Some((family, given)) = &payment.body.customer_names {
        let names: Vec<&str> = [family, given]
            .into_iter()
            .filter_map(|name| name.as_deref())
            .collect();
        if !names.is_empty() {
            return Some(names.join(" "));
        }
    }
    ["name", "customer_name"]
        .into_iter()
        .find_map(|field| field_of(payment, field))
}

/// A public detail of a payment.
pub(super) fn field_of(payment: &Payment, name: &str) -> Option<String> {
    payment
        .body
        .details
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(Into::into)
}

/// `Visa •••• 1111`, or the konbini chain.
pub(super) fn detail(payment: &Payment, locale: Locale) -> Option<String> {
    method_detail(payment).or_else(|| {
        let store = field_of(payment, "store")?;
        let key = format!("store-{store}");
        Some(if locale.has(&key) {
            locale.t(&key).replace('\u{200b}', "")
        } else {
            store
        })
    })
}

/// A provider's name as people know it.
pub(super) fn provider(id: &str) -> String {
    id.to_uppercase()
}

/// Where a delivery stands; none for one that nobody wants any more.
pub(super) fn delivery_state(row: &Delivery) -> Option<DeliveryState> {
    match (row.status.as_ref(), row.tries) {
        ("delivered", _) => Some(DeliveryState::Delivered),
        ("dead", _) => Some(DeliveryState::Dead),
        ("pending", 0) => Some(DeliveryState::Queued),
        ("pending", _) => Some(DeliveryState::Retrying),
        _ => None,
    }
}

/// What a try met.
pub(super) fn answer_of(tried: &Try) -> Option<String> {
    match (tried.status, &tried.error) {
        (Some(status), _) => Some(status.to_string()),
        (None, Some(error)) => Some(error.chars().take(120).collect()),
        (None, None) => None,
    }
}

/// The address of an endpoint; its id once it was removed.
pub(super) fn url_of(shop: &Shop, endpoint: &str) -> String {
    let known = shop.endpoints.iter().find(|known| known.id.as_ref() == endpoint);
    known.map_or_else(|| endpoint.to_owned(), |known| known.url.to_string())
}

/// A delivery in a list; its number there is `event.endpoint`.
pub(super) fn delivery_row(
    shop: &Shop,
    row: &Delivery,
    kind: &str,
    payment: Option<&str>,
) -> Option<DeliveryRow> {
    let state = delivery_state(row)?;
    let body: DeliveryBody = serde_json::from_str(&row.body).unwrap_or_default();
    let tried = row.tries > 0;
    let last = body.tries.last().and_then(answer_of);
    let status = row.last_status.map(|status| status.to_string());
    Some(DeliveryRow {
        id: format!("{}.{}", row.event_id, row.endpoint_id),
        event: kind.into(),
        payment_id: payment.map(Into::into),
        url: url_of(shop, &row.endpoint_id),
        state,
        tries: row.tries,
        created_at: instant(row.created_at),
        last_at: tried.then(|| instant(row.updated_at)),
        last_answer: if state == DeliveryState::Delivered {
            status.or(last)
        } else {
            last.or(status)
        }
        .filter(|_| tried),
        next_at: row
            .next_at
            .filter(|_| state == DeliveryState::Retrying)
            .map(instant),
    })
}

/// An amount of a payment, for a line of text.
pub(super) fn money(payment: &Payment, minor: i64) -> String {
    format::money(minor, payment.body.totals.currency.code())
}
