//! The doors of the hub. A handler translates and delegates: it knows HTTP and the API's words, and leaves the rest to the engine.
//!
//! [`router`] mounts `/api/v1` (for shops), `/inbound` (for providers' notifications) and the doors of tools (`/healthz`, `/readyz`,
//! `/metrics`, `/openapi.json`, `/docs`). Every request passes `observe` (in `app.rs`) on its way: it gets an id, a span, a line in the log and
//! its place in the metrics, a panic becomes an answer, and what was begun is finished even when the caller hangs up.
#![deny(clippy::float_arithmetic)]

mod api;
mod app;
mod auth;
mod body;
mod checkout;
mod fields;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod inbound;
pub mod office;
mod openapi;
mod ops;
mod problem;
mod sandbox;
mod shown;
mod timing;

pub use api::{BROWSER_PATHS, served};
pub use app::{App, Limits, MetricsText, router};
pub use openapi::openapi;
pub use problem::{Refused, Reply};
pub use sandbox::sandbox_router;
pub use timing::Timed;
