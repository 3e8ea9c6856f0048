//! Every way the API says no: one table of codes, and the envelope they travel in.
use serde::Serialize;
use std::borrow::Cow;

/// One error code of the API. Codes are forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// As it stands on the wire.
    pub name: &'static str,
    /// The HTTP status it travels with.
    pub status: u16,
    /// The usual message.
    pub message: &'static str,
    /// What the caller should do.
    pub advice: &'static str,
}

macro_rules! codes {
    ($($name:ident $status:literal $message:literal $advice:literal;)+) => {
        /// Every code the API answers with.
        ///
        /// Source: docs/providers/komoju.md, "Errors".
        pub const CODES: &[Code] = &[$(Code {
            name: stringify!($name), status: $status, message: $message, advice: $advice,
        }),+];
    };
}

codes! {
    bad_request 400 "The request could not be read." "Mend the request; nothing was done.";
    unauthorized 401 "The API key is missing or wrong." "Send the key as the user name of HTTP Basic authentication.";
    request_failed 402 "The request failed." "Nothing was charged; look at the message.";
    forbidden 403 "This key may not do that." "Use the secret key, on a server.";
    not_found 404 "The requested resource could not be found." "Check the id and the shop it belongs to.";
    method_not_allowed 405 "The resource does not know this method." "See the API's documentation.";
    request_timeout 408 "The request took too long to arrive." "Send it again, faster; nothing was done.";
    conflict 409 "Another request with this key, or on this payment, is still running." "Wait a moment and ask again.";
    payload_too_large 413 "The request is too large." "Send at most 1 MiB; nothing was done.";
    unsupported_media_type 415 "The content type is not understood." "Send JSON, a form or multipart; nothing was done.";
    unprocessable_entity 422 "The request could not be carried out." "Look at the message; nothing was charged.";
    missing_parameter 422 "A required parameter is missing." "Send the parameter named in param.";
    invalid_parameter 422 "A parameter is invalid." "Mend the parameter named in param.";
    invalid_payment_type 422 "The payment type is unknown or not offered." "Choose one of the offered types.";
    invalid_token 422 "The token is unknown, used or expired." "Make a new token.";
    invalid_currency 422 "The currency is not supported." "Choose a supported currency.";
    out_of_stock 422 "Not enough of this is in stock." "Nothing was charged; ask for fewer pieces, or for something else.";
    not_refundable 422 "The payment you requested is not refundable." "Look at the payment's status and method.";
    not_capturable 422 "The payment you requested is not capturable." "Only an authorized card payment made without automatic capture can be captured.";
    not_cancellable 422 "The payment you requested is not cancellable." "A captured payment can be refunded instead.";
    fraudulent 422 "The payment could not be completed." "Nothing was charged; offer another method.";
    card_declined 502 "Your card has been declined." "Nothing was charged; the shopper may use another card or method.";
    card_expired 502 "Your card has expired." "Nothing was charged; the shopper may use another card.";
    bad_verification_value 502 "The security code you have entered is incorrect." "Nothing was charged; ask for the code again.";
    exceeds_limit 502 "Exceeds card limit" "Nothing was charged; the shopper may use another card or method.";
    insufficient_funds 502 "Insufficient funds." "Nothing was charged; the shopper may use another card or method.";
    used_number 502 "The number has been used." "Nothing was charged; the shopper may use another number.";
    invalid_number 502 "The number is invalid." "Nothing was charged; ask for the number again.";
    invalid_password 502 "The password is invalid." "Nothing was charged; ask again.";
    invalid_account 502 "The account is invalid." "Nothing was charged; the shopper may use another method.";
    restricted_account 502 "The account is restricted." "Nothing was charged; the shopper may use another method.";
    invalid_user_key 502 "The user key is invalid." "Nothing was charged; the shopper may use another method.";
    other_invalid 502 "Invalid card" "Nothing was charged; ask for the card again.";
    other_error 502 "The payment could not be completed." "Nothing was charged; the shopper may use another method.";
    bad_gateway 502 "The provider refused our request." "Nothing was charged; the operator has been told.";
    internal_server_error 500 "Something went wrong here." "Ask again with the same idempotency key.";
    service_unavailable 503 "The provider cannot be reached, or this server is overloaded." "Nothing was sent; try again shortly.";
    gateway_timeout 504 "The provider did not answer." "Nothing was charged; try again.";
}

