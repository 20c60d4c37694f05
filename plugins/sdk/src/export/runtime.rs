//! The instance's own tokio runtime, and how a panic becomes a value.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    thread,
};

use tokio::runtime::{Builder, EnterGuard, Handle};

/// As many threads as work on futures; a plugin waits more than it computes.
const THREADS: usize = 2;

/// A runtime that stops in the background.
pub(super) struct Runtime {
    handle: Handle,
    whole: Mutex<Option<tokio::runtime::Runtime>>,
}

impl Runtime {
    /// Its threads are called after the plugin.
    pub(super) fn new(plugin: &str) -> std::io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        let whole = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(format!("plugin-{plugin}"))
            .enable_all()
            .build()?;
        Ok(Self { handle: whole.handle().clone(), whole: Mutex::new(Some(whole)) })
    }

    /// In here, tokio's timers and sockets belong to this runtime.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Run a future on the runtime's threads.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, work: F) {
        // Nobody waits for the handle: what the work has to say, it says itself.
        drop(self.handle.spawn(work));
    }

    /// Stop: futures are dropped, threads end when what they run lets them.
    pub(super) fn stop(&self) {
        let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(whole) = whole {
            whole.shutdown_background();
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A panic, as the message that it came with.
pub(super) struct Panicked(pub(super) String);

/// What `work` gives, or how it panicked. Nothing unwinds out of this.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let panicked = Panicked(message(payload.as_ref()).into());
        // A payload is a value of the plugin's, whose end may panic as well; such a one is left where it is.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(another);
        }
        panicked
    })
}

/// A future whose panics are values. Not to be polled again after one.
pub(super) struct Caught<F>(F);

impl<F: Future + Unpin> Caught<F> {
    pub(super) fn new(work: F) -> Self {
        Self(work)
    }
}

impl<F: Future + Unpin> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match caught(|| Pin::new(&mut self.0).poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
