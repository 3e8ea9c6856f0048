//! `/sandbox/…`: what a test or an operator does to the world behind the API. Open: the sandbox belongs on loopback.
use super::KomojuSandbox;
use super::Webhook;
use super::desk::{Desk, Said};
use super::error::{ApiError, Done, Fail};
use super::html;
use super::input::Params;
use super::model::{Payment, Status, Way};
use super::world::Choice;
use bytes::Bytes;
use jiff::Timestamp;
use kessai_core::Secret;
use kessai_core::id::random_text;
use kessai_provider::sandbox::books::Movement;
use kessai_provider::sandbox::{Ask, BooksError, FaultRule};
use kessai_provider::transport::{Method, Reply};
use serde_json::{Map, Value, json};
use std::sync::PoisonError;

fn plain(said: Said) -> Reply {
    Reply {
        status: said.status,
        headers: vec![(
            "content-type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        )],
        body: Bytes::from(said.body),
    }
}

impl KomojuSandbox {
    pub(super) fn control(&self, ask: &Ask, path: &str, now: Timestamp) -> Reply {
        if path == "style.css" && ask.method == Method::Get {
            return html::style();
        }
        let is_form = ask
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form"));
        let done = self.control_said(ask, path, now);
        match done {
            // The form on the front page.
            Ok(_) if is_form => html::redirect(&format!("{}/", self.root)),
            Ok(said) => plain(said),
            Err(Fail::Api(error)) => plain(Said {
                status: error.status,
                body: json!({"error": error.object()}).to_string(),
            }),
            Err(Fail::Books(fault)) => {
                self.logged::<()>(Err(fault));
                plain(Said {
                    status: 500,
                    body: json!({"error": {"code": "internal_server_error"}}).to_string(),
                })
            }
        }
    }

    fn control_said(&self, ask: &Ask, path: &str, now: Timestamp) -> Done<Said> {
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let query = Params::form(ask.query());
        let limit = query
            .integer("limit")?
            .unwrap_or(500)
            .clamp(1, 5_000)
            .unsigned_abs();
        match (ask.method, parts.as_slice()) {
            (Method::Get, ["books"]) => {
                let after = query.text("after", 60)?.unwrap_or_default();
                let data = self
                    .books
                    .read(|page| page.totals(super::desk::PAYMENT, &after, limit))?;
                let full = u64::try_from(data.len()).is_ok_and(|length| length == limit);
                let next = data.last().filter(|_| full).map(|last| last.payment.clone());
                Said::json(&json!({"data": data, "next": next}))
            }
            (Method::Get, ["charges"]) => {
                let after = query.integer("after")?.unwrap_or(0);
                let data = self.books.read(|page| page.charges(after, limit))?;
                let full = u64::try_from(data.len()).is_ok_and(|length| length == limit);
                let next = data.last().filter(|_| full).map(|last| last.n);
                Said::json(&json!({"data": data, "next": next}))
            }
            (Method::Get, ["state"]) => {
                let (counts, (owed, given_up)) = self
                    .books
                    .read(|page| Ok::<_, BooksError>((page.counts()?, page.notices_left()?)))?;
                let mut objects: Map<String, Value> = Map::new();
                for (kind, status, n) in counts {
                    objects.entry(kind).or_insert_with(|| json!({}))[status] = json!(n);
                }
                let notices = json!({"owed": owed, "given_up": given_up});
                Said::json(&json!({
                    "provider": "komoju", "now": now, "objects": objects, "notices": notices,
                    "faults": self.faults.rules().len(), "webhook": self.webhook_now().map(|(url, _)| url),
                }))
            }
            (Method::Get, ["faults"]) => Said::json(&self.faults.rules()),
            (Method::Post, ["faults"]) => {
                let added = rules(ask)?;
                if !added.into_iter().all(|rule| self.faults.add(rule)) {
                    return Err(ApiError::impossible("There are too many faults.").into());
                }
                self.keep_faults()
            }
            (Method::Delete, ["faults"]) => {
                self.faults.replace(Vec::new());
                self.keep_faults()
            }
            (Method::Post, ["faults", "clear"]) => {
                self.faults.replace(Vec::new());
                self.keep_faults()
            }
            (Method::Post, ["webhook"]) => self.set_webhook(&read(ask)?, now),
            (Method::Get, ["payments", id]) => self
                .books
                .read(|page| self.desk(page, now).payment(id))
                .and_then(|payment| Said::json(&payment.view(false))),
            (Method::Post, ["payments", id, act]) => {
                let params = read(ask)?;
                self.books
                    .write(|page| self.desk(page, now).act(id, act, &params))
            }
            _ => Err(ApiError::of("not_found").into()),
        }
    }

    fn keep_faults(&self) -> Done<Said> {
        let rules = self.faults.rules();
        let text = serde_json::to_string(&rules)?;
        self.books.write(|page| page.set("faults", &text))?;
        Said::json(&rules)
    }

    /// Where events go from now on; nowhere when the URL is empty. A new one is greeted with a `ping`.
    fn set_webhook(&self, params: &Params, now: Timestamp) -> Done<Said> {
        let url = params.url("url")?;
        let secret = params
            .text("secret", 200)?
            .unwrap_or_else(|| random_text(32, &*self.entropy));
        self.books.write(|page| {
            page.set("webhook_url", url.as_deref().unwrap_or_default())?;
            page.set("webhook_secret", &secret)
        })?;
        let webhook = url.clone().map(|url| Webhook {
            url,
            secret: Secret::new(secret),
        });
        *self.webhook.write().unwrap_or_else(PoisonError::into_inner) = webhook;
        self.books.write(|page| {
            self.desk(page, now)
                .plain_event("ping", json!({"resource": "webhook", "url": url}))
        })?;
        Said::json(&json!({"url": url}))
    }
}

fn read(ask: &Ask) -> Result<Params, ApiError> {
    Params::read(ask.header("content-type").unwrap_or_default(), &ask.body)
}

/// One rule, a list of rules, or the form of the front page.
fn rules(ask: &Ask) -> Done<Vec<FaultRule>> {
    let wrong = |fault: serde_json::Error| ApiError::invalid("fault", fault.to_string());
    if let Ok(many @ Value::Array(_)) = serde_json::from_slice(&ask.body) {
        return Ok(serde_json::from_value(many).map_err(wrong)?);
    }
    let params = read(ask)?;
    let kind = params.need_text("kind", 40)?;
    let mut fields = params.clone().into_object();
    for name in ["rate", "remaining", "ms"] {
        match params.integer(name)? {
            Some(value) => fields.insert(name.to_owned(), json!(value)),
            None => fields.remove(name),
        };
    }
    if kind == "status" {
        fields.insert("code".to_owned(), json!(params.integer("code")?.unwrap_or(503)));
        fields.insert(
            "booked".to_owned(),
            json!(params.boolean("booked")?.unwrap_or(false)),
        );
    }
    if (kind == "delay" || kind == "notice_delay") && !fields.contains_key("ms") {
        fields.insert("ms".to_owned(), json!(5_000));
    }
    if kind == "decline" && params.text("code", 60)?.is_none() {
        fields.insert("code".to_owned(), json!("card_declined"));
    }
    let rule: FaultRule = serde_json::from_value(Value::Object(fields)).map_err(wrong)?;
    let bad_status = matches!(rule.kind, kessai_provider::sandbox::FaultKind::Status { code, .. } if !(100..600).contains(&code));
    if bad_status || rule.rate > 1000 || rule.operation.len() > 60 {
        return Err(ApiError::invalid("fault", "Rates go to 1000, statuses from 100 to 599").into());
    }
    Ok(vec![rule])
}

impl Desk<'_> {
    /// What happens to a payment outside the API.
    fn act(&self, id: &str, act: &str, params: &Params) -> Done<Said> {
        let mut payment = self.payment(id)?;
        match act {
            "pay" | "approve" if payment.way == Way::Slip => {
                self.cash_arrives(&mut payment, params.money("amount")?)?;
            }
            "pay" | "approve" => self.choose(&mut payment, Choice::Approve)?,
            "abort" => self.choose(&mut payment, Choice::Abort)?,
            "fail" if payment.status.is_open() => {
                let code = params.text("code", 60)?;
                self.fail(&mut payment, code.as_deref().unwrap_or("card_declined"))?;
            }
            "expire" if payment.status.is_open() => self.let_go(&mut payment, Status::Expired)?,
            "fail" | "expire" => {
                return Err(ApiError::impossible("This payment is no longer open.").into());
            }
            "refund_request" => self.settle_refund_request(&mut payment, params)?,
            "edit" => self.edit(&mut payment, params)?,
            _ => return Err(ApiError::of("not_found").into()),
        }
        self.said(&self.payment(id)?)
    }

    fn settle_refund_request(&self, payment: &mut Payment, params: &Params) -> Done<()> {
        let status = params
            .choice("status", &["completed", "rejected"])?
            .unwrap_or("completed");
        let waiting = payment
            .refund_requests
            .iter_mut()
            .find(|request| request.status == "pending");
        let request = waiting.ok_or_else(|| ApiError::impossible("No refund request is waiting."))?;
        request.status = status.to_owned();
        let (amount, description) = (request.amount, request.description.clone());
        if status == "completed" {
            self.give_back(payment, amount, description)?;
        } else {
            self.save_payment(payment)?;
        }
        self.payment_event("refund_request.updated", payment, None)
    }

    /// Changes what the API shows behind everyone's back: for trying out what disagreements do. The ledger stays, unless a
    /// `charge` `{what, amount}` is asked for; no event is sent unless one is named.
    fn edit(&self, payment: &mut Payment, params: &Params) -> Done<()> {
        if let Some(status) = params.text("status", 20)? {
            let known = Status::parse(&status);
            payment.status = known.ok_or_else(|| params.invalid("status", "Unknown status"))?;
            if payment.status == Status::Captured && payment.captured_at.is_none() {
                payment.captured_at = Some(self.now);
            }
        }
        let bound = |amount: Option<i64>, name: &str| match amount {
            Some(amount) if !(0..=1_000_000_000).contains(&amount) => {
                Err(params.invalid(name, "Out of range"))
            }
            amount => Ok(amount),
        };
        payment.amount = bound(params.money("amount")?, "amount")?.unwrap_or(payment.amount);
        payment.tax = bound(params.money("tax")?, "tax")?.unwrap_or(payment.tax);
        let refunded = bound(params.money("amount_refunded")?, "amount_refunded")?;
        payment.amount_refunded = refunded.unwrap_or(payment.amount_refunded);
        payment.metadata = params.metadata()?.unwrap_or_else(|| payment.metadata.clone());
        if let Some(currency) = params.currency("currency")? {
            payment.currency = currency;
        }
        let number = params.text("external_order_num", 255)?;
        let charge = params.object("charge")?;
        let event = params.text("event", 60)?;
        if number.is_some() {
            payment.number = number;
            self.page
                .renumber(super::desk::PAYMENT, &payment.id, payment.number.as_deref())?;
        }
        if let Some(charge) = charge {
            let what = charge.need_text("what", 20)?;
            let amount =
                bound(charge.money("amount")?, "charge.amount")?.ok_or_else(|| charge.missing("amount"))?;
            let all = [
                Movement::Authorize,
                Movement::Capture,
                Movement::Refund,
                Movement::Cancel,
                Movement::Expire,
            ];
            let what = all.into_iter().find(|movement| movement.as_str() == what);
            self.charge(
                what.ok_or_else(|| charge.invalid("what", "Unknown movement"))?,
                payment,
                amount,
                Some("edited"),
            )?;
        }
        self.save_payment(payment)?;
        match event {
            Some(event) => self.payment_event(&event, payment, None),
            None => Ok(()),
        }
    }
}
