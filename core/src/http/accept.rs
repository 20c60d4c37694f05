//! The accept loop: TCP without delay, bounds on connections and heads, a handler dropped when its client
//! goes, and a drain at the end.
//!
//! poem's own server sets no `TCP_NODELAY`, has no header timeout and lets a handler run on after its client
//! has gone, which MCP forbids (2026-07-28, `basic/patterns/cancellation`); so its app is served from here.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderValue, header};
use http_body_util::{BodyExt, Either, Empty, combinators::BoxBody};
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use poem::{
    Endpoint,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{leftover::Leftover, requests::Requests, timed::Timed};

/// Largest request head, in bytes; a larger one is answered 431.
const HEAD_BYTES: usize = 64 * 1024;
/// Most header fields in a request.
const HEAD_FIELDS: usize = 100;
/// How much of an answer the kernel holds for a connection, in bytes.
const SEND_BUFFER: u32 = 128 * 1024;
/// How long a connection may be kept without a request on it: longer than proxies keep theirs, so that it is they who
/// end an unused one.
const IDLE: Duration = Duration::from_secs(75);
/// How long a client may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// An answer's body; none for HEAD.
type Answered = Either<BoxBody<Bytes, std::io::Error>, Empty<Bytes>>;

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most connections at a time; further ones wait.
    pub(super) connections: usize,
    /// How long a client may take to send a request head.
    pub(super) header_timeout: Duration,
}

/// Listen on an address.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As tokio's own bind does: a port just left may be taken again.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Inherited by connections. The kernel says that a socket can be written to when a third of this is free, so with
    // a large one a client that reads slowly would look like one that does not read.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serve `app` on `listener` until `stop`; then run `drain` while connections finish, and close what is left.
pub(super) async fn serve<E>(
    listener: TcpListener,
    app: Arc<E>,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
    drain: impl Future<Output = ()>,
) where
    E: Endpoint + 'static,
{
    let builder = Arc::new(builder());
    let places = Arc::new(Semaphore::new(bounds.connections));
    let closing = CancellationToken::new();
    let connections = TaskTracker::new();
    let mut stop = pin!(stop);
    loop {
        let place = tokio::select! {
            biased;
            () = &mut stop => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back rather than spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (builder, app, closing) = (Arc::clone(&builder), Arc::clone(&app), closing.clone());
        connections.spawn(async move {
            if let Err(error) = connection(&builder, stream, remote, bounds, app, closing).await {
                tracing::debug!(error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    closing.cancel();
    connections.close();
    tokio::select! {
        () = connections.wait() => return,
        () = drain => {}
    }
    // What the drain let through is still on its way out.
    let _ = tokio::time::timeout(Duration::from_millis(500), connections.wait()).await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper counts the time between two requests as well, so heads have a bound of their own below.
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(100)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    builder
}

/// Serve one connection to its end: the client's, the server's, or that of its patience with a silent client.
async fn connection<E: Endpoint + 'static>(
    builder: &Builder<TokioExecutor>,
    stream: TcpStream,
    remote: SocketAddr,
    bounds: Bounds,
    app: Arc<E>,
    closing: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let local = LocalAddr(stream.local_addr()?.into());
    let remote = RemoteAddr(remote.into());
    let requests = Requests::default();
    let seen = requests.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (app, local, remote) = (Arc::clone(&app), local.clone(), remote.clone());
        let open = seen.open();
        async move { Ok::<_, Infallible>(answer(app, request, local, remote).await.map(|body| open.until_sent(body))) }
    });
    let stream = TokioIo::new(Timed::new(stream, bounds.header_timeout, requests.clone()));
    let mut served = pin!(builder.serve_connection(stream, service));
    let mut patience = bounds.header_timeout;
    loop {
        tokio::select! {
            ended = served.as_mut() => return ended,
            () = closing.cancelled() => {
                served.as_mut().graceful_shutdown();
                return served.await;
            }
            () = tokio::time::sleep(patience) => {}
        }
        match requests.idle_for() {
            // The first request is due as soon as a head is.
            Some(_) if !requests.any() || requests.head_for() >= bounds.header_timeout => return Ok(()),
            Some(idle) if idle >= IDLE => break,
            None if requests.stalled_for() >= STALLED => return Ok(()),
            _ => patience = LOOK.min(bounds.header_timeout),
        }
    }
    served.as_mut().graceful_shutdown();
    tokio::time::timeout(LOOK, served).await.unwrap_or(Ok(()))
}

async fn answer<E: Endpoint>(
    app: Arc<E>,
    request: hyper::Request<Incoming>,
    local: LocalAddr,
    remote: RemoteAddr,
) -> hyper::Response<Answered> {
    let (head, body) = request.into_parts();
    // Who waits for leave to send a body gets none for one that is refused (RFC 9110 section 10.1.1).
    let waits = head.headers.contains_key(header::EXPECT);
    let is_http1 = head.version < http::Version::HTTP_2;
    let is_head = head.method == http::Method::HEAD;
    let body = Leftover::new(body);
    let unread = body.clone();
    let head = (head, local, remote, http::uri::Scheme::HTTP).into();
    let body = poem::Body::from_bytes_stream(body.into_data_stream().map_err(std::io::Error::other));
    let mut response: hyper::Response<_> = app.get_response(poem::Request::from_parts(head, body)).await.into();
    let finished = if waits { unread.is_end_stream() } else { unread.finished().await };
    if is_http1 && !finished {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if !is_head {
        return response.map(Either::Left);
    }
    // hyper leaves the body out for HTTP/1 alone (RFC 9110 section 9.3.2).
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    response.map(|_| Either::Right(Empty::new()))
}
