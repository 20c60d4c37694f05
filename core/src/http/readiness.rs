//! How the server is: its plugins and its configuration, as `/readyz` tells programs and the front page shows people.

use super::{
    openapi::{ConfigurationReadiness, ConfigurationState, PluginReadiness, PluginState, Readiness},
    outlook::Prospect,
    state::State,
};
use crate::host::Condition;

/// How it is now. Asks each plugin, within the time that a plugin has to think.
pub(super) async fn readiness(state: &State) -> Readiness {
    let states = state.registry.load().states().await;
    // A plugin that need not run must not take the others out of a load balancer.
    let ready = states.iter().filter(|state| state.required).all(|state| match state.condition {
        Condition::Ready => true,
        Condition::Degraded => state.tools > 0,
        Condition::Failed => false,
    });
    let plugins = states.into_iter().map(|state| {
        let readiness = PluginReadiness {
            state: match state.condition {
                Condition::Ready => PluginState::Ready,
                Condition::Degraded => PluginState::Degraded,
                Condition::Failed => PluginState::Failed,
            },
            detail: state.reason,
            warnings: state.warnings,
        };
        (state.plugin.to_string(), readiness)
    });
    let configuration = match state.outlook.now() {
        Prospect::Current => ConfigurationReadiness::default(),
        Prospect::Refused(why) => ConfigurationReadiness { state: ConfigurationState::Refused, detail: Some(why) },
        Prospect::Waits(what) => ConfigurationReadiness { state: ConfigurationState::Waits, detail: Some(what) },
    };
    Readiness { ready, configuration, plugins: plugins.collect() }
}
