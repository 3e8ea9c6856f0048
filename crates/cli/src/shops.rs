//! `kessai shop`: opens shops for business.
use crate::hub::{Database, Hub, HubSettings, vault_keys_for};
use crate::real::{HttpTransport, Reach, SystemClock};
use crate::sandbox::new_key;
use anyhow::Context as _;
use kessai_core::Secret;
use kessai_engine::directory::{NewAccount, ShopSettings};
use kessai_engine::{Engine, EngineSettings, KeyKind, Problem};
use kessai_store::{Migrate, repo};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// `kessai shop …`
#[derive(Debug, clap::Subcommand)]
pub enum ShopCommand {
    /// Add a shop. Prints its API keys, once: only their hashes are kept.
    Add {
        /// What shoppers read.
        name: String,
        /// Whether real money moves. A merchant's test shop and live shop are two shops.
        #[arg(long)]
        live: bool,
        /// KOMOJU's base URL.
        #[arg(long, default_value = "https://komoju.com")]
        komoju_url: String,
        /// The environment variable that holds the KOMOJU secret key. Keys are never given on the command line.
        #[arg(long, default_value = "KOMOJU_SECRET_KEY")]
        komoju_secret_key_env: String,
        /// The environment variable that holds the KOMOJU publishable key.
        #[arg(long, default_value = "KOMOJU_PUBLISHABLE_KEY")]
        komoju_publishable_key_env: String,
        /// The environment variable that holds the secret of KOMOJU's webhook to this hub.
        #[arg(long, default_value = "KOMOJU_WEBHOOK_SECRET")]
        komoju_webhook_secret_env: String,
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// List the shops.
    List {
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

/// A problem as an error of the command line.
pub fn said(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", problem.code.name, problem.message)
}

/// What a new shop is called by.
pub struct NewShop {
    /// Its id.
    pub id: Box<str>,
    /// Its secret key.
    pub secret_key: String,
    /// Its publishable key.
    pub publishable_key: String,
}

/// Adds a shop with keys and an account at KOMOJU.
///
/// # Errors
/// When the store cannot be written or a key is taken.
pub async fn add(
    engine: &Engine,
    name: &str,
    live: bool,
    keys: (String, String),
    komoju: &NewAccount,
    settings: &ShopSettings,
) -> anyhow::Result<NewShop> {
    let id = engine.add_shop(name, name, live, settings).await.map_err(said)?;
    let (secret_key, publishable_key) = keys;
    engine
        .add_key(&id, KeyKind::Secret, &secret_key)
        .await
        .map_err(said)?;
    engine
        .add_key(&id, KeyKind::Publishable, &publishable_key)
        .await
        .map_err(said)?;
    engine.set_account(&id, "komoju", komoju).await.map_err(said)?;
    Ok(NewShop {
        id,
        secret_key,
        publishable_key,
    })
}

/// KOMOJU's account from its parts.
pub fn komoju_account(url: &str, secret: &str, publishable: &str, webhook: &str) -> NewAccount {
    let secrets = [
        ("secret_key", secret),
        ("publishable_key", publishable),
        ("webhook_secret", webhook),
    ];
    NewAccount {
        base_url: url.trim_end_matches('/').into(),
        secrets: secrets
            .into_iter()
            .map(|(name, value)| (name.into(), Secret::new(value)))
            .collect(),
        settings: BTreeMap::new(),
    }
}

/// Runs `kessai shop …`.
///
/// # Errors
/// When the configuration is wrong or the database cannot be opened.
pub async fn run(command: ShopCommand) -> anyhow::Result<()> {
    let (ShopCommand::Add { config, .. } | ShopCommand::List { config }) = &command;
    let config = crate::config::Config::load(
        crate::serve::config_file(config.clone()).as_deref(),
        std::env::vars(),
    )?;
    let store = Database::parse(&config.store.database)
        .open(Migrate::Apply)
        .await?;
    let ShopCommand::Add {
        name,
        live,
        komoju_url,
        komoju_secret_key_env,
        komoju_publishable_key_env,
        komoju_webhook_secret_env,
        ..
    } = command
    else {
        for shop in repo::shops(store.as_ref(), 10_000).await? {
            let mode = if shop.live == 0 { "test" } else { "live" };
            println!("{}  {mode}  {}", shop.shop_id, shop.name);
        }
        store.close().await;
        return Ok(());
    };
    let hub = Hub::new(HubSettings {
        store: store.clone(),
        clock: Arc::new(SystemClock::default()),
        transport: Arc::new(HttpTransport::new(Reach::Anywhere)?),
        private_webhooks: false,
        vault_keys: vault_keys_for(store.as_ref(), &config.vault.key_file).await?,
        engine: EngineSettings {
            public_url: config.public_url().into(),
            ..EngineSettings::default()
        },
    })?;
    let variable =
        |name: &str| std::env::var(name).with_context(|| format!("the environment variable {name}"));
    let account = komoju_account(
        &komoju_url,
        &variable(&komoju_secret_key_env)?,
        &variable(&komoju_publishable_key_env)?,
        &variable(&komoju_webhook_secret_env)?,
    );
    let mode = if live { "live" } else { "test" };
    let keys = (new_key(&format!("sk_{mode}_")), new_key(&format!("pk_{mode}_")));
    let shop = add(&hub.engine, &name, live, keys, &account, &ShopSettings::default()).await?;
    println!(
        "{}",
        json!({
            "shop": shop.id, "secret_key": shop.secret_key, "publishable_key": shop.publishable_key,
            "komoju_notifications_go_to": format!("{}/inbound/komoju/{}", config.public_url(), shop.id),
        })
    );
    store.close().await;
    Ok(())
}
