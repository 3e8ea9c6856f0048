//! `kessai demo`: hub, sandbox and a tea shop in one process on loopback, with keys of their own.
mod seed;
mod tea;

use crate::control::{Control, ControlFile, kept_lead};
use crate::hub::{Database, Hub, HubSettings, vault_keys_for, write_private};
use crate::observe::LogFormat;
use crate::real::{HttpTransport, Reach, SystemClock, SystemEntropy};
use crate::sandbox::{keep_notifying, komoju, new_key};
use anyhow::Context as _;
use kessai_core::{Clock, Secret, id};
use kessai_engine::directory::ShopSettings;
use kessai_engine::{Engine, EngineSettings, KeyKind};
use kessai_http::{App, Limits};
use kessai_provider::sandbox::{InProcess, Sandbox};
use kessai_provider::transport::Transport;
use kessai_store::{Migrate, Store, repo};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// `kessai demo`
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// For scripts: print one JSON line when everything is ready, serve until SIGTERM.
    #[arg(long)]
    json: bool,
    /// The hub's port; the tea shop and the sandbox take the next two. 0 takes free ones.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Where everything is kept.
    #[arg(long, env = "KESSAI_DATA", default_value = ".kessai-demo")]
    data: PathBuf,
    /// A SQLite file or a PostgreSQL URL; kessai.db in the data folder when not given.
    #[arg(long, env = "KESSAI_DATABASE")]
    database: Option<String>,
    /// The shop's secret key; made at the first start when not given.
    #[arg(long)]
    secret_key: Option<String>,
    /// The shop's publishable key; made at the first start when not given.
    #[arg(long)]
    publishable_key: Option<String>,
    /// What the shop's webhooks are signed with; made at the first start when not given.
    #[arg(long)]
    webhook_secret: Option<String>,
    /// One more endpoint for the shop's webhooks, signed with the same secret.
    #[arg(long)]
    webhook_url: Option<String>,
    /// Talk to the sandbox over HTTP rather than in-process, as a real provider would be.
    #[arg(long)]
    over_http: bool,
    /// Do not have the sandbox notify the hub. For measurements.
    #[arg(long, hide = true)]
    quiet_sandbox: bool,
    /// Do not let the tea shop listen to webhooks. For measurements.
    #[arg(long, hide = true)]
    no_webhooks: bool,
    /// What is logged (to standard error).
    #[arg(long, default_value = "warn")]
    log: String,
}

/// What a demo remembers between starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    shop: Option<String>,
    secret_key: String,
    publishable_key: String,
    webhook_secret: String,
    office_password: String,
    sandbox_secret_key: String,
    sandbox_publishable_key: String,
    sandbox_webhook_secret: String,
    control_token: String,
}

impl Remembered {
    fn load(data: &Path, args: &DemoArgs) -> anyhow::Result<Self> {
        let path = data.join("demo.json");
        let mut it = match std::fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))?
            }
            Err(_) => Self {
                shop: None,
                secret_key: new_key("sk_test_"),
                publishable_key: new_key("pk_test_"),
                webhook_secret: new_key("whsec_"),
                office_password: id::random_text(12, &SystemEntropy),
                sandbox_secret_key: new_key("sk_test_"),
                sandbox_publishable_key: new_key("pk_test_"),
                sandbox_webhook_secret: new_key("whsec_"),
                control_token: new_key(""),
            },
        };
        let preset = |given: &Option<String>, kept: &mut String| {
            if let Some(given) = given {
                kept.clone_from(given);
            }
        };
        preset(&args.secret_key, &mut it.secret_key);
        preset(&args.publishable_key, &mut it.publishable_key);
        preset(&args.webhook_secret, &mut it.webhook_secret);
        Ok(it)
    }

    fn save(&self, data: &Path) -> anyhow::Result<()> {
        write_private(&data.join("demo.json"), &serde_json::to_string_pretty(self)?)
    }
}

async fn listen(port: u16) -> anyhow::Result<(TcpListener, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("port {port} is taken; choose another with --port, or --port 0 for any"))?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

/// How many of each tea the demo begins with.
const TEAS_AT_FIRST: [(&str, i64); 3] = [("hojicha", 48), ("sencha", 36), ("matcha", 24)];

/// Puts teas into stock that were never there. What was sold since stays sold.
async fn fill_shelves(engine: &Engine, shop: &str) -> anyhow::Result<()> {
    let refused = |problem: kessai_engine::Problem| anyhow::anyhow!("the demo's stock: {}", problem.message);
    let shop = engine.shop(shop).await.map_err(refused)?;
    let shop = shop.context("the demo's shop is gone")?;
    for (sku, pieces) in TEAS_AT_FIRST {
        if engine.show_stock(&shop, sku).await.is_err() {
            engine
                .change_stock(&shop, None, sku, pieces)
                .await
                .map_err(refused)?;
        }
    }
    Ok(())
}

