//! What is made of a registry for many to read: made once, aside, one at a time, and kept while that registry serves.
//!
//! What is kept is shared by all answers that go out with it, however slowly their readers take them. Must not know what
//! it keeps.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::host::Registry;

/// Most that is kept together, in bytes; what was asked for last stays.
const MOST: usize = 16 * 1024 * 1024;

/// Values of one registry, by their keys.
pub(super) struct Kept<K, V> {
    held: Mutex<Held<K, V>>,
    /// Held while one is made: the work grows with what plugins bring.
    turn: Arc<tokio::sync::Mutex<()>>,
    weigh: fn(&V) -> usize,
}

struct Held<K, V> {
    of: Weak<Registry>,
    /// Who was asked for last is last.
    made: Vec<(K, V)>,
}

impl<K, V> Kept<K, V>
where
    K: PartialEq + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Nothing yet; `weigh` tells how many bytes a value takes.
    pub(super) fn new(weigh: fn(&V) -> usize) -> Self {
        Self { held: Mutex::new(Held { of: Weak::new(), made: Vec::new() }), turn: Arc::default(), weigh }
    }

    /// The value of this key for this registry, made if it is not there. `None` if it cannot be made.
    pub(super) async fn or_made(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        key: K,
        make: impl FnOnce(&Registry, &K) -> Option<V> + Send + 'static,
    ) -> Option<V> {
        if let Some(value) = self.find(registry, &key) {
            return Some(value);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if let Some(value) = self.find(registry, &key) {
            return Some(value);
        }
        let (kept, registry) = (Arc::clone(self), Arc::clone(registry));
        let making = tokio::task::spawn_blocking(move || {
            // Kept until it is made, also when whoever asked for it goes away meanwhile.
            let _turn = turn;
            let value = make(&registry, &key)?;
            kept.keep(&registry, key, value.clone());
            Some(value)
        });
        making.await.ok().flatten()
    }

    fn find(&self, registry: &Arc<Registry>, key: &K) -> Option<V> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.of.ptr_eq(&Arc::downgrade(registry)) {
            return None;
        }
        let at = held.made.iter().position(|(known, _)| known == key)?;
        let found = held.made.remove(at);
        let value = found.1.clone();
        held.made.push(found);
        Some(value)
    }

    fn keep(&self, registry: &Arc<Registry>, key: K, value: V) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.of.ptr_eq(&Arc::downgrade(registry)) {
            *held = Held { of: Arc::downgrade(registry), made: Vec::new() };
        }
        held.made.push((key, value));
        let mut weight: usize = held.made.iter().map(|(_, value)| (self.weigh)(value)).sum();
        while weight > MOST && held.made.len() > 1 {
            weight -= (self.weigh)(&held.made.remove(0).1);
        }
    }
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
