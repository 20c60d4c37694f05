//! How much of what a plugin says goes to the log: a plugin that babbles must not fill a disk.

use std::time::{Duration, Instant};

/// Lines in a period; what is more is counted and not logged.
const LINES: u32 = 100;
const PERIOD: Duration = Duration::from_secs(1);

/// Lets so many through in a period.
pub(super) struct Valve {
    since: Instant,
    passed: u32,
    lost: u64,
}

impl Valve {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, passed: 0, lost: 0 }
    }

    /// Whether this one goes through, and how many before it did not.
    pub(super) fn pass(&mut self, now: Instant) -> (bool, u64) {
        let mut lost = 0;
        if now.duration_since(self.since) >= PERIOD {
            lost = self.lost;
            *self = Self::new(now);
        }
        self.passed = self.passed.saturating_add(1);
        let open = self.passed <= LINES;
        if !open {
            self.lost += 1;
        }
        (open, lost)
    }

    /// How many did not go through since the last that was told of it.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

/// The line in place of those.
pub(super) fn left_out(lost: u64) -> String {
    format!("{lost} lines are left out: more than {LINES} a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_logged() {
        let start = Instant::now();
        let mut valve = Valve::new(start);
        let open = (0..1000).filter(|_| valve.pass(start).0).count();
        assert_eq!(open, LINES as usize);
        assert_eq!(valve.pass(start + PERIOD), (true, 900));
    }
}
