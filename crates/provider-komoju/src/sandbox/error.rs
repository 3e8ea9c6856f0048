//! KOMOJU's errors. Source: docs/providers/komoju.md, section 5.
use kessai_provider::sandbox::BooksError;
use serde_json::{Value, json};

const TABLE: &[(&str, u16, &str)] = &[
    ("bad_request", 400, "The request could not be understood."),
    ("unauthorized", 401, "The API key is missing or wrong."),
    ("request_failed", 402, "The request failed."),
    ("forbidden", 403, "This API key is not allowed to do that."),
    ("not_found", 404, "The requested resource could not be found."),
    ("unprocessable_entity", 422, "The request cannot be carried out."),
    ("missing_parameter", 422, "A required parameter is missing"),
    ("invalid_parameter", 422, "A parameter is invalid"),
    ("invalid_payment_type", 422, "The payment type is invalid."),
    ("invalid_token", 422, "The token is invalid."),
    ("invalid_currency", 422, "The currency is invalid."),
    (
        "not_refundable",
        422,
        "The payment you requested is not refundable.",
    ),
    (
        "not_capturable",
        422,
        "The payment you requested is not capturable.",
    ),
    (
        "not_cancellable",
        422,
        "The payment you requested is not cancellable.",
    ),
    ("fraudulent", 422, "The payment could not be completed."),
    ("internal_server_error", 500, "Something went wrong."),
    ("bad_gateway", 502, "The upstream service failed."),
    ("card_declined", 502, "Your card has been declined."),
    ("card_expired", 502, "Your card has expired."),
    (
        "bad_verification_value",
        502,
        "The security code you have entered is incorrect.",
    ),
    ("exceeds_limit", 502, "Exceeds card limit"),
    ("insufficient_funds", 502, "Insufficient funds"),
    ("used_number", 502, "The number has already been used."),
    ("invalid_number", 502, "The number is invalid."),
    ("invalid_password", 502, "The password is invalid."),
    ("invalid_account", 502, "The account is invalid."),
    ("restricted_account", 502, "The account is restricted."),
    ("invalid_user_key", 502, "The user key is invalid."),
    ("other_error", 502, "An error occurred."),
    ("other_invalid", 502, "Invalid card"),
    ("service_unavailable", 503, "The service is under maintenance."),
    (
        "gateway_timeout",
        504,
        "The upstream service did not answer in time.",
    ),
];

/// One error, as the wire shows it.
#[derive(Debug)]
pub(super) struct ApiError {
    pub status: u16,
    code: String,
    pub message: String,
    param: Option<String>,
}

impl ApiError {
    /// A listed code with its status and message; an unlisted one stands for a card declined in a way nobody foresaw.
    pub fn of(code: &str) -> Self {
        let (status, message) = TABLE.iter().find(|(listed, _, _)| *listed == code).map_or(
            (502, "The payment could not be completed."),
            |(_, status, message)| (*status, *message),
        );
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            param: None,
        }
    }

    /// The error with an HTTP status, whatever it is about.
    pub fn with_status(status: u16) -> Self {
        let code = TABLE
            .iter()
            .find(|(_, listed, _)| *listed == status)
            .map_or("request_failed", |(code, _, _)| code);
        Self {
            status,
            ..Self::of(code)
        }
    }

    pub fn missing(param: &str) -> Self {
        Self {
            message: format!("A required parameter ({param}) is missing"),
            param: Some(param.to_owned()),
            ..Self::of("missing_parameter")
        }
    }

    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: Some(param.to_owned()),
            ..Self::of("invalid_parameter")
        }
    }

    pub fn impossible(message: &str) -> Self {
        Self::of("unprocessable_entity").saying(message)
    }

    pub fn saying(self, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..self
        }
    }

    pub fn about(self, param: &str) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..self
        }
    }

    /// The inner object, without the envelope.
    pub fn object(&self) -> Value {
        json!({"code": self.code, "message": self.message, "param": self.param, "details": {}})
    }
}

/// Why a request ends without being carried out.
#[derive(Debug)]
pub(super) enum Fail {
    /// The wire's own error; nothing was booked for it.
    Api(ApiError),
    /// The books failed; the transaction is rolled back.
    Books(BooksError),
}

impl From<ApiError> for Fail {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<BooksError> for Fail {
    fn from(error: BooksError) -> Self {
        Self::Books(error)
    }
}

impl From<serde_json::Error> for Fail {
    fn from(error: serde_json::Error) -> Self {
        Self::Books(error.into())
    }
}

/// What an operation returns.
pub(super) type Done<T> = Result<T, Fail>;
