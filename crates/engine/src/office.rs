//! What the back office asks of the hub: lists, what needs a person, acts with a name under them.
use crate::directory::Shop;
use crate::idempotency::Answer;
use crate::model::Payment;
use crate::operate::{self, Act};
use crate::problem::Problem;
use crate::timeline::Story;
use crate::{Engine, later};
use jiff::Timestamp;
use kessai_core::payment::{Command, Status};
use kessai_core::{ActId, BusinessDate, id};
use kessai_store::repo::{
    self, ActRow, DaySum, DeliveryFilter, DeliveryTally, DiscrepancyRow, OfficeFilter, Place, Tally,
    ToldDelivery, ToldDiscrepancy, micros,
};
use kessai_store::{ChangeSet, Commit, Guard, Op};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a stored payment begins that a shop must capture. The state is the body's first field; a test holds it there.
const MANUAL: &str = r#"{"state":{"status":"authorized","capture":"manual""#;
/// How a stored payment begins that its shopper must pay.
const AUTO: &str = r#"{"state":{"status":"authorized","capture":"auto""#;
/// How long before it lapses an authorization becomes somebody's task, in seconds (7 days).
const LAPSES_SOON_S: i64 = 7 * 86_400;
/// How many deliveries one order to send again may cover.
pub const REPLAYED_MOST: i64 = 1_000;

/// Where payments stand, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The shopper is on the way.
    Pending,
    /// The shop must capture it.
    Authorized,
    /// The shopper must pay it.
    AwaitingPayment,
    /// An operation has not been answered.
    Confirming,
    /// The money is the shop's, all of it.
    Captured,
    /// Some of it went back.
    PartlyRefunded,
    /// All of it went back.
    Refunded,
    /// Called off.
    Cancelled,
    /// Lapsed.
    Expired,
    /// Declined.
    Failed,
}

impl Standing {
    /// Narrows a filter to payments that stand so.
    pub fn narrow(self, filter: OfficeFilter) -> OfficeFilter {
        let settled = |status: Status| OfficeFilter {
            status: Some(status.as_str()),
            unanswered: Some(false),
            ..filter.clone()
        };
        match self {
            Self::Confirming => OfficeFilter {
                unanswered: Some(true),
                ..filter
            },
            Self::Pending => settled(Status::Pending),
            Self::Authorized => OfficeFilter {
                body_begins: Some(MANUAL),
                ..settled(Status::Authorized)
            },
            Self::AwaitingPayment => OfficeFilter {
                body_begins: Some(AUTO),
                ..settled(Status::Authorized)
            },
            Self::Captured => OfficeFilter {
                refunded: Some(false),
                ..settled(Status::Captured)
            },
            Self::PartlyRefunded => OfficeFilter {
                refunded: Some(true),
                ..settled(Status::Captured)
            },
            Self::Refunded => settled(Status::Refunded),
            Self::Cancelled => settled(Status::Cancelled),
            Self::Expired => settled(Status::Expired),
            Self::Failed => settled(Status::Failed),
        }
    }
}

/// What needs a person.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Open discrepancies.
    pub discrepancies: Tally,
    /// Operations whose answer was lost.
    pub unknown: Tally,
    /// Deliveries.
    pub deliveries: DeliveryTally,
    /// Authorizations that lapse within a week.
    pub to_capture: Tally,
    /// Slips that lapse today.
    pub slips_ending: Tally,
}

impl Needs {
    /// How many things there are.
    pub fn count(&self) -> i64 {
        let tallies = [
            self.discrepancies,
            self.unknown,
            self.to_capture,
            self.slips_ending,
        ];
        tallies.iter().map(|tally| tally.count).sum::<i64>() + self.deliveries.dead
    }
}

/// What the last days took.
#[derive(Debug, Clone, Default)]
pub struct Days {
    /// The days, as days since 1970 in Japan, oldest first; only those that are known whole.
    pub days: Vec<i64>,
    /// What was captured.
    pub captured: Vec<DaySum>,
    /// What was refunded.
    pub refunded: Vec<DaySum>,
}

