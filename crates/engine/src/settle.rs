//! What becomes of unknown outcomes and of payments that wait: the provider is asked, at widening intervals, until the end is known.
use crate::change::{Committed, Draft};
use crate::compare::nothing_left;
use crate::directory::Shop;
use crate::idempotency::{Answer, Idempotency};
use crate::model::{AttemptBody, Payment, Purpose, Session, attempt_body};
use crate::operate::{Act, Operating, capability, send};
use crate::payments::payment_answer;
use crate::problem::Problem;
use crate::sessions::pay_answer;
use crate::{Engine, Halt, later};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kessai_core::PaymentId;
use kessai_core::attempt::AttemptStatus;
use kessai_core::payment::{Fact, InFlight, Operation, Status, Suspicion};
use kessai_core::settle::{Meaning, abandoned_after_s, answered, settled, unwinding};
use kessai_core::tax::Totals;
use kessai_jobs::{Backoff, Done, Job, JobError, Lease, NewJob};
use kessai_provider::port::{InquiryError, View};
use kessai_store::repo::{self, AttemptRow, instant, micros};
use kessai_store::{Guard, wait_as_one};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// Asks the provider what became of an attempt whose answer was lost, or that nobody concluded.
#[derive(Debug, Serialize, Deserialize)]
pub struct SettleAttempt {
    /// The payment.
    pub payment: PaymentId,
    /// Which of its attempts.
    pub attempt: u32,
}

/// Finds attempts that were written down and never concluded, because whoever made them died, and sees to it that each is settled. Has
/// jobs that another one of their lane holds back wait as long as it does.
#[derive(Debug, Serialize, Deserialize)]
pub struct SweepAttempts {}

/// How often the sweep runs, in seconds.
const SWEPT_EVERY_S: i64 = 15;
/// How many attempts, and how many lanes, one sweep takes up.
const SWEPT_AT_ONCE: i64 = 500;

/// Looks after an open payment until it is closed: finds what a lost notification said, and lets it expire.
#[derive(Debug, Serialize, Deserialize)]
pub struct WatchPayment {
    /// The payment.
    pub payment: PaymentId,
}

/// Gives up at the provider what does not belong to us: an authorization of a wrong amount, or one of a payment closed here.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unwind {
    /// The payment.
    pub payment: PaymentId,
    /// How far it goes.
    #[serde(default)]
    pub unwinding: Unwinding,
}

/// How far giving up at the provider goes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unwinding {
    /// What nobody waits for is cancelled. Money that came all the same is late money: a person decides.
    #[default]
    Cancel,
    /// A wrong amount: what was taken goes back as well.
    Refund,
}

/// How long an unknown attempt is asked about before a person must, in seconds (31 days).
const ASKED_FOR_S: i64 = 31 * 86_400;

/// How often a payment is looked at that only a person can close, in seconds.
const LEFT_TO_PEOPLE_S: i64 = 86_400;

/// The waits between inquiries about an unknown attempt, in seconds; the last repeats.
const INQUIRIES: Backoff = Backoff {
    waits_s: &[
        15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400,
    ],
    give_up_after: None,
};

/// When to look at an open payment again: often at first where a shopper is on the way, then seldom, and at its deadline.
pub(crate) fn next_look(payment: &Payment, looks: u32, now: Timestamp) -> Timestamp {
    let waits: &[i64] = match payment.status() {
        Status::Pending => &[60, 120, 300, 600, 900, 1_800, 3_600],
        _ => &[3_600, 10_800, 21_600, 43_200, 86_400],
    };
    let index = (looks as usize).min(waits.len() - 1);
    let at = later(now, waits[index]);
    match payment.deadline_at {
        // One second after the deadline, so that whoever expires at the deadline itself has done so.
        Some(deadline) if later(deadline, 1) > now => at.min(later(deadline, 1)),
        Some(_) | None => at,
    }
}

