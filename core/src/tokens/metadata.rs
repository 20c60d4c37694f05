//! The provider's documents: found in the order that MCP asks for, checked, kept, passed through untouched.
//!
//! Owns discovery (RFC 8414 section 3, OpenID Connect Discovery section 4), the endpoints that follow from it, and the
//! two pass-throughs: metadata and dynamic registration (RFC 7591). Must not know tokens or keys.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::{
    clock::Clock,
    profile::Documents,
    provider::{Answer, ProviderClient, Unreachable, is_loopback, may_be_asked},
};

/// How long a document is served without looking again.
const FRESH: Duration = Duration::from_secs(300);
/// How long the provider's word that it has no such document is believed.
const FRESH_ABSENCE: Duration = Duration::from_secs(60);
/// How long to leave the provider alone after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// Which of the provider's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetadataDocument {
    /// Authorization server metadata (RFC 8414).
    OauthAuthorizationServer,
    /// OpenID Connect discovery.
    OpenidConfiguration,
}

/// An answer of the provider, to be handed on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passthrough {
    /// Its status.
    pub status: StatusCode,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// Its `Retry-After`.
    pub retry_after: Option<String>,
    /// Its body, byte for byte.
    pub body: Bytes,
}

/// A registration that could not be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The provider's metadata names no `registration_endpoint`: dynamic registration is off there, or unknown.
    #[error("the authorization server offers no dynamic client registration; register a client there by hand")]
    NotOffered,
    /// The provider, or its metadata, is out of reach.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// The documents of one provider.
pub(super) struct Discovery {
    client: Arc<ProviderClient>,
    documents: Documents,
    clock: Clock,
    // Held while a document is fetched, so that callers who come together share one fetch. Whoever is dropped while
    // holding it leaves the work to the next.
    held: Mutex<HashMap<MetadataDocument, Held>>,
}

/// What is known of one document.
#[derive(Clone)]
struct Held {
    known: Option<(Passthrough, Instant)>,
    failed: Option<(Unreachable, Instant)>,
}

/// Endpoints that a document names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Keys,
    Introspection,
    Registration,
}

impl Endpoint {
    fn member(self) -> &'static str {
        match self {
            Self::Keys => "jwks_uri",
            Self::Introspection => "introspection_endpoint",
            Self::Registration => "registration_endpoint",
        }
    }
}

impl Discovery {
    pub(super) fn new(documents: Documents, client: Arc<ProviderClient>, clock: Clock) -> Self {
        Self { client, documents, clock, held: Mutex::default() }
    }

    /// A document as the provider serves it, or the provider's refusal. A copy is fresh for 5 minutes and is served
    /// through an outage.
    pub(super) async fn document(&self, document: MetadataDocument) -> Result<Passthrough, Unreachable> {
        let mut held = self.held.lock().await;
        let now = self.clock.steady();
        let before = held.get(&document).cloned().unwrap_or(Held { known: None, failed: None });
        let since = |then: Instant| now.saturating_duration_since(then);
        if let Some((known, at)) = &before.known {
            let fresh = if known.status == StatusCode::OK { FRESH } else { FRESH_ABSENCE };
            if since(*at) < fresh {
                return Ok(known.clone());
            }
        }
        if let Some((failure, at)) = &before.failed
            && since(*at) < PAUSE
        {
            return before.known.map(|(known, _)| known).ok_or_else(|| failure.clone());
        }
        match self.fetch(document).await {
            Ok(fetched) => {
                held.insert(document, Held { known: Some((fetched.clone(), self.clock.steady())), failed: None });
                Ok(fetched)
            }
            Err(failure) => {
                tracing::warn!(reason = %failure, "the authorization server's metadata cannot be fetched");
                let failed = Some((failure.clone(), self.clock.steady()));
                held.insert(document, Held { known: before.known.clone(), failed });
                before.known.map(|(known, _)| known).ok_or(failure)
            }
        }
    }

