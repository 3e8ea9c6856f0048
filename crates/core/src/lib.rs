//! What is true about payments. No I/O, no async: everything here is a value or a function.
//!
//! Start at [`payment`] for what may happen to a payment, and at [`capability`] for what a provider can do.
#![deny(clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

pub mod attempt;
pub mod capability;
pub mod event;
pub mod id;
pub mod ledger;
pub mod money;
pub mod payment;
pub mod secret;
pub mod session;
pub mod settle;
pub mod stock;
pub mod tax;
pub mod time;

pub use id::*;
pub use money::{Currency, Money, MoneyError};
pub use secret::Secret;
pub use time::{BusinessDate, Clock, Entropy};