pub(crate) enum Settled {
    /// The end is known and written down.
    Yes,
    /// Ask again: why, and since when the attempt has been open.
    NotYet(String, Timestamp),
}

#[async_trait]
impl Job<Engine> for SettleAttempt {
    const NAME: &'static str = "settle-attempt.v1";
    const BACKOFF: Backoff = INQUIRIES;

    async fn run(self, engine: &Engine, lease: &Lease) -> Result<Done, JobError> {
        let shop = engine.shop_of_job(&lease.shop).await?;
        match engine
            .settle_attempt(&shop, self.payment.as_str(), self.attempt)
            .await
        {
            Ok(Settled::Yes) => Ok(Done::Finished),
            Ok(Settled::NotYet(why, since)) => {
                let age = engine.now().duration_since(since).as_secs();
                metrics::gauge!("kessai_unknown_attempt_age_seconds", "shop" => shop.id.to_string())
                    .set(u32::try_from(age.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX));
                if age > ASKED_FOR_S {
                    let what = json!({"attempt": self.attempt, "asked_for_s": age, "last": why});
                    engine
                        .raise(&shop.id, self.payment.as_str(), "unknown_too_long", &what)
                        .await
                        .map_err(JobError::retry)?;
                    return Ok(Done::Again(later(engine.now(), 86_400)));
                }
                if age > 3_600 {
                    tracing::error!(payment = %self.payment, attempt = self.attempt, age_s = age, %why, "an attempt's end is still unknown");
                }
                Ok(Done::Again(
                    engine
                        .now()
                        .saturating_add(INQUIRIES.wait(lease.attempt))
                        .unwrap_or(Timestamp::MAX),
                ))
            }
            Err(problem) => Err(retry(problem)),
        }
    }
}

#[async_trait]
impl Job<Engine> for SweepAttempts {
    const NAME: &'static str = "sweep-attempts.v1";
    const BACKOFF: Backoff = Backoff {
        waits_s: &[5, 15, 60],
        give_up_after: None,
    };

    async fn run(self, engine: &Engine, _: &Lease) -> Result<Done, JobError> {
        let swept = engine.sweep().await.map_err(JobError::retry)?;
        let waiting = wait_as_one(engine.store.as_ref(), micros(engine.now()), SWEPT_AT_ONCE).await;
        let most = swept.max(waiting.map_err(JobError::retry)?);
        let more = i64::try_from(most).is_ok_and(|most| most >= SWEPT_AT_ONCE);
        Ok(Done::Again(later(
            engine.now(),
            if more { 1 } else { SWEPT_EVERY_S },
        )))
    }
}

#[async_trait]
impl Job<Engine> for WatchPayment {
    const NAME: &'static str = "watch-payment.v1";
    const BACKOFF: Backoff = Backoff {
        waits_s: &[30, 60, 300, 900, 3_600],
        give_up_after: None,
    };

    async fn run(self, engine: &Engine, lease: &Lease) -> Result<Done, JobError> {
        let shop = engine.shop_of_job(&lease.shop).await?;
        let payment = engine
            .refresh(&shop, self.payment.as_str())
            .await
            .map_err(retry)?;
        if !payment.status().is_open() {
            return Ok(Done::Finished);
        }
        let now = engine.now();
        let over = payment.deadline_at.is_some_and(|deadline| deadline < now);
        if over && payment.body.state.in_flight().is_none() {
            let closed = engine.expire(&shop, self.payment.as_str()).await.map_err(retry)?;
            return Ok(if closed {
                Done::Finished
            } else {
                Done::Again(later(engine.now(), LEFT_TO_PEOPLE_S))
            });
        }
        Ok(Done::Again(if over {
            later(now, 300)
        } else {
            next_look(&payment, lease.attempt, now)
        }))
    }
}

#[async_trait]
impl Job<Engine> for Unwind {
    const NAME: &'static str = "unwind.v1";
    const BACKOFF: Backoff = INQUIRIES;

