//! What the hub does: every use case, and the three steps around every call to a provider.
//!
//! 1. One commit records the attempt, its key and a fingerprint of the request. Should we die now, the sweep finds it by its age.
//! 2. The call, with no transaction open.
//! 3. One commit records outcome, new state, event, deliveries, ledger postings and the answer to the idempotency key.
//!
//! Look into [`payments`] for how a payment is made, [`operate`] for capture, cancel and refund, [`settle`] for what becomes of
//! unknown outcomes, [`reconcile`] for how our books are compared with the providers', [`inbox`] and [`outbox`] for notifications in and webhooks out.
#![deny(clippy::float_arithmetic)]

mod calls;
mod change;
mod compare;
pub mod customers;
pub mod details;
pub mod directory;
mod discrepancy;
mod fold;
pub mod idempotency;
pub mod inbox;
mod locks;
pub mod methods;
pub mod model;
pub mod office;
pub mod operate;
pub mod outbox;
pub mod payments;
pub mod problem;
pub mod reconcile;
pub mod sessions;
pub mod settle;
pub mod stock;
pub mod timeline;
pub mod tokens;
pub mod vault;
pub mod wire;
mod work;

pub use directory::{Caller, KeyKind, Shop, ShopDirectory};
pub use idempotency::{Answer, Halt, Idempotency};
pub use kessai_store::Store;
pub use problem::{Code, Problem};
pub use work::every_job;

use jiff::{SignedDuration, Timestamp};
use kessai_core::{Clock, Entropy};
use kessai_provider::port::Provider;
use kessai_provider::transport::Transport;
use locks::Locks;
use std::collections::BTreeMap;
use std::sync::Arc;
use vault::Vault;

/// What an engine is told once, at the start.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Where the hub is reached by browsers and providers, without a trailing slash.
    pub public_url: Box<str>,
    /// How long a provider may take to answer, in milliseconds.
    pub provider_timeout_ms: u64,
    /// How long a shop's webhook endpoint may take to answer, in milliseconds.
    pub webhook_timeout_ms: u64,
    /// How long an absent trace at the provider must last before an unanswered request counts as never arrived, in seconds.
    /// Longer than any time-out on the way.
    pub absence_s: i64,
    /// When and how payments are compared with their providers' books.
    pub reconcile: reconcile::ReconcileSettings,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8787".into(),
            provider_timeout_ms: 30_000,
            webhook_timeout_ms: 10_000,
            absence_s: 600,
            reconcile: reconcile::ReconcileSettings::default(),
        }
    }
}

/// What an engine is made of.
pub struct Parts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The dice.
    pub entropy: Arc<dyn Entropy>,
    /// The network towards providers.
    pub transport: Arc<dyn Transport>,
    /// The network towards shops' webhook endpoints, which refuses private addresses.
    pub webhooks: Arc<dyn Transport>,
    /// The providers.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Opens secrets.
    pub vault: Vault,
    /// The rest.
    pub settings: EngineSettings,
}

/// The hub.
pub struct Engine {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    transport: Arc<dyn Transport>,
    webhooks: Arc<dyn Transport>,
    providers: BTreeMap<&'static str, Arc<dyn Provider>>,
    vault: Vault,
    settings: EngineSettings,
    directory: ShopDirectory,
    payment_locks: Locks,
    session_locks: Locks,
    wake: Arc<tokio::sync::Notify>,
}

impl Engine {
    /// Puts an engine together.
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            clock: parts.clock,
            entropy: parts.entropy,
            transport: parts.transport,
            webhooks: parts.webhooks,
            providers: parts
                .providers
                .into_iter()
                .map(|provider| (provider.id(), provider))
                .collect(),
            vault: parts.vault,
            settings: parts.settings,
            directory: ShopDirectory::default(),
            payment_locks: Locks::default(),
            session_locks: Locks::default(),
            wake: Arc::default(),
        }
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The database.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The dice.
    pub fn entropy(&self) -> &dyn Entropy {
        self.entropy.as_ref()
    }

    /// What it was told at the start.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Wakes the job runner; resolves once per change that queued jobs due now.
    pub fn wake(&self) -> Arc<tokio::sync::Notify> {
        self.wake.clone()
    }

    /// The provider of that name.
    pub fn provider(&self, id: &str) -> Option<&Arc<dyn Provider>> {
        self.providers.get(id)
    }

    /// All providers.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.providers.values()
    }

    /// A text that proves to us later that we made it for `what`. Nodes that share the vault's keys share it.
    pub fn proof(&self, what: &str) -> String {
        self.vault.proofs(what).swap_remove(0)
    }

    /// Whether we made this text for `what`.
    pub fn proves(&self, what: &str, proof: &str) -> bool {
        self.vault
            .proofs(what)
            .iter()
            .any(|made| vault::same(made.as_bytes(), proof.as_bytes()))
    }
}

/// `at` plus `seconds`, saturating.
pub(crate) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}
