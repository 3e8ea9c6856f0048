//! Making, finding and describing payments.
use crate::change::{Committed, Draft};
use crate::details::{self, Details};
use crate::directory::Shop;
use crate::idempotency::{self, Answer, Halt, Idempotency};
use crate::methods::{Route, check_amount};
use crate::model::{AttemptBody, Hook, Metadata, Payment, PaymentBody, Purpose, Session};
use crate::operate::settled_for_good;
use crate::problem::Problem;
use crate::{Engine, vault, wire};
use jiff::Timestamp;
use kessai_core::attempt::AttemptStatus;
use kessai_core::payment::{CaptureMode, InFlight, Operation, State, Status};
use kessai_core::settle::{Meaning, answered};
use kessai_core::tax::{Tax, Totals};
use kessai_core::{Currency, CustomerId, Money, PaymentId, Secret};
use kessai_provider::port::{Authorize, Call, Instrument, Outcome, View};
use kessai_store::repo::{self, AttemptRow, OrderNumberRow, PaymentFilter, micros};
use kessai_store::{Guard, Op};
use serde_json::{Map, Value, json};

/// What a payment is to be made from.
#[derive(Debug, Clone)]
pub enum Source {
    /// `payment_details` as given.
    Details(Map<String, Value>),
    /// A token's or secure token's id.
    Token(Box<str>),
    /// A customer's stored card.
    Customer(Box<str>),
}

/// `POST /payments`.
#[derive(Debug, Clone)]
pub struct CreatePayment {
    /// Before tax, in minor units.
    pub amount: i64,
    /// Its currency.
    pub currency: Currency,
    /// How tax is found.
    pub tax: Tax,
    /// What is charged.
    pub source: Source,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// The shop's order number, at most 255 characters.
    pub order_number: Option<Box<str>>,
    /// Where an offsite shopper returns to.
    pub return_url: Option<Box<str>>,
    /// Where an offsite shopper returns to after giving up.
    pub cancel_url: Option<Box<str>>,
    /// `ja`, `en` or `ko`.
    pub locale: Box<str>,
    /// The shop's words.
    pub description: Option<Box<str>>,
    /// The shop's notes.
    pub metadata: Metadata,
    /// The merchant category code.
    pub mcc: Option<Box<str>>,
    /// What the shop wants on the statement.
    pub statement_descriptor: Option<Value>,
    /// Passed through.
    pub fraud_details: Option<Value>,
    /// Webhook endpoints of this payment alone: URL, what signs its deliveries, wanted event types (all when empty).
    pub webhooks: Vec<(Box<str>, Secret, Vec<Box<str>>)>,
    /// `Komoju-Scenario`, test mode only.
    pub scenario: Option<Box<str>>,
}

/// How many webhook endpoints a payment may bring along.
pub const HOOKS_MOST: usize = 5;

/// `GET /payments`.
#[derive(Debug, Clone, Default)]
pub struct ListPayments {
    /// Which.
    pub filter: PaymentFilter,
    /// From 1.
    pub page: i64,
    /// 1 to 100.
    pub per_page: i64,
}

/// Makes the answer of a charge from what came of it: the payment, its session, and why it was refused.
pub(crate) type ToAnswer<'a> = dyn Fn(&Payment, Option<&Session>, Option<&Problem>) -> Answer + Sync + 'a;

/// An instrument found, with what may be shown of it and what is used up by using it.
pub(crate) struct Chosen {
    pub(crate) details: Details,
    pub(crate) route: Route,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) guards: Vec<Guard>,
}

/// What to charge, for the part that session and direct payments share.
pub(crate) struct Charge {
    pub(crate) payment: Payment,
    pub(crate) session: Option<Session>,
    pub(crate) authorize: Authorize,
    pub(crate) route: Route,
    pub(crate) guards: Vec<Guard>,
    /// Whether the order number was claimed by this payment and is freed when nothing was sent.
    pub(crate) owns_number: bool,
}

