//! Web search and page extraction through Tavily.

/// Stand-in until the plugin lands.
pub fn provider(
    _settings: toolgate_plugin::serde_json::Value,
    _host: toolgate_plugin::HostHandle,
) -> Result<impl toolgate_plugin::ToolProvider, toolgate_plugin::ProviderError> {
    Ok(toolgate_plugin::ToolSet::new(()))
}
