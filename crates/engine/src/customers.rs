//! Customers and the cards stored for them. The provider keeps the card; we keep its name for it, sealed.
use crate::directory::Shop;
use crate::idempotency::{self, Answer, Halt, Idempotency};
use crate::model::{Metadata, Session};
use crate::outbox::span_of_ids;
use crate::payments::{Chosen, Source};
use crate::problem::Problem;
use crate::tokens::plain;
use crate::{Engine, wire};
use jiff::Timestamp;
use kessai_core::{Currency, CustomerId, EventId, Secret};
use kessai_store::repo::{self, CustomerRow, EventRow, micros};
use kessai_store::{ChangeSet, Commit, Guard, Op};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is kept of a customer besides its columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CustomerBody {
    /// Who keeps the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Box<str>>,
    /// What may be shown of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Map<String, Value>>,
    /// The shop's notes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// How many events there are.
    #[serde(default)]
    pub events: i64,
    /// Every payment with it fails with this code (test mode).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Box<str>>,
}

/// `POST /customers` and `PATCH /customers/{id}`.
#[derive(Debug, Clone, Default)]
pub struct ChangeCustomer {
    /// The address; `Some(None)` takes it away.
    pub email: Option<Option<Box<str>>>,
    /// The card to store.
    pub source: Option<Source>,
    /// The card's currency.
    pub currency: Option<Currency>,
    /// The shop's notes.
    pub metadata: Option<Metadata>,
    /// `Komoju-Scenario`, test mode only.
    pub scenario: Option<Box<str>>,
}

/// A stored card, ready to be charged.
pub(crate) struct StoredCard {
    pub(crate) id: CustomerId,
    pub(crate) reference: Secret,
    pub(crate) source: Map<String, Value>,
}

fn place(shop: &str, id: &str) -> String {
    format!("customers/{shop}/{id}")
}

impl Engine {
    async fn read_customer(&self, shop: &str, id: &str) -> Result<(CustomerRow, CustomerBody), Problem> {
        let row = repo::customer(self.store.as_ref(), shop, id).await?;
        let row = row
            .filter(|row| row.deleted_at.is_none())
            .ok_or_else(Problem::not_found)?;
        let body = serde_json::from_str(&row.body).map_err(|error| {
            tracing::error!(customer = id, %error, "a customer cannot be read");
            Problem::new("internal_server_error")
        })?;
        Ok((row, body))
    }

