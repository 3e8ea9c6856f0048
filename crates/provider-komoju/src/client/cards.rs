//! Tokens, authentications and stored cards. No money moves here.
use super::{Ask, Komoju, ask, given, object, payment_details, segment};
use crate::map::{self, Asked, Refusal};
use crate::wire::{Customer, SecureToken, Token, Unreadable};
use async_trait::async_trait;
use kessai_core::{Currency, Secret};
use kessai_provider::port::{
    Authenticate, Call, Instrument, Outcome, Rejection, SecureToken as Authentication, Stored,
    Token as OneTimeToken, Tokens, Vault,
};
use kessai_provider::transport::Method;
use serde_json::{Map, Value, json};

fn rejected(message: &str) -> Refusal {
    let (code, param) = ("invalid_parameter".into(), Some("payment_details".into()));
    Refusal::Rejected(Rejection {
        code,
        message: message.into(),
        param,
        status: 0,
    })
}

#[async_trait]
impl Tokens for Komoju {
    async fn tokenize(
        &self,
        call: &Call,
        method: &str,
        instrument: &Instrument,
        fields: &Map<String, Value>,
    ) -> Outcome<OneTimeToken> {
        let sent = async {
            let details = payment_details(method, instrument, fields, None);
            if !details.is_object() || matches!(instrument, Instrument::Stored(_)) {
                return Err(rejected("only payment details can be turned into a token"));
            }
            let asking = Ask::post(
                "/tokens".into(),
                json!({"payment_details": details}),
                &call.key,
                Asked::Other,
            );
            let body = ask(
                call,
                Ask {
                    publishable: true,
                    ..asking
                },
            )
            .await?;
            let token = Token::read(&body)?;
            let details = map::details(&token.payment_details);
            Ok(Outcome::Succeeded(OneTimeToken {
                token: Secret::new(token.id),
                details,
            }))
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }

    async fn authenticate(&self, call: &Call, request: &Authenticate) -> Outcome<Authentication> {
        let sent = async {
            let mut body = object(json!({
                "amount": request.amount.minor(),
                "currency": request.amount.currency().code(),
                "return_url": &*request.return_url,
            }));
            match &request.instrument {
                Instrument::Stored(customer) => _ = body.insert("customer".into(), customer.expose().into()),
                card @ (Instrument::Card(_) | Instrument::Token(_)) => {
                    let details = payment_details("credit_card", card, &Map::new(), None);
                    body.insert("payment_details".into(), details);
                }
                Instrument::SecureToken(_) | Instrument::Fields | Instrument::Prepaid(_) => {
                    return Err(rejected("only cards can be authenticated"));
                }
            }
            let asking = Ask::post("/secure_tokens".into(), body.into(), &call.key, Asked::Other);
            let body = ask(
                call,
                Ask {
                    publishable: true,
                    ..asking
                },
            )
            .await?;
            Ok(Outcome::Succeeded(authentication(SecureToken::read(&body)?)))
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }

    async fn authentication(&self, call: &Call, token: &Secret) -> Outcome<Authentication> {
        let sent = async {
            let asking = Ask {
                shown: Some("/secure_tokens/{id}"),
                publishable: true,
                ..Ask::get(format!("/secure_tokens/{}", segment(token.expose())))
            };
            let found = SecureToken::read(&ask(call, asking).await?)?;
            if found.id != token.expose() {
                return Err(Unreadable("another authentication came back".into()).into());
            }
            Ok(Outcome::Succeeded(authentication(found)))
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }
}

fn authentication(token: SecureToken) -> Authentication {
    Authentication {
        token: Secret::new(token.id),
        verification_status: token.verification_status.into(),
        authentication_url: token.authentication_url.map(Into::into),
    }
}

#[async_trait]
impl Vault for Komoju {
    async fn store(
        &self,
        call: &Call,
        existing: Option<&Secret>,
        instrument: &Instrument,
        email: Option<&str>,
        currency: Option<Currency>,
    ) -> Outcome<Stored> {
        let sent = async {
            let details = match instrument {
                Instrument::Card(_) | Instrument::Token(_) | Instrument::SecureToken(_) => {
                    payment_details("credit_card", instrument, &Map::new(), None)
                }
                Instrument::Stored(_) | Instrument::Fields | Instrument::Prepaid(_) => {
                    return Err(rejected("only cards can be stored"));
                }
            };
            let mut body = object(json!({"payment_details": details}));
            given(&mut body, "email", email);
            given(&mut body, "currency", currency.map(Currency::code));
            let asking = match existing {
                None => Ask::post("/customers".into(), body.into(), &call.key, Asked::Other),
                Some(customer) => Ask {
                    method: Method::Patch,
                    shown: Some("/customers/{id}"),
                    body: Some(body.into()),
                    ..Ask::get(format!("/customers/{}", segment(customer.expose())))
                },
            };
            let customer = Customer::read(&ask(call, asking).await?)?;
            if existing.is_some_and(|existing| existing.expose() != customer.id) {
                return Err(Unreadable("another customer came back".into()).into());
            }
            let details = map::details(&customer.source);
            Ok(Outcome::Succeeded(Stored {
                reference: Secret::new(customer.id),
                details,
            }))
        };
        sent.await.unwrap_or_else(Refusal::outcome)
    }

    async fn forget(&self, call: &Call, reference: &Secret) -> Outcome<()> {
        let asking = Ask {
            method: Method::Delete,
            shown: Some("/customers/{id}"),
            ..Ask::get(format!("/customers/{}", segment(reference.expose())))
        };
        match ask(call, asking).await {
            Ok(_) => Outcome::Succeeded(()),
            // Forgotten already: what was wished for is so.
            Err(Refusal::Rejected(Rejection { status: 404, .. })) => Outcome::Succeeded(()),
            Err(refusal) => refusal.outcome(),
        }
    }
}