    async fn run(self, engine: &Engine, lease: &Lease) -> Result<Done, JobError> {
        let shop = engine.shop_of_job(&lease.shop).await?;
        engine.unwind(&shop, &self, lease).await.map_err(retry)
    }
}

fn retry(problem: Problem) -> JobError {
    JobError::Retry(problem.message.into_owned())
}

impl Engine {
    /// Queues a settling for every attempt that is older than any call may take and still only intended; how many there were.
    async fn sweep(&self) -> Result<usize, kessai_store::StoreError> {
        let before = micros(later(
            self.now(),
            -abandoned_after_s(self.settings.provider_timeout_ms),
        ));
        let abandoned = repo::abandoned_attempts(self.store.as_ref(), before, SWEPT_AT_ONCE).await?;
        for (shop, payment, n) in &abandoned {
            let (Ok(id), Ok(attempt)) = (payment.parse::<PaymentId>(), u32::try_from(*n)) else {
                continue;
            };
            let Some(row) = repo::attempt(self.store.as_ref(), shop, payment, *n).await? else {
                continue;
            };
            if row.status.as_ref() != AttemptStatus::Intended.as_str() {
                continue;
            }
            let expected = row.version;
            let unknown = AttemptRow {
                status: AttemptStatus::Unknown.as_str().into(),
                version: expected + 1,
                ..row
            };
            let job = SettleAttempt { payment: id, attempt };
            let job = NewJob::new::<Self, _>(shop, format!("{payment}_{n}"), self.now(), &job);
            let taken = Guard::Update {
                table: AttemptRow::TABLE,
                row: unknown.into_values(),
                expected,
            };
            // Refused: its end has just been written down, or another node swept it.
            let change = kessai_store::ChangeSet {
                guards: vec![taken],
                ops: vec![job.op()],
            };
            let _ = self.store.commit(change).await?;
        }
        if !abandoned.is_empty() {
            self.wake.notify_one();
        }
        Ok(abandoned.len())
    }

    pub(crate) async fn shop_of_job(&self, id: &str) -> Result<Arc<Shop>, JobError> {
        match self.shop(id).await {
            Ok(Some(shop)) => Ok(shop),
            Ok(None) => Err(JobError::GiveUp(format!("no shop {id}"))),
            Err(problem) => Err(retry(problem)),
        }
    }

    /// Asks the provider about a payment now and folds what it says. The shopper's return, a notification and the watch come here.
    ///
    /// # Errors
    /// `not_found`; when provider or store cannot be asked. Nothing is lost: the watch asks again.
    pub async fn refresh(&self, shop: &Shop, id: &str) -> Result<Payment, Problem> {
        let _turn = self.payment_locks.hold(id).await;
        self.refresh_in_turn(shop, id).await
    }

    pub(crate) async fn refresh_in_turn(&self, shop: &Shop, id: &str) -> Result<Payment, Problem> {
        for _ in 0..8 {
            let (payment, changed_at) = self.payment_as_of(shop, id).await?;
            if let Some(flight) = payment.body.state.in_flight() {
                let attempt = flight.attempt;
                match self.settle_in_turn(shop, id, attempt).await? {
                    Settled::Yes => continue,
                    Settled::NotYet(..) => return Ok(payment),
                }
            }
            let Some(view) = self.inquire(shop, &payment).await? else {
                let shown_by_now = later(changed_at, self.settings.absence_s) <= self.now();
                if payment.status().is_open() && payment.reference.is_some() && shown_by_now {
                    tracing::error!(payment = %payment.id, "the provider no longer knows this payment");
                    self.raise(
                        &shop.id,
                        id,
                        "unknown_at_provider",
                        &json!({"reference": payment.reference}),
                    )
                    .await?;
                }
                return Ok(payment);
            };
            if let Some((payment, _)) = self.fold_view(shop, payment, &view).await? {
                return Ok(payment);
            }
        }
        Err(Problem::with("conflict", "The payment is changing too fast."))
    }