    /// `GET /customers/{id}`.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn show_customer(&self, shop: &Shop, id: &str) -> Result<String, Problem> {
        let (row, body) = self.read_customer(&shop.id, id).await?;
        Ok(wire::customer(&row, &body).to_string())
    }

    /// `GET /customers`, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_customers(
        &self,
        shop: &Shop,
        span: (Option<Timestamp>, Option<Timestamp>),
        page: i64,
        per_page: i64,
    ) -> Result<String, Problem> {
        let (from, until) = span_of_ids(span);
        let offset = (page - 1) * per_page;
        let (total, rows) =
            repo::customers(self.store.as_ref(), &shop.id, (&from, &until), offset, per_page).await?;
        let data = rows.iter().map(|row| {
            let body = serde_json::from_str(&row.body).unwrap_or_default();
            wire::customer(row, &body).to_string()
        });
        Ok(wire::list(total, page, per_page, data.collect()))
    }

    /// Makes a customer.
    ///
    /// # Errors
    /// As for the card's details.
    pub async fn create_customer(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        command: ChangeCustomer,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, async {
            let now = self.now();
            let id = CustomerId::new(now, self.entropy.as_ref());
            let row = CustomerRow {
                shop_id: shop.id.clone(),
                id: id.as_str().into(),
                email: None,
                created_at: micros(now),
                deleted_at: None,
                version: 0,
                sealed: None,
                body: "{}".into(),
            };
            self.write_customer(
                shop,
                key,
                row,
                CustomerBody::default(),
                command,
                "customer.created",
            )
            .await
        })
        .await
    }

    /// Changes a customer; new payment details replace the stored card.
    ///
    /// # Errors
    /// `not_found`; as for the card's details.
    pub async fn update_customer(
        &self,
        shop: &Shop,
        id: &str,
        command: ChangeCustomer,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, None, async {
            let (row, body) = self.read_customer(&shop.id, id).await?;
            self.write_customer(shop, None, row, body, command, "customer.updated")
                .await
        })
        .await
    }

    async fn write_customer(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        mut row: CustomerRow,
        mut body: CustomerBody,
        command: ChangeCustomer,
        kind: &str,
    ) -> Result<Answer, Halt> {
        let now = self.now();
        if let Some(email) = command.email {
            row.email = email;
        }
        if let Some(metadata) = command.metadata {
            body.metadata = metadata;
        }
        if command.scenario.is_some() {
            body.scenario = command.scenario;
        }
        let mut guards = Vec::new();
        if let Some(source) = &command.source {
            let Chosen {
                details,
                route,
                guards: spent,
                ..
            } = self.choose(shop, source, None, now).await?;
            let Some(vault) = route.provider.vault().filter(|_| route.capability.flows.stored) else {
                return Err(Problem::invalid("payment_details", "This payment type cannot be stored").into());
            };
            let existing = match &row.sealed {
                Some(sealed) => self.vault.open(&place(&shop.id, &row.id), sealed).ok(),
                None => None,
            };
            let call = self.call(route.account.clone(), format!("{}_c{}", row.id, row.version));
            let kept = vault
                .store(
                    &call,
                    existing.as_ref(),
                    &details.instrument,
                    row.email.as_deref(),
                    command.currency,
                )
                .await;
            let stored = plain(kept)?;
            let mut shown = stored.details;
            shown.insert("type".into(), details.method.as_ref().into());
            body.source = Some(shown);
            body.provider = Some(route.provider.id().into());
            row.sealed = Some(
                self.vault
                    .seal(&place(&shop.id, &row.id), stored.reference.expose()),
            );
            guards = spent;
        }
        self.commit_customer(shop, key, guards, row, body, kind, now)
            .await
    }

    #[allow(clippy::too_many_arguments, reason = "one row, its event and its answer")]
    async fn commit_customer(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        mut guards: Vec<Guard>,
        mut row: CustomerRow,
        mut body: CustomerBody,
        kind: &str,
        now: Timestamp,
    ) -> Result<Answer, Halt> {
        let expected = row.version;
        row.version += 1;
        body.events += 1;
        row.body = serde_json::to_string(&body).expect("plain data").into();
        let shown = wire::customer(&row, &body).to_string();
        let answer = Answer::ok(shown.clone());
        let event = EventRow {
            shop_id: shop.id.clone(),
            id: EventId::new(now, self.entropy.as_ref()).as_str().into(),
            subject_id: row.id.clone(),
            seq: body.events,
            kind: kind.into(),
            created_at: micros(now),
            reason: None,
            data: shown.into(),
        };
        let mut change = ChangeSet {
            guards: vec![],
            ops: vec![],
        };
        self.owe(shop, &event, &mut change);
        change.ops.push(Op::Insert(EventRow::TABLE, event.into_values()));
        let own = guards.len();
        if let Some(key) = key {
            guards.push(idempotency::done_at_once(&shop.id, key, &answer, now));
        }
        let row = row.into_values();
        guards.push(if expected == 0 {
            Guard::Insert(CustomerRow::TABLE, row)
        } else {
            Guard::Update {
                table: CustomerRow::TABLE,
                row,
                expected,
            }
        });
        change.guards = guards;
        match self.store.commit(change).await? {
            Commit::Done => {
                self.wake.notify_one();
                Ok(answer)
            }
            Commit::Refused { guard } if guard < own => Err(Problem::new("invalid_token").into()),
            Commit::Refused { guard } if guard == own && key.is_some() => Err(Halt::KeyTaken),
            Commit::Refused { .. } => {
                Err(Problem::with("conflict", "The customer changed meanwhile.").into())
            }
        }
    }

    /// Erases what is stored of a customer here and at the provider; money records stay.
    ///
    /// # Errors
    /// `not_found`; when the provider could not be told, so that the call can be made again.
    pub async fn delete_customer(&self, shop: &Shop, id: &str) -> Result<Answer, Problem> {
        self.once(&shop.id, None, async {
            let (mut row, mut body) = self.read_customer(&shop.id, id).await?;
            if let (Some(sealed), Some(provider)) = (&row.sealed, &body.provider) {
                let reference = self
                    .vault
                    .open(&place(&shop.id, id), sealed)
                    .map_err(|_| Problem::not_found())?;
                if let (Some(provider), Some(account)) =
                    (self.provider(provider), shop.accounts.get(provider))
                    && let Some(vault) = provider.vault()
                {
                    let call = self.call(account.clone(), format!("{id}_d"));
                    plain(vault.forget(&call, &reference).await)?;
                }
            }
            let now = self.now();
            row.deleted_at = Some(micros(now));
            row.sealed = None;
            row.email = None;
            body.source = None;
            body.metadata = Metadata::new();
            self.commit_customer(shop, None, vec![], row, body, "customer.deleted", now)
                .await
        })
        .await
    }

    /// A customer's stored card.
    pub(crate) async fn stored_card(&self, shop: &Shop, id: &str) -> Result<StoredCard, Problem> {
        let missing = || Problem {
            param: Some("customer".into()),
            ..Problem::not_found()
        };
        let (row, body) =
            self.read_customer(&shop.id, id)
                .await
                .map_err(|problem| match problem.status() {
                    404 => missing(),
                    _ => problem,
                })?;
        if let Some(code) = &body.scenario {
            return Err(Problem::new(code));
        }
        let none = || Problem::invalid("customer", "The customer has no stored card");
        let sealed = row.sealed.ok_or_else(none)?;
        let reference = self
            .vault
            .open(&place(&shop.id, id), &sealed)
            .map_err(|_| none())?;
        Ok(StoredCard {
            id: id.parse().map_err(|_| missing())?,
            reference,
            source: body.source.unwrap_or_default(),
        })
    }

    /// Stores a card for a session in a customer mode; the customer's id.
    pub(crate) async fn store_card(
        &self,
        shop: &Shop,
        session: &Session,
        source: &Source,
    ) -> Result<Box<str>, Problem> {
        let command = ChangeCustomer {
            email: session.body.email.clone().map(Some),
            source: Some(source.clone()),
            currency: Some(session.body.amount.currency()),
            metadata: None,
            scenario: None,
        };
        let answer = match &session.body.customer {
            Some(customer) => self.update_customer(shop, customer.as_str(), command).await?,
            None => self.create_customer(shop, None, command).await?,
        };
        let made: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        made["id"]
            .as_str()
            .map(Into::into)
            .ok_or_else(|| Problem::new("internal_server_error"))
    }
}
