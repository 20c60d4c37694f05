//! The accept loop: TCP without delay, bounds on connections and heads, a handler dropped when its client
//! goes, and a drain at the end.
//!
//! poem's own server sets no `TCP_NODELAY`, has no header timeout and lets a handler run on after its client
//! has gone, which MCP forbids (2026-07-28, `basic/patterns/cancellation`); so its app is served from here.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use http::{HeaderValue, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use poem::{
    Endpoint,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{leftover::Leftover, opening::Opening};

/// Largest request head, in bytes; a larger one is answered 431.
const HEAD_BYTES: usize = 64 * 1024;
/// Most header fields in a request.
const HEAD_FIELDS: usize = 100;

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most connections at a time; further ones wait.
    pub(super) connections: usize,
    /// How long a client may take to send a request head.
    pub(super) header_timeout: Duration,
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
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    let places = Arc::new(Semaphore::new(bounds.connections));
    let graceful = GracefulShutdown::new();
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
        let connection = match connect(&builder, stream, remote, bounds.header_timeout, Arc::clone(&app)) {
            Ok(connection) => graceful.watch(connection),
            Err(error) => {
                tracing::debug!(%error, "a connection was gone before it was served");
                continue;
            }
        };
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    let (finished, ()) =
        tokio::join!(tokio::time::timeout(Duration::from_secs(3600), finish(graceful, drain)), async {});
    drop(finished);
}

/// Wait for the connections, but no longer than the drain and a moment for what it let through.
async fn finish(graceful: GracefulShutdown, drain: impl Future<Output = ()>) {
    let mut closing = pin!(graceful.shutdown());
    tokio::select! {
        () = &mut closing => return,
        () = drain => {}
    }
    let _ = tokio::time::timeout(Duration::from_millis(500), closing).await;
}

fn connect<E: Endpoint + 'static>(
    builder: &Builder<TokioExecutor>,
    stream: TcpStream,
    remote: SocketAddr,
    header_timeout: Duration,
    app: Arc<E>,
) -> std::io::Result<
    impl hyper_util::server::graceful::GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>> + Send + use<E>,
> {
    stream.set_nodelay(true)?;
    let local = LocalAddr(stream.local_addr()?.into());
    let remote = RemoteAddr(remote.into());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let app = Arc::clone(&app);
        let (local, remote) = (local.clone(), remote.clone());
        async move { Ok::<_, Infallible>(answer(app, request, local, remote).await) }
    });
    let stream = TokioIo::new(Opening::new(stream, header_timeout));
    Ok(builder.serve_connection(stream, service).into_owned())
}

async fn answer<E: Endpoint>(
    app: Arc<E>,
    request: hyper::Request<Incoming>,
    local: LocalAddr,
    remote: RemoteAddr,
) -> hyper::Response<impl hyper::body::Body<Data = bytes::Bytes, Error = std::io::Error>> {
    let (head, body) = request.into_parts();
    // Who waits for leave to send a body gets none for one that is refused (RFC 9110 section 10.1.1).
    let waits = head.headers.contains_key(header::EXPECT);
    let is_http1 = head.version < http::Version::HTTP_2;
    let body = Leftover::new(body);
    let unread = body.clone();
    let head = (head, local, remote, http::uri::Scheme::HTTP).into();
    let body = poem::Body::from_bytes_stream(body.into_data_stream().map_err(std::io::Error::other));
    let mut response: hyper::Response<_> = app.get_response(poem::Request::from_parts(head, body)).await.into();
    if is_http1 && (waits && !hyper::body::Body::is_end_stream(&unread) || !waits && !unread.finished().await) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
