//! One payment compared with its provider's books: what can be settled is, by the one function that folds facts, and the rest is raised.
use crate::directory::Shop;
use crate::model::{Payment, Purpose, attempt_body};
use crate::operate::capability;
use crate::problem::Problem;
use crate::settle::Settled;
use crate::{Engine, later};
use jiff::Timestamp;
use kessai_core::Money;
use kessai_core::attempt::AttemptStatus;
use kessai_core::payment::Status;
use kessai_provider::port::{InquiryError, View};
use kessai_store::repo::{self, DiscrepancyRow};
use serde_json::{Value, json};

/// What became of comparing one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compared {
    /// Both books say the same.
    Agreed,
    /// The provider knew something that we did not, and now we do; or what nobody wants is being given up there.
    Settled,
    /// A discrepancy that a person must look at, and nobody knew of before.
    Raised(Box<str>),
    /// A discrepancy that is known already.
    Standing(Box<str>),
    /// An operation is under way, or has just ended: too early to tell.
    Waiting,
    /// The provider cannot be reached, or refuses our credentials.
    NoAnswer(String),
    /// Its answer, or our own row, makes no sense.
    Unreadable(String),
}

/// What folding left different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// What the provider holds is behind what it told us once.
    Differs(&'static str),
    /// Closed here, and a shopper could still pay it there.
    StillOpenThere,
}

const MISSING_AUTHORIZATION: &str = "missing_authorization";
const MISSING_CAPTURE: &str = "missing_capture";
const MISSING_REFUND: &str = "missing_refund";
const STILL_OPEN_THERE: &str = "still_open_there";
const UNKNOWN_AT_PROVIDER: &str = "unknown_at_provider";

/// What the view says went back.
fn refunded(view: &View) -> i64 {
    view.refunds
        .iter()
        .fold(0, |sum: i64, (_, amount)| sum.saturating_add(amount.minor()))
}

/// Closed here without money, and all that came there went back again: nobody holds anything.
pub(crate) fn nothing_left(payment: &Payment, view: &View) -> bool {
    let closed = match payment.status() {
        Status::Cancelled | Status::Expired | Status::Failed => true,
        Status::Pending | Status::Authorized | Status::Captured | Status::Refunded => false,
    };
    closed
        && payment.is_shown_by(view)
        && view.status == Status::Refunded
        && view.captured.unwrap_or(view.total).minor() == refunded(view)
}

/// What still differs once the view was folded in and fitted. Facts never move a payment backwards, so what is missing there does not
/// show in folding.
fn gap(payment: &Payment, view: &View) -> Option<Gap> {
    let state = &payment.body.state;
    match (payment.status(), view.status) {
        (Status::Pending, Status::Pending) if view.total != state.asked() => {
            Some(Gap::Differs("amount_mismatch"))
        }
        (Status::Authorized, Status::Pending) => Some(Gap::Differs(MISSING_AUTHORIZATION)),
        (Status::Captured | Status::Refunded, Status::Pending | Status::Authorized) => {
            Some(Gap::Differs(MISSING_CAPTURE))
        }
        (Status::Captured | Status::Refunded, Status::Captured | Status::Refunded)
            if refunded(view) < state.refunded().minor() =>
        {
            Some(Gap::Differs(MISSING_REFUND))
        }
        // A session there in which nobody made a payment lapses by itself.
        (Status::Cancelled | Status::Expired | Status::Failed, Status::Pending)
            if !view.reference.is_empty() =>
        {
            Some(Gap::StillOpenThere)
        }
        _ => None,
    }
}

/// Both sides, as a discrepancy shows them.
fn sides(payment: &Payment, view: &View) -> Value {
    let state = &payment.body.state;
    json!({
        "ours": {"status": payment.status().as_str(), "total": state.asked().minor(), "captured": state.captured().minor(),
                 "refunded": state.refunded().minor(), "reference": payment.reference},
        "theirs": {"status": view.status.as_str(), "total": view.total.minor(), "captured": view.captured.map(Money::minor),
                   "refunded": refunded(view), "reference": view.reference, "number": view.key},
    })
}

/// A payment on the table: what it was, and what was known to disagree, when the comparison began.
struct Table {
    before: Payment,
    discrepancies: Vec<DiscrepancyRow>,
}

impl Table {
    fn was_open(&self, kind: &str) -> bool {
        self.discrepancies
            .iter()
            .any(|row| row.kind.as_ref() == kind && row.status.as_ref() == "open")
    }
}

impl Engine {
    /// Compares one payment with its provider's books.
    ///
    /// # Errors
    /// When the store fails us, or there is no such payment.
    pub(crate) async fn compare(&self, shop: &Shop, id: &str) -> Result<Compared, Problem> {
        let _turn = self.payment_locks.hold(id).await;
        let store = self.store.as_ref();
        let row = repo::payment(store, &shop.id, id)
            .await?
            .ok_or_else(Problem::not_found)?;
        let before = match Payment::from_row(row) {
            Ok(payment) => payment,
            Err(error) => {
                tracing::error!(%error, "a payment cannot be read");
                return Ok(Compared::Unreadable(error.to_string()));
            }
        };
        let table = Table {
            before,
            discrepancies: repo::discrepancies_of(store, &shop.id, id).await?,
        };
        self.compare_in_turn(shop, id, &table).await
    }

