//! What the simulated parts hand to the world. Nothing in here completes by itself: a future says what it wishes and waits until the
//! world decides what becomes of it.
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use kessai_core::Clock;
use kessai_provider::transport::{Method, Reply, Request, Transport, TransportFault};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Whose wish it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A life of a node: its number, and how often it was started before.
    Node(usize, u64),
    /// Merchants and shoppers.
    People,
}

/// How a request to the hub ended for its caller; `None`: no answer came.
pub type Heard = Option<Seen>;

/// An answer as its caller sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// A request to the hub.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `POST` or another.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// A wish.
pub enum Wish {
    /// To send something over the network.
    Send {
        /// Whose.
        owner: Owner,
        /// Whether it goes to a shop's webhook endpoint, not to a provider.
        webhook: bool,
        /// What.
        request: Request,
        /// Who waits.
        heard: oneshot::Sender<Result<Reply, TransportFault>>,
    },
    /// To wait.
    Wait {
        /// Whose.
        owner: Owner,
        /// How long, in microseconds.
        us: i64,
        /// Who waits.
        heard: oneshot::Sender<()>,
    },
    /// To ask the hub something.
    Call {
        /// What.
        ask: Ask,
        /// Who waits.
        heard: oneshot::Sender<Heard>,
    },
    /// A node has an answer.
    Answered {
        /// To which call.
        call: u64,
        /// Which.
        seen: Seen,
    },
    /// A shopper does something about a payment of ours at the provider.
    Shopper {
        /// The payment.
        payment: String,
        /// `pay`, `approve`, `abort`, `fail`.
        act: &'static str,
        /// Another amount than was asked for.
        amount: Option<i64>,
        /// Whether it was possible.
        heard: oneshot::Sender<bool>,
    },
    /// Somebody saw what must not be.
    Broken(String),
    /// A count for the coverage table.
    Count(&'static str),
}

/// The wishes since the world last looked.
#[derive(Clone, Default)]
pub struct Wishes(Arc<Mutex<Vec<Wish>>>);

impl Wishes {
    /// Adds one.
    pub fn push(&self, wish: Wish) {
        self.lock().push(wish);
    }

    /// Takes all.
    pub fn take(&self) -> Vec<Wish> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Wish>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so many microseconds of the world's time.
    pub async fn wait(&self, owner: Owner, us: i64) {
        let (heard, hear) = oneshot::channel();
        self.push(Wish::Wait { owner, us, heard });
        // dropped with the world
        let _ = hear.await;
    }
}

/// The world's time, and nodes' clocks that differ from it.
#[derive(Clone)]
pub struct SimClock {
    now_us: Arc<AtomicI64>,
    skew_us: Arc<AtomicI64>,
}

impl SimClock {
    /// The world's own.
    pub fn new(now_us: i64) -> Self {
        Self {
            now_us: Arc::new(now_us.into()),
            skew_us: Arc::default(),
        }
    }

    /// A node's, that runs with it, off by some microseconds.
    pub fn skewed(&self, us: i64) -> Self {
        Self {
            now_us: self.now_us.clone(),
            skew_us: Arc::new(us.into()),
        }
    }

    /// Moves on.
    pub fn set(&self, now_us: i64) {
        self.now_us.store(now_us, Ordering::Relaxed);
    }

    /// Sets it right.
    pub fn correct(&self) {
        self.skew_us.store(0, Ordering::Relaxed);
    }

    /// In microseconds.
    pub fn us(&self) -> i64 {
        self.now_us.load(Ordering::Relaxed) + self.skew_us.load(Ordering::Relaxed)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.us()).expect("within the calendar")
    }
}

/// A node's network.
pub struct Net {
    /// Where wishes go.
    pub wishes: Wishes,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it leads to webhook endpoints.
    pub webhook: bool,
}

#[async_trait]
impl Transport for Net {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        let (heard, hear) = oneshot::channel();
        self.wishes.push(Wish::Send {
            owner: self.owner,
            webhook: self.webhook,
            request,
            heard,
        });
        hear.await
            .unwrap_or_else(|_| Err(TransportFault::Lost("the world ended".to_owned())))
    }
}

/// What a URL's path and query are, below a base.
pub fn below<'a>(url: &'a str, base: &str) -> Option<&'a str> {
    url.strip_prefix(base)
}

/// A method the sandbox knows.
pub fn method(name: &str) -> Method {
    Method::parse(name).expect("one of ours")
}
