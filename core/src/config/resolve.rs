//! What the settings come to: the public URL, each endpoint's resource and authorization server.
//!
//! Owns the defaults that depend on other settings. All of it is pure; a loaded configuration has been checked
//! by `rules`.

use url::{Host, Url};

use super::sections::{
    Algorithm, Config, Endpoint, EndpointAuth, OAuthSection, ProviderKind, ScalekitSection, Validation,
};

/// An endpoint's authorization server, with the endpoint's own settings over those of `[auth.*]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderConfig {
    /// The embedded development authorization server.
    Dev,
    /// Scalekit.
    Scalekit(ScalekitSection),
    /// Any other authorization server.
    OAuth(OAuthSection),
    /// No authorization: every caller is anonymous.
    None,
}

impl ProviderConfig {
    /// Which kind it is.
    pub fn kind(&self) -> ProviderKind {
        match self {
            Self::Dev => ProviderKind::Dev,
            Self::Scalekit(_) => ProviderKind::Scalekit,
            Self::OAuth(_) => ProviderKind::Oauth,
            Self::None => ProviderKind::None,
        }
    }

    /// The audiences that a token may carry, any of, for an endpoint with this resource. Empty: no token is read.
    pub fn audiences(&self, resource: &str) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Dev => vec![resource.to_owned()],
            Self::Scalekit(section) => section.audiences(resource),
            Self::OAuth(section) => section.audiences(resource),
        }
    }

    /// Whether a token issued for `resource` may pass where `other` guards `other_resource`: the same server, and an
    /// audience that is accepted there. Two endpoints for which this is so are not protected from each other.
    pub(super) fn tokens_pass_at(&self, resource: &str, other: &Self, other_resource: &str) -> bool {
        let accepted = other.audiences(other_resource);
        // A token for a resource that has an id may carry the resource's URL as well.
        let carried = self.audiences(resource).into_iter().chain([resource.to_owned()]);
        self.same_server(other) && carried.into_iter().any(|audience| accepted.contains(&audience))
    }

    /// Whether both are one authorization server, whose tokens differ by their audience alone.
    fn same_server(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dev, Self::Dev) => true,
            (Self::Scalekit(one), Self::Scalekit(other)) => one.environment() == other.environment(),
            (Self::OAuth(one), Self::OAuth(other)) => bare(&one.issuer) == bare(&other.issuer),
            // Scalekit's issuers are the environment and paths below it.
            (Self::Scalekit(one), Self::OAuth(other)) | (Self::OAuth(other), Self::Scalekit(one)) => {
                let below = other.issuer.strip_prefix(one.environment());
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            _ => false,
        }
    }
}

fn bare(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

impl ScalekitSection {
    /// The environment's URL without a trailing slash, as Scalekit's issuers begin.
    pub fn environment(&self) -> &str {
        bare(self.environment_url.as_str())
    }

    /// The id of our MCP server there, if one is stated.
    pub fn stated_resource_id(&self) -> Option<&str> {
        self.resource_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Whether a text can be such an id: `res_` and letters, digits, `_` or `-`. It becomes a segment of URLs.
    pub fn is_resource_id(text: &str) -> bool {
        text.strip_prefix("res_").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        })
    }

    /// The audiences that a token may carry, any of, for this resource.
    pub fn audiences(&self, resource: &str) -> Vec<String> {
        let own = self.stated_resource_id().unwrap_or(resource);
        std::iter::once(own.to_owned()).chain(stated(&self.extra_audiences)).collect()
    }
}

impl OAuthSection {
    /// A section with this issuer, and the defaults for the rest.
    pub fn with_issuer(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            validation: Validation::default(),
            introspection: None,
        }
    }

    /// The audiences that a token may carry, any of, for this resource.
    pub fn audiences(&self, resource: &str) -> Vec<String> {
        let stated: Vec<String> = stated(&self.audience).collect();
        if stated.is_empty() { vec![resource.to_owned()] } else { stated }
    }
}

/// The audiences that say something: a token could carry an empty one too.
fn stated(audiences: &[String]) -> impl Iterator<Item = String> {
    audiences.iter().filter(|audience| !audience.is_empty()).cloned()
}

