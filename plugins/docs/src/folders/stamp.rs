//! By what a file is known to be as it was: when it was changed, and its size.

use std::{
    fs::Metadata,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long a file must have been left alone when it is read: two changes within the clock's grain look like one.
const SETTLED: Duration = Duration::from_secs(1);

/// When a file was changed (nanoseconds since 1970), and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    pub(crate) changed: u64,
    pub(crate) size: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        Self { changed, size: metadata.len() }
    }

    /// What is remembered of a file that was read just now: one that was changed a moment ago is read again at the next
    /// look.
    pub(crate) fn remembered(self) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = Duration::from_nanos(self.changed) + SETTLED < now;
        if settled { self } else { Self { changed: 0, ..self } }
    }
}
