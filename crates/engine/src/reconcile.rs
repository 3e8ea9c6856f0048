//! Reconciliation: every open or recent payment of a shop compared with one provider's books, once a day and whenever a person asks.
//!
//! A run is a row. It walks through the payments in pages, a few side by side, and writes down after each few how far it came and what it
//! found, so that a crash, a lost lease or a provider that is down costs no more than those few. Only one holder at a time gets ahead with
//! a run, because each step carries the version it read; several runs side by side do no harm, because a comparison only reads at the
//! provider and folds what it learns as any other look does.
use crate::compare::Compared;
use crate::directory::Shop;
use crate::problem::Problem;
use crate::{Engine, later};
use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::Timestamp;
use kessai_core::id;
use kessai_jobs::{Backoff, Done, Job, JobError, Lease, NewJob};
use kessai_store::repo::{self, Compare, ReconciliationRow, Slice, instant, micros};
use kessai_store::{ChangeSet, Guard, Op, StoreError};
use serde::{Deserialize, Serialize};

const DAY_S: i64 = 86_400;
/// How far Japan's clocks are ahead of UTC, in seconds.
const JAPAN_S: i64 = 9 * 3_600;
/// How long one turn of the job lasts, in seconds: well within a lease.
const TURN_S: i64 = 45;
/// How long a run may be kept up by a provider that is down, in seconds.
const PATIENCE_S: i64 = 12 * 3_600;
/// How long whoever works on a run has it, in seconds: longer than a few comparisons may take.
const HELD_S: i64 = 300;
/// The waits before a provider that did not answer is asked again, in seconds; the last repeats.
const WAITS_S: [i64; 4] = [300, 900, 1_800, 3_600];
/// How often a few payments that nobody answers for are asked about before they are passed by.
const TRIES_MOST: u32 = 3;
/// How many payments that could not be compared are named.
const NAMED_MOST: usize = 20;
/// How long runs are kept, in seconds.
const KEPT_S: i64 = 90 * DAY_S;
/// How many shops' accounts one look at them takes.
const ACCOUNTS_AT_ONCE: i64 = 200;

/// When and how payments are compared with their providers' books.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileSettings {
    /// When the daily run begins, in seconds after midnight in Japan; none for no daily run.
    pub daily_at_s: Option<i64>,
    /// How many days back a payment counts as recent.
    pub days: u32,
    /// How many payments of one run are asked about side by side.
    pub at_once: usize,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            daily_at_s: Some(4 * 3_600 + 1_800),
            days: 7,
            at_once: 8,
        }
    }
}

impl ReconcileSettings {
    /// The last instant at or before `now` at which a daily run was to begin.
    fn last_run(&self, now: Timestamp) -> Option<Timestamp> {
        let at_s = self.daily_at_s?;
        let day = (now.as_second() + JAPAN_S - at_s).div_euclid(DAY_S);
        Timestamp::from_second(day * DAY_S - JAPAN_S + at_s).ok()
    }

    /// When to begin next; without a daily run, when to see whether there is one by then.
    pub(crate) fn next_run(&self, now: Timestamp) -> Timestamp {
        self.last_run(now)
            .map_or_else(|| later(now, DAY_S), |last| later(last, DAY_S))
    }

    /// Since when a payment counts as recent.
    pub fn since(&self, now: Timestamp) -> Timestamp {
        later(now, -(i64::from(self.days) * DAY_S)).max(Timestamp::UNIX_EPOCH)
    }
}

/// What a run found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Payments that the provider told us about.
    pub compared: u64,
    /// Of these: both books said the same.
    pub agreed: u64,
    /// Of these: settled by what the provider told.
    pub settled: u64,
    /// Of these: a discrepancy was raised.
    pub raised: u64,
    /// Of these: in a discrepancy that was known before.
    pub standing: u64,
    /// Payments with an operation under way, or one that has just ended: too early to tell.
    pub waiting: u64,
    /// Payments about which the provider gave no usable answer.
    pub unanswered: u64,
}

