//! What we serve beyond KOMOJU's API, with the same conventions.
use super::{answered, refuse};
use crate::app::App;
use crate::auth::{Id, Ids, WithSecret};
use crate::body::{Asked, Query};
use crate::fields::{Fields, TEXT_MOST};
use crate::openapi as schema;
use crate::problem::Handled;
use axum::extract::State;
use jiff::Timestamp;
use kessai_core::Secret;
use kessai_core::capability::{Capability, Deadline, Kind};
use kessai_core::time::wire_utc;
use kessai_engine::directory::{ChangeEndpoint, Endpoint};
use kessai_engine::{Answer, Halt, Problem, Shop};
use serde_json::{Value, json};

/// Show a payment's story
///
/// Each request to the provider and its reply (masked), each notification, event, delivery and act, oldest first. Support starts here.
#[utoipa::path(get, path = "/api/v1/payments/{id}/timeline", tag = "payments", params(("id" = String, Path)),
    responses((status = 200, description = "The story", body = schema::Timeline)))]
pub(crate) async fn timeline(State(app): State<App>, WithSecret(shop): WithSecret, Id(id): Id) -> Handled {
    Ok(app.engine.timeline(&shop, &id).await?.into())
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.id,
        "resource": "webhook_endpoint",
        "url": endpoint.url,
        "active": endpoint.enabled,
        "events": endpoint.events,
        "created_at": wire_utc(endpoint.created_at),
    })
}

async fn shown(app: &App, shop: &Shop, id: &str) -> Result<Value, Problem> {
    let shop = app.engine.shop(&shop.id).await?.ok_or_else(Problem::not_found)?;
    let found = shop.endpoints.iter().find(|endpoint| endpoint.id.as_ref() == id);
    found.map(endpoint).ok_or_else(Problem::not_found)
}

/// List webhook endpoints
#[utoipa::path(get, path = "/api/v1/webhook_endpoints", tag = "webhooks",
    responses((status = 200, description = "All of the shop's endpoints", body = schema::EndpointList)))]
pub(crate) async fn list_endpoints(WithSecret(shop): WithSecret) -> Handled {
    let data: Vec<Value> = shop.endpoints.iter().map(endpoint).collect();
    Ok(json!({"resource": "list", "total": data.len(), "data": data})
        .to_string()
        .into())
}

/// Make a webhook endpoint
///
/// A `ping` is sent to it at once. `secret_token` is shown here and nowhere else.
#[utoipa::path(post, path = "/api/v1/webhook_endpoints", tag = "webhooks", request_body = schema::NewEndpoint,
    responses((status = 200, description = "The endpoint with its secret", body = schema::Endpoint)))]
pub(crate) async fn create_endpoint(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    asked: Asked,
) -> Handled {
    let (key, read) = asked.read(|fields| {
        let change = read_endpoint(fields)?;
        if change.url.is_none() {
            Err(Problem::missing("url"))
        } else {
            Ok(change)
        }
    });
    let change = match read {
        Ok(change) => change,
        Err(problem) => return refuse(&app, &shop, key.as_ref(), problem).await,
    };
    // The secret is in the answer, so the answer is not kept: the same key says that it was used.
    let making = async {
        let url = change.url.unwrap_or_default();
        let events = change.events.unwrap_or_default();
        let (id, secret) = app
            .engine
            .add_endpoint(&shop.id, &url, change.secret, &events)
            .await?;
        if change.enabled == Some(false) {
            app.engine.change_endpoint(&shop.id, &id, Some(false)).await?;
        }
        let mut made = shown(&app, &shop, &id).await?;
        made["secret_token"] = secret.expose().into();
        Ok::<_, Halt>(Answer::ok(made.to_string()))
    };
    answered(app.engine.once(&shop.id, None, making).await)
}

pub(crate) fn read_endpoint(mut fields: Fields) -> Result<ChangeEndpoint, Problem> {
    let secret = fields.text("secret_token", TEXT_MOST)?;
    Ok(ChangeEndpoint {
        url: fields.text("url", 2_000)?,
        secret: secret.map(Secret::new),
        events: fields.texts("events")?,
        enabled: fields.boolean("active")?,
    })
}

/// Change a webhook endpoint
#[utoipa::path(patch, path = "/api/v1/webhook_endpoints/{id}", tag = "webhooks", params(("id" = String, Path)),
    request_body = schema::EndpointFields,
    responses((status = 200, description = "The endpoint", body = schema::Endpoint)))]
pub(crate) async fn update_endpoint(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
    asked: Asked,
) -> Handled {
    let (_, read) = asked.read(read_endpoint);
    app.engine.update_endpoint(&shop.id, &id, read?).await?;
    Ok(shown(&app, &shop, &id).await?.to_string().into())
}

/// Delete a webhook endpoint
///
/// What it has not received yet is not sent any more.
#[utoipa::path(delete, path = "/api/v1/webhook_endpoints/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, description = "The endpoint as it was", body = schema::Endpoint)))]
pub(crate) async fn delete_endpoint(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Id(id): Id,
) -> Handled {
    let was = shown(&app, &shop, &id).await?;
    app.engine.change_endpoint(&shop.id, &id, None).await?;
    Ok(was.to_string().into())
}

