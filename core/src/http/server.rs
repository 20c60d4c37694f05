//! The server put together from its configuration, and its life: bind, serve, drain.

use std::{collections::HashMap, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use indexmap::IndexMap;
use jsonwebtoken::jwk::JwkSet;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::{self, Bounds},
    app::{App, State},
    document::Documents,
};
use crate::{
    config::{Algorithm, Config, ProviderConfig, ProviderKind},
    devauth::{DevAuth, OpenError as DevAuthError, Settings as DevAuthSettings},
    gate::{Gate, ProtectedResource},
    host::{BuildError, Current, Registry},
    mcp,
    policy::Finding,
    telemetry::audit::{Audit, OpenError as AuditError},
    tokens::{DevProfile, Profile, ProfileError, ProviderClient, Verifier},
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
    state: Arc<State>,
    findings: Vec<Finding>,
    stop: CancellationToken,
    calls: TaskTracker,
}

impl Server {
    /// Bind, start the plugins, and put everything together. Reaches nothing outside.
    ///
    /// # Errors
    /// Whatever keeps the server from serving.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let address = config.server.listen;
        let bind = |error| StartError::Bind { address, error };
        let listener = accept::listen(address).map_err(bind)?;
        config.set_bound_port(listener.local_addr().map_err(bind)?.port());

        let calls = TaskTracker::new();
        let (registry, findings) = Registry::build(&config, calls.clone()).await.map_err(StartError::Plugins)?;
        let registry = Current::new(registry);
        let audit = Audit::open(&config.audit)?;
        let dev = dev_auth(&config)?;
        let stop = CancellationToken::new();
        let client = Arc::new(ProviderClient::new());
        let public_url = config.public_url();
        let mut resources = IndexMap::new();
        let mut endpoints = HashMap::new();
        let mut verifiers = HashMap::new();
        for (name, profile) in profiles(&config, dev.as_ref())? {
            let verifier = profile.map(|profile| Arc::new(Verifier::new(profile, Arc::clone(&client))));
            verifiers.extend(verifier.clone().map(|verifier| (name.clone(), verifier)));
            let resource = ProtectedResource::new(config.resource(&name), &public_url, verifier);
            let endpoint = mcp::Endpoint::new(&name, &config.server, registry.clone(), audit.clone(), stop.clone());
            resources.insert(name.clone(), resource);
            endpoints.insert(name, endpoint);
        }
        let gate = Gate::new(resources, registry.clone(), audit.clone());
        let documents = Documents::new(Arc::new(config.clone()), verifiers);
        let state = Arc::new(State { config, registry, gate, audit, endpoints, dev, documents });
        Ok(Self { listener, state, findings, stop, calls })
    }

    /// The configuration, with the port that the server got.
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// What people call an endpoint's authorization server; `None` where everyone may call.
    pub fn provider_name(&self, endpoint: &str) -> Option<&str> {
        self.state.gate.resource(endpoint)?.verifier().map(|verifier| verifier.name())
    }

    /// The registry that serves.
    pub fn registry(&self) -> Arc<Registry> {
        self.state.registry.load()
    }

    /// What does not fit but stops nothing.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Serve until `stop`; then let calls in flight finish for at most `server.drain`.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, state, stop: streams, calls, .. } = self;
        let server = &state.config.server;
        let bounds = Bounds { connections: server.max_connections, header_timeout: server.header_timeout.0 };
        let drain = server.drain.0;
        let app = Arc::new(App::new(Arc::clone(&state)));
        let ended = async {
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
        accept::serve(listener, app, bounds, stop, ended).await;
        state.registry.load().shutdown().await;
        // The state is shared by connections that may linger; the audit trail is closed by name.
        let audit = state.audit.clone();
        drop(state);
        let _ = tokio::task::spawn_blocking(move || audit.close(Duration::from_secs(2))).await;
    }
}

fn dev_auth(config: &Config) -> Result<Option<Arc<DevAuth>>, DevAuthError> {
    let served: Vec<&String> = config
        .endpoints
        .iter()
        .filter(|(_, endpoint)| config.provider_kind(endpoint) == ProviderKind::Dev)
        .map(|(name, _)| name)
        .collect();
    if served.is_empty() {
        return Ok(None);
    }
    let section = &config.auth.dev;
    let settings = DevAuthSettings {
        issuer: dev_issuer(config),
        scopes: config.scopes.iter().map(|(scope, section)| (scope.to_string(), section.description.clone())).collect(),
        resources: served.into_iter().map(|name| config.resource(name)).collect(),
        state_dir: section.persist.then(|| config.server.state_dir.join(DEV_STATE)),
        access_token_ttl: section.access_token_ttl.0,
        refresh_token_ttl: section.refresh_token_ttl.0,
    };
    DevAuth::open(settings).map(Some)
}

fn dev_issuer(config: &Config) -> String {
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
fn profiles(config: &Config, dev: Option<&Arc<DevAuth>>) -> Result<IndexMap<String, Option<Profile>>, StartError> {
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
