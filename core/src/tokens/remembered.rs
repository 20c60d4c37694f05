//! Verdicts that were reached before: bounded memories under a digest of the token.
//!
//! Good verdicts ([`Remembered`]) live until the earliest of their own end and a change of the keys that they were
//! reached with. Bad ones ([`Refused`]) are kept apart, since anyone can fill their memory, for a moment, and only where
//! a bad token costs more than its sender pays: a question to the provider. No token is held: the key is its SHA-256.
//! Must not know how verdicts are reached.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use moka::{policy::EvictionPolicy, sync::Cache};
use sha2::{Digest as _, Sha256};

use super::verdict::{InvalidToken, Verified};

/// Longest that a verdict from a signature is believed.
pub(super) const SIGNED: Duration = Duration::from_secs(300);
/// Longest that a verdict of the provider's introspection endpoint is believed.
pub(super) const INTROSPECTED: Duration = Duration::from_secs(60);
/// How long a token that was refused is refused without asking again. Short: the provider may call it active later.
const REFUSED: Duration = Duration::from_secs(10);
/// Most verdicts kept: one for each token in use.
const MOST_VERDICTS: u64 = 10_000;

/// A token's SHA-256.
pub(super) type Digest = [u8; 32];

/// The digest that a token is remembered under.
pub(super) fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// The memory of good verdicts.
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

/// The memory of bad verdicts.
pub(super) struct Refused {
    verdicts: Cache<Digest, (InvalidToken, Instant)>,
}

impl Refused {
    pub(super) fn new() -> Self {
        let verdicts = Cache::builder()
            .max_capacity(MOST_VERDICTS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(REFUSED)
            .build();
        Self { verdicts }
    }

    /// Why this token was refused a moment ago.
    pub(super) fn recall(&self, digest: &Digest, now: Instant) -> Option<InvalidToken> {
        let (invalid, since) = self.verdicts.get(digest)?;
        (now.saturating_duration_since(since) < REFUSED).then_some(invalid)
    }

    /// Keep a verdict for a moment.
    pub(super) fn keep(&self, digest: Digest, invalid: InvalidToken, now: Instant) {
        self.verdicts.insert(digest, (invalid, now));
    }
}
