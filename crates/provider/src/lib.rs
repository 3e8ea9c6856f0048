//! The port between the hub and those who move the money.
//!
//! [`port`] is what the hub asks and how it is answered; [`transport`] is the network passed in; [`sandbox`] is what stands behind it in tests and demonstrations.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod port;
pub mod sandbox;
pub mod transport;
