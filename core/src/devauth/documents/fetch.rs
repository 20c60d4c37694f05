//! Fetching one document from wherever a stranger says, without being led elsewhere (SSRF).
//!
//! Owns the exchange: one request, no redirect, no proxy, an answer within bounds of time and length. Where it goes is
//! `connect`'s to decide. Must not know what a document means.

use std::{
    error::Error as StdError,
    fmt, io,
    pin::pin,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::future::{self, Either};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use http_cache_semantics::{CacheOptions, CachePolicy};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;

use super::{
    connect::{ConnectError, Connection, Connector, MAX_TRAFFIC, TooMuch, World},
    turns::Place,
    url::DocumentUrl,
};

/// How long an exchange may take, the name's resolution and the body included.
pub(super) const TIME: Duration = Duration::from_secs(5);
/// Longest document, in bytes: what the draft recommends.
pub(super) const MAX_BYTES: usize = 5 * 1024;

/// A document as it came.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    /// How long it may be kept, as HTTP says (RFC 9111).
    pub(super) fresh_for: Duration,
}

/// Why there is no document. Says nothing of this network: no address, and not whether an inner name exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::devauth) enum FetchFault {
    #[error("\"{0}\" does not lead to public addresses alone; put the document where everybody can read it")]
    NoPublicAddress(String),
    #[error("\"{0}\" cannot be connected to")]
    NoConnection(String),
    #[error("\"{0}\" has no certificate that this server trusts; a document must be served with a valid one")]
    Certificate(String),
    #[error("\"{0}\" did not send the document within {limit} seconds", limit = TIME.as_secs())]
    Timeout(String),
    #[error("\"{host}\" answers {status}, a redirect; name the document by the URL where it is")]
    Redirect { host: String, status: u16 },
    #[error("\"{host}\" answers {status} and not 200")]
    Status { host: String, status: u16 },
    #[error("the document has the content type \"{0}\"; serve it as application/json")]
    ContentType(String),
    #[error("the document has no content type; serve it as application/json")]
    NoContentType,
    #[error("the document has the content coding \"{0}\", which was not asked for; serve it as it is")]
    Coding(String),
    #[error("the document is longer than {MAX_BYTES} bytes; shorten it")]
    TooLong,
    #[error("\"{0}\" sends more than {MAX_TRAFFIC} bytes around the document; shorten what comes before it")]
    TooMuch(String),
    #[error("\"{0}\" ended the connection within the document")]
    Broken(String),
    #[error("this server cannot fetch documents; its log says why")]
    NoTls,
}

/// Fetches documents.
pub(super) struct Fetcher {
    connector: Connector,
    time: Duration,
}

impl Fetcher {
    /// A fetcher. Nothing is opened or loaded before the first request.
    pub(super) fn new(World { names, judge, certificates, time, patience: _ }: World) -> Self {
        Self { connector: Connector::new(names, judge, certificates), time }
    }

    /// Fetches the document; whoever asks has a place at its host.
    pub(super) async fn fetch(&self, at: &DocumentUrl, at_host: &Place) -> Result<Fetched, FetchFault> {
        let exchange = async {
            let connection = self.connector.connect(at, at_host).await.map_err(|error| no_connection(&error, at))?;
            exchange(connection, at).await
        };
        let late = |_| FetchFault::Timeout(at.host().to_owned());
        tokio::time::timeout(self.time, exchange).await.map_err(late)?
    }
}

/// Asks for the document, once.
async fn exchange(connection: Connection, at: &DocumentUrl) -> Result<Fetched, FetchFault> {
    let failed = |error: hyper::Error| no_answer(&error, at);
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(failed)?;
    let asked = async {
        let response = sender.send_request(request(at)?).await.map_err(failed)?;
        read(response, at).await
    };
    match future::select(pin!(asked), pin!(connection)).await {
        Either::Left((fetched, _)) => fetched,
        // What came before the connection ended is still there to be read.
        Either::Right((_, asked)) => asked.await,
    }
}

