//! From the wire to our words. Total: whatever comes in has one meaning, and "we cannot tell" is one of them.
//!
//! Source: docs/providers/komoju.md, "Errors" and "Statuses".
use crate::mask::scrub;
use crate::wire::{ErrorBody, PayResult, Payment, Session, Unreadable};
use jiff::Timestamp;
use kessai_core::Money;
use kessai_core::payment::Status;
use kessai_provider::port::{Decline, Doubt, NextAction, Outcome, Rejection, View};
use serde_json::{Map, Value};

/// What a request was meant to do, which decides what an error to it can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Make the session a payment is to be made in. No money can move by it.
    Prepare,
    /// Take or promise money.
    Pay,
    /// Pay a session, which an earlier send of the same wish may have completed.
    PaySession,
    /// Capture, cancel or refund a payment, which an earlier send may have done.
    Change,
    /// Tokens, stored cards: no money moves.
    Other,
}

/// Why an operation ends here.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// See [`Outcome::Declined`].
    Declined(Decline),
    /// See [`Outcome::Rejected`].
    Rejected(Rejection),
    /// See [`Outcome::NotSent`].
    NotSent(String),
    /// See [`Outcome::Unknown`].
    Unknown(Doubt),
}

impl Refusal {
    /// As the outcome of any operation.
    pub fn outcome<T>(self) -> Outcome<T> {
        match self {
            Self::Declined(decline) => Outcome::Declined(decline),
            Self::Rejected(rejection) => Outcome::Rejected(rejection),
            Self::NotSent(why) => Outcome::NotSent(why),
            Self::Unknown(doubt) => Outcome::Unknown(doubt),
        }
    }
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unknown(Doubt::Unreadable(unreadable.0))
    }
}

/// Codes that say the shopper's instrument was refused. Statuses of most are inferred, so the code decides.
const DECLINES: &[&str] = &[
    "bad_verification_value",
    "card_declined",
    "card_expired",
    "exceeds_limit",
    "fraudulent",
    "insufficient_funds",
    "invalid_account",
    "invalid_number",
    "invalid_password",
    "invalid_token",
    "invalid_user_key",
    "other_error",
    "other_invalid",
    "request_failed",
    "restricted_account",
    "used_number",
];

/// Codes that say KOMOJU or what stands behind it is down.
const OUTAGES: &[&str] = &[
    "bad_gateway",
    "gateway_timeout",
    "internal_server_error",
    "service_unavailable",
];

/// Codes that say our request was wrong, for the one case where no HTTP status tells: an error under 200.
const REJECTIONS: &[&str] = &[
    "bad_request",
    "forbidden",
    "invalid_currency",
    "invalid_parameter",
    "invalid_payment_type",
    "missing_parameter",
    "not_found",
    "unauthorized",
    "unprocessable_entity",
];

/// Codes that say a payment is not in the state our request needs.
const STALE: &[&str] = &["not_cancellable", "not_capturable", "not_refundable"];

enum Verdict {
    Declined,
    Rejected,
    NotSent,
    Unknown,
}

fn verdict(status: u16, code: Option<&str>) -> Verdict {
    let is = |list: &[&str]| code.is_some_and(|code| list.contains(&code));
    match status {
        401 | 403 => Verdict::Rejected,
        402 => Verdict::Declined,
        // Another request under our key is running, or the wait for our body ran out.
        408 | 409 => Verdict::Unknown,
        // Inferred: too many requests are turned away at the door, before anything is booked.
        429 => Verdict::NotSent,
        400..=499 if is(DECLINES) => Verdict::Declined,
        400..=499 if code.is_some() => Verdict::Rejected,
        // A decline by the card's network is a 502 with a code; an outage is one without, or with its own.
        502 if code.is_some() && !is(OUTAGES) => Verdict::Declined,
        200..=299 if is(OUTAGES) => Verdict::Unknown,
        200..=299 if is(REJECTIONS) => Verdict::Rejected,
        // `status: "error"`: invalid input or a decline, and the session may be paid again.
        200..=299 => Verdict::Declined,
        _ => Verdict::Unknown,
    }
}