/// Who wanted a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// The clock.
    Daily,
    /// Somebody at the command line.
    Command,
    /// A clerk in the back office.
    Office,
}

impl Wish {
    /// Whether a job does the work.
    const fn has_job(self) -> bool {
        match self {
            Self::Daily | Self::Office => true,
            Self::Command => false,
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// It goes on.
    Running,
    /// Everything was compared.
    Done,
    /// It ended, and something could not be compared.
    Partial,
}

impl RunStatus {
    /// As it stands in the database and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Partial => "partial",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Partial]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Where in the payments a run is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursor {
    slice: usize,
    after: Box<str>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct RunBody {
    wish: Wish,
    /// As it was asked for, so that the same wish goes on with what it began.
    asked: Box<str>,
    since_us: i64,
    #[serde(default)]
    total: Option<i64>,
    cursor: Cursor,
    found: Found,
    #[serde(default)]
    tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unanswered: Vec<Box<str>>,
    held_until_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_us: Option<i64>,
}

/// A run: one shop's payments compared with one provider's books.
#[derive(Debug, Clone)]
pub struct Run {
    row: ReconciliationRow,
    body: RunBody,
    status: RunStatus,
}

impl Run {
    fn read(row: ReconciliationRow) -> Result<Self, Problem> {
        let bad = |what: &dyn std::fmt::Display| {
            tracing::error!(table = "reconciliations", id = %row.id, %what, "a row fits no run");
            Problem::new("internal_server_error")
        };
        let status = RunStatus::parse(&row.status).ok_or_else(|| bad(&row.status))?;
        let body = serde_json::from_str(&row.body).map_err(|error| bad(&error))?;
        Ok(Self { row, body, status })
    }

    /// The provider whose books are looked at.
    pub fn provider(&self) -> &str {
        &self.row.provider
    }

    /// Its id; ids sort by time.
    pub fn id(&self) -> &str {
        &self.row.id
    }

    /// Where it stands.
    pub fn status(&self) -> RunStatus {
        self.status
    }

    /// Who wanted it.
    pub fn wish(&self) -> Wish {
        self.body.wish
    }

    /// Whether somebody works on it, or will by himself: its job, or a command that has not been cut off.
    pub fn is_under_way(&self, now: Timestamp) -> bool {
        let alive = if self.body.wish.has_job() {
            later(instant(self.row.updated_at), PATIENCE_S)
        } else {
            instant(self.body.held_until_us)
        };
        self.status == RunStatus::Running && alive > now
    }

    /// When it began.
    pub fn started_at(&self) -> Timestamp {
        instant(self.row.started_at)
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.body.ended_us.map(instant)
    }

    /// Since when a payment counts as recent in it.
    pub fn since(&self) -> Timestamp {
        instant(self.body.since_us)
    }

    /// How many payments there are to compare, as counted at the beginning; none before that.
    pub fn total(&self) -> Option<u64> {
        self.body.total.and_then(|total| u64::try_from(total).ok())
    }

    /// How many payments it has been through.
    pub fn seen(&self) -> u64 {
        let found = self.body.found;
        found.compared + found.waiting + found.unanswered
    }

    /// What it found so far.
    pub fn found(&self) -> Found {
        self.body.found
    }

    /// Why it got no further, when it was held up.
    pub fn trouble(&self) -> Option<&str> {
        self.body.trouble.as_deref()
    }

    /// Whether the provider did not answer when it was asked last.
    pub fn is_held_up(&self) -> bool {
        self.body.tries > 0
    }

    /// Some of the payments about which the provider gave no usable answer.
    pub fn unanswered(&self) -> &[Box<str>] {
        &self.body.unanswered
    }

    fn wait_s(&self) -> i64 {
        let index = (self.body.tries.max(1) as usize - 1).min(WAITS_S.len() - 1);
        WAITS_S[index]
    }

    fn take(&mut self, id: &str, compared: &Compared) -> &'static str {
        let found = &mut self.body.found;
        let (count, outcome) = match compared {
            Compared::Agreed => (&mut found.agreed, "agreed"),
            Compared::Settled => (&mut found.settled, "settled"),
            Compared::Raised(kind) => {
                tracing::warn!(payment = id, %kind, "a comparison raised a discrepancy");
                (&mut found.raised, "raised")
            }
            Compared::Standing(_) => (&mut found.standing, "standing"),
            Compared::Waiting => {
                found.waiting += 1;
                return "waiting";
            }
            Compared::NoAnswer(why) | Compared::Unreadable(why) => {
                found.unanswered += 1;
                self.body.trouble = Some(why.clone());
                if self.body.unanswered.len() < NAMED_MOST {
                    self.body.unanswered.push(id.into());
                }
                return "unanswered";
            }
        };
        *count += 1;
        found.compared += 1;
        outcome
    }
}

/// How far some work on a run got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Went {
    /// It is over.
    Ended,
    /// There is more.
    On,
    /// The provider does not answer: ask again later.
    Stopped(String),
    /// Somebody else works on it.
    Taken,
}

/// Begins the day's run of every shop and provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReconcileDaily {}

/// Works on one run until it is over.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reconcile {
    /// The provider.
    pub provider: Box<str>,
    /// The run.
    pub run: Box<str>,
}

