//! The server put together from its configuration, and its life: bind, serve, drain.

use std::{future::Future, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use indexmap::IndexMap;
use jsonwebtoken::jwk::JwkSet;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::{self, Bounds},
    live::Live,
    reload::Reloader,
    standing::Ground,
};
use crate::{
    config::{Algorithm, Config, ProviderConfig, ProviderKind, Scope, ScopeSection},
    devauth::{DevAuth, OpenError as DevAuthError, Settings as DevAuthSettings},
    host::{BuildError, Current, Registry},
    policy::Finding,
    telemetry::audit::{Audit, OpenError as AuditError},
    tokens::{DevProfile, Profile, ProfileError, ProviderClient},
};

/// The development authorization server's folder in `server.state_dir`.
const DEV_STATE: &str = "dev-auth";

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {error}; choose another port in server.listen, or stop what has this one")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Plugins or their rules do not fit.
    #[error("the plugins cannot be served")]
    Plugins(BuildError),
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The development authorization server cannot start.
    #[error(transparent)]
    DevAuth(#[from] DevAuthError),
    /// An authorization server that tokens cannot be checked with.
    #[error("endpoint \"{endpoint}\": {error}")]
    Provider {
        /// The endpoint's name.
        endpoint: String,
        /// What is wrong.
        error: ProfileError,
    },
}

/// A server that listens but does not serve yet.
pub struct Server {
    listener: TcpListener,
    live: Arc<Live>,
    reloader: Reloader,
    findings: Vec<Finding>,
    stop: CancellationToken,
    calls: TaskTracker,
}

impl Server {
    /// Bind, start the plugins, and put everything together. Reaches nothing outside. The configuration came from
    /// `path`, and is read from there again when it changes.
    ///
    /// # Errors
    /// Whatever keeps the server from serving.
    pub async fn start(mut config: Config, path: &Path) -> Result<Self, StartError> {
        let started = config.clone();
        let address = config.server.listen;
        let bind = |error| StartError::Bind { address, error };
        let listener = accept::listen(address).map_err(bind)?;
        config.set_bound_port(listener.local_addr().map_err(bind)?.port());

        let calls = TaskTracker::new();
        let (registry, findings) = Registry::build(&config, calls.clone()).await.map_err(StartError::Plugins)?;
        let registry = Current::new(registry);
        let stop = CancellationToken::new();
        let put_together = || {
            let audit = Audit::open(&config.audit)?;
            let client = Arc::new(ProviderClient::new());
            let (registry, stop) = (registry.clone(), stop.clone());
            let mut ground = Ground { registry, audit, client, dev: None, stop, outlook: Arc::default() };
            let profiles = ground.profiles(&config)?;
            let state = Arc::new(ground.state(config, profiles, None));
            Ok((ground, state))
        };
        let (ground, state) = match put_together() {
            Ok(both) => both,
            Err(error) => {
                registry.load().shutdown().await;
                return Err(error);
            }
        };
        let live = Arc::new(Live::new(state));
        let reloader = Reloader::new(path, started, ground, Arc::clone(&live));
        Ok(Self { listener, live, reloader, findings, stop, calls })
    }

    /// The configuration, with the port that the server got.
    pub fn config(&self) -> Config {
        self.live.state().config.clone()
    }

    /// What people call an endpoint's authorization server; `None` where everyone may call.
    pub fn provider_name(&self, endpoint: &str) -> Option<String> {
        self.live.state().gate.resource(endpoint)?.verifier().map(|verifier| verifier.name().to_owned())
    }

    /// The registry that serves.
    pub fn registry(&self) -> Arc<Registry> {
        self.live.state().registry.load()
    }

    /// What does not fit but stops nothing.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Serve until `stop`; then let calls in flight finish for at most `server.drain`.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, live, reloader, stop: streams, calls, .. } = self;
        let state = live.state();
        let server = &state.config.server;
        let bounds = Bounds { connections: server.max_connections, header_timeout: server.header_timeout.0 };
        let (registry, audit) = (state.registry.clone(), state.audit.clone());
        drop(state);
        let halt = CancellationToken::new();
        let reloads = tokio::spawn(reloader.run(halt.clone()));
        let stopped = async {
            stop.await;
            // Nothing is built any more for a server that stops.
            halt.cancel();
        };
        let ended = async {
            let drain = live.state().config.server.drain.0;
            calls.close();
            if !calls.is_empty() {
                tracing::info!(calls = calls.len(), "waiting for calls in flight");
            }
            if tokio::time::timeout(drain, calls.wait()).await.is_err() {
                tracing::warn!(calls = calls.len(), "calls were cut off; they took longer than server.drain");
            }
            // Answers of calls that have just ended are still on their way out.
            tokio::time::sleep(Duration::from_millis(100)).await;
            streams.cancel();
        };
        accept::serve(listener, Arc::clone(&live), bounds, stopped, ended).await;
        let _ = reloads.await;
        registry.load().shutdown().await;
        // The state is shared by connections that may linger; the audit trail is closed by name.
        drop(live);
        let _ = tokio::task::spawn_blocking(move || audit.close(Duration::from_secs(2))).await;
    }
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

pub(super) fn dev_auth(config: &Config) -> Result<Option<Arc<DevAuth>>, DevAuthError> {
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
    DevAuth::open(settings).map(Some)
}

pub(super) fn dev_issuer(config: &Config) -> String {
    format!("{}/dev/auth", config.public_url())
}

/// What would keep the server from starting besides its plugins and a taken port; reaches nothing outside and makes
/// no file.
///
/// # Errors
/// A provider that tokens cannot be checked with, an audit log that cannot be opened, or state of the
/// development authorization server that cannot be used.
pub fn check_start(config: &Config) -> Result<(), StartError> {
    profiles(config, None)?;
    // What is not there yet is made by the start, under the account that will serve.
    if config.server.state_dir.join(DEV_STATE).exists() {
        dev_auth(config)?;
    }
    Audit::check(&config.audit)?;
    Ok(())
}

/// The profile of each endpoint; none where everyone may call.
pub(super) fn profiles(
    config: &Config,
    dev: Option<&Arc<DevAuth>>,
) -> Result<IndexMap<String, Option<Profile>>, StartError> {
    let mut profiles: IndexMap<String, Option<Profile>> = IndexMap::new();
    for name in config.endpoints.keys() {
        let profile =
            profile(config, name, dev).map_err(|error| StartError::Provider { endpoint: name.clone(), error })?;
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
