//! `kessai bench`: how fast this build is on this machine. It starts hubs of its own, drives them over loopback, and tells.
//!
//! Absolute figures of one machine and hour mean little; with `--yardstick` each run is paired with one of the yardstick, A B A B,
//! and the ratio counts.
mod child;
mod load;
mod preload;
mod script;

use anyhow::Context as _;
use child::{At, HubUnderTest};
use indicatif::{ProgressBar, ProgressStyle};
use kessai_store::Migrate;
use load::{Drive, Load, Script, drive};
use script::{Endpoint, Reads, Sale};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `kessai bench`
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// What to measure; several with spaces between.
    #[arg(value_enum, num_args = 1.., default_value = "all")]
    which: Vec<Which>,
    /// On which store.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: On,
    /// An empty PostgreSQL database to measure on.
    #[arg(long)]
    database: Option<String>,
    /// Another one, to be filled: for list, read and growth.
    #[arg(long)]
    loaded_database: Option<String>,
    /// Run the sandbox as another process and talk to it over HTTP (sale and weight).
    #[arg(long)]
    over_http: bool,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1024))]
    connections: u64,
    /// Measured seconds of each run.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds before that, thrown away.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=60))]
    warmup: u64,
    /// How often each measurement is made; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=50))]
    runs: u64,
    /// The yardstick's binary (`limits`): each run is followed by one of its own.
    #[arg(long)]
    yardstick: Option<PathBuf>,
    /// A PostgreSQL database for the yardstick alone: it drops its tables.
    #[arg(long)]
    yardstick_database: Option<String>,
    /// How many payments are stored before list, read and growth. What is stored in a --folder stays there for the next run.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    preload: u64,
    /// Requests a second, instead of as fast as answers come (sale).
    #[arg(long)]
    rate: Option<u64>,
    /// Where the hubs' folders are made; the system's temporary folder when not given.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// One JSON object a line instead of words.
    #[arg(long)]
    json: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// Card payments, captured at once: `POST /api/v1/payments`.
    Sale,
    /// Session, pay, webhook delivered, read back.
    Life,
    /// Payments read by id.
    Read,
    /// A page of 100, filtered.
    List,
    /// Sales with many payments stored, against an empty store.
    Growth,
    /// Memory, start, size of the program, disk for each payment.
    Weight,
    /// All of these.
    All,
}

/// The store that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum On {
    /// The embedded one.
    Sqlite,
    /// PostgreSQL, with --database.
    Postgres,
}

/// One run.
#[derive(Debug, Clone, Default, Serialize)]
struct Run {
    what: String,
    per_second: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    /// Without the time spent waiting for the provider, as the hub tells it.
    own_p50_us: u64,
    own_p99_us: u64,
    good: u64,
    bad: u64,
    hub_cpu_us_each: u64,
    sandbox_cpu_us_each: Option<u64>,
    resident_mib: u64,
    /// Of the yardstick's run right after.
    yardstick_per_second: Option<u64>,
    /// Thousandths of the yardstick.
    ratio_permille: Option<u64>,
    troubles: Vec<String>,
}

#[expect(clippy::disallowed_methods, reason = "the bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Runs the benchmark.
///
/// # Errors
/// When a hub cannot be started or the load cannot be driven.
pub async fn run(args: BenchArgs) -> anyhow::Result<()> {
    if args.store == On::Postgres {
        anyhow::ensure!(args.database.is_some(), "--store postgres needs --database");
        let apart = args.yardstick.is_none() || args.yardstick_database.is_some();
        anyhow::ensure!(apart, "--yardstick on PostgreSQL needs --yardstick-database");
    }
    let folder = match &args.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            tempfile::tempdir_in(folder)?
        }
        None => tempfile::tempdir()?,
    };
    let bench = Bench {
        args: args.clone(),
        folder: folder.path().to_owned(),
    };
    let on = |which| bench.on(which);
    if on(Which::Sale) {
        bench.sale().await?;
    }
    if on(Which::Life) {
        bench.life().await?;
    }
    if on(Which::Weight) {
        bench.weight().await?;
    }
    if on(Which::Read) || on(Which::List) || on(Which::Growth) {
        bench.stored().await?;
    }
    Ok(())
}

struct Bench {
    args: BenchArgs,
    folder: PathBuf,
}

impl Bench {
    fn on(&self, which: Which) -> bool {
        self.args
            .which
            .iter()
            .any(|asked| [which, Which::All].contains(asked))
    }

