//! A client's site on this machine, over TLS or in the clear, that answers as a test says and counts who came.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// What a site answers a request with.
#[derive(Clone)]
pub(in crate::devauth) enum Reply {
    /// These octets.
    Octets(Vec<u8>),
    /// A document whose `client_id` is the URL that was asked for, with more headers.
    Document { headers: String, members: String },
    /// These octets, and then more and more.
    Endless(Vec<u8>),
    /// These octets again and again, from the first.
    Repeated(Vec<u8>),
    /// These octets, and then nothing, the connection open.
    Stalled(Vec<u8>),
    /// Nothing before the semaphore lets it; then the document.
    Held(Arc<Semaphore>),
}

impl Reply {
    pub(in crate::devauth) fn json(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n");
        Self::Octets([head.as_bytes(), body.as_bytes()].concat())
    }

    /// A sound document.
    pub(in crate::devauth) fn document() -> Self {
        Self::cached("")
    }

    /// A sound document with a `Cache-Control`.
    pub(in crate::devauth) fn cached(control: &str) -> Self {
        let headers = if control.is_empty() { String::new() } else { format!("Cache-Control: {control}\r\n") };
        Self::Document { headers, members: String::new() }
    }

    /// A sound document with more members, or other ones.
    pub(in crate::devauth) fn with(members: &str) -> Self {
        Self::Document { headers: String::new(), members: format!(",{members}") }
    }
}

/// A site; it ends with the test.
pub(in crate::devauth) struct Site {
    address: SocketAddr,
    host: String,
    scheme: &'static str,
    pub(in crate::devauth) certificate: Option<CertificateDer<'static>>,
    reply: Arc<Mutex<Reply>>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Site {
    /// One in the clear on `localhost`.
    pub(in crate::devauth) async fn plain(reply: Reply) -> Self {
        Self::start("http", "localhost", None, reply).await
    }

    /// One over TLS that calls itself so and is certified so.
    pub(in crate::devauth) async fn secure(host: &str, reply: Reply) -> Self {
        Self::start("https", host, Some(host), reply).await
    }

    /// One over TLS that is certified for another name.
    pub(in crate::devauth) async fn impostor(host: &str, certified: &str) -> Self {
        Self::start("https", host, Some(certified), Reply::document()).await
    }

    async fn start(scheme: &'static str, host: &str, certified: Option<&str>, reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, certificate) = certified.map(tls).unzip();
        let site = Self {
            address,
            host: format!("{host}:{}", address.port()),
            scheme,
            certificate,
            reply: Arc::new(Mutex::new(reply)),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (base, reply) = (site.url(""), Arc::clone(&site.reply));
        let (connections, requests) = (Arc::clone(&site.connections), Arc::clone(&site.requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, base) = (acceptor.clone(), base.clone());
                let (reply, requests) = (Arc::clone(&reply), Arc::clone(&requests));
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => answer(stream, &base, &reply, &requests).await,
                            Err(_) => None,
                        },
                        None => answer(stream, &base, &reply, &requests).await,
                    }
                });
            }
        });
        site
    }

    pub(in crate::devauth) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.host)
    }

    pub(in crate::devauth) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(in crate::devauth) fn reply(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub(in crate::devauth) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(in crate::devauth) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn tls(name: &str) -> (TlsAcceptor, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

/// One request, one answer, and the connection ends. `None` if the other side has gone.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    base: &str,
    reply: &Mutex<Reply>,
    requests: &AtomicUsize,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let target = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
    let document = |headers: &str, members: &str| {
        let first = format!("\"client_id\":\"{base}{target}\",\"client_name\":\"Editor\"");
        let redirects = "\"redirect_uris\":[\"http://127.0.0.1:7777/callback\",\"https://editor.example/cb\"]";
        let grants = "\"grant_types\":[\"authorization_code\",\"refresh_token\"]";
        let body = format!("{{{first},{redirects},{grants}{members}}}");
        Reply::json("200 OK", headers, &body)
    };
    let mut reply = reply.lock().unwrap().clone();
    if let Reply::Held(held) = &reply {
        held.acquire().await.ok()?.forget();
        reply = Reply::document();
    }
    if let Reply::Document { headers, members } = &reply {
        reply = document(headers, members);
    }
    match reply {
        Reply::Octets(octets) => {
            stream.write_all(&octets).await.ok()?;
            stream.shutdown().await.ok()
        }
        Reply::Endless(octets) => {
            stream.write_all(&octets).await.ok()?;
            loop {
                stream.write_all(&[b' '; 512]).await.ok()?;
            }
        }
        Reply::Repeated(octets) => {
            // In large pieces, so that whoever reads always finds more.
            let octets = octets.repeat(64 * 1024 / octets.len() + 1);
            loop {
                stream.write_all(&octets).await.ok()?;
            }
        }
        Reply::Stalled(octets) => {
            stream.write_all(&octets).await.ok()?;
            stream.flush().await.ok()?;
            stream.read_u8().await.ok().map(drop)
        }
        Reply::Document { .. } | Reply::Held(_) => None,
    }
}
