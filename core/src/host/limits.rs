//! A plugin's bounds on calls: how many run, how many wait, how large a result may be; and how often each was met.
//!
//! Owns the results that stand in for a call that met a bound, and the counts (`recent`). Knows nothing of what a call
//! does.

mod recent;
mod size;

#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use toolgate_plugin::ToolResult;

use self::recent::Recent;
use crate::config::{Limits, Size};

/// The bounds of one plugin, and how often they were met.
pub(super) struct Limiter {
    plugin: Arc<str>,
    limits: Limits,
    /// Its waiters are served in their order, and leave when dropped.
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    met: Mutex<[Recent; Met::ALL.len()]>,
}

/// A call's place among those that run; given back when dropped.
///
/// A call that has timed out gives its place back, whatever its plugin still does: one that never answers would
/// otherwise be full for good.
pub(super) struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// A bound that a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// Too many calls run and wait.
    Busy,
    /// The result is too large.
    TooLarge,
    /// The time is over.
    Timeout,
}

impl Met {
    const ALL: [Self; 3] = [Self::Busy, Self::TooLarge, Self::Timeout];
}

/// A small bound on results is about what callers get, and must not keep a plugin from saying which tools it has: a list
/// may have as much as the default lets a result have.
const LARGEST_LIST: u64 = Size::mebibytes(4).0;

/// Largest answer of a plugin with these limits to whatever it is asked, in bytes of JSON.
pub(super) fn largest_answer(limits: &Limits) -> u64 {
    limits.result.0.max(LARGEST_LIST)
}

/// Calls that take longer than they may are an upstream's weather at first, and a signal from here on.
const TIMEOUTS_TOLD: u64 = 3;

tokio::task_local! {
    /// Whether the result of the call that this task runs was replaced by [`Limiter::oversized`].
    static REPLACED: Cell<bool>;
}

/// Do the work of one call; beside what it gives, whether [`Limiter::oversized`] was called in it.
pub(super) async fn watched<T>(work: impl Future<Output = T>) -> (T, bool) {
    REPLACED.scope(Cell::new(false), async { (work.await, REPLACED.with(Cell::get)) }).await
}

// === impl Limiter ===

impl Limiter {
    pub(super) fn new(plugin: &str, limits: &Limits) -> Self {
        Self {
            plugin: plugin.into(),
            limits: limits.clone(),
            running: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            met: Mutex::default(),
        }
    }

    /// A place to run in, now or after those before; otherwise the result that says so.
    pub(super) async fn enter(&self) -> Result<Place, ToolResult> {
        struct Waits<'a>(&'a AtomicUsize);
        impl Drop for Waits<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        // Never overtakes: a place that is given back while others wait is theirs.
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(Place(permit));
        }
        let room = |waiting: usize| (waiting < self.limits.queue).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok() {
            let _waits = Waits(&self.waiting);
            // It is never closed.
            if let Ok(permit) = Arc::clone(&self.running).acquire_owned().await {
                return Ok(Place(permit));
            }
        }
        self.count(Met::Busy);
        Err(ToolResult::error(format!(
            "the plugin \"{}\" is busy: it has as many calls running ({}) and waiting ({}) as it takes; try again in a moment",
            self.plugin, self.limits.concurrency, self.limits.queue
        )))
    }

    /// The result of a call whose time was over before its turn came.
    pub(super) fn waited(&self, span: Duration) -> ToolResult {
        self.count(Met::Busy);
        ToolResult::error(format!(
            "the plugin \"{}\" is busy: this call waited {} for its turn; try again in a moment",
            self.plugin,
            humantime::format_duration(span)
        ))
    }

    /// A call's time was over while it ran.
    pub(super) fn timed_out(&self) {
        self.count(Met::Timeout);
    }

    /// Largest answer to whatever is asked, in bytes of JSON.
    pub(super) fn largest_answer(&self) -> u64 {
        largest_answer(&self.limits)
    }

    /// Largest result, in bytes of JSON.
    pub(super) fn largest(&self) -> u64 {
        self.limits.result.0
    }

    /// The result in place of one of `size` bytes that is too large, for who has measured it.
    pub(super) fn oversized(&self, size: u64) -> ToolResult {
        // Outside of a call, which nobody watches, there is nothing to note.
        let _ = REPLACED.try_with(|replaced| replaced.set(true));
        self.count(Met::TooLarge);
        let (size, largest) = (Size(size), self.limits.result);
        ToolResult::error(format!("the result has {size}, more than the {largest} that are allowed; ask for less"))
    }

    /// The result in place of `result`, if that is too large.
    pub(super) fn checked(&self, result: &ToolResult) -> Option<ToolResult> {
        if size::fits(result, self.largest()) {
            return None;
        }
        self.count(Met::TooLarge);
        let largest = self.limits.result;
        Some(ToolResult::error(format!("the result has more than the {largest} that are allowed; ask for less")))
    }

    /// What met a bound within the last hour, for people.
    pub(super) fn told(&self) -> Vec<String> {
        self.told_at(Instant::now())
    }

    fn told_at(&self, now: Instant) -> Vec<String> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let told = Met::ALL.into_iter().zip(met.iter()).filter_map(|(bound, recent)| {
            let calls = match recent.within_the_hour(now) {
                0 => return None,
                1 => "1 call".to_owned(),
                many => format!("{many} calls"),
            };
            match bound {
                Met::Busy => Some(format!("{calls} in the last hour found limits.concurrency and limits.queue full")),
                Met::TooLarge => Some(format!("{calls} in the last hour had a result larger than limits.result")),
                Met::Timeout if recent.within_the_hour(now) < TIMEOUTS_TOLD => None,
                Met::Timeout => Some(format!("{calls} in the last hour took longer than their timeout")),
            }
        });
        told.collect()
    }

    /// Count, and say the first of a burst: a line for each call would bury what else there is.
    fn count(&self, bound: Met) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let first = met[bound as usize].add(Instant::now());
        drop(met);
        if !first {
            return;
        }
        let Limits { concurrency, queue, result, .. } = &self.limits;
        let plugin = &*self.plugin;
        match bound {
            Met::Busy => tracing::warn!(
                plugin,
                "calls are refused: limits.concurrency ({concurrency}) and limits.queue ({queue}) are full"
            ),
            Met::TooLarge => {
                tracing::warn!(plugin, "results are refused: they are larger than limits.result ({result})")
            }
            Met::Timeout => tracing::warn!(plugin, "calls are ended: they take longer than their timeout"),
        }
    }
}