    /// Folds a fresh view into a payment without an open attempt, and tells what did not fit. `None`: it changed meanwhile.
    pub(crate) async fn fold_view(
        &self,
        shop: &Shop,
        payment: Payment,
        view: &View,
    ) -> Result<Option<(Payment, Option<Suspicion>)>, Problem> {
        let before = payment.clone();
        let session = self.session_of(&payment).await?;
        let mut draft = Draft::of(self, shop, payment, session);
        let suspicion = draft.take(view, Purpose::Usual, None);
        if suspicion.is_none() && draft.payment == before {
            return Ok(Some((before, None)));
        }
        match draft.commit().await? {
            Committed::Done(payment, _) => Ok(Some((*payment, suspicion))),
            Committed::Refused(_) | Committed::Stale => Ok(None),
        }
    }

    /// What the provider believes of a payment.
    pub(crate) async fn inquire(&self, shop: &Shop, payment: &Payment) -> Result<Option<View>, Problem> {
        self.serving(shop, payment)?;
        self.ask(shop, payment).await.map_err(|_| {
            Problem::with(
                "gateway_timeout",
                "The provider did not answer the inquiry. No money was moved by it.",
            )
        })
    }

    /// The same, with the reason when it told us nothing.
    pub(crate) async fn ask(&self, shop: &Shop, payment: &Payment) -> Result<Option<View>, InquiryError> {
        let (provider, account) = self
            .serving(shop, payment)
            .map_err(|problem| InquiryError::Refused(problem.message.into_owned()))?;
        let call = self.call(account, payment.key(payment.body.attempts.max(1)));
        let asked = provider.inquire(&call, &payment.handle()).await;
        asked.inspect_err(|error| {
            tracing::warn!(payment = %payment.id, %error, "an inquiry brought nothing");
        })
    }

    async fn settle_attempt(&self, shop: &Shop, id: &str, n: u32) -> Result<Settled, Problem> {
        let _turn = self.payment_locks.hold(id).await;
        self.settle_in_turn(shop, id, n).await
    }

