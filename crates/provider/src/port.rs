//! The port: what the hub asks of a provider and how it is answered. What a provider cannot do is absent.
use crate::transport::{Reply, Request, Transport, TransportFault};
use async_trait::async_trait;
use jiff::Timestamp;
use kessai_core::capability::Capability;
use kessai_core::payment::{CaptureMode, Fact, Status};
use kessai_core::settle::{Answer, Seen};
use kessai_core::tax::Totals;
use kessai_core::{Currency, Money, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A shop's account at a provider, opened from its sealed form just before a call.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where the API is, without a trailing slash.
    pub base_url: Box<str>,
    /// Credentials by name, as `secret_key`, `publishable_key`, `webhook_secret`.
    pub secrets: BTreeMap<Box<str>, Secret>,
    /// Everything else by name, as `api_version`.
    pub settings: BTreeMap<Box<str>, Box<str>>,
    /// Whether real money moves.
    pub live: bool,
}

impl Account {
    /// The credential of that name, empty when there is none: the provider will say so.
    pub fn secret(&self, name: &str) -> &str {
        self.secrets.get(name).map_or("", Secret::expose)
    }
}

/// One request and its reply, masked, as the payment's timeline shows them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exchange {
    /// When it was sent, in microseconds since 1970.
    pub at_us: i64,
    /// `POST /payments`.
    pub call: Box<str>,
    /// The request body without secrets.
    #[serde(skip_serializing_if = "Value::is_null", default)]
    pub request: Value,
    /// The HTTP status, none when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The reply body without secrets, or what broke.
    #[serde(skip_serializing_if = "Value::is_null", default)]
    pub reply: Value,
}

/// One call to a provider: for whom, under which key, through which network, written down where.
pub struct Call {
    /// The shop's account there.
    pub account: Arc<Account>,
    /// Ours, made from the attempt's id; the same key is the same wish.
    pub key: Box<str>,
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// How long to wait for each reply, in milliseconds.
    pub timeout_ms: u64,
    /// When the call began.
    pub now: Timestamp,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Call {
    /// A call about to be made.
    pub fn new(
        account: Arc<Account>,
        key: impl Into<Box<str>>,
        transport: Arc<dyn Transport>,
        timeout_ms: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            account,
            key: key.into(),
            transport,
            timeout_ms,
            now,
            exchanges: Mutex::default(),
        }
    }

    /// Sends a request and remembers both sides. `masked` is the body as it may be shown.
    pub async fn send(&self, name: &str, masked: Value, request: Request) -> Result<Reply, TransportFault> {
        let answer = self.transport.send(request).await;
        let (status, reply) = match &answer {
            Ok(reply) => (Some(reply.status), Value::Null),
            Err(fault) => (None, Value::String(fault.to_string())),
        };
        let exchange = Exchange {
            at_us: self.now.as_microsecond(),
            call: name.into(),
            request: masked,
            status,
            reply,
        };
        self.exchanges.lock().expect("no panic while held").push(exchange);
        answer
    }

    /// Adds the masked reply to the last exchange, once it has been read.
    pub fn remember_reply(&self, masked: Value) {
        if let Some(last) = self.exchanges.lock().expect("no panic while held").last_mut() {
            last.reply = masked;
        }
    }

    /// What was said so far.
    pub fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.exchanges.lock().expect("no panic while held"))
    }
}

/// A card as a shopper typed it. Lives in memory for one call.
#[derive(Debug, Clone)]
pub struct Card {
    /// Digits only, at most 19.
    pub number: Secret,
    /// 1 to 12.
    pub month: u8,
    /// Four digits.
    pub year: u16,
    /// The security code, when given.
    pub verification_value: Option<Secret>,
    /// The holder, when given.
    pub name: Option<Box<str>>,
}

/// What is to be charged.
#[derive(Debug, Clone)]
pub enum Instrument {
    /// A card number.
    Card(Card),
    /// The provider's one-time token.
    Token(Secret),
    /// The provider's finished 3-D Secure authentication.
    SecureToken(Secret),
    /// What the provider stored for a customer.
    Stored(Secret),
    /// A method without a secret: its fields as the API names them.
    Fields,
    /// A method with a secret number (prepaid): the fields, and the secret ones apart.
    Prepaid(BTreeMap<Box<str>, Secret>),
}