impl Engine {
    /// Makes a payment.
    ///
    /// # Errors
    /// Refused before anything was written, with the reference's code; after that the answer is an [`Answer`], also for declines.
    pub async fn create_payment(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        command: CreatePayment,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, self.create(shop, key, command)).await
    }

    async fn create(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        command: CreatePayment,
    ) -> Result<Answer, Halt> {
        let now = self.now();
        let amount = Money::new(command.amount, command.currency)
            .map_err(|_| Problem::invalid("amount", "Amount must be greater than 0"))?;
        if amount.is_zero() {
            return Err(Problem::invalid("amount", "Amount must be greater than 0").into());
        }
        let mut chosen = self.choose(shop, &command.source, None, now).await?;
        let capability = chosen.route.capability;
        if !capability.flows.direct {
            return Err(Problem::with("invalid_payment_type", "This payment type needs a session").into());
        }
        let totals = Totals::direct(amount, command.tax, 0)
            .map_err(|_| Problem::invalid("tax", "tax is out of range"))?;
        check_amount(capability, totals.total().minor(), command.currency)?;
        let capture = if capability.operations.two_step {
            command.capture
        } else {
            CaptureMode::Auto
        };
        let id = PaymentId::new(now, self.entropy.as_ref());
        if let Some(number) = &command.order_number {
            chosen
                .guards
                .push(order_number(&shop.id, number, id.as_str(), now));
        }
        let payment = Payment {
            shop: shop.id.clone(),
            id,
            method: chosen.details.method.clone(),
            provider: chosen.route.provider.id().into(),
            reference: None,
            session: None,
            customer: chosen.customer,
            order_number: command.order_number.clone(),
            deadline_at: Some(details::deadline(capability, &chosen.details.fields, now)),
            created_at: now,
            version: 0,
            body: new_body(totals, capture, &chosen.details, &command.locale),
        };
        let payment = Payment {
            body: PaymentBody {
                description: command.description.clone(),
                metadata: command.metadata,
                return_url: command.return_url.clone(),
                cancel_url: command.cancel_url.clone(),
                mcc: command.mcc,
                statement_descriptor: command.statement_descriptor,
                hooks: command
                    .webhooks
                    .iter()
                    .take(HOOKS_MOST)
                    .map(|hook| self.hook(&shop.id, &payment.id, hook))
                    .collect(),
                ..payment.body
            },
            ..payment
        };
        // An offsite shopper comes back through us, so that we ask the provider before the shop does.
        let back = format!("{}/payments/{}/return", self.settings.public_url, payment.id);
        let authorize = Authorize {
            method: payment.method.clone(),
            instrument: chosen.details.instrument,
            fields: chosen.details.fields,
            totals,
            capture,
            in_session: false,
            return_url: Some(back.as_str().into()),
            cancel_url: Some(format!("{back}?cancelled=1").into()),
            locale: command.locale,
            email: None,
            description: command.description,
            scenario: command.scenario,
            fraud_details: command.fraud_details,
        };
        let owns_number = payment.order_number.is_some();
        let charge = Charge {
            payment,
            session: None,
            authorize,
            route: chosen.route,
            guards: chosen.guards,
            owns_number,
        };
        let charged = self.charge(shop, key, charge, &|payment, _, problem| match problem {
            Some(problem) => Answer::problem(problem),
            None => payment_answer(payment),
        });
        charged.await.map(|(answer, ..)| answer)
    }

    fn hook(
        &self,
        shop: &str,
        payment: &PaymentId,
        (url, secret, events): &(Box<str>, Secret, Vec<Box<str>>),
    ) -> Hook {
        let sealed = self.vault.seal(
            &crate::outbox::hook_place(shop, payment.as_str()),
            secret.expose(),
        );
        Hook {
            url: url.clone(),
            sealed: hex::encode(sealed).into(),
            events: events.clone(),
        }
    }

    /// Finds what is to be charged.
    pub(crate) async fn choose(
        &self,
        shop: &Shop,
        source: &Source,
        session: Option<&Session>,
        now: Timestamp,
    ) -> Result<Chosen, Problem> {
        let email = session.and_then(|session| session.body.email.as_deref());
        let offered = |method: &str| match session {
            None => self.capability(shop, method),
            Some(session) => self
                .session_offer(shop, session)
                .into_iter()
                .find(|c| c.method == method),
        };
        let routed = |method: &str| {
            offered(method)
                .and_then(|_| self.route(shop, method))
                .ok_or_else(|| {
                    let names: Vec<&str> = match session {
                        Some(session) => self
                            .session_offer(shop, session)
                            .iter()
                            .map(|c| c.method)
                            .collect(),
                        None => self.offered(shop).iter().map(|c| c.method).collect(),
                    };
                    Problem {
                        param: Some("payment_details".into()),
                        ..Problem::with(
                            "invalid_payment_type",
                            format!(
                                "Payment type {method} is not offered; offered are {}",
                                names.join(", ")
                            ),
                        )
                    }
                })
        };
        match source {
            Source::Details(given) => {
                let method = given
                    .get("type")
                    .and_then(Value::as_str)
                    .ok_or_else(|| Problem::missing("type"))?;
                let route = routed(method)?;
                let details = details::read(given, offered, email, now)?;
                Ok(Chosen {
                    details,
                    route,
                    customer: None,
                    guards: vec![],
                })
            }
            Source::Token(id) => self.spend_token(shop, id, &routed, now).await,
            Source::Customer(id) => {
                let stored = self.stored_card(shop, id).await?;
                let route = routed("credit_card")?;
                let details = Details {
                    method: "credit_card".into(),
                    instrument: Instrument::Stored(stored.reference),
                    fields: stored.source,
                };
                Ok(Chosen {
                    details,
                    route,
                    customer: Some(stored.id),
                    guards: vec![],
                })
            }
        }
    }

    /// The three steps of an authorization.
    pub(crate) async fn charge(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        charge: Charge,
        answer: &ToAnswer<'_>,
    ) -> Result<(Answer, Payment, Option<Session>), Halt> {
        let Charge {
            payment,
            session,
            authorize,
            route,
            guards,
            owns_number,
        } = charge;
        let _turn = self.payment_locks.hold(payment.id.as_str()).await;
        // 1. The intent.
        let mut draft = Draft::new(self, shop, payment, session);
        let own = guards.len();
        for guard in guards {
            draft.guard(guard);
        }
        if let Some(key) = key {
            draft.guard(idempotency::begun(
                &shop.id,
                key,
                draft.payment.id.as_str(),
                draft.now(),
            ));
        }
        // Before any money moves; behind the key, so that a repeated request hears its first answer.
        draft.hold_stock();
        let attempt = AttemptBody {
            fingerprint: fingerprint(&authorize),
            idempotency: key.map(|key| hex::encode([key.hash, key.fingerprint].concat()).into()),
            ..AttemptBody::new(authorize.totals)
        };
        draft.payment.body.attempts = 1;
        // Within the draft, so that the session is written and its version guarded: two methods cannot begin at once.
        if let Some(session) = &mut draft.session {
            session.body.payment = Some(draft.payment.id.clone());
            session.body.tries += 1;
        }
        let goods = draft.payment.body.stock.as_ref();
        let goods = goods.map_or(vec![], |holding| holding.goods.clone());
        let amount = draft.payment.body.state.asked();
        draft.payment.body.state.take_off(InFlight {
            attempt: 1,
            operation: Operation::Authorize,
            amount,
        });
        draft.intend(1, Operation::Authorize, &attempt);
        let row = draft.intended_row(1, Operation::Authorize, &attempt);
        let (payment, session) = match draft.commit().await? {
            Committed::Done(payment, session) => (*payment, session.map(|session| *session)),
            Committed::Refused(guard) if guard == own && key.is_some() => return Err(Halt::KeyTaken),
            Committed::Refused(guard) if guard >= own => {
                return Err(Halt::Problem(self.why_short(&shop.id, &goods).await));
            }
            // The caller's guards are an order number or a token: both say so themselves.
            Committed::Refused(guard) => return Err(Halt::Problem(taken(guard + 1 == own, owns_number))),
            Committed::Stale => {
                return Err(
                    Problem::with("conflict", "The session is being paid by another request.").into(),
                );
            }
        };
        // 2. The call.
        let call = self.intended_call(route.account.clone(), payment.key(1), &row);
        let outcome = route.provider.authorize(&call, &authorize).await;
        // 3. The outcome.
        let made = self
            .authorized(
                shop,
                payment,
                session,
                row,
                attempt,
                &call,
                outcome,
                key,
                owns_number,
                answer,
            )
            .await;
        Ok(made?)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the third step takes all that the first two made"
    )]
    async fn authorized(
        &self,
        shop: &Shop,
        payment: Payment,
        session: Option<Session>,
        mut row: AttemptRow,
        mut attempt: AttemptBody,
        call: &Call,
        outcome: Outcome<View>,
        mut key: Option<&Idempotency>,
        owns_number: bool,
        answer: &ToAnswer<'_>,
    ) -> Result<(Answer, Payment, Option<Session>), Problem> {
        attempt.exchanges = call.take_exchanges();
        let (mut payment, mut session) = (payment, session);
        // Somebody else may fold a notification between our reads: then we fold onto what they left.
        for _ in 0..8 {
            let mut draft = Draft::of(self, shop, payment.clone(), session.clone());
            let mut problem = None;
            let shown = match &outcome {
                Outcome::Rejected(rejection) => Some(rejected(rejection)),
                _ => None,
            };
            let code = shown.as_ref().map_or("bad_gateway", |problem| problem.code.name);
            let Meaning { status, fact } = answered(Operation::Authorize, outcome.answer(code));
            if status.is_settled() {
                // Known from here on, so that the events of this very commit say so.
                draft.payment.body.state.land(1);
            }
            match &outcome {
                Outcome::Succeeded(view) | Outcome::Pending(view) => {
                    if draft.take(view, Purpose::Usual, None).is_some() {
                        problem = Some(Problem::new("other_error"));
                    }
                    if let (Outcome::Pending(_), Some(session)) = (&outcome, &mut draft.session)
                        && draft.payment.status() == Status::Pending
                    {
                        session.body.payment = Some(draft.payment.id.clone());
                    }
                }
                Outcome::Declined(decline) => {
                    draft.payment.reference = draft
                        .payment
                        .reference
                        .take()
                        .or_else(|| decline.reference.clone());
                    problem = Some(Problem::new(&decline.code));
                    attempt.note = Some(format!("{}: {}", decline.code, decline.message).into());
                }
                Outcome::Rejected(rejection) => {
                    tracing::error!(
                        payment = %draft.payment.id, code = %rejection.code, status = rejection.status,
                        "the provider rejected our request"
                    );
                    metrics::counter!("kessai_provider_rejections_total", "provider" => draft.payment.provider.to_string())
                        .increment(1);
                    problem = shown;
                    attempt.note = Some(format!("{}: {}", rejection.code, rejection.message).into());
                }
                Outcome::NotSent(cause) => {
                    if let (true, Some(number)) = (owns_number, &draft.payment.order_number) {
                        // Nothing was sent: the shop may try the same number again.
                        let gone = vec![shop.id.as_ref().into(), number.as_ref().into()];
                        draft.op(Op::Delete(OrderNumberRow::TABLE, gone));
                    }
                    problem = Some(Problem::new("service_unavailable"));
                    attempt.note = Some(cause.as_str().into());
                }
                Outcome::Unknown(doubt) => {
                    if let Some(session) = &mut draft.session {
                        session.body.payment = Some(draft.payment.id.clone());
                    }
                    attempt.note = Some(doubt.to_string().into());
                }
            }
            draft.fold(fact.as_slice(), None);
            draft.conclude(&row, status, &attempt);
            let given = answer(&draft.payment, draft.session.as_ref(), problem.as_ref());
            match (key, status) {
                (Some(key), AttemptStatus::NotSent) => draft.op(idempotency::released(&shop.id, &key.hash)),
                (key, _) => draft.answer(key, &given),
            }
            metrics::counter!(
                "kessai_attempts_total", "provider" => payment.provider.to_string(), "operation" => "authorize",
                "status" => status.as_str()
            )
            .increment(1);
            match draft.commit().await? {
                Committed::Done(payment, session) => {
                    return Ok((given, *payment, session.map(|session| *session)));
                }
                Committed::Refused(_) | Committed::Stale => {
                    let again = self
                        .load(&shop.id, payment.id.as_str())
                        .await?
                        .ok_or_else(Problem::not_found)?;
                    payment = again;
                    session = self.session_of(&payment).await?;
                    let found = repo::attempt(self.store.as_ref(), &shop.id, payment.id.as_str(), 1).await?;
                    let Some(found) = found else { continue };
                    if settled_for_good(&found, outcome.answer(code)) {
                        // Settled by inquiry meanwhile: its answer was kept under the key then. Without one the payment says it.
                        let failure = payment.body.state.failure().unwrap_or("other_error");
                        let problem = (payment.status() == Status::Failed).then(|| Problem::new(failure));
                        let given = answer(&payment, session.as_ref(), problem.as_ref());
                        let given = self.as_kept(&shop.id, key, given).await;
                        return Ok((given, payment, session));
                    }
                    if found.settled_at.is_some() {
                        // Its key was answered when it was settled, and keeps that answer.
                        key = None;
                    }
                    row = found;
                }
            }
        }
        Err(Problem::with("conflict", "The payment is changing too fast."))
    }

    /// Reads a payment.
    pub(crate) async fn load(&self, shop: &str, id: &str) -> Result<Option<Payment>, Problem> {
        Ok(self.load_as_of(shop, id).await?.map(|(payment, _)| payment))
    }

    async fn load_as_of(&self, shop: &str, id: &str) -> Result<Option<(Payment, Timestamp)>, Problem> {
        let Some(row) = repo::payment(self.store.as_ref(), shop, id).await? else {
            return Ok(None);
        };
        let changed_at = repo::instant(row.updated_at);
        let payment = Payment::from_row(row).map_err(|error| {
            tracing::error!(%error, "a payment cannot be read");
            Problem::new("internal_server_error")
        })?;
        Ok(Some((payment, changed_at)))
    }

    /// A payment of a shop, and when it was last changed.
    ///
    /// # Errors
    /// `not_found` also for another shop's.
    pub(crate) async fn payment_as_of(&self, shop: &Shop, id: &str) -> Result<(Payment, Timestamp), Problem> {
        let found = self.load_as_of(&shop.id, id).await?;
        found.ok_or_else(Problem::not_found)
    }

    /// A payment of a shop.
    ///
    /// # Errors
    /// `not_found` also for another shop's.
    pub async fn payment(&self, shop: &Shop, id: &str) -> Result<Payment, Problem> {
        self.load(&shop.id, id).await?.ok_or_else(Problem::not_found)
    }

    /// `GET /payments`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_payments(&self, shop: &Shop, mut list: ListPayments) -> Result<String, Problem> {
        set_span(&mut list.filter);
        let offset = (list.page - 1) * list.per_page;
        let total = self.count_payments(shop, &list.filter).await?;
        let rows = if offset >= total {
            Vec::new()
        } else {
            repo::payments(self.store.as_ref(), &shop.id, &list.filter, offset, list.per_page).await?
        };
        let data = self.read_rows(rows)?.iter().map(wire::payment).collect();
        Ok(wire::list(total, list.page, list.per_page, data))
    }

    /// A page of payments for the back office, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page_of_payments(
        &self,
        shop: &Shop,
        mut list: ListPayments,
    ) -> Result<(i64, Vec<Payment>), Problem> {
        set_span(&mut list.filter);
        let offset = (list.page - 1) * list.per_page;
        let total = self.count_payments(shop, &list.filter).await?;
        let rows = repo::payments(self.store.as_ref(), &shop.id, &list.filter, offset, list.per_page).await?;
        Ok((total, self.read_rows(rows)?))
    }

    fn read_rows(&self, rows: Vec<repo::PaymentRow>) -> Result<Vec<Payment>, Problem> {
        rows.into_iter()
            .map(|row| {
                Payment::from_row(row).map_err(|error| {
                    tracing::error!(%error, "a payment cannot be read");
                    Problem::new("internal_server_error")
                })
            })
            .collect()
    }

    /// Exactly how many payments a filter matches: whole hours from the counters, the rest row by row.
    async fn count_payments(&self, shop: &Shop, filter: &PaymentFilter) -> Result<i64, Problem> {
        let store = self.store.as_ref();
        if filter.order_number.is_some() || filter.session.is_some() {
            return Ok(repo::count_payments(store, &shop.id, filter).await?);
        }
        let hour = crate::change::BUCKET_US;
        let from = filter.from_us.map_or(i64::MIN, |at| {
            at.div_euclid(hour) + i64::from(at.rem_euclid(hour) != 0)
        });
        let until = filter.until_us.map_or(i64::MAX, |at| at.div_euclid(hour));
        if from > until {
            return Ok(repo::count_payments(store, &shop.id, filter).await?);
        }
        let mut total = repo::counted_payments(store, &shop.id, filter, from, until).await?;
        let edge = |from_us: Option<i64>, until_us: Option<i64>, exclusive: bool| {
            let mut part = filter.clone();
            (part.from_us, part.until_us) = (from_us, until_us);
            set_span(&mut part);
            if exclusive && let Some(until) = until_us {
                part.below_id = Some(kessai_core::id::floor(repo::instant(until)).into());
            }
            part
        };
        if let Some(at) = filter.from_us
            && at.rem_euclid(hour) != 0
        {
            total += repo::count_payments(store, &shop.id, &edge(Some(at), Some(from * hour), true)).await?;
        }
        if let Some(at) = filter.until_us {
            total +=
                repo::count_payments(store, &shop.id, &edge(Some(until * hour), Some(at), false)).await?;
        }
        Ok(total)
    }

    /// `PATCH /payments/{id}`: description and metadata only.
    ///
    /// # Errors
    /// `not_found`; `conflict` when it keeps changing.
    pub async fn update_payment(
        &self,
        shop: &Shop,
        id: &str,
        description: Option<Option<Box<str>>>,
        metadata: Option<Metadata>,
    ) -> Result<Answer, Problem> {
        let _turn = self.payment_locks.hold(id).await;
        for _ in 0..8 {
            let payment = self.payment(shop, id).await?;
            let mut draft = Draft::of(self, shop, payment, None);
            if let Some(description) = &description {
                draft.payment.body.description = description.clone();
            }
            if let Some(metadata) = &metadata {
                draft.payment.body.metadata = metadata.clone();
            }
            draft.tell("payment.updated", None);
            let answer = payment_answer(&draft.payment);
            if let Committed::Done(..) = draft.commit().await? {
                return Ok(answer);
            }
        }
        Err(Problem::with("conflict", "The payment is changing too fast."))
    }

    /// The session a payment was made in.
    pub(crate) async fn session_of(&self, payment: &Payment) -> Result<Option<Session>, Problem> {
        match &payment.session {
            Some(id) => self.load_session(&payment.shop, id.as_str()).await,
            None => Ok(None),
        }
    }
}

