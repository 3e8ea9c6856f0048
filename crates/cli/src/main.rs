//! `kessai`: one binary that is the hub, its sandboxes, its demo and its tools.
mod bench;
mod config;
mod control;
mod demo;
mod doctor;
mod hub;
mod listen;
mod observe;
mod providers;
mod real;
mod reconcile;
mod sandbox;
mod serve;
mod shops;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A tenth of a sale's CPU went into the system's allocator: see docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Kessai (決済): a self-hosted payment hub for Japanese commerce.
///
/// Start with `kessai demo`: everything in one process on this machine, nothing to configure.
#[derive(Debug, Parser)]
#[command(name = "kessai", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run hub, sandbox and a small tea shop in one process on loopback, with keys of their own.
    ///
    /// Prints where to click and the first curl. With --json it prints one JSON line when everything is ready and
    /// serves until it is told to stop (SIGTERM or Ctrl-C), which is what scripts want.
    Demo(demo::DemoArgs),
    /// Run the hub.
    ///
    /// Reads kessai.toml (see config.default.toml for every setting); any setting can be overridden from the
    /// environment as KESSAI_SECTION__KEY.
    Serve(serve::ServeArgs),
    /// Run a provider's sandbox alone, over HTTP: another process that behaves like the provider.
    Sandbox(sandbox::SandboxArgs),
    /// Bring the database to this version's shape. Forward only; safe to run twice and from two nodes.
    Migrate(DatabaseArgs),
    /// Find out what is wrong with a configuration before a customer does.
    Doctor(doctor::DoctorArgs),
    /// Compare every open or recent payment with its provider's books, settle what can be settled, and show the rest.
    ///
    /// Ends with 0 when everything agrees, 3 when discrepancies are open, 4 when something could not be compared.
    Reconcile(reconcile::ReconcileArgs),
    /// Add and list shops and their keys.
    #[command(subcommand)]
    Shop(shops::ShopCommand),
    /// Forward a running hub's events to your own machine as webhooks, from now on, and show each answer.
    Listen(listen::ListenArgs),
    /// Make an event happen on a running hub in sandbox mode, such as payment.captured.
    Trigger(listen::TriggerArgs),
    /// Move the clock of a running hub in sandbox mode: slips lapse, authorizations expire, retries come due.
    #[command(subcommand)]
    Clock(control::ClockCommand),
    /// Measure this machine: sales, whole lives, reads, growth and weight.
    Bench(bench::BenchArgs),
    /// Print the OpenAPI document of what is served.
    Openapi,
}

/// Which database.
#[derive(Debug, Clone, clap::Args)]
struct DatabaseArgs {
    /// A SQLite file, or a PostgreSQL URL (postgres://user@host/name).
    #[arg(long, env = "KESSAI_DATABASE", default_value = "kessai.db")]
    database: String,
}

/// Where a running hub is.
#[derive(Debug, Clone, clap::Args)]
struct RunningArgs {
    /// The data folder of the hub, where it left control.json.
    #[arg(long, env = "KESSAI_DATA", default_value = ".kessai-demo")]
    data: PathBuf,
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(run(cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kessai: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<std::process::ExitCode> {
    let done = match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
        Command::Migrate(args) => {
            let store = hub::Database::parse(&args.database)
                .open(kessai_store::Migrate::Apply)
                .await?;
            store.close().await;
            println!("The database is in this version's shape.");
            Ok(())
        }
        Command::Doctor(args) => doctor::run(args).await,
        Command::Reconcile(args) => return reconcile::run(args).await,
        Command::Shop(command) => shops::run(command).await,
        Command::Listen(args) => listen::listen(args).await,
        Command::Trigger(args) => listen::trigger(args).await,
        Command::Clock(command) => control::run(command).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Openapi => {
            println!("{}", kessai_http::openapi().to_pretty_json()?);
            Ok(())
        }
    };
    done.map(|()| std::process::ExitCode::SUCCESS)
}

/// The machine's time, for what is not part of a hub.
fn real_now() -> jiff::Timestamp {
    kessai_core::Clock::now(&real::SystemClock::default())
}