/// Ask for money.
#[derive(Debug, Clone)]
pub struct Authorize {
    /// The method's slug.
    pub method: Box<str>,
    /// What is charged.
    pub instrument: Instrument,
    /// The method's public fields, as `store`, `email`, `phone`, `expiry_days`.
    pub fields: Map<String, Value>,
    /// How much.
    pub totals: Totals,
    /// When to take it.
    pub capture: CaptureMode,
    /// Whether a shopper is present in one of our sessions, so that 3-D Secure and hosted steps are possible.
    pub in_session: bool,
    /// Where the shopper comes back to.
    pub return_url: Option<Box<str>>,
    /// Where the shopper comes back to after giving up.
    pub cancel_url: Option<Box<str>>,
    /// `ja`, `en` or `ko`.
    pub locale: Box<str>,
    /// The shopper's address, when known.
    pub email: Option<Box<str>>,
    /// What the shop calls the purchase.
    pub description: Option<Box<str>>,
    /// Passed through in test mode.
    pub scenario: Option<Box<str>>,
    /// Passed through: what the shop knows against fraud.
    pub fraud_details: Option<Value>,
}

/// Which payment is meant: ours by key, theirs by reference when we know it.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The key of the attempt that authorized it.
    pub key: Box<str>,
    /// The provider's name for it.
    pub reference: Option<Box<str>>,
    /// The provider's name for the session it was made in, when there is one.
    pub session: Option<Box<str>>,
    /// What was asked for.
    pub totals: Totals,
    /// Its method's slug.
    pub method: Box<str>,
}

/// Where the shopper must go next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAction {
    /// The provider's page.
    pub redirect_url: Box<str>,
    /// An app link, when there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub app_url: Option<Box<str>>,
    /// Whether the page may be shown in a frame (3-D Secure).
    pub frameable: bool,
}

/// What the provider believes of one payment.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its name there; empty while the provider has not named it yet, and then `session` is set. An empty one is no reference:
    /// store it as none, and the next inquiry asks by session and key.
    pub reference: Box<str>,
    /// The name of its session there.
    pub session: Option<Box<str>>,
    /// Our key as it stands there, when it does.
    pub key: Option<Box<str>>,
    /// Its status in our words.
    pub status: Status,
    /// What was promised or is awaited.
    pub total: Money,
    /// What was taken.
    pub captured: Option<Money>,
    /// What went back, by the provider's names, oldest first.
    pub refunds: Vec<(Box<str>, Money)>,
    /// When it lapses.
    pub deadline_at: Option<Timestamp>,
    /// What may be shown of the instrument: brand, last four digits, slip numbers.
    pub details: Map<String, Value>,
    /// Why it failed, when it did.
    pub failure: Option<Box<str>>,
    /// Where the shopper must go, while pending.
    pub next: Option<NextAction>,
}

impl View {
    /// The part that is about money.
    pub fn seen(&self) -> Seen<'_> {
        Seen {
            status: self.status,
            total: self.total,
            captured: self.captured,
            refunds: &self.refunds,
            failure: self.failure.as_deref(),
        }
    }

    /// The view as facts, in the order they happened.
    pub fn facts(&self) -> Vec<Fact> {
        self.seen().facts()
    }
}

/// Understood and refused. No money moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// An error code of the API, as `card_declined`.
    pub code: Box<str>,
    /// The provider's own words.
    pub message: Box<str>,
    /// The provider's name for the failed payment, when it made one.
    pub reference: Option<Box<str>>,
}

/// Our request was wrong. No money moved; an operator must look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The provider's code.
    pub code: Box<str>,
    /// The provider's own words.
    pub message: Box<str>,
    /// The parameter that was wrong, when it says so.
    pub param: Option<Box<str>>,
    /// The HTTP status.
    pub status: u16,
}