/// What may be done with a payment now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Possible {
    /// The most that can be captured.
    pub capture: Option<i64>,
    /// Whether less can.
    pub partial_capture: bool,
    /// The most that can be refunded.
    pub refund: Option<i64>,
    /// Whether less can.
    pub partial_refund: bool,
    /// Whether it can be called off.
    pub cancel: bool,
}

/// What a person did: kept with the name, apart from what it changed.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    /// The person.
    pub who: &'a str,
    /// `capture`, `refund`, `cancel`, `inquire`, `note`, `replay`, `settle`, `sign_in`…
    pub what: &'a str,
    /// The payment or other thing it was done to.
    pub subject: &'a str,
    /// The rest; no secrets.
    pub body: Value,
}

/// What is kept of an act on a payment's money.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeedBody {
    /// Minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The HTTP status of its answer; none when we died before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What a clerk wants done with a payment's money.
#[derive(Debug, Clone)]
pub struct ClerkAct {
    /// Used once: the same act sent again is the same act. It becomes the act's id.
    pub once: Box<str>,
    /// Who.
    pub who: Box<str>,
    /// `capture`, `refund` or `cancel`.
    pub operation: &'static str,
    /// How much, tax included, in minor units.
    pub amount: i64,
    /// Why.
    pub reason: Box<str>,
}

/// The idempotency key that a clerk's act is sent under.
fn key_name(once: &str) -> String {
    format!("office:{once}")
}

impl Story {
    /// The act a person did that became this attempt, found by the idempotency key both share.
    pub fn act_behind(&self, idempotency: Option<&str>) -> Option<&ActRow> {
        let kept = idempotency?.get(..32)?;
        self.acts.iter().find(|act| {
            let hash = crate::idempotency::key_hash(key_name(&act.id).as_bytes());
            hex::encode(hash) == kept
        })
    }
}

impl Engine {
    /// One page of a shop's payments, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_payments(
        &self,
        shop: &Shop,
        filter: &OfficeFilter,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<Payment>, Problem> {
        let rows = repo::office_payments(self.store.as_ref(), &shop.id, filter, place, limit).await?;
        rows.into_iter()
            .map(|row| {
                Payment::from_row(row).map_err(|error| {
                    tracing::error!(%error, "a payment cannot be read");
                    Problem::new("internal_server_error")
                })
            })
            .collect()
    }