impl Config {
    /// What clients see before an endpoint's path, without a trailing slash. Default: `http://localhost:<port>`.
    pub fn public_url(&self) -> String {
        match &self.server.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://localhost:{}", self.server.listen.port()),
        }
    }

    /// The port that the server got, where `listen` asked for any (port 0): defaults follow it.
    pub fn set_bound_port(&mut self, port: u16) {
        self.server.listen.set_port(port);
    }

    /// The endpoint's resource identifier (RFC 8707), byte for byte. Empty for an endpoint that is not there.
    pub fn resource(&self, endpoint: &str) -> String {
        self.endpoints.get(endpoint).map(|section| self.resource_of(section)).unwrap_or_default()
    }

    pub(super) fn resource_of(&self, endpoint: &Endpoint) -> String {
        endpoint.resource.clone().unwrap_or_else(|| format!("{}{}", self.public_url(), endpoint.path))
    }

    /// The endpoint whose metadata is served at the root as well: the one marked `default`, or the only one.
    pub fn default_endpoint(&self) -> Option<(&str, &Endpoint)> {
        let mut all = self.endpoints.iter().map(|(name, endpoint)| (name.as_str(), endpoint));
        all.clone().find(|(_, endpoint)| endpoint.default).or_else(|| all.next().filter(|_| self.endpoints.len() == 1))
    }

    /// The endpoint whose authorization server `/.well-known/oauth-authorization-server`, `openid-configuration` and
    /// `/oauth/register` at the root are about: the default endpoint, else the first, since several endpoints may still
    /// share one authorization server.
    pub fn root_endpoint(&self) -> Option<(&str, &Endpoint)> {
        let first = || self.endpoints.first().map(|(name, endpoint)| (name.as_str(), endpoint));
        self.default_endpoint().or_else(first)
    }

    /// Which kind of authorization server an endpoint has.
    pub fn provider_kind(&self, endpoint: &Endpoint) -> ProviderKind {
        endpoint.auth.as_ref().map_or(self.auth.provider, |auth| auth.provider)
    }

    /// The endpoint's authorization server. `None` for an endpoint that is not there, and for a provider without
    /// its section, which no loaded configuration has.
    pub fn provider_for(&self, endpoint: &str) -> Option<ProviderConfig> {
        let endpoint = self.endpoints.get(endpoint)?;
        let auth = endpoint.auth.as_ref();
        Some(match self.provider_kind(endpoint) {
            ProviderKind::Dev => ProviderConfig::Dev,
            ProviderKind::None => ProviderConfig::None,
            ProviderKind::Scalekit => ProviderConfig::Scalekit(self.scalekit(auth)?),
            ProviderKind::Oauth => ProviderConfig::OAuth(self.oauth(auth)?),
        })
    }

    fn scalekit(&self, auth: Option<&EndpointAuth>) -> Option<ScalekitSection> {
        let common = self.auth.scalekit.as_ref();
        let own_url = auth.and_then(|auth| auth.environment_url.clone());
        Some(ScalekitSection {
            environment_url: own_url.or_else(|| Some(common?.environment_url.clone()))?,
            resource_id: auth
                .and_then(|auth| auth.resource_id.clone())
                .or_else(|| common.and_then(|common| common.resource_id.clone())),
            extra_audiences: auth
                .and_then(|auth| auth.extra_audiences.clone())
                .or_else(|| common.map(|common| common.extra_audiences.clone()))
                .unwrap_or_default(),
        })
    }

    fn oauth(&self, auth: Option<&EndpointAuth>) -> Option<OAuthSection> {
        let own_issuer = auth.and_then(|auth| auth.issuer.clone());
        let mut section = match (&self.auth.oauth, own_issuer) {
            (Some(common), None) => common.clone(),
            (Some(common), Some(issuer)) => OAuthSection { issuer, ..common.clone() },
            (None, Some(issuer)) => OAuthSection::with_issuer(issuer),
            (None, None) => return None,
        };
        if let Some(auth) = auth {
            section.audience = auth.audience.clone().unwrap_or(section.audience);
            section.algorithms = auth.algorithms.clone().unwrap_or(section.algorithms);
            section.validation = auth.validation.unwrap_or(section.validation);
            section.introspection = auth.introspection.clone().or(section.introspection);
        }
        Some(section)
    }
}

/// The path that follows the well-known one where the metadata of a resource are (RFC 9728 section 3.1): at the root of its
/// own host, or, with a `public_url` that it is below, there.
pub fn metadata_path(resource: &str, public_url: Option<&str>) -> String {
    // A slash that follows the host does not count.
    let rooted = |path: &str| if path == "/" { String::new() } else { path.to_owned() };
    let below = public_url.and_then(|url| resource.strip_prefix(url)).filter(|rest| rest.starts_with('/'));
    match below.and_then(|rest| rest.split(['?', '#']).next()) {
        Some(below) => rooted(below),
        None => Url::parse(resource).map(|url| rooted(url.path())).unwrap_or_default(),
    }
}

/// Whether a URL's host is this machine by definition (RFC 6761 section 6.3, RFC 1122, RFC 4291), IPv4 addresses in
/// IPv6 form included.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}
