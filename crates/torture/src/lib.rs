//! Real processes under torture: nodes killed, the database killed, providers and endpoints in bad weather; then the books compared.
//!
//! It drives the binary `kessai` from outside, as an operator, a shop and a provider would, and reads the hub's database only
//! to compare books. docs/torture.md says what is checked. Everything listens on loopback and ends with this program.
mod balancer;
mod books;
mod dice;
mod endpoint;
mod load;
mod patience;
mod postgres;
mod processes;
mod torture;

pub use books::Findings;
pub use torture::{Plan, Report, Setting, Teller, run};
