//! `/sessions`. Source: docs/providers/komoju.md, section 7.
use super::cards::{Card, ThreeDs};
use super::desk::{Desk, Said};
use super::details::{Means, email};
use super::error::{ApiError, Done};
use super::input::Params;
use super::methods::{self, Flow, KONBINI_FEE};
use super::model::{Payment, SecureToken, Session, SessionStatus, Status};
use super::payments::{LOCALES, MAX_AMOUNT, check_limit, small, taken};
use super::start::Started;
use jiff::SignedDuration;
use kessai_core::time::{wire_tokyo_millis, wire_utc};
use serde_json::{Map, Value, json};

impl Desk<'_> {
    pub(super) fn create_session(&self, body: &Params, scenario: Option<String>) -> Done<Said> {
        let mode = body
            .choice("mode", &["payment", "customer", "customer_payment"])?
            .unwrap_or("payment");
        let data = body.object("payment_data")?.unwrap_or_default();
        let amount = match body.money("amount")? {
            Some(amount) => Some(amount),
            None => data.money("amount")?,
        };
        let amount = amount
            .or((mode == "customer").then_some(0))
            .ok_or_else(|| body.missing("amount"))?;
        let currency = match body.currency("currency")? {
            Some(currency) => Some(currency),
            None => data.currency("currency")?,
        };
        let currency = currency.ok_or_else(|| body.missing("currency"))?;
        if !(0..=MAX_AMOUNT).contains(&amount) || (amount == 0 && mode == "payment") {
            return Err(body.invalid("amount", "Amount must be greater than 0").into());
        }
        let auto = data.choice("capture", &["auto", "manual"])?.unwrap_or("auto") == "auto";
        // Shipped plugins also send it at the top, where it has no meaning.
        let number = data.text("external_order_num", 255)?;
        if let Some(number) = &number
            && self.number_is_taken(number)?
        {
            return Err(taken(&data).into());
        }
        let life = body.integer("expires_in_seconds")?.unwrap_or(86_400);
        if !(1..=86_400).contains(&life) {
            return Err(body.invalid("expires_in_seconds", "Must be 1 to 86400").into());
        }
        let customer = match body.text("customer_id", 60)? {
            Some(id) if mode != "payment" => {
                self.customer(&id)?
                    .ok_or_else(|| body.invalid("customer_id", "The customer does not exist"))?;
                Some(id)
            }
            _ => None,
        };
        let session = Session {
            id: self.new_id(),
            mode: mode.to_owned(),
            status: SessionStatus::Pending,
            amount,
            currency,
            locale: body.choice("default_locale", LOCALES)?.unwrap_or("ja").to_owned(),
            types: types(body, mode)?,
            created_at: self.now,
            expires_at: self
                .now
                .saturating_add(SignedDuration::from_secs(life))
                .unwrap_or(self.now),
            auto,
            payment_data: kept_data(&data)?,
            number,
            return_url: body.url("return_url")?,
            cancelled_at: None,
            completed_at: None,
            metadata: body.metadata()?.unwrap_or_default(),
            payment: None,
            customer,
            secure_token: None,
            line_items: body
                .value("line_items")
                .filter(|v| v.is_array() && v.to_string().len() <= 65_536)
                .cloned(),
            email: email(body)?,
            scenario,
        };
        self.enter_session(&session)?;
        self.show(&session)
    }

    pub(super) fn show_session(&self, id: &str) -> Done<Said> {
        self.show(&self.session(id)?)
    }

    pub(super) fn cancel_session(&self, id: &str) -> Done<Said> {
        let mut session = self.session(id)?;
        if session.status != SessionStatus::Pending || session.expired(self.now) {
            return Err(ApiError::impossible("The session can no longer be cancelled.").into());
        }
        session.status = SessionStatus::Cancelled;
        session.cancelled_at = Some(self.now);
        self.save_session(&session)?;
        if let Some(id) = &session.payment {
            let mut payment = self.payment(id)?;
            if payment.status.is_open() {
                self.let_go(&mut payment, Status::Cancelled)?;
            }
        }
        self.show(&session)
    }

    pub(super) fn pay_session(&self, id: &str, body: &Params) -> Done<Said> {
        let mut session = self.session(id)?;
        if session.status != SessionStatus::Pending || session.expired(self.now) {
            return Err(ApiError::impossible("The session is completed, cancelled or expired.").into());
        }
        let (mut plan, spent) = self.plan(body)?;
        if !session.types.contains(&plan.slug) {
            return Err(ApiError::of("invalid_payment_type")
                .saying(format!(
                    "Payment type {} is not one of {}",
                    plan.slug,
                    session.types.join(", ")
                ))
                .about("payment_details.type")
                .into());
        }
        plan.complete(session.email.as_deref())?;
        let auto = body
            .choice("capture", &["auto", "manual"])?
            .map_or(session.auto, |capture| capture == "auto");
        let Some((amount, currency, _)) = methods::charged(plan.flow(), session.amount, session.currency)
        else {
            return Err(ApiError::of("invalid_currency").about("currency").into());
        };
        check_limit(&plan, amount)?;
        let desk = Desk {
            forced: self.forced.clone().or_else(|| session.scenario.clone()),
            ..self.again()
        };
        desk.use_up(&spent)?;
        if session.mode == "customer" {
            return desk.pay_nothing(&mut session, plan.means, plan.verified);
        }
        let saving = match &plan.means {
            Means::Card(card) if session.mode == "customer_payment" => Some(card.clone()),
            _ => None,
        };
        let mut payment = Payment {
            amount,
            currency,
            auto,
            fee: if plan.slug == "konbini" { KONBINI_FEE } else { 0 },
            number: session.number.clone(),
            locale: session.locale.clone(),
            metadata: session.metadata.clone(),
            session: Some(session.id.clone()),
            mcc: session
                .payment_data
                .get("mcc")
                .and_then(Value::as_str)
                .map(str::to_owned),
            statement_descriptor: session.payment_data.get("statement_descriptor").cloned(),
            return_url: session.return_url.clone(),
            saving,
            ..desk.blank(&plan)
        };
        let started = desk.start(&mut payment, &plan)?;
        let (status, redirect_url) = match started {
            Started::Declined(code) => return Ok(declined(&code)),
            Started::Away(url) => {
                session.payment = Some(payment.id.clone());
                // The secure token's id is the last part of the page's address.
                session.secure_token = match plan.flow() {
                    Flow::Card => url.rsplit('=').next().map(str::to_owned),
                    Flow::Slip | Flow::Offsite | Flow::Prepaid => None,
                };
                desk.save_session(&session)?;
                ("pending", Some(url))
            }
            Started::Done if payment.status == Status::Pending => {
                session.payment = Some(payment.id.clone());
                desk.save_session(&session)?;
                ("pending", None)
            }
            Started::Done => {
                desk.complete_session(&mut payment)?;
                let back = session
                    .back()
                    .unwrap_or_else(|| self.house.session_url(&session.id));
                let slip = plan.flow() == Flow::Slip;
                let instructions = format!("{}/instructions", self.house.session_url(&session.id));
                ("completed", Some(if slip { instructions } else { back }))
            }
        };
        Said::json(&json!({
            "status": status, "redirect_url": redirect_url, "payment": payment.view(self.old_version),
        }))
    }

    /// A session in mode `customer`: the card is saved, nothing is charged.
    fn pay_nothing(&self, session: &mut Session, means: Means, verified: bool) -> Done<Said> {
        let Means::Card(card) = means else {
            return Err(ApiError::of("invalid_payment_type")
                .about("payment_details.type")
                .into());
        };
        if let Some(code) = self.forced.clone().or_else(|| card.declined.clone()) {
            return Ok(declined(&code));
        }
        if !verified && card.three_ds != ThreeDs::None {
            let shown = card.source();
            let token = SecureToken {
                id: self.new_id(),
                verification_status: "NEEDS_VERIFY".to_owned(),
                created_at: self.now,
                card,
                shown,
                amount: 0,
                currency: session.currency,
                return_url: Some(
                    session
                        .back()
                        .unwrap_or_else(|| self.house.session_url(&session.id)),
                ),
                payment: None,
                saving_for: Some(session.id.clone()),
            };
            self.enter_secure_token(&token)?;
            session.secure_token = Some(token.id.clone());
            self.save_session(session)?;
            let url = self.house.three_ds_url(&token.id);
            return Said::json(&json!({"status": "pending", "redirect_url": url}));
        }
        let customer = self.register(session, card)?;
        let back = session
            .back()
            .unwrap_or_else(|| self.house.session_url(&session.id));
        Said::json(&json!({"status": "completed", "redirect_url": back, "customer": customer}))
    }

    /// Saves the card and completes the session. Returns the long form of a customer.
    pub(super) fn register(&self, session: &mut Session, card: Card) -> Done<Value> {
        let customer = self.save_customer(session.customer.clone(), session.email.clone(), card)?;
        session.customer = Some(customer.id.clone());
        session.status = SessionStatus::Completed;
        session.completed_at = Some(self.now);
        session.secure_token = None;
        self.save_session(session)?;
        let at = wire_utc(customer.created_at);
        Ok(json!({
            "id": customer.created_at.as_second(), "uuid": customer.id, "merchant_id": 1, "created_at": at,
            "updated_at": wire_utc(self.now), "email": customer.email, "currency": session.currency,
            "locale": session.locale, "name": null, "phone": null, "archived_at": null,
        }))
    }

    fn show(&self, session: &Session) -> Done<Said> {
        let with_amount = session.mode != "customer";
        let offered = session.types.iter().filter_map(|slug| {
            methods::offered(
                methods::find(slug)?,
                session.amount,
                session.currency,
                with_amount,
            )
        });
        let payment = match &session.payment {
            Some(id) => serde_json::to_value(self.payment(id)?.view(self.old_version))?,
            None => Value::Null,
        };
        let token = match &session.secure_token {
            Some(id) => self.secure_token(id)?.map(|token| self.secure_token_view(&token)),
            None => None,
        };
        let mut view = json!({
            "id": session.id, "resource": "session", "mode": session.mode, "amount": session.amount,
            "currency": session.currency, "session_url": self.house.session_url(&session.id),
            "return_url": session.return_url, "default_locale": session.locale,
            "payment_methods": offered.collect::<Vec<_>>(), "created_at": wire_tokyo_millis(session.created_at),
            "cancelled_at": session.cancelled_at.map(wire_tokyo_millis),
            "completed_at": session.completed_at.map(wire_tokyo_millis), "status": session.status.as_str(),
            "expired": session.expired(self.now), "merchant": {"name": "Sandbox"}, "metadata": session.metadata,
            "payment": payment, "payment_data": session.payment_data, "secure_token": token,
        });
        if session.mode != "payment" {
            view["customer_id"] = json!(session.customer);
        }
        if let Some(items) = &session.line_items {
            view["line_items"] = items.clone();
        }
        if let Some(email) = &session.email {
            view["email"] = json!(email);
        }
        Said::json(&view)
    }
}

