//! The way to a document's host: its addresses, one connection, TLS, and a bound on all that comes over it.
//!
//! Owns the resolving of names and the judging of addresses (SSRF). A name is resolved once, each of its addresses is
//! judged, and the connection goes to those addresses: what a name service answers later is never asked. Must not know
//! HTTP.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use rustls_platform_verifier::Verifier;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, ClientConfig, crypto::aws_lc_rs, pki_types::CertificateDer},
};
use tokio_util::either::Either;
use url::Host;

use super::{
    address,
    turns::Place,
    url::{DocumentUrl, LOCALHOST},
};

/// How long connecting may take; each address of a host gets its share.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;
/// Most that is read from a connection, in bytes: certificates and head beside the longest document. An answer may begin
/// with interim ones without end (RFC 9110 section 15.2), which an HTTP client reads and forgets.
pub(super) const MAX_TRAFFIC: usize = 64 * 1024;
/// Most names that are being resolved. The system's resolver cannot be stopped, so one that hangs keeps its place, here
/// and at its host.
pub(super) const MAX_LOOKUPS: usize = 64;

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

/// The world as a fetcher sees it.
pub(super) struct World {
    pub(super) names: Arc<dyn Names>,
    pub(super) judge: Judge,
    /// Certificates that are trusted beside the system's.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// How long an exchange may take, the name's resolution and the body included.
    pub(super) time: Duration,
    /// How long a sign-in waits for its turn and its document.
    pub(super) patience: Duration,
}

impl World {
    /// As it is.
    pub(super) fn real() -> Self {
        let (time, patience) = (super::fetch::TIME, super::PATIENCE);
        Self { names: Arc::new(SystemNames), judge: address::special, certificates: Vec::new(), time, patience }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the name cannot be resolved: {0}")]
    Unresolved(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("the name has the address {0}, which is {1}")]
    Special(IpAddr, &'static str),
    #[error("TLS cannot be set up: {0}")]
    NoTls(#[source] rustls::Error),
    #[error("the certificate is not trusted: {0}")]
    Certificate(#[source] rustls::Error),
    #[error("{0}")]
    Failed(#[from] io::Error),
}

/// A connection to a document's host.
pub(super) type Connection = Either<Bounded, TlsStream<Bounded>>;

/// Makes connections.
pub(super) struct Connector {
    names: Arc<dyn Names>,
    judge: Judge,
    lookups: Arc<Semaphore>,
    certificates: Vec<CertificateDer<'static>>,
    tls: OnceLock<Result<TlsConnector, rustls::Error>>,
}

impl Connector {
    /// A connector. Nothing is opened or loaded before the first connection.
    pub(super) fn new(names: Arc<dyn Names>, judge: Judge, certificates: Vec<CertificateDer<'static>>) -> Self {
        let lookups = Arc::new(Semaphore::new(MAX_LOOKUPS));
        Self { names, judge, lookups, certificates, tls: OnceLock::new() }
    }

    /// A connection to where a document is; whoever asks has a place at its host.
    pub(super) async fn connect(&self, at: &DocumentUrl, at_host: &Place) -> Result<Connection, ConnectError> {
        let url = at.url();
        let host = url.host().ok_or(ConnectError::NoAddress)?;
        let addresses = match host {
            // They were judged as part of the client id.
            Host::Ipv4(address) => vec![address.into()],
            Host::Ipv6(address) => vec![address.into()],
            // This machine, whatever a name service says.
            Host::Domain(_) if at.is_loopback() => LOCALHOST.to_vec(),
            Host::Domain(name) => self.addresses(name.to_owned(), Arc::clone(at_host)).await?,
        };
        let stream = Bounded::new(open(&addresses, url.port_or_known_default().unwrap_or_default()).await?);
        if url.scheme() == "http" {
            return Ok(Either::Left(stream));
        }
        let name = match host {
            Host::Domain(name) => name.to_owned().try_into().map_err(io::Error::other)?,
            Host::Ipv4(address) => IpAddr::from(address).into(),
            Host::Ipv6(address) => IpAddr::from(address).into(),
        };
        let tls = self.tls().map_err(ConnectError::NoTls)?;
        tls.connect(name, stream).await.map(Either::Right).map_err(untrusted)
    }

    /// The addresses of a name, which are all public.
    async fn addresses(&self, name: String, at_host: Place) -> Result<Vec<IpAddr>, ConnectError> {
        let closed = |_| ConnectError::Unresolved(io::Error::other("no place to resolve it"));
        let place = Arc::clone(&self.lookups).acquire_owned().await.map_err(closed)?;
        let names = Arc::clone(&self.names);
        let lookup = tokio::spawn(async move {
            let found = names.addresses(&name).await;
            drop((place, at_host));
            found
        });
        let found = lookup.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let found = found.map_err(ConnectError::Unresolved)?;
        if found.is_empty() {
            return Err(ConnectError::NoAddress);
        }
        // One that leads inside is enough: such a name is not in good hands.
        match found.iter().find_map(|address| Some((*address, (self.judge)(*address)?))) {
            Some((address, kind)) => Err(ConnectError::Special(address, kind)),
            None => Ok(found),
        }
    }

    fn tls(&self) -> Result<&TlsConnector, rustls::Error> {
        let set_up = || {
            let provider = Arc::new(aws_lc_rs::default_provider());
            let certificates = self.certificates.iter().cloned();
            let verifier = Verifier::new_with_extra_roots(certificates, Arc::clone(&provider))?;
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                // The system's own verifier, which counts as a custom one.
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(TlsConnector::from(Arc::new(config)))
        };
        self.tls.get_or_init(set_up).as_ref().map_err(Clone::clone)
    }
}

fn untrusted(error: io::Error) -> ConnectError {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls @ rustls::Error::InvalidCertificate(_)) => ConnectError::Certificate(tls.clone()),
        _ => ConnectError::Failed(error),
    }
}

/// The first of these addresses that can be connected to.
async fn open(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let addresses = &addresses[..addresses.len().min(MAX_ADDRESSES)];
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let connecting = TcpStream::connect(SocketAddr::new(*address, port));
        // One that swallows what is sent to it must not use up the time of the others.
        let share = CONNECT_TIME / u32::try_from(addresses.len()).unwrap_or(1);
        match tokio::time::timeout(share, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// More came than any document needs.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_TRAFFIC} bytes came")]
pub(super) struct TooMuch;

/// A stream of which no more than [`MAX_TRAFFIC`] is read.
pub(super) struct Bounded {
    stream: TcpStream,
    left: usize,
}

impl Bounded {
    fn new(stream: TcpStream) -> Self {
        Self { stream, left: MAX_TRAFFIC }
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let room = buf.remaining().min(self.left);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        self.left -= read;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
