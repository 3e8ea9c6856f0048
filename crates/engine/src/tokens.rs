//! One-time tokens and 3-D Secure authentications. The card number goes straight to the provider; we keep its token, sealed.
use crate::details::{self, Details};
use crate::directory::Shop;
use crate::idempotency::{self, Answer, Halt, Idempotency};
use crate::methods::Route;
use crate::payments::{Chosen, Source, rejected};
use crate::problem::Problem;
use crate::{Engine, later};
use jiff::Timestamp;
use kessai_core::time::wire_utc;
use kessai_core::{Currency, Money, SecureTokenId, TokenId};
use kessai_provider::port::{Authenticate, Instrument, Outcome, SecureToken};
use kessai_store::repo::{self, TokenRow, instant, micros};
use kessai_store::{ChangeSet, Commit, Guard, Op};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How long a token waits to be used, in seconds.
///
/// Source: docs/providers/komoju.md, "Open questions" (inferred: single use, one hour).
const LIFE_S: i64 = 3_600;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TokenBody {
    provider: Box<str>,
    method: Box<str>,
    /// What may be shown, and the fields of a method without secrets.
    fields: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authentication_url: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    return_url: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Money>,
}

/// `POST /secure_tokens`.
#[derive(Debug, Clone)]
pub struct CreateSecureToken {
    /// How much the card will be charged, in minor units.
    pub amount: i64,
    /// Its currency.
    pub currency: Currency,
    /// Where the shopper comes back to.
    pub return_url: Box<str>,
    /// The card, a token, or a customer's stored card.
    pub source: Source,
}

fn place(shop: &str, id: &str) -> String {
    format!("tokens/{shop}/{id}")
}

/// What a provider's answer means when no money can have moved.
pub(crate) fn plain<T>(outcome: Outcome<T>) -> Result<T, Problem> {
    match outcome {
        Outcome::Succeeded(value) | Outcome::Pending(value) => Ok(value),
        Outcome::Declined(decline) => Err(Problem::new(&decline.code)),
        Outcome::Rejected(rejection) => Err(rejected(&rejection)),
        Outcome::NotSent(_) => Err(Problem::new("service_unavailable")),
        Outcome::Unknown(_) => Err(Problem::new("gateway_timeout")),
    }
}

