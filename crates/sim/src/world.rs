//! The world of one run: a discrete-event loop that alone decides what happens next.
use crate::checks::Checks;
use crate::fault::{Fault, Sky, Weather};
use crate::node::{HUB_URL, LEASE_S, Node, engine, run_until_idle, runtime};
use crate::people::{BAD_CARD, CHECKED_CARD, GOOD_CARD, Person, S, ShopFacts};
use crate::rng::{Dice, Rng};
use crate::shared::{Ask, Heard, Owner, Seen, SimClock, Wish, Wishes};
use kessai_core::Secret;
use kessai_engine::KeyKind;
use kessai_engine::directory::{NewAccount, ShopSettings};
use kessai_provider::sandbox::Sandbox as _;
use kessai_provider::transport::{Reply, Request, TransportFault};
use kessai_provider_komoju::sandbox::{BooksAt, KomojuSandbox, KomojuSandboxConfig};
use kessai_store::ChangeSet;
use kessai_store::sqlite::stepped::{Mood, SteppedDatabase, StoreAnswer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// When every world begins: 15 January 2026, noon in Tokyo.
pub const BEGIN_US: i64 = 1_768_446_000_000_000;
/// What the sandboxes sign with.
pub const WEBHOOK_SECRET: &str = "whsec_of_the_sandbox";
/// What we are to the sandboxes.
pub const SANDBOX_KEY: &str = "sk_test_of_the_sandbox";
/// A run that takes more steps than this does not come to rest: so many for each payment, and some more.
const STEPS_MOST: (u64, u64) = (1_500, 60_000);

/// When the first job of a shop is due; those apart that look, day after day, after what a person must decide.
const NEXT_JOB: &str = "SELECT MIN(MAX(j.run_at, j.leased_until)) FROM jobs j WHERE j.shop_id <> 'hub' AND NOT (j.kind = 'watch-payment.v1' \
     AND EXISTS (SELECT 1 FROM discrepancies d WHERE d.shop_id = j.shop_id AND j.id = d.payment_id || 'w' AND d.status = 'open'))";

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How bad the weather is.
    pub sky: Sky,
    /// How many payments are begun.
    pub payments: u64,
    /// Which faults are left out, and who does not come, for shrinking.
    pub without: BTreeSet<&'static str>,
    /// Which payments are begun; all when none.
    pub only: Option<BTreeSet<u64>>,
    /// Whether the log is kept as text.
    pub keep_log: bool,
}