#[async_trait]
impl Job<Engine> for ReconcileDaily {
    const NAME: &'static str = "reconcile-daily.v1";
    const BACKOFF: Backoff = Backoff {
        waits_s: &[30, 300, 900],
        give_up_after: None,
    };

    async fn run(self, engine: &Engine, _: &Lease) -> Result<Done, JobError> {
        let settings = engine.settings.reconcile;
        if let Some(at) = settings.last_run(engine.now()) {
            engine.begin_daily(at).await.map_err(JobError::retry)?;
        }
        Ok(Done::Again(settings.next_run(engine.now())))
    }
}

#[async_trait]
impl Job<Engine> for Reconcile {
    const NAME: &'static str = "reconcile.v1";
    const BACKOFF: Backoff = Backoff {
        waits_s: &[30, 300, 900],
        give_up_after: None,
    };

    async fn run(self, engine: &Engine, lease: &Lease) -> Result<Done, JobError> {
        let shop = engine.shop_of_job(&lease.shop).await?;
        let retry = |problem: Problem| JobError::Retry(problem.message.into_owned());
        let store = engine.store.as_ref();
        let row = repo::reconciliation(store, &shop.id, &self.provider, &self.run)
            .await
            .map_err(JobError::retry)?;
        let Some(row) = row else {
            return Ok(Done::Finished);
        };
        let mut run = Run::read(row).map_err(|problem| JobError::GiveUp(problem.message.into_owned()))?;
        let until = later(engine.now(), TURN_S);
        Ok(
            match engine.work_on(&shop, &mut run, until).await.map_err(retry)? {
                Went::Ended => Done::Finished,
                Went::On => Done::Again(engine.now()),
                Went::Taken => Done::Again(later(engine.now(), HELD_S)),
                Went::Stopped(_) => {
                    let again = later(engine.now(), run.wait_s());
                    if again > later(run.started_at(), PATIENCE_S) {
                        engine
                            .end_run(&mut run, RunStatus::Partial)
                            .await
                            .map_err(retry)?;
                        Done::Finished
                    } else {
                        Done::Again(again)
                    }
                }
            },
        )
    }
}

impl Engine {
    /// Begins a run for each account there is, once per shop, provider and day, a little apart from each other.
    async fn begin_daily(&self, at: Timestamp) -> Result<(), StoreError> {
        let (now, since) = (self.now(), self.settings.reconcile.since(self.now()));
        let mut after: (Box<str>, Box<str>) = ("".into(), "".into());
        let mut n = 0;
        loop {
            let accounts =
                repo::accounts_after(self.store.as_ref(), (&after.0, &after.1), ACCOUNTS_AT_ONCE).await?;
            let Some(last) = accounts.last().cloned() else {
                return Ok(());
            };
            for (shop, provider) in &accounts {
                // The same instant makes the same id, so a second node, or a second try, begins nothing.
                let id = id::floor(at);
                let begin = later(now, n % 900);
                let _ = self
                    .begin_run(shop, provider, &id, Wish::Daily, ("daily", since), begin)
                    .await?;
                n += 1;
            }
            after = last;
        }
    }

