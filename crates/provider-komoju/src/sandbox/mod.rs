//! A stateful KOMOJU that runs offline: API, books, webhooks, browser pages and a control API.
//!
//! It shares no type with the client: a sandbox that did would only prove that they agree with each other.
mod api;
mod cards;
mod checkout;
mod control;
mod desk;
mod details;
mod error;
mod html;
mod icons;
mod input;
mod methods;
mod model;
mod notices;
mod pages;
mod payments;
mod sessions;
mod start;
mod vault;
mod world;

pub use notices::signature;

use desk::Desk;
use error::Fail;
use jiff::Timestamp;
use kessai_core::{Entropy, Secret};
use kessai_provider::sandbox::{Answer, Ask, Books, BooksError, Drawn, Faults, Notice, Page, Sandbox};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// Where the sandbox keeps its books.
#[derive(Debug, Clone)]
pub enum BooksAt {
    /// Gone with the process.
    Memory,
    /// An SQLite file, made when it is missing.
    File(PathBuf),
}

/// Where the sandbox sends its events.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Signs what is sent.
    pub secret: Secret,
}

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct KomojuSandboxConfig {
    /// Where its books are.
    pub books: BooksAt,
    /// Where browsers find its pages, as `http://127.0.0.1:4001/komoju`. The API is under `{public_url}/api/v1`.
    pub public_url: String,
    /// `sk_test_…`
    pub secret_key: Secret,
    /// `pk_test_…`
    pub publishable_key: String,
    /// Where events go; what the control API set later, kept in the books, comes first.
    pub webhook: Option<Webhook>,
}

/// A KOMOJU of one's own.
pub struct KomojuSandbox {
    books: Books,
    faults: Faults,
    entropy: Arc<dyn Entropy>,
    public_url: String,
    /// The path of `public_url`, for links within the pages.
    root: String,
    secret_key: Secret,
    publishable_key: String,
    webhook: RwLock<Option<Webhook>>,
}

impl KomojuSandbox {
    /// Opens the books and starts where they left off.
    ///
    /// # Errors
    /// When the books cannot be opened or read.
    pub fn open(config: KomojuSandboxConfig, entropy: Arc<dyn Entropy>) -> Result<Arc<Self>, BooksError> {
        let books = match &config.books {
            BooksAt::Memory => Books::open(None)?,
            BooksAt::File(path) => Books::open(Some(path))?,
        };
        let public_url = config.public_url.trim_end_matches('/').to_owned();
        let root = public_url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'));
        let root = root.map(|(_, path)| format!("/{path}")).unwrap_or_default();
        let (url, secret, rules) = books.read(|page| {
            let settings = (
                page.setting("webhook_url")?,
                page.setting("webhook_secret")?,
                page.setting("faults")?,
            );
            Ok::<_, BooksError>(settings)
        })?;
        let webhook = match (url, secret) {
            (Some(url), Some(secret)) if !url.is_empty() => Some(Webhook {
                url,
                secret: Secret::new(secret),
            }),
            (Some(_), _) => None,
            (None, _) => config.webhook,
        };
        let faults = Faults::default();
        if let Some(rules) = rules {
            faults.replace(serde_json::from_str(&rules)?);
        }
        Ok(Arc::new(Self {
            books,
            faults,
            entropy,
            public_url,
            root,
            secret_key: config.secret_key,
            publishable_key: config.publishable_key,
            webhook: RwLock::new(webhook),
        }))
    }

    /// When to ask for due notifications next, or earlier than that; none when none is owed. For worlds that move time by themselves.
    pub fn next_notice_at(&self) -> Option<Timestamp> {
        self.books.next_notice_at()
    }

    fn has_webhook(&self) -> bool {
        self.webhook
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    fn webhook_now(&self) -> Option<(String, String)> {
        let webhook = self.webhook.read().unwrap_or_else(PoisonError::into_inner);
        webhook
            .as_ref()
            .map(|webhook| (webhook.url.clone(), webhook.secret.expose().to_owned()))
    }

    fn three_ds_url(&self, token: &str) -> String {
        format!("{}/three_d_secure_service/offsite?token={token}", self.public_url)
    }

    fn session_url(&self, id: &str) -> String {
        format!("{}/sessions/{id}", self.public_url)
    }

    /// Rules that count down are kept as they stand, so that a fault asked for once happens once, whatever is restarted.
    fn save_faults(&self, drawn: &Drawn, page: &Page<'_>) -> Result<(), BooksError> {
        if drawn.used_up {
            page.set("faults", &serde_json::to_string(&self.faults.rules())?)?;
        }
        Ok(())
    }

    fn save_faults_now(&self, drawn: &Drawn) {
        if drawn.used_up {
            self.logged(self.books.write(|page| self.save_faults(drawn, page)));
        }
    }

    /// A desk at which nobody is forced to decline anything.
    fn desk<'a>(&'a self, page: &'a Page<'a>, now: Timestamp) -> Desk<'a> {
        Desk {
            page,
            house: self,
            now,
            forced: None,
            old_version: false,
        }
    }

    fn logged<T: Default>(&self, result: Result<T, BooksError>) -> T {
        result.unwrap_or_else(|fault| {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the KOMOJU sandbox's books failed"
            );
            T::default()
        })
    }
}

impl Sandbox for KomojuSandbox {
    fn name(&self) -> &'static str {
        "komoju"
    }

    fn answer(&self, ask: &Ask, now: Timestamp) -> Answer {
        self.pass_time(now);
        let path = ask.path();
        if let Some(rest) = path.strip_prefix("/api/v1") {
            return self.api(ask, rest, now);
        }
        let reply = match path.strip_prefix("/sandbox/") {
            Some(rest) => self.control(ask, rest, now),
            None => self.page(ask, now),
        };
        Answer::Reply { reply, after_ms: 0 }
    }

    fn answer_all(&self, asks: &[Ask], now: Timestamp) -> Vec<Answer> {
        let one_by_one = || asks.iter().map(|ask| self.answer(ask, now)).collect();
        if asks.len() < 2 {
            return one_by_one();
        }
        self.books.together(one_by_one).unwrap_or_else(|fault| {
            // nothing of it was booked
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "requests are answered one by one"
            );
            one_by_one()
        })
    }

    fn pass_time(&self, now: Timestamp) {
        while self.books.may_be_due(now) {
            let more = self.books.write(|page| self.desk(page, now).lapse(200));
            match more {
                Ok(true) => {}
                Ok(false) => return,
                Err(Fail::Books(fault)) => return self.logged(Err(fault)),
                Err(Fail::Api(fault)) => {
                    tracing::error!(?fault, "the KOMOJU sandbox could not let time pass");
                    return;
                }
            }
        }
    }

    fn due_notices(&self, now: Timestamp, limit: usize) -> Vec<Notice> {
        self.logged(self.take_notices(now, limit))
    }

    fn noticed(&self, id: &str, status: Option<u16>, now: Timestamp) {
        self.logged(self.note_delivery(id, status, now));
    }
}