impl Plan {
    /// The usual one of a seed.
    pub fn new(seed: u64, sky: Sky, payments: u64) -> Self {
        Self {
            seed,
            sky,
            payments,
            without: BTreeSet::new(),
            only: None,
            keep_log: false,
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// What did not hold; empty when all did.
    pub broken: Vec<String>,
    /// A hash over everything that happened, in order.
    pub hash: u64,
    /// The log, when it was asked for.
    pub log: Vec<String>,
    /// How many steps there were.
    pub steps: u64,
    /// How often what happened.
    pub coverage: BTreeMap<String, u64>,
}

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

struct Sending {
    owner: Owner,
    webhook: bool,
    request: Request,
    heard: Option<oneshot::Sender<Result<Reply, TransportFault>>>,
    since_us: i64,
    fate: Option<Fault>,
}

enum Caller {
    Person(oneshot::Sender<Heard>),
    /// A notification: which sandbox sent it, and under which name, if it waits to hear how it went.
    Provider {
        sandbox: usize,
        notice: Option<String>,
        forged: bool,
        /// Sent again until it is taken.
        again: Option<Ask>,
    },
}

struct Calling {
    ask: Ask,
    caller: Caller,
    at: Option<(usize, u64, AbortHandle)>,
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
    pub fn new(plan: Plan) -> Self {
        let root = Rng::new(plan.seed);
        let mut makeup = root.fork(1);
        let weather = Weather::new(&mut root.fork(2), plan.sky, &plan.without);
        let clock = SimClock::new(BEGIN_US);
        let wishes = Wishes::default();
        let slow_reads = [0, 40, 200][usize::try_from(makeup.below(3)).unwrap_or(0)];
        let database = SteppedDatabase::open(root.fork(3).draw(), slow_reads).expect("a database");
        let secrets = [
            ("a card number", GOOD_CARD),
            ("a declined card number", BAD_CARD),
            ("a checked card number", CHECKED_CARD),
            ("a security code", "\"verification_value\":\"739\""),
            ("our key to the provider", SANDBOX_KEY),
            ("the provider's webhook secret", WEBHOOK_SECRET),
            ("a shop's key", "sk_test_shop_"),
            ("an endpoint's secret", "whsec_of_endpoint"),
            ("a payment's own webhook secret", "whsec_of_one_payment"),
        ];
        let checks = Arc::new(Mutex::new(Checks::new(&secrets)));
        let shop_count = usize::try_from(makeup.between(1, 2)).unwrap_or(1);
        let node_count = usize::try_from(makeup.between(1, 3)).unwrap_or(1);
        let mut shops = Vec::new();
        for n in 0..shop_count {
            let base = format!("http://sandbox.test/s{n}");
            let config = KomojuSandboxConfig {
                books: BooksAt::Memory,
                public_url: base.clone(),
                secret_key: Secret::new(SANDBOX_KEY),
                publishable_key: "pk_test_of_the_sandbox".into(),
                webhook: None,
            };
            let dice = Arc::new(Dice::new(root.fork(100 + n as u64)));
            let sandbox = KomojuSandbox::open(config, dice).expect("a sandbox");
            let endpoints = (0..makeup.weighted(&[15, 60, 25]))
                .map(|k| format!("https://hook-{n}-{k}.example/in"))
                .collect();
            shops.push(Shop {
                facts: Arc::new(ShopFacts {
                    id: String::new(),
                    key: format!("sk_test_shop_{n}"),
                }),
                sandbox,
                base,
                endpoints,
            });
        }
        let mut skews = vec![0; node_count];
        if root.fork(4).strikes(weather.rate(Fault::ClockSkew)) {
            let mut rng = root.fork(5);
            skews
                .iter_mut()
                .for_each(|skew| *skew = rng.between(-90 * S, 90 * S));
        }
        let world = Self {
            clock,
            now_us: BEGIN_US,
            schedule: root.fork(6),
            fates: root.fork(7),
            clear: plan.sky == Sky::Clear,
            weather,
            events: BTreeMap::new(),
            numbers: 0,
            wishes,
            database,
            nodes: (0..node_count).map(|_| None).collect(),
            lives: vec![0; node_count],
            skews,
            notices_at: vec![None; shops.len()],
            shops,
            people: runtime(),
            people_poked: false,
            people_left: Arc::default(),
            sends: BTreeMap::new(),
            calls: BTreeMap::new(),
            windows: BTreeSet::new(),
            disk_was_full: false,
            flush_due: false,
            reads_due: false,
            checks,
            delivered: BTreeMap::new(),
            last_delivered: BTreeMap::new(),
            planted: BTreeMap::new(),
            coverage: BTreeMap::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            log: Vec::new(),
            steps: 0,
            root,
            plan,
        };
        world.furnished(&mut makeup)
    }

    /// Shops, keys, accounts, endpoints and recurring jobs, before anything can go wrong; then who comes when.
    fn furnished(mut self, makeup: &mut Rng) -> Self {
        let setting_up = engine(
            &self.database,
            99,
            0,
            &self.clock,
            &self.wishes,
            &self.root.fork(8),
        );
        let people = runtime();
        for n in 0..self.shops.len() {
            let (key, base) = (self.shops[n].facts.key.clone(), self.shops[n].base.clone());
            let id = people.block_on(async {
                let shop = setting_up
                    .add_shop("merchant", &format!("Shop {n}"), false, &ShopSettings::default())
                    .await
                    .expect("a shop");
                setting_up
                    .add_key(&shop, KeyKind::Secret, &key)
                    .await
                    .expect("a key");
                let secrets = [
                    ("secret_key", SANDBOX_KEY),
                    ("publishable_key", "pk_test_of_the_sandbox"),
                    ("webhook_secret", WEBHOOK_SECRET),
                ];
                let account = NewAccount {
                    base_url: base.as_str().into(),
                    secrets: secrets
                        .into_iter()
                        .map(|(name, secret)| (name.into(), Secret::new(secret)))
                        .collect(),
                    settings: BTreeMap::new(),
                };
                setting_up
                    .set_account(&shop, "komoju", &account)
                    .await
                    .expect("an account");
                shop
            });
            for (k, url) in self.shops[n].endpoints.clone().iter().enumerate() {
                let secret = Secret::new(format!("whsec_of_endpoint_{n}_{k}"));
                people.block_on(async {
                    let added = setting_up.add_endpoint(&id, url, Some(secret), &[]).await;
                    added.expect("an endpoint");
                });
            }
            self.shops[n].facts = Arc::new(ShopFacts {
                id: id.to_string(),
                key,
            });
            let url = format!("{HUB_URL}/inbound/komoju/{id}");
            let body = serde_json::json!({"url": url, "secret": WEBHOOK_SECRET});
            self.control(n, "webhook", body.to_string().into_bytes());
        }
        people.block_on(async {
            for job in setting_up.recurring_jobs() {
                let change = ChangeSet::new();
                let change = ChangeSet {
                    guards: vec![job.guard()],
                    ..change
                };
                let _ = setting_up.store().commit(change).await.expect("the store");
            }
        });
        drop(setting_up);
        let _ = self.wishes.take();
        // What was written so far is checked against nothing: it is where the run begins.
        self.database.set_mood(Mood::Stepped);
        for node in 0..self.nodes.len() {
            self.at(BEGIN_US, Event::Start(node));
        }
        // Some worlds are in a hurry.
        let gap_us = if makeup.percent(40) {
            makeup.between(S / 20, S)
        } else {
            makeup.between(S, 40 * S)
        };
        let mut last_us = BEGIN_US;
        for n in 0..self.plan.payments {
            let at_us =
                BEGIN_US + S + makeup.between(0, gap_us * i64::try_from(self.plan.payments).unwrap_or(1));
            if self.plan.only.as_ref().is_none_or(|only| only.contains(&n)) {
                self.at(at_us, Event::Begin(n));
                last_us = last_us.max(at_us);
            }
        }
        let clear_us = last_us + makeup.between(600 * S, 12_000 * S);
        for fault in [
            Fault::Maintenance,
            Fault::ProviderDown,
            Fault::DiskFull,
            Fault::StoreRefuses,
            Fault::StoreBusy,
            Fault::EndpointDown,
            Fault::EndpointPrivate,
        ] {
            let begins_us = makeup.between(BEGIN_US + 2 * S, last_us.max(BEGIN_US + 3 * S));
            let long = match fault {
                Fault::ProviderDown => makeup.between(300 * S, 86_400 * S),
                Fault::Maintenance => makeup.between(60 * S, 7_200 * S),
                Fault::EndpointDown | Fault::EndpointPrivate => makeup.between(60 * S, 1_500 * S),
                _ => makeup.between(S, 300 * S),
            };
            if makeup.strikes(self.weather.rate(fault)) {
                self.at(begins_us, Event::WindowBegins(fault));
                self.at(begins_us + long, Event::WindowEnds(fault));
            }
        }
        self.at(clear_us, Event::Clear);
        self
    }

    pub fn control(&self, shop: usize, path: &str, body: Vec<u8>) -> Option<serde_json::Value> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let ask = kessai_provider::sandbox::Ask {
            method: crate::shared::method(method),
            path_and_query: format!("/sandbox/{path}"),
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
        };
        match self.shops[shop].sandbox.answer(&ask, self.clock_now()) {
            kessai_provider::sandbox::Answer::Reply { reply, .. } if reply.status == 200 => {
                serde_json::from_slice(&reply.body).ok()
            }
            _ => None,
        }
    }

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

    fn struck(&mut self, fault: Fault) {
        self.note(900 + fault as u64, 0, || format!("fault: {}", fault.name()));
        self.count(fault.name());
    }

    /// Whether this goes wrong now.
    fn strikes(&mut self, fault: Fault) -> bool {
        if self.clear {
            return false;
        }
        let rate = self.weather.rate(fault);
        let struck = self.fates.strikes(rate);
        if struck {
            self.struck(fault);
        }
        struck
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

    /// How long a node's runner sleeps when it knows of nothing to do. It looks every two seconds; we let it sleep over what is far.
    fn patience(&mut self) -> i64 {
        if !self.clear {
            return self.schedule.between(2 * S, 90 * S);
        }
        let open = "SELECT 1 FROM attempts WHERE status IN ('intended', 'unknown') LIMIT 1";
        if self.database.look(open, &[]).is_ok_and(|rows| !rows.is_empty()) {
            return 15 * S;
        }
        match self.next_job_us() {
            Some(due) => (due - self.now_us).clamp(2 * S, 43_200 * S),
            None => 3_600 * S,
        }
    }

    /// When the first job of a shop is due or loses its lease.
    fn next_job_us(&self) -> Option<i64> {
        let rows = self.database.look(NEXT_JOB, &[]).expect("the database");
        rows.first().and_then(|row| row.opt_int(0).ok().flatten())
    }

    fn call(&mut self, ask: Ask, caller: Caller, low_us: i64, high_us: i64) {
        let number = self.number();
        self.note(1, number, || {
            format!("call {number}: {} {}", ask.method, ask.path)
        });
        self.calls.insert(
            number,
            Calling {
                ask,
                caller,
                at: None,
            },
        );
        self.after(low_us, high_us, Event::CallArrives(number));
    }

    fn begin_send(
        &mut self,
        owner: Owner,
        webhook: bool,
        request: Request,
        heard: oneshot::Sender<Result<Reply, TransportFault>>,
    ) {
        let number = self.number();
        self.note(2, number, || format!("{owner:?} sends {number}: {request:?}"));
        let timeout_us = i64::try_from(request.timeout_ms).unwrap_or(30_000) * 1_000;
        let mut fate = None;
        let kinds: &[Fault] = if webhook {
            &[Fault::EndpointSlow, Fault::EndpointError]
        } else {
            &[
                Fault::Refused,
                Fault::LostBefore,
                Fault::LostAfter,
                Fault::LateArrival,
                Fault::LateReply,
                Fault::Truncated,
                Fault::Garbled,
                Fault::UnlistedStatus,
                Fault::ErrorBefore,
                Fault::ErrorAfter,
            ]
        };
        for kind in kinds {
            if self.strikes(*kind) {
                fate = Some(*kind);
                break;
            }
        }
        let windows: &[Fault] = if webhook {
            &[Fault::EndpointDown, Fault::EndpointPrivate]
        } else {
            &[Fault::ProviderDown, Fault::Maintenance]
        };
        for window in windows {
            if self.windows.contains(window) {
                self.count(window.name());
                fate = Some(*window);
            }
        }
        let latency = self.schedule.between(5_000, 800_000);
        let ends = |fault| Event::Reply(number, Err(fault));
        match fate {
            Some(Fault::Refused) => {
                let cause = TransportFault::NotSent("connection refused".to_owned());
                self.at(self.now_us + latency, ends(cause));
            }
            Some(Fault::ProviderDown) => {
                // Some do not get through to it, others never hear from it.
                let cause = if self.schedule.percent(70) {
                    TransportFault::NotSent("no route".to_owned())
                } else {
                    TransportFault::Lost("no reply".to_owned())
                };
                let us = if matches!(cause, TransportFault::Lost(_)) {
                    timeout_us
                } else {
                    latency
                };
                self.at(self.now_us + us, ends(cause));
            }
            Some(Fault::EndpointDown) => {
                let cause = TransportFault::NotSent("connection refused".to_owned());
                self.at(self.now_us + latency, ends(cause));
            }
            Some(Fault::EndpointPrivate) => {
                let cause = TransportFault::NotSent("a private address".to_owned());
                self.at(self.now_us + latency, ends(cause));
            }
            Some(Fault::LostBefore) => {
                let cause = TransportFault::Lost("connection reset".to_owned());
                self.at(self.now_us + latency, ends(cause));
            }
            Some(Fault::LateArrival) => {
                let late = timeout_us + self.schedule.between(1, 4 * timeout_us);
                self.at(self.now_us + late, Event::Arrive(number));
                let cause = TransportFault::Lost("no reply in time".to_owned());
                self.at(self.now_us + timeout_us, ends(cause));
            }
            _ => self.at(self.now_us + latency, Event::Arrive(number)),
        }
        self.sends.insert(
            number,
            Sending {
                owner,
                webhook,
                request,
                heard: Some(heard),
                since_us: self.now_us,
                fate,
            },
        );
    }

    fn poke(&mut self, owner: Owner) {
        match owner {
            Owner::People => self.people_poked = true,
            Owner::Node(n, life) => {
                if let Some(node) = self.nodes.get_mut(n).and_then(Option::as_mut)
                    && node.life == life
                {
                    node.poked = true;
                }
            }
        }
    }

    fn happen(&mut self, number: u64, event: Event) {
        match event {
            Event::Flush => self.flush(number),
            Event::Reads => {
                self.reads_due = false;
                self.note(3, number, String::new);
                for node in self.database.read_waiting() {
                    self.poke_node(node);
                }
            }
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
            Event::HangUp(call) => {
                if let Some(calling) = self.calls.get(&call)
                    && let Some((n, _, abort)) = &calling.at
                {
                    abort.abort();
                    let n = *n;
                    self.poke_node(n);
                    self.call_ends(call, None);
                }
            }
            Event::Notices(shop) => self.notices(shop),
            Event::Start(n) => self.start(n),
            Event::Wake(n) => {
                self.note(5, n as u64, || format!("node {n} goes on"));
                self.poke_node(n);
            }
            Event::WindowBegins(fault) => self.window(fault, true),
            Event::WindowEnds(fault) => self.window(fault, false),
            Event::Begin(n) => self.begin(n),
            Event::Clear => {
                self.note(6, 0, || "the weather clears".to_owned());
                self.clear = true;
                for fault in self.windows.clone() {
                    self.window(fault, false);
                }
                for n in 0..self.nodes.len() {
                    if let Some(node) = &mut self.nodes[n] {
                        node.clock.correct();
                    }
                    self.skews[n] = 0;
                }
            }
        }
    }

    fn poke_node(&mut self, n: usize) {
        if let Some(Some(node)) = self.nodes.get_mut(n) {
            node.poked = true;
        }
    }

    fn begin(&mut self, n: u64) {
        self.note(7, n, || format!("payment {n} begins"));
        let mut rng = self.root.fork(1_000_000 + n);
        let shop = usize::try_from(rng.below(self.shops.len() as u64)).unwrap_or(0);
        let person = Person::new(&self.wishes, &self.checks, &self.shops[shop].facts, rng, n);
        let left = self.people_left.clone();
        left.fetch_add(1, Ordering::Relaxed);
        self.people.spawn(async move {
            person.live().await;
            left.fetch_sub(1, Ordering::Relaxed);
        });
        self.people_poked = true;
    }

    fn start(&mut self, n: usize) {
        if self.nodes[n].is_some() {
            return;
        }
        let life = self.lives[n];
        self.lives[n] += 1;
        self.note(8, n as u64, || format!("node {n} starts"));
        let clock = self.clock.skewed(self.skews[n]);
        if self.skews[n] != 0 {
            self.struck(Fault::ClockSkew);
        }
        let rng = self.root.fork(9);
        self.nodes[n] = Some(Node::start(&self.database, n, life, clock, &self.wishes, &rng));
    }

    /// Between any two steps a node may die or stand still.
    fn accidents(&mut self) {
        let Some(n) = usize::try_from(self.fates.below(self.nodes.len() as u64)).ok() else {
            return;
        };
        if self.nodes[n].is_none() {
            return;
        }
        if self.strikes(Fault::Crash) {
            self.crash(n);
        } else if self.strikes(Fault::Pause) {
            let until_us = self.now_us + self.schedule.between(20 * S, 400 * S);
            if let Some(node) = &mut self.nodes[n] {
                node.paused_until_us = until_us;
            }
            self.note(10, n as u64, || format!("node {n} stands still"));
            self.at(until_us, Event::Wake(n));
        }
    }

    fn crash(&mut self, n: usize) {
        let Some(node) = self.nodes[n].take() else { return };
        self.note(11, n as u64, || format!("node {n} dies"));
        drop(node);
        // What it had asked of the store may still reach it, as over a network, or be gone with it.
        if self.schedule.percent(50) {
            let lost = self.database.forget(n);
            self.note(12, lost as u64, || format!("{lost} change sets die with it"));
        }
        let broken: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, calling)| calling.at.as_ref().is_some_and(|(at, ..)| *at == n))
            .map(|(call, _)| *call)
            .collect();
        for call in broken {
            if let Some(calling) = self.calls.get_mut(&call) {
                calling.at = None;
            }
            self.after(1_000, 50_000, Event::CallEnds(call, None));
        }
        // What it had sent and what has not arrived yet arrives all the same, or does not.
        let unsent: Vec<u64> = self
            .sends
            .iter()
            .filter(|(_, sending)| matches!(sending.owner, Owner::Node(at, _) if at == n))
            .map(|(send, _)| *send)
            .collect();
        for send in unsent {
            if self.schedule.percent(50) {
                self.sends.remove(&send);
            }
        }
        let _ = self.wishes.take();
        self.after(S / 2, 90 * S, Event::Start(n));
    }

