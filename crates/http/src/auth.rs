//! Who calls, and whether they may.
use crate::app::{App, is_id};
use crate::problem::Refused;
use axum::extract::{FromRequestParts, Path};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::AUTHORIZATION;
use http::request::Parts;
use kessai_core::Secret;
use kessai_engine::{Caller, KeyKind, Problem, Shop};
use std::sync::Arc;

/// The versions of the API that a caller may name.
///
/// Source: docs/providers/komoju.md, "Transport".
const VERSIONS: [&str; 2] = ["2025-01-28", "2024-07-15"];
const KEY_MOST: usize = 200;
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A shop that called with its secret key.
pub(crate) struct WithSecret(pub Arc<Shop>);

/// A shop that called with either of its keys.
pub(crate) struct WithEither(pub Arc<Shop>);

impl FromRequestParts<App> for WithSecret {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        let caller = caller(parts, app).await?;
        match caller.kind {
            KeyKind::Secret => Ok(Self(caller.shop)),
            KeyKind::Publishable => Err(Problem::new("forbidden").into()),
        }
    }
}

impl FromRequestParts<App> for WithEither {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        Ok(Self(caller(parts, app).await?.shop))
    }
}

async fn caller(parts: &Parts, app: &App) -> Result<Caller, Problem> {
    let key = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|header| key(header.as_bytes()));
    let key = key.ok_or_else(|| Problem::new("unauthorized"))?;
    let caller = app.engine.caller(key.expose()).await?;
    if let Some(version) = parts.headers.get("x-komoju-api-version")
        && !VERSIONS
            .iter()
            .any(|known| known.as_bytes() == version.as_bytes())
    {
        return Err(Problem {
            param: Some("X-KOMOJU-API-VERSION".into()),
            ..Problem::with(
                "bad_request",
                "The API version is not known; known are 2025-01-28 and 2024-07-15.",
            )
        });
    }
    Ok(caller)
}

/// The user name of HTTP Basic authentication, with or without the colon after it.
///
/// Source: docs/providers/komoju.md, "Transport" (two of the official clients leave the colon out).
pub(crate) fn key(header: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, credentials) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || credentials.len() > KEY_MOST * 2 {
        return None;
    }
    let decoded = String::from_utf8(LENIENT.decode(credentials.trim()).ok()?).ok()?;
    let user = decoded.split(':').next().unwrap_or_default();
    (!user.is_empty() && user.len() <= KEY_MOST).then(|| Secret::new(user))
}

/// The id in a path. What has not the shape of one is not found.
pub(crate) struct Id(pub String);

impl FromRequestParts<App> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(id)) if is_id(&id) => Ok(Self(id)),
            _ => Err(Problem::not_found().into()),
        }
    }
}

/// Two ids in a path.
pub(crate) struct Ids(pub String, pub String);

impl FromRequestParts<App> for Ids {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        match Path::<(String, String)>::from_request_parts(parts, app).await {
            Ok(Path((one, other))) if is_id(&one) && is_id(&other) => Ok(Self(one, other)),
            _ => Err(Problem::not_found().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_and_without_the_colon_and_whatever_the_password() {
        for text in ["sk_test_1:", "sk_test_1", "sk_test_1:ignored:too"] {
            let header = format!("Basic {}", LENIENT.encode(text));
            assert_eq!(key(header.as_bytes()).unwrap().expose(), "sk_test_1", "{text}");
            let unpadded = header.trim_end_matches('=').replace("Basic", "bAsIc");
            assert_eq!(key(unpadded.as_bytes()).unwrap().expose(), "sk_test_1", "{text}");
        }
    }

    #[test]
    fn what_is_no_basic_authentication_holds_no_key() {
        let empty = format!("Basic {}", LENIENT.encode(":password"));
        let long = format!("Basic {}", LENIENT.encode("x".repeat(201)));
        for header in [
            "",
            "Basic",
            "Basic !!!",
            "Bearer sk_test_1",
            "Basic \u{3042}",
            &empty,
            &long,
        ] {
            assert!(key(header.as_bytes()).is_none(), "{header}");
        }
    }
}
