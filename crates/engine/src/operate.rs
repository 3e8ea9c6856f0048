//! Capture, cancel and refund: the same three steps for each.
use crate::change::{Committed, Draft};
use crate::directory::Shop;
use crate::idempotency::{self, Answer, Halt, Idempotency};
use crate::model::{AttemptBody, Payment, Purpose, RefundRequest};
use crate::payments::{payment_answer, rejected};
use crate::problem::Problem;
use crate::{Engine, details, vault};
use kessai_core::attempt::AttemptStatus;
use kessai_core::capability::Capability;
use kessai_core::payment::{Command, InFlight, Operation, Refused, Status};
use kessai_core::settle::{Answer as Answered, answered, overrules};
use kessai_core::tax::{Totals, auto_tax};
use kessai_core::{Money, RefundRequestId};
use kessai_provider::port::{Account, BankRefund, Call, Outcome, Provider, View};
use kessai_store::repo::{self, AttemptRow, micros};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a shop asks of a payment.
#[derive(Debug, Clone)]
pub enum Act {
    /// Take the money: everything, or `amount` before tax with its `tax`.
    Capture {
        /// Before tax, in minor units.
        amount: Option<i64>,
        /// In minor units; found from the amount when absent.
        tax: Option<i64>,
    },
    /// Give it up.
    Cancel,
    /// Let it expire: given up at the provider because its deadline passed. Not for shops.
    Expire,
    /// Return money.
    Refund {
        /// Tax included, in minor units; everything that is left when absent.
        amount: Option<i64>,
        /// The shop's words.
        description: Option<Box<str>>,
    },
}

/// An operation ready to be sent.
pub(crate) struct Operating {
    pub(crate) operation: Operation,
    pub(crate) totals: Totals,
    pub(crate) description: Option<Box<str>>,
}

