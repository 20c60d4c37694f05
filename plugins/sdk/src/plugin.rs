//! How a plugin of a library starts: settings in, provider out.

use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{context::HostHandle, error::ProviderError, provider::ToolProvider};

/// A plugin that a library exports with `export_plugin!`.
pub trait Plugin: ToolProvider + Sized {
    /// `[plugins.<name>.settings]` as a type; its schema is checked before the plugin starts. `()` takes none.
    type Settings: DeserializeOwned + JsonSchema + Send + 'static;

    /// Start with these settings. Runs on the plugin's own runtime; a plugin that is being replaced starts its
    /// successor before it is shut down.
    ///
    /// # Errors
    /// A setting that does not fit after all, or whatever keeps the plugin from working.
    fn start(settings: Self::Settings, host: HostHandle) -> impl Future<Output = Result<Self, ProviderError>> + Send;
}
