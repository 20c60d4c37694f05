//! A request body that outlives its handler, so that what a refusal left unread can be read off.
//!
//! hyper closes a connection whose body was not read to its end, without saying so in the answer; a client
//! that sends its next request on it (as one does after a 401) meets a closed socket.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// How much of an unread body is read off, at most.
const MOST: usize = 64 * 1024;
/// How long that may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// One body with two holders: the handler reads it, the connection reads off the rest.
#[derive(Clone)]
pub(super) struct Leftover(Arc<Mutex<Incoming>>);

impl Leftover {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Whether nothing is left, reading off what little is.
    pub(super) async fn finished(mut self) -> bool {
        if self.is_end_stream() {
            return true;
        }
        let read_off = async {
            let mut read = 0;
            while let Some(frame) = self.frame().await {
                let Ok(frame) = frame else { return false };
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > MOST {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(PATIENCE, read_off).await.unwrap_or(false)
    }
}

impl Body for Leftover {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
