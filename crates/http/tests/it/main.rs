//! The hub behind its doors, with KOMOJU's sandbox behind it, a clock that is moved by hand and dice that always fall alike.
#![allow(missing_docs, reason = "the names of tests are sentences")]

mod bad_input;
mod bad_wishes;
mod bodies;
mod doors;
mod idempotency;
mod life;
mod lists;
mod money;
mod nodes;
mod noise;
mod office;
mod races;
mod reconcile;
mod sandbox;
mod shops;
mod stock;
mod webhooks;
mod world;
