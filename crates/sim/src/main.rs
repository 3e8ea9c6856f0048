//! `kessai-sim`: runs seeds of the simulation, and one again.
use clap::Parser;
use kessai_sim::runner::{bar, class, command, never_happened, run_many, shrink};
use kessai_sim::{Fault, Outcome, Plan, Sky};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The whole hub in a seeded, hostile world.
#[derive(Parser)]
#[command(name = "kessai-sim")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    start: u64,
    /// `clear`, `rain` or `storm`.
    #[arg(long, default_value = "storm", value_parser = weather)]
    weather: Sky,
    /// Payments in each.
    #[arg(long, default_value_t = 200)]
    payments: u64,
    /// Runs this seed alone and prints its log.
    #[arg(long)]
    replay: Option<u64>,
    /// Faults to leave out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Of the payments, only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<u64>,
    /// Threads; one for each core when absent.
    #[arg(long)]
    threads: Option<usize>,
    /// Begins no further seed after so many seconds.
    #[arg(long)]
    for_s: Option<u64>,
    /// Stops at the first seed that fails and says no more than what broke, as scripts/planted wants it.
    #[arg(long)]
    first: bool,
    /// How many runs may be spent on making a failure small.
    #[arg(long, default_value_t = 150)]
    shrink: u32,
    /// Prints the coverage of a replay instead of its log.
    #[arg(long)]
    coverage: bool,
}

fn weather(text: &str) -> Result<Sky, String> {
    Sky::parse(text).ok_or_else(|| "clear, rain or storm".to_owned())
}

impl Args {
    fn plan(&self, seed: u64) -> anyhow::Result<Plan> {
        let mut plan = Plan::new(seed, self.weather, self.payments);
        for name in &self.without {
            let fault = Fault::ALL.iter().find(|fault| fault.name() == name);
            let fault = fault.ok_or_else(|| anyhow::anyhow!("no fault is called {name}"))?;
            plan.without.insert(fault.name());
        }
        plan.only = (!self.only.is_empty()).then(|| self.only.iter().copied().collect::<BTreeSet<u64>>());
        Ok(plan)
    }
}

#[expect(clippy::disallowed_methods, reason = "seeds per second are real time")]
fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(seed) = args.replay {
        let plan = Plan {
            keep_log: !args.coverage,
            ..args.plan(seed)?
        };
        let outcome = kessai_sim::run_caught(plan);
        outcome.log.iter().for_each(|line| println!("{line}"));
        if args.coverage {
            table(&outcome.coverage);
        }
        println!("seed {seed}: {} steps, hash {:016x}", outcome.steps, outcome.hash);
        return Ok(verdict(&outcome));
    }
    // Refused before the first seed, not in its middle.
    let sample = args.plan(args.start)?;
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let bar = bar(args.seeds);
    let began = Instant::now();
    let go_on = || args.for_s.is_none_or(|most| began.elapsed().as_secs() < most);
    let plan = |seed| Plan {
        seed,
        ..sample.clone()
    };
    let failures_most = if args.first { 1 } else { 5 };
    let summary = run_many(
        args.start,
        args.seeds,
        threads,
        Some(&bar),
        failures_most,
        go_on,
        plan,
    );
    bar.finish_and_clear();
    if args.first {
        println!("{} seeds", summary.seeds);
        return Ok(match summary.failed.first() {
            Some(outcome) => {
                println!("seed {} failed:", outcome.seed);
                verdict(outcome)
            }
            None => ExitCode::SUCCESS,
        });
    }
    let took_ms = began.elapsed().as_millis().max(1);
    table(&summary.coverage);
    let per_100_s = u128::from(summary.seeds) * 100_000 / took_ms;
    println!(
        "{} seeds of {} payments in {}.{:03} s on {threads} threads: {}.{:02} seeds a second; {} steps",
        summary.seeds,
        args.payments,
        took_ms / 1_000,
        took_ms % 1_000,
        per_100_s / 100,
        per_100_s % 100,
        summary.steps
    );
    let mut code = ExitCode::SUCCESS;
    if let Some(first) = summary.failed.first() {
        for outcome in &summary.failed {
            println!("\nseed {} failed:", outcome.seed);
            outcome
                .broken
                .iter()
                .take(5)
                .for_each(|what| println!("  {what}"));
        }
        println!("\nmaking seed {} smaller ({})", first.seed, class(first));
        let (plan, outcome) = shrink(
            &Plan {
                seed: first.seed,
                ..sample
            },
            args.shrink,
        );
        outcome.log.iter().for_each(|line| println!("{line}"));
        outcome.broken.iter().for_each(|what| println!("  {what}"));
        println!("\nagain with: {}", command(&plan));
        code = ExitCode::FAILURE;
    }
    let missing = never_happened(&summary.coverage, args.weather);
    if !missing.is_empty() {
        println!("\nnever happened: {}", missing.join(", "));
        // A few seeds cannot have seen everything.
        if summary.seeds >= 100 {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn verdict(outcome: &Outcome) -> ExitCode {
    outcome.broken.iter().for_each(|what| println!("  {what}"));
    if outcome.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn table(coverage: &std::collections::BTreeMap<String, u64>) {
    for (what, times) in coverage {
        println!("{times:>12}  {what}");
    }
}