    fn at(&self, database: Option<&String>) -> At {
        match (self.args.store, database) {
            (On::Postgres, Some(url)) => At::Postgres(url.clone()),
            (On::Postgres | On::Sqlite, _) => At::Folder,
        }
    }

    fn drive(&self, hub: &HubUnderTest) -> Drive {
        Drive {
            address: hub.address,
            connections: usize::try_from(self.args.connections).expect("at most 1024"),
            warmup: Duration::from_secs(self.args.warmup),
            measured: Duration::from_secs(self.args.seconds),
            rate: None,
        }
    }

    /// One run against a hub, with what its process used meanwhile.
    async fn measure<S: Script>(
        &self,
        what: &str,
        hub: &HubUnderTest,
        drive_as: Drive,
        script: S,
    ) -> anyhow::Result<Run> {
        let bar = spinner(&format!("{what}: {} s", drive_as.measured.as_secs()));
        let before = (hub.usage()?, hub.sandbox_usage());
        let load = drive(drive_as, Arc::new(script)).await?;
        let after = (hub.usage()?, hub.sandbox_usage());
        bar.finish_and_clear();
        let mut run = describe(what, &load);
        // The warm-up is part of the time but not of the count: a share of the CPU is the warm-up's.
        let whole = self.args.warmup + self.args.seconds;
        let each = |us: u64| us * self.args.seconds / whole.max(1) / load.good.max(1);
        run.hub_cpu_us_each = each(after.0.cpu_us - before.0.cpu_us);
        run.sandbox_cpu_us_each = before
            .1
            .zip(after.1)
            .map(|(before, after)| each(after.cpu_us - before.cpu_us));
        run.resident_mib = after.0.resident >> 20;
        Ok(run)
    }

    async fn start(&self, folder: &Path, at: &At) -> anyhow::Result<HubUnderTest> {
        if self.args.over_http {
            HubUnderTest::start_over_http(folder, at).await
        } else {
            HubUnderTest::start(folder, at, None).await
        }
    }

    async fn sale(&self) -> anyhow::Result<()> {
        let what = if self.args.over_http {
            "sale over HTTP"
        } else {
            "sale"
        };
        let mut runs = Vec::new();
        for n in 0..self.args.runs {
            let hub = self
                .start(
                    &self.folder.join(format!("sale-{n}")),
                    &self.at(self.args.database.as_ref()),
                )
                .await?;
            let drive_as = Drive {
                rate: self.args.rate,
                ..self.drive(&hub)
            };
            let mut run = self
                .measure(what, &hub, drive_as, Sale::new(&hub.authorization))
                .await?;
            hub.stop().await;
            self.beside(
                &mut run,
                &["combined-sqlite"],
                &["combined-pg", "--writers", "2", "--mode", "cte"],
            )?;
            self.tell(&run)?;
            runs.push(run);
        }
        self.tell_median(&runs)
    }

    async fn life(&self) -> anyhow::Result<()> {
        let mut runs = Vec::new();
        for n in 0..self.args.runs {
            let endpoint = Endpoint::open().await?;
            let folder = self.folder.join(format!("life-{n}"));
            let hub = HubUnderTest::start(
                &folder,
                &self.at(self.args.database.as_ref()),
                Some(&endpoint.url),
            )
            .await?;
            let run = self
                .measure(
                    "whole life",
                    &hub,
                    self.drive(&hub),
                    endpoint.life(&hub.authorization),
                )
                .await?;
            hub.stop().await;
            self.tell(&run)?;
            runs.push(run);
        }
        self.tell_median(&runs)
    }

    async fn weight(&self) -> anyhow::Result<()> {
        let folder = self.folder.join("weight");
        let at = self.at(self.args.database.as_ref());
        self.start(&folder, &at).await?.stop().await;
        let folder = self.folder.join("weight-2");
        let hub = HubUnderTest::start(&folder, &at, None).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let idle = hub.usage()?;
        let ready_us = hub.ready_us;
        let before = idle.cpu_us;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let idle_cpu = (hub.usage()?.cpu_us - before) / 3;
        let run = self
            .measure("sale", &hub, self.drive(&hub), Sale::new(&hub.authorization))
            .await?;
        let busy = hub.usage()?;
        let binary = std::fs::metadata(std::env::current_exe()?)?.len();
        hub.stop().await;
        self.tell_facts(&[
            ("idle resident, MiB", idle.resident >> 20),
            ("idle CPU, us each second", idle_cpu),
            ("resident at top load, MiB", busy.resident_most >> 20),
            ("sales/s meanwhile", run.per_second),
            ("ready after start, ms", ready_us / 1_000),
            ("binary, MiB", binary >> 20),
        ])
    }

