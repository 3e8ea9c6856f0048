//! What each provider can do with each method, as data. The API serves it, the engine enforces it, the pages are drawn from it.
use crate::money::Currency;

/// How a method feels to the shopper, which decides what happens after it is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A card: decided at once, or after 3-D Secure.
    Card,
    /// A slip, transfer or number: paid elsewhere before a deadline.
    Slip,
    /// An app or another site: the shopper leaves and comes back.
    Offsite,
    /// A prepaid number: decided at once.
    Prepaid,
}

/// In which situations a method can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flows {
    /// One payment in a session.
    pub session: bool,
    /// One payment by the API, without a session.
    pub direct: bool,
    /// May be stored for a customer and used again.
    pub stored: bool,
}

/// What can be asked of a payment made with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operations {
    /// Authorize now, capture later.
    pub two_step: bool,
    /// Capture less than was authorized.
    pub partial_capture: bool,
    /// Give up before money moved.
    pub cancel: bool,
    /// Return all of it through the provider.
    pub refund: bool,
    /// Return a part of it.
    pub partial_refund: bool,
    /// Ask the provider for a bank transfer back.
    pub refund_request: bool,
}

/// How long the shopper, or the shop, has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Until the end of the Japanese day this many days later.
    Days {
        /// When nothing else is asked.
        default: u16,
        /// The least that can be asked.
        least: u16,
        /// The most that can be asked.
        most: u16,
    },
    /// This many seconds.
    Seconds(u32),
}

/// One line of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// The slug on the wire, as `konbini`.
    pub method: &'static str,
    /// How it feels to the shopper.
    pub kind: Kind,
    /// In English.
    pub name_en: &'static str,
    /// In Japanese.
    pub name_ja: &'static str,
    /// In Korean.
    pub name_ko: &'static str,
    /// The currencies it can charge.
    pub currencies: &'static [Currency],
    /// The least it can charge, in minor units of each currency.
    pub minimum: i64,
    /// The most it can charge, in minor units.
    pub maximum: i64,
    /// Card brands or konbini chains.
    pub subtypes: &'static [&'static str],
    /// What the shopper must tell besides the method: a subset of `name`, `email`, `phone`.
    pub asks: &'static [&'static str],
    /// Where it can be used.
    pub flows: Flows,
    /// What can be asked afterwards.
    pub operations: Operations,
    /// How long it waits.
    pub deadline: Deadline,
    /// What the shopper pays on top in a session, in minor units.
    pub session_fee: i64,
}

impl Capability {
    /// Whether it can charge this much of this currency.
    pub fn fits(&self, minor: i64, currency: Currency) -> bool {
        self.currencies.contains(&currency) && (self.minimum..=self.maximum).contains(&minor)
    }
}
