//! When to ask again.

use std::time::{Duration, SystemTime};

/// The longest `Retry-After` that is believed.
const LONGEST: u64 = 30 * 24 * 3600;

/// Exponential backoff with full jitter.
pub(super) struct Backoff {
    /// How often to ask again.
    pub(super) retries: u32,
    base: Duration,
    cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { retries: 2, base: Duration::from_millis(250), cap: Duration::from_secs(4) }
    }
}

impl Backoff {
    /// How long to wait after the `failed`-th failure.
    pub(super) fn wait(&self, failed: u32) -> Duration {
        self.ceiling(failed).mul_f64(rand::random::<f64>())
    }

    fn ceiling(&self, failed: u32) -> Duration {
        self.base.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1))).min(self.cap)
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date; nothing if it is neither.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is simply very long.
        return Some(Duration::from_secs(value.parse().unwrap_or(LONGEST).min(LONGEST)));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let wait = then.duration_since(now).unwrap_or_default();
    Some(Duration::from_secs((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases = [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(LONGEST)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in cases {
            assert_eq!(retry_after(value, now).map(|wait| wait.as_secs()), expected, "{value:?}");
        }
    }

    #[test]
    fn waits_grow_to_the_cap_and_stay_below_it() {
        let backoff = Backoff::default();
        for (failed, ceiling) in [(1, 250), (2, 500), (3, 1000), (5, 4000), (40, 4000)] {
            assert_eq!(backoff.ceiling(failed), Duration::from_millis(ceiling));
            assert!((0..100).all(|_| backoff.wait(failed) <= Duration::from_millis(ceiling)));
        }
    }
}