    async fn compare_in_turn(&self, shop: &Shop, id: &str, table: &Table) -> Result<Compared, Problem> {
        for _ in 0..8 {
            let (payment, changed_at) = self.payment_as_of(shop, id).await?;
            if let Some(flight) = payment.body.state.in_flight() {
                let attempt = flight.attempt;
                match self.settle_in_turn(shop, id, attempt).await? {
                    Settled::Yes => continue,
                    // It has jobs and alarms of its own.
                    Settled::NotYet(..) => return Ok(Compared::Waiting),
                }
            }
            let view = match self.ask(shop, &payment).await {
                Ok(view) => view,
                Err(InquiryError::Unreadable(why)) => return Ok(Compared::Unreadable(why)),
                Err(error @ (InquiryError::NoAnswer(_) | InquiryError::Refused(_))) => {
                    return Ok(Compared::NoAnswer(error.to_string()));
                }
            };
            let Some(view) = view else {
                return self.absent(shop, &payment, changed_at, table).await;
            };
            if nothing_left(&payment, &view) {
                return self.agreed(&payment, table).await;
            }
            let version = payment.version;
            let Some((payment, suspicion)) = self.fold_view(shop, payment, &view).await? else {
                continue;
            };
            let changed_at = if payment.version == version {
                changed_at
            } else {
                self.now()
            };
            if let Some(suspicion) = suspicion {
                return self.disagreed(shop, id, suspicion.as_str(), table).await;
            }
            return match gap(&payment, &view) {
                None => self.agreed(&payment, table).await,
                Some(_) if self.is_too_early(changed_at) => Ok(Compared::Waiting),
                Some(Gap::StillOpenThere) => self.close_there(shop, &payment, &view, table).await,
                Some(Gap::Differs(kind)) => {
                    self.raise(&shop.id, id, kind, &sides(&payment, &view)).await?;
                    self.disagreed(shop, id, kind, table).await
                }
            };
        }
        // It changes faster than we look: somebody is at work on it.
        Ok(Compared::Waiting)
    }

    /// A provider's books may take a moment to show what it answered; so may another look at them what we have just taken in.
    fn is_too_early(&self, changed_at: Timestamp) -> bool {
        later(changed_at, self.settings.absence_s) > self.now()
    }

    /// The provider knows no such payment.
    async fn absent(
        &self,
        shop: &Shop,
        payment: &Payment,
        changed_at: Timestamp,
        table: &Table,
    ) -> Result<Compared, Problem> {
        let expected = match payment.status() {
            Status::Captured | Status::Refunded => true,
            Status::Pending | Status::Authorized => payment.reference.is_some(),
            Status::Cancelled | Status::Expired | Status::Failed => false,
        };
        if !expected {
            return self.agreed(payment, table).await;
        }
        if self.is_too_early(changed_at) {
            return Ok(Compared::Waiting);
        }
        let id = payment.id.as_str();
        let what = json!({"reference": payment.reference});
        self.raise(&shop.id, id, UNKNOWN_AT_PROVIDER, &what).await?;
        self.disagreed(shop, id, UNKNOWN_AT_PROVIDER, table).await
    }

    /// Both books say the same, so whatever was open about this payment is settled.
    async fn agreed(&self, payment: &Payment, table: &Table) -> Result<Compared, Problem> {
        let mut closed = false;
        for row in &table.discrepancies {
            closed |= self.agree_on(row.clone()).await?;
        }
        Ok(if closed || payment.body.state != table.before.body.state {
            Compared::Settled
        } else {
            Compared::Agreed
        })
    }

    /// It was raised, or stands already: open, or looked at by a person.
    async fn disagreed(&self, shop: &Shop, id: &str, kind: &str, table: &Table) -> Result<Compared, Problem> {
        if table.was_open(kind) {
            return Ok(Compared::Standing(kind.into()));
        }
        let row = repo::discrepancy(self.store.as_ref(), &shop.id, id, kind).await?;
        Ok(match row.is_some_and(|row| row.status.as_ref() == "open") {
            true => Compared::Raised(kind.into()),
            false => Compared::Standing(kind.into()),
        })
    }