/// Runs the demo until it is told to stop.
///
/// # Errors
/// When a port is taken or the data folder cannot be used.
#[expect(clippy::disallowed_methods, reason = "the binary starts tasks")]
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.data).with_context(|| format!("creating {}", args.data.display()))?;
    let observing = crate::observe::start(&args.log, LogFormat::Text, None)?;
    let next = |n: u16| {
        if args.port == 0 {
            0
        } else {
            args.port.saturating_add(n)
        }
    };
    let (hub_listener, hub_url) = listen(args.port).await?;
    let (tea_listener, tea_url) = listen(next(1)).await?;
    let (sandbox_listener, sandbox_url) = listen(next(2)).await?;
    let mut remembered = Remembered::load(&args.data, &args)?;
    let clock = Arc::new(SystemClock::ahead(kept_lead(&args.data)));
    let database = match &args.database {
        Some(text) => Database::parse(text),
        None => Database::Sqlite(args.data.join("kessai.db")),
    };
    let store = database.open(Migrate::Apply).await?;
    // The sandbox first: its books outlive everything else.
    let sandbox = komoju(
        Some(&args.data),
        &sandbox_url,
        &remembered.sandbox_secret_key,
        &remembered.sandbox_publishable_key,
        None,
    )?;
    let network: Arc<dyn Transport> = Arc::new(HttpTransport::new(Reach::Anywhere)?);
    let as_sandbox: Arc<dyn Sandbox> = sandbox.clone();
    let as_clock: Arc<dyn Clock> = clock.clone();
    let transport: Arc<dyn Transport> = if args.over_http {
        network.clone()
    } else {
        Arc::new(InProcess::new(&sandbox_url, as_sandbox.clone(), as_clock.clone()))
    };
    let hub = Hub::new(HubSettings {
        store: store.clone(),
        clock: clock.clone(),
        transport,
        private_webhooks: true,
        vault_keys: vault_keys_for(store.as_ref(), &args.data.join("kessai.key")).await?,
        engine: EngineSettings {
            public_url: hub_url.as_str().into(),
            ..EngineSettings::default()
        },
    })?;
    let shop = open_shop(&hub.engine, store.as_ref(), &mut remembered, &sandbox_url).await?;
    remembered.save(&args.data)?;
    fill_shelves(&hub.engine, &shop).await?;
    let hooks = if args.no_webhooks {
        vec![]
    } else {
        vec![format!("{tea_url}/webhook")]
    };
    let hooks: Vec<String> = hooks.into_iter().chain(args.webhook_url.clone()).collect();
    point_webhooks(&hub.engine, &shop, &hooks, &remembered.webhook_secret).await?;
    let notify = (!args.quiet_sandbox).then(|| {
        let secret = Secret::new(remembered.sandbox_webhook_secret.as_str());
        (format!("{hub_url}/inbound/komoju/{shop}"), secret)
    });
    crate::sandbox::point_webhook(as_sandbox.as_ref(), notify, clock.now())?;
    hub.queue_recurring().await?;

    let (stop, stopped) = watch::channel(false);
    let jobs = hub.run_jobs(stopped.clone());
    let measuring = hub.keep_measuring(stopped.clone());
    let notifying = keep_notifying(as_sandbox.clone(), as_clock.clone(), network, stopped.clone());
    let (wake, moving) = (hub.engine.wake(), as_sandbox.clone());
    let moved_clock = as_clock.clone();
    let control = Control::new(
        clock.clone(),
        &remembered.control_token,
        &args.data,
        Arc::new(move || {
            moving.pass_time(moved_clock.now());
            wake.notify_one();
        }),
    );
    ControlFile {
        hub: hub_url.clone(),
        token: remembered.control_token.clone(),
        secret_key: Some(remembered.secret_key.clone()),
        komoju: Some(sandbox_url.clone()),
    }
    .leave(&args.data)?;
    let office = kessai_http::office::Login {
        shop: shop.clone(),
        user: "clerk".into(),
        password: Secret::new(remembered.office_password.as_str()),
    };
    let app = App::new(hub.engine.clone(), Limits::default())
        .with_metrics(observing.metrics.clone())
        .with_office(office);
    let router = kessai_http::router(app).merge(crate::control::router(control));
    let tea = tea::router(tea::TeaSettings {
        hub: hub_url.clone(),
        secret_key: remembered.secret_key.clone(),
        webhook_secret: remembered.webhook_secret.clone(),
        url: tea_url.clone(),
        data: args.data.clone(),
        clock: as_clock.clone(),
    })?;
    let serving_tea = tokio::spawn(crate::serve::serve_on(tea_listener, tea, stopped.clone()));
    let sandbox_router = kessai_http::sandbox_router(as_sandbox, as_clock);
    let serving_sandbox = tokio::spawn(crate::serve::serve_on(
        sandbox_listener,
        sandbox_router,
        stopped.clone(),
    ));

    let office =
        json!({"url": format!("{hub_url}/shop"), "user": "clerk", "password": remembered.office_password});
    if args.json {
        let ready = json!({
            "hub": hub_url,
            "secret_key": remembered.secret_key,
            "publishable_key": remembered.publishable_key,
            "webhook_secret": remembered.webhook_secret,
            "shop": tea_url,
            "shop_id": shop,
            "shop_admin": office,
            "sandboxes": {"komoju": {"url": sandbox_url, "secret_key": remembered.sandbox_secret_key}},
        });
        println!("{ready}");
    } else {
        let hub_shown = hub_url.clone();
        let (hub_url, key) = (hub_url.clone(), remembered.secret_key.clone());
        tokio::spawn(async move {
            if let Err(error) = seed::seed(&hub_url, &key).await {
                tracing::warn!(%error, "the demo's example payments could not be made");
            }
        });
        welcome(&remembered, &hub_shown, &tea_url, &sandbox_url, &args.data);
    }
    crate::serve::until_stopped(hub_listener, router, stop).await?;
    let _ = tokio::join!(jobs, measuring, notifying, serving_tea, serving_sandbox);
    store.close().await;
    drop(observing);
    Ok(())
}

