//! From the configuration to running plugins with their tools, checked and compiled once.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jsonschema::Validator;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use toolgate_plugin::{HostHandle, LogLevel, Notice, ProviderError, Tool, ToolProvider};

use super::{
    builtin,
    library::{self, Start},
    limits::Limiter,
};
use crate::config::{self, Builtin, Config, Diagnostic, Isolation, Limits, Plugin, PluginKind, Settings, Source};

/// A plugin could not be loaded.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// The key that it is about.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl LoadError {
    /// At its place in the file.
    pub fn diagnostic(&self, source: &Source) -> Diagnostic {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        source.error(&path, None, self.message.as_str(), self.help.as_str())
    }
}

/// Longest that a plugin may take to start, and to list its tools.
const LONGEST_START: Duration = Duration::from_secs(60);

/// A plugin that runs, with the tools that it listed.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) name: Arc<str>,
    pub(super) instance: Arc<Instance>,
    pub(super) tools: Arc<[LoadedTool]>,
    pub(super) limiter: Arc<Limiter>,
    /// What the limiter was made of.
    limits: Limits,
    /// The plugin that the configuration asks for, where this is not it but the one before.
    pub(super) behind: Option<Behind>,
}

/// A plugin that was to take the place of another one and does not start.
#[derive(Clone)]
pub(super) struct Behind {
    pub(super) wanted: Identity,
    pub(super) error: LoadError,
}

/// A plugin as it was started: it outlives the registries that offer its tools.
pub(super) struct Instance {
    pub(super) provider: Arc<dyn ToolProvider>,
    pub(super) identity: Identity,
    /// Counts the permits for its tools that are out.
    pub(super) permits: TaskTracker,
    /// Whether its tools have changed since they were listed.
    changed: Arc<AtomicBool>,
}

/// A tool with its schema compiled.
pub(super) struct LoadedTool {
    pub(super) tool: Tool,
    pub(super) arguments: Arc<Validator>,
}

/// What makes an instance another one when it changes.
#[derive(Clone, PartialEq)]
pub(super) struct Identity {
    kind: Kind,
    settings: Settings,
}

#[derive(Clone, PartialEq)]
enum Kind {
    Builtin(Builtin),
    /// By its content, so that a file that was only touched is the same.
    Library {
        content: Option<String>,
        isolation: Isolation,
        limits: Box<Limits>,
    },
    Unknown,
}

impl Identity {
    /// The plugin that a section asks for, as its file is now.
    pub(super) async fn of(section: &Plugin) -> Self {
        let kind = match section.kind() {
            Some(PluginKind::Builtin(builtin)) => Kind::Builtin(builtin),
            Some(PluginKind::Library(path)) => {
                let path = path.to_owned();
                let content = tokio::task::spawn_blocking(move || library::fingerprint(&path).ok());
                // How long a call may take is a matter of rules alone.
                let limits = Box::new(Limits { timeout: config::Duration::seconds(0), ..section.limits.clone() });
                Kind::Library { content: content.await.unwrap_or_default(), isolation: section.isolation, limits }
            }
            None => Kind::Unknown,
        };
        Self { kind, settings: section.settings.clone() }
    }
}

impl Loaded {
    /// A plugin that has started, with the tools that it lists.
    #[cfg(test)]
    pub(super) async fn list(
        name: &str,
        provider: Arc<dyn ToolProvider>,
        limiter: Arc<Limiter>,
    ) -> Result<Self, LoadError> {
        let identity = Identity { kind: Kind::Unknown, settings: Settings::default() };
        let instance = Instance { provider, identity, permits: TaskTracker::new(), changed: Arc::default() };
        let tools = instance.tools(name).await?;
        let limits = Limits::default();
        Ok(Self { name: name.into(), instance: Arc::new(instance), tools, limiter, limits, behind: None })
    }

    /// The same instance, with its tools as they are now.
    pub(super) async fn again(&self) -> Result<Self, LoadError> {
        Ok(Self { tools: self.instance.tools(&self.name).await?, ..self.clone() })
    }

