//! Who is who: shops, their keys, their accounts at providers, their webhook endpoints. Read often, changed rarely, hence remembered
//! for a moment; a node learns of another node's change within [`MEMORY_S`] seconds.
use crate::problem::Problem;
use crate::{Engine, later, vault};
use jiff::Timestamp;
use kessai_core::id::random_text;
use kessai_core::{EndpointId, Secret, ShopId, event};
use kessai_provider::port::Account;
use kessai_store::repo::{self, AccountRow, ApiKeyRow, EndpointRow, ShopRow, micros};
use kessai_store::{ChangeSet, Commit, Guard, Op};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

/// How long a node may act on what it remembers of a shop, in seconds of our clock.
pub const MEMORY_S: i64 = 2;
/// How many webhook endpoints a shop may have.
pub const ENDPOINTS_MOST: usize = 20;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Everything.
    Secret,
    /// What a browser needs.
    Publishable,
}

/// Who calls the API.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose key it is.
    pub shop: Arc<Shop>,
    /// Which of its keys.
    pub kind: KeyKind,
}

/// What a shop chose.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ShopSettings {
    /// The offered methods, in order; all that can be served when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Box<str>>,
    /// Which providers serve a method, first choice first; any that can when absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// What 特定商取引法 asks to be shown on the last confirmation: six texts by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub terms: BTreeMap<Box<str>, Box<str>>,
}

/// A webhook endpoint of a shop.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: Box<str>,
    /// Where it is.
    pub url: Box<str>,
    /// Whether it wants anything now.
    pub enabled: bool,
    /// Which event types it wants; all when empty.
    pub events: Vec<Box<str>>,
    /// Signs deliveries.
    pub secret: Secret,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Endpoint {
    /// Whether it wants events of that type.
    pub fn wants(&self, kind: &str) -> bool {
        self.enabled && (self.events.is_empty() || self.events.iter().any(|event| event.as_ref() == kind))
    }
}

/// What shall change of a webhook endpoint; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct ChangeEndpoint {
    /// Where it is.
    pub url: Option<Box<str>>,
    /// Signs deliveries.
    pub secret: Option<Secret>,
    /// Which event types it wants; all when empty.
    pub events: Option<Vec<Box<str>>>,
    /// Whether it wants anything.
    pub enabled: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct EndpointBody {
    events: Vec<Box<str>>,
}

/// A shop with everything that a request needs of it.
#[derive(Debug)]
pub struct Shop {
    /// Its id.
    pub id: Box<str>,
    /// The merchant it belongs to; a merchant's test shop and live shop are two shops.
    pub merchant: Box<str>,
    /// What shoppers read.
    pub name: Box<str>,
    /// Whether real money moves.
    pub live: bool,
    /// What it chose.
    pub settings: ShopSettings,
    /// Its accounts at providers.
    pub accounts: BTreeMap<Box<str>, Arc<Account>>,
    /// Its webhook endpoints.
    pub endpoints: Vec<Endpoint>,
}

#[derive(Default)]
struct Remembered {
    shops: HashMap<Box<str>, (Timestamp, Arc<Shop>)>,
    keys: HashMap<[u8; 32], (Timestamp, Box<str>, KeyKind)>,
}

/// What is remembered.
#[derive(Default)]
pub struct ShopDirectory {
    remembered: RwLock<Remembered>,
}

/// What a provider account consists of when it is set.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Where the API is, without a trailing slash.
    pub base_url: Box<str>,
    /// Credentials by name.
    pub secrets: BTreeMap<Box<str>, Secret>,
    /// Everything else by name.
    pub settings: BTreeMap<Box<str>, Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct AccountBody {
    base_url: Box<str>,
    #[serde(default)]
    settings: BTreeMap<Box<str>, Box<str>>,
}

fn account_place(shop: &str, provider: &str) -> String {
    format!("accounts/{shop}/{provider}")
}

fn endpoint_place(shop: &str, endpoint: &str) -> String {
    format!("endpoints/{shop}/{endpoint}")
}

