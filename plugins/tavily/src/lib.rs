//! Web search and page extraction through Tavily (<https://docs.tavily.com>).
//!
//! The way of a call: a tool (`tools/`) checks its arguments and writes Tavily's request, the upstream
//! (`upstream/`) sends it, retries and names failures, `safety/` treats what comes from the web as what it is,
//! and `report` holds the shapes that every tool's result shares. One file a tool; a new one adds a line to
//! [`provider`].
//!
//! Knows nothing of scopes, rates or protocols; those are the host's.

mod report;
mod safety;
mod settings;
mod sites;
mod tools;
mod upstream;

use toolgate_plugin::{
    CallContext, Health, HostHandle, JsonObject, Outcome, ProviderError, Tool, ToolCall, ToolError, ToolProvider,
    ToolSet, async_trait, schema_of,
};

use crate::{settings::Settings, tools::Shared};

/// The plugin, from its `settings` table. Does no I/O; the key is first used by the first call.
///
/// Without a key it works in Tavily's keyless mode, which offers search and extract only.
///
/// # Errors
///
/// [`ProviderError::Settings`] names the setting that is wrong; the key's value is never shown.
pub fn provider(settings: serde_json::Value, host: HostHandle) -> Result<impl ToolProvider, ProviderError> {
    let settings = Settings::read(settings)?;
    let tools = ToolSet::new(Shared::new(&settings, host)?);
    // Tools that need a key are added here under `if !settings.keyless()`.
    let tools = tools::extract::add_to(tools::search::add_to(tools));
    Ok(Tavily(tools))
}

/// The JSON Schema (2020-12) of the plugin's `settings` table.
pub fn settings_schema() -> JsonObject {
    schema_of::<Settings>()
}

struct Tavily(ToolSet<Shared>);

#[async_trait]
impl ToolProvider for Tavily {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        self.0.tools().await
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        self.0.call(call, cx).await
    }

    async fn health(&self) -> Health {
        self.0.state().upstream.health()
    }
}
