//! The protected resource: reads the credential (`credential`), makes a principal, writes challenges
//! (`challenge`), and tells where to get a token (RFC 9728, `resource`).
//!
//! The token goes no further than here and `tokens`. Knows the rules only as far as a challenge names scopes.

mod challenge;
mod credential;
mod resource;

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use indexmap::IndexMap;

pub use challenge::Challenge;
use credential::Credential;
pub use resource::{MetadataDocument, MetadataPaths, ProtectedResource};

use crate::{
    host::Current,
    policy::{Face, Principal, Reason, Refusal},
    telemetry::audit::{self, Audit, Record},
    tokens::VerifyError,
};

/// Who is at the door, for every endpoint.
pub struct Gate {
    resources: IndexMap<String, ProtectedResource>,
    registry: Current,
    audit: Audit,
    anonymous: Arc<Principal>,
}

impl Gate {
    /// A gate over these resources, by endpoint name.
    pub fn new(resources: IndexMap<String, ProtectedResource>, registry: Current, audit: Audit) -> Self {
        Self { resources, registry, audit, anonymous: Arc::new(Principal::anonymous()) }
    }

    /// The protected resource of an endpoint.
    pub fn resource(&self, endpoint: &str) -> Option<&ProtectedResource> {
        self.resources.get(endpoint)
    }

    /// All protected resources, by endpoint name.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &ProtectedResource)> {
        self.resources.iter().map(|(name, resource)| (name.as_str(), resource))
    }

    /// Who calls an endpoint. A refusal is audited here.
    ///
    /// # Errors
    /// The challenge to answer with.
    pub async fn authenticate(
        &self,
        endpoint: &str,
        headers: &HeaderMap,
        face: Face,
        request_id: &Arc<str>,
    ) -> Result<Arc<Principal>, Challenge> {
        let challenge = match self.identify(endpoint, headers).await {
            Ok(principal) => return Ok(principal),
            Err(challenge) => challenge,
        };
        let slot = self.audit.reserve().await.map_err(|_| self.overloaded(endpoint))?;
        slot.fill(Record {
            time: audit::now(),
            request_id: Arc::clone(request_id),
            face: face.as_str(),
            endpoint: endpoint.into(),
            decision: "refuse",
            reason: Some(challenge.error()),
            ..Record::default()
        });
        Err(challenge)
    }

    /// Who calls, where a token is welcome but not asked for (the catalogue). Anything but a good token is nobody.
    pub async fn recognise(&self, endpoint: &str, headers: &HeaderMap) -> Option<Arc<Principal>> {
        match credential::read(headers) {
            Ok(Credential::Bearer(_)) => self.identify(endpoint, headers).await.ok(),
            _ if self.resources.get(endpoint).is_some_and(|resource| resource.verifier().is_none()) => {
                Some(Arc::clone(&self.anonymous))
            }
            _ => None,
        }
    }

    async fn identify(&self, endpoint: &str, headers: &HeaderMap) -> Result<Arc<Principal>, Challenge> {
        let Some(resource) = self.resources.get(endpoint) else {
            return Err(Challenge::unavailable(None, "no such endpoint", Duration::from_secs(1)));
        };
        let Some(verifier) = resource.verifier() else { return Ok(Arc::clone(&self.anonymous)) };
        let metadata = Some(resource.metadata_url());
        let token = match credential::read(headers) {
            Ok(Credential::Bearer(token)) => token,
            Ok(Credential::None) => return Err(Challenge::no_credentials(metadata, &self.initial_scopes(endpoint))),
            Err(malformed) => return Err(Challenge::malformed(metadata, &malformed)),
        };
        match verifier.verify(token).await {
            Ok(verified) => Ok(Arc::new(Principal::from(&*verified))),
            Err(VerifyError::Invalid(invalid)) => {
                Err(Challenge::invalid_token(metadata, &self.initial_scopes(endpoint), &invalid.to_string()))
            }
            Err(VerifyError::Unavailable { reason, retry_after }) => {
                tracing::debug!(endpoint, reason, "cannot verify tokens");
                Err(Challenge::unreachable(metadata, retry_after))
            }
        }
    }

    /// The answer to a refusal of the policy. `None` for an unknown tool, which is not the gate's to answer.
    pub fn challenge(&self, endpoint: &str, refusal: &Refusal) -> Option<Challenge> {
        let metadata = self.resources.get(endpoint).map(ProtectedResource::metadata_url);
        match &refusal.reason {
            Reason::UnknownTool => None,
            Reason::InsufficientScope { required } => {
                Some(Challenge::insufficient_scope(metadata, required, &refusal.tool))
            }
            Reason::RateLimited { retry_after } => Some(Challenge::rate_limited(metadata, &refusal.tool, *retry_after)),
        }
    }

    /// The answer when the audit trail cannot take another record.
    pub fn overloaded(&self, endpoint: &str) -> Challenge {
        let metadata = self.resources.get(endpoint).map(ProtectedResource::metadata_url);
        Challenge::unavailable(metadata, "the audit log cannot keep up", Duration::from_secs(1))
    }

    fn initial_scopes(&self, endpoint: &str) -> Arc<[Arc<str>]> {
        let registry = self.registry.load();
        registry.policy().endpoint(endpoint).map_or_else(|| Arc::from([]), |rules| Arc::clone(&rules.initial_scopes))
    }

    /// The RFC 9728 document of an endpoint.
    pub fn metadata(&self, endpoint: &str) -> Option<MetadataDocument> {
        let resource = self.resources.get(endpoint)?;
        resource.document(&self.initial_scopes(endpoint))
    }
}