impl Engine {
    /// Who holds this key.
    ///
    /// # Errors
    /// `unauthorized` for a key nobody holds, or one that was revoked.
    pub async fn caller(&self, key: &str) -> Result<Caller, Problem> {
        let hash = vault::sha256(key.as_bytes());
        let now = self.now();
        let fresh = |at: Timestamp| at <= now && later(at, MEMORY_S) > now;
        let known = {
            let remembered = self.directory.remembered.read().expect("no panic while held");
            let key = remembered
                .keys
                .get(&hash)
                .filter(|(at, ..)| fresh(*at))
                .map(|(_, shop, kind)| (shop.clone(), *kind));
            if let Some((shop, kind)) = &key
                && let Some((_, shop)) = remembered.shops.get(shop).filter(|(at, _)| fresh(*at))
            {
                return Ok(Caller {
                    shop: shop.clone(),
                    kind: *kind,
                });
            }
            key
        };
        let (shop, kind) = match known {
            Some(known) => known,
            None => {
                let row = repo::api_key(self.store.as_ref(), &hash).await?;
                let row = row.filter(|row| row.revoked_at.is_none_or(|at| at > micros(now)));
                let row = row.ok_or_else(|| Problem::new("unauthorized"))?;
                let kind = match row.kind.as_ref() {
                    "secret" => KeyKind::Secret,
                    _ => KeyKind::Publishable,
                };
                let mut remembered = self.directory.remembered.write().expect("no panic while held");
                if remembered.keys.len() > 10_000 {
                    remembered.keys.clear();
                }
                remembered.keys.insert(hash, (now, row.shop_id.clone(), kind));
                (row.shop_id, kind)
            }
        };
        let shop = self
            .shop(&shop)
            .await?
            .ok_or_else(|| Problem::new("unauthorized"))?;
        Ok(Caller { shop, kind })
    }

    /// The shop of that id, at most [`MEMORY_S`] seconds old.
    pub async fn shop(&self, id: &str) -> Result<Option<Arc<Shop>>, Problem> {
        let now = self.now();
        {
            let remembered = self.directory.remembered.read().expect("no panic while held");
            if let Some((at, shop)) = remembered.shops.get(id)
                && *at <= now
                && later(*at, MEMORY_S) > now
            {
                return Ok(Some(shop.clone()));
            }
        }
        let Some(row) = repo::shop(self.store.as_ref(), id).await? else {
            return Ok(None);
        };
        let shop = Arc::new(self.assemble(row).await?);
        let mut remembered = self.directory.remembered.write().expect("no panic while held");
        if remembered.shops.len() > 10_000 {
            remembered.shops.clear();
        }
        remembered.shops.insert(id.into(), (now, shop.clone()));
        Ok(Some(shop))
    }

    async fn assemble(&self, row: ShopRow) -> Result<Shop, Problem> {
        let broken = |what: &str, error: &dyn std::fmt::Display| {
            tracing::error!(shop = %row.shop_id, %error, "{what} cannot be read");
            Problem::new("internal_server_error")
        };
        let settings = serde_json::from_str(&row.body).map_err(|e| broken("the shop's settings", &e))?;
        let mut accounts = BTreeMap::new();
        for provider in self.providers.keys() {
            let Some(account) = repo::account(self.store.as_ref(), &row.shop_id, provider).await? else {
                continue;
            };
            let place = account_place(&row.shop_id, provider);
            let opened = self
                .vault
                .open(&place, &account.sealed)
                .map_err(|e| broken("a provider account", &e))?;
            let secrets: BTreeMap<Box<str>, Box<str>> =
                serde_json::from_str(opened.expose()).map_err(|e| broken("a provider account", &e))?;
            let body: AccountBody =
                serde_json::from_str(&account.body).map_err(|e| broken("a provider account", &e))?;
            let account = Account {
                base_url: body.base_url,
                secrets: secrets
                    .into_iter()
                    .map(|(name, value)| (name, Secret::new(value)))
                    .collect(),
                settings: body.settings,
                live: row.live != 0,
            };
            accounts.insert((*provider).into(), Arc::new(account));
        }
        let mut endpoints = Vec::new();
        for endpoint in repo::endpoints(self.store.as_ref(), &row.shop_id).await? {
            let place = endpoint_place(&row.shop_id, &endpoint.id);
            let secret = self
                .vault
                .open(&place, &endpoint.sealed)
                .map_err(|e| broken("a webhook endpoint", &e))?;
            let body: EndpointBody =
                serde_json::from_str(&endpoint.body).map_err(|e| broken("a webhook endpoint", &e))?;
            endpoints.push(Endpoint {
                id: endpoint.id,
                url: endpoint.url,
                enabled: endpoint.enabled != 0,
                events: body.events,
                secret,
                version: endpoint.version,
                created_at: repo::instant(endpoint.created_at),
            });
        }
        Ok(Shop {
            id: row.shop_id.clone(),
            merchant: row.merchant.clone(),
            name: row.name.clone(),
            live: row.live != 0,
            settings,
            accounts,
            endpoints,
        })
    }

    /// Forgets what is remembered of a shop, after a change.
    pub fn forget_shop(&self, id: &str) {
        let mut remembered = self.directory.remembered.write().expect("no panic while held");
        remembered.shops.remove(id);
        remembered.keys.retain(|_, (_, shop, _)| shop.as_ref() != id);
    }