impl Engine {
    /// Captures, cancels or refunds a payment.
    ///
    /// # Errors
    /// `not_found`, `not_capturable`, `not_cancellable`, `not_refundable`, `invalid_parameter` for an amount beyond what is left, and
    /// `conflict` while another operation has not been answered. An unanswered one is no error: 202, `operation` says which.
    pub async fn act(
        &self,
        shop: &Shop,
        id: &str,
        key: Option<&Idempotency>,
        act: Act,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, async {
            let _turn = self.payment_locks.hold(id).await;
            self.act_in_turn(shop, id, key, act).await
        })
        .await
    }

    pub(crate) async fn act_in_turn(
        &self,
        shop: &Shop,
        id: &str,
        key: Option<&Idempotency>,
        act: Act,
    ) -> Result<Answer, Halt> {
        for _ in 0..8 {
            let payment = self.payment(shop, id).await?;
            let (provider, account) = self.serving(shop, &payment)?;
            let operating = plan(&payment, provider.as_ref(), &act)?;
            let session = self.session_of(&payment).await?;
            // 1. The intent.
            let n = payment.body.attempts + 1;
            let mut draft = Draft::of(self, shop, payment, session);
            let attempt = AttemptBody {
                fingerprint: fingerprint(&operating),
                idempotency: key.map(|key| hex::encode([key.hash, key.fingerprint].concat()).into()),
                description: operating.description.clone(),
                purpose: if matches!(act, Act::Expire) {
                    Purpose::Expiry
                } else {
                    Purpose::Usual
                },
                ..AttemptBody::new(operating.totals)
            };
            if let Some(key) = key {
                draft.guard(idempotency::begun(&shop.id, key, id, draft.now()));
            }
            draft.payment.body.attempts = n;
            draft.payment.body.state.take_off(InFlight {
                attempt: n,
                operation: operating.operation,
                amount: operating.totals.total(),
            });
            draft.intend(n, operating.operation, &attempt);
            let row = draft.intended_row(n, operating.operation, &attempt);
            let payment = match draft.commit().await? {
                Committed::Done(payment, _) => *payment,
                Committed::Refused(_) => return Err(Halt::KeyTaken),
                Committed::Stale => continue,
            };
            // 2. The call.
            let call = self.intended_call(account, payment.key(n), &row);
            let outcome = send(provider.as_ref(), &call, &payment, &operating).await;
            // 3. The outcome.
            return Ok(self
                .operated(shop, payment, row, attempt, &call, outcome, key)
                .await?);
        }
        Err(Problem::with("conflict", "The payment is changing too fast.").into())
    }

    /// Who serves a payment, with the shop's account there.
    pub(crate) fn serving(
        &self,
        shop: &Shop,
        payment: &Payment,
    ) -> Result<(Arc<dyn Provider>, Arc<Account>), Problem> {
        let provider = self.provider(&payment.provider);
        let account = shop.accounts.get(&payment.provider);
        match (provider, account) {
            (Some(provider), Some(account)) => Ok((provider.clone(), account.clone())),
            _ => {
                tracing::error!(payment = %payment.id, provider = %payment.provider, "nobody serves this payment any more");
                Err(Problem::with(
                    "service_unavailable",
                    "The provider of this payment is not configured.",
                ))
            }
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the third step takes all that the first two made"
    )]
    async fn operated(
        &self,
        shop: &Shop,
        mut payment: Payment,
        mut row: AttemptRow,
        mut attempt: AttemptBody,
        call: &Call,
        outcome: Outcome<View>,
        mut key: Option<&Idempotency>,
    ) -> Result<Answer, Problem> {
        attempt.exchanges = call.take_exchanges();
        let (operating, operation) = (crate::settle::parse(&row.operation), row.operation.clone());
        for _ in 0..8 {
            let session = self.session_of(&payment).await?;
            let mut draft = Draft::of(self, shop, payment.clone(), session);
            let mut problem = None;
            let meaning = answered(operating, outcome.answer("bad_gateway"));
            if meaning.status.is_settled() {
                draft
                    .payment
                    .body
                    .state
                    .land(u32::try_from(row.n).expect("counted by us"));
            }
            match &outcome {
                Outcome::Succeeded(view) | Outcome::Pending(view) => {
                    let _ = draft.take(view, attempt.purpose, attempt.description.as_deref());
                }
                Outcome::Declined(decline) => {
                    problem = Some(Problem::new(&decline.code));
                    attempt.note = Some(format!("{}: {}", decline.code, decline.message).into());
                }
                Outcome::Rejected(rejection) => {
                    tracing::error!(payment = %draft.payment.id, code = %rejection.code, "the provider rejected our request");
                    problem = Some(rejected(rejection));
                    attempt.note = Some(format!("{}: {}", rejection.code, rejection.message).into());
                }
                Outcome::NotSent(cause) => {
                    problem = Some(Problem::new("service_unavailable"));
                    attempt.note = Some(cause.as_str().into());
                }
                Outcome::Unknown(doubt) => attempt.note = Some(doubt.to_string().into()),
            }
            draft.fold(meaning.fact.as_slice(), None);
            let status = meaning.status;
            draft.conclude(&row, status, &attempt);
            let given = match &problem {
                Some(problem) => Answer::problem(problem),
                None => payment_answer(&draft.payment),
            };
            match (key, status) {
                (Some(key), AttemptStatus::NotSent) => draft.op(idempotency::released(&shop.id, &key.hash)),
                (key, _) => draft.answer(key, &given),
            }
            metrics::counter!(
                "kessai_attempts_total", "provider" => payment.provider.to_string(), "operation" => operation.to_string(),
                "status" => status.as_str()
            )
            .increment(1);
            if let Committed::Done(..) = draft.commit().await? {
                return Ok(given);
            }
            payment = self.payment(shop, payment.id.as_str()).await?;
            let settled = repo::attempt(self.store.as_ref(), &shop.id, payment.id.as_str(), row.n).await?;
            if let Some(settled) = settled {
                if settled_for_good(&settled, outcome.answer("bad_gateway")) {
                    // By whoever asked meanwhile: its answer was kept under the key then.
                    let end = AttemptStatus::parse(&settled.status).unwrap_or(AttemptStatus::Unknown);
                    let given = self.late_answer(crate::settle::parse(&operation), end, &payment, None);
                    return Ok(self.as_kept(&shop.id, key, given).await);
                }
                if settled.settled_at.is_some() {
                    // Its key was answered when it was settled, and keeps that answer.
                    key = None;
                }
                row = settled;
            }
        }
        Err(Problem::with("conflict", "The payment is changing too fast."))
    }

    /// `POST /payments/{id}/refund_request`: asks the provider for a bank transfer to the shopper.
    ///
    /// # Errors
    /// `not_refundable` for a method that can be refunded directly or a payment that is not captured.
    pub async fn request_refund(
        &self,
        shop: &Shop,
        id: &str,
        key: Option<&Idempotency>,
        amount: Option<i64>,
        fields: Map<String, Value>,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, async {
            let _turn = self.payment_locks.hold(id).await;
            let payment = self.payment(shop, id).await?;
            let (provider, account) = self.serving(shop, &payment)?;
            let capability = capability(provider.as_ref(), &payment)?;
            let banks = provider.refunds().and_then(|refunds| refunds.bank_refunds());
            let (true, Some(banks)) = (capability.operations.refund_request, banks) else {
                return Err(Problem::new("not_refundable").into());
            };
            let pending: i64 = payment
                .body
                .refund_requests
                .iter()
                .filter(|request| request.status.as_ref() == "pending")
                .filter_map(|request| request.fields.get("amount").and_then(Value::as_i64))
                .sum();
            let left = payment.body.state.refundable().minor() - pending;
            let asked = amount.unwrap_or(left);
            if payment.status() != Status::Captured || left <= 0 {
                return Err(Problem::new("not_refundable").into());
            }
            if asked <= 0 || asked > left {
                return Err(Problem::invalid("amount", format!("amount must be from 1 to {left}")).into());
            }
            let now = self.now();
            let money = Money::new(asked, payment.body.totals.currency).expect("within what was captured");
            // Filing a request moves no money: a lost reply leaves a request that people at the provider see, and the same
            // key files it once.
            let n = payment.body.refund_requests.len() + 1;
            let call = self.call(account, format!("{}_rr{n}", payment.id));
            let refund = BankRefund {
                amount: Some(money),
                fields: fields.clone(),
            };
            match banks.request(&call, &payment.handle(), &refund).await {
                Outcome::Succeeded(_) | Outcome::Pending(_) => {}
                Outcome::Declined(decline) => return Err(Problem::new(&decline.code).into()),
                Outcome::Rejected(rejection) => return Err(rejected(&rejection).into()),
                Outcome::NotSent(_) => return Err(Problem::new("service_unavailable").into()),
                Outcome::Unknown(_) => return Err(Problem::new("gateway_timeout").into()),
            }
            let mut shown = fields;
            shown.insert("amount".into(), asked.into());
            if let Some(number) = shown.get("account_number").and_then(Value::as_str) {
                let kept: String = number
                    .chars()
                    .rev()
                    .take(3)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect();
                shown.insert("account_number".into(), format!("****{kept}").into());
            }
            let request = RefundRequest {
                id: RefundRequestId::new(now, self.entropy.as_ref()).as_str().into(),
                status: "pending".into(),
                fields: shown,
                at: micros(now),
            };
            for _ in 0..8 {
                let payment = self.payment(shop, id).await?;
                let mut draft = Draft::of(self, shop, payment, None);
                draft.payment.body.refund_requests.push(request.clone());
                draft.tell("refund_request.updated", None);
                let given = payment_answer(&draft.payment);
                if let Some(key) = key {
                    draft.guard(idempotency::done_at_once(&shop.id, key, &given, now));
                }
                match draft.commit().await? {
                    Committed::Done(..) => return Ok(given),
                    Committed::Refused(_) => return Err(Halt::KeyTaken),
                    Committed::Stale => {}
                }
            }
            Err(Problem::with("conflict", "The payment is changing too fast.").into())
        })
        .await
    }
}

