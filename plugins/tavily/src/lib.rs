//! Web search, reading, mapping, crawling and research through Tavily (<https://docs.tavily.com>).
//!
//! The way of a call: a tool (`tools/`) checks its arguments and writes Tavily's request, `shared` sets its price aside
//! (`credits/`) and remembers its answer (`cache`), `upstream/` sends it, retries and names failures, `safety/` and
//! `sites/` treat what comes from the web as what it is, and `report/` makes a result of it. `research/` follows what
//! takes longer than a call. One file a tool; a new one adds a line to [`provider`].
//!
//! Knows nothing of scopes, rates or protocols; those are the host's.

mod cache;
mod credits;
mod listing;
mod report;
mod research;
mod safety;
mod settings;
mod shared;
mod sites;
mod tools;
mod upstream;

use toolgate_plugin::{
    CallContext, Health, HostHandle, JsonObject, Outcome, ProviderError, Tool, ToolCall, ToolError, ToolProvider,
    ToolSet, async_trait, schema_of,
};

use crate::{settings::Settings, shared::Shared};

/// The plugin, from its `settings` table. Does no I/O; the key is first used by the first call.
///
/// Without a key it works in Tavily's keyless mode, which offers search and extract only: the other tools are listed, so
/// that rules and clients know them, and say what is missing.
///
/// # Errors
///
/// [`ProviderError::Settings`] names the setting that is wrong; the key's value is never shown.
pub fn provider(settings: serde_json::Value, host: HostHandle) -> Result<impl ToolProvider, ProviderError> {
    let settings = Settings::read(settings)?;
    let mut set = ToolSet::new(Shared::new(&settings, host)?);
    set = tools::extract::add_to(tools::search::add_to(set));
    set = tools::crawl::add_to(tools::map::add_to(set));
    set = tools::get_research::add_to(tools::research::add_to(set));
    set = tools::feedback::add_to(tools::usage::add_to(set));
    Ok(Tavily(set))
}

/// The JSON Schema (2020-12) of the plugin's `settings` table.
pub fn settings_schema() -> JsonObject {
    schema_of::<Settings>()
}

struct Tavily(ToolSet<Shared>);

#[async_trait]
impl ToolProvider for Tavily {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        let shared = self.0.state();
        Ok(self.0.tools().await?.into_iter().map(|tool| listing::as_offered(tool, shared)).collect())
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        self.0.call(call, cx).await
    }

    async fn health(&self) -> Health {
        self.0.state().health()
    }

    async fn shutdown(&self) {
        self.0.state().budget.shutdown().await;
    }
}
