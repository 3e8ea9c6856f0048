//! The durable queue's runner: lease, run, back off, step, drain. It knows nothing of payments.
//!
//! A job is a small durable promise: a name, a payload of ids, and a body that finds the truth in the store when it runs.
//! Jobs run at least once, so a body that finds the work done is on a normal day. A lease saves work; correctness never needs it,
//! because every change a body commits carries the versions it read.

mod job;
mod runner;

pub use job::{Backoff, Done, Job, JobError, Lease, NewJob};
pub use runner::{Runner, Stepped};