    fn flush(&mut self, number: u64) {
        self.flush_due = false;
        if self.strikes(Fault::DoubtLost)
            && let Some(node) = self.database.fail_first(kessai_store::StoreError::InDoubt)
        {
            self.poke_node(node);
        }
        if self.strikes(Fault::CrashBeforeCommit) {
            let n = usize::try_from(self.schedule.below(self.nodes.len() as u64)).unwrap_or(0);
            self.database.forget(n);
            return self.crash(n);
        }
        let most = 1 + usize::try_from(self.schedule.below(24)).unwrap_or(1);
        let checks = self.checks.clone();
        let mut tables: Vec<String> = Vec::new();
        let keep_log = self.plan.keep_log;
        let answers = self.database.flush(most, &mut |set| {
            lock(&checks).committed(set);
            if keep_log {
                tables.push(summary(set));
            }
        });
        self.note(13, answers.len() as u64, || {
            format!("flush of {}: {}", answers.len(), tables.join("; "))
        });
        let _ = number;
        let dies = self.strikes(Fault::CrashAfterCommit);
        let dying = answers.first().map(|answer| answer.node);
        for answer in answers {
            for row in answer.claimed() {
                if let (Ok(shop), Ok(job), Ok(until_us)) = (row.text(0), row.text(1), row.int(5)) {
                    lock(&self.checks).leased(shop, job, until_us, until_us - LEASE_S * S);
                }
            }
            let (low, high) = (20, 400);
            if dies && Some(answer.node) == dying {
                continue;
            }
            self.after(low, high, Event::Stored(answer));
        }
        if let (true, Some(n)) = (dies, dying)
            && n < self.nodes.len()
        {
            self.crash(n);
        }
    }

