//! A change to one payment, and all that goes with it in the same commit: its session, events, deliveries, ledger, counters, jobs.
use crate::directory::Shop;
use crate::idempotency::{self, Answer, Idempotency};
use crate::model::{AttemptBody, Payment, Refund, Session};
use crate::outbox::Deliver;
use crate::settle::{SettleAttempt, Unwind, Unwinding, WatchPayment};
use crate::{Engine, later, wire};
use jiff::Timestamp;
use kessai_core::attempt::AttemptStatus;
use kessai_core::payment::{Fact, Folded, Status, Step, Suspicion};
use kessai_core::session::SessionStatus;
use kessai_core::tax::Totals;
use kessai_core::{EventId, Money, RefundId, event, ledger};
use kessai_jobs::NewJob;
use kessai_store::repo::{
    self, AttemptRow, DeliveryRow, EventRow, PaymentRow, PostingRow, SessionRow, micros,
};
use kessai_store::{ChangeSet, Commit, Guard, Op, StoreError, tables};

/// The whole hour that an instant falls into, as counters count.
pub(crate) const BUCKET_US: i64 = 3_600_000_000;

/// A payment being changed.
pub(crate) struct Draft<'a> {
    engine: &'a Engine,
    pub(crate) shop: &'a Shop,
    pub(crate) payment: Payment,
    pub(crate) session: Option<Session>,
    now: Timestamp,
    /// As it stands in the store; none for a new payment.
    was: Option<(Status, i64)>,
    session_was: Option<Session>,
    change: ChangeSet,
    last_event: Option<(Box<str>, String)>,
    queued: bool,
    raised: Vec<(&'static str, serde_json::Value)>,
    unwind: Option<Unwinding>,
}

impl<'a> Draft<'a> {
    /// A new payment.
    pub(crate) fn new(
        engine: &'a Engine,
        shop: &'a Shop,
        payment: Payment,
        session: Option<Session>,
    ) -> Self {
        let now = engine.now();
        let session_was = session.clone();
        let change = ChangeSet {
            guards: vec![],
            ops: vec![],
        };
        Self {
            engine,
            shop,
            payment,
            session,
            now,
            was: None,
            session_was,
            change,
            last_event: None,
            queued: false,
            raised: vec![],
            unwind: None,
        }
    }

    /// A payment that stands in the store.
    pub(crate) fn of(engine: &'a Engine, shop: &'a Shop, payment: Payment, session: Option<Session>) -> Self {
        let was = Some((payment.status(), payment.version));
        Self {
            was,
            ..Self::new(engine, shop, payment, session)
        }
    }

    /// The present instant of this change.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Where the hub is reached.
    pub(crate) fn public_url(&self) -> Box<str> {
        self.engine.settings.public_url.clone()
    }

    /// Adds a condition.
    pub(crate) fn guard(&mut self, guard: Guard) {
        self.change.guards.push(guard);
    }

    /// Adds a row.
    pub(crate) fn op(&mut self, op: Op) {
        self.change.ops.push(op);
    }

    /// Adds a job.
    pub(crate) fn job(&mut self, job: NewJob) {
        self.change.ops.push(job.op());
        self.queued = true;
    }

    /// Writes a new attempt down before it is made. Should nobody conclude it, the sweep finds it by its status and age.
    pub(crate) fn intend(&mut self, n: u32, operation: kessai_core::payment::Operation, body: &AttemptBody) {
        let row = self.attempt_row(
            n,
            operation.as_str(),
            AttemptStatus::Intended,
            None,
            body,
            1,
            self.now,
        );
        self.op(Op::Insert(AttemptRow::TABLE, row.into_values()));
    }

