//! Whether the provider answers, and how long it is left alone when it does not.
//!
//! Owns the pauses after failures and the log of the change: one line when the provider is lost, one when it is back,
//! however many callers meet the outage in between. Must not know what is asked for.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// The first pause after a failure; each further one is twice as long …
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the others wait for the one who looks whether the provider is back.
const PROBE: Duration = Duration::from_secs(5);

/// One service of the provider's, as it behaved lately.
pub(super) struct Outage {
    what: &'static str,
    failures: u32,
    reason: String,
    not_before: Option<Instant>,
}

/// Leave to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Like everyone.
    Usual,
    /// As the one who looks whether the provider is back.
    Probe,
}

impl Outage {
    /// No outage of this service so far; its name is for the log.
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, failures: 0, reason: String::new(), not_before: None }
    }

    /// Whether the last attempt failed.
    pub(super) fn is_on(&self) -> bool {
        self.failures > 0
    }

    /// What went wrong last, if the outage is on.
    pub(super) fn reason(&self) -> Option<&str> {
        self.is_on().then_some(self.reason.as_str())
    }

    /// How long the provider is still to be left alone.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let left = self.not_before?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Leave to ask, or how long to wait. After the pause one may look; the others wait for what it meets.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Leave, Duration> {
        if let Some(left) = self.pause(now) {
            return Err(left);
        }
        if self.is_on() {
            self.not_before = Some(now + PROBE);
            return Ok(Leave::Probe);
        }
        Ok(Leave::Usual)
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, reason: &impl fmt::Display, now: Instant) {
        if self.is_on() {
            tracing::debug!(service = self.what, %reason, "the authorization server still does not answer");
        } else {
            lost(self.what, reason);
        }
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.min(8));
        self.failures = self.failures.saturating_add(1);
        self.reason = reason.to_string();
        self.not_before = Some(now + pause.min(LONGEST_PAUSE));
    }

    /// An attempt succeeded.
    pub(super) fn ended(&mut self) {
        if self.is_on() {
            regained(self.what);
        }
        *self = Self::of(self.what);
    }
}

/// Say that a service of the provider's is lost.
pub(super) fn lost(service: &str, reason: &impl fmt::Display) {
    tracing::warn!(service, %reason, "the authorization server does not answer as it should; asking again at intervals");
}

/// Say that it is back.
pub(super) fn regained(service: &str) {
    tracing::info!(service, "the authorization server answers again");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_one_at_a_time_looks() {
        let (mut outage, mut now) = (Outage::of("keys"), Instant::now());
        assert_eq!((outage.admit(now), outage.admit(now)), (Ok(Leave::Usual), Ok(Leave::Usual)));
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            outage.failed(&"no answer", now);
            let pause = Duration::from_secs(seconds);
            assert_eq!((outage.pause(now), outage.admit(now)), (Some(pause), Err(pause)));
            now += pause;
            assert_eq!((outage.admit(now), outage.admit(now)), (Ok(Leave::Probe), Err(PROBE)));
        }
        // One who looks and never comes back does not keep the others out for good.
        assert_eq!(outage.admit(now + PROBE), Ok(Leave::Probe));
        assert_eq!(outage.reason(), Some("no answer"));
        outage.ended();
        assert_eq!((outage.reason(), outage.pause(now)), (None, None));
        assert_eq!(outage.admit(now), Ok(Leave::Usual));
    }
}
