//! The providers this build knows: one line each.
use kessai_provider::port::Provider;
use std::sync::Arc;

/// All of them.
pub fn all() -> Vec<Arc<dyn Provider>> {
    vec![Arc::new(kessai_provider_komoju::Komoju)]
}
