//! `kessai doctor`: what is wrong with a configuration, before a customer finds out.
use crate::config::Config;
use crate::hub::{Database, Hub, HubSettings, vault_keys};
use crate::real::{HttpTransport, Reach, SystemClock};
use kessai_engine::EngineSettings;
use kessai_provider::port::{Call, Handle, InquiryError};
use kessai_store::{Migrate, repo};
use std::path::PathBuf;
use std::sync::Arc;

/// `kessai doctor`
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// The configuration file; kessai.toml when it is there.
    #[arg(long, env = "KESSAI_CONFIG")]
    config: Option<PathBuf>,
}

struct Report {
    bad: usize,
}

impl Report {
    fn good(&self, what: &str) {
        println!("  ok    {what}");
    }
    fn note(&self, what: &str) {
        println!("  note  {what}");
    }
    fn bad(&mut self, what: &str) {
        self.bad += 1;
        println!("  BAD   {what}");
    }
}

/// Examines the configuration, the database, the vault's keys and every shop's provider accounts.
///
/// # Errors
/// When anything is wrong.
pub async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let mut report = Report { bad: 0 };
    let path = crate::serve::config_file(args.config);
    let config = Config::load(path.as_deref(), std::env::vars())?;
    report.good(&match &path {
        Some(path) => format!("configuration: {}", path.display()),
        None => "configuration: the defaults; there is no kessai.toml here".into(),
    });
    if config.public_url().starts_with("http://") && !config.public_url().contains("127.0.0.1") {
        report.bad("server.public_url is not https: browsers would send what shoppers type in the clear");
    }
    if config.webhooks.allow_private_addresses {
        report.note(
            "webhooks may go to private addresses: whoever sets a shop's webhook can reach your network",
        );
    }
    let keys = match vault_keys(&config.vault.key_file, false) {
        Ok(keys) => {
            report.good(&format!("vault: {} key(s)", keys.len()));
            keys
        }
        Err(error) => {
            report.bad(&format!("vault: {error:#}"));
            anyhow::bail!("without the vault's keys nothing else can be examined");
        }
    };
    let store = match Database::parse(&config.store.database)
        .open(Migrate::Refuse)
        .await
    {
        Ok(store) => {
            report.good("database: opens, in this version's shape");
            store
        }
        Err(error) => {
            report.bad(&format!("database: {error:#}"));
            anyhow::bail!("{} thing(s) are wrong", report.bad);
        }
    };
    let transport = Arc::new(HttpTransport::new(Reach::Anywhere)?);
    let hub = Hub::new(HubSettings {
        store: store.clone(),
        clock: Arc::new(SystemClock::default()),
        transport: transport.clone(),
        private_webhooks: config.webhooks.allow_private_addresses,
        vault_keys: keys,
        engine: EngineSettings {
            public_url: config.public_url().into(),
            ..EngineSettings::default()
        },
    })?;
    let shops = repo::shops(store.as_ref(), 1_000).await?;
    if shops.is_empty() {
        report.note("there is no shop yet: kessai shop add NAME");
    }
    for row in shops {
        let shop = match hub.engine.shop(&row.shop_id).await {
            Ok(Some(shop)) => shop,
            Ok(None) => continue,
            Err(_) => {
                report.bad(&format!(
                    "{}: its secrets cannot be opened with the vault's keys",
                    row.name
                ));
                continue;
            }
        };
        if shop.accounts.is_empty() {
            report.bad(&format!("{}: no provider account", shop.name));
        }
        for (id, account) in &shop.accounts {
            let Some(provider) = hub.engine.provider(id) else {
                continue;
            };
            let now = hub.engine.now();
            let call = Call::new(account.clone(), "doctor", transport.clone(), 10_000, now);
            let zero = kessai_core::tax::Totals {
                amount: 0,
                tax: 0,
                fee: 0,
                currency: kessai_core::Currency::JPY,
            };
            let handle = Handle {
                key: "kessai-doctor".into(),
                reference: None,
                session: None,
                totals: zero,
                method: "credit_card".into(),
            };
            match provider.inquire(&call, &handle).await {
                Ok(_) => report.good(&format!("{}: {id} answers and takes the key", shop.name)),
                Err(InquiryError::Refused(why)) => {
                    report.bad(&format!("{}: {id} refuses the key: {why}", shop.name))
                }
                Err(error) => report.bad(&format!("{}: {id}: {error}", shop.name)),
            }
            if account.secret("webhook_secret").is_empty() {
                report.bad(&format!(
                    "{}: {id} has no webhook secret: its notifications cannot be believed",
                    shop.name
                ));
            }
        }
        if shop.endpoints.iter().all(|endpoint| !endpoint.enabled) {
            report.note(&format!(
                "{}: no webhook endpoint is on; the shop will not hear of payments",
                shop.name
            ));
        }
        let (unsettled, _) = repo::unsettled_attempts(store.as_ref(), &shop.id).await?;
        if unsettled > 0 {
            report.note(&format!(
                "{}: {unsettled} attempt(s) are being settled by inquiry",
                shop.name
            ));
        }
    }
    store.close().await;
    anyhow::ensure!(report.bad == 0, "{} thing(s) are wrong", report.bad);
    println!("Everything that could be examined is fine.");
    Ok(())
}
