//! Results that are remembered for a while, each for the caller who asked.
//!
//! Holds answers as Tavily gave them: what a result shows of one – room, marks, filters – is made anew for each call.

use std::sync::Arc;

use moka::sync::Cache as Memory;
use sha2::{Digest, Sha256};
use toolgate_plugin::Caller;

use crate::{settings, upstream::Answer};

/// What was asked, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// An answer, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) answer: Arc<Answer>,
    pub(crate) fetched_at: String,
}

/// The memory.
pub(crate) struct Cache(Memory<Key, Remembered>);

impl Key {
    /// A tool's question by a caller. Another client of the same person is another caller: nobody learns what was asked
    /// through another.
    pub(crate) fn new(caller: &Caller, tool: &str, body: &[u8]) -> Self {
        let client = caller.client_id.as_deref().unwrap_or_default();
        let mut digest = Sha256::new();
        for part in [caller.subject.as_bytes(), client.as_bytes(), tool.as_bytes(), body] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

impl Cache {
    /// An empty one.
    pub(crate) fn new(settings: settings::Cache) -> Self {
        let weigh = |_: &Key, remembered: &Remembered| u32::try_from(remembered.answer.weight()).unwrap_or(u32::MAX);
        let memory = Memory::builder().max_capacity(settings.size.0 as u64).weigher(weigh);
        Self(memory.time_to_live(settings.keep.0).build())
    }

    /// What was answered to this.
    pub(crate) fn get(&self, key: &Key) -> Option<Remembered> {
        self.0.get(key)
    }

    /// Remember an answer.
    pub(crate) fn put(&self, key: Key, remembered: Remembered) {
        self.0.insert(key, remembered);
    }
}
