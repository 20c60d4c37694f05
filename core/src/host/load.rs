//! From the configuration to running plugins with their tools, checked and compiled once.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jsonschema::Validator;
use serde_json::Value;
use tokio::{sync::Notify, time::Instant};
use tokio_util::task::TaskTracker;
use toolgate_plugin::{HostHandle, LogLevel, Notice, ProviderError, Tool, ToolProvider};

use super::{
    arguments::{self, Patterns},
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

/// Most tools of a plugin: far more than a model can choose from, and so few that lists of them are short work.
const MOST_TOOLS: usize = 1000;
/// How long a plugin's tools are not listed again after they were: a plugin may say all the time that they have changed.
const PACE: Duration = Duration::from_secs(1);
/// The same after listings that failed, at most; it doubles with each in a row.
const LONGEST_PACE: Duration = Duration::from_secs(60);

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
    /// Whether it has ended and does not begin again.
    down: Arc<AtomicBool>,
    pace: Mutex<Pace>,
}

/// A listing that has not come to a good end; dropped, it is due again.
struct Unfinished<'a>(&'a AtomicBool);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// When a plugin's tools are listed again.
#[derive(Default)]
struct Pace {
    /// None before they were listed again for the first time.
    not_before: Option<Instant>,
    /// Listings in a row that failed.
    failures: u32,
}

/// A tool as it is listed.
pub(super) struct LoadedTool {
    pub(super) tool: Tool,
    /// Its input schema, compiled; `None` where [`Checked::InItsProcess`].
    pub(super) arguments: Option<Arc<Validator>>,
}

/// Where the schemas of a plugin are compiled, and arguments checked against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    /// In the server: the plugin runs here as well.
    Here,
    /// In the plugin's process: a schema can take for ever, and that is not the server's time.
    InItsProcess,
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

impl Identity {
    fn checked(&self) -> Checked {
        match self.kind {
            Kind::Library { isolation: Isolation::Process, .. } => Checked::InItsProcess,
            Kind::Library { .. } | Kind::Builtin(_) | Kind::Unknown => Checked::Here,
        }
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
        let instance = Instance::new(provider, identity, Arc::default(), Arc::default());
        let tools = instance.tools(name).await?;
        let limits = Limits::default();
        Ok(Self { name: name.into(), instance: Arc::new(instance), tools, limiter, limits, behind: None })
    }

    /// The same instance, with its tools as they are now. What cannot be listed is tried again later.
    pub(super) async fn again(&self) -> Result<Self, LoadError> {
        let listed = self.instance.tools(&self.name).await;
        self.instance.listed_again(listed.is_ok());
        let tools = listed?;
        let same = tools.iter().map(|listed| &listed.tool).eq(self.tools.iter().map(|listed| &listed.tool));
        Ok(Self { tools: if same { Arc::clone(&self.tools) } else { tools }, ..self.clone() })
    }

    /// Whether the other has the same tools, in the same order, from the same listing.
    pub(super) fn lists_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tools, &other.tools)
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
    fn new(
        provider: Arc<dyn ToolProvider>,
        identity: Identity,
        changed: Arc<AtomicBool>,
        down: Arc<AtomicBool>,
    ) -> Self {
        Self { provider, identity, permits: TaskTracker::new(), changed, down, pace: Mutex::default() }
    }

    /// Whether it has ended and does not begin again: another instance may.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// When its tools are to be listed again; `None` while they have not changed.
    pub(super) fn due(&self) -> Option<Instant> {
        let not_before = || self.pace.lock().unwrap_or_else(PoisonError::into_inner).not_before;
        self.has_changed().then(|| not_before().unwrap_or_else(Instant::now))
    }

    fn listed_again(&self, well: bool) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = PACE.saturating_mul(1 << pace.failures.min(16)).min(LONGEST_PACE);
        pace.failures = if well { 0 } else { pace.failures.saturating_add(1) };
        pace.not_before = Some(Instant::now() + if well { PACE } else { wait });
    }

    /// What it listed last is not served: it is asked again much later, or by the next reload.
    pub(super) fn put_off(&self) {
        self.changed.store(true, Ordering::Release);
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).not_before = Some(Instant::now() + LONGEST_PACE);
    }

    /// Whether its tools have changed since they were listed.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// As a plugin says that its tools have changed.
    #[cfg(test)]
    pub(super) fn change(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// As a plugin ends for good.
    #[cfg(test)]
    pub(super) fn end(&self) {
        self.down.store(true, Ordering::Release);
    }

    async fn tools(&self, name: &str) -> Result<Arc<[LoadedTool]>, LoadError> {
        // Cleared before: what changes meanwhile is listed again. So is what was not listed to its end.
        self.changed.store(false, Ordering::Release);
        let unfinished = Unfinished(&self.changed);
        let listing = tools(name, self.provider.as_ref(), self.identity.checked());
        let listed = match tokio::time::timeout(LONGEST_START, listing).await {
            Ok(tools) => tools.map(Arc::from),
            Err(_) => Err(slow(name, "list its tools")),
        };
        if listed.is_ok() {
            std::mem::forget(unfinished);
        }
        listed
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
    let (changed, down): (Arc<AtomicBool>, Arc<AtomicBool>) = (Arc::default(), Arc::default());
    let notices = notices(name, Arc::clone(&changed), Arc::clone(bell));
    let host = HostHandle::new(name, config.server.state_dir.join("plugins").join(name), notices)
        .with_base_dir(&config.folder);
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
                down: Arc::clone(&down),
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
    let instance = Instance::new(provider, identity, changed, down);
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
            // Once is enough until they are listed.
            if !changed.swap(true, Ordering::AcqRel) {
                bell.notify_one();
            }
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

async fn tools(plugin: &str, provider: &dyn ToolProvider, checked: Checked) -> Result<Vec<LoadedTool>, LoadError> {
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
    if listed.len() > MOST_TOOLS {
        return Err(broken(format!("the plugin \"{plugin}\" lists {} tools, more than {MOST_TOOLS}", listed.len())));
    }
    let mut names = HashSet::new();
    let mut tools = Vec::with_capacity(listed.len());
    for tool in listed {
        if !names.insert(tool.name.clone()) {
            return Err(broken(format!("the plugin \"{plugin}\" lists the tool \"{}\" twice", tool.name)));
        }
        let arguments = match checked {
            Checked::Here => Some(Arc::new(arguments::compile(&tool, Patterns::Linear).map_err(broken)?)),
            Checked::InItsProcess => None,
        };
        tools.push(LoadedTool { tool, arguments });
    }
    Ok(tools)
}
