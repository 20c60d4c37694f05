//! From the configuration to running plugins with their tools, checked and compiled once.

use std::{collections::HashSet, sync::Arc};

use jsonschema::Validator;
use serde_json::Value;
use toolgate_plugin::{HostHandle, LogLevel, Notice, ProviderError, Tool, ToolProvider};

use super::{
    builtin,
    library::{self, Start},
    limits::Limiter,
};
use crate::config::{Config, Plugin, PluginKind};

/// A plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// The key that it is about.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A plugin's state, as `/readyz` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginState {
    /// Its name in the configuration.
    pub plugin: Arc<str>,
    /// Whether it serves its tools.
    pub ready: bool,
    /// What is off, for people.
    pub reason: Option<String>,
    /// How many tools it has.
    pub tools: usize,
}

/// A plugin that runs.
pub(super) struct Loaded {
    pub(super) name: Arc<str>,
    pub(super) provider: Arc<dyn ToolProvider>,
    pub(super) tools: Vec<LoadedTool>,
    pub(super) limiter: Arc<Limiter>,
}

/// A tool with its schema compiled.
pub(super) struct LoadedTool {
    pub(super) tool: Tool,
    pub(super) arguments: Arc<Validator>,
}

impl Loaded {
    /// A plugin that has started, with the tools that it lists.
    pub(super) async fn list(
        name: &str,
        provider: Arc<dyn ToolProvider>,
        limiter: Arc<Limiter>,
    ) -> Result<Self, LoadError> {
        let tools = tools(name, provider.as_ref()).await?;
        Ok(Self { name: name.into(), provider, tools, limiter })
    }
}

/// Start every enabled plugin.
pub(super) async fn all(config: &Config) -> Result<Vec<Loaded>, Vec<LoadError>> {
    let mut loaded = Vec::new();
    let mut errors = Vec::new();
    for (name, section) in config.plugins.iter().filter(|(_, section)| section.enabled) {
        match one(config, name, section).await {
            Ok(plugin) => loaded.push(plugin),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(loaded) } else { Err(errors) }
}

/// Start one plugin.
async fn one(config: &Config, name: &str, section: &Plugin) -> Result<Loaded, LoadError> {
    let limiter = Arc::new(Limiter::new(name, &section.limits));
    let host = HostHandle::new(name, config.server.state_dir.join("plugins").join(name), notices(name));
    let settings = Value::Object(section.settings.0.clone());
    let provider = match section.kind() {
        Some(PluginKind::Builtin(kind)) => {
            builtin::start(kind, settings, host).map_err(|error| start_error(name, error))?
        }
        Some(PluginKind::Library(library)) => {
            let start = Start {
                plugin: name,
                library,
                isolation: section.isolation,
                settings,
                limits: &section.limits,
                limiter: Arc::clone(&limiter),
                copies: &config.server.state_dir.join("libraries"),
                host,
            };
            library::start(start).await?
        }
        None => {
            return Err(LoadError {
                path: vec!["plugins".into(), name.into()],
                message: "nothing says what kind of plugin this is".into(),
                help: "write builtin = \"…\" or library = \"…\"".into(),
            });
        }
    };
    Loaded::list(name, provider, limiter).await
}

fn notices(plugin: &str) -> impl Fn(Notice) + Send + Sync + 'static {
    let plugin = plugin.to_owned();
    move |notice| match notice {
        Notice::Log { level: LogLevel::Error, message } => tracing::error!(plugin, "{message}"),
        Notice::Log { level: LogLevel::Warn, message } => tracing::warn!(plugin, "{message}"),
        Notice::Log { level: LogLevel::Info, message } => tracing::info!(plugin, "{message}"),
        Notice::Log { level: LogLevel::Debug, message } => tracing::debug!(plugin, "{message}"),
        // Compiled-in plugins have a fixed list and no resources.
        other => tracing::debug!(plugin, ?other, "notice from a plugin whose tools do not change"),
    }
}

fn start_error(plugin: &str, error: ProviderError) -> LoadError {
    let base = ["plugins", plugin, "settings"].map(str::to_owned);
    match error {
        ProviderError::Settings { path, message } => {
            let path = base.into_iter().chain(path.split('.').filter(|part| !part.is_empty()).map(str::to_owned));
            let (message, help) = match message.split_once("; ") {
                Some((message, help)) => (message.to_owned(), help.to_owned()),
                None => (message, String::new()),
            };
            LoadError { path: path.collect(), message, help }
        }
        other => LoadError {
            path: vec!["plugins".into(), plugin.into()],
            message: format!("the plugin \"{plugin}\" cannot start: {other}"),
            help: "mend the cause, or set `enabled = false`".into(),
        },
    }
}

async fn tools(plugin: &str, provider: &dyn ToolProvider) -> Result<Vec<LoadedTool>, LoadError> {
    let broken = |message: String| LoadError {
        path: vec!["plugins".into(), plugin.into()],
        message,
        help: "report it to the plugin's author, or set `enabled = false`".into(),
    };
    let listed = provider
        .tools()
        .await
        .map_err(|error| broken(format!("the plugin \"{plugin}\" cannot list its tools: {error}")))?;
    let mut names = HashSet::new();
    let mut tools = Vec::with_capacity(listed.len());
    for tool in listed {
        if !names.insert(tool.name.clone()) {
            return Err(broken(format!("the plugin \"{plugin}\" lists the tool \"{}\" twice", tool.name)));
        }
        let arguments = compile(&Value::Object((*tool.input_schema).clone())).map_err(|error| {
            broken(format!("the input schema of \"{}\" is no valid JSON Schema: {error}", tool.name))
        })?;
        if let Some(output) = &tool.output_schema {
            compile(&Value::Object((**output).clone())).map_err(|error| {
                broken(format!("the output schema of \"{}\" is no valid JSON Schema: {error}", tool.name))
            })?;
        }
        tools.push(LoadedTool { tool, arguments: Arc::new(arguments) });
    }
    Ok(tools)
}

/// JSON Schema 2020-12 is MCP's default dialect; a schema may name another in `$schema`.
fn compile(schema: &Value) -> Result<Validator, String> {
    let mut options = jsonschema::options();
    if schema.get("$schema").is_none() {
        options = options.with_draft(jsonschema::Draft::Draft202012);
    }
    options.build(schema).map_err(|error| error.to_string())
}
