//! Wires a hub: store, clock, dice, network, providers, engine, jobs, doors.
use crate::real::{HttpTransport, Reach, SystemClock, SystemEntropy};
use anyhow::Context as _;
use kessai_core::{Clock, Entropy};
use kessai_engine::vault::Vault;
use kessai_engine::{Engine, EngineSettings, Parts, every_job};
use kessai_jobs::Runner;
use kessai_provider::transport::Transport;
use kessai_store::repo::{self, micros};
use kessai_store::{ChangeSet, Migrate, PgSettings, Settings, SqliteSettings, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a job's lease lasts, in seconds: longer than any call a job makes.
const LEASE_S: i64 = 120;

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file.
    Sqlite(std::path::PathBuf),
    /// A PostgreSQL connection string.
    Postgres(String),
}

impl Database {
    /// `postgres://…` or a path (`sqlite:` in front is allowed).
    pub fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") || text.contains("host=") {
            Self::Postgres(text.to_owned())
        } else {
            Self::Sqlite(text.strip_prefix("sqlite:").unwrap_or(text).into())
        }
    }

    /// Opens it.
    pub async fn open(&self, migrate: Migrate) -> anyhow::Result<Arc<dyn Store>> {
        let settings = match self {
            Self::Sqlite(path) => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder)
                        .with_context(|| format!("creating {}", folder.display()))?;
                }
                Settings::Sqlite(SqliteSettings::new(path))
            }
            Self::Postgres(url) => Settings::Postgres(PgSettings::new(url)),
        };
        kessai_store::open(&settings, migrate)
            .await
            .context("opening the database")
    }
}

/// What a hub is started with.
pub struct HubSettings {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<SystemClock>,
    /// The network towards providers.
    pub transport: Arc<dyn Transport>,
    /// Whether webhooks may go to private addresses.
    pub private_webhooks: bool,
    /// Seals secrets: 32-byte keys, newest first.
    pub vault_keys: Vec<[u8; 32]>,
    /// What the engine is told.
    pub engine: EngineSettings,
}

/// A hub whose parts are put together and whose jobs do not run yet.
pub struct Hub {
    /// The engine.
    pub engine: Arc<Engine>,
    clock: Arc<SystemClock>,
    store: Arc<dyn Store>,
}

impl Hub {
    /// Puts a hub together.
    ///
    /// # Errors
    /// When the network cannot be set up.
    pub fn new(settings: HubSettings) -> anyhow::Result<Self> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let reach = if settings.private_webhooks {
            Reach::Anywhere
        } else {
            Reach::PublicOnly
        };
        let engine = Engine::new(Parts {
            store: settings.store.clone(),
            clock: settings.clock.clone(),
            entropy: entropy.clone(),
            transport: Arc::new(kessai_http::Timed::new(settings.transport)),
            webhooks: Arc::new(HttpTransport::new(reach)?),
            providers: crate::providers::all(),
            vault: Vault::new(&settings.vault_keys, entropy),
            settings: settings.engine,
        });
        Ok(Self {
            engine: Arc::new(engine),
            clock: settings.clock,
            store: settings.store,
        })
    }

    /// The runner that knows every job of the hub.
    pub fn runner(&self) -> Runner<Engine> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        every_job(Runner::new(
            self.store.clone(),
            clock,
            self.engine.clone(),
            LEASE_S,
        ))
    }

    /// Runs jobs until `stop` says so. The handle ends when what was begun is done.
    #[expect(clippy::disallowed_methods, reason = "the binary starts tasks")]
    pub fn run_jobs(&self, stop: watch::Receiver<bool>) -> tokio::task::JoinHandle<()> {
        let runner = self.runner();
        let wake = self.engine.wake();
        tokio::spawn(async move {
            runner
                .keep_running(stop, wake, |ms| {
                    Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
                })
                .await;
        })
    }

    /// Shows every fifteen seconds what waits and for how long, until `stop` says so: what alarms are set on.
    #[expect(clippy::disallowed_methods, reason = "the binary starts tasks")]
    pub fn keep_measuring(&self, mut stop: watch::Receiver<bool>) -> tokio::task::JoinHandle<()> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        tokio::spawn(async move {
            while !*stop.borrow() {
                if let Err(error) = measure(store.as_ref(), micros(clock.now())).await {
                    tracing::warn!(%error, "the queues could not be measured");
                }
                tokio::select! {
                    _ = stop.changed() => {}
                    () = tokio::time::sleep(Duration::from_secs(15)) => {}
                }
            }
        })
    }

    /// Sees to it that the hub's own recurring jobs stand in the queue, once, whoever of the nodes comes first.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn queue_recurring(&self) -> anyhow::Result<()> {
        for job in self.engine.recurring_jobs() {
            let _ = self
                .store
                .commit(ChangeSet {
                    guards: vec![job.guard()],
                    ops: vec![],
                })
                .await?;
        }
        Ok(())
    }
}