/// A failed pay: the code's own HTTP status, and both the session's and the general shape (section 7.7).
fn declined(code: &str) -> Said {
    let error = ApiError::of(code);
    Said {
        status: error.status,
        body: json!({"status": "error", "error": error.object()}).to_string(),
    }
}

fn types(body: &Params, mode: &str) -> Done<Vec<String>> {
    let mut types = match body.texts("payment_types")? {
        Some(types) if !types.is_empty() => types,
        _ => methods::METHODS.iter().map(|spec| spec.slug.to_owned()).collect(),
    };
    if let Some(unknown) = types.iter().find(|slug| methods::find(slug).is_none()) {
        return Err(ApiError::of("invalid_payment_type")
            .saying(format!("Payment type {unknown} is not offered"))
            .about("payment_types")
            .into());
    }
    if mode == "customer" {
        types.retain(|slug| slug == "credit_card");
    }
    types.dedup();
    Ok(types)
}

/// What a session repeats of its `payment_data`.
fn kept_data(data: &Params) -> Done<Map<String, Value>> {
    let mut kept = Map::new();
    kept.insert(
        "capture".into(),
        json!(data.choice("capture", &["auto", "manual"])?.unwrap_or("auto")),
    );
    for name in ["external_order_num", "name", "name_kana", "mcc"] {
        if let Some(text) = data.text(name, 255)? {
            kept.insert(name.into(), json!(text));
        }
    }
    for name in ["platform_details", "statement_descriptor"] {
        if let Some(value) = small(data.value(name)) {
            kept.insert(name.into(), value);
        }
    }
    Ok(kept)
}
