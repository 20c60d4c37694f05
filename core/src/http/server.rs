//! The server put together from its configuration, and its life: bind, serve, drain.

use std::{future::Future, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::{self, Bounds},
    live::Live,
    providers::{ProviderError, check_dev_state, profiles},
    reload::Reloader,
    standing::Ground,
};
use crate::{
    config::Config,
    host::{BuildError, Current, Registry},
    policy::Finding,
    telemetry::audit::{Audit, OpenError as AuditError},
    tokens::ProviderClient,
};

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
    /// An authorization server that cannot be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
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

/// What would keep the server from starting besides its plugins and a taken port; reaches nothing outside and makes
/// no file.
///
/// # Errors
/// A provider that tokens cannot be checked with, an audit log that cannot be opened, or state of the
/// development authorization server that cannot be used.
pub fn check_start(config: &Config) -> Result<(), StartError> {
    profiles(config, None)?;
    check_dev_state(config)?;
    Audit::check(&config.audit)?;
    Ok(())
}