/// What an error means. `error` is none when the body held no readable one.
pub fn refusal(status: u16, error: Option<&ErrorBody>, asked: Asked) -> Refusal {
    let code = error.and_then(|error| error.code.as_deref());
    let param = error.and_then(|error| error.param.as_deref());
    if let Some(why) = already_done(
        code,
        param,
        error.map_or("", |error| error.message.as_str()),
        asked,
    ) {
        return Refusal::Unknown(Doubt::Unreadable(why));
    }
    let doubt = || match status {
        500.. => Doubt::ServerError(status),
        409 => Doubt::Lost("HTTP 409, a request under our key is still running".into()),
        _ => Doubt::Unreadable(format!("HTTP {status} without a readable error")),
    };
    let fallback = match verdict(status, code) {
        Verdict::Declined => "other_error",
        Verdict::Rejected | Verdict::NotSent | Verdict::Unknown => match status {
            401 => "unauthorized",
            403 => "forbidden",
            _ => "bad_request",
        },
    };
    let code: Box<str> = scrub(code.unwrap_or(fallback)).into();
    let message: Box<str> = error
        .map_or_else(String::new, |error| scrub(&error.message))
        .into();
    match verdict(status, error.and_then(|error| error.code.as_deref())) {
        Verdict::Declined => Refusal::Declined(Decline {
            code,
            message,
            reference: None,
        }),
        Verdict::Rejected => Refusal::Rejected(Rejection {
            code,
            message,
            param: param.map(|param| scrub(param).into()),
            status,
        }),
        Verdict::NotSent => Refusal::NotSent(format!("HTTP {status}, turned away unprocessed")),
        // Nothing was asked to be paid yet, and the same key will be answered with the same session.
        Verdict::Unknown if asked == Asked::Prepare => Refusal::NotSent(format!("no session: {}", doubt())),
        Verdict::Unknown => Refusal::Unknown(doubt()),
    }
}

/// Whether an error may say no more than that an earlier send of the same wish was booked.
fn already_done(code: Option<&str>, param: Option<&str>, message: &str, asked: Asked) -> Option<String> {
    let code = code?;
    let names_our_key = || {
        let name = "external_order_num";
        param.is_some_and(|param| param.contains(name)) || (param.is_none() && message.contains(name))
    };
    let why = match asked {
        Asked::Prepare | Asked::Pay | Asked::PaySession if code == "invalid_parameter" && names_our_key() => {
            "our key stands there already"
        }
        Asked::PaySession if code == "unprocessable_entity" => "the session may be paid already",
        Asked::Change if STALE.contains(&code) => "it may be done already",
        Asked::Prepare | Asked::Pay | Asked::PaySession | Asked::Change | Asked::Other => return None,
    };
    Some(format!("{code}: {why}"))
}

/// What may be shown of `payment_details`, a `source` or a token: what the shopper needs to recognise or to pay.
const DISPLAYED: &[&str] = &[
    "account_branch_name",
    "account_name",
    "account_number",
    "account_type",
    "bank_id",
    "bank_name",
    "brand",
    "confirmation_code",
    "confirmation_id",
    "customer_id",
    "cvs_code",
    "external_payment_id",
    "installments",
    "instructions_url",
    "last_four_digits",
    "month",
    "order_id",
    "payment_url",
    "prepaid_cards",
    "qr_code_url",
    "receipt",
    "short_amount",
    "store",
    "type",
    "year",
];

/// The displayable part of payment details.
pub fn details(written: &Map<String, Value>) -> Map<String, Value> {
    let shown = |(name, value): (&String, &Value)| {
        let keep = DISPLAYED.contains(&name.as_str()) && !value.is_null();
        keep.then(|| {
            (
                name.clone(),
                if name == "prepaid_cards" {
                    prepaid(value)
                } else {
                    value.clone()
                },
            )
        })
    };
    written.iter().filter_map(shown).collect()
}

fn prepaid(cards: &Value) -> Value {
    let brief = |card: &Value| {
        let part = |name: &str| card.get(name).map(|value| (name.to_owned(), value.clone()));
        Value::Object(
            [part("last_four_digits"), part("points")]
                .into_iter()
                .flatten()
                .collect(),
        )
    };
    cards
        .as_array()
        .map_or(Value::Null, |cards| cards.iter().map(brief).collect())
}

