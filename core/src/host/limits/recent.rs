//! How often something happened within the last hour, and whether it begins anew.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long one count gathers.
const SLOT: Duration = Duration::from_secs(60);

/// After this long without one, the next begins a new burst.
const QUIET: Duration = Duration::from_secs(60);

/// Counts, each with when it began; no more than an hour has minutes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    counts: VecDeque<(Instant, u64)>,
    last: Option<Instant>,
}

impl Recent {
    /// Count one; whether it is the first of a burst.
    pub(super) fn add(&mut self, now: Instant) -> bool {
        while self.counts.front().is_some_and(|(since, _)| !is_recent(*since, now)) {
            self.counts.pop_front();
        }
        match self.counts.back_mut() {
            Some((since, count)) if now.saturating_duration_since(*since) < SLOT => *count += 1,
            _ => self.counts.push_back((now, 1)),
        }
        let last = self.last.replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) > QUIET)
    }

    /// How many since an hour ago.
    pub(super) fn within_the_hour(&self, now: Instant) -> u64 {
        self.counts.iter().filter(|(since, _)| is_recent(*since, now)).map(|(_, count)| count).sum()
    }
}

fn is_recent(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < HOUR
}