/// Whether an attempt was settled by asking while its answer was awaited, and the answer says nothing else. One that tells of success
/// where nothing had been found is folded like any other fact.
pub(crate) fn settled_for_good(row: &AttemptRow, answer: Answered<'_>) -> bool {
    AttemptStatus::parse(&row.status).is_some_and(|status| status.is_settled() && !overrules(answer, status))
}

pub(crate) fn capability(provider: &dyn Provider, payment: &Payment) -> Result<&'static Capability, Problem> {
    let line = provider
        .capabilities()
        .iter()
        .find(|capability| capability.method == payment.method.as_ref());
    line.ok_or_else(|| Problem::new("internal_server_error"))
}

/// Meets the state machine and the capability matrix.
fn plan(payment: &Payment, provider: &dyn Provider, act: &Act) -> Result<Operating, Problem> {
    let state = &payment.body.state;
    let currency = payment.body.totals.currency;
    let line = capability(provider, payment)?;
    let (command, totals, description) = match act {
        Act::Capture { amount, tax } => {
            if provider.captures().is_none() || !line.operations.two_step {
                return Err(Problem::new("not_capturable"));
            }
            let totals = capture_totals(payment.body.totals, *amount, *tax)?;
            if totals.total() != state.asked() && !line.operations.partial_capture {
                return Err(Problem::invalid(
                    "amount",
                    "This method captures the whole amount only",
                ));
            }
            (
                Command::Capture {
                    amount: totals.total(),
                },
                totals,
                None,
            )
        }
        Act::Cancel | Act::Expire => {
            if provider.cancels().is_none() || !line.operations.cancel {
                return Err(Problem::new("not_cancellable"));
            }
            (Command::Cancel, payment.body.totals, None)
        }
        Act::Refund { amount, description } => {
            if provider.refunds().is_none() || !line.operations.refund {
                return Err(Problem::with(
                    "not_refundable",
                    if line.operations.refund_request {
                        "This payment type cannot be refunded directly; use refund_request"
                    } else {
                        "The payment you requested is not refundable."
                    },
                ));
            }
            let asked = match amount {
                None => None,
                Some(minor) => Some(
                    Money::new(*minor, currency)
                        .map_err(|_| Problem::invalid("amount", "Amount must be greater than 0"))?,
                ),
            };
            if asked.is_some_and(|asked| asked != state.refundable()) && !line.operations.partial_refund {
                return Err(Problem::invalid(
                    "amount",
                    "This method refunds the whole amount only",
                ));
            }
            let whole = Totals {
                amount: 0,
                tax: 0,
                fee: 0,
                currency,
            };
            (Command::Refund { amount: asked }, whole, description.clone())
        }
    };
    let permitted = state
        .permit(command)
        .map_err(|refused| refusal(command.operation(), refused))?;
    let totals = match command {
        Command::Refund { .. } => Totals {
            amount: permitted.minor(),
            ..totals
        },
        Command::Capture { .. } | Command::Cancel => totals,
    };
    Ok(Operating {
        operation: command.operation(),
        totals,
        description,
    })
}

