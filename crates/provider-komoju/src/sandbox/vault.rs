//! `/tokens`, `/secure_tokens`, `/customers`, `/events`. Source: docs/providers/komoju.md, sections 10 and 11.
use super::cards::{Card, ThreeDs};
use super::desk::{CUSTOMER, Desk, EVENT, Said, TOKEN};
use super::details::{Means, Plan, email};
use super::error::{ApiError, Done};
use super::input::Params;
use super::model::{Customer, SecureToken, Token};
use jiff::SignedDuration;
use kessai_core::time::wire_utc;
use kessai_provider::sandbox::books::Filter;
use serde_json::{Value, json};

const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(1);

impl Desk<'_> {
    pub(super) fn create_token(&self, body: &Params) -> Done<Said> {
        let details = body
            .object("payment_details")?
            .ok_or_else(|| body.missing("payment_details"))?;
        let plan = Plan::read(&details, self.now)?;
        body.currency("currency")?;
        let id = format!("tok_{}", self.new_id());
        let shown = json!({
            "id": id, "resource": "token", "created_at": wire_utc(self.now), "payment_details": plan.shown,
        });
        let expires_at = self.now.saturating_add(TOKEN_LIFE).unwrap_or(self.now);
        self.enter(
            TOKEN,
            &id,
            None,
            "fresh",
            &serde_json::to_string(&Token { plan, expires_at })?,
        )?;
        Said::json(&shown)
    }

    pub(super) fn create_secure_token(&self, body: &Params) -> Done<Said> {
        let amount = body.money("amount")?.ok_or_else(|| body.missing("amount"))?;
        let currency = body
            .currency("currency")?
            .ok_or_else(|| body.missing("currency"))?;
        let return_url = body
            .url("return_url")?
            .ok_or_else(|| body.missing("return_url"))?;
        if amount < 0 {
            return Err(body.invalid("amount", "Amount must not be negative").into());
        }
        let (card, shown) = match body.text("customer", 60)? {
            Some(id) if body.value("payment_details").is_none() => {
                let card = self.customer(&id)?.and_then(|customer| customer.card);
                let card = card.ok_or_else(|| body.invalid("customer", "The customer has no saved card"))?;
                let shown = card.shown();
                (card, shown)
            }
            _ => {
                let (plan, spent) = self.plan(body)?;
                let Means::Card(card) = plan.means else {
                    return Err(ApiError::of("invalid_payment_type")
                        .about("payment_details.type")
                        .into());
                };
                self.use_up(&spent)?;
                (card, plan.shown)
            }
        };
        let needed = card.three_ds != ThreeDs::None;
        let token = SecureToken {
            id: self.new_id(),
            verification_status: if needed { "NEEDS_VERIFY" } else { "SKIPPED" }.to_owned(),
            created_at: self.now,
            card,
            shown,
            amount,
            currency,
            return_url: Some(return_url),
            payment: None,
            saving_for: None,
        };
        self.enter_secure_token(&token)?;
        Said::json(&self.secure_token_view(&token))
    }

    pub(super) fn show_secure_token(&self, id: &str) -> Done<Said> {
        let token = self.secure_token(id)?.ok_or_else(|| ApiError::of("not_found"))?;
        Said::json(&self.secure_token_view(&token))
    }

    pub(super) fn secure_token_view(&self, token: &SecureToken) -> Value {
        let mut view = json!({
            "id": token.id, "secure_token": token.id, "verification_status": token.verification_status,
            "authentication_url": self.house.three_ds_url(&token.id), "created_at": wire_utc(token.created_at),
        });
        if token.verification_status == "OK" {
            view["three_ds_auth_result"] =
                json!({"eci": "05", "messageVersion": "2.2.0", "transStatus": "Y"});
        }
        view
    }

    pub(super) fn create_customer(&self, body: &Params, scenario: Option<String>) -> Done<Said> {
        let email = email(body)?;
        let metadata = body.metadata()?.unwrap_or_default();
        let card = self.card_to_save(body)?;
        let (id, created_at) = (self.new_id(), self.now);
        let customer = Customer {
            id,
            email,
            card,
            metadata,
            created_at,
            scenario,
        };
        self.enter_customer(&customer)?;
        self.plain_event("customer.created", customer_view(&customer))?;
        Said::json(&customer_view(&customer))
    }

    pub(super) fn update_customer(&self, id: &str, body: &Params) -> Done<Said> {
        let mut customer = self.customer(id)?.ok_or_else(|| ApiError::of("not_found"))?;
        let email = email(body)?;
        let metadata = body.metadata()?;
        let card = self.card_to_save(body)?;
        customer.email = email.or(customer.email);
        customer.metadata = metadata.unwrap_or(customer.metadata);
        customer.card = card.or(customer.card);
        self.save_customer_object(&customer)?;
        self.plain_event("customer.updated", customer_view(&customer))?;
        Said::json(&customer_view(&customer))
    }

    pub(super) fn delete_customer(&self, id: &str) -> Done<Said> {
        let mut customer = self.customer(id)?.ok_or_else(|| ApiError::of("not_found"))?;
        customer.card = None;
        self.page.erase(CUSTOMER, id)?;
        self.plain_event("customer.deleted", customer_view(&customer))?;
        Said::json(&customer_view(&customer))
    }

    pub(super) fn show_customer(&self, id: &str) -> Done<Said> {
        let customer = self.customer(id)?.ok_or_else(|| ApiError::of("not_found"))?;
        Said::json(&customer_view(&customer))
    }

    pub(super) fn list_customers(&self, query: &Params) -> Done<Said> {
        let filter = Filter {
            kind: CUSTOMER,
            ..Filter::default()
        };
        self.paged(query, filter, |text| {
            Ok(customer_view(&serde_json::from_str(text)?))
        })
    }

    pub(super) fn save_customer_object(&self, customer: &Customer) -> Done<()> {
        Ok(self.page.update(
            CUSTOMER,
            &customer.id,
            "active",
            None,
            &serde_json::to_string(customer)?,
        )?)
    }

    /// The card in `payment_details`, used up when it is a token. Only cards are saved.
    fn card_to_save(&self, body: &Params) -> Done<Option<Card>> {
        if body.value("payment_details").is_none() {
            return Ok(None);
        }
        let (plan, spent) = self.plan(body)?;
        let Means::Card(card) = plan.means else {
            return Err(ApiError::of("invalid_payment_type")
                .about("payment_details.type")
                .into());
        };
        self.use_up(&spent)?;
        Ok(Some(card))
    }

    pub(super) fn list_events(&self, query: &Params) -> Done<Said> {
        let filter = Filter {
            kind: EVENT,
            ..Filter::default()
        };
        self.paged(query, filter, |text| Ok(serde_json::from_str(text)?))
    }

    pub(super) fn show_event(&self, id: &str) -> Done<Said> {
        let event = self
            .page
            .object(EVENT, id)?
            .ok_or_else(|| ApiError::of("not_found"))?;
        Ok(Said {
            status: 200,
            body: event.body,
        })
    }
}

pub(super) fn customer_view(customer: &Customer) -> Value {
    json!({
        "id": customer.id, "resource": "customer", "email": customer.email,
        "source": customer.card.as_ref().map(Card::source), "metadata": customer.metadata,
        "created_at": wire_utc(customer.created_at),
    })
}