/// What a command on a payment answers: 202 while the provider has not answered, else 200.
pub fn payment_answer(payment: &Payment) -> Answer {
    let status = if payment.body.state.in_flight().is_some() {
        202
    } else {
        200
    };
    Answer {
        status,
        body: wire::payment(payment),
    }
}

/// What a refused guard of a charge says. The order number, when the payment claims one, is the last of them; the others spend a token.
fn taken(last: bool, owns_number: bool) -> Problem {
    if last && owns_number {
        Problem::invalid("external_order_num", "external_order_num has already been taken")
    } else {
        Problem::new("invalid_token")
    }
}

/// Claims an order number for its owner.
pub(crate) fn order_number(shop: &str, number: &str, owner: &str, now: Timestamp) -> Guard {
    let row = OrderNumberRow {
        shop_id: shop.into(),
        number: number.into(),
        owner_id: owner.into(),
        created_at: micros(now),
    };
    Guard::Insert(OrderNumberRow::TABLE, row.into_values())
}

/// How a rejection is shown to the caller: a parameter of theirs as such, trouble of ours as `bad_gateway`.
pub(crate) fn rejected(rejection: &kessai_provider::port::Rejection) -> Problem {
    match (rejection.status, &rejection.param) {
        (401 | 403, _) => Problem::new("bad_gateway"),
        (_, Some(param)) => Problem::invalid(param.to_string(), rejection.message.to_string()),
        (_, None) => Problem::with("bad_gateway", rejection.message.to_string()),
    }
}