fn request(at: &DocumentUrl) -> Result<Request<Empty<Bytes>>, FetchFault> {
    let url = at.url();
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = Request::get(target)
        .header(header::HOST, at.host())
        .header(header::USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "application/json");
    request.body(Empty::new()).map_err(|_| FetchFault::NoConnection(at.host().to_owned()))
}

async fn read(response: Response<Incoming>, at: &DocumentUrl) -> Result<Fetched, FetchFault> {
    let host = || at.host().to_owned();
    let status = response.status();
    if status.is_redirection() {
        return Err(FetchFault::Redirect { host: host(), status: status.as_u16() });
    }
    if status != StatusCode::OK {
        return Err(FetchFault::Status { host: host(), status: status.as_u16() });
    }
    check_headers(response.headers())?;
    if response.body().size_hint().lower() > MAX_BYTES as u64 {
        return Err(FetchFault::TooLong);
    }
    let fresh_for = fresh_for(at, &response);
    match Limited::new(response.into_body(), MAX_BYTES).collect().await {
        Ok(body) => Ok(Fetched { body: body.to_bytes().into(), fresh_for }),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchFault::TooLong),
        Err(error) if came_too_much(&*error) => Err(FetchFault::TooMuch(host())),
        Err(_) => Err(FetchFault::Broken(host())),
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), FetchFault> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if let Some(coding) = text(header::CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(FetchFault::Coding(coding));
    }
    let kind = text(header::CONTENT_TYPE).ok_or(FetchFault::NoContentType)?;
    let media_type = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/");
    match subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json")) {
        true => Ok(()),
        false => Err(FetchFault::ContentType(kind)),
    }
}

/// How long HTTP lets a cache that serves several users keep this answer.
fn fresh_for(at: &DocumentUrl, response: &Response<Incoming>) -> Duration {
    let mut answered = Response::new(());
    *answered.status_mut() = response.status();
    *answered.headers_mut() = response.headers().clone();
    let Ok(asked) = Request::get(at.as_str()).body(()) else { return Duration::ZERO };
    let now = SystemTime::now();
    CachePolicy::new_options(&asked, &answered, now, CacheOptions::default()).time_to_live(now)
}

fn no_connection(error: &ConnectError, at: &DocumentUrl) -> FetchFault {
    let host = at.host().to_owned();
    // For the operator alone: it may name addresses of this network.
    tracing::info!(client_id = at.as_str(), cause = %error, "client metadata could not be fetched");
    match error {
        ConnectError::Unresolved(_) | ConnectError::NoAddress | ConnectError::Special(..) => {
            FetchFault::NoPublicAddress(host)
        }
        ConnectError::Certificate(_) => FetchFault::Certificate(host),
        ConnectError::NoTls(_) => FetchFault::NoTls,
        ConnectError::Failed(error) if error.kind() == io::ErrorKind::TimedOut => FetchFault::Timeout(host),
        ConnectError::Failed(error) if came_too_much(error) => FetchFault::TooMuch(host),
        ConnectError::Failed(_) => FetchFault::NoConnection(host),
    }
}

fn no_answer(error: &hyper::Error, at: &DocumentUrl) -> FetchFault {
    let host = at.host().to_owned();
    tracing::info!(client_id = at.as_str(), cause = %Causes(error), "client metadata could not be fetched");
    if came_too_much(error) { FetchFault::TooMuch(host) } else { FetchFault::NoConnection(host) }
}

fn came_too_much(error: &(dyn StdError + 'static)) -> bool {
    let inner = |error: &'_ (dyn StdError + 'static)| error.downcast_ref::<io::Error>().is_some_and(is_too_much);
    causes(error).any(inner)
}

fn is_too_much(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An error with its causes, which is where hyper keeps what happened.
struct Causes<'a>(&'a hyper::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        causes(self.0).try_for_each(|cause| write!(f, "{cause}; "))
    }
}