    fn stored(&mut self, number: u64, answer: StoreAnswer) {
        let node = answer.node;
        self.note(14, number, || format!("node {node} hears from the store"));
        if self.strikes(Fault::DoubtApplied) {
            answer.deliver_doubt();
        } else {
            answer.deliver();
        }
        self.poke_node(node);
    }

    fn arrive(&mut self, send: u64) {
        let Some(sending) = self.sends.get_mut(&send) else {
            return;
        };
        let (fate, request, webhook) = (sending.fate, sending.request.clone(), sending.webhook);
        let elapsed_us = self.now_us - sending.since_us;
        let timeout_us = i64::try_from(request.timeout_ms).unwrap_or(30_000) * 1_000;
        if webhook {
            return self.endpoint(send, fate, &request, timeout_us - elapsed_us);
        }
        let unbooked = |status: u16| Reply {
            status,
            headers: vec![],
            body: bytes::Bytes::from_static(b"{\"error\":{\"code\":\"internal_server_error\"}}"),
        };
        let mut reply = match fate {
            Some(Fault::ErrorBefore) => Ok(unbooked(500)),
            Some(Fault::Maintenance) => Ok(unbooked(503)),
            _ => self.at_provider(&request),
        };
        self.note(15, send, || match &reply {
            Ok(reply) => format!("{send} arrives at the provider: {}", reply.status),
            Err(fault) => format!("{send} arrives at the provider: {fault}"),
        });
        let mut delay = self.schedule.between(5_000, 900_000);
        match fate {
            Some(Fault::LateArrival) => {
                // Its sender stopped waiting long ago.
                self.sends.remove(&send);
                return;
            }
            Some(Fault::LostAfter) => reply = Err(TransportFault::Lost("connection reset".to_owned())),
            Some(Fault::LateReply) => {
                delay = (timeout_us - elapsed_us).max(0);
                reply = Err(TransportFault::Lost("no reply in time".to_owned()));
            }
            Some(Fault::ErrorAfter) => reply = Ok(unbooked(502)),
            Some(Fault::Truncated) => {
                if let Ok(reply) = &mut reply {
                    reply.body.truncate(reply.body.len() / 2);
                }
            }
            Some(Fault::Garbled) => {
                if let Ok(reply) = &mut reply {
                    reply.body = bytes::Bytes::from_static(b"<html>upstream \xff\xfe error");
                }
            }
            Some(Fault::UnlistedStatus) => {
                if let Ok(reply) = &mut reply {
                    let text = String::from_utf8_lossy(&reply.body).into_owned();
                    let mut odd = text.clone();
                    for status in ["captured", "authorized", "pending", "refunded", "cancelled"] {
                        odd = odd.replace(&format!("\"status\":\"{status}\""), "\"status\":\"hibernating\"");
                    }
                    reply.body = odd.into();
                }
            }
            _ => {}
        }
        self.at(self.now_us + delay, Event::Reply(send, reply));
    }