/// Seconds from a stored instant until now, as a gauge takes them.
fn age(now: i64, at: Option<i64>) -> u32 {
    u32::try_from(at.map_or(0, |at| (now - at).max(0) / 1_000_000)).unwrap_or(u32::MAX)
}

fn count(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

async fn measure(store: &dyn Store, now: i64) -> Result<(), kessai_store::StoreError> {
    let (waiting, due, oldest) = repo::job_backlog(store, now).await?;
    metrics::gauge!("kessai_jobs_waiting").set(count(waiting));
    metrics::gauge!("kessai_jobs_due").set(count(due));
    metrics::gauge!("kessai_oldest_due_job_age_seconds").set(age(now, oldest));
    let (unsettled, since) = repo::unsettled_everywhere(store).await?;
    metrics::gauge!("kessai_unsettled_attempts").set(count(unsettled));
    metrics::gauge!("kessai_oldest_unsettled_attempt_age_seconds").set(age(now, since));
    metrics::gauge!("kessai_open_discrepancies").set(count(repo::discrepancies_everywhere(store).await?));
    metrics::gauge!("kessai_dead_webhooks").set(count(repo::dead_everywhere(store).await?));
    let compared = repo::last_reconciled_everywhere(store).await?;
    metrics::gauge!("kessai_oldest_reconciliation_age_seconds").set(age(now, compared));
    let stats = store.stats();
    metrics::counter!("kessai_store_batches_total").absolute(stats.batches);
    metrics::counter!("kessai_store_changes_total").absolute(stats.changes);
    metrics::gauge!("kessai_store_queue").set(count(i64::try_from(stats.queued).unwrap_or(i64::MAX)));
    Ok(())
}

/// Reads the vault's keys for a database. A database without shops holds no secret yet: only then is a missing file made.
///
/// # Errors
/// As [`vault_keys`].
pub async fn vault_keys_for(store: &dyn Store, path: &Path) -> anyhow::Result<Vec<[u8; 32]>> {
    let fresh = repo::shops(store, 1).await?.is_empty();
    vault_keys(path, fresh)
}

/// Reads the vault's keys from a file of 64 hex digits a line, newest first; makes the file with one key when it is missing and `make`
/// says so.
///
/// # Errors
/// When the file cannot be read or written, or a line is no key.
pub fn vault_keys(path: &Path, make: bool) -> anyhow::Result<Vec<[u8; 32]>> {
    if !path.exists() {
        anyhow::ensure!(
            make,
            "{} is missing. It holds the keys that open the secrets in this database: restore it from its backup, or copy it from \
             another node",
            path.display()
        );
        let mut key = [0; 32];
        SystemEntropy.fill(&mut key);
        write_private(path, &format!("{}\n", hex::encode(key)))?;
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let keys: Vec<[u8; 32]> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let bytes = hex::decode(line).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.with_context(|| format!("{}: a line is not 64 hex digits", path.display()))
        })
        .collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!keys.is_empty(), "{} holds no key", path.display());
    Ok(keys)
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options
        .open(path)
        .with_context(|| format!("writing {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