/// Why we cannot tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// No answer came back.
    #[error("no answer: {0}")]
    Lost(String),
    /// A server error.
    #[error("HTTP {0}")]
    ServerError(u16),
    /// An answer we cannot read, or a status nobody listed.
    #[error("unreadable answer: {0}")]
    Unreadable(String),
}

/// What one call to a provider tells us. Not a `Result`: `?` would blur refusal and doubt.
#[must_use]
#[derive(Debug, Clone)]
pub enum Outcome<T> {
    /// Done.
    Succeeded(T),
    /// Accepted; the shopper or the provider still has a step to take.
    Pending(T),
    /// Understood and refused. No money moved; the shopper may try another method.
    Declined(Decline),
    /// Our request was wrong (credentials, a parameter). No money moved; an operator must look.
    Rejected(Rejection),
    /// The request provably never left this machine. Safe to send again under the same key.
    NotSent(String),
    /// It may have happened. Only an inquiry settles it. Never shown to anyone as a failure.
    Unknown(Doubt),
}

impl<T> Outcome<T> {
    /// As far as the payment is concerned. `rejected` is the code that the API shows for a rejection.
    pub fn answer<'a>(&'a self, rejected: &'a str) -> Answer<'a> {
        match self {
            Self::Succeeded(_) => Answer::Done,
            Self::Pending(_) => Answer::Accepted,
            Self::Declined(decline) => Answer::Declined(&decline.code),
            Self::Rejected(_) => Answer::Rejected(rejected),
            Self::NotSent(_) => Answer::NotSent,
            Self::Unknown(_) => Answer::Unknown,
        }
    }
}

/// Why an inquiry told us nothing. Ask again later.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InquiryError {
    /// The network or the provider is down.
    #[error("the provider did not answer: {0}")]
    NoAnswer(String),
    /// The answer makes no sense to us.
    #[error("unreadable answer: {0}")]
    Unreadable(String),
    /// Our credentials were refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// A notification as it came in.
pub struct RawNotification<'a> {
    /// Header names in lower case.
    pub headers: &'a [(String, String)],
    /// The body as received.
    pub body: &'a [u8],
}

/// What a genuine notification is about. It is a hint to inquire, never a fact by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The same text is the same notification.
    pub dedupe: Box<str>,
    /// Its type, for the timeline.
    pub kind: Box<str>,
    /// The provider's name for the payment, when it is about one.
    pub reference: Option<Box<str>>,
    /// Our key, when it names it.
    pub key: Option<Box<str>>,
}

/// Why a notification was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotificationRejected {
    /// It carries no signature.
    #[error("unsigned")]
    Unsigned,
    /// The signature is not the provider's.
    #[error("wrong signature")]
    Mismatch,
    /// Genuine, but not readable.
    #[error("unreadable")]
    Unreadable,
}

/// Where a browser turns a card number into a one-time token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserTokens {
    /// Takes a POST with `payment_details`, and answers a token whose `id` begins with `tok_`.
    pub url: Box<str>,
    /// Sent as the user name of HTTP Basic authentication; it may do nothing else.
    pub publishable_key: Box<str>,
}

/// A provider. Six verbs at most; the rest is mapping.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its name, as `komoju`.
    fn id(&self) -> &'static str;

    /// What it can do, method by method.
    fn capabilities(&self) -> &'static [Capability];

    /// Asks for money.
    async fn authorize(&self, call: &Call, request: &Authorize) -> Outcome<View>;

    /// What the provider believes now; `None` when it knows no such payment. Reads only; may be called any number of times.
    async fn inquire(&self, call: &Call, handle: &Handle) -> Result<Option<View>, InquiryError>;

    /// Verifies, then reads. No I/O: the same bytes always give the same answer.
    ///
    /// # Errors
    /// [`NotificationRejected`]; nothing may be done with such a notification but to count it.
    fn read_notification(
        &self,
        account: &Account,
        raw: &RawNotification<'_>,
    ) -> Result<Notification, NotificationRejected>;

    /// Where a browser turns a card number into a one-time token by itself, so that the number never touches us.
    fn browser_tokens(&self, account: &Account) -> Option<BrowserTokens> {
        let _ = account;
        None
    }

    /// Takes the money of an authorized payment.
    fn captures(&self) -> Option<&dyn Captures> {
        None
    }

    /// Gives up a payment before money moved.
    fn cancels(&self) -> Option<&dyn Cancels> {
        None
    }

    /// Returns money.
    fn refunds(&self) -> Option<&dyn Refunds> {
        None
    }

    /// Makes one-time tokens and authenticates cards.
    fn tokens(&self) -> Option<&dyn Tokens> {
        None
    }

    /// Stores cards for customers.
    fn vault(&self) -> Option<&dyn Vault> {
        None
    }
}

