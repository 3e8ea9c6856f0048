//! Payments.
use super::{answered, refuse, scenario};
use crate::app::App;
use crate::auth::{Id, WithSecret};
use crate::body::{Asked, Query};
use crate::fields::{Fields, TEXT_MOST};
use crate::openapi as schema;
use crate::problem::Handled;
use axum::extract::State;
use http::HeaderMap;
use kessai_core::payment::{CaptureMode, Status};
use kessai_core::tax::Tax;
use kessai_engine::Problem;
use kessai_engine::model::Metadata;
use kessai_engine::operate::{Act, read_bank_fields};
use kessai_engine::payments::{CreatePayment, ListPayments};
use serde_json::{Map, Value};

/// Make a payment
///
/// Charges a card, makes a slip or begins an offsite payment, without a session. `tax` defaults to `auto`, which adds 10 %: send 0
/// when the amount is what the shopper pays.
#[utoipa::path(post, path = "/api/v1/payments", tag = "payments", request_body = schema::NewPayment,
    responses(
        (status = 200, description = "The payment", body = schema::Payment),
        (status = 202, description = "The provider has not answered yet: the payment's end is not known and is being asked for",
         body = schema::Payment)))]
pub(crate) async fn create_payment(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    headers: HeaderMap,
    asked: Asked,
) -> Handled {
    let scenario = scenario(&headers, &shop);
    let (key, read) = asked.read(|fields| read_payment(fields, scenario?));
    match read {
        Ok(command) => answered(app.engine.create_payment(&shop, key.as_ref(), command).await),
        Err(problem) => refuse(&app, &shop, key.as_ref(), problem).await,
    }
}

pub(crate) fn read_payment(mut fields: Fields, scenario: Option<Box<str>>) -> Result<CreatePayment, Problem> {
    Ok(CreatePayment {
        amount: fields
            .amount("amount")?
            .ok_or_else(|| Problem::missing("amount"))?,
        currency: fields.currency()?.ok_or_else(|| Problem::missing("currency"))?,
        tax: fields.tax()?.map_or(Tax::Auto, Tax::Exactly),
        source: fields.source()?,
        capture: fields.capture_flag()?.unwrap_or(CaptureMode::Auto),
        order_number: fields.text("external_order_num", TEXT_MOST)?,
        return_url: fields.return_url("return_url")?,
        cancel_url: fields.return_url("cancel_url")?,
        locale: fields.locale("locale")?,
        description: fields.text("description", TEXT_MOST)?,
        metadata: fields.metadata()?.unwrap_or_default(),
        mcc: fields.text("mcc", TEXT_MOST)?,
        statement_descriptor: fields.statement_descriptor()?,
        fraud_details: fields.passed_through("fraud_details")?,
        webhooks: fields.webhooks(),
        scenario,
    })
}

/// List payments
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/payments", tag = "payments",
    params(
        ("page" = Option<i64>, Query, minimum = 1), ("per_page" = Option<i64>, Query, minimum = 1, maximum = 100),
        ("start_time" = Option<String>, Query, description = "ISO 8601"),
        ("end_time" = Option<String>, Query, description = "ISO 8601"),
        ("currency" = Option<String>, Query), ("external_order_num" = Option<String>, Query),
        ("status" = Option<String>, Query, description = "One status, or several with commas")),
    responses((status = 200, description = "A page of payments", body = schema::PaymentList)))]
pub(crate) async fn list_payments(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Query(query): Query,
) -> Handled {
    Ok(app.engine.list_payments(&shop, read_list(query)?).await?.into())
}

pub(crate) fn read_list(mut query: Fields) -> Result<ListPayments, Problem> {
    let (page, per_page) = query.page()?;
    let mut list = ListPayments {
        page,
        per_page,
        ..ListPayments::default()
    };
    let (from, until) = query.span()?;
    list.filter.from_us = from.map(|at| at.as_microsecond());
    list.filter.until_us = until.map(|at| at.as_microsecond());
    list.filter.currency = query.currency()?.map(|currency| currency.code());
    list.filter.order_number = query.text("external_order_num", TEXT_MOST)?;
    if let Some(statuses) = query.text("status", TEXT_MOST)? {
        for status in statuses.split(',') {
            let status = Status::parse(status.trim())
                .ok_or_else(|| Problem::invalid("status", "status is unknown"))?;
            if !list.filter.statuses.contains(&status.as_str()) {
                list.filter.statuses.push(status.as_str());
            }
        }
    }
    Ok(list)
}

/// Show a payment
#[utoipa::path(get, path = "/api/v1/payments/{id}", tag = "payments", params(("id" = String, Path)),
    responses((status = 200, description = "The payment", body = schema::Payment)))]
pub(crate) async fn show_payment(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
) -> Handled {
    let payment = app.engine.payment(&shop, &id).await?;
    Ok(kessai_engine::wire::payment(&payment).into())
}

