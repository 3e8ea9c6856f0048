//! `kessai-torture`: see docs/torture.md.
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use kessai_torture::{Plan, Report, Setting, Teller, run};
use std::path::PathBuf;
use std::process::ExitCode;

/// Kills real nodes and databases under load and compares the books afterwards.
#[derive(Parser)]
struct Args {
    /// On what.
    #[arg(long, value_enum, default_value = "postgres")]
    store: Store,
    /// How many orders.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    payments: u32,
    /// How many kill -9 of nodes.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    kills: u32,
    /// How often PostgreSQL is killed and restarted (with --store postgres).
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    restarts: u32,
    /// Repeats orders, faults of the endpoint and moments of kills. What processes and threads do between them is not repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// The binary under torture; the one beside this program when not given.
    #[arg(long)]
    kessai: Option<PathBuf>,
    /// Where logs and databases are kept; a temporary folder, kept when something is wrong, when not given.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
    Standby,
}

struct Bar(ProgressBar);

impl Teller for Bar {
    fn say(&self, line: &str) {
        self.0.suspend(|| println!("{line}"));
    }

    fn at(&self, done: usize, of: usize) {
        self.0.set_length(of as u64);
        self.0.set_position(done as u64);
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    match runtime.block_on(torture(Args::parse())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kessai-torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn torture(args: Args) -> anyhow::Result<bool> {
    let kessai = match args.kessai {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("kessai"),
    };
    anyhow::ensure!(kessai.exists(), "{} is not there: cargo build", kessai.display());
    let plan = Plan {
        kessai: std::path::absolute(kessai)?,
        setting: match args.store {
            Store::Sqlite => Setting::Sqlite,
            Store::Postgres => Setting::Postgres,
            Store::Standby => Setting::Standby,
        },
        payments: args.payments as usize,
        kills: args.kills as usize,
        restarts: args.restarts as usize,
        seed: args.seed.unwrap_or_else(|| u64::from(std::process::id())),
        folder: args.folder.map(std::path::absolute).transpose()?,
    };
    println!("seed {}", plan.seed);
    let bar = ProgressBar::new(plan.payments as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} orders, {per_sec}, {elapsed}")?;
    bar.set_style(style);
    let teller = Bar(bar.clone());
    let report = tokio::select! {
        report = run(&plan, &teller) => report?,
        // Dropping the run ends every process that it started.
        () = told_to_stop() => anyhow::bail!("interrupted"),
    };
    bar.finish_and_clear();
    Ok(tell(&plan, &report))
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn tell(plan: &Plan, report: &Report) -> bool {
    let found = &report.found;
    println!(
        "orders                 {} ({} put off into the calm)",
        plan.payments, report.put_off
    );
    println!("  paid or open         {}", found.orders.0);
    println!("  refused for good     {}", found.orders.1);
    println!("payments by status     {:?}", found.statuses);
    println!("attempts by status     {:?}", found.attempts);
    println!(
        "captured, refunded     {} yen, {} yen",
        found.money.0, found.money.1
    );
    println!("answers asked again    {}", found.replayed);
    let (events, taken, extra, dead) = found.events;
    println!("events                 {events}, taken {taken}, once more {extra}, dead letters {dead}");
    println!(
        "endpoint               refused {}, hung up on {}",
        report.unkind.0, report.unkind.1
    );
    println!("discrepancies          {:?}", found.discrepancies);
    println!("nodes killed           {}", report.kills);
    println!(
        "PostgreSQL killed      {} and restarted; standby promoted: {}",
        report.restarts, report.promoted
    );
    println!(
        "clock                  {} min ahead after {} rounds",
        report.rounds.1 / 60,
        report.rounds.0
    );
    println!(
        "took                   {} s of rush, {} s in all",
        report.took.0.as_secs(),
        report.took.1.as_secs()
    );
    for wrong in found.wrong.iter().take(40) {
        println!("WRONG: {wrong}");
    }
    if found.wrong.is_empty() {
        println!("the books agree");
    } else {
        println!("{} things are wrong (seed {})", found.wrong.len(), plan.seed);
    }
    found.wrong.is_empty()
}
