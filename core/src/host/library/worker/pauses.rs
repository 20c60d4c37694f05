//! How long a plugin that keeps ending waits for its next life.

use std::time::Duration;

/// A life that was shorter is followed by a pause, whatever it did: a plugin that gives one result a life would
/// otherwise be started without end.
pub(super) const SHORT: Duration = Duration::from_secs(1);
/// The pause after a life without a result; doubles with each.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long to wait before the next life, after so many in a row that gave no call a result. `short`: the last was
/// shorter than [`SHORT`].
pub(super) fn pause(barren: u32, short: bool) -> Duration {
    match barren.checked_sub(1) {
        None if short => PAUSE,
        None => Duration::ZERO,
        Some(doublings) => PAUSE.saturating_mul(1 << doublings.min(16)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end_at_half_a_minute() {
        let table = [(0, 0), (1, 100), (2, 200), (3, 400), (9, 25_600), (10, 30_000), (u32::MAX, 30_000)];
        for (barren, milliseconds) in table {
            assert_eq!(pause(barren, false), Duration::from_millis(milliseconds), "after {barren} lives");
        }
        assert_eq!(pause(0, true), PAUSE, "after a short one with a result");
        assert_eq!(pause(3, true), PAUSE * 4, "what is longer wins");
    }
}