/// Change a payment's notes
///
/// `description` and `metadata` only; the amount of a payment does not change.
#[utoipa::path(patch, path = "/api/v1/payments/{id}", tag = "payments", params(("id" = String, Path)),
    request_body = schema::PaymentNotes,
    responses((status = 200, description = "The payment", body = schema::Payment)))]
pub(crate) async fn update_payment(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    let (_, read) = asked.read(read_notes);
    let (description, metadata) = read?;
    answered(app.engine.update_payment(&shop, &id, description, metadata).await)
}

pub(crate) type Notes = (Option<Option<Box<str>>>, Option<Metadata>);

pub(crate) fn read_notes(mut fields: Fields) -> Result<Notes, Problem> {
    if fields.take("payment_details").is_some() {
        return Err(Problem::invalid(
            "payment_details",
            "A payment's details cannot be changed",
        ));
    }
    let cleared = fields.has("metadata");
    let metadata = fields.metadata()?.or_else(|| cleared.then(Metadata::new));
    Ok((fields.nullable_text("description", TEXT_MOST)?, metadata))
}

async fn act(
    app: App,
    shop: &kessai_engine::Shop,
    id: &str,
    asked: Asked,
    read: fn(Fields) -> Result<Act, Problem>,
) -> Handled {
    let (key, read) = asked.read(read);
    match read {
        Ok(act) => answered(app.engine.act(shop, id, key.as_ref(), act).await),
        Err(problem) => {
            // An unknown payment is not found, whatever was asked of it.
            app.engine.payment(shop, id).await?;
            refuse(&app, shop, key.as_ref(), problem).await
        }
    }
}

/// Capture an authorized payment
///
/// Everything, or less: the rest is let go. Once only.
#[utoipa::path(post, path = "/api/v1/payments/{id}/capture", tag = "payments", params(("id" = String, Path)),
    request_body = schema::Capture,
    responses((status = 200, description = "The payment", body = schema::Payment),
        (status = 202, description = "The provider has not answered yet", body = schema::Payment)))]
pub(crate) async fn capture_payment(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    act(app, &shop, &id, asked, |mut fields| {
        Ok(Act::Capture {
            amount: fields.amount("amount")?,
            tax: fields.tax()?,
        })
    })
    .await
}

/// Cancel a payment
///
/// Pending and authorized ones only; a captured payment is refunded instead.
#[utoipa::path(post, path = "/api/v1/payments/{id}/cancel", tag = "payments", params(("id" = String, Path)),
    responses((status = 200, description = "The payment", body = schema::Payment),
        (status = 202, description = "The provider has not answered yet", body = schema::Payment)))]
pub(crate) async fn cancel_payment(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    act(app, &shop, &id, asked, |_| Ok(Act::Cancel)).await
}

/// Refund a captured payment
///
/// `amount` includes tax; without it, everything that is left goes back.
#[utoipa::path(post, path = "/api/v1/payments/{id}/refund", tag = "payments", params(("id" = String, Path)),
    request_body = schema::NewRefund,
    responses((status = 200, description = "The payment", body = schema::Payment),
        (status = 202, description = "The provider has not answered yet", body = schema::Payment)))]
pub(crate) async fn refund_payment(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    act(app, &shop, &id, asked, |mut fields| {
        Ok(Act::Refund {
            amount: fields.amount("amount")?,
            description: fields.text("description", TEXT_MOST)?,
        })
    })
    .await
}

/// Ask for a bank refund
///
/// For what was paid in cash: the provider transfers the money to the shopper's bank account, days later.
#[utoipa::path(post, path = "/api/v1/payments/{id}/refund_request", tag = "payments", params(("id" = String, Path)),
    request_body = schema::NewRefundRequest,
    responses((status = 200, description = "The payment", body = schema::Payment)))]
pub(crate) async fn request_refund(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    let (key, read) = asked.read(read_refund_request);
    match read {
        Ok((amount, fields)) => answered(
            app.engine
                .request_refund(&shop, &id, key.as_ref(), amount, fields)
                .await,
        ),
        Err(problem) => {
            app.engine.payment(&shop, &id).await?;
            refuse(&app, &shop, key.as_ref(), problem).await
        }
    }
}

pub(crate) fn read_refund_request(mut fields: Fields) -> Result<(Option<i64>, Map<String, Value>), Problem> {
    const TEXTS: [&str; 8] = [
        "customer_name",
        "bank_name",
        "bank_code",
        "branch_name",
        "branch_number",
        "account_type",
        "account_number",
        "description",
    ];
    let amount = fields.amount("amount")?;
    let fee = fields.boolean("include_payment_method_fee")?;
    let mut given = Map::new();
    for name in TEXTS {
        if let Some(text) = fields.text(name, TEXT_MOST)? {
            given.insert(name.into(), Value::String(text.into()));
        }
    }
    if let Some(fee) = fee {
        given.insert("include_payment_method_fee".into(), fee.into());
    }
    Ok((amount, read_bank_fields(&given)?))
}
