//! One payment at a time, within this process. Between processes the version guards decide; the lock saves them the quarrel.
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::OwnedMutexGuard;

/// Locks by id; an id nobody holds costs nothing.
#[derive(Default)]
pub(crate) struct Locks {
    held: Mutex<HashMap<Box<str>, Arc<tokio::sync::Mutex<()>>>>,
}

/// Held until dropped.
pub(crate) struct Held<'a> {
    locks: &'a Locks,
    id: Box<str>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    /// Waits for the id's turn; first come, first served.
    pub(crate) async fn hold(&self, id: &str) -> Held<'_> {
        let lock = self
            .held
            .lock()
            .expect("no panic while held")
            .entry(id.into())
            .or_default()
            .clone();
        let guard = lock.lock_owned().await;
        Held {
            locks: self,
            id: id.into(),
            guard: Some(guard),
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.locks.held.lock().expect("no panic while held");
        self.guard = None;
        // Only the map's own handle is left: nobody waits.
        if held
            .get(&self.id)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            held.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_id_is_held_by_one_at_a_time_and_forgotten_afterwards() {
        let locks = Locks::default();
        let first = locks.hold("a").await;
        let other = locks.hold("b").await;
        assert!(futures_util::FutureExt::now_or_never(locks.hold("a")).is_none());
        drop(first);
        drop(locks.hold("a").await);
        drop(other);
        assert!(locks.held.lock().unwrap().is_empty());
    }
}
