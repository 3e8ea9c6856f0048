//! The provider, tested as its users meet it.
mod client;
mod client_after;
mod client_kit;
mod conformance;
mod sandbox_faults;
mod sandbox_kit;
mod sandbox_payments;
mod sandbox_sessions;
mod webhook;