fn capture_totals(whole: Totals, amount: Option<i64>, tax: Option<i64>) -> Result<Totals, Problem> {
    let Some(amount) = amount else {
        return match tax {
            None => Ok(whole),
            Some(tax) if tax == whole.tax => Ok(whole),
            Some(_) => Err(Problem::missing("amount")),
        };
    };
    if amount <= 0 {
        return Err(Problem::invalid("amount", "Amount must be greater than 0"));
    }
    let in_range = |parameter: &'static str, minor: i64| {
        Money::new(minor, whole.currency)
            .map(Money::minor)
            .map_err(|_| Problem::invalid(parameter, format!("{parameter} is out of range")))
    };
    let amount = in_range("amount", amount)?;
    let tax = match tax {
        Some(tax) => in_range("tax", tax)?,
        None if amount == whole.amount => whole.tax,
        None if whole.tax == 0 => 0,
        None => auto_tax(amount),
    };
    let fee = if amount == whole.amount { whole.fee } else { 0 };
    in_range("amount", amount + tax + fee)?;
    Ok(Totals {
        amount,
        tax,
        fee,
        currency: whole.currency,
    })
}

fn refusal(operation: Operation, refused: Refused) -> Problem {
    match refused {
        Refused::Status { .. } | Refused::CapturesItself => Problem::new(match operation {
            Operation::Capture => "not_capturable",
            Operation::Cancel => "not_cancellable",
            Operation::Refund => "not_refundable",
            Operation::Authorize | Operation::Amend => "unprocessable_entity",
        }),
        Refused::NothingAsked => Problem::invalid("amount", "Amount must be greater than 0"),
        Refused::TooMuch { left } => {
            Problem::invalid("amount", format!("amount must not be more than {}", left.minor()))
        }
        Refused::InFlight { operation } => Problem::with(
            "conflict",
            format!(
                "The payment's {} is still being confirmed with the provider. Nothing was done.",
                operation.as_str()
            ),
        ),
        Refused::Money(_) => Problem::invalid("amount", "amount is out of range"),
    }
}

