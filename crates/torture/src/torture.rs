//! One run: a rush in bad weather, then calm, then the books.
use crate::books::{self, Findings, figure};
use crate::dice::Dice;
use crate::endpoint::Endpoint;
use crate::load::{Order, Shop, Weather};
use crate::patience::{Deadline, now_us, until};
use crate::postgres::Server;
use crate::processes::{Node, Program, Sandbox, free_port};
use anyhow::Context as _;
use futures_util::{StreamExt, stream};
use kessai_store::{Migrate, PgSettings, Settings, SqliteSettings, Store, Value as Cell};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Orders under way side by side.
const AT_ONCE: usize = 48;
/// How far the clock goes ahead in each round of the calm, in seconds: leases, inquiries and deliveries fall due. All of it together stays
/// within the day for which idempotency keys are kept.
const ROUNDS_S: [u64; 12] = [
    300, 600, 600, 1_800, 3_600, 3_600, 7_200, 7_200, 7_200, 10_800, 10_800, 14_400,
];

/// On what it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// One node on a SQLite file.
    Sqlite,
    /// Three nodes on one PostgreSQL, which is killed and restarted.
    Postgres,
    /// Three nodes on a PostgreSQL with a synchronous standby, which takes over when the primary is killed.
    Standby,
}

/// A run that a seed repeats, as far as real processes can be repeated.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The binary `kessai`.
    pub kessai: PathBuf,
    /// On what.
    pub setting: Setting,
    /// How many orders.
    pub payments: usize,
    /// How many kill -9 of nodes.
    pub kills: usize,
    /// How often PostgreSQL is killed and restarted; by turns its postmaster alone is killed and the whole of it stopped at once.
    pub restarts: usize,
    /// The seed.
    pub seed: u64,
    /// Where files are kept when something is wrong; a temporary folder when absent.
    pub folder: Option<PathBuf>,
}

/// What a run did and found.
#[derive(Debug)]
pub struct Report {
    /// Kills of nodes.
    pub kills: usize,
    /// Kills of PostgreSQL.
    pub restarts: usize,
    /// Whether the standby took over.
    pub promoted: bool,
    /// Orders that were not over when the rush ended.
    pub put_off: usize,
    /// Rounds of the calm and by how much the clock went ahead, in seconds.
    pub rounds: (usize, u64),
    /// How long the rush and the whole took.
    pub took: (Duration, Duration),
    /// Deliveries refused by the endpoint, and taken without an answer.
    pub unkind: (usize, usize),
    /// What the books say.
    pub found: Findings,
}

/// Who is told how it goes.
pub trait Teller: Send + Sync {
    /// Something happened.
    fn say(&self, line: &str);
    /// So many orders of so many are done or put off.
    fn at(&self, done: usize, of: usize);
}

/// What happens once so many orders are done.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Kill,
    Start(usize),
    KillPostmaster,
    StopAtOnce,
    Promote,
}

