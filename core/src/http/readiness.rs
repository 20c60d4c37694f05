//! How the server is: its plugins and its configuration, as `/readyz` tells programs and the front page shows people.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{
    discreet::Discreet,
    openapi::{ConfigurationReadiness, ConfigurationState, PluginReadiness, PluginState, Readiness},
    outlook::{Outlook, Prospect},
};
use crate::{
    config::Config,
    host::{self, Condition, Registry},
};

/// How long it counts what the plugins have said of themselves: anybody may ask, and each would be asked each time.
const FRESH: Duration = Duration::from_secs(1);

/// How the plugins of a configuration are, and were a moment ago.
pub(super) struct Pulse {
    outlook: Arc<Outlook>,
    discreet: Discreet,
    /// Held while the plugins are asked: who comes meanwhile gets the same answer.
    taken: Mutex<Option<Taken>>,
}

struct Taken {
    of: Weak<Registry>,
    at: Instant,
    states: Arc<[host::PluginState]>,
}

impl Pulse {
    pub(super) fn new(config: &Config, outlook: Arc<Outlook>) -> Self {
        Self { outlook, discreet: Discreet::of(config), taken: Mutex::default() }
    }

    /// How it is now. Asks each plugin, within the time that a plugin has to think.
    pub(super) async fn readiness(&self, registry: &Arc<Registry>) -> Readiness {
        let states = self.states(registry).await;
        // A plugin that need not run must not take the others out of a load balancer.
        let ready = states.iter().filter(|state| state.required).all(|state| match state.condition {
            Condition::Ready => true,
            Condition::Degraded => state.tools > 0,
            Condition::Failed => false,
        });
        let plugins = states.iter().map(|state| {
            let readiness = PluginReadiness {
                state: match state.condition {
                    Condition::Ready => PluginState::Ready,
                    Condition::Degraded => PluginState::Degraded,
                    Condition::Failed => PluginState::Failed,
                },
                detail: state.reason.as_deref().map(|reason| self.discreet.text(reason)),
                warnings: self.discreet.texts(&state.warnings),
            };
            (state.plugin.to_string(), readiness)
        });
        let (state, detail) = match self.outlook.now() {
            Prospect::Current => (ConfigurationState::Current, None),
            Prospect::Refused(why) => (ConfigurationState::Refused, Some(why)),
            Prospect::Waits(what) => (ConfigurationState::Waits, Some(what)),
        };
        let configuration = ConfigurationReadiness { state, detail: detail.map(|detail| self.discreet.text(&detail)) };
        Readiness { ready, configuration, plugins: plugins.collect() }
    }

    async fn states(&self, registry: &Arc<Registry>) -> Arc<[host::PluginState]> {
        let mut taken = self.taken.lock().await;
        let now = Arc::downgrade(registry);
        if let Some(taken) = taken.as_ref().filter(|taken| taken.of.ptr_eq(&now) && taken.at.elapsed() < FRESH) {
            return Arc::clone(&taken.states);
        }
        let states: Arc<[_]> = registry.states().await.into();
        *taken = Some(Taken { of: now, at: Instant::now(), states: Arc::clone(&states) });
        states
    }
}
