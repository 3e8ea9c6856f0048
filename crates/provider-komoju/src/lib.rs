//! KOMOJU: cards, convenience stores, bank transfer, Pay-easy, wallets and prepaid numbers.
//!
//! [`client`] sends, [`wire`] reads, [`map`] decides what it means, [`webhook`] believes or does not, [`capability`] says what can be
//! asked for, [`mask`] keeps secrets out of what is written down, and [`sandbox`] is a KOMOJU of one's own that shares none of it. `docs/providers/komoju.md` says what we know and how.

pub mod capability;
pub mod client;
pub mod map;
pub mod mask;
pub mod sandbox;
pub mod webhook;
pub mod wire;

pub use capability::CAPABILITIES;
pub use client::Komoju;