    /// Opens a shop for business.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_shop(
        &self,
        merchant: &str,
        name: &str,
        live: bool,
        settings: &ShopSettings,
    ) -> Result<Box<str>, Problem> {
        let id = ShopId::short(self.entropy.as_ref());
        let row = ShopRow {
            shop_id: id.as_str().into(),
            merchant: merchant.into(),
            live: i64::from(live),
            name: name.into(),
            version: 1,
            created_at: micros(self.now()),
            body: serde_json::to_string(settings).expect("plain data").into(),
        };
        let guard = Guard::Insert(ShopRow::TABLE, row.into_values());
        match self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops: vec![],
            })
            .await?
        {
            Commit::Done => Ok(id.as_str().into()),
            Commit::Refused { .. } => Err(Problem::new("conflict")),
        }
    }

    /// Lets a shop call the API with this key. Only its hash is kept.
    ///
    /// # Errors
    /// `conflict` when somebody holds it already.
    pub async fn add_key(&self, shop: &str, kind: KeyKind, key: &str) -> Result<(), Problem> {
        let row = ApiKeyRow {
            key_hash: vault::sha256(key.as_bytes()).to_vec(),
            shop_id: shop.into(),
            kind: match kind {
                KeyKind::Secret => "secret".into(),
                KeyKind::Publishable => "publishable".into(),
            },
            created_at: micros(self.now()),
            revoked_at: None,
            hint: key.chars().take(8).collect::<String>().into(),
        };
        let guard = Guard::Insert(ApiKeyRow::TABLE, row.into_values());
        match self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops: vec![],
            })
            .await?
        {
            Commit::Done => Ok(()),
            Commit::Refused { .. } => Err(Problem::with("conflict", "The key is in use.")),
        }
    }

    /// Sets a shop's account at a provider, replacing the one before.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_account(&self, shop: &str, provider: &str, account: &NewAccount) -> Result<(), Problem> {
        let secrets: BTreeMap<&str, &str> = account
            .secrets
            .iter()
            .map(|(name, secret)| (name.as_ref(), secret.expose()))
            .collect();
        let text = Secret::new(serde_json::to_string(&secrets).expect("plain data"));
        let body = AccountBody {
            base_url: account.base_url.clone(),
            settings: account.settings.clone(),
        };
        let known = repo::account(self.store.as_ref(), shop, provider).await?;
        let row = AccountRow {
            shop_id: shop.into(),
            provider: provider.into(),
            version: known.as_ref().map_or(1, |row| row.version + 1),
            updated_at: micros(self.now()),
            sealed: self.vault.seal(&account_place(shop, provider), text.expose()),
            body: serde_json::to_string(&body).expect("plain data").into(),
        };
        let guard = match known {
            Some(known) => Guard::Update {
                table: AccountRow::TABLE,
                row: row.into_values(),
                expected: known.version,
            },
            None => Guard::Insert(AccountRow::TABLE, row.into_values()),
        };
        let committed = self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops: vec![],
            })
            .await?;
        self.forget_shop(shop);
        match committed {
            Commit::Done => Ok(()),
            Commit::Refused { .. } => Err(Problem::new("conflict")),
        }
    }

    /// Adds a webhook endpoint and queues a `ping` to it, as creating one does.
    ///
    /// # Errors
    /// `invalid_parameter` for a bad URL or an unknown event type; `unprocessable_entity` above [`ENDPOINTS_MOST`].
    pub async fn add_endpoint(
        &self,
        shop: &str,
        url: &str,
        secret: Option<Secret>,
        events: &[Box<str>],
    ) -> Result<(Box<str>, Secret), Problem> {
        check_url("url", url)?;
        check_events(events)?;
        let standing = self.shop(shop).await?.ok_or_else(Problem::not_found)?;
        if standing.endpoints.len() >= ENDPOINTS_MOST {
            return Err(Problem::with(
                "unprocessable_entity",
                "The shop has as many webhook endpoints as it may have.",
            ));
        }
        let id = EndpointId::new(self.now(), self.entropy.as_ref());
        let secret = secret
            .unwrap_or_else(|| Secret::new(format!("whsec_{}", random_text(40, self.entropy.as_ref()))));
        let row = EndpointRow {
            shop_id: shop.into(),
            id: id.as_str().into(),
            url: url.into(),
            enabled: 1,
            version: 1,
            created_at: micros(self.now()),
            sealed: self
                .vault
                .seal(&endpoint_place(shop, id.as_str()), secret.expose()),
            body: serde_json::to_string(&EndpointBody {
                events: events.to_vec(),
            })
            .expect("plain data")
            .into(),
        };
        let mut change = ChangeSet {
            guards: vec![],
            ops: vec![Op::Insert(EndpointRow::TABLE, row.into_values())],
        };
        self.ping(shop, id.as_str(), &mut change);
        let committed = self.store.commit(change).await?;
        self.forget_shop(shop);
        self.wake.notify_one();
        match committed {
            Commit::Done => Ok((id.as_str().into(), secret)),
            Commit::Refused { .. } => Err(Problem::new("conflict")),
        }
    }

    /// Changes a webhook endpoint. What it was owed before goes to where it is now.
    ///
    /// # Errors
    /// `not_found`; as for a new one; `conflict` when it changed meanwhile.
    pub async fn update_endpoint(&self, shop: &str, id: &str, change: ChangeEndpoint) -> Result<(), Problem> {
        change
            .url
            .as_deref()
            .map_or(Ok(()), |url| check_url("url", url))?;
        change.events.as_deref().map_or(Ok(()), check_events)?;
        let rows = repo::endpoints(self.store.as_ref(), shop).await?;
        let mut row = rows
            .into_iter()
            .find(|row| row.id.as_ref() == id)
            .ok_or_else(Problem::not_found)?;
        let expected = row.version;
        row.version += 1;
        row.url = change.url.unwrap_or(row.url);
        row.enabled = change.enabled.map_or(row.enabled, i64::from);
        if let Some(secret) = change.secret {
            row.sealed = self.vault.seal(&endpoint_place(shop, id), secret.expose());
        }
        if let Some(events) = change.events {
            row.body = serde_json::to_string(&EndpointBody { events })
                .expect("plain data")
                .into();
        }
        let guard = Guard::Update {
            table: EndpointRow::TABLE,
            row: row.into_values(),
            expected,
        };
        let committed = self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops: vec![],
            })
            .await?;
        self.forget_shop(shop);
        match committed {
            Commit::Done => Ok(()),
            Commit::Refused { .. } => Err(Problem::new("conflict")),
        }
    }

    /// Switches a webhook endpoint on or off, or removes it.
    ///
    /// # Errors
    /// `not_found`; `conflict` when it changed meanwhile.
    pub async fn change_endpoint(&self, shop: &str, id: &str, enabled: Option<bool>) -> Result<(), Problem> {
        let rows = repo::endpoints(self.store.as_ref(), shop).await?;
        let row = rows
            .into_iter()
            .find(|row| row.id.as_ref() == id)
            .ok_or_else(Problem::not_found)?;
        let expected = row.version;
        let guard = match enabled {
            Some(enabled) => {
                let row = EndpointRow {
                    enabled: i64::from(enabled),
                    version: expected + 1,
                    ..row
                };
                Guard::Update {
                    table: EndpointRow::TABLE,
                    row: row.into_values(),
                    expected,
                }
            }
            None => Guard::Delete {
                table: EndpointRow::TABLE,
                key: vec![row.shop_id.as_ref().into(), row.id.as_ref().into()],
                expected: Some(expected),
            },
        };
        let committed = self
            .store
            .commit(ChangeSet {
                guards: vec![guard],
                ops: vec![],
            })
            .await?;
        self.forget_shop(shop);
        match committed {
            Commit::Done => Ok(()),
            Commit::Refused { .. } => Err(Problem::new("conflict")),
        }
    }
}

fn check_events(events: &[Box<str>]) -> Result<(), Problem> {
    match events.iter().find(|kind| !event::KINDS.contains(&kind.as_ref())) {
        Some(unknown) => Err(Problem::invalid(
            "events",
            format!("{unknown} is not an event type"),
        )),
        None => Ok(()),
    }
}

/// An absolute `http` or `https` URL of at most 2,000 characters. Other schemes are for mobile apps and allowed only where they are.
pub fn check_url(param: &'static str, text: &str) -> Result<(), Problem> {
    let fine = text.len() <= 2_000
        && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if fine {
        Ok(())
    } else {
        Err(Problem::invalid(param, format!("{param} is not a valid URL")))
    }
}

/// A URL to send a browser back to: any scheme but those that run code.
pub fn check_return_url(param: &'static str, text: &str) -> Result<(), Problem> {
    let fine = text.len() <= 2_000
        && url::Url::parse(text).is_ok_and(|url| {
            !matches!(
                url.scheme(),
                "javascript" | "data" | "vbscript" | "file" | "blob" | "about"
            )
        });
    if fine {
        Ok(())
    } else {
        Err(Problem::invalid(param, format!("{param} is not a valid URL")))
    }
}
