//! What a session's page offers.
use super::{Asked, csrf, money};
use crate::app::{App, is_id};
use kessai_core::capability::{Capability, Deadline};
use kessai_engine::Shop;
use kessai_engine::model::{Payment, Session};
use kessai_web::Frame;
use kessai_web::checkout::{Checkout, Entered, FieldError, Line, Method, Terms, TokenEndpoint};
use kessai_web::errors::ErrorBanner;
use serde_json::Value;
use std::collections::BTreeMap;

fn origin(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
}

pub(super) fn offer(
    app: &App,
    shop: &Shop,
    session: &Session,
    payment: Option<&Payment>,
    asked: &Asked,
    frame: Frame,
    cancel_url: Option<String>,
) -> Checkout {
    let offer = app.engine.session_offer(shop, session);
    let (amount, currency) = money(session);
    let reference = payment.map_or_else(
        || session.id.as_str().to_owned(),
        |payment| payment.id.as_str().to_owned(),
    );
    let error = asked
        .error
        .as_deref()
        .filter(|code| is_id(code))
        .map(|code| ErrorBanner::new(code, reference));
    let card = app.engine.route(shop, "credit_card");
    let tokens = card
        .and_then(|route| route.provider.browser_tokens(&route.account))
        .map(|tokens| TokenEndpoint {
            url: tokens.url.into(),
            publishable_key: tokens.publishable_key.into(),
        });
    let mut redirect_origins: Vec<String> = shop
        .accounts
        .values()
        .filter_map(|account| origin(&account.base_url))
        .collect();
    redirect_origins.extend(session.body.return_url.as_deref().and_then(origin));
    redirect_origins.dedup();
    let field_errors = match (&asked.field, &asked.why) {
        (Some(field), Some(why)) if is_id(field) && is_id(why) => {
            vec![FieldError {
                field: field.clone(),
                code: why.clone(),
            }]
        }
        _ => vec![],
    };
    let text = |name: &str| {
        session
            .body
            .payment_data
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Checkout {
        session_id: session.id.as_str().into(),
        amount,
        currency,
        lines: session.body.line_items.iter().filter_map(line).collect(),
        expires_at: Some(session.expires_at),
        methods: offer.into_iter().map(method).collect(),
        chosen: asked.method.clone().filter(|slug| is_id(slug)),
        entered: Entered {
            email: session.body.email.as_deref().unwrap_or_default().into(),
            name: text("name"),
            ..Entered::default()
        },
        error,
        field_errors,
        terms: terms(&shop.settings.terms),
        csrf: app.engine.proof(&csrf(session.id.as_str())),
        attempt: kessai_core::id::random_text(25, app.engine.entropy()),
        tokens,
        cancel_url,
        redirect_origins,
        frame,
    }
}

fn line(item: &Value) -> Option<Line> {
    Some(Line {
        description: item["description"].as_str()?.to_owned(),
        quantity: item["quantity"]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(1),
        amount: item["amount"].as_i64(),
        image: item["image"].as_str().map(Into::into),
    })
}

fn method(capability: &'static Capability) -> Method {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Method {
        slug: capability.method.into(),
        fee: capability.session_fee,
        charge: None,
        brands: if capability.method == "credit_card" {
            owned(capability.subtypes)
        } else {
            vec![]
        },
        stores: if capability.method == "konbini" {
            owned(capability.subtypes)
        } else {
            vec![]
        },
        additional_fields: owned(capability.asks),
        days: match capability.deadline {
            Deadline::Days { default, .. } => Some(default),
            Deadline::Seconds(_) => None,
        },
    }
}

fn terms(given: &BTreeMap<Box<str>, Box<str>>) -> Option<Terms> {
    let text = |name: &str| given.get(name).map(ToString::to_string);
    (!given.is_empty()).then(|| Terms {
        quantity: text("quantity"),
        price: text("price"),
        payment: text("payment"),
        delivery: text("delivery"),
        application_period: text("application_period"),
        withdrawal: text("withdrawal"),
    })
}