    /// The same instance under a section that asks for it, or whose own plugin does not start.
    pub(super) fn under(&self, section: &Plugin, behind: Option<Behind>) -> Self {
        let mut same = Self { behind, ..self.clone() };
        // A library was told of its bounds when it started.
        let told = matches!(self.instance.identity.kind, Kind::Library { .. });
        if !told && self.limits != section.limits {
            same.limiter = Arc::new(Limiter::new(&self.name, &section.limits));
            same.limits = section.limits.clone();
        }
        same
    }
}

impl Instance {
    /// Whether its tools have changed since they were listed.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// As a plugin says that its tools have changed.
    #[cfg(test)]
    pub(super) fn change(&self) {
        self.changed.store(true, Ordering::Release);
    }

    async fn tools(&self, name: &str) -> Result<Arc<[LoadedTool]>, LoadError> {
        // Cleared before: what changes meanwhile is listed again.
        self.changed.store(false, Ordering::Release);
        match tokio::time::timeout(LONGEST_START, tools(name, self.provider.as_ref())).await {
            Ok(tools) => tools.map(Arc::from),
            Err(_) => Err(slow(name, "list its tools")),
        }
    }

    /// End it; it has a moment to do so.
    pub(super) async fn shutdown(&self, name: &str) {
        const MOMENT: Duration = Duration::from_secs(5);
        if tokio::time::timeout(MOMENT, self.provider.shutdown()).await.is_err() {
            tracing::warn!(plugin = name, "the plugin did not shut down in time");
        }
    }
}

fn slow(plugin: &str, what: &str) -> LoadError {
    let span = humantime::format_duration(LONGEST_START);
    LoadError {
        path: vec!["plugins".into(), plugin.into()],
        message: format!("the plugin \"{plugin}\" did not {what} within {span}"),
        help: "look at its log, or set `enabled = false`".into(),
    }
}

/// Start the plugin of a section; `bell` rings when its tools change later.
pub(super) async fn start(
    config: &Config,
    name: &str,
    section: &Plugin,
    identity: Identity,
    bell: &Arc<Notify>,
) -> Result<Loaded, LoadError> {
    let limiter = Arc::new(Limiter::new(name, &section.limits));
    let changed = Arc::new(AtomicBool::new(false));
    let notices = notices(name, Arc::clone(&changed), Arc::clone(bell));
    let host = HostHandle::new(name, config.server.state_dir.join("plugins").join(name), notices);
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
            let started = tokio::time::timeout(LONGEST_START, library::start(start)).await;
            started.unwrap_or_else(|_| Err(slow(name, "start")))?
        }
        None => {
            return Err(LoadError {
                path: vec!["plugins".into(), name.into()],
                message: "nothing says what kind of plugin this is".into(),
                help: "write builtin = \"…\" or library = \"…\"".into(),
            });
        }
    };
    let instance = Instance { provider, identity, permits: TaskTracker::new(), changed };
    match instance.tools(name).await {
        Ok(tools) => {
            let (instance, limits) = (Arc::new(instance), section.limits.clone());
            Ok(Loaded { name: name.into(), instance, tools, limiter, limits, behind: None })
        }
        Err(error) => {
            instance.shutdown(name).await;
            Err(error)
        }
    }
}

fn notices(plugin: &str, changed: Arc<AtomicBool>, bell: Arc<Notify>) -> impl Fn(Notice) + Send + Sync + 'static {
    let plugin = plugin.to_owned();
    move |notice| match notice {
        Notice::Log { level: LogLevel::Error, message } => tracing::error!(plugin, "{message}"),
        Notice::Log { level: LogLevel::Warn, message } => tracing::warn!(plugin, "{message}"),
        Notice::Log { level: LogLevel::Info, message } => tracing::info!(plugin, "{message}"),
        Notice::Log { level: LogLevel::Debug, message } => tracing::debug!(plugin, "{message}"),
        Notice::ToolsChanged => {
            changed.store(true, Ordering::Release);
            bell.notify_one();
        }
        // Resources are not served.
        other => tracing::debug!(plugin, ?other, "a notice that nobody here waits for"),
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
    let listed = provider.tools().await.map_err(|error| {
        let text = format!("the plugin \"{plugin}\" cannot list its tools: {error}");
        match text.split_once("; raise limits.result") {
            None => broken(text),
            Some((message, _)) => LoadError {
                path: ["plugins", plugin, "limits", "result"].map(str::to_owned).into(),
                message: message.to_owned(),
                help: "raise limits.result".into(),
            },
        }
    })?;
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
