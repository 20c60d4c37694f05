//! Search over folders of documents: Markdown, plain text, HTML, reStructuredText, and the comments of source files.
//!
//! The way of a document: a folder (`folders/`) is looked through and opened so that nothing outside of it is ever read,
//! a reader (`text/`) makes a title and parts under headings of each file, the index (`index/`) keeps them, and the
//! keeper (`keeper/`) does all that on a thread of its own and follows changes. The way of a call: a tool (`tools/`)
//! waits for the first look if it must, and asks the index; it opens no document.
//!
//! Knows nothing of scopes, rates or protocols; those are the host's.

mod folders;
mod index;
mod keeper;
mod settings;
mod text;
mod tools;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use toolgate_plugin::{
    CallContext, Health, HostHandle, JsonObject, Outcome, ProviderError, Tool, ToolCall, ToolError, ToolProvider,
    ToolSet, async_trait,
};

use crate::{
    keeper::{Keeper, State},
    settings::Settings,
    tools::Shared,
};

/// The plugin, from its `settings` table. Begins to look through the folders on a thread of its own, a moment later or
/// with the first call; folders that are not there are no failure.
///
/// # Errors
///
/// [`ProviderError::Settings`] names the setting that is wrong.
pub fn provider(settings: serde_json::Value, host: HostHandle) -> Result<impl ToolProvider, ProviderError> {
    let (settings, folders) = Settings::read(settings, host.base_dir(), host.state_dir())?;
    let state = Arc::new(State::new(folders, settings.limits.files));
    let keeper = Keeper::start(&state, settings.clone(), host)
        .map_err(|error| ProviderError::Unavailable(format!("no thread can be started: {error}")))?;
    let tools = ToolSet::new(Shared { state, keeper, settings });
    Ok(Docs(tools::fetch::add_to(tools::search::add_to(tools))))
}

/// The JSON Schema (2020-12) of the plugin's `settings` table.
pub fn settings_schema() -> JsonObject {
    settings::schema()
}

struct Docs(ToolSet<Shared>);

#[async_trait]
impl ToolProvider for Docs {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        let tools = self.0.tools().await?;
        Ok(tools.into_iter().map(|tool| tools::with_folders(tool, &self.0.state().state)).collect())
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        self.0.call(call, cx).await
    }

    async fn health(&self) -> Health {
        let troubles = self.0.state().state.troubles();
        if troubles.is_empty() { Health::Ready } else { Health::Degraded(troubles.join("; ")) }
    }

    async fn shutdown(&self) {
        let keeper = self.0.state().keeper.ended();
        // It may be in the middle of a document; the host waits only so long.
        let _ = tokio::task::spawn_blocking(keeper).await;
    }
}