    /// How many payments match and what they add up to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_sums(&self, shop: &Shop, filter: &OfficeFilter) -> Result<Tally, Problem> {
        Ok(repo::office_sums(self.store.as_ref(), &shop.id, filter).await?)
    }

    /// The first day whose payments are all among the newest 50,000; none when all are. A list that begins nowhere begins there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_reach(&self, shop: &Shop) -> Result<Option<BusinessDate>, Problem> {
        let reach = repo::payments_reach(self.store.as_ref(), &shop.id).await?;
        let today = BusinessDate::of(self.now());
        Ok(reach.map(|at| BusinessDate::of(repo::instant(at)).plus_days(1).min(today)))
    }

    /// What awaits shoppers' money.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_waiting(&self, shop: &Shop) -> Result<Tally, Problem> {
        self.office_sums(shop, &Standing::AwaitingPayment.narrow(OfficeFilter::default()))
            .await
    }

    /// What needs a person now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_needs(&self, shop: &Shop) -> Result<Needs, Problem> {
        let store = self.store.as_ref();
        let now = self.now();
        let soon = (micros(now), micros(later(now, LAPSES_SOON_S)));
        let today = (micros(now), micros(later(BusinessDate::of(now).end(), 1)));
        Ok(Needs {
            discrepancies: repo::open_discrepancy_tally(store, &shop.id).await?,
            unknown: repo::unknown_attempts(store, &shop.id).await?,
            deliveries: repo::delivery_tally(store, &shop.id, false).await?,
            to_capture: repo::authorized_until(store, &shop.id, MANUAL, soon).await?,
            slips_ending: repo::authorized_until(store, &shop.id, AUTO, today).await?,
        })
    }

    /// What the last `count` days took and gave back, today included.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_days(&self, shop: &Shop, count: i32) -> Result<Days, Problem> {
        let store = self.store.as_ref();
        let today = BusinessDate::of(self.now());
        let start = later(today.plus_days(-count).end(), 1);
        let from_id = id::floor(start);
        let from = (from_id.as_str(), micros(start));
        let captured = repo::posted_by_day(store, &shop.id, "provider", "payment.captured", from).await?;
        let refunded =
            repo::posted_by_day(store, &shop.id, "refunds", "payment.refund.created", from).await?;
        // A day of which only a part was looked at is not shown.
        let reach = repo::events_reach(store, &shop.id, &from_id).await?;
        let whole_from = reach.map(|at| day_of(repo::instant(at)) + 1);
        let last = day_of(self.now());
        let days = (day_of(start)..=last)
            .filter(|day| whole_from.is_none_or(|from| *day >= from))
            .collect();
        Ok(Days {
            days,
            captured,
            refunded,
        })
    }

    /// What may be done with a payment now: the capability matrix and the state machine both agree.
    pub fn possible(&self, payment: &Payment) -> Possible {
        let Some(provider) = self.provider(&payment.provider) else {
            return Possible::default();
        };
        let Ok(line) = operate::capability(provider.as_ref(), payment) else {
            return Possible::default();
        };
        let state = &payment.body.state;
        let can = line.operations;
        let permit = |command| state.permit(command).ok().map(kessai_core::Money::minor);
        Possible {
            capture: (provider.captures().is_some() && can.two_step)
                .then(|| {
                    permit(Command::Capture {
                        amount: state.asked(),
                    })
                })
                .flatten(),
            partial_capture: can.partial_capture,
            refund: (provider.refunds().is_some() && can.refund)
                .then(|| permit(Command::Refund { amount: None }))
                .flatten(),
            partial_refund: can.partial_refund,
            cancel: provider.cancels().is_some() && can.cancel && permit(Command::Cancel).is_some(),
        }
    }

    /// Writes down what a person did.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn note_deed(&self, shop: &Shop, deed: &Deed<'_>) -> Result<(), Problem> {
        let id = ActId::new(self.now(), self.entropy.as_ref());
        let row = self.act_row(shop, id.as_str(), deed, self.now());
        let ops = vec![Op::Insert(ActRow::TABLE, row.into_values())];
        let _ = self.store.commit(ChangeSet { guards: vec![], ops }).await?;
        Ok(())
    }

    fn act_row(&self, shop: &Shop, id: &str, deed: &Deed<'_>, at: Timestamp) -> ActRow {
        ActRow {
            shop_id: shop.id.clone(),
            id: id.into(),
            who: deed.who.into(),
            what: deed.what.into(),
            subject_id: deed.subject.into(),
            at: micros(at),
            body: deed.body.to_string().into(),
        }
    }

    /// Captures, refunds or cancels for a clerk. Who asked is on disk before anything is sent, and how it was answered after.
    ///
    /// # Errors
    /// As [`Engine::act`]; `conflict` when `once` was used for something else.
    pub async fn act_for_clerk(
        &self,
        shop: &Shop,
        payment: &Payment,
        asked: &ClerkAct,
    ) -> Result<Answer, Problem> {
        let id = payment.id.as_str();
        let act = as_act(payment, asked)?;
        let path = format!("/shop/payments/{id}/{}", asked.operation);
        let body = format!("{}\n{}", asked.amount, asked.reason);
        let key = self.idempotency(key_name(&asked.once).as_bytes(), "POST", &path, body.as_bytes())?;
        let reason = (!asked.reason.is_empty()).then(|| asked.reason.to_string());
        let mut body = DeedBody {
            amount: Some(asked.amount),
            reason,
            status: None,
            code: None,
        };
        let deed = |body: &DeedBody| Deed {
            who: &asked.who,
            what: asked.operation,
            subject: id,
            body: serde_json::to_value(body).expect("plain data"),
        };
        let row = self.act_row(shop, &asked.once, &deed(&body), self.now());
        let guards = vec![Guard::Insert(ActRow::TABLE, row.clone().into_values())];
        let at = match self.store.commit(ChangeSet { guards, ops: vec![] }).await? {
            Commit::Done => row.at,
            Commit::Refused { .. } => {
                let kept = repo::act(self.store.as_ref(), &shop.id, &asked.once).await?;
                let same = |kept: &ActRow| {
                    (&kept.who, &kept.what, &kept.subject_id) == (&row.who, &row.what, &row.subject_id)
                };
                kept.filter(same).ok_or_else(|| Problem::new("conflict"))?.at
            }
        };
        let answer = self.act(shop, id, Some(&key), act).await;
        let (status, code) = match &answer {
            Ok(answer) => (answer.status, code_in(answer)),
            Err(problem) => (problem.status(), Some(problem.code.name.to_owned())),
        };
        // A second press that came while the first was under way knows nothing new.
        if answer.is_ok() || status != 409 {
            (body.status, body.code) = (Some(status), code);
            let row = self.act_row(shop, &asked.once, &deed(&body), repo::instant(at));
            let ops = vec![Op::Update(ActRow::TABLE, row.into_values())];
            let _ = self.store.commit(ChangeSet { guards: vec![], ops }).await?;
        }
        answer
    }

    /// How many deliveries stand where.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_delivery_tally(&self, shop: &Shop) -> Result<DeliveryTally, Problem> {
        Ok(repo::delivery_tally(self.store.as_ref(), &shop.id, true).await?)
    }

    /// One page of deliveries, newest event first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_deliveries(
        &self,
        shop: &Shop,
        filter: &DeliveryFilter,
        place: &Place,
        limit: i64,
    ) -> Result<Vec<ToldDelivery>, Problem> {
        Ok(repo::office_deliveries(self.store.as_ref(), &shop.id, filter, place, limit).await?)
    }

    /// Has every delivery of a span of events sent again, oldest first, at most [`REPLAYED_MOST`]; how many.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn replay_all(&self, shop: &Shop, from: Timestamp, until: Timestamp) -> Result<usize, Problem> {
        let span = (id::floor(from), id::floor(later(until, 1)));
        let span = (span.0.as_str(), span.1.as_str());
        let mut revived = 0;
        for (event, endpoint) in
            repo::deliveries_between(self.store.as_ref(), &shop.id, span, REPLAYED_MOST).await?
        {
            match self.replay_delivery(shop, &event, &endpoint).await {
                Ok(()) => revived += 1,
                // It changed meanwhile, which means that it is being sent.
                Err(problem) if problem.status() == 409 => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(revived)
    }

    /// Discrepancies: open ones first, then those settled last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn office_discrepancies(
        &self,
        shop: &Shop,
        open_most: i64,
        settled_most: i64,
    ) -> Result<Vec<ToldDiscrepancy>, Problem> {
        let store = self.store.as_ref();
        let mut rows = repo::office_discrepancies(store, &shop.id, true, open_most).await?;
        rows.extend(repo::office_discrepancies(store, &shop.id, false, settled_most).await?);
        Ok(rows)
    }

    /// A person says how a discrepancy was settled. The act is in the same commit.
    ///
    /// # Errors
    /// `not_found` when it is not there or was settled before.
    pub async fn settle_discrepancy(
        &self,
        shop: &Shop,
        id: &str,
        who: &str,
        note: &str,
    ) -> Result<(), Problem> {
        let row = repo::open_discrepancy(self.store.as_ref(), &shop.id, id)
            .await?
            .ok_or_else(Problem::not_found)?;
        let now = self.now();
        let mut body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        if !body.is_object() {
            body = json!({"found": body});
        }
        body["settled"] = json!({"by": who, "note": note});
        let deed = Deed {
            who,
            what: "settle",
            subject: &row.payment_id,
            body: json!({"discrepancy": row.id, "kind": row.kind, "note": note}),
        };
        let act = self.act_row(shop, ActId::new(now, self.entropy.as_ref()).as_str(), &deed, now);
        let expected = row.version;
        let settled = DiscrepancyRow {
            status: "settled".into(),
            settled_at: Some(micros(now)),
            version: expected + 1,
            body: body.to_string().into(),
            ..row.clone()
        };
        let guard = Guard::Update {
            table: DiscrepancyRow::TABLE,
            row: settled.into_values(),
            expected,
        };
        let ops = vec![Op::Insert(ActRow::TABLE, act.into_values())];
        match self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops,
            })
            .await?
        {
            Commit::Done => Ok(()),
            Commit::Refused { .. } => Err(Problem::not_found()),
        }
    }
}

