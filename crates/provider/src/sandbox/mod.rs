//! What every sandbox is made of. A sandbox is a state machine behind [`crate::transport::Transport`]: the same code answers
//! in-process (tests, simulation, demo) or over HTTP (`kessai sandbox`); it has its own wire types and its own books.

#[cfg(feature = "sandbox")]
pub mod books;
#[allow(
    clippy::disallowed_types,
    reason = "what serde derives for a tagged enum names f32 and f64; nothing here holds one"
)]
pub mod faults;
pub mod in_process;

#[cfg(feature = "sandbox")]
pub use books::{Books, BooksError, Page};
pub use faults::{Drawn, FaultKind, FaultRule, Faults};
pub use in_process::InProcess;

use crate::transport::{Method, Reply, Request};
use bytes::Bytes;
use jiff::Timestamp;

/// A request as a sandbox sees it.
#[derive(Clone)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// Path and query, as `/api/v1/payments?page=1`.
    pub path_and_query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as received.
    pub body: Bytes,
}

impl Ask {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// The query without its `?`, empty for none.
    pub fn query(&self) -> &str {
        self.path_and_query.split_once('?').map_or("", |(_, q)| q)
    }
}

/// What becomes of a request, as its sender sees it.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A reply, possibly late.
    Reply {
        /// The reply.
        reply: Reply,
        /// How long the sender waits for it, in milliseconds.
        after_ms: u64,
    },
    /// The connection was refused: nothing was booked.
    Refused,
    /// The connection broke without a reply. What was asked may or may not stand in the books.
    Dropped,
}

/// A notification a sandbox owes, ready to be sent.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Identifies it towards [`Sandbox::noticed`].
    pub id: String,
    /// The whole request.
    pub request: Request,
}

/// A provider's sandbox: request and instant in, answer out.
pub trait Sandbox: Send + Sync {
    /// The provider's name, as `komoju`.
    fn name(&self) -> &'static str;

    /// Answers one request (API, page or control) at `now`. What it books is in its file before it returns.
    fn answer(&self, ask: &Ask, now: Timestamp) -> Answer;

    /// Answers several requests at `now`, in their order. What they book is in the file before this returns; who can books them
    /// in one go.
    fn answer_all(&self, asks: &[Ask], now: Timestamp) -> Vec<Answer> {
        asks.iter().map(|ask| self.answer(ask, now)).collect()
    }

    /// Lets time pass: slips lapse, authorizations expire. Called before answers and whenever the clock moves.
    fn pass_time(&self, now: Timestamp);

    /// Takes up to `limit` notifications due at `now`, oldest first, leasing each for a minute of sandbox time.
    fn due_notices(&self, now: Timestamp, limit: usize) -> Vec<Notice>;

    /// Says how a notification went: the HTTP status it was answered with, or none if it was not answered.
    fn noticed(&self, id: &str, status: Option<u16>, now: Timestamp);
}