pub(crate) fn new_body(totals: Totals, capture: CaptureMode, details: &Details, locale: &str) -> PaymentBody {
    let text = |name: &str| details.fields.get(name).and_then(Value::as_str).map(Into::into);
    let names = (text("family_name"), text("given_name"));
    PaymentBody {
        state: State::new(totals.total(), capture),
        totals,
        attempts: 0,
        events: 0,
        postings: 0,
        stock: None,
        watched: false,
        details: details::shown(&details.fields),
        locale: locale.into(),
        description: None,
        metadata: Metadata::new(),
        captured_at: None,
        refunds: vec![],
        refund_requests: vec![],
        provider_session: None,
        next: None,
        return_url: None,
        cancel_url: None,
        mcc: None,
        statement_descriptor: None,
        hooks: vec![],
        customer_names: (names != (None, None)).then_some(names),
    }
}

/// SHA-256 of what is asked of the provider, without secrets.
fn fingerprint(authorize: &Authorize) -> Box<str> {
    let what = json!({
        "method": authorize.method, "total": authorize.totals, "capture": authorize.capture, "fields": authorize.fields,
        "in_session": authorize.in_session,
    });
    hex::encode(&vault::sha256(what.to_string().as_bytes())[..16]).into()
}

/// Turns the filter's span of time into a span of ids.
fn set_span(filter: &mut PaymentFilter) {
    filter.from_id = filter
        .from_us
        .map(|at| kessai_core::id::floor(repo::instant(at)).into());
    // The API's instants are whole seconds: the last one belongs to the span.
    filter.below_id = filter
        .until_us
        .map(|at| kessai_core::id::floor(repo::instant(at.saturating_add(1_000_000))).into());
}
