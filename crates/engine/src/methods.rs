//! Which methods a shop can offer, and who serves them.
use crate::directory::Shop;
use crate::model::Session;
use crate::problem::Problem;
use crate::{Engine, vault};
use kessai_core::Currency;
use kessai_core::capability::{Capability, Kind};
use kessai_provider::port::{Account, Provider};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A method, who serves it, and with which account.
pub struct Route {
    /// What it can do there.
    pub capability: &'static Capability,
    /// Who serves it.
    pub provider: Arc<dyn Provider>,
    /// The shop's account there.
    pub account: Arc<Account>,
}

impl Engine {
    /// Who serves a method in a shop: the first of its routes that can.
    pub fn route(&self, shop: &Shop, method: &str) -> Option<Route> {
        if !shop.settings.methods.is_empty() && !shop.settings.methods.iter().any(|m| m.as_ref() == method) {
            return None;
        }
        let serve = |provider: &Arc<dyn Provider>| {
            let account = shop.accounts.get(provider.id())?.clone();
            let capability = provider
                .capabilities()
                .iter()
                .find(|capability| capability.method == method)?;
            Some(Route {
                capability,
                provider: provider.clone(),
                account,
            })
        };
        match shop.settings.routes.get(method) {
            Some(order) => order.iter().filter_map(|id| self.provider(id)).find_map(serve),
            None => self.providers().find_map(serve),
        }
    }

    /// The line of the matrix for a method in a shop.
    pub fn capability(&self, shop: &Shop, method: &str) -> Option<&'static Capability> {
        self.route(shop, method).map(|route| route.capability)
    }

    /// Every method a shop can offer, in its order.
    pub fn offered(&self, shop: &Shop) -> Vec<&'static Capability> {
        if !shop.settings.methods.is_empty() {
            return shop
                .settings
                .methods
                .iter()
                .filter_map(|method| self.capability(shop, method))
                .collect();
        }
        let mut seen: Vec<&'static Capability> = Vec::new();
        for provider in self.providers() {
            for capability in provider.capabilities() {
                if seen.iter().all(|known| known.method != capability.method)
                    && let Some(capability) = self.capability(shop, capability.method)
                {
                    seen.push(capability);
                }
            }
        }
        seen
    }

    /// The methods a session offers: those it named, or all of the shop's, that fit its amount and mode.
    pub fn session_offer(&self, shop: &Shop, session: &Session) -> Vec<&'static Capability> {
        let amount = session.body.amount;
        self.offered(shop)
            .into_iter()
            .filter(|c| {
                session.body.methods.is_empty() || session.body.methods.iter().any(|m| m.as_ref() == c.method)
            })
            .filter(|c| c.flows.session)
            .filter(|c| !session.mode.stores_customer() || c.flows.stored)
            .filter(|c| c.currencies.contains(&amount.currency()))
            .filter(|c| amount.is_zero() || c.fits(amount.minor(), amount.currency()))
            .collect()
    }

    /// `GET /payment_methods`: one entry per method and currency.
    pub fn payment_methods(&self, shop: &Shop) -> Value {
        let mut list = Vec::new();
        for capability in self.offered(shop) {
            for currency in capability.currencies {
                let mut entry = Map::new();
                entry.insert("name_en".into(), capability.name_en.into());
                entry.insert("name_ja".into(), capability.name_ja.into());
                entry.insert("name_ko".into(), capability.name_ko.into());
                entry.insert("type_slug".into(), capability.method.into());
                entry.insert("currency".into(), currency.code().into());
                if !capability.subtypes.is_empty() {
                    entry.insert("subtypes".into(), capability.subtypes.into());
                }
                if capability.kind == Kind::Card {
                    entry.insert("secure_token_supported".into(), true.into());
                }
                list.push(Value::Object(entry));
            }
        }
        Value::Array(list)
    }
}

/// A session's methods as the API shows them.
pub fn session_methods(shop: &Shop, session: &Session, offer: &[&'static Capability]) -> Vec<Value> {
    offer
        .iter()
        .map(|capability| {
            let mut entry = Map::new();
            let method = capability.method;
            entry.insert("type".into(), method.into());
            match capability.kind {
                Kind::Card => {
                    entry.insert("brands".into(), capability.subtypes.into());
                }
                Kind::Slip if !capability.subtypes.is_empty() => {
                    let brands: Map<String, Value> = capability
                        .subtypes
                        .iter()
                        .map(|store| {
                            (
                                (*store).into(),
                                json!({"icon": format!("/payment_methods/{store}.svg")}),
                            )
                        })
                        .collect();
                    entry.insert("brands".into(), brands.into());
                }
                Kind::Offsite => {
                    entry.insert("offsite".into(), true.into());
                    entry.insert("additional_fields".into(), capability.asks.into());
                }
                Kind::Slip | Kind::Prepaid => {}
            }
            if capability.session_fee > 0 {
                entry.insert("customer_fee".into(), capability.session_fee.into());
            }
            let print = vault::sha256(format!("{}/{method}", shop.id).as_bytes());
            entry.insert("hashed_gateway".into(), hex::encode(&print[..8]).into());
            if session.mode != kessai_core::session::SessionMode::Customer {
                entry.insert("amount".into(), session.body.amount.minor().into());
                entry.insert("currency".into(), session.body.amount.currency().code().into());
                entry.insert("exchange_rate".into(), 1.into());
            }
            Value::Object(entry)
        })
        .collect()
}

/// Whether a method can charge this much.
///
/// # Errors
/// `invalid_currency` or `invalid_parameter`, naming the bounds.
pub fn check_amount(capability: &Capability, total: i64, currency: Currency) -> Result<(), Problem> {
    if !capability.currencies.contains(&currency) {
        return Err(Problem {
            param: Some("currency".into()),
            ..Problem::with(
                "invalid_currency",
                format!("{} cannot be paid in {currency}", capability.method),
            )
        });
    }
    if !(capability.minimum..=capability.maximum).contains(&total) {
        return Err(Problem::invalid(
            "amount",
            format!(
                "Amount must be from {} to {} for {}",
                capability.minimum, capability.maximum, capability.method
            ),
        ));
    }
    Ok(())
}