/// Takes the money of an authorized payment.
#[async_trait]
pub trait Captures: Send + Sync {
    /// Captures `totals`, which may be less than was authorized.
    async fn capture(&self, call: &Call, handle: &Handle, totals: Totals) -> Outcome<View>;
}

/// Gives up a payment before money moved.
#[async_trait]
pub trait Cancels: Send + Sync {
    /// Cancels it.
    async fn cancel(&self, call: &Call, handle: &Handle) -> Outcome<View>;
}

/// A bank account to send money back to.
#[derive(Debug, Clone)]
pub struct BankRefund {
    /// How much, none for everything.
    pub amount: Option<Money>,
    /// The fields as the API names them.
    pub fields: Map<String, Value>,
}

/// Returns money.
#[async_trait]
pub trait Refunds: Send + Sync {
    /// Returns `amount`.
    async fn refund(
        &self,
        call: &Call,
        handle: &Handle,
        amount: Money,
        description: Option<&str>,
    ) -> Outcome<View>;

    /// Asks for a bank transfer to the shopper. `None` when the provider has no such thing.
    fn bank_refunds(&self) -> Option<&dyn BankRefunds> {
        None
    }
}

/// Returns money by bank transfer.
#[async_trait]
pub trait BankRefunds: Send + Sync {
    /// Files the request; it is settled by people, days later.
    async fn request(&self, call: &Call, handle: &Handle, refund: &BankRefund) -> Outcome<View>;
}

/// A one-time token.
#[derive(Debug, Clone)]
pub struct Token {
    /// The provider's token.
    pub token: Secret,
    /// What may be shown of it.
    pub details: Map<String, Value>,
}

/// A 3-D Secure authentication.
#[derive(Debug, Clone)]
pub struct SecureToken {
    /// The provider's token.
    pub token: Secret,
    /// `NEEDS_VERIFY`, `OK`, `SKIPPED` or `ERRORED`.
    pub verification_status: Box<str>,
    /// Where the shopper authenticates.
    pub authentication_url: Option<Box<str>>,
}

/// What is to be authenticated.
#[derive(Debug, Clone)]
pub struct Authenticate {
    /// The card, a token or a stored card.
    pub instrument: Instrument,
    /// How much it will be charged.
    pub amount: Money,
    /// Where the shopper comes back to.
    pub return_url: Box<str>,
}

/// Makes one-time tokens and authenticates cards. No money moves, so a lost reply is a plain failure here.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Turns card details into a one-time token.
    async fn tokenize(
        &self,
        call: &Call,
        method: &str,
        instrument: &Instrument,
        fields: &Map<String, Value>,
    ) -> Outcome<Token>;

    /// Begins a 3-D Secure authentication.
    async fn authenticate(&self, call: &Call, request: &Authenticate) -> Outcome<SecureToken>;

    /// Where the authentication stands.
    async fn authentication(&self, call: &Call, token: &Secret) -> Outcome<SecureToken>;
}

/// A stored card.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The provider's name for the customer.
    pub reference: Secret,
    /// What may be shown of it: brand, last four digits, month, year.
    pub details: Map<String, Value>,
}

/// Stores cards for customers. No money moves.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Stores a card under a new customer, or replaces the one stored under `existing`.
    async fn store(
        &self,
        call: &Call,
        existing: Option<&Secret>,
        instrument: &Instrument,
        email: Option<&str>,
        currency: Option<Currency>,
    ) -> Outcome<Stored>;

    /// Forgets it.
    async fn forget(&self, call: &Call, reference: &Secret) -> Outcome<()>;
}
