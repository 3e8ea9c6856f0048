//! How a world is made, and what is in it before anything can go wrong.
use super::{BEGIN_US, Event, Shop, World, lock};
use crate::checks::Checks;
use crate::fault::{Fault, Sky, Weather};
use crate::goods::SHELVES;
use crate::node::{HUB_URL, engine, runtime};
use crate::people::{BAD_CARD, CHECKED_CARD, GOOD_CARD, PAYMENT_HOOK_SECRET, S, ShopFacts};
use crate::plan::Plan;
use crate::rng::{Dice, Rng};
use crate::shared::{SimClock, Wishes};
use kessai_core::Secret;
use kessai_engine::KeyKind;
use kessai_engine::directory::{NewAccount, ShopSettings};
use kessai_provider_komoju::sandbox::{BooksAt, KomojuSandbox, KomojuSandboxConfig};
use kessai_store::ChangeSet;
use kessai_store::sqlite::stepped::{Mood, SteppedDatabase};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What the sandboxes sign with.
pub(super) const WEBHOOK_SECRET: &str = "whsec_of_the_sandbox";
/// What we are to the sandboxes.
const SANDBOX_KEY: &str = "sk_test_of_the_sandbox";
/// The other half of that.
const SANDBOX_PUBLIC_KEY: &str = "pk_test_of_the_sandbox";

/// What the deliveries to an endpoint of a shop are signed with.
pub(super) fn endpoint_secret(shop: usize, endpoint: usize) -> String {
    format!("whsec_of_endpoint_{shop}_{endpoint}")
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
            ("a payment's own webhook secret", PAYMENT_HOOK_SECRET),
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
                publishable_key: SANDBOX_PUBLIC_KEY.into(),
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
        let mut world = Self {
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
        world.furnish();
        world.plan_ahead(&mut makeup);
        world
    }

    /// Shops, keys, accounts, endpoints and recurring jobs, before anything can go wrong.
    fn furnish(&mut self) {
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
                    ("publishable_key", SANDBOX_PUBLIC_KEY),
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
            people.block_on(async {
                let shop = setting_up.shop(&id).await.expect("the store").expect("the shop");
                for (sku, pieces) in SHELVES {
                    setting_up
                        .change_stock(&shop, None, sku, pieces)
                        .await
                        .expect("stock");
                    lock(&self.checks).shelves.begin(&id, sku, pieces);
                }
            });
            for (k, url) in self.shops[n].endpoints.clone().iter().enumerate() {
                let secret = Secret::new(endpoint_secret(n, k));
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
                let change = ChangeSet {
                    guards: vec![job.guard()],
                    ..ChangeSet::new()
                };
                let _ = setting_up.store().commit(change).await.expect("the store");
            }
        });
        drop(setting_up);
        let _ = self.wishes.take();
        // What was written so far is checked against nothing: it is where the run begins.
        self.database.set_mood(Mood::Stepped);
    }

    /// Who comes when, what goes wrong for a while, and when the weather clears.
    fn plan_ahead(&mut self, makeup: &mut Rng) {
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
    }
}
