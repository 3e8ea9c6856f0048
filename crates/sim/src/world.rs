//! The world of one run: a discrete-event loop that alone decides what happens next.
//!
//! What happens, by subject: [`network`] to providers and endpoints, [`doors`] of the hub, [`store`], [`nodes`], [`notices`] of the
//! provider, [`people`], and the [`weather`] over all of it; [`beginning`] makes a world.
mod beginning;
mod doors;
mod network;
mod nodes;
mod notices;
mod people;
mod store;
mod weather;

use self::doors::{Caller, Calling};
use self::network::Sending;
use crate::checks::Checks;
use crate::fault::{Fault, Weather};
use crate::node::{Node, run_until_idle};
use crate::people::{S, ShopFacts};
use crate::plan::{Outcome, Plan};
use crate::rng::Rng;
use crate::shared::{Heard, Owner, SimClock, Wish, Wishes};
use kessai_provider::transport::{Reply, TransportFault};
use kessai_provider_komoju::sandbox::KomojuSandbox;
use kessai_store::sqlite::stepped::{SteppedDatabase, StoreAnswer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// When every world begins: 15 January 2026, noon in Tokyo.
pub const BEGIN_US: i64 = 1_768_446_000_000_000;
/// A run that takes more steps than this does not come to rest: so many for each payment, and some more.
const STEPS_MOST: (u64, u64) = (1_500, 60_000);

/// When the first job of a shop is due; those apart that look, day after day, after what a person must decide.
const NEXT_JOB: &str = "SELECT MIN(MAX(j.run_at, j.leased_until)) FROM jobs j WHERE j.shop_id <> 'hub' AND NOT (j.kind = 'watch-payment.v1' \
     AND EXISTS (SELECT 1 FROM discrepancies d WHERE d.shop_id = j.shop_id AND j.id = d.payment_id || 'w' AND d.status = 'open'))";

pub(crate) enum Event {
    Flush,
    Reads,
    Stored(StoreAnswer),
    Arrive(u64),
    Reply(u64, Result<Reply, TransportFault>),
    Waited(Owner, oneshot::Sender<()>),
    CallArrives(u64),
    CallEnds(u64, Heard),
    HangUp(u64),
    Notices(usize),
    Start(usize),
    Wake(usize),
    WindowBegins(Fault),
    WindowEnds(Fault),
    Begin(u64),
    Clear,
}

pub(crate) struct Shop {
    pub facts: Arc<ShopFacts>,
    pub sandbox: Arc<KomojuSandbox>,
    pub base: String,
    pub endpoints: Vec<String>,
}

pub(crate) struct World {
    pub plan: Plan,
    pub clock: SimClock,
    now_us: i64,
    schedule: Rng,
    fates: Rng,
    root: Rng,
    weather: Weather,
    pub clear: bool,
    events: BTreeMap<(i64, u64), Event>,
    numbers: u64,
    pub wishes: Wishes,
    pub database: Arc<SteppedDatabase>,
    nodes: Vec<Option<Node>>,
    lives: Vec<u64>,
    skews: Vec<i64>,
    pub shops: Vec<Shop>,
    people: Runtime,
    people_poked: bool,
    people_left: Arc<AtomicUsize>,
    sends: BTreeMap<u64, Sending>,
    calls: BTreeMap<u64, Calling>,
    windows: BTreeSet<Fault>,
    disk_was_full: bool,
    flush_due: bool,
    reads_due: bool,
    notices_at: Vec<Option<i64>>,
    pub checks: Arc<Mutex<Checks>>,
    /// Deliveries that were taken, by endpoint and event.
    pub delivered: BTreeMap<(String, String), u64>,
    last_delivered: BTreeMap<(String, String), i64>,
    /// Wrong books that were planted: payment or reference, and why.
    pub planted: BTreeMap<String, &'static str>,
    pub coverage: BTreeMap<String, u64>,
    hash: u64,
    log: Vec<String>,
    steps: u64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn clock_now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.now_us).expect("within the calendar")
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn at(&mut self, at_us: i64, event: Event) {
        let number = self.number();
        self.events.insert((at_us.max(self.now_us), number), event);
    }

    fn after(&mut self, low_us: i64, high_us: i64, event: Event) {
        let at_us = self.now_us + self.schedule.between(low_us, high_us);
        self.at(at_us, event);
    }

    fn note(&mut self, code: u64, number: u64, says: impl FnOnce() -> String) {
        for part in [code, number, self.now_us.unsigned_abs()] {
            self.hash = (self.hash ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
        if self.plan.keep_log {
            let says = says();
            if says.is_empty() {
                return;
            }
            let since = self.now_us - BEGIN_US;
            let mut line = format!("{:>12}.{:06} ", since / S, since % S);
            let _ = write!(line, "{says}");
            self.log.push(line);
        }
    }

    fn count(&mut self, what: &str) {
        match self.coverage.get_mut(what) {
            Some(n) => *n += 1,
            None => drop(self.coverage.insert(what.to_owned(), 1)),
        }
    }

    pub fn fail(&self, what: String) {
        lock(&self.checks).fail(what);
    }

    /// Runs to the end.
    pub fn run(mut self) -> Outcome {
        loop {
            self.settle();
            if !lock(&self.checks).broken.is_empty() {
                break;
            }
            if self.clear && (self.steps.is_multiple_of(40) || self.events.len() < 4) && self.at_rest() {
                self.final_checks();
                break;
            }
            let Some(((at_us, number), event)) = self.events.pop_first() else {
                self.fail("stuck: nothing is left to happen, and not everything is done".to_owned());
                break;
            };
            self.now_us = self.now_us.max(at_us);
            self.clock.set(self.now_us);
            self.steps += 1;
            let most = STEPS_MOST.0 * self.plan.payments + STEPS_MOST.1;
            if self.steps > most {
                let jobs = self.database.look(
                    "SELECT id || ' ' || kind || ' ' || attempt FROM jobs LIMIT 5",
                    &[],
                );
                let jobs: Vec<String> = jobs
                    .into_iter()
                    .flatten()
                    .map(|row| row.text(0).unwrap_or_default().to_owned())
                    .collect();
                self.fail(format!(
                    "stuck: no rest after {most} steps: {} people, {} sends, {} calls, jobs {jobs:?}",
                    self.people_left.load(Ordering::Relaxed),
                    self.sends.len(),
                    self.calls.len(),
                ));
                break;
            }
            self.happen(number, event);
            if !self.clear {
                self.accidents();
            }
        }
        let mut checks = lock(&self.checks);
        for ((from, to), times) in std::mem::take(&mut checks.transitions) {
            self.coverage.insert(format!("{from} → {to}"), times);
        }
        let broken = std::mem::take(&mut checks.broken);
        drop(checks);
        Outcome {
            seed: self.plan.seed,
            broken,
            hash: self.hash,
            log: std::mem::take(&mut self.log),
            steps: self.steps,
            coverage: std::mem::take(&mut self.coverage),
        }
    }

    /// Lets everyone who has something to do do it, and takes in what they wish.
    fn settle(&mut self) {
        loop {
            let mut ran = false;
            if self.people_poked {
                self.people_poked = false;
                run_until_idle(&self.people);
                ran = true;
            }
            for n in 0..self.nodes.len() {
                if let Some(node) = &mut self.nodes[n]
                    && node.poked
                    && node.paused_until_us <= self.now_us
                {
                    node.run();
                    ran = true;
                    if node.runner_died() {
                        self.fail(format!("jobs: the runner of node {n} ended"));
                    }
                }
            }
            for wish in self.wishes.take() {
                self.take_wish(wish);
                ran = true;
            }
            if !ran {
                break;
            }
        }
        if !self.flush_due && self.database.waiting() > 0 {
            self.flush_due = true;
            self.after(500, 5_000, Event::Flush);
        }
        if !self.reads_due && self.database.waiting_reads() > 0 {
            self.reads_due = true;
            self.after(50, 3_000, Event::Reads);
        }
        for n in 0..self.shops.len() {
            let due = self.shops[n]
                .sandbox
                .next_notice_at()
                .map(jiff::Timestamp::as_microsecond);
            if let Some(due) = due
                && self.notices_at[n].is_none_or(|planned| due < planned)
            {
                let due = due.max(self.now_us);
                self.notices_at[n] = Some(due);
                self.at(due, Event::Notices(n));
            }
        }
    }

    fn take_wish(&mut self, wish: Wish) {
        match wish {
            Wish::Send {
                owner,
                webhook,
                request,
                heard,
            } => self.begin_send(owner, webhook, request, heard),
            Wish::Wait { owner, us, heard } => {
                let us = match owner {
                    Owner::People => us,
                    Owner::Node(..) if us < 2 * S => us,
                    Owner::Node(..) => self.patience(),
                };
                self.at(self.now_us + us, Event::Waited(owner, heard));
            }
            Wish::Call { ask, heard } => {
                self.call(ask, Caller::Person(heard), 1_000, 120_000);
            }
            Wish::Answered { call, seen } => self.answered(call, seen),
            Wish::Shopper {
                payment,
                act,
                amount,
                heard,
            } => {
                let done = self.shopper(&payment, act, amount);
                self.people_poked = true;
                let _ = heard.send(done);
            }
            Wish::Broken(what) => self.fail(what),
            Wish::Count(what) => self.count(what),
        }
    }

    /// When the first job of a shop is due or loses its lease.
    fn next_job_us(&self) -> Option<i64> {
        let rows = self.database.look(NEXT_JOB, &[]).expect("the database");
        rows.first().and_then(|row| row.opt_int(0).ok().flatten())
    }

    fn happen(&mut self, number: u64, event: Event) {
        match event {
            Event::Flush => self.flush(),
            Event::Reads => self.reads(number),
            Event::Stored(answer) => self.stored(number, answer),
            Event::Arrive(send) => self.arrive(send),
            Event::Reply(send, result) => self.reply(send, result),
            Event::Waited(owner, heard) => {
                if heard.send(()).is_ok() {
                    self.note(4, number, || match owner {
                        Owner::People => "somebody has waited".to_owned(),
                        Owner::Node(..) => String::new(),
                    });
                    self.poke(owner);
                }
            }
            Event::CallArrives(call) => self.call_arrives(call),
            Event::CallEnds(call, heard) => self.call_ends(call, heard),
            Event::HangUp(call) => self.hang_up(call),
            Event::Notices(shop) => self.notices(shop),
            Event::Start(n) => self.start(n),
            Event::Wake(n) => {
                self.note(5, n as u64, || format!("node {n} goes on"));
                self.poke_node(n);
            }
            Event::WindowBegins(fault) => self.window(fault, true),
            Event::WindowEnds(fault) => self.window(fault, false),
            Event::Begin(n) => self.begin(n),
            Event::Clear => self.clears(),
        }
    }

    /// Whether nothing is under way and nothing is to come.
    fn at_rest(&self) -> bool {
        if !self.clear
            || !self.sends.is_empty()
            || !self.calls.is_empty()
            || self.people_left.load(Ordering::Relaxed) > 0
            || self.flush_due
            || self.nodes.iter().any(Option::is_none)
            || self
                .shops
                .iter()
                .any(|shop| shop.sandbox.next_notice_at().is_some())
            || self
                .events
                .values()
                .any(|event| matches!(event, Event::Begin(_) | Event::CallEnds(..)))
        {
            return false;
        }
        self.next_job_us().is_none() && !self.in_doubt()
    }

    /// Whether an attempt is not settled.
    fn in_doubt(&self) -> bool {
        // In the words of the index of open attempts.
        let open = "SELECT 1 FROM attempts WHERE status IN ('intended', 'unknown', 'pending') AND status <> 'pending' LIMIT 1";
        !self.database.look(open, &[]).expect("the database").is_empty()
    }

    pub fn life_ends(&mut self) {
        self.nodes.iter_mut().for_each(|node| *node = None);
    }
}