    /// An endpoint, from the first document in order that names it. It must be HTTPS, or loopback if the issuer is.
    pub(super) async fn endpoint(&self, endpoint: Endpoint) -> Result<Url, Unreachable> {
        let mut failure = None;
        for document in [MetadataDocument::OauthAuthorizationServer, MetadataDocument::OpenidConfiguration] {
            match self.document(document).await {
                Ok(found) if found.status == StatusCode::OK => {
                    let metadata: Option<Value> = serde_json::from_slice(&found.body).ok();
                    let named = metadata.as_ref().and_then(|metadata| metadata.get(endpoint.member())?.as_str());
                    if let Some(url) = named.and_then(|url| Url::parse(url).ok()).filter(|url| self.may_lead_to(url)) {
                        return Ok(url);
                    }
                }
                Ok(_) => {}
                Err(unreachable) => failure = failure.or(Some(unreachable)),
            }
        }
        let issuer = self.documents.issuer.to_string();
        Err(failure.unwrap_or(Unreachable::NotNamed { issuer, member: endpoint.member() }))
    }

    /// Hand a registration request on (RFC 7591 section 3.1).
    pub(super) async fn register(&self, body: Bytes, content_type: Option<&str>) -> Result<Passthrough, RegisterError> {
        let endpoint = match self.endpoint(Endpoint::Registration).await {
            Ok(endpoint) => endpoint,
            Err(Unreachable::NotNamed { .. }) => return Err(RegisterError::NotOffered),
            Err(unreachable) => return Err(unreachable.into()),
        };
        let content_type = content_type.unwrap_or("application/json").to_owned();
        let post =
            |client: &reqwest::Client| client.post(endpoint.clone()).header(CONTENT_TYPE, content_type).body(body);
        Ok(self.client.send(&endpoint, post).await?.into())
    }

    /// Try the document's places in order. The first document that may be used wins; if there is none, the provider's
    /// own refusal is the answer, and failing that the first thing that went wrong.
    async fn fetch(&self, document: MetadataDocument) -> Result<Passthrough, Unreachable> {
        let mut refusal: Option<Answer> = None;
        let mut failure = None;
        for place in self.places(document) {
            // Without a connection the other places of the same server would fail alike.
            let answer = self.client.fetch(&place).await?;
            let problem = match answer.status {
                StatusCode::OK => match self.usable(&place, &answer.body) {
                    Ok(()) => return Ok(answer.into()),
                    Err(problem) => problem,
                },
                status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                    refusal = refusal.or(Some(answer));
                    continue;
                }
                status => Unreachable::Status { url: place.to_string(), status: status.as_u16() },
            };
            failure = failure.or(Some(problem));
        }
        match (failure, refusal) {
            (Some(failure), _) => Err(failure),
            (None, Some(refusal)) => Ok(refusal.into()),
            (None, None) => Err(Unreachable::NotNamed { issuer: self.documents.issuer.to_string(), member: "issuer" }),
        }
    }

    /// Where the document may be. For an issuer with a path, MCP asks for: RFC 8414 inserted, OIDC inserted, OIDC
    /// appended; without one the two forms are one place.
    fn places(&self, document: MetadataDocument) -> Vec<Url> {
        let issuer = &self.documents.issuer;
        // "any terminating "/" MUST be removed" (RFC 8414 section 3.1).
        let path = issuer.path().trim_end_matches('/');
        let (well_known, append) = match document {
            MetadataDocument::OauthAuthorizationServer => {
                ("/.well-known/oauth-authorization-server", self.documents.appended)
            }
            MetadataDocument::OpenidConfiguration => ("/.well-known/openid-configuration", true),
        };
        let at = |path: &str| {
            let mut url = issuer.clone();
            url.set_path(path);
            url
        };
        let mut places = vec![at(&format!("{well_known}{path}"))];
        if append && !path.is_empty() {
            places.push(at(&format!("{path}{well_known}")));
        }
        places
    }

    fn usable(&self, place: &Url, body: &[u8]) -> Result<(), Unreachable> {
        let url = || place.to_string();
        let metadata: Value = serde_json::from_slice(body).unwrap_or_default();
        if !metadata.is_object() {
            return Err(Unreachable::Unusable { url: url(), problem: "is no metadata document" });
        }
        match &self.documents.stated {
            Some(issuer) if metadata.get("issuer").and_then(Value::as_str) != Some(issuer) => {
                Err(Unreachable::IssuerMismatch { url: url() })
            }
            _ => Ok(()),
        }
    }

    /// A server elsewhere has no business naming services on this machine.
    fn may_lead_to(&self, url: &Url) -> bool {
        may_be_asked(url) && (!is_loopback(url) || is_loopback(&self.documents.issuer))
    }
}

impl From<Answer> for Passthrough {
    fn from(answer: Answer) -> Self {
        let Answer { status, content_type, retry_after, body } = answer;
        Self { status, content_type, retry_after, body }
    }
}
