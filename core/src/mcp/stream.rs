//! A stream ends when the token that opened it expires; what it needs is kept as long as it lasts.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::Body;

/// Whether an answer is a stream of events.
pub(super) fn is_stream(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// The same answer, cut off at `expires_at` if it is a stream of events.
pub(super) fn until(expires_at: Option<SystemTime>, mut response: Response<Body>) -> Response<Body> {
    if !is_stream(&response) {
        return response;
    }
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    let Some(expires_at) = expires_at else { return response };
    let left = expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    response.map(|inner| Bounded { inner, end: Box::pin(tokio::time::sleep(left)) }.boxed())
}

/// The same answer, which keeps something until its body is gone: sent, or left by its client.
pub(super) fn keeping<T: Send + Sync + 'static>(kept: T, response: Response<Body>) -> Response<Body> {
    response.map(|body| {
        body.map_frame(move |frame| {
            let _kept = &kept;
            frame
        })
        .boxed()
    })
}

struct Bounded {
    inner: Body,
    end: Pin<Box<Sleep>>,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
