//! How a plugin of a library starts: settings in, provider out.

use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{context::HostHandle, error::ProviderError, provider::ToolProvider};

/// A plugin that a library exports with `export_plugin!`: a [`ToolProvider`] (see [`#[tools]`](macro@crate::tools))
/// and how it starts. `#[derive(Plugin)]` on its settings is enough for one that holds nothing else.
///
/// ```
/// use toolgate_plugin::{HostHandle, LogLevel, Plugin, ProviderError, settings, tools};
///
/// #[settings]
/// struct Settings {
///     /// How many seats there are, 1 to 500.
///     #[schemars(range(min = 1, max = 500))]
///     seats: u16,
/// }
///
/// struct Theatre {
///     seats: Vec<bool>,
/// }
///
/// impl Plugin for Theatre {
///     type Settings = Settings;
///
///     async fn start(settings: Settings, host: HostHandle) -> Result<Self, ProviderError> {
///         // The server has checked the settings against their schema.
///         host.log(LogLevel::Info, format!("{} seats", settings.seats));
///         Ok(Self { seats: vec![false; settings.seats.into()] })
///     }
/// }
///
/// #[tools]
/// impl Theatre {
///     /// How many seats are free.
///     #[tool(read_only)]
///     async fn free(&self) -> String {
///         self.seats.iter().filter(|taken| !**taken).count().to_string()
///     }
/// }
/// ```
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