    /// Writes down how an attempt ended. An end that is not known is asked for, beginning soon.
    pub(crate) fn conclude(&mut self, row: &AttemptRow, status: AttemptStatus, body: &AttemptBody) {
        let n = u32::try_from(row.n).expect("counted by us");
        let settled = status.is_settled().then(|| micros(self.now));
        let updated = AttemptRow {
            status: status.as_str().into(),
            settled_at: settled,
            version: row.version + 1,
            body: serde_json::to_string(body).expect("plain data").into(),
            ..row.clone()
        };
        self.op(Op::Update(AttemptRow::TABLE, updated.into_values()));
        if status.is_settled() {
            self.payment.body.state.land(n);
        } else {
            let job = SettleAttempt {
                payment: self.payment.id.clone(),
                attempt: n,
            };
            // Not the id that the sweep gives: it may have been here already.
            let id = format!("{}q", self.payment.key(n));
            self.job(NewJob::new::<Engine, _>(
                &self.shop.id,
                id,
                later(self.now, 15),
                &job,
            ));
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the table's columns")]
    fn attempt_row(
        &self,
        n: u32,
        operation: &str,
        status: AttemptStatus,
        settled_at: Option<i64>,
        body: &AttemptBody,
        version: i64,
        created_at: Timestamp,
    ) -> AttemptRow {
        AttemptRow {
            shop_id: self.shop.id.clone(),
            payment_id: self.payment.id.as_str().into(),
            n: i64::from(n),
            operation: operation.into(),
            provider: self.payment.provider.clone(),
            status: status.as_str().into(),
            created_at: micros(created_at),
            settled_at,
            version,
            body: serde_json::to_string(body).expect("plain data").into(),
        }
    }

    /// The row an attempt has right after [`Draft::intend`].
    pub(crate) fn intended_row(
        &self,
        n: u32,
        operation: kessai_core::payment::Operation,
        body: &AttemptBody,
    ) -> AttemptRow {
        self.attempt_row(
            n,
            operation.as_str(),
            AttemptStatus::Intended,
            None,
            body,
            1,
            self.now,
        )
    }

    /// Folds facts in. What fits becomes steps with events and postings; the first that does not fit is returned.
    pub(crate) fn fold(&mut self, facts: &[Fact], description: Option<&str>) -> Option<Suspicion> {
        let mut suspicion = None;
        for fact in facts {
            match self.payment.body.state.fold(fact) {
                Folded::Applied(steps) => steps.iter().for_each(|step| self.step(step, description)),
                Folded::Known => {}
                Folded::Suspect(kind) => {
                    suspicion.get_or_insert(kind);
                }
            }
        }
        suspicion
    }

    fn step(&mut self, step: &Step, description: Option<&str>) {
        let body = &mut self.payment.body;
        match step {
            Step::Authorized => body.next = None,
            Step::Captured { amount } => {
                body.captured_at = Some(micros(self.now));
                body.next = None;
                if *amount != body.totals.total() {
                    body.totals = part_of(body.totals, *amount);
                }
            }
            Step::Refunded {
                reference, amount, ..
            } => {
                let id = RefundId::new(self.now, self.engine.entropy.as_ref());
                body.refunds.push(Refund {
                    id: id.as_str().into(),
                    reference: reference.clone(),
                    amount: amount.minor(),
                    description: description.map(Into::into),
                    at: micros(self.now),
                });
            }
            Step::Cancelled | Step::Expired | Step::Failed { .. } => body.next = None,
        }
        let fee = Money::new(body.totals.fee, body.totals.currency).expect("checked when made");
        for posting in ledger::postings(step, fee) {
            body.postings += 1;
            let row = PostingRow {
                shop_id: self.shop.id.clone(),
                payment_id: self.payment.id.as_str().into(),
                n: i64::from(body.postings),
                account: posting.account.as_str().into(),
                amount: posting.amount,
                currency: body.totals.currency.code().into(),
                at: micros(self.now),
            };
            self.change
                .ops
                .push(Op::Insert(PostingRow::TABLE, row.into_values()));
        }
        self.settle_session(step);
        self.move_stock(step);
        let reason = match step {
            Step::Failed { code } => Some(code.clone()),
            Step::Authorized
            | Step::Captured { .. }
            | Step::Refunded { .. }
            | Step::Cancelled
            | Step::Expired => None,
        };
        for kind in event::kinds(step) {
            self.tell(kind, reason.clone());
        }
    }

    /// A payment that is authorized or captured completes its session; one that failed leaves it payable again.
    fn settle_session(&mut self, step: &Step) {
        let Some(session) = &mut self.session else { return };
        match step {
            Step::Authorized | Step::Captured { .. } => {
                if session.status == SessionStatus::Pending {
                    session.status = SessionStatus::Completed;
                    session.completed_at = Some(self.now);
                    session.body.payment = Some(self.payment.id.clone());
                }
            }
            Step::Failed { .. } => {
                if session.body.payment.as_ref() == Some(&self.payment.id)
                    && session.status == SessionStatus::Pending
                {
                    session.body.payment = None;
                }
            }
            Step::Refunded { .. } | Step::Cancelled | Step::Expired => {}
        }
    }

    /// Writes an event about the payment as it now is, and a delivery for everyone who wants it.
    pub(crate) fn tell(&mut self, kind: &str, reason: Option<Box<str>>) {
        self.payment.body.events += 1;
        let data = wire::payment(&self.payment);
        let id = match &self.last_event {
            Some((last, _)) => kessai_core::id::next_text(last),
            None => EventId::new(self.now, self.engine.entropy.as_ref())
                .as_str()
                .into(),
        };
        let row = EventRow {
            shop_id: self.shop.id.clone(),
            id: id.as_str().into(),
            subject_id: self.payment.id.as_str().into(),
            seq: i64::from(self.payment.body.events),
            kind: kind.into(),
            created_at: micros(self.now),
            reason,
            data: data.as_str().into(),
        };
        self.queued |= self.engine.owe(self.shop, &row, &mut self.change);
        for (n, hook) in self.payment.body.hooks.iter().enumerate() {
            if hook.events.is_empty() || hook.events.iter().any(|wanted| wanted.as_ref() == kind) {
                let endpoint = format!("{}-{n}", self.payment.id);
                self.engine
                    .owe_to(&self.shop.id, &row, &endpoint, &mut self.change);
                self.queued = true;
            }
        }
        self.change
            .ops
            .push(Op::Insert(EventRow::TABLE, row.into_values()));
        self.last_event = Some((id.into(), data));
    }

    /// Answers an idempotency key in this commit. Call last: the answer shows the payment as it now is.
    pub(crate) fn answer(&mut self, key: Option<&Idempotency>, answer: &Answer) {
        let Some(key) = key else { return };
        let event = self
            .last_event
            .as_ref()
            .filter(|(_, data)| *data == answer.body)
            .map(|(id, _)| id.as_ref());
        let op = idempotency::answered(
            &self.shop.id,
            key,
            self.payment.id.as_str(),
            answer,
            event,
            self.now,
        );
        self.change.ops.push(op);
    }

    /// Commits. `Ok(None)`: somebody else was faster; read again. `Refused` carries the position among the guards added by the
    /// caller.
    pub(crate) async fn commit(mut self) -> Result<Committed, StoreError> {
        for (kind, what) in std::mem::take(&mut self.raised) {
            self.engine
                .raise(&self.shop.id, self.payment.id.as_str(), kind, &what)
                .await?;
        }
        if let Some(unwinding) = self.unwind {
            self.queue_unwind(unwinding).await?;
        }
        let own_guards = self.change.guards.len();
        let status = self.payment.status();
        self.watch(status);
        self.count(status);
        match self.was {
            Some((_, version)) => {
                self.payment.version = version + 1;
                let row = self.payment.row(self.now).into_values();
                self.change.guards.push(Guard::Update {
                    table: PaymentRow::TABLE,
                    row,
                    expected: version,
                });
            }
            None => {
                self.payment.version = 1;
                self.change.ops.push(Op::Insert(
                    PaymentRow::TABLE,
                    self.payment.row(self.now).into_values(),
                ));
            }
        }
        if let (Some(session), Some(was)) = (&mut self.session, &self.session_was)
            && session != was
        {
            let version = was.version;
            session.version = version + 1;
            let row = session.row().into_values();
            self.change.guards.push(Guard::Update {
                table: SessionRow::TABLE,
                row,
                expected: version,
            });
        }
        match self.engine.store.commit(self.change).await? {
            Commit::Done => {
                if self.queued {
                    self.engine.wake.notify_one();
                }
                Ok(Committed::Done(
                    Box::new(self.payment),
                    self.session.map(Box::new),
                ))
            }
            Commit::Refused { guard } if guard < own_guards => Ok(Committed::Refused(guard)),
            Commit::Refused { .. } => Ok(Committed::Stale),
        }
    }

    /// Whoever waits has a deadline and somebody who looks: one job per open payment, made when its provider first has it.
    fn watch(&mut self, status: Status) {
        let watched = self.payment.body.watched;
        if status.is_open() && !watched && self.was.is_some() {
            let at = crate::settle::next_look(&self.payment, 0, self.now);
            let job = WatchPayment {
                payment: self.payment.id.clone(),
            };
            self.change
                .ops
                .push(NewJob::new::<Engine, _>(&self.shop.id, watch_id(&self.payment), at, &job).op());
            self.payment.body.watched = true;
        }
        if !status.is_open() && watched {
            let key = vec![
                self.shop.id.as_ref().into(),
                watch_id(&self.payment).as_ref().into(),
            ];
            self.change.ops.push(Op::Delete(&tables::JOBS, key));
            self.payment.body.watched = false;
        }
    }

    fn count(&mut self, status: Status) {
        let bucket = micros(self.payment.created_at).div_euclid(BUCKET_US);
        let currency = self.payment.body.totals.currency.code();
        let mut add = |status: Status, delta: i64| {
            self.change.ops.push(Op::Add {
                table: &tables::COUNTS,
                key: vec![
                    self.shop.id.as_ref().into(),
                    "payments".into(),
                    bucket.into(),
                    status.as_str().into(),
                    currency.into(),
                    0.into(),
                ],
                delta,
            });
        };
        match self.was {
            None => add(status, 1),
            Some((was, _)) if was != status => {
                add(was, -1);
                add(status, 1);
            }
            Some(_) => {}
        }
    }

    /// Has what is not ours given up at the provider.
    pub(crate) fn unwind(&mut self, unwinding: Unwinding) {
        self.unwind = Some(unwinding);
    }

    /// One job is enough, however often the same is seen: it looks again by itself until there is nothing left to give up.
    async fn queue_unwind(&mut self, unwinding: Unwinding) -> Result<(), StoreError> {
        let payment = &self.payment;
        // Their names begin alike, so that one span of ids holds all that a payment has of each.
        let (from, until) = match unwinding {
            Unwinding::Cancel => ('c', 'd'),
            Unwinding::Refund => ('u', 'v'),
        };
        let span = (format!("{}{from}", payment.id), format!("{}{until}", payment.id));
        let store = self.engine.store.as_ref();
        if repo::job_stands(store, &self.shop.id, (&span.0, &span.1)).await? {
            return Ok(());
        }
        let job = Unwind {
            payment: payment.id.clone(),
            unwinding,
        };
        let id = format!("{}{}", span.0, payment.version);
        let now = self.now;
        self.job(NewJob::new::<Engine, _>(&self.shop.id, id, now, &job));
        Ok(())
    }

    /// Notes a disagreement, once per payment and kind, ahead of the change itself.
    pub(crate) fn discrepancy(&mut self, kind: &'static str, what: serde_json::Value) {
        self.raised.push((kind, what));
    }
}

pub(crate) fn watch_id(payment: &Payment) -> Box<str> {
    format!("{}w", payment.id).into()
}

/// How a draft's commit ended.
pub(crate) enum Committed {
    /// It is durable.
    Done(Box<Payment>, Option<Box<Session>>),
    /// One of the caller's own guards was refused.
    Refused(usize),
    /// The payment or its session changed meanwhile. Nothing was done; read again.
    Stale,
}

/// The parts of a smaller capture: the tax keeps its share, half up; a fee is never part of one.
fn part_of(whole: Totals, taken: Money) -> Totals {
    let taken = taken.minor();
    let base = whole.amount + whole.tax;
    let tax = if whole.tax == 0 || base == 0 {
        0
    } else {
        (taken * whole.tax * 2 + base) / (base * 2)
    };
    Totals {
        amount: taken - tax,
        tax,
        fee: 0,
        currency: whole.currency,
    }
}

/// Whose deliveries these are, for the outbox.
pub(crate) fn delivery(
    shop: &str,
    event: &EventRow,
    endpoint: &str,
    id: Box<str>,
    now: Timestamp,
) -> DeliveryRow {
    DeliveryRow {
        shop_id: shop.into(),
        event_id: event.id.clone(),
        endpoint_id: endpoint.into(),
        id,
        status: "pending".into(),
        tries: 0,
        next_at: Some(micros(now)),
        last_status: None,
        created_at: micros(now),
        updated_at: micros(now),
        version: 1,
        body: "{}".into(),
    }
}

/// The job that delivers: in one lane per endpoint and subject, so that a subject's events arrive in order.
pub(crate) fn delivery_job(shop: &str, event: &EventRow, endpoint: &str, now: Timestamp) -> NewJob {
    let job = Deliver {
        event: event.id.clone(),
        endpoint: endpoint.into(),
    };
    let id = format!("{}.{:06}.{endpoint}", event.subject_id, event.seq);
    NewJob::new::<Engine, _>(shop, id, now, &job).in_lane(format!("{endpoint}.{}", event.subject_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kessai_core::Currency;

    #[test]
    fn a_smaller_capture_shows_its_share_of_the_tax() {
        let whole = Totals {
            amount: 1_000,
            tax: 100,
            fee: 0,
            currency: Currency::JPY,
        };
        let part = part_of(whole, Money::new(550, Currency::JPY).unwrap());
        assert_eq!((part.amount, part.tax, part.total().minor()), (500, 50, 550));
        let untaxed = Totals {
            amount: 1_000,
            tax: 0,
            fee: 0,
            currency: Currency::JPY,
        };
        assert_eq!(part_of(untaxed, Money::new(1, Currency::JPY).unwrap()).tax, 0);
    }
}
