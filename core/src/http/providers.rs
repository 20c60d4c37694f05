//! The authorization servers of a configuration: what tokens are checked with at each endpoint, and the embedded one.

use std::sync::Arc;

use indexmap::IndexMap;
use jsonwebtoken::jwk::JwkSet;

use crate::{
    config::{Algorithm, Config, ProviderConfig, ProviderKind, Scope, ScopeSection},
    devauth::{DevAuth, OpenError as DevAuthError, Settings as DevAuthSettings},
    tokens::{DevProfile, Profile, ProfileError},
};

/// The development authorization server's folder in `server.state_dir`.
const DEV_STATE: &str = "dev-auth";

/// The profile of each endpoint; none where everyone may call.
pub(super) type Profiles = IndexMap<String, Option<Profile>>;

/// An authorization server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The development authorization server cannot start.
    #[error(transparent)]
    DevAuth(#[from] DevAuthError),
    /// One that tokens cannot be checked with.
    #[error("endpoint \"{endpoint}\": {error}")]
    Profile {
        /// The endpoint's name.
        endpoint: String,
        /// What is wrong.
        error: ProfileError,
    },
}

/// What the development authorization server may grant.
pub(super) struct DevOffer {
    /// With their descriptions.
    pub(super) scopes: Vec<(String, String)>,
    /// What tokens are for.
    pub(super) resources: Vec<String>,
}

/// What the development authorization server may grant; `None` where no endpoint uses it.
pub(super) fn dev_offer(config: &Config) -> Option<DevOffer> {
    let served = config.endpoints.iter().filter(|(_, endpoint)| config.provider_kind(endpoint) == ProviderKind::Dev);
    let resources: Vec<String> = served.map(|(name, _)| config.resource(name)).collect();
    let described = |(scope, section): (&Scope, &ScopeSection)| (scope.to_string(), section.description.clone());
    (!resources.is_empty()).then(|| DevOffer { scopes: config.scopes.iter().map(described).collect(), resources })
}

/// The development authorization server, if some endpoint uses it.
pub(super) fn dev_auth(config: &Config) -> Result<Option<Arc<DevAuth>>, ProviderError> {
    let Some(DevOffer { scopes, resources }) = dev_offer(config) else { return Ok(None) };
    let section = &config.auth.dev;
    let settings = DevAuthSettings {
        issuer: dev_issuer(config),
        port: config.server.listen.port(),
        scopes,
        resources,
        state_dir: section.persist.then(|| config.server.state_dir.join(DEV_STATE)),
        access_token_ttl: section.access_token_ttl.0,
        refresh_token_ttl: section.refresh_token_ttl.0,
        loopback_documents: section.client_metadata_from_loopback,
        loopback_documents_setting: "client_metadata_from_loopback = true in [auth.dev]",
    };
    Ok(Some(DevAuth::open(settings)?))
}

/// Whether the state of the development authorization server can be used, if there is any: what is not there yet is made
/// by the start, under the account that will serve.
pub(super) fn check_dev_state(config: &Config) -> Result<(), ProviderError> {
    if config.server.state_dir.join(DEV_STATE).exists() {
        dev_auth(config)?;
    }
    Ok(())
}

/// The issuer of the development authorization server.
pub(super) fn dev_issuer(config: &Config) -> String {
    format!("{}/dev/auth", config.public_url())
}

/// The profile of each endpoint; none where everyone may call.
pub(super) fn profiles(config: &Config, dev: Option<&Arc<DevAuth>>) -> Result<Profiles, ProviderError> {
    let mut profiles = Profiles::new();
    for name in config.endpoints.keys() {
        let profile =
            profile(config, name, dev).map_err(|error| ProviderError::Profile { endpoint: name.clone(), error })?;
        profiles.insert(name.clone(), profile);
    }
    Ok(profiles)
}

/// The profile of one endpoint; without `dev` one that knows no keys of the development server.
pub(super) fn profile(
    config: &Config,
    endpoint: &str,
    dev: Option<&Arc<DevAuth>>,
) -> Result<Option<Profile>, ProfileError> {
    let resource = config.resource(endpoint);
    Ok(Some(match config.provider_for(endpoint) {
        None | Some(ProviderConfig::None) => return Ok(None),
        Some(ProviderConfig::Scalekit(section)) => Profile::scalekit(&section, &resource)?,
        Some(ProviderConfig::OAuth(section)) => Profile::oauth(&section, &resource)?,
        Some(ProviderConfig::Dev) => {
            let revoked = dev.cloned();
            Profile::dev(DevProfile {
                issuer: dev_issuer(config),
                resource,
                algorithms: vec![Algorithm::ES256],
                keys: dev.map_or_else(|| JwkSet { keys: Vec::new() }, |dev| dev.key_set()),
                revoked: Arc::new(move |token_id| revoked.as_ref().is_none_or(|dev| dev.is_revoked(token_id))),
            })
        }
    }))
}