/// List webhook deliveries
///
/// Newest first; all that were not delivered, unless a status is named.
#[utoipa::path(get, path = "/api/v1/webhook_deliveries", tag = "webhooks",
    params(
        ("status" = Option<String>, Query, description = "`pending`, `delivered`, `dead` or `cancelled`"),
        ("before" = Option<String>, Query, description = "Only events before this one: the `next` of the page before"),
        ("per_page" = Option<i64>, Query, minimum = 1, maximum = 100)),
    responses((status = 200, description = "A page of deliveries", body = schema::DeliveryList)))]
pub(crate) async fn list_deliveries(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Query(mut query): Query,
) -> Handled {
    let status = query.choice("status", &["pending", "delivered", "dead", "cancelled"])?;
    let before = query.text("before", 64)?;
    let (_, per_page) = query.page()?;
    Ok(app
        .engine
        .list_deliveries(&shop, status, before.as_deref(), per_page)
        .await?
        .into())
}

/// Send one delivery again
#[utoipa::path(post, path = "/api/v1/webhook_deliveries/{event_id}/{endpoint_id}/replay", tag = "webhooks",
    params(("event_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, description = "It is queued", body = schema::Replayed)))]
pub(crate) async fn replay_delivery(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    Ids(event, endpoint): Ids,
) -> Handled {
    app.engine.replay_delivery(&shop, &event, &endpoint).await?;
    Ok(json!({"replayed": 1}).to_string().into())
}

/// Send dead deliveries again
///
/// Those of the events from `start_time` to `end_time`, oldest first, at most 1,000 a call.
#[utoipa::path(post, path = "/api/v1/webhook_deliveries/replay", tag = "webhooks", request_body = schema::Span,
    responses((status = 200, description = "They are queued", body = schema::Replayed)))]
pub(crate) async fn replay_deliveries(
    State(app): State<App>,
    WithSecret(shop): WithSecret,
    asked: Asked,
) -> Handled {
    let (_, read) = asked.read(|mut fields| {
        let (from, until) = fields.span()?;
        let from: Timestamp = from.ok_or_else(|| Problem::missing("start_time"))?;
        Ok((from, until))
    });
    let (from, until) = read?;
    let until = until.unwrap_or_else(|| app.engine.now());
    let replayed = app.engine.replay_dead(&shop, from, until).await?;
    Ok(json!({"replayed": replayed}).to_string().into())
}

/// List capabilities
///
/// What each provider can do with each method, and which of them this shop offers.
#[utoipa::path(get, path = "/api/v1/capabilities", tag = "payment methods",
    responses((status = 200, description = "The matrix", body = schema::CapabilityList)))]
pub(crate) async fn capabilities(State(app): State<App>, WithSecret(shop): WithSecret) -> Handled {
    let mut data = Vec::new();
    for provider in app.engine.providers() {
        for capability in provider.capabilities() {
            let route = app.engine.route(&shop, capability.method);
            let serves = route.is_some_and(|route| route.provider.id() == provider.id());
            data.push(capability_line(provider.id(), capability, serves));
        }
    }
    Ok(json!({"resource": "list", "total": data.len(), "data": data})
        .to_string()
        .into())
}

fn capability_line(provider: &str, line: &Capability, offered: bool) -> Value {
    let currencies: Vec<&str> = line.currencies.iter().map(|currency| currency.code()).collect();
    let (flows, operations) = (line.flows, line.operations);
    json!({
        "provider": provider,
        "method": line.method,
        "offered": offered,
        "kind": match line.kind {
            Kind::Card => "card",
            Kind::Slip => "slip",
            Kind::Offsite => "offsite",
            Kind::Prepaid => "prepaid",
        },
        "name_en": line.name_en,
        "name_ja": line.name_ja,
        "name_ko": line.name_ko,
        "currencies": currencies,
        "minimum": line.minimum,
        "maximum": line.maximum,
        "subtypes": line.subtypes,
        "asks": line.asks,
        "flows": {"session": flows.session, "direct": flows.direct, "stored": flows.stored},
        "operations": {
            "two_step": operations.two_step,
            "partial_capture": operations.partial_capture,
            "cancel": operations.cancel,
            "refund": operations.refund,
            "partial_refund": operations.partial_refund,
            "refund_request": operations.refund_request,
        },
        "deadline": match line.deadline {
            Deadline::Days { default, least, most } => json!({"days": default, "least": least, "most": most}),
            Deadline::Seconds(seconds) => json!({"seconds": seconds}),
        },
        "session_fee": line.session_fee,
    })
}

/// List open discrepancies
///
/// Where our books and a provider's disagree and a person must look, newest first, at most 100.
#[utoipa::path(get, path = "/api/v1/discrepancies", tag = "payments",
    responses((status = 200, description = "The open ones", body = schema::DiscrepancyList)))]
pub(crate) async fn discrepancies(State(app): State<App>, WithSecret(shop): WithSecret) -> Handled {
    Ok(app.engine.list_discrepancies(&shop).await?.into())
}