    /// What needs many stored payments: read, list, growth, restart, disk.
    async fn stored(&self) -> anyhow::Result<()> {
        let store = match self.args.store {
            On::Sqlite => "loaded-sqlite",
            On::Postgres => "loaded-postgres",
        };
        let kept = self.args.folder.as_ref().unwrap_or(&self.folder);
        let folder = kept.join(store);
        let loaded = self.args.loaded_database.as_ref().or(self.args.database.as_ref());
        let at = self.at(loaded);
        let hub = HubUnderTest::start(&folder, &at, None).await?;
        preload::examples(&hub).await?;
        let (shop, bytes_before) = (hub.shop.clone(), hub.bytes());
        hub.stop().await;
        let database = match &at {
            At::Folder => crate::hub::Database::Sqlite(folder.join("kessai.db")),
            At::Postgres(url) => crate::hub::Database::Postgres(url.clone()),
        };
        let store = database.open(Migrate::Refuse).await?;
        let began = now();
        let bar = ProgressBar::new(self.args.preload).with_style(
            ProgressStyle::with_template("storing payments {bar:30} {human_pos}/{human_len} {per_sec} {eta}")
                .expect("a template"),
        );
        let before = preload::filled_before(store.as_ref(), &shop, self.args.preload).await?;
        let filled_now = before.is_none();
        let ids = match before {
            Some(ids) => ids,
            None => preload::preload(&store, &shop, self.args.preload, &bar).await?,
        };
        bar.finish_and_clear();
        store.close().await;
        drop(store);
        let took_s = began.elapsed().as_secs();
        let hub = HubUnderTest::start(&folder, &at, None).await?;
        if filled_now {
            self.tell_facts(&[
                ("payments stored", self.args.preload),
                ("seconds to store them", took_s),
                (
                    "disk for each, bytes",
                    hub.bytes().saturating_sub(bytes_before) / self.args.preload,
                ),
            ])?;
        }
        // A restart after the process was lost in the middle of work.
        let loaded_run = self
            .measure(
                "sale, loaded store, first",
                &hub,
                self.drive(&hub),
                Sale::new(&hub.authorization),
            )
            .await?;
        self.tell(&loaded_run)?;
        hub.kill();
        let hub = HubUnderTest::start(&folder, &at, None).await?;
        self.tell_facts(&[("ready after kill -9, ms", hub.ready_us / 1_000)])?;
        if self.on(Which::Read) {
            let mut runs = Vec::new();
            for _ in 0..self.args.runs {
                let paths = ids.iter().map(|id| format!("/api/v1/payments/{id}"));
                let reads = Reads::new(&hub.authorization, paths);
                let mut run = self.measure("read", &hub, self.drive(&hub), reads).await?;
                let preload = self.args.preload.to_string();
                let (lite, pg) = (
                    ["read-sqlite", "--read", "threads", "--preload", &preload],
                    ["read-pg", "--preload", &preload],
                );
                self.beside(&mut run, &lite, &pg)?;
                self.tell(&run)?;
                runs.push(run);
            }
            self.tell_median(&runs)?;
        }
        if self.on(Which::List) {
            for filter in [
                "",
                "&status=captured",
                "&status=captured&currency=JPY",
                "&status=captured,refunded",
            ] {
                for page in [1, 50] {
                    let path = format!("/api/v1/payments?per_page=100&page={page}{filter}");
                    let one = Drive {
                        connections: 1,
                        ..self.drive(&hub)
                    };
                    let reads = Reads::new(&hub.authorization, std::iter::once(path.clone()));
                    self.tell(&self.measure(&format!("GET {path}"), &hub, one, reads).await?)?;
                }
            }
        }
        hub.stop().await;
        if self.on(Which::Growth) {
            let mut ratios = Vec::new();
            for n in 0..self.args.runs {
                let empty = self.at(self.args.database.as_ref());
                let hub = HubUnderTest::start(&self.folder.join(format!("empty-{n}")), &empty, None).await?;
                let fresh = self
                    .measure(
                        "sale, empty store",
                        &hub,
                        self.drive(&hub),
                        Sale::new(&hub.authorization),
                    )
                    .await?;
                hub.stop().await;
                let hub = HubUnderTest::start(&folder, &at, None).await?;
                let full = self
                    .measure(
                        "sale, loaded store",
                        &hub,
                        self.drive(&hub),
                        Sale::new(&hub.authorization),
                    )
                    .await?;
                hub.stop().await;
                self.tell(&fresh)?;
                self.tell(&full)?;
                ratios.push(full.per_second * 1_000 / fresh.per_second.max(1));
            }
            ratios.sort_unstable();
            self.tell_facts(&[("loaded against empty, permille", ratios[ratios.len() / 2])])?;
        }
        Ok(())
    }