    pub(crate) async fn settle_in_turn(&self, shop: &Shop, id: &str, n: u32) -> Result<Settled, Problem> {
        let payment = self.payment(shop, id).await?;
        let row = repo::attempt(self.store.as_ref(), &shop.id, id, i64::from(n))
            .await?
            .ok_or_else(Problem::not_found)?;
        let status =
            AttemptStatus::parse(&row.status).ok_or_else(|| Problem::new("internal_server_error"))?;
        if status.is_settled() {
            return Ok(Settled::Yes);
        }
        let mut body = attempt_body(&row).map_err(|error| {
            tracing::error!(%error, "an attempt cannot be read");
            Problem::new("internal_server_error")
        })?;
        // Its age counts as of now, before the question: should we sleep over the answer, the request may have arrived meanwhile.
        let absent_long = later(instant(row.created_at), self.settings.absence_s) <= self.now();
        let view = match self.inquire(shop, &payment).await {
            Ok(view) => view,
            Err(problem) => {
                return Ok(Settled::NotYet(
                    problem.message.into_owned(),
                    instant(row.created_at),
                ));
            }
        };
        body.inquiries += 1;
        let operation = row.operation.clone();
        let session = self.session_of(&payment).await?;
        let mut draft = Draft::of(self, shop, payment, session);
        // When its end turns out not to be known yet, the draft is thrown away.
        draft.payment.body.state.land(n);
        let amount = body.totals.total();
        let before = draft.payment.body.state.clone();
        let meaning = match &view {
            // What was found is somebody else's: it says nothing about our operation. The draft is thrown away, so that a person is
            // told here.
            Some(view)
                if draft.take(view, body.purpose, body.description.as_deref())
                    == Some(Suspicion::OtherPayment) =>
            {
                let what = json!({"reference": view.reference, "number": view.key});
                self.raise(&shop.id, id, Suspicion::OtherPayment.as_str(), &what)
                    .await?;
                None
            }
            view => settled(
                parse(&operation),
                view.as_ref().map(View::seen).as_ref(),
                &before,
                amount,
                absent_long,
            ),
        };
        let Some(Meaning { status, fact }) = meaning else {
            return Ok(Settled::NotYet(
                "the provider shows no trace of it yet".into(),
                instant(row.created_at),
            ));
        };
        draft.fold(fact.as_slice(), None);
        body.note = Some(format!("settled by inquiry {}: {}", body.inquiries, status.as_str()).into());
        if let (Operation::Authorize, Some(session)) = (parse(&operation), &mut draft.session)
            && draft.payment.status() == Status::Pending
        {
            session.body.payment = Some(draft.payment.id.clone());
        }
        draft.conclude(&row, status, &body);
        let given = self.late_answer(parse(&operation), status, &draft.payment, draft.session.as_ref());
        if let Some(key) = body.idempotency.as_deref().and_then(unhex)
            && let Some(kept) = repo::idempotency(self.store.as_ref(), &shop.id, &key.hash).await?
            && kept.state == 0
            // The key may be free and in another's use by now.
            && kept.owner_id.as_deref() == Some(id)
            && kept.fingerprint == key.fingerprint
        {
            draft.answer(Some(&key), &given);
        }
        let operation = operation.to_string();
        match draft.commit().await? {
            Committed::Done(..) => {
                metrics::counter!("kessai_settled_by_inquiry_total", "operation" => operation, "status" => status.as_str())
                    .increment(1);
                Ok(Settled::Yes)
            }
            Committed::Refused(_) | Committed::Stale => Ok(Settled::NotYet(
                "the payment changed meanwhile".into(),
                instant(row.created_at),
            )),
        }
    }

    /// What a shop that asks again is answered about an attempt that was settled after its request had ended.
    pub(crate) fn late_answer(
        &self,
        operation: Operation,
        end: AttemptStatus,
        payment: &Payment,
        session: Option<&Session>,
    ) -> Answer {
        if end == AttemptStatus::NotSent && operation != Operation::Authorize {
            // The payment itself is sound, so it would pass for a success.
            return Answer::problem(&Problem::with(
                "gateway_timeout",
                "No trace of the request was found at the provider, so it counts as not made. Look at the payment; if it is still wanted, send it \
                 under a new key.",
            ));
        }
        match (operation, payment.status(), &payment.session) {
            (Operation::Authorize, Status::Failed, session) => {
                let problem = Problem::new(payment.body.state.failure().unwrap_or("other_error"));
                let body = if session.is_some() {
                    problem.pay_body()
                } else {
                    problem.body()
                };
                Answer {
                    status: problem.status(),
                    body,
                }
            }
            (Operation::Authorize, _, Some(_)) => pay_answer(&self.settings.public_url, payment, session),
            _ => payment_answer(payment),
        }
    }

