//! What the API and its events show: the objects of docs/providers/komoju.md, as version 2025-01-28 writes them.
use crate::model::{Payment, Session};
use jiff::Timestamp;
use kessai_core::payment::Status;
use kessai_core::time::{wire_tokyo_millis, wire_utc};
use kessai_store::repo::{CustomerRow, EventRow, instant};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

#[derive(Serialize)]
struct PaymentView<'a> {
    id: &'a str,
    resource: &'static str,
    status: &'static str,
    amount: i64,
    tax: i64,
    customer: Option<&'a str>,
    payment_deadline: Option<String>,
    payment_details: Details<'a>,
    payment_method_fee: i64,
    total: i64,
    currency: &'static str,
    description: Option<&'a str>,
    captured_at: Option<String>,
    external_order_num: Option<&'a str>,
    metadata: &'a crate::model::Metadata,
    created_at: String,
    amount_refunded: i64,
    locale: &'a str,
    session: Option<&'a str>,
    customer_family_name: Option<&'a str>,
    customer_given_name: Option<&'a str>,
    mcc: Option<&'a str>,
    statement_descriptor: Option<&'a Value>,
    refunds: Vec<RefundView<'a>>,
    refund_requests: Vec<Value>,
    /// Ours: which operation the provider has not answered yet, as `capture_pending`.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: &'a str,
    #[serde(flatten)]
    rest: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<&'a str>,
}

#[derive(Serialize)]
struct RefundView<'a> {
    id: &'a str,
    resource: &'static str,
    amount: i64,
    currency: &'static str,
    payment: &'a str,
    description: Option<&'a str>,
    created_at: String,
    chargeback: bool,
}

/// A payment's JSON.
pub fn payment(payment: &Payment) -> String {
    serde_json::to_string(&view(payment)).expect("plain data")
}

fn view(payment: &Payment) -> PaymentView<'_> {
    let body = &payment.body;
    let id = payment.id.as_str();
    let currency = body.totals.currency.code();
    let names = body.customer_names.as_ref();
    PaymentView {
        id,
        resource: "payment",
        status: payment.status().as_str(),
        amount: body.totals.amount,
        tax: body.totals.tax,
        customer: payment.customer.as_ref().map(|id| id.as_str()),
        payment_deadline: payment.deadline_at.map(wire_utc),
        payment_details: Details {
            r#type: &payment.method,
            rest: &body.details,
            redirect_url: match payment.status() {
                Status::Pending => body.next.as_ref().map(|next| next.redirect_url.as_ref()),
                Status::Authorized
                | Status::Captured
                | Status::Cancelled
                | Status::Expired
                | Status::Refunded
                | Status::Failed => None,
            },
        },
        payment_method_fee: body.totals.fee,
        total: payment.total().minor(),
        currency,
        description: body.description.as_deref(),
        captured_at: body.captured_at.map(|at| wire_utc(instant(at))),
        external_order_num: payment.order_number.as_deref(),
        metadata: &body.metadata,
        created_at: wire_utc(payment.created_at),
        amount_refunded: body.state.refunded().minor(),
        locale: &body.locale,
        session: payment.session.as_ref().map(|id| id.as_str()),
        customer_family_name: names.and_then(|(family, _)| family.as_deref()),
        customer_given_name: names.and_then(|(_, given)| given.as_deref()),
        mcc: body.mcc.as_deref(),
        statement_descriptor: body.statement_descriptor.as_ref(),
        refunds: body
            .refunds
            .iter()
            .map(|refund| RefundView {
                id: &refund.id,
                resource: "refund",
                amount: refund.amount,
                currency,
                payment: id,
                description: refund.description.as_deref(),
                created_at: wire_utc(instant(refund.at)),
                chargeback: false,
            })
            .collect(),
        refund_requests: body
            .refund_requests
            .iter()
            .map(|request| {
                let mut object = request.fields.clone();
                object.insert("id".into(), request.id.as_ref().into());
                object.insert("payment".into(), id.into());
                object.insert("status".into(), request.status.as_ref().into());
                object.insert("created_at".into(), wire_utc(instant(request.at)).into());
                Value::Object(object)
            })
            .collect(),
        operation: body
            .state
            .in_flight()
            .map(|flight| format!("{}_pending", flight.operation.as_str())),
    }
}

/// A JSON text as it stands, inside another.
pub fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("our own JSON")
}

#[derive(Serialize)]
struct SessionView<'a> {
    id: &'a str,
    resource: &'static str,
    mode: &'static str,
    amount: i64,
    currency: &'static str,
    session_url: String,
    return_url: Option<&'a str>,
    default_locale: &'a str,
    payment_methods: &'a [Value],
    created_at: String,
    cancelled_at: Option<String>,
    completed_at: Option<String>,
    status: &'static str,
    expired: bool,
    merchant: Value,
    metadata: &'a crate::model::Metadata,
    payment: Option<Box<RawValue>>,
    payment_data: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
    secure_token: Option<Value>,
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    line_items: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

/// What surrounds a session when it is shown.
pub struct SessionSurroundings<'a> {
    /// Where the hub is reached, without a trailing slash.
    pub public_url: &'a str,
    /// The shop's name.
    pub shop_name: &'a str,
    /// The offered methods, as [`crate::methods::session_methods`] lists them.
    pub methods: &'a [Value],
    /// Its latest payment.
    pub payment: Option<&'a Payment>,
    /// The present instant.
    pub now: Timestamp,
}