    /// Nobody waits for it any more, so it is given up there, where that can be done. A person is told when it did not work.
    async fn close_there(
        &self,
        shop: &Shop,
        payment: &Payment,
        view: &View,
        table: &Table,
    ) -> Result<Compared, Problem> {
        let (provider, _) = self.serving(shop, payment)?;
        let can = provider.cancels().is_some()
            && capability(provider.as_ref(), payment).is_ok_and(|line| line.operations.cancel);
        if !can {
            // It lapses there by itself, and money that comes before that is raised when it comes. What is open stays open: the books do
            // not say the same.
            return Ok(Compared::Agreed);
        }
        let id = payment.id.as_str();
        let attempts = repo::attempts(self.store.as_ref(), &shop.id, id).await?;
        let refused = attempts.iter().any(|row| {
            let status = AttemptStatus::parse(&row.status);
            matches!(status, Some(AttemptStatus::Declined | AttemptStatus::Rejected))
                && attempt_body(row).is_ok_and(|body| body.purpose == Purpose::Unwind)
        });
        if refused {
            let what = sides(payment, view);
            self.raise(&shop.id, id, STILL_OPEN_THERE, &what).await?;
            return self.disagreed(shop, id, STILL_OPEN_THERE, table).await;
        }
        self.give_up_there(shop, payment.clone()).await?;
        Ok(Compared::Settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PaymentBody;
    use kessai_core::payment::{CaptureMode, Fact, State};
    use kessai_core::tax::Totals;
    use kessai_core::{Currency, PaymentId};

    fn yen(minor: i64) -> Money {
        Money::new(minor, Currency::JPY).unwrap()
    }

    fn payment(facts: &[Fact]) -> Payment {
        let mut state = State::new(yen(1_000), CaptureMode::Manual);
        for fact in facts {
            let _ = state.fold(fact);
        }
        let totals = Totals {
            amount: 1_000,
            tax: 0,
            fee: 0,
            currency: Currency::JPY,
        };
        Payment {
            shop: "s".into(),
            id: "0000000000000000000000001".parse::<PaymentId>().unwrap(),
            method: "credit_card".into(),
            provider: "p".into(),
            reference: Some("theirs".into()),
            session: None,
            customer: None,
            order_number: None,
            deadline_at: None,
            created_at: Timestamp::UNIX_EPOCH,
            version: 1,
            body: PaymentBody {
                state,
                totals,
                attempts: 1,
                events: 1,
                postings: 0,
                stock: None,
                watched: false,
                details: serde_json::Map::new(),
                locale: "ja".into(),
                description: None,
                metadata: std::collections::BTreeMap::new(),
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
                customer_names: None,
            },
        }
    }

    fn view(status: Status, captured: Option<i64>, refunds: &[i64]) -> View {
        View {
            reference: "theirs".into(),
            session: None,
            key: None,
            status,
            total: yen(1_000),
            captured: captured.map(yen),
            refunds: refunds
                .iter()
                .enumerate()
                .map(|(n, amount)| (format!("r{n}").into(), yen(*amount)))
                .collect(),
            deadline_at: None,
            details: serde_json::Map::new(),
            failure: None,
            next: None,
        }
    }

    #[test]
    fn what_is_missing_there_is_a_gap_and_what_agrees_is_none() {
        let authorized = Fact::Authorized { amount: yen(1_000) };
        let captured = Fact::Captured { amount: yen(1_000) };
        let back = |n: &str, minor| Fact::Refunded {
            reference: n.into(),
            amount: yen(minor),
        };
        let (pending, whole) = (payment(&[]), payment(std::slice::from_ref(&captured)));
        let part = payment(&[captured.clone(), back("r0", 300)]);
        let promised = payment(std::slice::from_ref(&authorized));
        let over = payment(&[Fact::Cancelled]);
        let differs = |kind| Some(Gap::Differs(kind));
        for (n, (ours, theirs, expected)) in [
            (&pending, view(Status::Pending, None, &[]), None),
            (&promised, view(Status::Authorized, None, &[]), None),
            (
                &promised,
                view(Status::Pending, None, &[]),
                differs(MISSING_AUTHORIZATION),
            ),
            (&whole, view(Status::Captured, Some(1_000), &[]), None),
            (
                &whole,
                view(Status::Authorized, None, &[]),
                differs(MISSING_CAPTURE),
            ),
            (&whole, view(Status::Pending, None, &[]), differs(MISSING_CAPTURE)),
            (&part, view(Status::Captured, Some(1_000), &[300]), None),
            (
                &part,
                view(Status::Captured, Some(1_000), &[]),
                differs(MISSING_REFUND),
            ),
            (&over, view(Status::Expired, None, &[]), None),
            (&over, view(Status::Pending, None, &[]), Some(Gap::StillOpenThere)),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(gap(ours, &theirs), expected, "{n}");
        }
        let mut other = view(Status::Pending, None, &[]);
        other.total = yen(999);
        assert_eq!(gap(&pending, &other), differs("amount_mismatch"));
        let mut empty = view(Status::Pending, None, &[]);
        empty.reference = "".into();
        assert_eq!(gap(&over, &empty), None, "a session without a payment");
    }

    #[test]
    fn money_that_came_late_and_went_back_is_nobodys() {
        let over = payment(&[Fact::Cancelled]);
        assert!(nothing_left(
            &over,
            &view(Status::Refunded, Some(1_000), &[400, 600])
        ));
        assert!(!nothing_left(&over, &view(Status::Captured, Some(1_000), &[400])));
        let whole = payment(&[Fact::Captured { amount: yen(1_000) }]);
        assert!(!nothing_left(
            &whole,
            &view(Status::Refunded, Some(1_000), &[1_000])
        ));
    }
}
