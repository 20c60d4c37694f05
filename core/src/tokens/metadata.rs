//! The provider's documents: found in the order that MCP asks for, checked, kept, passed through untouched.
//!
//! Owns discovery (RFC 8414 section 3, OpenID Connect Discovery section 4), the endpoints that follow from it, and the
//! two pass-throughs: metadata and dynamic registration (RFC 7591). Must not know tokens or keys.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::Value;
use url::Url;

use super::{
    clock::Clock,
    outage::{lost, regained},
    profile::{Documents, SignInEndpoints},
    provider::{Answer, ProviderClient, Unreachable, may_lead_to},
};

/// How long a document is served without looking again.
const FRESH: Duration = Duration::from_secs(300);
/// How long the provider's word that it has no such document is believed.
const FRESH_ABSENCE: Duration = Duration::from_secs(60);
/// How long to leave the provider alone after a failure …
const PAUSE: Duration = Duration::from_secs(5);
/// … and how long if there is an old copy to serve.
const PAUSE_WITH_COPY: Duration = Duration::from_secs(30);

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
    oauth: LocalCopy,
    openid: LocalCopy,
}

/// Our copy of one document.
#[derive(Default)]
struct LocalCopy {
    held: Mutex<Held>,
    // Held while the document is fetched, so that callers who come together share one fetch. Whoever is dropped while
    // holding it leaves the work to the next.
    fetching: tokio::sync::Mutex<()>,
}

/// What is known of one document.
#[derive(Default)]
struct Held {
    known: Option<(Passthrough, Instant)>,
    failed: Option<(Unreachable, Instant)>,
}

impl Held {
    /// What there is to say without asking the provider.
    fn answer(&self, now: Instant) -> Option<Result<Passthrough, Unreachable>> {
        let since = |then: Instant| now.saturating_duration_since(then);
        let (known, at) = match (&self.known, &self.failed) {
            (Some((known, at)), _) => (known, *at),
            (None, Some((failure, at))) => return (since(*at) < PAUSE).then(|| Err(failure.clone())),
            (None, None) => return None,
        };
        let fresh = since(at) < if known.status == StatusCode::OK { FRESH } else { FRESH_ABSENCE };
        let paused = self.failed.as_ref().is_some_and(|(_, at)| since(*at) < PAUSE_WITH_COPY);
        (fresh || paused).then(|| Ok(known.clone()))
    }
}

/// Endpoints that a document names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Keys,
    Introspection,
    Registration,
    Authorization,
    Token,
}

/// The documents, in the order in which an endpoint is looked for.
const IN_ORDER: [MetadataDocument; 2] =
    [MetadataDocument::OauthAuthorizationServer, MetadataDocument::OpenidConfiguration];

impl Endpoint {
    fn member(self) -> &'static str {
        match self {
            Self::Keys => "jwks_uri",
            Self::Introspection => "introspection_endpoint",
            Self::Registration => "registration_endpoint",
            Self::Authorization => "authorization_endpoint",
            Self::Token => "token_endpoint",
        }
    }
}

impl Discovery {
    pub(super) fn new(documents: Documents, client: Arc<ProviderClient>, clock: Clock) -> Self {
        Self { client, documents, clock, oauth: LocalCopy::default(), openid: LocalCopy::default() }
    }

    /// A document as the provider serves it, or the provider's refusal. A copy is fresh for 5 minutes and is served
    /// through an outage: then one caller in 30 s waits for the provider, and nobody else.
    pub(super) async fn document(&self, document: MetadataDocument) -> Result<Passthrough, Unreachable> {
        let copy = self.copy(document);
        if let Some(answer) = copy.held().answer(self.clock.steady()) {
            return answer;
        }
        let _fetching = match copy.fetching.try_lock() {
            Ok(fetching) => fetching,
            Err(_) => {
                if let Some((stale, _)) = &copy.held().known {
                    return Ok(stale.clone());
                }
                copy.fetching.lock().await
            }
        };
        if let Some(answer) = copy.held().answer(self.clock.steady()) {
            return answer;
        }
        let fetched = self.fetch(document).await;
        let now = self.clock.steady();
        let mut held = copy.held();
        match fetched {
            Ok(fetched) => {
                if held.failed.is_some() {
                    regained("metadata");
                }
                *held = Held { known: Some((fetched.clone(), now)), failed: None };
                Ok(fetched)
            }
            Err(failure) => {
                if held.failed.is_none() {
                    lost("metadata", &failure);
                }
                held.failed = Some((failure.clone(), now));
                held.known.as_ref().map(|(known, _)| known.clone()).ok_or(failure)
            }
        }
    }

