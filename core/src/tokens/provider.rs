//! The one way out: requests to authorization servers.
//!
//! Owns the HTTP clients and their bounds (time, size, no redirects) and the rule that only loopback servers may be
//! spoken to in the clear. Must not know what is asked for.

use std::{error::Error as _, fmt, sync::OnceLock, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use url::Url;

use crate::config::is_loopback;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an exchange may take, body included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
pub(super) const LONGEST_ANSWER: usize = 1024 * 1024;

/// Speaks HTTP to authorization servers; one for the process.
///
/// Requests end after 5 s, answers after 1 MiB, redirects are not followed. Nothing is opened or loaded before the
/// first request, so a server without a provider to ask needs no certificates.
#[derive(Default)]
pub struct ProviderClient {
    secure: OnceLock<Result<reqwest::Client, String>>,
    loopback: OnceLock<Result<reqwest::Client, String>>,
}

impl fmt::Debug for ProviderClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderClient").finish_non_exhaustive()
    }
}

/// An authorization server, or what it should have answered with, is out of reach. For the operator's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// No connection, or no answer in time.
    #[error("no answer from \"{url}\": {cause}; see that it is reachable from here")]
    NoAnswer {
        /// What was asked.
        url: String,
        /// How it failed.
        cause: String,
    },
    /// An answer with a status that does not help.
    #[error("\"{url}\" answered {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// The answer is longer than 1 MiB.
    #[error("the answer of \"{url}\" is too long; at most {LONGEST_ANSWER} bytes are read")]
    TooLong {
        /// What was asked.
        url: String,
    },
    /// The answer is not what stands at such a place.
    #[error("the answer of \"{url}\" {problem}")]
    Unusable {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The document speaks for another issuer, so it must not be used (RFC 8414 section 3.3).
    #[error("the metadata at \"{url}\" is that of another issuer; write `issuer` exactly as it stands there")]
    IssuerMismatch {
        /// What was asked.
        url: String,
    },
    /// The metadata names no such endpoint.
    #[error("the metadata of \"{issuer}\" has no usable \"{member}\"; it must be an https URL")]
    NotNamed {
        /// Whose metadata.
        issuer: String,
        /// Which member.
        member: &'static str,
    },
    /// The development authorization server's documents are served by this process itself.
    #[error("the development authorization server is part of this process; its documents are not fetched")]
    Embedded,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    pub(super) retry_after: Option<String>,
    pub(super) body: Bytes,
}

impl ProviderClient {
    /// A client. Does no I/O.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fetch a document.
    pub(super) async fn fetch(&self, url: &Url) -> Result<Answer, Unreachable> {
        self.send(url, |client| client.get(url.clone()).header(ACCEPT, "application/json")).await
    }

    /// Send a request that `build` makes with the client that suits its `url`.
    pub(super) async fn send(
        &self,
        url: &Url,
        build: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Answer, Unreachable> {
        let no_answer = |cause: String| Unreachable::NoAnswer { url: url.to_string(), cause };
        let client = self.suited_to(url).map_err(no_answer)?;
        let mut response = build(client).send().await.map_err(|error| no_answer(causes(error)))?;
        let text = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (status, content_type, retry_after) = (response.status(), text(CONTENT_TYPE), text(RETRY_AFTER));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(causes(error)))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(Unreachable::TooLong { url: url.to_string() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, retry_after, body: body.freeze() })
    }

    /// Plain HTTP goes to loopback alone, hence past any proxy and without certificates; the rest is HTTPS.
    fn suited_to(&self, url: &Url) -> Result<&reqwest::Client, String> {
        let client = if url.scheme() == "http" {
            self.loopback.get_or_init(|| build(builder().no_proxy().tls_certs_only([])))
        } else {
            self.secure.get_or_init(|| build(builder().https_only(true)))
        };
        client.as_ref().map_err(Clone::clone)
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("toolgate/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    builder.build().map_err(causes)
}

/// An error with its causes, which is where reqwest keeps what happened.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Whether a server at this URL may be spoken to: over HTTPS, or in the clear on loopback. Credentials and fragments
/// have no place in it.
pub(super) fn may_be_asked(url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    bare && url.has_host() && (url.scheme() == "https" || url.scheme() == "http" && is_loopback(url))
}

/// Whether the metadata of `issuer` may send us to `url`: a server elsewhere has no business naming services on this
/// machine.
pub(super) fn may_lead_to(issuer: &Url, url: &Url) -> bool {
    may_be_asked(url) && (!is_loopback(url) || is_loopback(issuer))
}
