//! The requests of one connection: how many are open, and since when there is none.
//!
//! HTTP/2 knows no end of a connection's patience: a client may send its preface and nothing more, or ask and grant no
//! window for the answer, for ever.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::body::{Body, Frame, SizeHint};

#[derive(Debug)]
struct State {
    open: usize,
    ever: u64,
    since: Instant,
    /// When the first octets came of a head that is not whole yet.
    head_since: Option<Instant>,
    /// Requests whose client has been given octets, or will be as soon as it takes some, since when.
    offered: HashMap<u64, Instant>,
}

/// The requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Requests(Arc<Mutex<State>>);

impl Default for Requests {
    fn default() -> Self {
        let state = State { open: 0, ever: 0, since: Instant::now(), head_since: None, offered: HashMap::new() };
        Self(Arc::new(Mutex::new(state)))
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
        state.ever += 1;
        state.head_since = None;
        Open { requests: self.clone(), number: state.ever }
    }

    /// Octets of HTTP/1 have come; while no request is open they are a head's.
    pub(super) fn octets(&self) {
        let mut state = self.state();
        if state.open == 0 {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// How long a head has been coming that is not whole yet.
    pub(super) fn head_for(&self) -> Duration {
        self.state().head_since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Whether there was ever one.
    pub(super) fn any(&self) -> bool {
        self.state().ever > 0
    }

    /// How long there has been none; `None` while there is one.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let state = self.state();
        (state.open == 0).then(|| state.since.elapsed())
    }

    /// How long a client has taken nothing of an answer that is there for it.
    pub(super) fn stalled_for(&self) -> Duration {
        self.state().offered.values().map(Instant::elapsed).max().unwrap_or_default()
    }
}

/// A request that is not yet answered to the end.
#[derive(Debug)]
pub(super) struct Open {
    requests: Requests,
    number: u64,
}

impl Open {
    /// The same body, whose end is the end of the request.
    pub(super) fn until_sent<B>(self, body: B) -> Sent<B> {
        self.offer(true);
        Sent { body, open: self }
    }

    fn offer(&self, offered: bool) {
        let mut state = self.requests.state();
        if offered {
            state.offered.insert(self.number, Instant::now());
        } else {
            state.offered.remove(&self.number);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.requests.state();
        state.open -= 1;
        state.since = Instant::now();
        state.offered.remove(&self.number);
    }
}

/// A body that holds its request open.
pub(super) struct Sent<B> {
    body: B,
    open: Open,
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        // Being asked for more means that the client takes it; having nothing means that it waits for us.
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.open.offer(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
