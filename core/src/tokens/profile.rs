//! Provider profiles: what a token of this provider, for this resource, must look like, and where the provider's keys
//! and documents are. Made from the configuration, checked here once; pure data afterwards.
//!
//! Must not know how a token is checked (`claims`, `keyring`, `introspection` do). A further provider is one more
//! constructor.

use std::{fmt, sync::Arc};

use jsonwebtoken::jwk::JwkSet;
use url::Url;

use crate::config::{Algorithm, OAuthSection, ScalekitSection, Secret, Validation, is_loopback};

use super::provider::may_be_asked;

/// What a provider's tokens must look like, for one resource.
#[derive(Debug, Clone)]
pub struct Profile {
    pub(super) provider: Arc<str>,
    /// Accepted spellings of `iss`, compared byte for byte.
    pub(super) issuers: Vec<Arc<str>>,
    /// `aud` must hold one of these.
    pub(super) audiences: Vec<String>,
    pub(super) resource: String,
    /// Whether a `resource` claim, if there is one, must name the resource.
    pub(super) resource_claim: bool,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key_id_required: bool,
    /// Whether a `typ` other than those of access tokens is let pass, since the provider's is not documented.
    pub(super) any_type: bool,
    /// Claims that may name the organisation, the first found counts.
    pub(super) organisation: &'static [&'static str],
    pub(super) token_id_required: bool,
    pub(super) source: Source,
    authorization_servers: Vec<String>,
    name: String,
    sign_in: Option<SignInEndpoints>,
}

/// Where people and clients get tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInEndpoints {
    /// The issuer that answers of the authorization endpoint name (RFC 9207), where there is only one.
    pub issuer: Option<String>,
    /// Whether every answer names it (`authorization_response_iss_parameter_supported`, RFC 9207 section 3).
    pub names_issuer: bool,
    /// Where a person signs in (`authorization_endpoint`).
    pub authorization: String,
    /// Where a code becomes a token (`token_endpoint`).
    pub token: String,
    /// Where a client registers (RFC 7591, `registration_endpoint`), if that is offered and known.
    pub registration: Option<String>,
}

/// What tokens are checked with.
#[derive(Clone)]
pub(super) enum Source {
    /// Keys in this process.
    Local { keys: Arc<JwkSet>, revoked: Revoked },
    /// A provider out there.
    Provider { documents: Box<Documents>, check: Box<Check> },
}

/// What a provider out there gives us to check its tokens with.
#[derive(Debug, Clone)]
pub(super) enum Check {
    /// The JWK Set at this URL.
    KeysAt(Url),
    /// The JWK Set that its metadata names (`jwks_uri`).
    KeysNamed,
    /// Its own word (RFC 7662).
    Introspection { client_id: String, client_secret: Secret, endpoint: Option<Url> },
}

type Revoked = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Where the provider's documents are.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    /// The identifier whose well-known places are tried.
    pub(super) issuer: Url,
    /// The `issuer` that a document must state to be used; `None` where the provider is known to state another.
    pub(super) stated: Option<String>,
    /// Try `{issuer}/.well-known/oauth-authorization-server` as well.
    pub(super) appended: bool,
}

/// The embedded development authorization server, as seen from here.
#[derive(Clone)]
pub struct DevProfile {
    /// Its issuer.
    pub issuer: String,
    /// The audience that a token must hold: the endpoint's resource.
    pub resource: String,
    /// What it signs with.
    pub algorithms: Vec<Algorithm>,
    /// Its public keys, which do not change while it runs.
    pub keys: JwkSet,
    /// Whether the token with this `jti` has been revoked. Asked on every verification.
    pub revoked: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

/// The configuration describes no provider that tokens can be checked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Tokens and keys would travel in the clear.
    #[error("\"{0}\" is not an https URL; only an authorization server on loopback may use http")]
    Insecure(String),
    /// No absolute URL that an issuer can be.
    #[error("\"{0}\" is no issuer; write an absolute URL without query, fragment and credentials")]
    NotAnIssuer(String),
    /// Not the id of an MCP server at Scalekit.
    #[error(
        "\"{0}\" is no Scalekit resource id; copy it from the MCP server's page in the dashboard, it starts with \"res_\""
    )]
    NotAResourceId(String),
    /// An empty list of algorithms accepts nothing.
    #[error("no signature algorithm is accepted; name at least one in `algorithms`")]
    NoAlgorithm,
    /// Introspection without credentials.
    #[error("introspection needs credentials; set `introspection = {{ client_id = …, client_secret = … }}`")]
    NoCredentials,
}