    fn at_provider(&self, request: &Request) -> Result<Reply, TransportFault> {
        let found = self
            .shops
            .iter()
            .find_map(|shop| Some((shop, crate::shared::below(&request.url, &shop.base)?)));
        let Some((shop, path)) = found else {
            return Err(TransportFault::NotSent("nobody lives there".to_owned()));
        };
        let ask = kessai_provider::sandbox::Ask {
            method: request.method,
            path_and_query: path.to_owned(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        let now = self.clock_now();
        shop.sandbox.pass_time(now);
        match shop.sandbox.answer(&ask, now) {
            kessai_provider::sandbox::Answer::Reply { reply, .. } => Ok(reply),
            kessai_provider::sandbox::Answer::Refused => Err(TransportFault::NotSent("refused".to_owned())),
            kessai_provider::sandbox::Answer::Dropped => Err(TransportFault::Lost("dropped".to_owned())),
        }
    }

    /// A webhook comes to a shop's endpoint.
    fn endpoint(&mut self, send: u64, fate: Option<Fault>, request: &Request, left_us: i64) {
        let status = match fate {
            Some(Fault::EndpointError) => 500,
            _ => 200,
        };
        lock(&self.checks).no_secret("a webhook", &request.body);
        let said: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let event = said["id"].as_str().unwrap_or_default().to_owned();
        if status == 200 {
            let times = self
                .delivered
                .entry((request.url.clone(), event.clone()))
                .or_default();
            *times += 1;
            let first = *times == 1;
            let known = lock(&self.checks).events.get(&event).cloned();
            match known {
                Some((subject, seq)) if first => {
                    let last = self
                        .last_delivered
                        .insert((request.url.clone(), subject.clone()), seq)
                        .unwrap_or(0);
                    if last > seq {
                        self.fail(format!(
                            "webhooks: {subject}: event {seq} reached {} after event {last}",
                            request.url
                        ));
                    }
                }
                Some(_) => self.count("a webhook delivered again"),
                None if said["type"] == "ping" => {}
                None => self.fail(format!("webhooks: {event} was delivered and is no event of ours")),
            }
        }
        self.note(16, send, || {
            format!("{send} arrives at {}: {status} {event}", request.url)
        });
        let reply = Reply {
            status,
            headers: vec![],
            body: bytes::Bytes::new(),
        };
        if fate == Some(Fault::EndpointSlow) {
            let lost = Err(TransportFault::Lost("no reply in time".to_owned()));
            self.at(self.now_us + left_us.max(0), Event::Reply(send, lost));
        } else {
            self.after(5_000, 300_000, Event::Reply(send, Ok(reply)));
        }
    }

    fn reply(&mut self, send: u64, result: Result<Reply, TransportFault>) {
        let Some(sending) = self.sends.get_mut(&send) else {
            return;
        };
        let owner = sending.owner;
        if let Some(heard) = sending.heard.take() {
            drop(heard.send(result));
        }
        // One that arrives late stays until it has.
        if sending.fate != Some(Fault::LateArrival) {
            self.sends.remove(&send);
        }
        self.note(17, send, || format!("{send} is over for {owner:?}"));
        self.poke(owner);
    }

    fn call_arrives(&mut self, call: u64) {
        let up: Vec<usize> = (0..self.nodes.len())
            .filter(|n| self.nodes[*n].is_some())
            .collect();
        if up.is_empty() {
            return self.call_ends(call, None);
        }
        let n = up[usize::try_from(self.schedule.below(up.len() as u64)).unwrap_or(0)];
        let Some(calling) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(node) = self.nodes[n].as_mut() else {
            return;
        };
        let abort = node.take_in(call, calling.ask.clone());
        calling.at = Some((n, node.life, abort));
        let person = matches!(calling.caller, Caller::Person(_));
        self.note(18, call, || format!("call {call} reaches node {n}"));
        if person && self.strikes(Fault::HangUp) {
            self.after(500, 3 * S, Event::HangUp(call));
        }
        // Nobody waits for ever.
        self.after(60 * S, 90 * S, Event::HangUp(call));
    }

    fn answered(&mut self, call: u64, seen: Seen) {
        let Some(calling) = self.calls.get_mut(&call) else {
            return;
        };
        if calling.at.take().is_none() {
            return;
        }
        let person = matches!(calling.caller, Caller::Person(_));
        let path = calling.ask.path.clone();
        lock(&self.checks).no_secret("an answer", &seen.body);
        if seen.status == 500 && !self.disk_was_full {
            let text = String::from_utf8_lossy(&seen.body).into_owned();
            self.fail(format!("500: {path} was answered {text}"));
        }
        self.note(19, call, || format!("call {call} is answered {}", seen.status));
        self.hash = (self.hash ^ u64::from(seen.status)).wrapping_mul(0x0100_0000_01b3);
        if person && self.strikes(Fault::AnswerLost) {
            self.after(S, 30 * S, Event::CallEnds(call, None));
        } else {
            self.after(1_000, 80_000, Event::CallEnds(call, Some(seen)));
        }
    }

    fn call_ends(&mut self, call: u64, heard: Heard) {
        let Some(calling) = self.calls.remove(&call) else {
            return;
        };
        let status = heard.as_ref().map(|seen| seen.status);
        self.note(20, call, || {
            format!("call {call} ends for its caller: {status:?}")
        });
        match calling.caller {
            Caller::Person(waits) => {
                drop(waits.send(heard));
                self.people_poked = true;
            }
            Caller::Provider {
                sandbox,
                notice,
                forged,
                again,
            } => {
                if forged && status.is_some_and(|status| (200..300).contains(&status)) {
                    self.fail("forged: a notification with a wrong signature was taken".to_owned());
                }
                if let Some(notice) = notice {
                    let now = self.clock_now();
                    self.shops[sandbox].sandbox.noticed(&notice, status, now);
                    self.notices_at[sandbox] = None;
                }
                if let Some(ask) = again
                    && !status.is_some_and(|status| (200..300).contains(&status))
                {
                    let caller = Caller::Provider {
                        sandbox,
                        notice: None,
                        forged: false,
                        again: Some(ask.clone()),
                    };
                    self.call(ask, caller, 60 * S, 120 * S);
                }
            }
        }
    }

    fn shopper(&mut self, payment: &str, act: &'static str, amount: Option<i64>) -> bool {
        let sql = "SELECT provider_ref, total, shop_id FROM payments WHERE id = $1";
        let rows = self.database.look(sql, &[payment.into()]).expect("the database");
        let Some(row) = rows.first() else { return false };
        let (Ok(Some(reference)), Ok(total), Ok(shop_id)) = (row.opt_text(0), row.int(1), row.text(2)) else {
            return false;
        };
        let Some(shop) = self.shops.iter().position(|shop| shop.facts.id == shop_id) else {
            return false;
        };
        let mut amount = amount;
        if act == "pay" && self.strikes(Fault::WrongCash) {
            amount = Some(total + self.fates.between(1, 50));
        }
        let body = match amount {
            Some(amount) => serde_json::json!({"amount": amount}),
            None => serde_json::json!({}),
        };
        let path = format!("payments/{reference}/{act}");
        let done = self.control(shop, &path, body.to_string().into_bytes()).is_some();
        if done && amount.is_some() {
            self.planted.insert(payment.to_owned(), "amount_mismatch");
        }
        self.note(21, u64::from(done), || {
            format!("a shopper does {act} for {payment}: {done}")
        });
        done
    }

    fn window(&mut self, fault: Fault, begins: bool) {
        let changed = if begins {
            !self.clear && self.windows.insert(fault)
        } else {
            self.windows.remove(&fault)
        };
        if !changed {
            return;
        }
        self.note(22, fault as u64, || {
            format!("{} {}", fault.name(), if begins { "begins" } else { "ends" })
        });
        match fault {
            Fault::DiskFull => {
                self.disk_was_full = true;
                self.count(fault.name());
                self.database.fill_disk(begins).expect("the database");
            }
            Fault::StoreRefuses | Fault::StoreBusy => {
                if begins {
                    self.count(fault.name());
                }
                let refuses = self.windows.contains(&Fault::StoreRefuses);
                let busy = self.windows.contains(&Fault::StoreBusy);
                self.database.set_mood(if refuses {
                    Mood::Unavailable
                } else if busy {
                    Mood::Busy
                } else {
                    Mood::Stepped
                });
            }
            _ => {}
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
        let open = "SELECT 1 FROM attempts WHERE status IN ('intended', 'unknown') LIMIT 1";
        self.next_job_us().is_none() && self.database.look(open, &[]).is_ok_and(|rows| rows.is_empty())
    }

    pub fn life_ends(&mut self) {
        self.nodes.iter_mut().for_each(|node| *node = None);
    }

    fn notices(&mut self, shop: usize) {
        self.notices_at[shop] = None;
        let now = self.clock_now();
        self.shops[shop].sandbox.pass_time(now);
        let due = self.shops[shop].sandbox.due_notices(now, 50);
        for notice in due {
            let path = notice.request.url.trim_start_matches(HUB_URL).to_owned();
            if !notice.request.url.starts_with(HUB_URL) {
                // A payment's own webhook at the provider: ours never ask for one.
                self.shops[shop].sandbox.noticed(&notice.id, Some(200), now);
                continue;
            }
            let ask = Ask {
                method: "POST",
                path,
                headers: notice.request.headers.clone(),
                body: notice.request.body.clone(),
            };
            let about = String::from_utf8_lossy(&notice.request.body).into_owned();
            let is_payment = about.contains("\"type\":\"payment.");
            self.note(23, shop as u64, || {
                format!("notification {} from sandbox {shop}", notice.id)
            });
            let plain = |notice: Option<String>| Caller::Provider {
                sandbox: shop,
                notice,
                forged: false,
                again: None,
            };
            if is_payment && self.strikes(Fault::NoticeForged) {
                let mut forged = ask.clone();
                for (name, value) in &mut forged.headers {
                    if name == "x-komoju-signature" {
                        *value = "0".repeat(64);
                    }
                }
                let caller = Caller::Provider {
                    sandbox: shop,
                    notice: None,
                    forged: true,
                    again: None,
                };
                self.call(forged, caller, 5_000, 500_000);
            }
            if is_payment && self.strikes(Fault::NoticeUnknown) {
                self.unknown_payment(shop, &ask);
            }
            if is_payment && self.strikes(Fault::NoticeLost) {
                self.shops[shop].sandbox.noticed(&notice.id, Some(200), now);
                continue;
            }
            if is_payment && self.strikes(Fault::NoticeTwice) {
                self.call(ask.clone(), plain(None), 5_000, 20 * S);
            }
            let ask = if is_payment && self.strikes(Fault::NoticeWrongAmount) {
                wrong_amount(ask)
            } else {
                ask
            };
            if is_payment && self.strikes(Fault::NoticeLate) {
                self.shops[shop].sandbox.noticed(&notice.id, Some(200), now);
                self.call(ask, plain(None), S, 7_200 * S);
            } else {
                self.call(ask, plain(Some(notice.id)), 5_000, 500_000);
            }
        }
    }

    fn unknown_payment(&mut self, shop: usize, like: &Ask) {
        let Ok(mut said) = serde_json::from_slice::<serde_json::Value>(&like.body) else {
            return;
        };
        let reference = format!("unknown{}", self.number());
        said["id"] = format!("event{}", self.number()).into();
        said["data"]["id"] = reference.as_str().into();
        said["data"]["external_order_num"] = serde_json::Value::Null;
        let ask = signed(like, said.to_string().into_bytes());
        self.planted.insert(reference, "unknown_payment");
        let caller = Caller::Provider {
            sandbox: shop,
            notice: None,
            forged: false,
            again: Some(ask.clone()),
        };
        self.call(ask, caller, 5_000, 500_000);
    }
}

fn signed(like: &Ask, body: Vec<u8>) -> Ask {
    let signature = kessai_provider_komoju::sandbox::signature(WEBHOOK_SECRET, &body);
    let mut ask = like.clone();
    for (name, value) in &mut ask.headers {
        if name == "x-komoju-signature" {
            value.clone_from(&signature);
        }
    }
    ask.body = body.into();
    ask
}

fn wrong_amount(ask: Ask) -> Ask {
    let Ok(mut said) = serde_json::from_slice::<serde_json::Value>(&ask.body) else {
        return ask;
    };
    for name in ["amount", "total"] {
        if let Some(amount) = said["data"][name].as_i64() {
            said["data"][name] = (amount + 7).into();
        }
    }
    signed(&ask, said.to_string().into_bytes())
}

/// A change set in a few words, for the log.
fn summary(set: &ChangeSet) -> String {
    use kessai_store::{Guard, Op, Value};
    let shown = |table: &str, row: &[Value], verb: char| {
        let text = |at: usize| match row.get(at) {
            Some(Value::Text(text)) => text.to_string(),
            Some(Value::Int(n)) => n.to_string(),
            _ => String::new(),
        };
        match table {
            "payments" => format!("{verb}payment {} {}", text(1), text(2)),
            "attempts" => format!("{verb}attempt {}_{} {} {}", text(1), text(2), text(3), text(5)),
            "events" => format!("{verb}event {} {} {}", text(2), text(3), text(4)),
            "jobs" => format!("{verb}job {}", text(1)),
            "discrepancies" => format!("{verb}discrepancy {} {}", text(1), text(2)),
            "deliveries" => format!("{verb}delivery {} {}", text(1), text(4)),
            "idempotency" => format!("{verb}key {}", text(3)),
            other => format!("{verb}{other}"),
        }
    };
    let guards = set.guards.iter().map(|guard| match guard {
        Guard::Insert(table, row) => shown(table.name, row, '+'),
        Guard::Update { table, row, .. } => shown(table.name, row, '~'),
        Guard::Delete { table, key, .. } => shown(table.name, key, '-'),
    });
    let ops = set.ops.iter().filter_map(|op| match op {
        Op::Insert(table, row) => Some(shown(table.name, row, '+')),
        Op::Update(table, row) => Some(shown(table.name, row, '~')),
        Op::Delete(table, key) => Some(shown(table.name, key, '-')),
        Op::Add { .. } => None,
    });
    guards.chain(ops).collect::<Vec<_>>().join(", ")
}
