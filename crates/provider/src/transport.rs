//! The network, passed in. The transport alone decides whether a request provably never left.
use async_trait::async_trait;
use bytes::Bytes;

/// HTTP methods the providers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are HTTP's")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Reads an upper-case method name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Get,
            Self::Post,
            Self::Put,
            Self::Patch,
            Self::Delete,
            Self::Options,
        ]
        .into_iter()
        .find(|m| m.as_str() == text)
    }
}

/// One HTTP request to the outside. Its `Debug` shows neither headers nor body: both may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, empty for none.
    pub body: Bytes,
    /// How long to wait for the whole reply, in milliseconds of real time.
    pub timeout_ms: u64,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        write!(
            f,
            "Request({} {path}, {} bytes)",
            self.method.as_str(),
            self.body.len()
        )
    }
}

/// The reply to a [`Request`].
#[derive(Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body; transports refuse one above [`MAX_REPLY_BYTES`] as [`TransportFault::Lost`].
    pub body: Bytes,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

impl Reply {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// No provider's reply is larger than this.
pub const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// The request provably never left: refused, unresolved, or TLS failed. May be sent again under the same key.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have arrived: a lost reply, a time-out after the first byte, a body cut short.
    #[error("sent, but no answer: {0}")]
    Lost(String),
}

/// Sends requests. Implementations never resend by themselves.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request once and waits for the whole reply, at most `request.timeout_ms`.
    async fn send(&self, request: Request) -> Result<Reply, TransportFault>;
}
