//! Counting the calls of each principal to one tool. Counts and never waits.

use std::{
    fmt,
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use super::principal::PrincipalId;
use crate::config::Rate;

/// Calls of each principal to one tool.
pub(super) struct Counter {
    pub(super) rate: Rate,
    limiter: DefaultKeyedRateLimiter<PrincipalId>,
    calls: AtomicUsize,
}

impl Counter {
    /// After this many calls the principals whose allowance is whole again are forgotten, so that memory
    /// follows the callers of the moment and not all there ever were.
    const SWEEP: usize = 4096;

    pub(super) fn new(rate: Rate) -> Option<Self> {
        let count = NonZeroU32::new(rate.count)?;
        let quota = Quota::with_period(rate.per / rate.count)?.allow_burst(count);
        Some(Self { rate, limiter: RateLimiter::keyed(quota), calls: AtomicUsize::new(0) })
    }

    pub(super) fn count(&self, principal: &PrincipalId) -> Result<(), Duration> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % Self::SWEEP == Self::SWEEP - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(principal).map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counter")
    }
}