impl Engine {
    /// Turns payment details into a one-time token.
    ///
    /// # Errors
    /// As for the details themselves; `missing_parameter` for a type that cannot be tokenized.
    pub async fn create_token(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        given: Map<String, Value>,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, async {
            let now = self.now();
            let given = Source::Details(given);
            let Chosen { details, route, .. } = self.choose(shop, &given, None, now).await?;
            let id = TokenId::prefixed(now, self.entropy.as_ref());
            let (secret, shown) = match (&details.instrument, route.provider.tokens()) {
                (Instrument::Card(_), Some(tokens)) => {
                    let call = self.call(route.account.clone(), format!("{id}_t"));
                    let made = tokens
                        .tokenize(&call, &details.method, &details.instrument, &details.fields)
                        .await;
                    let token = plain(made)?;
                    (token.token.expose().to_owned(), token.details)
                }
                // Nothing secret in it: the fields themselves wait here.
                (Instrument::Fields, _) => (String::new(), details.fields.clone()),
                _ => return Err(Problem::missing("payment_details").into()),
            };
            let body = TokenBody {
                provider: route.provider.id().into(),
                method: details.method.clone(),
                fields: shown,
                status: None,
                authentication_url: None,
                return_url: None,
                amount: None,
            };
            let mut object = body.fields.clone();
            object.insert("type".into(), details.method.as_ref().into());
            let wire = json!({
                "id": id, "resource": "token", "created_at": wire_utc(now), "payment_details": object,
            });
            let answer = Answer::ok(wire.to_string());
            self.keep_token(shop, key, id.as_str(), "token", &secret, &body, &answer, now)
                .await
        })
        .await
    }

    #[allow(clippy::too_many_arguments, reason = "one row and its answer")]
    async fn keep_token(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        id: &str,
        kind: &str,
        secret: &str,
        body: &TokenBody,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Answer, Halt> {
        let row = TokenRow {
            shop_id: shop.id.clone(),
            id: id.into(),
            kind: kind.into(),
            created_at: micros(now),
            expires_at: micros(later(now, LIFE_S)),
            used_at: None,
            version: 1,
            sealed: self.vault.seal(&place(&shop.id, id), secret),
            body: serde_json::to_string(body).expect("plain data").into(),
        };
        let guards = key
            .map(|key| idempotency::done_at_once(&shop.id, key, answer, now))
            .into_iter()
            .collect();
        let ops = vec![Op::Insert(TokenRow::TABLE, row.into_values())];
        match self.store.commit(ChangeSet { guards, ops }).await? {
            Commit::Done => Ok(answer.clone()),
            Commit::Refused { .. } => Err(Halt::KeyTaken),
        }
    }

    async fn read_token(&self, shop: &str, id: &str) -> Result<Option<(TokenRow, TokenBody)>, Problem> {
        let Some(row) = repo::token(self.store.as_ref(), shop, id).await? else {
            return Ok(None);
        };
        let body = serde_json::from_str(&row.body).map_err(|error| {
            tracing::error!(token = id, %error, "a token cannot be read");
            Problem::new("internal_server_error")
        })?;
        Ok(Some((row, body)))
    }

    /// Finds what a token stands for, and the guard that uses it up.
    pub(crate) async fn spend_token(
        &self,
        shop: &Shop,
        id: &str,
        routed: &(dyn Fn(&str) -> Result<Route, Problem> + Sync),
        now: Timestamp,
    ) -> Result<Chosen, Problem> {
        let bad = || Problem {
            param: Some("payment_details".into()),
            ..Problem::new("invalid_token")
        };
        if id.len() > 64 {
            return Err(bad());
        }
        let Some((row, body)) = self.read_token(&shop.id, id).await? else {
            return self.foreign_token(id, routed).ok_or_else(bad);
        };
        let secure = row.kind.as_ref() == "secure_token";
        if row.used_at.is_some() || instant(row.expires_at) <= now {
            return Err(bad());
        }
        let sealed = self
            .vault
            .open(&place(&shop.id, id), &row.sealed)
            .map_err(|_| bad())?;
        if secure {
            let current = self.authentication(shop, id).await?;
            if !matches!(current.verification_status.as_ref(), "OK" | "SKIPPED") {
                return Err(bad());
            }
        }
        let route = routed(&body.method)?;
        if route.provider.id() != body.provider.as_ref() {
            return Err(bad());
        }
        let instrument = match (secure, sealed.expose().is_empty()) {
            (true, _) => Instrument::SecureToken(sealed),
            (false, true) => Instrument::Fields,
            (false, false) => Instrument::Token(sealed),
        };
        let expected = row.version;
        let spent = TokenRow {
            used_at: Some(micros(now)),
            version: expected + 1,
            ..row
        };
        let guard = Guard::Update {
            table: TokenRow::TABLE,
            row: spent.into_values(),
            expected,
        };
        let details = Details {
            method: body.method,
            instrument,
            fields: body.fields,
        };
        Ok(Chosen {
            details,
            route,
            customer: None,
            guards: vec![guard],
        })
    }

    /// A token that the provider gave to the browser itself, so that the number never touched us. The provider checks it.
    fn foreign_token(
        &self,
        id: &str,
        routed: &(dyn Fn(&str) -> Result<Route, Problem> + Sync),
    ) -> Option<Chosen> {
        let shaped = id.starts_with("tok_") && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !shaped {
            return None;
        }
        let route = routed("credit_card").ok()?;
        let details = Details {
            method: "credit_card".into(),
            instrument: Instrument::Token(kessai_core::Secret::new(id)),
            fields: Map::new(),
        };
        Some(Chosen {
            details,
            route,
            customer: None,
            guards: vec![],
        })
    }

    /// Begins a 3-D Secure authentication.
    ///
    /// # Errors
    /// As for the details themselves.
    pub async fn create_secure_token(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        command: CreateSecureToken,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, async {
            let now = self.now();
            let amount = Money::new(command.amount, command.currency)
                .map_err(|_| Problem::invalid("amount", "Amount must be greater than 0"))?;
            let Chosen {
                details,
                route,
                guards,
                ..
            } = self.choose(shop, &command.source, None, now).await?;
            let Some(tokens) = route
                .provider
                .tokens()
                .filter(|_| details.method.as_ref() == "credit_card")
            else {
                return Err(Problem::invalid("payment_details", "Only cards can be authenticated").into());
            };
            let id = SecureTokenId::new(now, self.entropy.as_ref());
            let request = Authenticate {
                instrument: details.instrument,
                amount,
                // The shopper comes back through us: the shop knows our id, not the provider's.
                return_url: format!("{}/secure_tokens/{id}/return", self.settings.public_url).into(),
            };
            let call = self.call(route.account.clone(), format!("{id}_s"));
            let made = plain(tokens.authenticate(&call, &request).await)?;
            if !guards.is_empty()
                && !self
                    .store
                    .commit(ChangeSet { guards, ops: vec![] })
                    .await?
                    .is_done()
            {
                return Err(Problem::new("invalid_token").into());
            }
            let body = TokenBody {
                provider: route.provider.id().into(),
                method: details.method,
                fields: details::shown(&details.fields),
                status: Some(made.verification_status.clone()),
                authentication_url: made.authentication_url.clone(),
                return_url: Some(command.return_url.clone()),
                amount: Some(amount),
            };
            let answer = Answer::ok(secure_token_json(id.as_str(), &made, now));
            self.keep_token(
                shop,
                key,
                id.as_str(),
                "secure_token",
                made.token.expose(),
                &body,
                &answer,
                now,
            )
            .await
        })
        .await
    }

    /// Where an authentication stands, asked of the provider.
    async fn authentication(&self, shop: &Shop, id: &str) -> Result<SecureToken, Problem> {
        let found = self.read_token(&shop.id, id).await?;
        let (row, body) = found
            .filter(|(row, _)| row.kind.as_ref() == "secure_token")
            .ok_or_else(Problem::not_found)?;
        let sealed = self
            .vault
            .open(&place(&shop.id, id), &row.sealed)
            .map_err(|_| Problem::not_found())?;
        let (Some(provider), Some(account)) =
            (self.provider(&body.provider), shop.accounts.get(&body.provider))
        else {
            return Err(Problem::new("service_unavailable"));
        };
        let tokens = provider.tokens().ok_or_else(Problem::not_found)?;
        let call = self.call(account.clone(), format!("{id}_g"));
        plain(tokens.authentication(&call, &sealed).await)
    }

    /// `GET /secure_tokens/{id}`.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn show_secure_token(&self, shop: &Shop, id: &str) -> Result<String, Problem> {
        let now = self.authentication(shop, id).await?;
        let row = repo::token(self.store.as_ref(), &shop.id, id)
            .await?
            .ok_or_else(Problem::not_found)?;
        Ok(secure_token_json(id, &now, instant(row.created_at)))
    }

    /// Where the browser goes after an authentication: the shop's page, with our id.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn secure_token_return(&self, id: &str) -> Result<String, Problem> {
        let shop = repo::token_owner(self.store.as_ref(), id)
            .await?
            .ok_or_else(Problem::not_found)?;
        let (_, body) = self.read_token(&shop, id).await?.ok_or_else(Problem::not_found)?;
        let url = body.return_url.ok_or_else(Problem::not_found)?;
        Ok(crate::wire::with_query(&url, "secure_token_id", id))
    }
}

fn secure_token_json(id: &str, token: &SecureToken, created_at: Timestamp) -> String {
    json!({
        "id": id,
        "secure_token": id,
        "verification_status": token.verification_status,
        "authentication_url": token.authentication_url,
        "created_at": wire_utc(created_at),
    })
    .to_string()
}