    /// The yardstick, right after a run.
    fn beside(&self, run: &mut Run, sqlite: &[&str], postgres: &[&str]) -> anyhow::Result<()> {
        let Some(yardstick) = &self.args.yardstick else {
            return Ok(());
        };
        let bar = spinner("the yardstick");
        let mut command = std::process::Command::new(yardstick);
        match self.args.store {
            On::Sqlite => command
                .args(sqlite)
                .arg("--path")
                .arg(self.folder.join("yardstick.db")),
            On::Postgres => command
                .args(postgres)
                .args(self.args.yardstick_database.iter().flat_map(|url| ["--url", url])),
        };
        let numbers = [
            ("--conns", self.args.connections),
            ("--seconds", self.args.seconds),
            ("--warmup", self.args.warmup),
        ];
        for (name, value) in numbers {
            command.arg(name).arg(value.to_string());
        }
        let output = command.output().context("running the yardstick")?;
        bar.finish_and_clear();
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().rev().find_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            let number = value["per_s"].to_string();
            number.split('.').next()?.parse::<u64>().ok()
        });
        let its =
            last.with_context(|| format!("the yardstick said: {}", String::from_utf8_lossy(&output.stderr)))?;
        run.yardstick_per_second = Some(its);
        run.ratio_permille = Some(run.per_second * 1_000 / its.max(1));
        Ok(())
    }

    fn tell(&self, run: &Run) -> anyhow::Result<()> {
        if self.args.json {
            println!("{}", serde_json::to_string(run)?);
            return Ok(());
        }
        let ratio = match (run.ratio_permille, run.yardstick_per_second) {
            (Some(ratio), Some(its)) => format!(
                ", {}.{:03} of the yardstick's {its}/s",
                ratio / 1_000,
                ratio % 1_000
            ),
            _ => String::new(),
        };
        let sandbox = run
            .sandbox_cpu_us_each
            .map(|us| format!(", sandbox {us} us"))
            .unwrap_or_default();
        println!(
            "{}: {}/s{ratio}; p50 {} p90 {} p99 {} p99.9 {} us; without the provider p50 {} p99 {} us; {} bad of {}; hub {} us CPU each{sandbox}; {} MiB",
            run.what,
            run.per_second,
            run.p50_us,
            run.p90_us,
            run.p99_us,
            run.p999_us,
            run.own_p50_us,
            run.own_p99_us,
            run.bad,
            run.good + run.bad,
            run.hub_cpu_us_each,
            run.resident_mib,
        );
        run.troubles
            .iter()
            .for_each(|trouble| println!("  trouble: {trouble}"));
        Ok(())
    }

    /// The median run by requests a second, with the median of the ratios.
    fn tell_median(&self, runs: &[Run]) -> anyhow::Result<()> {
        if runs.len() < 2 {
            return Ok(());
        }
        let mut sorted = runs.to_vec();
        sorted.sort_by_key(|run| run.per_second);
        let mut ratios: Vec<u64> = runs.iter().filter_map(|run| run.ratio_permille).collect();
        ratios.sort_unstable();
        let median = &sorted[sorted.len() / 2];
        let what = format!("median of {}: {}", runs.len(), median.what);
        let (troubles, ratio_permille) = (vec![], ratios.get(ratios.len() / 2).copied());
        self.tell(&Run {
            what,
            troubles,
            ratio_permille,
            ..median.clone()
        })
    }

    fn tell_facts(&self, facts: &[(&str, u64)]) -> anyhow::Result<()> {
        if self.args.json {
            let facts: std::collections::BTreeMap<_, _> = facts.iter().copied().collect();
            println!("{}", serde_json::to_string(&facts)?);
        } else {
            facts.iter().for_each(|(what, value)| println!("{what}: {value}"));
        }
        Ok(())
    }
}

fn describe(what: &str, load: &Load) -> Run {
    let at = |quantile| load.latency.value_at_quantile(quantile);
    Run {
        what: what.to_owned(),
        per_second: load.per_second(),
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        own_p50_us: load.overhead.value_at_quantile(0.5),
        own_p99_us: load.overhead.value_at_quantile(0.99),
        good: load.good,
        bad: load.bad,
        troubles: load
            .troubles
            .iter()
            .map(|(what, n)| format!("{n} times: {what}"))
            .collect(),
        ..Run::default()
    }
}

fn spinner(words: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(words.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
