//! 3-D Secure authentications.
use super::{answered, refuse};
use crate::app::App;
use crate::auth::{Id, WithEither};
use crate::body::Asked;
use crate::fields::{AMOUNT_MOST, Fields};
use crate::openapi as schema;
use crate::problem::Handled;
use axum::extract::State;
use kessai_engine::Problem;
use kessai_engine::tokens::CreateSecureToken;

/// Begin a 3-D Secure authentication
///
/// Send the shopper to `authentication_url`; back at `return_url`, ask where it stands and charge the id when it is `OK` or `SKIPPED`.
#[utoipa::path(post, path = "/api/v1/secure_tokens", tag = "tokens", request_body = schema::NewSecureToken,
    responses((status = 200, description = "The authentication", body = schema::SecureToken)))]
pub(crate) async fn create_secure_token(
    State(app): State<App>,
    WithEither(shop): WithEither,
    asked: Asked,
) -> Handled {
    let (key, read) = asked.read(read_secure_token);
    match read {
        Ok(command) => answered(app.engine.create_secure_token(&shop, key.as_ref(), command).await),
        Err(problem) => refuse(&app, &shop, key.as_ref(), problem).await,
    }
}

pub(crate) fn read_secure_token(mut fields: Fields) -> Result<CreateSecureToken, Problem> {
    let amount = fields
        .amount("amount")?
        .ok_or_else(|| Problem::missing("amount"))?;
    // What is authenticated is what will be charged. A tax that is not named is not known here, so it is not guessed.
    let amount = amount + fields.tax()?.unwrap_or(0);
    if amount > AMOUNT_MOST {
        return Err(Problem::invalid(
            "amount",
            format!("amount and tax must be at most {AMOUNT_MOST}"),
        ));
    }
    Ok(CreateSecureToken {
        amount,
        currency: fields.currency()?.ok_or_else(|| Problem::missing("currency"))?,
        return_url: fields
            .return_url("return_url")?
            .ok_or_else(|| Problem::missing("return_url"))?,
        source: fields.source()?,
    })
}

/// Show a 3-D Secure authentication
#[utoipa::path(get, path = "/api/v1/secure_tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 200, description = "The authentication", body = schema::SecureToken)))]
pub(crate) async fn show_secure_token(
    State(app): State<App>,
    WithEither(shop): WithEither,
    Id(id): Id,
) -> Handled {
    Ok(app.engine.show_secure_token(&shop, &id).await?.into())
}
