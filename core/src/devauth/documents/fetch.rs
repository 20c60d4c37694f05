//! Fetching one document from wherever a stranger says, without being led elsewhere (SSRF).
//!
//! Owns the HTTP clients, the resolving of names and every bound on an exchange. A name is resolved once, each of its
//! addresses is judged, and the connection goes to those addresses: what a name service answers later is never
//! asked. Must not know what a document means.

use std::{
    error::Error as StdError,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use http::{HeaderMap, Request, StatusCode, header};
use http_cache_semantics::{CacheOptions, CachePolicy};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::{
    address,
    url::{DocumentUrl, LOCALHOST, is_localhost},
};

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long an exchange may take, the name's resolution and the body included.
const TIME: Duration = Duration::from_secs(5);
/// Longest document, in bytes: what the draft recommends.
pub(super) const MAX_BYTES: usize = 5 * 1024;
/// Most names that are being resolved. The system's resolver cannot be stopped, so one that hangs keeps its place.
pub(super) const MAX_LOOKUPS: usize = 8;

/// Resolves names.
#[async_trait]
pub(super) trait Names: Send + Sync + 'static {
    /// The addresses of a name.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
pub(super) struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// What keeps an address from being connected to; `None` if nothing does.
pub(super) type Judge = fn(IpAddr) -> Option<&'static str>;

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
    #[error("\"{0}\" ended the connection within the document")]
    Broken(String),
    #[error("this server cannot fetch documents; its log says why")]
    NoClient,
}

/// The world as a fetcher sees it.
pub(super) struct World {
    pub(super) names: Arc<dyn Names>,
    pub(super) judge: Judge,
    /// Certificates that are trusted beside the system's.
    pub(super) certificates: Vec<reqwest::Certificate>,
    /// How long an exchange may take.
    pub(super) time: Duration,
}

impl World {
    /// As it is.
    pub(super) fn real() -> Self {
        Self { names: Arc::new(SystemNames), judge: address::special, certificates: Vec::new(), time: TIME }
    }
}

/// Fetches documents.
pub(super) struct Fetcher {
    public: Arc<Guarded>,
    certificates: Vec<reqwest::Certificate>,
    time: Duration,
    clients: [OnceLock<Option<reqwest::Client>>; 2],
}

impl Fetcher {
    /// A fetcher. Nothing is opened or loaded before the first request.
    pub(super) fn new(World { names, judge, certificates, time }: World) -> Self {
        let lookups = Arc::new(Semaphore::new(MAX_LOOKUPS));
        let public = Arc::new(Guarded { names, judge, lookups });
        Self { public, certificates, time, clients: Default::default() }
    }