/// The table's row for a name; an unlisted name is `other_error`.
pub fn code(name: &str) -> Code {
    find(name).unwrap_or_else(|| find("other_error").expect("listed"))
}

fn find(name: &str) -> Option<Code> {
    CODES.iter().copied().find(|code| code.name == name)
}

/// A no, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub code: Code,
    /// In words.
    pub message: Cow<'static, str>,
    /// The parameter that is to blame.
    pub param: Option<Cow<'static, str>>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'static str,
    message: &'a str,
    param: Option<&'a str>,
    details: Empty,
}

#[derive(Serialize)]
struct Empty {}

impl Problem {
    /// The usual words of a code.
    pub fn new(name: &str) -> Self {
        let code = code(name);
        Self {
            code,
            message: code.message.into(),
            param: None,
        }
    }

    /// A code with other words.
    pub fn with(name: &str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            ..Self::new(name)
        }
    }

    /// A required parameter is missing.
    pub fn missing(param: impl Into<Cow<'static, str>>) -> Self {
        let param = param.into();
        Self {
            message: format!("A required parameter ({param}) is missing").into(),
            param: Some(param),
            ..Self::new("missing_parameter")
        }
    }

    /// A parameter is wrong.
    pub fn invalid(param: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            param: Some(param.into()),
            ..Self::new("invalid_parameter")
        }
    }

    /// No such thing, or not yours.
    pub fn not_found() -> Self {
        Self::new("not_found")
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.code.status
    }

    /// `{"error":{…}}`.
    pub fn body(&self) -> String {
        self.render(None)
    }

    /// `{"status":"error","error":{…}}`, as a failed session pay answers.
    pub fn pay_body(&self) -> String {
        self.render(Some("error"))
    }

    fn render(&self, status: Option<&'static str>) -> String {
        let inner = Inner {
            code: self.code.name,
            message: &self.message,
            param: self.param.as_deref(),
            details: Empty {},
        };
        serde_json::to_string(&Envelope { status, error: inner }).expect("plain data")
    }

    /// Whether the answer is kept for its idempotency key: what would be answered again anyway, or was decided for good.
    pub fn is_kept(&self) -> bool {
        !matches!(self.code.status, 401 | 408 | 409 | 413 | 500 | 503 | 504)
    }
}

impl From<kessai_store::StoreError> for Problem {
    /// The store's trouble is ours: nothing is said about it but that it may pass.
    fn from(error: kessai_store::StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        use kessai_store::StoreError;
        if matches!(
            error,
            StoreError::Busy | StoreError::Unavailable { .. } | StoreError::InDoubt
        ) {
            Self::with(
                "service_unavailable",
                "The server is busy. Try again with the same idempotency key.",
            )
        } else {
            Self::new("internal_server_error")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_travel_in_the_envelope_of_the_reference() {
        assert_eq!(
            Problem::missing("amount").body(),
            r#"{"error":{"code":"missing_parameter","message":"A required parameter (amount) is missing","param":"amount","details":{}}}"#
        );
        assert_eq!(
            Problem::new("card_declined").pay_body(),
            r#"{"status":"error","error":{"code":"card_declined","message":"Your card has been declined.","param":null,"details":{}}}"#
        );
    }

    #[test]
    fn an_unlisted_code_is_shown_as_other_error() {
        assert_eq!(Problem::new("never_heard_of").code.name, "other_error");
    }
}