    async fn begin_run(
        &self,
        shop: &str,
        provider: &str,
        id: &str,
        wish: Wish,
        (asked, since): (&str, Timestamp),
        begin: Timestamp,
    ) -> Result<Option<ReconciliationRow>, StoreError> {
        let now = self.now();
        let body = RunBody {
            wish,
            asked: asked.into(),
            since_us: micros(since),
            total: None,
            cursor: Cursor::default(),
            found: Found::default(),
            tries: 0,
            trouble: None,
            unanswered: vec![],
            held_until_us: micros(if wish.has_job() { now } else { later(now, HELD_S) }),
            ended_us: None,
        };
        let row = ReconciliationRow {
            shop_id: shop.into(),
            provider: provider.into(),
            id: id.into(),
            status: RunStatus::Running.as_str().into(),
            started_at: micros(now),
            updated_at: micros(now),
            version: 1,
            body: serde_json::to_string(&body).expect("plain data").into(),
        };
        let mut ops = vec![];
        if wish.has_job() {
            let job = Reconcile {
                provider: provider.into(),
                run: id.into(),
            };
            ops.push(NewJob::new::<Self, _>(shop, format!("reconcile-{provider}-{id}"), begin, &job).op());
        }
        let guards = vec![Guard::Insert(ReconciliationRow::TABLE, row.clone().into_values())];
        let begun = self.store.commit(ChangeSet { guards, ops }).await?.is_done();
        if begun && wish.has_job() {
            self.wake.notify_one();
        }
        Ok(begun.then_some(row))
    }

