//! The plugins that are compiled in: one line each.

use std::sync::Arc;

use serde_json::Value;
use toolgate_plugin::{HostHandle, ProviderError, ToolProvider};

use crate::config::Builtin;

/// Start a compiled-in plugin.
pub(super) fn start(
    builtin: Builtin,
    settings: Value,
    host: HostHandle,
) -> Result<Arc<dyn ToolProvider>, ProviderError> {
    match builtin {
        Builtin::Tavily => Ok(Arc::new(toolgate_tavily::provider(settings, host)?)),
        Builtin::Docs => Ok(Arc::new(toolgate_docs::provider(settings, host)?)),
        Builtin::Echo => match settings.as_object().and_then(|settings| settings.keys().next()) {
            Some(key) => Err(ProviderError::settings(key.as_str(), "echo has no settings; remove it")),
            None => Ok(Arc::new(toolgate_echo::provider())),
        },
    }
}