/// Days since 1970 in Japan.
pub fn day_of(at: Timestamp) -> i64 {
    (at.as_second() + 9 * 3_600).div_euclid(86_400)
}

/// The error code in an answer, when it is one.
fn code_in(answer: &Answer) -> Option<String> {
    if answer.status < 400 {
        return None;
    }
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    body.pointer("/error/code")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// A clerk names totals; the API names amounts before tax, so a part of a capture is split as its whole was.
fn as_act(payment: &Payment, asked: &ClerkAct) -> Result<Act, Problem> {
    let all = match asked.operation {
        "capture" => payment.body.state.asked().minor(),
        _ => payment.body.state.refundable().minor(),
    };
    let amount = asked.amount;
    match asked.operation {
        "capture" if amount == all => Ok(Act::Capture {
            amount: None,
            tax: None,
        }),
        "capture" => {
            let whole = payment.body.totals;
            let tax = share_of_tax(amount, whole.amount, whole.tax);
            if whole.fee != 0 && amount - tax == whole.amount {
                return Err(Problem::invalid(
                    "amount",
                    "The method's fee cannot be left out of a capture",
                ));
            }
            Ok(Act::Capture {
                amount: Some(amount - tax),
                tax: Some(tax),
            })
        }
        "refund" => Ok(Act::Refund {
            amount: (amount != all).then_some(amount),
            description: (!asked.reason.is_empty()).then(|| asked.reason.clone()),
        }),
        "cancel" => Ok(Act::Cancel),
        _ => Err(Problem::new("unprocessable_entity")),
    }
}

/// The tax within `taken`, in the proportion of the whole, half up.
fn share_of_tax(taken: i64, amount: i64, tax: i64) -> i64 {
    let base = i128::from(amount) + i128::from(tax);
    if tax == 0 || base == 0 {
        return 0;
    }
    let share = (i128::from(taken) * i128::from(tax) * 2 + base) / (base * 2);
    i64::try_from(share).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kessai_core::payment::{CaptureMode, Fact, State};
    use kessai_core::{Currency, Money};

    #[test]
    fn a_part_of_a_capture_holds_its_share_of_the_tax() {
        for (taken, amount, tax, expected) in [
            (550, 1_000, 100, 50),
            (1, 1_000, 100, 0),
            (999, 1_000, 0, 0),
            (6, 1_000, 100, 1),
        ] {
            assert_eq!(share_of_tax(taken, amount, tax), expected, "{taken}");
        }
    }

    #[test]
    fn stored_states_begin_as_the_filters_expect() {
        let amount = Money::new(1_000, Currency::JPY).unwrap();
        for (mode, begins) in [(CaptureMode::Manual, MANUAL), (CaptureMode::Auto, AUTO)] {
            let mut state = State::new(amount, mode);
            let _ = state.fold(&Fact::Authorized { amount });
            let text = format!(r#"{{"state":{}"#, serde_json::to_string(&state).unwrap());
            assert!(text.starts_with(begins), "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_japan() {
        let day = |text: &str| day_of(text.parse().unwrap());
        assert_eq!(day("2026-11-21T14:59:59Z") + 1, day("2026-11-21T15:00:00Z"));
    }
}