    /// Lets an open payment expire whose deadline passed: given up at the provider first, so that nobody pays it any more. Whether it is
    /// closed now; money that does not fit is a discrepancy already and a person's to decide, not ours to cancel again and again.
    async fn expire(&self, shop: &Shop, id: &str) -> Result<bool, Problem> {
        let _turn = self.payment_locks.hold(id).await;
        let payment = self.payment(shop, id).await?;
        if !payment.status().is_open() || payment.deadline_at.is_none_or(|deadline| deadline >= self.now()) {
            return Ok(true);
        }
        if let Some(view) = self.inquire(shop, &payment).await?
            && (has_money(&view) || !payment.is_shown_by(&view))
        {
            let payment = self.refresh_in_turn(shop, id).await?;
            return Ok(!payment.status().is_open());
        }
        match self.act_in_turn(shop, id, None, Act::Expire).await {
            Ok(_) => {}
            Err(Halt::Problem(problem)) => {
                tracing::warn!(payment = id, %problem.message, "a payment is let expire")
            }
            Err(Halt::KeyTaken) => {}
        }
        let payment = self.payment(shop, id).await?;
        if payment.body.state.in_flight().is_some() {
            return Err(Problem::with(
                "gateway_timeout",
                "the provider has not confirmed yet that the payment is given up",
            ));
        }
        if !payment.status().is_open() {
            return Ok(true);
        }
        // It could not be given up there (or need not be): what the provider believes now decides.
        if let Some(view) = self.inquire(shop, &payment).await?
            && (has_money(&view) || !payment.is_shown_by(&view))
        {
            let payment = self.refresh_in_turn(shop, id).await?;
            return Ok(!payment.status().is_open());
        }
        let session = self.session_of(&payment).await?;
        let mut draft = Draft::of(self, shop, payment, session);
        draft.fold(&[Fact::Expired], None);
        match draft.commit().await? {
            Committed::Done(..) => Ok(true),
            Committed::Refused(_) | Committed::Stale => Err(Problem::new("conflict")),
        }
    }

    /// Has a payment that is closed here given up at its provider, where it is not.
    pub(crate) async fn give_up_there(&self, shop: &Shop, payment: Payment) -> Result<(), Problem> {
        let mut draft = Draft::of(self, shop, payment, None);
        draft.unwind(Unwinding::Cancel);
        // Refused: it has just changed, and the next comparison sees what is so by then.
        let _ = draft.commit().await?;
        Ok(())
    }

    /// Cancels or refunds at the provider what should not be there. The same three steps as for every operation, but the payment
    /// stays as it is: its end was written down when the doubt arose.
    async fn unwind(&self, shop: &Shop, job: &Unwind, lease: &Lease) -> Result<Done, Problem> {
        let id = job.payment.as_str();
        let _turn = self.payment_locks.hold(id).await;
        let next_look = self
            .now()
            .saturating_add(INQUIRIES.wait(lease.attempt))
            .unwrap_or(Timestamp::MAX);
        let again = || Ok(Done::Again(next_look));
        let payment = self.payment(shop, id).await?;
        if payment.body.state.in_flight().is_some() {
            return again();
        }
        let Some(view) = self.inquire(shop, &payment).await? else {
            return match self.end_unwind(shop, payment, None, lease).await? {
                true => Ok(Done::Included),
                false => again(),
            };
        };
        let (provider, account) = self.serving(shop, &payment)?;
        let can = capability(provider.as_ref(), &payment)?.operations;
        let cancels = can.cancel && provider.cancels().is_some();
        let refunds = job.unwinding == Unwinding::Refund && can.refund && provider.refunds().is_some();
        let next = unwinding(&view.seen(), cancels, refunds).filter(|_| payment.is_shown_by(&view));
        let Some((operation, amount)) = next else {
            // Nothing is there, or a person must. Late money is raised; a wrong amount stands raised already.
            let late =
                job.unwinding == Unwinding::Cancel && has_money(&view) && !nothing_left(&payment, &view);
            let news = (late || !payment.is_shown_by(&view)).then_some(&view);
            return match self.end_unwind(shop, payment, news, lease).await? {
                true => Ok(Done::Included),
                false => again(),
            };
        };
        let totals = Totals {
            amount: amount.minor(),
            tax: 0,
            fee: 0,
            currency: amount.currency(),
        };
        let operating = Operating {
            operation,
            totals,
            description: Some("amount mismatch".into()),
        };
        let mut body = AttemptBody {
            purpose: Purpose::Unwind,
            ..AttemptBody::new(totals)
        };
        let n = payment.body.attempts + 1;
        let mut draft = Draft::of(self, shop, payment, None);
        draft.payment.body.attempts = n;
        draft.payment.body.state.take_off(InFlight {
            attempt: n,
            operation,
            amount,
        });
        draft.intend(n, operation, &body);
        let row = draft.intended_row(n, operation, &body);
        let Committed::Done(payment, _) = draft.commit().await? else {
            return again();
        };
        let call = self.intended_call(account, payment.key(n), &row);
        let outcome = send(provider.as_ref(), &call, &payment, &operating).await;
        body.exchanges = call.take_exchanges();
        let Meaning { status, .. } = answered(operation, outcome.answer("bad_gateway"));
        let mut draft = Draft::of(self, shop, *payment, None);
        draft.conclude(&row, status, &body);
        // Refused: the settle job concludes it. Either way the next look tells whether it worked.
        let _ = draft.commit().await?;
        again()
    }

