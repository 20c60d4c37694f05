//! The requests of one connection: how many are open, and since when there is none.
//!
//! HTTP/2 knows no end of a connection's patience: a client may send its preface and nothing more, for ever.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::body::{Body, Frame, SizeHint};

struct State {
    open: usize,
    any: bool,
    since: Instant,
}

/// The requests of one connection.
#[derive(Clone)]
pub(super) struct Requests(Arc<Mutex<State>>);

impl Default for Requests {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { open: 0, any: false, since: Instant::now() })))
    }
}

impl Requests {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come.
    pub(super) fn open(&self) -> Open {
        let mut state = self.state();
        state.open += 1;
        state.any = true;
        Open(self.clone())
    }

    /// Whether there was ever one.
    pub(super) fn any(&self) -> bool {
        self.state().any
    }

    /// How long there has been none; `None` while there is one.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let state = self.state();
        (state.open == 0).then(|| state.since.elapsed())
    }
}

/// A request that is not yet answered to the end.
pub(super) struct Open(Requests);

impl Open {
    /// The same body, whose end is the end of the request.
    pub(super) fn until_sent<B>(self, body: B) -> Sent<B> {
        Sent { body, _open: self }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.since = Instant::now();
    }
}

/// A body that holds its request open.
pub(super) struct Sent<B> {
    body: B,
    _open: Open,
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
