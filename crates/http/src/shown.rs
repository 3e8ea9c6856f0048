//! How a payment's state is shown to people: one mapping for every page.
use kessai_core::payment::{CaptureMode, Status};
use kessai_engine::model::Payment;
use kessai_web::State;
use serde_json::Value;

/// The word for where a payment stands.
pub(crate) fn state_of(payment: &Payment) -> State {
    let state = &payment.body.state;
    if state.in_flight().is_some() {
        return State::Confirming;
    }
    match payment.status() {
        Status::Pending => State::Pending,
        Status::Authorized if state.capture_mode() == CaptureMode::Manual => State::Authorized,
        Status::Authorized => State::AwaitingPayment,
        Status::Captured if state.refunded().is_zero() => State::Captured,
        Status::Captured => State::PartlyRefunded,
        Status::Cancelled => State::Cancelled,
        Status::Expired => State::Expired,
        Status::Refunded => State::Refunded,
        Status::Failed => State::Failed,
    }
}

/// `Visa •••• 1111`, for a card.
pub(crate) fn method_detail(payment: &Payment) -> Option<String> {
    let text = |name: &str| payment.body.details.get(name).and_then(Value::as_str);
    let last = text("last_four_digits")?;
    let brand = match text("brand").unwrap_or_default() {
        "visa" => "Visa",
        "master" => "Mastercard",
        "jcb" => "JCB",
        "american_express" => "American Express",
        "diners_club" => "Diners Club",
        "discover" => "Discover",
        _ => "",
    };
    Some(format!("{brand} •••• {last}").trim_start().to_owned())
}
