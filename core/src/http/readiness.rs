//! How the server is: its plugins and its configuration, as `/readyz` tells programs and the front page shows people.

use std::sync::Arc;

use super::{
    discreet::Discreet,
    openapi::{ConfigurationReadiness, ConfigurationState, PluginReadiness, PluginState, Readiness},
    outlook::{Outlook, Prospect},
};
use crate::{
    config::Config,
    host::{Condition, Registry},
};

/// What it takes to tell how the server is.
pub(super) struct Checkup {
    outlook: Arc<Outlook>,
    discreet: Discreet,
}

impl Checkup {
    pub(super) fn new(config: &Config, outlook: Arc<Outlook>) -> Self {
        Self { outlook, discreet: Discreet::of(config) }
    }

    /// How it is now. Asks each plugin, within the time that a plugin has to think; a library is asked once a second,
    /// however often this is.
    pub(super) async fn readiness(&self, registry: &Registry) -> Readiness {
        let states = registry.states().await;
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
}