    /// Fetches the document.
    pub(super) async fn fetch(&self, at: &DocumentUrl) -> Result<Fetched, FetchFault> {
        let host = || at.host().to_owned();
        let client = self.client(at.is_loopback()).ok_or(FetchFault::NoClient)?;
        let request = client.get(at.url().clone()).header(header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|error| no_answer(&error, at))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(FetchFault::Redirect { host: host(), status: status.as_u16() });
        }
        if status != StatusCode::OK {
            return Err(FetchFault::Status { host: host(), status: status.as_u16() });
        }
        check_headers(response.headers())?;
        if response.content_length().is_some_and(|length| length > MAX_BYTES as u64) {
            return Err(FetchFault::TooLong);
        }
        let fresh_for = fresh_for(at, &response);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_body(&error, at))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(FetchFault::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { body, fresh_for })
    }

    /// The client for documents of this machine, or for all others.
    fn client(&self, loopback: bool) -> Option<&reqwest::Client> {
        let client = self.clients[usize::from(loopback)].get_or_init(|| {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("toolgate/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIME)
                .timeout(self.time)
                .redirect(reqwest::redirect::Policy::none())
                // A proxy would resolve the name again, somewhere else.
                .no_proxy()
                .referer(false)
                .pool_max_idle_per_host(0);
            let builder = if loopback {
                builder.dns_resolver(Arc::new(Localhost))
            } else {
                let builder = builder.tls_certs_merge(self.certificates.iter().cloned());
                builder.https_only(true).dns_resolver(Arc::clone(&self.public))
            };
            builder.build().inspect_err(|error| tracing::warn!(%error, "no client metadata can be fetched")).ok()
        });
        client.as_ref()
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
fn fresh_for(at: &DocumentUrl, response: &reqwest::Response) -> Duration {
    let mut answered = http::Response::new(());
    *answered.status_mut() = response.status();
    *answered.headers_mut() = response.headers().clone();
    let Ok(asked) = Request::get(at.as_str()).body(()) else { return Duration::ZERO };
    let now = SystemTime::now();
    CachePolicy::new_options(&asked, &answered, now, CacheOptions::default()).time_to_live(now)
}

fn no_answer(error: &reqwest::Error, at: &DocumentUrl) -> FetchFault {
    let host = at.host().to_owned();
    // For the operator alone: it may name addresses of this network.
    tracing::info!(client_id = at.as_str(), cause = %Causes(error), "client metadata could not be fetched");
    if causes(error).any(|cause| cause.is::<NotPublic>()) {
        FetchFault::NoPublicAddress(host)
    } else if error.is_timeout() {
        FetchFault::Timeout(host)
    } else if Causes(error).to_string().contains("certificate") {
        FetchFault::Certificate(host)
    } else {
        FetchFault::NoConnection(host)
    }
}

fn no_body(error: &reqwest::Error, at: &DocumentUrl) -> FetchFault {
    let host = at.host().to_owned();
    if error.is_timeout() { FetchFault::Timeout(host) } else { FetchFault::Broken(host) }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An error with its causes, which is where reqwest keeps what happened.
struct Causes<'a>(&'a reqwest::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first names the URL, which is told beside it.
        causes(self.0).skip(1).try_for_each(|cause| write!(f, "{cause}; "))
    }
}

/// The name has no address, or one that must not be connected to.
#[derive(Debug, thiserror::Error)]
enum NotPublic {
    #[error("the name cannot be resolved")]
    Unresolved(#[source] io::Error),
    #[error("the name has no address")]
    None,
    #[error("the name has the address {0}, which is {1}")]
    Special(IpAddr, &'static str),
}

/// Resolves a name for one connection and lets it have public addresses alone.
struct Guarded {
    names: Arc<dyn Names>,
    judge: Judge,
    lookups: Arc<Semaphore>,
}

impl Guarded {
    async fn addresses(&self, name: String) -> Result<Vec<IpAddr>, NotPublic> {
        let closed = |_| NotPublic::Unresolved(io::Error::other("no place to resolve it"));
        let place = Arc::clone(&self.lookups).acquire_owned().await.map_err(closed)?;
        let names = Arc::clone(&self.names);
        let lookup = tokio::spawn(async move {
            let found = names.addresses(&name).await;
            drop(place);
            found
        });
        let found = lookup.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let found = found.map_err(NotPublic::Unresolved)?;
        if found.is_empty() {
            return Err(NotPublic::None);
        }
        // One that leads inside is enough: such a name is not in good hands.
        match found.iter().find_map(|address| Some((*address, (self.judge)(*address)?))) {
            Some((address, kind)) => Err(NotPublic::Special(address, kind)),
            None => Ok(found),
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Self { names: self.names.clone(), judge: self.judge, lookups: self.lookups.clone() };
        Box::pin(async move { Ok(sockets(guard.addresses(name.as_str().to_owned()).await?)) })
    }
}

/// Knows one name, and asks nobody.
struct Localhost;

impl Resolve for Localhost {
    fn resolve(&self, name: Name) -> Resolving {
        let known = is_localhost(name.as_str());
        Box::pin(async move { if known { Ok(sockets(LOCALHOST.to_vec())) } else { Err(NotPublic::None.into()) } })
    }
}

/// Port 0 stands for that of the URL.
fn sockets(addresses: Vec<IpAddr>) -> Addrs {
    Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)))
}
