//! The opening of a connection, bounded in time.
//!
//! hyper-util reads until it knows which version of HTTP a client speaks, and hyper's timer for request heads starts
//! after that; without a bound of our own, a client that opens a connection and says nothing would keep it for ever.

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

/// What HTTP/2 connections begin with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first octets, as far as they tell the version, must come in time.
pub(super) struct Opening<S> {
    stream: S,
    undecided: Option<Undecided>,
}

struct Undecided {
    /// How much of [`PREFACE`] has come.
    matched: usize,
    end: Pin<Box<Sleep>>,
}

impl<S> Opening<S> {
    pub(super) fn new(stream: S, within: Duration) -> Self {
        Self { stream, undecided: Some(Undecided { matched: 0, end: Box::pin(tokio::time::sleep(within)) }) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(undecided) = &mut self.undecided else { return polled };
        match polled {
            Poll::Pending => undecided.end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            Poll::Ready(Ok(())) => {
                let came = &buffer.filled()[before..];
                let rest = &PREFACE[undecided.matched..];
                undecided.matched += came.len();
                if came == rest || !rest.starts_with(came) {
                    self.undecided = None;
                }
                polled
            }
            Poll::Ready(Err(_)) => polled,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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
