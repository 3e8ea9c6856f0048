//! Sandboxes: providers of one's own, with books of their own.
use crate::observe::LogFormat;
use crate::real::{HttpTransport, Reach, SystemClock, SystemEntropy};
use anyhow::Context as _;
use kessai_core::{Clock, Entropy, Secret, id};
use kessai_provider::sandbox::{Answer, Ask, Sandbox};
use kessai_provider::transport::{Method, Transport};
use kessai_provider_komoju::sandbox::{BooksAt, KomojuSandbox, KomojuSandboxConfig, Webhook};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// `kessai sandbox`
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// Which provider.
    #[arg(value_enum, default_value = "komoju")]
    provider: ProviderName,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8790")]
    listen: SocketAddr,
    /// Where its books are kept; in memory when not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Its secret key; made when not given.
    #[arg(long)]
    secret_key: Option<String>,
    /// Its publishable key; made when not given.
    #[arg(long)]
    publishable_key: Option<String>,
    /// Where its notifications go.
    #[arg(long, requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// What its notifications are signed with.
    #[arg(long)]
    webhook_secret: Option<String>,
}

/// The providers that have a sandbox.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum ProviderName {
    /// KOMOJU.
    Komoju,
}

/// A key in the providers' shape.
pub fn new_key(prefix: &str) -> String {
    format!("{prefix}{}", id::random_text(32, &SystemEntropy))
}

/// Opens KOMOJU's sandbox. Without `data` its books are in memory.
///
/// # Errors
/// When its books cannot be opened.
pub fn komoju(
    data: Option<&Path>,
    public_url: &str,
    secret_key: &str,
    publishable_key: &str,
    webhook: Option<(String, Secret)>,
) -> anyhow::Result<Arc<KomojuSandbox>> {
    let books = match data {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
            BooksAt::File(folder.join("sandbox-komoju.db"))
        }
        None => BooksAt::Memory,
    };
    let config = KomojuSandboxConfig {
        books,
        public_url: public_url.to_owned(),
        secret_key: Secret::new(secret_key),
        publishable_key: publishable_key.to_owned(),
        webhook: webhook.map(|(url, secret)| Webhook { url, secret }),
    };
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    KomojuSandbox::open(config, entropy).context("opening the sandbox's books")
}

/// Says where a sandbox's notifications go; nowhere when there is no webhook.
///
/// # Errors
/// When it refuses the address.
pub fn point_webhook(
    sandbox: &dyn Sandbox,
    webhook: Option<(String, Secret)>,
    now: jiff::Timestamp,
) -> anyhow::Result<()> {
    let (url, secret) = webhook.unwrap_or_else(|| (String::new(), Secret::new("")));
    let ask = Ask {
        method: Method::Post,
        path_and_query: "/sandbox/webhook".into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: json!({"url": url, "secret": secret.expose()}).to_string().into(),
    };
    match sandbox.answer(&ask, now) {
        Answer::Reply { reply, .. } if reply.status < 300 => Ok(()),
        other => anyhow::bail!("the sandbox refused its webhook: {other:?}"),
    }
}

/// Sends what a sandbox owes and lets its time pass, until `stop` says so.
#[expect(clippy::disallowed_methods, reason = "the binary starts tasks")]
pub fn keep_notifying(
    sandbox: Arc<dyn Sandbox>,
    clock: Arc<dyn Clock>,
    transport: Arc<dyn Transport>,
    mut stop: watch::Receiver<bool>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while !*stop.borrow() {
            sandbox.pass_time(clock.now());
            let due = sandbox.due_notices(clock.now(), 32);
            let idle = due.is_empty();
            let sending = due.into_iter().map(|notice| {
                let (sandbox, clock, transport) = (sandbox.clone(), clock.clone(), transport.clone());
                async move {
                    let status = transport
                        .send(notice.request)
                        .await
                        .ok()
                        .map(|reply| reply.status);
                    sandbox.noticed(&notice.id, status, clock.now());
                }
            });
            futures_util::future::join_all(sending).await;
            if idle {
                tokio::select! {
                    _ = stop.changed() => {}
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
            }
        }
    })
}

/// Runs a sandbox alone.
///
/// # Errors
/// When it cannot listen or open its books.
pub async fn run(args: SandboxArgs) -> anyhow::Result<()> {
    let ProviderName::Komoju = args.provider;
    let observing = crate::observe::start("info", LogFormat::Text, None)?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .context("listening")?;
    let url = format!("http://{}", listener.local_addr()?);
    let secret_key = args.secret_key.unwrap_or_else(|| new_key("sk_test_"));
    let publishable_key = args.publishable_key.unwrap_or_else(|| new_key("pk_test_"));
    let webhook = args.webhook_url.zip(args.webhook_secret.map(Secret::new));
    let sandbox = komoju(args.data.as_deref(), &url, &secret_key, &publishable_key, webhook)?;
    let sandbox: Arc<dyn Sandbox> = sandbox;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (stop, stopped) = watch::channel(false);
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(Reach::Anywhere)?);
    let notifying = keep_notifying(sandbox.clone(), clock.clone(), transport, stopped.clone());
    println!(
        "{}",
        json!({"komoju": {"url": url, "secret_key": secret_key, "publishable_key": publishable_key}})
    );
    let router = kessai_http::sandbox_router(sandbox, clock);
    crate::serve::until_stopped(listener, router, stop).await?;
    let _ = notifying.await;
    drop(observing);
    Ok(())
}
