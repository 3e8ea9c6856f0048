//! `/payments`. Source: docs/providers/komoju.md, section 8.
use super::desk::{Desk, PAYMENT, SECURE_TOKEN, Said, TOKEN};
use super::details::{Plan, Prepaid};
use super::error::{ApiError, Done};
use super::input::Params;
use super::model::{Hook, Payment, RefundRequest, Status, Way};
use super::start::Started;
use kessai_core::Currency;
use kessai_core::time::wire_utc;
use kessai_provider::sandbox::books::Filter;
use serde_json::{Value, json};

/// No single amount is above this. Source: section 4, "amount bounds".
pub(super) const MAX_AMOUNT: i64 = 9_999_999;
pub(super) const LOCALES: &[&str] = &["ja", "en", "ko"];

/// What is used up when a payment is really made.
#[derive(Default)]
pub(super) struct Spent {
    token: Option<String>,
    secure_token: Option<String>,
}

/// Ten percent, half up.
pub(super) fn auto_tax(amount: i64) -> i64 {
    amount.saturating_add(5) / 10
}

impl Desk<'_> {
    /// Reads `payment_details`: an object, a token or a secure token.
    pub(super) fn plan(&self, body: &Params) -> Done<(Plan, Spent)> {
        match body.value("payment_details") {
            None => Err(body.missing("payment_details").into()),
            Some(Value::String(id)) if id.starts_with("tok_") => {
                let token = self.spend_token(id)?;
                Ok((
                    token.plan,
                    Spent {
                        token: Some(id.clone()),
                        ..Spent::default()
                    },
                ))
            }
            Some(Value::String(id)) => {
                let invalid = || ApiError::of("invalid_token").about("payment_details");
                let object = self.page.object(SECURE_TOKEN, id)?.ok_or_else(invalid)?;
                // One in use or made for a session's own payment is not "OK" or "SKIPPED" here.
                if !["OK", "SKIPPED"].contains(&object.status.as_str()) {
                    return Err(invalid().into());
                }
                let token = self.secure_token(id)?.ok_or_else(invalid)?;
                if token.payment.is_some() {
                    return Err(invalid().into());
                }
                let mut plan = Plan::with_saved(token.card);
                plan.shown = token.shown;
                Ok((
                    plan,
                    Spent {
                        secure_token: Some(id.clone()),
                        ..Spent::default()
                    },
                ))
            }
            Some(_) => {
                let details = body.object("payment_details")?.unwrap_or_default();
                Ok((Plan::read(&details, self.now)?, Spent::default()))
            }
        }
    }

    pub(super) fn use_up(&self, spent: &Spent) -> Done<()> {
        if let Some(id) = &spent.token
            && let Some(object) = self.page.object(TOKEN, id)?
        {
            self.page.update(TOKEN, id, "used", None, &object.body)?;
        }
        if let Some(id) = &spent.secure_token
            && let Some(object) = self.page.object(SECURE_TOKEN, id)?
        {
            self.page.update(SECURE_TOKEN, id, "USED", None, &object.body)?;
        }
        Ok(())
    }

    pub(super) fn create_payment(&self, body: &Params) -> Done<Said> {
        let amount = body.money("amount")?.ok_or_else(|| body.missing("amount"))?;
        if amount <= 0 {
            return Err(body.invalid("amount", "Amount must be greater than 0").into());
        }
        let currency = body
            .currency("currency")?
            .ok_or_else(|| body.missing("currency"))?;
        let tax = match body.text("tax", 40)?.as_deref() {
            None | Some("auto") => auto_tax(amount),
            Some(_) => body.rounded_money("tax")?.unwrap_or(0),
        };
        if amount > MAX_AMOUNT || !(0..=MAX_AMOUNT).contains(&tax) {
            return Err(body.invalid("amount", "Amount is out of range").into());
        }
        let mut customer = None;
        let (mut plan, spent) = match (body.value("payment_details"), body.text("customer", 60)?) {
            (Some(_), Some(_)) => {
                return Err(body
                    .invalid("customer", "Give either payment_details or customer")
                    .into());
            }
            (_, None) => self.plan(body)?,
            (None, Some(id)) => {
                let unknown = || body.invalid("customer", "The customer does not exist or has no saved card");
                let saved = self.customer(&id)?.ok_or_else(unknown)?;
                let mut card = saved.card.ok_or_else(unknown)?;
                card.declined = saved.scenario.or(card.declined);
                customer = Some(id);
                (Plan::with_saved(card), Spent::default())
            }
        };
        plan.complete(None)?;
        if currency != Currency::JPY && plan.flow() != super::methods::Flow::Card {
            return Err(ApiError::of("invalid_currency").about("currency").into());
        }
        check_limit(&plan, amount)?;
        let number = body.text("external_order_num", 255)?;
        if let Some(number) = &number
            && self.number_is_taken(number)?
        {
            return Err(taken(body).into());
        }
        let mut payment = Payment {
            amount,
            tax,
            currency,
            customer,
            number,
            auto: body.boolean("capture")?.unwrap_or(true),
            locale: body.choice("locale", LOCALES)?.unwrap_or("ja").to_owned(),
            description: body.text("description", 1000)?,
            metadata: body.metadata()?.unwrap_or_default(),
            mcc: body.text("mcc", 10)?,
            statement_descriptor: small(body.value("statement_descriptor")),
            platform_details: small(body.value("platform_details")),
            return_url: body.url("return_url")?,
            cancel_url: body.url("cancel_url")?,
            hooks: hooks(body.value("webhooks")),
            ..self.blank(&plan)
        };
        self.use_up(&spent)?;
        // A direct card payment skips 3-D Secure.
        plan.verified = true;
        match self.start(&mut payment, &plan)? {
            Started::Declined(code) => self.declined(&code),
            Started::Done | Started::Away(_) => self.said(&payment),
        }
    }

    pub(super) fn said(&self, payment: &Payment) -> Done<Said> {
        Said::json(&payment.view(self.old_version))
    }

    pub(super) fn declined(&self, code: &str) -> Done<Said> {
        let error = ApiError::of(code);
        Ok(Said {
            status: error.status,
            body: json!({"error": error.object()}).to_string(),
        })
    }

    pub(super) fn list_payments(&self, query: &Params) -> Done<Said> {
        let statuses = query.text("status", 200)?.unwrap_or_default();
        let statuses: Vec<&str> = statuses
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .collect();
        if let Some(unknown) = statuses.iter().find(|status| Status::parse(status).is_none()) {
            return Err(query
                .invalid("status", &format!("Unknown status {unknown}"))
                .into());
        }
        let number = query.text("external_order_num", 255)?;
        let currency = query.currency("currency")?;
        let filter = Filter {
            kind: PAYMENT,
            number: number.as_deref(),
            statuses,
            holding: currency.map(|currency| ("currency", currency.code())),
            ..Filter::default()
        };
        self.paged(query, filter, |text| {
            let payment: Payment = serde_json::from_str(text)?;
            Ok(serde_json::to_value(payment.view(self.old_version))?)
        })
    }

    /// A list object: `page`, `per_page`, `start_time`, `end_time` on top of the filter. Newest first.
    pub(super) fn paged(
        &self,
        query: &Params,
        filter: Filter<'_>,
        show: impl Fn(&str) -> Done<Value>,
    ) -> Done<Said> {
        let instant = |name: &str| -> Done<_> {
            let Some(text) = query.text(name, 60)? else {
                return Ok(None);
            };
            let read = text.parse().or_else(|_| format!("{text}T00:00:00Z").parse());
            read.map(Some)
                .map_err(|_| query.invalid(name, "An ISO 8601 time was expected").into())
        };
        let number = |name: &str, default: i64| -> Done<u64> {
            let value = query.integer(name)?.unwrap_or(default);
            let positive = u64::try_from(value).ok().filter(|value| *value >= 1);
            positive.ok_or_else(|| query.invalid(name, "Must be at least 1").into())
        };
        let page = number("page", 1)?;
        let per_page = number("per_page", 10)?.min(100);
        let filter = Filter {
            from: instant("start_time")?,
            until: instant("end_time")?,
            ..filter
        };
        let (total, objects) = self
            .page
            .list(&filter, (page - 1).saturating_mul(per_page), per_page)?;
        let data = objects
            .iter()
            .map(|object| show(&object.body))
            .collect::<Done<Vec<_>>>()?;
        let last_page = total.div_ceil(per_page);
        Said::json(&json!({
            "resource": "list", "total": total, "page": page, "per_page": per_page, "last_page": last_page, "data": data,
        }))
    }

    pub(super) fn update_payment(&self, id: &str, body: &Params) -> Done<Said> {
        let mut payment = self.payment(id)?;
        let description = body.text("description", 1000)?;
        let metadata = body.metadata()?;
        if let Some(details) = body.object("payment_details")? {
            if payment.way != Way::Prepaid || payment.status != Status::Pending {
                return Err(
                    ApiError::impossible("Another prepaid number is not expected for this payment.").into(),
                );
            }
            let prepaid = Prepaid::read(&details)?;
            if let Some(code) = &prepaid.declined {
                return Err(ApiError::of(code).into());
            }
            self.add_prepaid(&mut payment, &prepaid)?;
        }
        payment.description = description.or(payment.description);
        payment.metadata = metadata.unwrap_or(payment.metadata);
        self.save_payment(&payment)?;
        self.payment_event("payment.updated", &payment, None)?;
        self.said(&payment)
    }

    pub(super) fn capture_payment(&self, id: &str, body: &Params) -> Done<Said> {
        let mut payment = self.payment(id)?;
        let amount = body.money("amount")?;
        let tax = body.rounded_money("tax")?;
        if payment.status != Status::Authorized || payment.auto || payment.way == Way::Slip {
            return Err(ApiError::of("not_capturable").into());
        }
        let tax = match (amount, tax) {
            (_, Some(tax)) => tax,
            (Some(amount), None) if amount != payment.amount && payment.tax > 0 => auto_tax(amount),
            (_, None) => payment.tax,
        };
        let amount = amount.unwrap_or(payment.amount);
        if amount <= 0 || tax < 0 {
            return Err(body.invalid("amount", "Amount must be greater than 0").into());
        }
        if amount.saturating_add(tax) > payment.amount + payment.tax {
            return Err(body
                .invalid("amount", "Amount is more than was authorized")
                .into());
        }
        self.take(&mut payment, amount, tax)?;
        self.said(&payment)
    }

    pub(super) fn cancel_payment(&self, id: &str) -> Done<Said> {
        let mut payment = self.payment(id)?;
        if !payment.status.is_open() {
            return Err(ApiError::of("not_cancellable").into());
        }
        self.let_go(&mut payment, Status::Cancelled)?;
        self.said(&payment)
    }

    pub(super) fn refund_payment(&self, id: &str, body: &Params) -> Done<Said> {
        let mut payment = self.payment(id)?;
        let amount = body.money("amount")?;
        let description = body.text("description", 1000)?;
        if payment.status != Status::Captured || payment.way == Way::Slip {
            return Err(ApiError::of("not_refundable").into());
        }
        let left = payment.total() - payment.amount_refunded;
        let amount = amount.unwrap_or(left);
        if amount <= 0 {
            return Err(body.invalid("amount", "Amount must be greater than 0").into());
        }
        if amount > left {
            return Err(body
                .invalid("amount", "Amount is more than is left to refund")
                .into());
        }
        self.give_back(&mut payment, amount, description)?;
        self.said(&payment)
    }

    pub(super) fn request_refund(&self, id: &str, body: &Params) -> Done<Said> {
        let mut payment = self.payment(id)?;
        if payment.status != Status::Captured || payment.way != Way::Slip {
            return Err(ApiError::of("not_refundable").into());
        }
        let digits = |name: &str, length: usize| -> Done<String> {
            let text = body.need_text(name, 10)?;
            let sound = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
            if sound {
                Ok(text)
            } else {
                Err(body
                    .invalid(name, &format!("{length} digits were expected"))
                    .into())
            }
        };
        let amount = body.money("amount")?.ok_or_else(|| body.missing("amount"))?;
        let asked: i64 = payment
            .refund_requests
            .iter()
            .filter(|r| r.status == "pending")
            .map(|r| r.amount)
            .sum();
        let fee = if body.boolean("include_payment_method_fee")?.unwrap_or(false) {
            0
        } else {
            payment.fee
        };
        if amount <= 0 || amount > payment.total() - fee - payment.amount_refunded - asked {
            return Err(body
                .invalid("amount", "Amount is more than is left to refund")
                .into());
        }
        let kind = body.choice("account_type", &["normal", "checking", "savings"])?;
        let request = RefundRequest {
            id: self.new_id(),
            payment: payment.id.clone(),
            customer_name: body.need_text("customer_name", 100)?,
            bank_name: body.need_text("bank_name", 100)?,
            bank_code: body.text("bank_code", 4)?,
            branch_name: body.text("branch_name", 100)?,
            branch_number: digits("branch_number", 3)?,
            account_type: kind.ok_or_else(|| body.missing("account_type"))?.to_owned(),
            account_number: digits("account_number", 7)?,
            description: body.text("description", 1000)?,
            status: "pending".to_owned(),
            created_at: wire_utc(self.now),
            amount,
        };
        if payment.refund_requests.len() >= 100 {
            return Err(ApiError::impossible("There are too many refund requests.").into());
        }
        payment.refund_requests.push(request);
        self.save_payment(&payment)?;
        self.payment_event("refund_request.updated", &payment, None)?;
        self.said(&payment)
    }
}

pub(super) fn taken(body: &Params) -> ApiError {
    body.invalid("external_order_num", "External order num has already been taken")
}

/// A slip is paid in cash up to ¥299,999; everything else has the general bound.
pub(super) fn check_limit(plan: &Plan, amount: i64) -> Result<(), ApiError> {
    if plan.slug == "konbini" && amount > 299_999 {
        return Err(ApiError::invalid(
            "amount",
            "Amount is more than a convenience store takes",
        ));
    }
    Ok(())
}

/// What is only repeated is kept when it is small.
pub(super) fn small(value: Option<&Value>) -> Option<Value> {
    value
        .filter(|value| value.is_object() && value.to_string().len() <= 4096)
        .cloned()
}

/// A payment's own webhooks; ignored when malformed. The format is a guess: section 18.
fn hooks(value: Option<&Value>) -> Vec<Hook> {
    let hooks: Vec<Hook> = value
        .and_then(|value| serde_json::from_value(value.clone()).ok())
        .unwrap_or_default();
    let sound = |hook: &Hook| {
        hook.url.starts_with("http") && hook.url.len() <= 2048 && hook.secret_token.len() <= 200
    };
    hooks.into_iter().filter(sound).take(5).collect()
}