    /// An endpoint, from the first document in order that names it. It must be HTTPS, or loopback if the issuer is.
    pub(super) async fn endpoint(&self, endpoint: Endpoint) -> Result<Url, Unreachable> {
        let mut failure = None;
        for document in IN_ORDER {
            match self.document(document).await {
                Ok(found) => {
                    if let Some(url) = metadata_in(&found).and_then(|metadata| self.named(&metadata, endpoint)) {
                        return Ok(url);
                    }
                }
                Err(unreachable) => failure = failure.or(Some(unreachable)),
            }
        }
        let issuer = self.documents.issuer.to_string();
        Err(failure.unwrap_or(Unreachable::NotNamed { issuer, member: endpoint.member() }))
    }

    /// Where people sign in, from the first document in order that says it.
    pub(super) async fn sign_in(&self) -> Result<SignInEndpoints, Unreachable> {
        let mut failure = None;
        for document in IN_ORDER {
            match self.document(document).await {
                Ok(found) => {
                    if let Some(endpoints) = self.sign_in_at(&found) {
                        return Ok(endpoints);
                    }
                }
                Err(unreachable) => failure = failure.or(Some(unreachable)),
            }
        }
        let (issuer, member) = (self.documents.issuer.to_string(), Endpoint::Authorization.member());
        Err(failure.unwrap_or(Unreachable::NotNamed { issuer, member }))
    }

    /// The same from the copies at hand, however old.
    pub(super) fn known_sign_in(&self) -> Option<SignInEndpoints> {
        IN_ORDER.into_iter().find_map(|document| {
            let (known, _) = self.copy(document).held().known.clone()?;
            self.sign_in_at(&known)
        })
    }

    fn sign_in_at(&self, found: &Passthrough) -> Option<SignInEndpoints> {
        let metadata = metadata_in(found)?;
        let named = |endpoint| self.named(&metadata, endpoint).map(String::from);
        Some(SignInEndpoints {
            issuer: self.documents.stated.clone(),
            names_issuer: metadata.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
            authorization: named(Endpoint::Authorization)?,
            token: named(Endpoint::Token)?,
            registration: named(Endpoint::Registration),
        })
    }

    fn named(&self, metadata: &Value, endpoint: Endpoint) -> Option<Url> {
        let url = Url::parse(metadata.get(endpoint.member())?.as_str()?).ok()?;
        may_lead_to(&self.documents.issuer, &url).then_some(url)
    }

    fn copy(&self, document: MetadataDocument) -> &LocalCopy {
        match document {
            MetadataDocument::OauthAuthorizationServer => &self.oauth,
            MetadataDocument::OpenidConfiguration => &self.openid,
        }
    }

    /// Hand a registration request on (RFC 7591 section 3.1).
    pub(super) async fn register(&self, body: Bytes, content_type: Option<&str>) -> Result<Passthrough, RegisterError> {
        let endpoint = match self.endpoint(Endpoint::Registration).await {
            Ok(endpoint) => endpoint,
            Err(Unreachable::NotNamed { .. }) => return Err(RegisterError::NotOffered),
            Err(unreachable) => return Err(unreachable.into()),
        };
        let content_type = content_type.unwrap_or("application/json").to_owned();
        let post = |client: &reqwest::Client| {
            client
                .post(endpoint.clone())
                .header(CONTENT_TYPE, content_type)
                .header(ACCEPT, "application/json")
                .body(body)
        };
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
}

impl LocalCopy {
    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metadata that the provider answered with; none in a refusal.
fn metadata_in(found: &Passthrough) -> Option<Value> {
    if found.status == StatusCode::OK { serde_json::from_slice(&found.body).ok() } else { None }
}

impl From<Answer> for Passthrough {
    fn from(answer: Answer) -> Self {
        let Answer { status, content_type, retry_after, body } = answer;
        Self { status, content_type, retry_after, body }
    }
}
