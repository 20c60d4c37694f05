//! The two clocks that verdicts depend on: the wall (what `exp` and `nbf` speak of) and a steady one (how old our copies
//! are). Must not know what is measured. Tests turn both by hand.

use std::time::{Instant, SystemTime};

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub(super) enum Clock {
    /// The operating system's clocks.
    #[default]
    System,
    /// A clock that stands still until a test moves it.
    #[cfg(test)]
    Manual(std::sync::Arc<Manual>),
}

impl Clock {
    /// The time of day.
    pub(super) fn wall(&self) -> SystemTime {
        match self {
            Self::System => SystemTime::now(),
            #[cfg(test)]
            Self::Manual(manual) => manual.wall + manual.passed(),
        }
    }

    /// A time that never goes back.
    pub(super) fn steady(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            #[cfg(test)]
            Self::Manual(manual) => manual.steady + manual.passed(),
        }
    }
}

/// A clock moved by hand.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Manual {
    wall: SystemTime,
    steady: Instant,
    passed: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl Manual {
    pub(super) fn new() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now(), passed: std::sync::atomic::AtomicU64::new(0) }
    }

    fn passed(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.passed.load(std::sync::atomic::Ordering::SeqCst))
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.passed.fetch_add(seconds, std::sync::atomic::Ordering::SeqCst);
    }
}