impl Profile {
    /// Scalekit: RS256 with `{environment}/keys`; the issuer is the environment or the resource below it, since tokens
    /// of both kinds are in use; the audience must hold the resource id, or the resource where no id is configured.
    pub fn scalekit(section: &ScalekitSection, resource: &str) -> Result<Self, ProfileError> {
        issuer(section.environment_url.as_str())?;
        let environment = section.environment();
        let resource_id = section.stated_resource_id();
        if let Some(id) = resource_id.filter(|id| !ScalekitSection::is_resource_id(id)) {
            return Err(ProfileError::NotAResourceId(id.to_owned()));
        }
        let of_resource = resource_id.map(|id| format!("{environment}/resources/{id}"));
        let server = of_resource.clone().unwrap_or_else(|| environment.to_owned());
        Ok(Self {
            provider: format!("scalekit:{environment}").into(),
            issuers: std::iter::once(environment).chain(of_resource.as_deref()).map(Arc::from).collect(),
            audiences: section.audiences(resource),
            resource: resource.to_owned(),
            resource_claim: true,
            algorithms: vec![Algorithm::RS256],
            key_id_required: true,
            any_type: true,
            organisation: &["oid", "org_id"],
            token_id_required: false,
            source: Source::Provider {
                documents: Box::new(Documents { issuer: issuer(&server)?, stated: None, appended: true }),
                check: Box::new(Check::KeysAt(issuer(&format!("{environment}/keys"))?)),
            },
            name: format!("Scalekit at {environment}"),
            sign_in: Some(SignInEndpoints {
                // Tokens and metadata name one of two issuers; which, cannot be known here.
                issuer: None,
                names_issuer: false,
                authorization: format!("{server}/oauth/authorize"),
                token: format!("{server}/oauth/token"),
                registration: resource_id.map(|id| format!("{environment}/api/v1/resources/{id}/clients:register")),
            }),
            authorization_servers: vec![server],
        })
    }

    /// Any authorization server with RFC 8414 metadata or OpenID Connect discovery.
    pub fn oauth(section: &OAuthSection, resource: &str) -> Result<Self, ProfileError> {
        let url = issuer(&section.issuer)?;
        if section.algorithms.is_empty() && section.validation == Validation::Jwt {
            return Err(ProfileError::NoAlgorithm);
        }
        let check = match section.validation {
            Validation::Jwt => Check::KeysNamed,
            Validation::Introspection => {
                let ours = section.introspection.as_ref().ok_or(ProfileError::NoCredentials)?;
                if let Some(endpoint) = ours.endpoint.as_ref().filter(|endpoint| !may_be_asked(endpoint)) {
                    return Err(ProfileError::Insecure(endpoint.to_string()));
                }
                Check::Introspection {
                    client_id: ours.client_id.clone(),
                    client_secret: ours.client_secret.clone(),
                    endpoint: ours.endpoint.clone(),
                }
            }
        };
        Ok(Self {
            provider: format!("oauth:{}", section.issuer).into(),
            issuers: vec![section.issuer.as_str().into()],
            audiences: section.audiences(resource),
            resource: resource.to_owned(),
            resource_claim: false,
            algorithms: section.algorithms.clone(),
            key_id_required: false,
            any_type: false,
            // Not `oid`: with some providers that is the user.
            organisation: &["org_id"],
            token_id_required: false,
            source: Source::Provider {
                documents: Box::new(Documents { issuer: url, stated: Some(section.issuer.clone()), appended: false }),
                check: Box::new(check),
            },
            authorization_servers: vec![section.issuer.clone()],
            name: format!("OAuth at {}", section.issuer),
            // Its metadata say.
            sign_in: None,
        })
    }

    /// The embedded development authorization server. Its keys and revocations are in this process; no request is made.
    pub fn dev(dev: DevProfile) -> Self {
        Self {
            provider: "dev".into(),
            issuers: vec![dev.issuer.as_str().into()],
            audiences: vec![dev.resource.clone()],
            resource: dev.resource,
            resource_claim: false,
            algorithms: dev.algorithms,
            key_id_required: false,
            any_type: false,
            organisation: &[],
            // What has no id cannot be revoked.
            token_id_required: true,
            source: Source::Local { keys: Arc::new(dev.keys), revoked: dev.revoked },
            name: "dev, the embedded authorization server".to_owned(),
            sign_in: Some(SignInEndpoints {
                authorization: format!("{}/authorize", dev.issuer),
                token: format!("{}/token", dev.issuer),
                registration: Some(format!("{}/register", dev.issuer)),
                issuer: Some(dev.issuer.clone()),
                names_issuer: true,
            }),
            authorization_servers: vec![dev.issuer],
        }
    }

    /// What RFC 9728 metadata names as `authorization_servers`.
    pub fn authorization_servers(&self) -> &[String] {
        &self.authorization_servers
    }

    /// What people call this provider: `Scalekit at https://acme.scalekit.dev`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where people sign in, as far as that is known without asking the provider.
    pub fn sign_in(&self) -> Option<&SignInEndpoints> {
        self.sign_in.as_ref()
    }
}

/// An issuer as a URL that may be asked (RFC 8414 section 2, with plain HTTP on loopback).
fn issuer(text: &str) -> Result<Url, ProfileError> {
    let url = Url::parse(text).map_err(|_| ProfileError::NotAnIssuer(text.to_owned()))?;
    if url.scheme() == "http" && url.has_host() && !is_loopback(&url) {
        return Err(ProfileError::Insecure(text.to_owned()));
    }
    if !may_be_asked(&url) || url.query().is_some() {
        return Err(ProfileError::NotAnIssuer(text.to_owned()));
    }
    Ok(url)
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { .. } => f.write_str("Local"),
            Self::Provider { documents, check } => write!(f, "Provider({documents:?}, {check:?})"),
        }
    }
}

impl fmt::Debug for DevProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, resource, algorithms, .. } = self;
        f.debug_struct("DevProfile")
            .field("issuer", issuer)
            .field("resource", resource)
            .field("algorithms", algorithms)
            .finish_non_exhaustive()
    }
}
