//! The OpenAPI document, generated from the handlers and from [`schemas`], which say what travels.
mod schemas;

pub(crate) use schemas::*;

use crate::api::{self, docs};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema, Type};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kessai",
        description = "One API for every way a Japanese shop is paid. Wire-compatible with KOMOJU's v1: point its SDKs and plugins here.\n\n\
            Keys go as the user name of HTTP Basic authentication. Amounts are integers in the currency's smallest unit. \
            Bodies are JSON, forms (`a[b]=c`) or multipart. Every success is 200, or 202 while a provider has not answered. \
            Every error has the same envelope, whose `code` never changes its meaning.",
        version = "2025-01-28"
    ),
    tags(
        (name = "sessions", description = "Checkouts"),
        (name = "payments", description = "Payments and what is done with them"),
        (name = "payment methods", description = "What a shop can be paid by"),
        (name = "tokens", description = "One-time tokens and 3-D Secure"),
        (name = "customers", description = "Customers and their stored cards"),
        (name = "stock", description = "What there is to be sold"),
        (name = "events", description = "What happened"),
        (name = "webhooks", description = "Where events go"),
    ),
    paths(
        docs::create_session, docs::show_session, docs::pay_session, docs::cancel_session,
        docs::create_payment, docs::list_payments, docs::show_payment, docs::update_payment, docs::capture_payment,
        docs::cancel_payment, docs::refund_payment, docs::request_refund, docs::timeline,
        docs::list_payment_methods, docs::create_token, docs::create_secure_token, docs::show_secure_token,
        docs::create_customer, docs::list_customers, docs::show_customer, docs::update_customer, docs::delete_customer,
        docs::list_events, docs::show_event,
        docs::list_endpoints, docs::create_endpoint, docs::update_endpoint, docs::delete_endpoint,
        docs::list_deliveries, docs::replay_deliveries, docs::replay_delivery,
        docs::capabilities, docs::discrepancies, docs::list_stock, docs::show_stock, docs::change_stock,
    ),
    components(schemas(schemas::Error)),
    modifiers(&Common)
)]
struct Document;

/// What every operation shares.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, words) in [
            (
                "secret_key",
                "The secret key as user name, any password. For servers.",
            ),
            (
                "publishable_key",
                "The publishable key as user name. For browsers.",
            ),
        ] {
            let mut basic = Http::new(HttpAuthScheme::Basic);
            basic.description = Some(words.into());
            components.add_security_scheme(name, SecurityScheme::Http(basic));
        }
        for (path, item) in &mut document.paths.paths {
            let browser = api::BROWSER_PATHS.contains(&path.as_str());
            let operations = [
                (false, &mut item.get),
                (true, &mut item.post),
                (false, &mut item.patch),
                (false, &mut item.delete),
            ];
            for (once, operation) in operations {
                if let Some(operation) = operation {
                    complete(operation, once, browser);
                }
            }
        }
    }
}

fn complete(operation: &mut Operation, once: bool, browser: bool) {
    let error = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .build();
    let response = ResponseBuilder::new()
        .description("Every error has this form; the code decides the status")
        .content("application/json", error)
        .build();
    operation
        .responses
        .responses
        .insert("default".into(), RefOr::T(response));
    let none: [&str; 0] = [];
    let mut needed = vec![SecurityRequirement::new("secret_key", none)];
    if browser {
        needed.push(SecurityRequirement::new("publishable_key", none));
    }
    operation.security = Some(needed);
    let parameters = operation.parameters.get_or_insert_default();
    if once {
        parameters.push(header(
            "X-KOMOJU-IDEMPOTENCY",
            "At most 100 ASCII characters. The same key with the same body is answered as the first time and done once.",
        ));
    }
    parameters.push(header(
        "X-KOMOJU-API-VERSION",
        "`2025-01-28` or `2024-07-15`; both are answered alike.",
    ));
}

fn header(name: &str, words: &str) -> RefOr<Parameter> {
    let text = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(words))
        .schema(Some(text))
        .build();
    RefOr::T(header)
}

/// The OpenAPI document of everything under `/api/v1`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everything_served_is_documented_and_nothing_else() {
        let document = serde_json::to_value(openapi()).unwrap();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                documented.insert((method.to_uppercase(), path.clone()));
            }
        }
        let served: BTreeSet<_> = api::served()
            .into_iter()
            .map(|(method, path)| (method.to_owned(), path.to_owned()))
            .collect();
        assert_eq!(documented, served);
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document = serde_json::to_value(openapi()).unwrap();
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        assert!(text.contains("secret_key") && text.contains("X-KOMOJU-IDEMPOTENCY"));
    }
}