/// A payment as a view.
///
/// After a partial capture the wire's total is what was taken, so `captured` is the total; what was asked stands in our books.
///
/// # Errors
/// [`Unreadable`] for a status nobody listed.
pub fn view(payment: &Payment) -> Result<View, Unreadable> {
    let status = Status::parse(&payment.status)
        .ok_or_else(|| Unreadable("payment.status is none we know".to_owned()))?;
    let captured = match status {
        Status::Captured | Status::Refunded => Some(payment.total),
        Status::Pending | Status::Authorized | Status::Cancelled | Status::Expired | Status::Failed => None,
    };
    let deadline_at: Option<Timestamp> = match &payment.payment_deadline {
        Some(text) => {
            let odd = |_| Unreadable("payment.payment_deadline is no instant".to_owned());
            Some(text.parse().map_err(odd)?)
        }
        None => None,
    };
    let redirect = payment
        .payment_details
        .get("redirect_url")
        .and_then(Value::as_str);
    let next = match status {
        Status::Pending => redirect.map(|url| NextAction {
            redirect_url: url.into(),
            app_url: None,
            frameable: false,
        }),
        Status::Authorized
        | Status::Captured
        | Status::Cancelled
        | Status::Expired
        | Status::Refunded
        | Status::Failed => None,
    };
    Ok(View {
        reference: payment.id.as_str().into(),
        session: payment.session.as_deref().map(Into::into),
        key: payment.external_order_num.as_deref().map(Into::into),
        status,
        total: payment.total,
        captured,
        refunds: payment
            .refunds
            .iter()
            .map(|(id, amount)| (id.as_str().into(), *amount))
            .collect(),
        deadline_at,
        details: details(&payment.payment_details),
        failure: (status == Status::Failed).then(|| "other_error".into()),
        next,
    })
}

/// A session in which no payment shows yet, as a view with an empty reference.
///
/// # Errors
/// [`Unreadable`] when it says it is completed, or says what nobody listed.
pub fn empty_session(
    session: &Session,
    key: &str,
    total: Money,
    next: Option<NextAction>,
) -> Result<View, Unreadable> {
    let status = match session.status.as_str() {
        "pending" if session.expired => Status::Expired,
        "pending" => Status::Pending,
        "cancelled" => Status::Cancelled,
        _ => {
            return Err(Unreadable(
                "session.status fits no session without a payment".to_owned(),
            ));
        }
    };
    let authentication = session.authentication_url.as_deref();
    let frame = |url: &str| NextAction {
        redirect_url: url.into(),
        app_url: None,
        frameable: true,
    };
    Ok(View {
        reference: "".into(),
        session: Some(session.id.as_str().into()),
        key: Some(key.into()),
        status,
        total,
        captured: None,
        refunds: Vec::new(),
        deadline_at: None,
        details: Map::new(),
        failure: None,
        next: if status == Status::Pending {
            next.or_else(|| authentication.map(frame))
        } else {
            None
        },
    })
}

/// Where a shopper goes from a pay result, which knows better than the payment.
pub fn next(result: &PayResult, method: &str) -> Option<NextAction> {
    let redirect_url = result.redirect_url.as_deref()?.into();
    // Source: docs/providers/komoju.md, "Sessions": a card's 3-D Secure page may be framed, other pages may not.
    let frameable = method.starts_with("credit_card");
    Some(NextAction {
        redirect_url,
        app_url: result.app_url.as_deref().map(Into::into),
        frameable,
    })
}

/// The outcome of asking for money, from the payment that came of it.
pub fn authorized(view: View, key: &str, asked: Money) -> Outcome<View> {
    let unknown = |why: &str| Outcome::Unknown(Doubt::Unreadable(why.to_owned()));
    if view.key.as_deref().is_some_and(|theirs| theirs != key) {
        return unknown("the payment is not the one we asked for");
    }
    if view.total.currency() != asked.currency() {
        return unknown("the payment is in another currency");
    }
    match view.status {
        Status::Authorized | Status::Captured => Outcome::Succeeded(view),
        Status::Pending => Outcome::Pending(view),
        Status::Failed => Outcome::Declined(Decline {
            code: view.failure.unwrap_or_else(|| "other_error".into()),
            message: "".into(),
            reference: Some(view.reference),
        }),
        // A payment cannot begin like this: something happened to it that only an inquiry can tell.
        Status::Cancelled | Status::Expired | Status::Refunded => unknown("a new payment is closed already"),
    }
}