    /// A clerk wants it compared now. Begins a run with each of the shop's providers unless one is under way; how many were begun.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn reconcile_for_clerk(&self, shop: &Shop) -> Result<usize, Problem> {
        let now = self.now();
        let since = self.settings.reconcile.since(now);
        let mut begun = 0;
        for provider in shop.accounts.keys() {
            let last = repo::reconciliations(self.store.as_ref(), &shop.id, provider, 5).await?;
            let last = last.into_iter().map(Run::read).collect::<Result<Vec<_>, _>>()?;
            if last.iter().any(|run| run.is_under_way(now)) {
                continue;
            }
            let id = id::new_text(now, self.entropy.as_ref());
            let row = self
                .begin_run(&shop.id, provider, &id, Wish::Office, ("office", since), now)
                .await?;
            begun += usize::from(row.is_some());
        }
        Ok(begun)
    }

    /// A run for somebody at the command line: the one that the same wish began and nobody finished, or a new one.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn reconcile_by_command(
        &self,
        shop: &Shop,
        provider: &str,
        asked: &str,
        since: Timestamp,
    ) -> Result<Run, Problem> {
        let now = self.now();
        for row in repo::reconciliations(self.store.as_ref(), &shop.id, provider, 20).await? {
            let mut run = Run::read(row)?;
            let mine = run.status == RunStatus::Running
                && run.body.wish == Wish::Command
                && run.body.asked.as_ref() == asked
                && instant(run.body.held_until_us) <= now
                && later(run.started_at(), DAY_S) > now;
            if mine && self.keep_run(&mut run, true).await? {
                return Ok(run);
            }
        }
        let id = id::new_text(now, self.entropy.as_ref());
        let row = self
            .begin_run(&shop.id, provider, &id, Wish::Command, (asked, since), now)
            .await?;
        Run::read(row.ok_or_else(|| Problem::new("conflict"))?)
    }

    /// A shop's newest runs, one list per provider account, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(&self, shop: &Shop, limit: i64) -> Result<Vec<Run>, Problem> {
        let mut runs = Vec::new();
        for provider in shop.accounts.keys() {
            for row in repo::reconciliations(self.store.as_ref(), &shop.id, provider, limit).await? {
                runs.push(Run::read(row)?);
            }
        }
        Ok(runs)
    }

    /// Gets on with a run until it is over, until that instant, or until the provider answers no more.
    ///
    /// # Errors
    /// When the store fails us. The run stays where it was last written down.
    pub async fn work_on(&self, shop: &Shop, run: &mut Run, until: Timestamp) -> Result<Went, Problem> {
        let at_once = self.settings.reconcile.at_once.clamp(1, 64);
        loop {
            if run.status != RunStatus::Running {
                return Ok(Went::Ended);
            }
            let went = self.work_a_little(shop, run, at_once).await?;
            if went != Went::On || self.now() >= until {
                return Ok(went);
            }
        }
    }

    /// Compares the next few payments and writes down how far that is. Commands call it in a loop and show what they see.
    ///
    /// # Errors
    /// As [`Engine::work_on`].
    pub async fn work_a_little(&self, shop: &Shop, run: &mut Run, few: usize) -> Result<Went, Problem> {
        let (provider, started) = (run.row.provider.clone(), run.started_at());
        if self.provider(&provider).is_none() || !shop.accounts.contains_key(&*provider) {
            run.body.trouble = Some("the shop has no account at this provider any more".into());
            self.end_run(run, RunStatus::Partial).await?;
            return Ok(Went::Ended);
        }
        let (from_id, until_id) = (id::floor(run.since()), id::floor(later(started, 1)));
        let compare = Compare {
            shop: &shop.id,
            provider: &provider,
            from_id: &from_id,
            until_id: &until_id,
        };
        let store = self.store.as_ref();
        if run.body.total.is_none() {
            run.body.total = Some(repo::count_to_compare(store, &compare).await?);
        }
        let limit = i64::try_from(few).unwrap_or(1);
        let Some(slice) = Slice::ALL.get(run.body.cursor.slice).copied() else {
            self.end_run(
                run,
                if run.body.found.unanswered == 0 {
                    RunStatus::Done
                } else {
                    RunStatus::Partial
                },
            )
            .await?;
            return Ok(Went::Ended);
        };
        let page = repo::to_compare(store, &compare, slice, &run.body.cursor.after, limit).await?;
        let compared = join_all(page.iter().map(|(_, payment)| self.compare(shop, payment))).await;
        let compared = compared
            .into_iter()
            .map(|compared| match compared {
                Ok(compared) => Ok(compared),
                // The store does not answer, which says nothing about the payment.
                Err(problem) if problem.status() == 503 => Err(problem),
                Err(problem) => Ok(Compared::Unreadable(problem.message.into_owned())),
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        if let Some(why) = silence(&compared) {
            run.body.tries += 1;
            // Where fewer are on the table than fit on it, it may be they that the provider cannot answer for: they must not stand in the
            // way of all others for ever.
            if run.body.tries <= TRIES_MOST || page.len() >= few.max(3) {
                run.body.trouble = Some(why.clone());
                let kept = self.keep_run(run, false).await?;
                return Ok(if kept { Went::Stopped(why) } else { Went::Taken });
            }
        }
        let outcomes: Vec<&'static str> = page
            .iter()
            .zip(&compared)
            .map(|((_, payment), compared)| run.take(payment, compared))
            .collect();
        match page.last() {
            Some((cursor, _)) => {
                run.body.tries = 0;
                run.body.cursor.after = cursor.clone();
            }
            None => {
                run.body.cursor = Cursor {
                    slice: run.body.cursor.slice + 1,
                    after: "".into(),
                };
            }
        }
        if !self.keep_run(run, true).await? {
            return Ok(Went::Taken);
        }
        for outcome in outcomes {
            let provider = provider.to_string();
            metrics::counter!("kessai_reconciled_total", "provider" => provider, "outcome" => outcome)
                .increment(1);
        }
        Ok(Went::On)
    }

    /// Writes down how far a run is. Not done: somebody else got ahead with it.
    async fn keep_run(&self, run: &mut Run, holding: bool) -> Result<bool, StoreError> {
        let now = self.now();
        run.body.held_until_us = micros(if holding { later(now, HELD_S) } else { now });
        let expected = run.row.version;
        let row = ReconciliationRow {
            status: run.status.as_str().into(),
            updated_at: micros(now),
            version: expected + 1,
            body: serde_json::to_string(&run.body).expect("plain data").into(),
            ..run.row.clone()
        };
        let guard = Guard::Update {
            table: ReconciliationRow::TABLE,
            row: row.clone().into_values(),
            expected,
        };
        let change = ChangeSet {
            guards: vec![guard],
            ops: vec![],
        };
        let kept = self.store.commit(change).await?.is_done();
        if kept {
            run.row = row;
        }
        Ok(kept)
    }

    /// Ends a run, and takes away those of long ago.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end_run(&self, run: &mut Run, status: RunStatus) -> Result<(), Problem> {
        if status == RunStatus::Done {
            // What held it up is over.
            run.body.trouble = None;
        }
        run.status = status;
        run.body.ended_us = Some(micros(self.now()));
        if !self.keep_run(run, false).await? {
            return Ok(());
        }
        let (shop, provider) = (&run.row.shop_id, &run.row.provider);
        self.found_after_all(shop, provider).await?;
        let found = run.body.found;
        tracing::info!(
            %shop, %provider, status = status.as_str(), compared = found.compared, settled = found.settled,
            raised = found.raised, waiting = found.waiting, unanswered = found.unanswered, "payments were compared with the provider's books"
        );
        let below = id::floor(later(self.now(), -KEPT_S));
        let old = repo::reconciliations_below(self.store.as_ref(), shop, provider, &below, 500).await?;
        if !old.is_empty() {
            let key = |id: Box<str>| {
                Op::Delete(
                    ReconciliationRow::TABLE,
                    vec![shop.as_ref().into(), provider.as_ref().into(), id.into()],
                )
            };
            let ops = old.into_iter().map(key).collect();
            let _ = self.store.commit(ChangeSet { guards: vec![], ops }).await?;
        }
        Ok(())
    }

    /// A payment that somebody notified us of too early for us is known by now.
    async fn found_after_all(&self, shop: &str, provider: &str) -> Result<(), StoreError> {
        let store = self.store.as_ref();
        for row in repo::open_discrepancies(store, shop, 200).await? {
            if row.kind.as_ref() == "unknown_payment"
                && repo::payment_by_reference(store, shop, provider, &row.payment_id)
                    .await?
                    .is_some()
            {
                self.agree_on(row).await?;
            }
        }
        Ok(())
    }
}

/// Why, when the provider answered for none of them.
fn silence(compared: &[Compared]) -> Option<String> {
    let mut first = None;
    for compared in compared {
        match compared {
            Compared::NoAnswer(why) => first.get_or_insert_with(|| why.clone()),
            _ => return None,
        };
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daily_run_begins_early_in_the_morning_in_japan() {
        let settings = ReconcileSettings::default();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (now, last, next) in [
            (
                "2026-11-21T19:29:59Z",
                "2026-11-20T19:30:00Z",
                "2026-11-21T19:30:00Z",
            ),
            (
                "2026-11-21T19:30:00Z",
                "2026-11-21T19:30:00Z",
                "2026-11-22T19:30:00Z",
            ),
            (
                "2026-11-22T03:00:00Z",
                "2026-11-21T19:30:00Z",
                "2026-11-22T19:30:00Z",
            ),
        ] {
            assert_eq!(settings.last_run(at(now)), Some(at(last)), "{now}");
            assert_eq!(settings.next_run(at(now)), at(next), "{now}");
        }
    }
}