    /// Ends the job together with a look at the payment's version: whoever finds more to give up meanwhile either sees the job gone or
    /// makes it look again. A view with news is folded in the same commit. Whether it is ended.
    async fn end_unwind(
        &self,
        shop: &Shop,
        payment: Payment,
        news: Option<&View>,
        lease: &Lease,
    ) -> Result<bool, Problem> {
        let session = self.session_of(&payment).await?;
        let mut draft = Draft::of(self, shop, payment, session);
        draft.guard(lease.finish());
        if let Some(view) = news {
            draft.take(view, Purpose::Usual, None);
        }
        Ok(matches!(draft.commit().await?, Committed::Done(..)))
    }

    /// Cancels an open payment for good, as its session's next payment or the session's end asks; what was paid meanwhile is kept.
    ///
    /// # Errors
    /// `conflict` while its end cannot be known.
    pub(crate) async fn give_up(&self, shop: &Shop, id: &str) -> Result<Payment, Problem> {
        let _turn = self.payment_locks.hold(id).await;
        let payment = self.refresh_in_turn(shop, id).await?;
        if !payment.status().is_open() || payment.body.state.in_flight().is_some() {
            return Ok(payment);
        }
        match self.act_in_turn(shop, id, None, Act::Cancel).await {
            Ok(_) => {}
            Err(Halt::Problem(problem)) => {
                tracing::warn!(payment = id, %problem.message, "giving up a payment")
            }
            Err(Halt::KeyTaken) => {}
        }
        self.payment(shop, id).await
    }
}

/// Whether money was taken there.
fn has_money(view: &View) -> bool {
    matches!(view.status, Status::Captured | Status::Refunded)
}

pub(crate) fn parse(operation: &str) -> Operation {
    match operation {
        "capture" => Operation::Capture,
        "cancel" => Operation::Cancel,
        "refund" => Operation::Refund,
        "amend" => Operation::Amend,
        _ => Operation::Authorize,
    }
}

fn unhex(text: &str) -> Option<Idempotency> {
    let bytes = hex::decode(text).ok()?;
    let (hash, fingerprint) = bytes.split_at_checked(16)?;
    Some(Idempotency::known(
        hash.try_into().ok()?,
        fingerprint.try_into().ok()?,
    ))
}

/// Rows that expired are taken away, hour by hour.
#[derive(Debug, Serialize, Deserialize)]
pub struct Housekeeping {}

#[async_trait]
impl Job<Engine> for Housekeeping {
    const NAME: &'static str = "housekeeping.v1";
    const BACKOFF: Backoff = Backoff {
        waits_s: &[60, 600],
        give_up_after: None,
    };

    async fn run(self, engine: &Engine, _: &Lease) -> Result<Done, JobError> {
        for _ in 0..200 {
            if engine.purge_keys(500).await.map_err(retry)? < 500 {
                return Ok(Done::Again(
                    engine
                        .now()
                        .saturating_add(SignedDuration::from_mins(30))
                        .unwrap_or(Timestamp::MAX),
                ));
            }
        }
        Ok(Done::Again(later(engine.now(), 5)))
    }
}