/// A session's JSON.
pub fn session(session: &Session, around: &SessionSurroundings<'_>) -> String {
    let body = &session.body;
    let mut payment_data = body.payment_data.clone();
    payment_data.insert("capture".into(), body.capture.as_str().into());
    if let Some(number) = &body.order_number {
        payment_data.insert("external_order_num".into(), number.as_ref().into());
    }
    let view = SessionView {
        id: session.id.as_str(),
        resource: "session",
        mode: session.mode.as_str(),
        amount: body.amount.minor(),
        currency: body.amount.currency().code(),
        session_url: session_url(around.public_url, session.id.as_str()),
        return_url: body.return_url.as_deref(),
        default_locale: &body.locale,
        payment_methods: around.methods,
        created_at: wire_tokyo_millis(session.created_at),
        cancelled_at: body.cancelled_at.map(|at| wire_tokyo_millis(instant(at))),
        completed_at: session.completed_at.map(wire_tokyo_millis),
        status: session.status.as_str(),
        expired: session.expired(around.now),
        merchant: json!({"name": around.shop_name}),
        metadata: &body.metadata,
        payment: around.payment.map(|p| raw(payment(p))),
        payment_data,
        customer_id: if session.mode.stores_customer() {
            body.customer.as_ref().map(|id| id.as_str())
        } else {
            None
        },
        secure_token: None,
        line_items: &body.line_items,
        email: body.email.as_deref(),
    };
    serde_json::to_string(&view).expect("plain data")
}

/// The hosted page of a session.
pub fn session_url(public_url: &str, id: &str) -> String {
    format!("{public_url}/sessions/{id}")
}

/// The page that says how to pay a slip.
pub fn instructions_url(public_url: &str, payment: &str) -> String {
    format!("{public_url}/instructions/{payment}")
}

/// `url` with `name=value` added to its query, before a fragment.
///
/// Source: docs/providers/komoju.md, "Browser flows" (`?`, or `&` when there is a query already; a fragment stays last).
pub fn with_query(url: &str, name: &str, value: &str) -> String {
    // A reader of the address drops these at its ends, but not in its middle.
    let url = url.trim_matches(|c: char| c <= ' ');
    let (head, fragment) = url
        .split_once('#')
        .map_or((url, None), |(head, fragment)| (head, Some(fragment)));
    let joint = match head.rfind('?') {
        None => "?",
        Some(at) if at + 1 == head.len() || head.ends_with('&') => "",
        Some(_) => "&",
    };
    let mut out = format!("{head}{joint}{name}={value}");
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    out
}

#[derive(Serialize)]
struct PayView<'a> {
    redirect_url: Option<&'a str>,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_url: Option<&'a str>,
}

/// What paying a session answers.
pub fn pay_result(
    status: &str,
    redirect_url: Option<&str>,
    app_url: Option<&str>,
    made: Option<&Payment>,
    customer: Option<Value>,
) -> String {
    let view = PayView {
        redirect_url,
        status,
        payment: made.map(|p| raw(payment(p))),
        customer,
        app_url,
    };
    serde_json::to_string(&view).expect("plain data")
}

#[derive(Serialize)]
struct EventView<'a> {
    id: &'a str,
    r#type: &'a str,
    resource: &'static str,
    data: &'a RawValue,
    created_at: String,
    reason: Option<&'a str>,
}

/// An event's JSON, the same bytes in the API and in every delivery of it.
pub fn event(row: &EventRow) -> String {
    let data: &RawValue = serde_json::from_str(&row.data).expect("our own JSON");
    let view = EventView {
        id: &row.id,
        r#type: &row.kind,
        resource: "event",
        data,
        created_at: wire_utc(instant(row.created_at)),
        reason: row.reason.as_deref(),
    };
    serde_json::to_string(&view).expect("plain data")
}

/// A customer's JSON.
pub fn customer(row: &CustomerRow, body: &crate::customers::CustomerBody) -> Value {
    json!({
        "id": row.id,
        "resource": "customer",
        "email": row.email,
        "source": body.source,
        "metadata": body.metadata,
        "created_at": wire_utc(instant(row.created_at)),
    })
}

/// A page of a list. `data` are JSON texts.
pub fn list(total: i64, page: i64, per_page: i64, data: Vec<String>) -> String {
    #[derive(Serialize)]
    struct List {
        resource: &'static str,
        total: i64,
        page: i64,
        per_page: i64,
        last_page: i64,
        data: Vec<Box<RawValue>>,
    }
    let last_page = (total + per_page - 1) / per_page;
    let data = data.into_iter().map(raw).collect();
    serde_json::to_string(&List {
        resource: "list",
        total,
        page,
        per_page,
        last_page,
        data,
    })
    .expect("plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_id_is_added_to_any_return_url() {
        for (url, expected) in [
            ("https://s.example/back", "https://s.example/back?session_id=x"),
            (
                "https://s.example/back?wc-api=X",
                "https://s.example/back?wc-api=X&session_id=x",
            ),
            ("https://s.example/back?", "https://s.example/back?session_id=x"),
            (
                "https://s.example/back?a=1&",
                "https://s.example/back?a=1&session_id=x",
            ),
            (
                "https://s.example/back?o=1#top",
                "https://s.example/back?o=1&session_id=x#top",
            ),
            (
                "https://s.example/back#a?b",
                "https://s.example/back?session_id=x#a?b",
            ),
        ] {
            assert_eq!(with_query(url, "session_id", "x"), expected);
        }
    }

    #[test]
    fn an_empty_list_has_no_last_page() {
        assert_eq!(
            list(0, 1, 10, vec![]),
            r#"{"resource":"list","total":0,"page":1,"per_page":10,"last_page":0,"data":[]}"#
        );
        assert!(list(11, 1, 10, vec![]).contains(r#""last_page":2"#));
    }
}
