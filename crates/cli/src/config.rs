//! `kessai.toml`: parsed once into plain values. Unknown keys are refused; the environment overrides single keys.
use crate::observe::LogFormat;
use anyhow::Context as _;
use kessai_engine::EngineSettings;
use kessai_engine::reconcile::ReconcileSettings;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Every setting with its default and its reason.
pub const DEFAULT: &str = include_str!("../../../config.default.toml");

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub server: Server,
    /// Where it stores.
    pub store: Store,
    /// How secrets are sealed.
    pub vault: Vault,
    /// How providers are called.
    pub providers: Providers,
    /// When our books are compared with the providers'.
    pub reconcile: Reconcile,
    /// How webhooks are sent.
    pub webhooks: Webhooks,
    /// Who may open a back office.
    pub office: Office,
    /// What is logged.
    pub observe: Observe,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Where browsers and providers reach the hub.
    pub public_url: String,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// A SQLite file or a PostgreSQL URL.
    pub database: String,
    /// Whether `serve` migrates by itself.
    pub migrate: bool,
}

/// `[vault]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// A file of 64 hex digits a line, newest first.
    pub key_file: PathBuf,
}

/// `[providers]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    /// How long a provider may take.
    pub timeout_ms: u64,
    /// How long an absent trace must last.
    pub absence_s: i64,
}

/// `[reconcile]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// When, as `04:30` in Japan; empty for never.
    pub daily_at: String,
    /// How many days back a payment counts as recent.
    pub days: u32,
    /// How many payments are asked about side by side.
    pub at_once: usize,
}

impl Reconcile {
    fn settings(&self) -> anyhow::Result<ReconcileSettings> {
        let time = |text: &str| {
            let (hours, minutes) = text.split_once(':')?;
            let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
            ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 3_600 + minutes * 60)
        };
        let daily_at_s = match self.daily_at.as_str() {
            "" => None,
            text => Some(time(text).context("reconcile.daily_at: a time in Japan as 04:30, or empty")?),
        };
        anyhow::ensure!((1..=366).contains(&self.days), "reconcile.days: 1 to 366");
        anyhow::ensure!((1..=64).contains(&self.at_once), "reconcile.at_once: 1 to 64");
        Ok(ReconcileSettings {
            daily_at_s,
            days: self.days,
            at_once: self.at_once,
        })
    }
}

/// `[webhooks]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// How long an endpoint may take.
    pub timeout_ms: u64,
    /// Whether private addresses may be called.
    pub allow_private_addresses: bool,
}

/// `[office]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Office {
    /// The shop's id; empty for no back office.
    pub shop: String,
    /// What the clerk types as address.
    pub user: String,
    /// Where the password is.
    pub password_file: PathBuf,
}

impl Office {
    /// The login, when one is configured.
    ///
    /// # Errors
    /// When the password's file cannot be read or holds fewer than eight characters.
    pub fn login(&self) -> anyhow::Result<Option<kessai_http::office::Login>> {
        if self.shop.is_empty() {
            return Ok(None);
        }
        let path = &self.password_file;
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let password = text.trim();
        anyhow::ensure!(
            password.chars().count() >= 8,
            "{}: a password has at least eight characters",
            path.display()
        );
        let (shop, user) = (self.shop.clone(), self.user.clone());
        Ok(Some(kessai_http::office::Login {
            shop,
            user,
            password: kessai_core::Secret::new(password),
        }))
    }
}

/// `[observe]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observe {
    /// What is logged, as `info` or `info,kessai_engine=debug`.
    pub log: String,
    /// How.
    pub format: LogFormat,
    /// Where traces go; empty for nowhere.
    pub otlp_endpoint: String,
}

impl Config {
    /// The defaults, overridden by `path` when it is given, overridden by the environment.
    ///
    /// # Errors
    /// Names the file and the key that is wrong.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut table: toml::Table = DEFAULT.parse().context("config.default.toml")?;
        if let Some(path) = path {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let given: toml::Table = text.parse().with_context(|| path.display().to_string())?;
            for (section, values) in given {
                match (table.get_mut(&section), values) {
                    (Some(toml::Value::Table(known)), toml::Value::Table(values)) => known.extend(values),
                    _ => anyhow::bail!("{}: there is no section [{section}]", path.display()),
                }
            }
        }
        for (name, text) in environment {
            let Some((section, key)) = name
                .strip_prefix("KESSAI_")
                .and_then(|rest| rest.split_once("__"))
            else {
                continue;
            };
            let (section, key) = (section.to_lowercase(), key.to_lowercase());
            let Some(place) = table.get_mut(&section).and_then(|section| section.get_mut(&key)) else {
                anyhow::bail!("{name}: there is no setting {section}.{key}");
            };
            *place = match place {
                toml::Value::Integer(_) => toml::Value::Integer(text.parse().with_context(|| name.clone())?),
                toml::Value::Boolean(_) => toml::Value::Boolean(text.parse().with_context(|| name.clone())?),
                _ => toml::Value::String(text),
            };
        }
        let config: Self = table.try_into().context("the configuration")?;
        let url = url::Url::parse(&config.server.public_url).context("server.public_url")?;
        anyhow::ensure!(
            matches!(url.scheme(), "http" | "https"),
            "server.public_url must be http or https"
        );
        anyhow::ensure!(
            (1_000..=120_000).contains(&config.providers.timeout_ms),
            "providers.timeout_ms: 1000 to 120000"
        );
        anyhow::ensure!(
            (1_000..=60_000).contains(&config.webhooks.timeout_ms),
            "webhooks.timeout_ms: 1000 to 60000"
        );
        config.reconcile.settings()?;
        Ok(config)
    }

    /// What the engine is told.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn engine(&self) -> anyhow::Result<EngineSettings> {
        Ok(EngineSettings {
            public_url: self.public_url().into(),
            provider_timeout_ms: self.providers.timeout_ms,
            webhook_timeout_ms: self.webhooks.timeout_ms,
            absence_s: self.providers.absence_s,
            reconcile: self.reconcile.settings()?,
        })
    }

    /// Where the hub is reached, without a trailing slash.
    pub fn public_url(&self) -> &str {
        self.server.public_url.trim_end_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> impl Iterator<Item = (String, String)> {
        std::iter::empty()
    }

    #[test]
    fn the_documented_defaults_are_a_valid_configuration() {
        Config::load(None, none()).unwrap();
    }

    #[test]
    fn a_misspelt_setting_is_refused_wherever_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kessai.toml");
        std::fs::write(&path, "[server]\nlistn = \"127.0.0.1:1\"\n").unwrap();
        assert!(Config::load(Some(&path), none()).is_err());
        let typo = [("KESSAI_SERVER__LISTN".to_owned(), "x".to_owned())];
        assert!(Config::load(None, typo.into_iter()).is_err());
    }

    #[test]
    fn the_time_of_the_daily_reconciliation_is_a_time_or_empty() {
        let at = |text: &str| {
            let set = [("KESSAI_RECONCILE__DAILY_AT".to_owned(), text.to_owned())];
            Config::load(None, set.into_iter())
                .and_then(|config| config.engine())
                .map(|engine| engine.reconcile.daily_at_s)
        };
        assert_eq!(at("00:05").unwrap(), Some(300));
        assert_eq!(at("").unwrap(), None);
        for wrong in ["24:00", "4", "04:60", "soon"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_environment_overrides_a_single_setting() {
        let set = [("KESSAI_PROVIDERS__TIMEOUT_MS".to_owned(), "5000".to_owned())];
        assert_eq!(
            Config::load(None, set.into_iter()).unwrap().providers.timeout_ms,
            5_000
        );
    }
}
