//! Who may be asked for a document now: a host for a few at a time, so that a slow one delays its own clients alone.
//!
//! Owns the places and nothing else; what is done in one is not its business.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most documents of one host that are being fetched at a time, its name's lookups included.
pub(super) const MAX_OF_HOST: usize = 2;

/// A place; free again when nobody holds it any more.
pub(super) type Place = Arc<OwnedSemaphorePermit>;

/// The places of all hosts that are being asked.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Turns {
    /// A place at this host, as soon as there is one.
    pub(super) async fn at(&self, host: &str) -> Option<Place> {
        let places = self.places(host);
        places.acquire_owned().await.ok().map(Arc::new)
    }

    fn places(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for a place or has one holds them too.
        hosts.retain(|_, places| Arc::strong_count(places) > 1);
        let places = hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(MAX_OF_HOST)));
        Arc::clone(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_has_a_few_places_and_is_forgotten_when_they_are_free() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..MAX_OF_HOST {
            held.push(turns.at("a.example").await);
        }
        assert_eq!(turns.places("a.example").available_permits(), 0);
        assert!(turns.at("b.example").await.is_some(), "another host has its own");
        let kept = held[0].clone();
        drop(held);
        assert_eq!(turns.places("a.example").available_permits(), MAX_OF_HOST - 1, "one is held still");
        drop(kept);
        turns.places("c.example");
        assert_eq!(turns.0.lock().unwrap().keys().collect::<Vec<_>>(), ["c.example"]);
    }
}
