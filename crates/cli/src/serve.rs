//! `kessai serve`: the hub, for real.
use crate::config::Config;
use crate::hub::{Database, Hub, HubSettings, vault_keys_for};
use crate::real::{HttpTransport, Reach, SystemClock};
use anyhow::Context as _;
use kessai_http::{App, Limits};
use kessai_store::{Migrate, Store, repo};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// `kessai serve`
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The configuration file; kessai.toml when it is there.
    #[arg(long, env = "KESSAI_CONFIG")]
    config: Option<PathBuf>,
    /// Runs with a clock this far ahead, as `10m`: for tests, on a database without live shops. Stop all nodes before one of them runs
    /// ahead: they judge each other's attempts by their age.
    #[arg(long, hide = true)]
    clock_ahead: Option<jiff::SignedDuration>,
}

/// The clock of a node. One that runs ahead is refused where real money moves.
async fn clock(store: &dyn Store, ahead: Option<jiff::SignedDuration>) -> anyhow::Result<Arc<SystemClock>> {
    let Some(ahead) = ahead else {
        return Ok(Arc::default());
    };
    let live = repo::shops(store, 10_000)
        .await?
        .iter()
        .any(|shop| shop.live != 0);
    anyhow::ensure!(!live, "--clock-ahead is for tests: this database has a live shop");
    anyhow::ensure!(!ahead.is_negative(), "--clock-ahead: a clock never goes back");
    let us = i64::try_from(ahead.as_micros()).context("--clock-ahead")?;
    Ok(Arc::new(SystemClock::ahead(us)))
}

/// The file that was named, or kessai.toml when it is there.
pub fn config_file(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| Some(PathBuf::from("kessai.toml")).filter(|path| path.exists()))
}

/// Runs the hub until it is told to stop.
///
/// # Errors
/// When the configuration is wrong, the database cannot be opened, or the address is taken.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = Config::load(config_file(args.config).as_deref(), std::env::vars())?;
    let otlp = Some(config.observe.otlp_endpoint.as_str()).filter(|endpoint| !endpoint.is_empty());
    let observing = crate::observe::start(&config.observe.log, config.observe.format, otlp)?;
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("listening on {}", config.server.listen))?;
    let migrate = if config.store.migrate {
        Migrate::Apply
    } else {
        Migrate::Refuse
    };
    let store = Database::parse(&config.store.database).open(migrate).await?;
    let hub = Hub::new(HubSettings {
        store: store.clone(),
        clock: clock(store.as_ref(), args.clock_ahead).await?,
        transport: Arc::new(HttpTransport::new(Reach::Anywhere)?),
        private_webhooks: config.webhooks.allow_private_addresses,
        vault_keys: vault_keys_for(store.as_ref(), &config.vault.key_file).await?,
        engine: config.engine()?,
    })?;
    hub.queue_recurring().await?;
    let (stop, stopped) = watch::channel(false);
    let jobs = hub.run_jobs(stopped.clone());
    let measuring = hub.keep_measuring(stopped);
    let mut app = App::new(hub.engine.clone(), Limits::default()).with_metrics(observing.metrics.clone());
    if let Some(login) = config.office.login()? {
        app = app.with_office(login);
    }
    tracing::info!(listen = %config.server.listen, public_url = %config.public_url(), "ready");
    until_stopped(listener, kessai_http::router(app), stop).await?;
    let _ = tokio::join!(jobs, measuring);
    store.close().await;
    tracing::info!("stopped");
    drop(observing);
    Ok(())
}

/// Serves until SIGTERM or Ctrl-C, then finishes what was begun, for at most ten seconds.
///
/// # Errors
/// When the listener breaks.
pub async fn until_stopped(
    listener: TcpListener,
    router: axum::Router,
    stop: watch::Sender<bool>,
) -> anyhow::Result<()> {
    let stopped = stop.subscribe();
    let serving = serve_on(listener, router, stopped);
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        () = told_to_stop() => {}
    }
    tracing::info!("stopping: what was begun is finished first");
    stop.send_replace(true);
    match tokio::time::timeout(Duration::from_secs(10), serving).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!("some connections were still open after ten seconds");
            Ok(())
        }
    }
}

/// Serves until `stopped`.
///
/// # Errors
/// When the listener breaks.
pub async fn serve_on(
    listener: TcpListener,
    router: axum::Router,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        })
        .await
        .context("serving")
}

async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .expect("signals can be listened to");
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}