/// The outcome of an operation on a payment, which must show in the payment that came back.
pub fn changed(
    view: View,
    reference: &str,
    asked: Money,
    shows: impl FnOnce(&View) -> bool,
) -> Outcome<View> {
    let unknown = |why: &str| Outcome::Unknown(Doubt::Unreadable(why.to_owned()));
    if *view.reference != *reference {
        return unknown("the payment is not the one we meant");
    }
    if view.total.currency() != asked.currency() {
        return unknown("the payment is in another currency");
    }
    if shows(&view) {
        Outcome::Succeeded(view)
    } else {
        unknown("the payment does not show what was asked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(status: u16, code: Option<&str>, param: Option<&str>, asked: Asked) -> &'static str {
        let error = code.map(|code| ErrorBody {
            code: Some(code.to_owned()),
            message: String::new(),
            param: param.map(str::to_owned),
        });
        match refusal(status, error.as_ref(), asked) {
            Refusal::Declined(_) => "declined",
            Refusal::Rejected(_) => "rejected",
            Refusal::NotSent(_) => "not sent",
            Refusal::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn every_listed_error_has_one_meaning_for_a_payment() {
        for (status, code, meaning) in [
            (400, "bad_request", "rejected"),
            (401, "unauthorized", "rejected"),
            (402, "request_failed", "declined"),
            (402, "brand_new", "declined"),
            (403, "forbidden", "rejected"),
            (404, "not_found", "rejected"),
            (408, "request_timeout", "unknown"),
            (409, "conflict", "unknown"),
            (422, "unprocessable_entity", "rejected"),
            (422, "missing_parameter", "rejected"),
            (422, "invalid_parameter", "rejected"),
            (422, "invalid_payment_type", "rejected"),
            (422, "invalid_currency", "rejected"),
            (422, "invalid_token", "declined"),
            (422, "fraudulent", "declined"),
            (422, "insufficient_funds", "declined"),
            (422, "brand_new", "rejected"),
            (429, "too_many_requests", "not sent"),
            (500, "internal_server_error", "unknown"),
            (500, "card_declined", "unknown"),
            (502, "bad_gateway", "unknown"),
            (502, "card_declined", "declined"),
            (502, "card_expired", "declined"),
            (502, "bad_verification_value", "declined"),
            (502, "exceeds_limit", "declined"),
            (502, "insufficient_funds", "declined"),
            (502, "used_number", "declined"),
            (502, "invalid_number", "declined"),
            (502, "other_error", "declined"),
            (502, "other_invalid", "declined"),
            (502, "brand_new", "declined"),
            (503, "service_unavailable", "unknown"),
            (504, "gateway_timeout", "unknown"),
            (200, "card_declined", "declined"),
            (200, "invalid_parameter", "rejected"),
            (200, "bad_gateway", "unknown"),
            (302, "moved", "unknown"),
        ] {
            assert_eq!(
                name(status, Some(code), None, Asked::Pay),
                meaning,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn an_error_nobody_can_read_is_doubt_unless_the_status_alone_tells() {
        for (status, meaning) in [
            (400, "unknown"),
            (401, "rejected"),
            (403, "rejected"),
            (404, "unknown"),
            (422, "unknown"),
            (429, "not sent"),
            (502, "unknown"),
            (521, "unknown"),
        ] {
            assert_eq!(name(status, None, None, Asked::Pay), meaning, "{status}");
        }
    }

    #[test]
    fn a_reused_order_number_means_that_an_earlier_send_was_booked() {
        for asked in [Asked::Prepare, Asked::Pay, Asked::PaySession] {
            for param in ["external_order_num", "payment_data.external_order_num"] {
                assert_eq!(
                    name(422, Some("invalid_parameter"), Some(param), asked),
                    "unknown",
                    "{asked:?} {param}"
                );
            }
            assert_eq!(
                name(422, Some("invalid_parameter"), Some("amount"), asked),
                "rejected"
            );
        }
    }

    #[test]
    fn a_payment_in_another_state_may_be_our_own_doing() {
        for code in STALE {
            assert_eq!(name(422, Some(code), None, Asked::Change), "unknown", "{code}");
        }
        assert_eq!(
            name(422, Some("invalid_parameter"), Some("amount"), Asked::Change),
            "rejected"
        );
        assert_eq!(
            name(422, Some("unprocessable_entity"), None, Asked::PaySession),
            "unknown"
        );
    }

    #[test]
    fn a_session_that_may_or_may_not_exist_moved_no_money() {
        assert_eq!(
            name(500, Some("internal_server_error"), None, Asked::Prepare),
            "not sent"
        );
        assert_eq!(name(502, None, None, Asked::Prepare), "not sent");
        assert_eq!(name(401, None, None, Asked::Prepare), "rejected");
    }
}