pub(crate) async fn send(
    provider: &dyn Provider,
    call: &Call,
    payment: &Payment,
    operating: &Operating,
) -> Outcome<View> {
    let handle = payment.handle();
    let absent = || Outcome::NotSent("the provider cannot do this".into());
    match operating.operation {
        Operation::Capture => match provider.captures() {
            Some(captures) => captures.capture(call, &handle, operating.totals).await,
            None => absent(),
        },
        Operation::Cancel => match provider.cancels() {
            Some(cancels) => cancels.cancel(call, &handle).await,
            None => absent(),
        },
        Operation::Refund => match provider.refunds() {
            Some(refunds) => {
                refunds
                    .refund(
                        call,
                        &handle,
                        operating.totals.total(),
                        operating.description.as_deref(),
                    )
                    .await
            }
            None => absent(),
        },
        Operation::Authorize | Operation::Amend => absent(),
    }
}

fn fingerprint(operating: &Operating) -> Box<str> {
    let what = serde_json::json!({"operation": operating.operation.as_str(), "totals": operating.totals});
    hex::encode(&vault::sha256(what.to_string().as_bytes())[..16]).into()
}

/// The bank fields of a refund request, each checked.
///
/// # Errors
/// `missing_parameter` or `invalid_parameter` naming the field.
pub fn read_bank_fields(given: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    const FIELDS: [(&str, bool); 8] = [
        ("customer_name", true),
        ("bank_name", true),
        ("bank_code", false),
        ("branch_name", false),
        ("branch_number", true),
        ("account_type", true),
        ("account_number", true),
        ("description", false),
    ];
    let mut fields = Map::new();
    for (name, required) in FIELDS {
        match given
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            Some(text) if text.chars().count() <= 255 => {
                fields.insert(name.into(), text.into());
            }
            Some(_) => return Err(Problem::invalid(name, format!("{name} is too long"))),
            None if required => return Err(Problem::missing(name)),
            None => {}
        }
    }
    let digits = |name: &'static str, count: usize| match fields.get(name).and_then(Value::as_str) {
        Some(text) if text.len() != count || !text.bytes().all(|b| b.is_ascii_digit()) => {
            Err(Problem::invalid(name, format!("{name} must be {count} digits")))
        }
        _ => Ok(()),
    };
    digits("bank_code", 4)?;
    digits("branch_number", 3)?;
    digits("account_number", 7)?;
    if !["normal", "checking", "savings"].contains(&fields["account_type"].as_str().unwrap_or_default()) {
        return Err(Problem::invalid(
            "account_type",
            "account_type must be normal, checking or savings",
        ));
    }
    if let Some(fee) = given.get("include_payment_method_fee").and_then(Value::as_bool) {
        fields.insert("include_payment_method_fee".into(), fee.into());
    }
    debug_assert!(!fields.keys().any(|name| details::is_secret(name)));
    Ok(fields)
}