/// The demo's shop in this database: the one of the last start, or a new one.
async fn open_shop(
    engine: &Engine,
    store: &dyn Store,
    remembered: &mut Remembered,
    sandbox_url: &str,
) -> anyhow::Result<String> {
    let account = crate::shops::komoju_account(
        sandbox_url,
        &remembered.sandbox_secret_key,
        &remembered.sandbox_publishable_key,
        &remembered.sandbox_webhook_secret,
    );
    let known = match &remembered.shop {
        Some(id) => repo::shop(store, id).await?.map(|row| row.shop_id),
        None => None,
    };
    let shop = match known {
        Some(shop) => shop,
        None => {
            let settings = ShopSettings {
                terms: tea::terms(),
                ..ShopSettings::default()
            };
            engine
                .add_shop("tea", "葉音茶舗", false, &settings)
                .await
                .map_err(crate::shops::said)?
        }
    };
    engine
        .set_account(&shop, "komoju", &account)
        .await
        .map_err(crate::shops::said)?;
    for (kind, key) in [
        (KeyKind::Secret, &remembered.secret_key),
        (KeyKind::Publishable, &remembered.publishable_key),
    ] {
        match engine.caller(key).await {
            Ok(caller) if caller.shop.id == shop => {}
            _ => engine
                .add_key(&shop, kind, key)
                .await
                .map_err(crate::shops::said)?,
        }
    }
    remembered.shop = Some(shop.to_string());
    Ok(shop.into())
}

/// The shop's webhooks go to these addresses and no others: ports may have changed since the last start.
async fn point_webhooks(engine: &Engine, shop: &str, urls: &[String], secret: &str) -> anyhow::Result<()> {
    engine.forget_shop(shop);
    let standing = engine
        .shop(shop)
        .await
        .map_err(crate::shops::said)?
        .context("the demo's shop")?;
    for endpoint in &standing.endpoints {
        if !urls.iter().any(|url| *url == *endpoint.url) || endpoint.secret.expose() != secret {
            engine
                .change_endpoint(shop, &endpoint.id, None)
                .await
                .map_err(crate::shops::said)?;
        }
    }
    let standing = engine
        .shop(shop)
        .await
        .map_err(crate::shops::said)?
        .context("the demo's shop")?;
    for url in urls {
        if standing.endpoints.iter().all(|endpoint| *endpoint.url != **url) {
            engine
                .add_endpoint(shop, url, Some(Secret::new(secret)), &[])
                .await
                .map_err(crate::shops::said)?;
        }
    }
    Ok(())
}

fn welcome(remembered: &Remembered, hub_url: &str, tea_url: &str, sandbox_url: &str, data: &Path) {
    let (key, password) = (&remembered.secret_key, &remembered.office_password);
    println!(
        "
Kessai is running. Everything below is on this machine and no real money moves.

  Buy tea          {tea_url}
  Shop's office    {hub_url}/shop        clerk / {password}
  KOMOJU sandbox   {sandbox_url}
  API reference    {hub_url}/docs

Your first call:

  curl {hub_url}/api/v1/sessions -u {key}: \\
    -d amount=1200 -d currency=JPY -d 'return_url={tea_url}'

Open the session_url it answers and pay with card 4111 1111 1111 1111, any later expiry, code 123.
Let three days pass with: kessai clock advance 3d --data {data}
Stop with Ctrl-C.
",
        data = data.display(),
    );
}
