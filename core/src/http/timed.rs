//! A connection's octets, bounded in time: the first that come in, and those that a client must take.
//!
//! hyper-util reads until it knows which version of HTTP a client speaks, and hyper's timer for request heads starts
//! after that; without a bound of our own, a client that opens a connection and says nothing would keep it for ever.
//! Nor does hyper mind a client that asks and never reads the answer.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::requests::Requests;

/// What HTTP/2 connections begin with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client may take none of what is sent to it.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// A stream whose first octets, as far as they tell the version, must come in time, and whose peer must read.
pub(super) struct Timed<S> {
    stream: S,
    undecided: Option<Undecided>,
    is_http1: bool,
    requests: Requests,
    stalled: Option<Pin<Box<Sleep>>>,
}

struct Undecided {
    /// How much of [`PREFACE`] has come.
    matched: usize,
    end: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, within: Duration, requests: Requests) -> Self {
        let undecided = Some(Undecided { matched: 0, end: Box::pin(tokio::time::sleep(within)) });
        Self { stream, undecided, is_http1: false, requests, stalled: None }
    }

    /// A write that waits for too long is an error; one that goes on resets the time.
    fn minded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_STALL)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let came = &buffer.filled()[before..];
        let this = &mut *self;
        if let Some(undecided) = &mut this.undecided {
            match polled {
                Poll::Pending => {
                    return undecided.end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Ready(Ok(())) => {
                    let rest = &PREFACE[undecided.matched..];
                    undecided.matched += came.len();
                    if came == rest || !rest.starts_with(came) {
                        this.is_http1 = came != rest;
                        this.undecided = None;
                    }
                }
                Poll::Ready(Err(_)) => {}
            }
        }
        if this.is_http1 && !came.is_empty() {
            this.requests.octets();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.minded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.minded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
