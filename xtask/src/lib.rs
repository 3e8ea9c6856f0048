//! House rules as tests: `cargo nextest run -p xtask`.
//!
//! A rule that can be checked is checked here rather than remembered. Each failure says what to do.

#[cfg(test)]
mod tidy;