fn blows(plan: &Plan, dice: &mut Dice) -> Vec<(usize, Blow)> {
    let (first, last) = (plan.payments / 50, plan.payments * 19 / 20);
    let mut all: Vec<(usize, Blow)> = (0..plan.kills)
        .map(|_| (first + dice.below(last - first), Blow::Kill))
        .collect();
    let restarts = if plan.setting == Setting::Postgres {
        plan.restarts
    } else {
        0
    };
    for n in 0..restarts {
        let blow = if n % 2 == 0 {
            Blow::KillPostmaster
        } else {
            Blow::StopAtOnce
        };
        all.push((plan.payments * (n + 1) / (restarts + 1), blow));
    }
    if plan.setting == Setting::Standby {
        all.push((plan.payments / 2, Blow::Promote));
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

struct World {
    plan: Plan,
    folder: PathBuf,
    _sandbox: Sandbox,
    endpoint: Endpoint,
    shop: Shop,
    shop_id: String,
    nodes: Vec<Node>,
    /// The primary, and the standby while there is one.
    servers: Vec<Server>,
    store: Arc<dyn Store>,
    report: (usize, usize, bool),
}

/// Runs it.
///
/// # Errors
/// When something did not come up, did not come back, or ended by itself. What is wrong in the books is in the report.
pub async fn run(plan: &Plan, teller: &dyn Teller) -> anyhow::Result<Report> {
    let temporary = tempfile::TempDir::with_prefix("kessai-torture-")?;
    let folder = plan.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let ran = run_in(plan, folder, teller).await;
    if !ran.as_ref().is_ok_and(|report| report.found.wrong.is_empty()) {
        let kept = plan.folder.clone().unwrap_or_else(|| temporary.keep());
        teller.say(&format!("logs and books are kept in {}", kept.display()));
    }
    ran
}

async fn run_in(plan: &Plan, folder: PathBuf, teller: &dyn Teller) -> anyhow::Result<Report> {
    let whole = Deadline::start();
    let mut world = World::build(plan.clone(), folder).await?;
    teller.say(&format!("{} nodes are ready", world.nodes.len()));
    let orders: Vec<Order> = (0..plan.payments).map(|n| Order::new(plan.seed, n)).collect();
    let rush = Deadline::start();
    world.weather().await?;
    let mut orders = world.rush(orders, teller).await?;
    let rushed = rush.elapsed();
    let put_off = orders.iter().filter(|order| !order.is_over()).count();
    teller.say(&format!(
        "the rush is over after {} s; {put_off} orders were put off",
        rushed.as_secs()
    ));
    let (rounds, ahead) = world.calm(&mut orders, teller).await?;
    teller.say("comparing books");
    let (store, shop) = (world.store.clone(), &world.shop);
    let found = books::look(
        store.as_ref(),
        &world.shop_id,
        shop,
        &orders,
        &world.endpoint.taken(),
    )
    .await?;
    for node in &mut world.nodes {
        node.stop().await?;
    }
    store.close().await;
    let (kills, restarts, promoted) = world.report;
    Ok(Report {
        kills,
        restarts,
        promoted,
        put_off,
        rounds: (rounds, ahead),
        took: (rushed, whole.elapsed()),
        unkind: world.endpoint.unkind(),
        found,
    })
}

impl World {
    async fn build(plan: Plan, folder: PathBuf) -> anyhow::Result<Self> {
        let mut servers = Vec::new();
        let database = if plan.setting == Setting::Sqlite {
            folder.join("kessai.db").display().to_string()
        } else {
            let with_standby = plan.setting == Setting::Standby;
            servers.push(Server::start_new(with_standby).await?);
            if with_standby {
                let standby = servers[0].standby().await?;
                servers.push(standby);
            }
            let hosts: Vec<String> = servers
                .iter()
                .map(|server| format!("127.0.0.1:{}", server.port))
                .collect();
            let attributes = if with_standby {
                "?target_session_attrs=read-write"
            } else {
                ""
            };
            format!("postgres://postgres@{}/postgres{attributes}", hosts.join(","))
        };
        let mut program = Program {
            binary: plan.kessai.clone(),
            folder: folder.clone(),
            environment: vec![],
        };
        let sandbox = Sandbox::start(&program)?;
        let webhook_secret = "torture-on-loopback";
        let environment = [
            ("KESSAI_STORE__DATABASE", database.as_str()),
            ("KESSAI_OBSERVE__LOG", "warn"),
            ("KESSAI_OBSERVE__FORMAT", "text"),
            // Short, so that a late answer is an unknown outcome after two seconds.
            ("KESSAI_PROVIDERS__TIMEOUT_MS", "2000"),
            ("KESSAI_PROVIDERS__ABSENCE_S", "60"),
            ("KESSAI_WEBHOOKS__TIMEOUT_MS", "2000"),
            ("KESSAI_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES", "true"),
            ("KOMOJU_SECRET_KEY", sandbox.secret_key.as_str()),
            ("KOMOJU_PUBLISHABLE_KEY", sandbox.publishable_key.as_str()),
            ("KOMOJU_WEBHOOK_SECRET", webhook_secret),
        ];
        program.environment = environment
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec();
        let added = program.run(&["shop", "add", "Torture", "--komoju-url", &sandbox.url])?;
        let text = |name: &str| added[name].as_str().map(ToOwned::to_owned).context("a shop");
        let (shop_id, key) = (text("shop")?, text("secret_key")?);

        let ports: Vec<u16> = (0..if plan.setting == Setting::Sqlite { 1 } else { 3 })
            .map(|_| free_port())
            .collect::<anyhow::Result<_>>()?;
        let public_url = crate::balancer::listen(ports.clone()).await?;
        let mut nodes = Vec::new();
        for (n, port) in ports.iter().enumerate() {
            nodes.push(Node::new(&format!("node-{n}"), &program, *port, &public_url)?);
        }
        let urls = nodes.iter().map(|node| node.url.clone()).collect();
        let shop = Shop::new(urls, &key, &sandbox.url)?;
        let endpoint = Endpoint::listen(plan.seed).await?;
        // One node first: nodes remember a shop for two seconds, and all are to know its endpoint from their first payment on.
        nodes[0].start(0).await?;
        let made = shop
            .post(0, "/webhook_endpoints", &json!({"url": endpoint.url}), None)
            .await;
        anyhow::ensure!(
            matches!(made, Some((200, _))),
            "the endpoint was not made: {made:?}"
        );
        for node in &mut nodes[1..] {
            node.start(0).await?;
        }
        let inbound = format!("{public_url}/inbound/komoju/{shop_id}");
        let told = json!({"url": inbound, "secret": webhook_secret});
        let pointed = shop.control("/sandbox/webhook", &told).await;
        anyhow::ensure!(
            matches!(pointed, Some((200, _))),
            "the sandbox refused its webhook: {pointed:?}"
        );

        let settings = match plan.setting {
            Setting::Sqlite => Settings::Sqlite(SqliteSettings::new(Path::new(&database))),
            Setting::Postgres | Setting::Standby => Settings::Postgres(PgSettings::new(&database)),
        };
        let store = kessai_store::open(&settings, Migrate::Refuse).await?;
        Ok(Self {
            plan,
            folder,
            _sandbox: sandbox,
            endpoint,
            shop,
            shop_id,
            nodes,
            servers,
            store,
            report: (0, 0, false),
        })
    }

    /// What goes wrong between hub and provider, in a thousand.
    async fn weather(&self) -> anyhow::Result<()> {
        let faults = json!([
            {"operation": "payments.*", "kind": "refuse", "rate": 15},
            {"operation": "payments.*", "kind": "lose_before", "rate": 15},
            {"operation": "payments.*", "kind": "lose_after", "rate": 20},
            {"operation": "payments.*", "kind": "status", "code": 503, "rate": 10},
            {"operation": "payments.*", "kind": "status", "code": 500, "booked": true, "rate": 10},
            {"operation": "payments.*", "kind": "truncate", "rate": 5},
            {"operation": "payments.*", "kind": "garble", "rate": 5},
            {"operation": "payments.*", "kind": "unlisted_status", "rate": 5},
            {"operation": "payments.*", "kind": "delay", "ms": 300, "rate": 20},
            {"operation": "payments.*", "kind": "delay", "ms": 3_000, "rate": 5},
            {"operation": "payments.create", "kind": "decline", "code": "card_declined", "rate": 20},
            {"operation": "*", "kind": "notice_drop", "rate": 100},
            {"operation": "*", "kind": "notice_duplicate", "rate": 100},
            {"operation": "*", "kind": "notice_reorder", "rate": 50},
            {"operation": "*", "kind": "notice_delay", "ms": 3_000, "rate": 50},
            {"operation": "*", "kind": "notice_forge", "rate": 20},
            {"operation": "*", "kind": "notice_wrong_amount", "rate": 20},
        ]);
        let put = self.shop.control("/sandbox/faults", &faults).await;
        anyhow::ensure!(
            matches!(put, Some((200, _))),
            "the sandbox refused its faults: {put:?}"
        );
        Ok(())
    }

    /// All orders, and the blows at their moments.
    async fn rush(&mut self, orders: Vec<Order>, teller: &dyn Teller) -> anyhow::Result<Vec<Order>> {
        let total = orders.len();
        let (seed, shop, shop_id) = (self.plan.seed, self.shop.clone(), self.shop_id.clone());
        let (store, counter) = (self.store.clone(), Counter { shop: shop.clone() });
        let done = AtomicUsize::new(0);
        let (progress, seen) = watch::channel(0_usize);
        // Nobody begins an order far beyond the next blow, so that each blow finds a full house.
        let (gate, open) = watch::channel(0_usize);
        let blows = self.strike(seen, gate, teller);
        let rush = async {
            let carried = stream::iter(orders.into_iter().enumerate())
                .map(|(n, mut order)| {
                    let (mut open, shop, shop_id, store, counter) = (
                        open.clone(),
                        shop.clone(),
                        shop_id.clone(),
                        store.clone(),
                        counter.clone(),
                    );
                    let (done, progress) = (&done, &progress);
                    async move {
                        let _ = open.wait_for(|until| n < *until).await;
                        let mut dice = Dice::new(seed, 2_000_000 + n as u64);
                        let paid = async |id: &str| counter.pay(store.as_ref(), &shop_id, id).await;
                        shop.carry(&mut order, &mut dice, Weather::Storm, paid).await;
                        let now = done.fetch_add(1, Ordering::SeqCst) + 1;
                        teller.at(now, total);
                        progress.send_replace(now);
                        order
                    }
                })
                .buffer_unordered(AT_ONCE);
            let mut carried: Vec<Order> = carried.collect().await;
            carried.sort_by_key(|order| order.n);
            Ok::<_, anyhow::Error>(carried)
        };
        let (orders, ()) = futures_util::try_join!(rush, blows)?;
        Ok(orders)
    }

    async fn strike(
        &mut self,
        mut seen: watch::Receiver<usize>,
        gate: watch::Sender<usize>,
        teller: &dyn Teller,
    ) -> anyhow::Result<()> {
        let mut dice = Dice::new(self.plan.seed, 3);
        let mut blows = blows(&self.plan, &mut dice);
        while !blows.is_empty() {
            let (at, blow) = blows.remove(0);
            gate.send_replace(at + AT_ONCE);
            seen.wait_for(|done| *done >= at).await?;
            // A moment within the work, not the end of one order.
            tokio::time::sleep(Duration::from_millis(dice.below(40) as u64)).await;
            // While nodes or the database come back the rush goes on towards the blow after this one.
            let next = blows.first().map_or(usize::MAX, |(next, _)| next + AT_ONCE);
            gate.send_replace(next.max(at + AT_ONCE));
            let later = self.blow(blow, &mut dice, teller).await?;
            if let Some(node) = later {
                let when = at + dice.below(self.plan.payments / 40 + 2);
                let place = blows.partition_point(|(at, _)| *at <= when);
                blows.insert(place, (when.min(self.plan.payments * 19 / 20), Blow::Start(node)));
                blows.sort_by_key(|(at, _)| *at);
            }
        }
        gate.send_replace(usize::MAX);
        Ok(())
    }

    /// One blow; the node to be started later, if any.
    async fn blow(
        &mut self,
        blow: Blow,
        dice: &mut Dice,
        teller: &dyn Teller,
    ) -> anyhow::Result<Option<usize>> {
        match blow {
            Blow::Kill => {
                let up: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].is_up()).collect();
                let node = up[dice.below(up.len())];
                self.nodes[node].kill()?;
                self.report.0 += 1;
                let later = up.len() > 1 && dice.per_mille(600);
                teller.say(&format!(
                    "kill {} of {}: node {node}{}",
                    self.report.0,
                    self.plan.kills,
                    if later { ", to stay down a while" } else { "" }
                ));
                if later {
                    return Ok(Some(node));
                }
                self.nodes[node].start(0).await?;
            }
            Blow::Start(node) => self.nodes[node].start(0).await?,
            Blow::KillPostmaster => {
                teller.say("kill -9 of PostgreSQL's postmaster");
                self.servers[0].kill_postmaster();
                self.servers[0].start().await?;
                self.report.1 += 1;
                self.nodes_come_back(teller).await?;
            }
            Blow::StopAtOnce => {
                teller.say("PostgreSQL is stopped at once");
                self.servers[0].stop_at_once()?;
                self.servers[0].start().await?;
                self.report.1 += 1;
                self.nodes_come_back(teller).await?;
            }
            Blow::Promote => {
                teller.say("kill -9 of the whole primary; the standby is promoted");
                let mut primary = self.servers.remove(0);
                primary.kill_all();
                self.servers[0].promote()?;
                let _ = std::fs::copy(primary.log(), self.folder.join("primary.log"));
                drop(primary);
                self.report.2 = true;
                self.nodes_come_back(teller).await?;
            }
        }
        Ok(None)
    }

    /// The nodes that are up find the database again by themselves.
    async fn nodes_come_back(&mut self, teller: &dyn Teller) -> anyhow::Result<()> {
        let began = Deadline::start();
        for node in self.nodes.iter_mut().filter(|node| node.is_up()) {
            until("a node to find the database again", || node.ready()).await?;
            node.check_alive()?;
        }
        teller.say(&format!(
            "the nodes found the database again after {} ms",
            began.elapsed().as_millis()
        ));
        Ok(())
    }

    /// The weather clears and time passes until nothing is left to do; rounds, and how far the clock went ahead.
    async fn calm(&mut self, orders: &mut Vec<Order>, teller: &dyn Teller) -> anyhow::Result<(usize, u64)> {
        let cleared = self.shop.control("/sandbox/faults/clear", &json!({})).await;
        anyhow::ensure!(matches!(cleared, Some((200, _))), "{cleared:?}");
        self.endpoint.calm();
        let mut ahead = 0;
        for (round, by) in ROUNDS_S.iter().enumerate() {
            ahead += by;
            // All of them down first: a node that runs ahead would take what another has just begun for long abandoned.
            for node in &mut self.nodes {
                node.stop().await?;
            }
            for node in &mut self.nodes {
                node.start(ahead).await?;
            }
            self.finish(orders).await;
            let quiet = self.quiet(ahead).await?;
            let open = orders.iter().filter(|order| !order.is_over()).count();
            let left = self.left().await?;
            teller.say(&format!(
                "{} min later: {open} orders open, {} attempts, {} deliveries, {} slips; {quiet} jobs due",
                ahead / 60,
                left[0],
                left[1],
                left[2]
            ));
            if open == 0 && left == [0; 3] && quiet == 0 {
                return Ok((round + 1, ahead));
            }
        }
        Ok((ROUNDS_S.len(), ahead))
    }

    /// Asks again for what has no answer.
    async fn finish(&self, orders: &mut Vec<Order>) {
        let counter = Counter {
            shop: self.shop.clone(),
        };
        let asked = stream::iter(std::mem::take(orders)).map(|mut order| {
            let (counter, store) = (counter.clone(), self.store.clone());
            async move {
                if !order.is_over() {
                    let mut dice = Dice::new(self.plan.seed, 4_000_000 + order.n as u64);
                    let paid = async |id: &str| counter.pay(store.as_ref(), &self.shop_id, id).await;
                    self.shop.carry(&mut order, &mut dice, Weather::Calm, paid).await;
                }
                order
            }
        });
        *orders = asked.buffer_unordered(16).collect().await;
        orders.sort_by_key(|order| order.n);
    }

    /// Waits until no job is due, as long as their number goes down; how many are left.
    async fn quiet(&self, ahead: u64) -> anyhow::Result<i64> {
        const STUCK: Duration = Duration::from_secs(15);
        let due = "SELECT COUNT(*) FROM jobs WHERE run_at <= $1";
        let (mut least, mut since) = (i64::MAX, Deadline::start());
        loop {
            let now = now_us() + i64::try_from(ahead * 1_000_000)?;
            let waiting = figure(self.store.as_ref(), due, vec![Cell::Int(now)]).await?;
            if waiting < least {
                (least, since) = (waiting, Deadline::start());
            }
            if waiting == 0 || since.elapsed() > STUCK {
                return Ok(waiting);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Attempts without an end, deliveries still owed, payments at the counter that we do not know of.
    async fn left(&self) -> anyhow::Result<[i64; 3]> {
        let sqls = [
            "SELECT COUNT(*) FROM attempts WHERE shop_id = $1 AND status IN ('intended', 'unknown')",
            "SELECT COUNT(*) FROM deliveries WHERE shop_id = $1 AND status = 'pending'",
            "SELECT COUNT(*) FROM payments WHERE shop_id = $1 AND (status = 'pending' OR (status = 'authorized' AND method = 'konbini'))",
        ];
        let mut left = [0; 3];
        for (place, sql) in left.iter_mut().zip(sqls) {
            *place = figure(
                self.store.as_ref(),
                sql,
                vec![Cell::Text(self.shop_id.as_str().into())],
            )
            .await?;
        }
        Ok(left)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The nodes before what they use.
        self.nodes.clear();
        for server in &self.servers {
            let kept = self.folder.join(format!("postgresql-{}.log", server.port));
            let _ = std::fs::copy(server.log(), kept);
        }
    }
}

/// The convenience store's counter: a slip is paid behind the hub's back.
#[derive(Clone)]
struct Counter {
    shop: Shop,
}

impl Counter {
    async fn pay(&self, store: &dyn Store, shop: &str, payment: &str) -> bool {
        let sql = "SELECT provider_ref FROM payments WHERE shop_id = $1 AND id = $2";
        let params = vec![Cell::Text(shop.into()), Cell::Text(payment.into())];
        let Ok(rows) = store.query(Cow::Borrowed(sql), params).await else {
            return false;
        };
        let Some(Ok(Some(reference))) = rows.first().map(|row| row.opt_text(0)) else {
            return false;
        };
        let path = format!("/sandbox/payments/{reference}");
        let paid = self.shop.control(&format!("{path}/pay"), &json!({})).await;
        if matches!(paid, Some((200, _))) {
            return true;
        }
        // Paid already, should the first answer have been lost.
        let now = self.shop.get(0, &path).await;
        now.and_then(|(_, text)| serde_json::from_str::<Value>(&text).ok())
            .is_some_and(|now| now["status"] == "captured")
    }
}
