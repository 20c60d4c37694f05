//! Verdicts that were reached before: a bounded memory under a digest of the token.
//!
//! Only good verdicts are kept: a bad token costs its sender as much as us, and a memory of bad ones could be filled by
//! anyone. An entry lives until the earliest of its own end and a change of the keys that it was reached with. No token
//! is held: the key is its SHA-256. Must not know how verdicts are reached.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use moka::{policy::EvictionPolicy, sync::Cache};
use sha2::{Digest as _, Sha256};

use super::verdict::Verified;

/// Longest that a verdict from a signature is believed.
pub(super) const SIGNED: Duration = Duration::from_secs(300);
/// Longest that a verdict of the provider's introspection endpoint is believed.
pub(super) const INTROSPECTED: Duration = Duration::from_secs(60);
/// Most verdicts kept: one for each token in use.
const MOST_VERDICTS: u64 = 10_000;

/// A token's SHA-256.
pub(super) type Digest = [u8; 32];

/// The digest that a token is remembered under.
pub(super) fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// The memory.
pub(super) struct Remembered {
    verdicts: Cache<Digest, Entry>,
}

#[derive(Clone)]
struct Entry {
    verified: Arc<Verified>,
    until: SystemTime,
    generation: u64,
}

impl Remembered {
    pub(super) fn new() -> Self {
        let verdicts = Cache::builder()
            .max_capacity(MOST_VERDICTS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(SIGNED)
            .build();
        Self { verdicts }
    }

    /// The verdict on this token, if it still stands. `generation` is that of the keys now.
    pub(super) fn recall(&self, digest: &Digest, now: SystemTime, generation: u64) -> Option<Arc<Verified>> {
        let entry = self.verdicts.get(digest)?;
        if entry.until <= now || entry.generation != generation {
            self.verdicts.invalidate(digest);
            return None;
        }
        Some(entry.verified)
    }

    /// Keep a verdict for `longest`, or until the token's end if that is sooner.
    pub(super) fn keep(
        &self,
        digest: Digest,
        verified: &Arc<Verified>,
        now: SystemTime,
        longest: Duration,
        generation: u64,
    ) {
        let until = verified.expires_at.min(now + longest);
        self.verdicts.insert(digest, Entry { verified: Arc::clone(verified), until, generation });
    }
}
