//! A plugin's bounds on calls: how many run, how many wait, how large a result may be; and how often each was met.
//!
//! Knows nothing of what a call does.

#![allow(dead_code, reason = "being built")]

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use toolgate_plugin::ToolResult;

use crate::config::{Limits, Size};

/// The bounds of one plugin, and how often they were met.
pub(super) struct Limiter {
    plugin: Arc<str>,
    limits: Limits,
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    busy: AtomicU64,
    oversized: AtomicU64,
}

/// A call's place among those that run; given back when dropped.
pub(super) struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Limiter {
    pub(super) fn new(plugin: &str, limits: &Limits) -> Self {
        Self {
            plugin: plugin.into(),
            limits: limits.clone(),
            running: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            busy: AtomicU64::new(0),
            oversized: AtomicU64::new(0),
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
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(Place(permit));
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waits = Waits(&self.waiting);
        let permit =
            if before < self.limits.queue { Arc::clone(&self.running).acquire_owned().await.ok() } else { None };
        permit.map(Place).ok_or_else(|| {
            self.busy.fetch_add(1, Ordering::Relaxed);
            ToolResult::error(format!(
                "the plugin \"{}\" is busy: {} calls run and {} wait; try again in a moment",
                self.plugin, self.limits.concurrency, self.limits.queue
            ))
        })
    }

    /// Largest result, in bytes of JSON.
    pub(super) fn largest(&self) -> u64 {
        self.limits.result.0
    }

    /// The result in place of one of `size` bytes that is too large.
    pub(super) fn oversized(&self, size: u64) -> ToolResult {
        self.oversized.fetch_add(1, Ordering::Relaxed);
        let (size, largest) = (Size(size), self.limits.result);
        ToolResult::error(format!("the result has {size}, more than the {largest} that are allowed; ask for less"))
    }

    /// What was over a limit so far, for people.
    pub(super) fn told(&self) -> Vec<String> {
        let (busy, oversized) = (self.busy.load(Ordering::Relaxed), self.oversized.load(Ordering::Relaxed));
        let mut told = Vec::new();
        if busy > 0 {
            told.push(format!("{busy} calls were refused because limits.concurrency and limits.queue were full"));
        }
        if oversized > 0 {
            told.push(format!("{oversized} results were larger than limits.result"));
        }
        told
    }
}
