//! What surrounds a call (who, how long, how to report) and what a plugin may ask of its host.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio_util::sync::CancellationToken;

/// Who calls. Never holds the token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The authorization server's identifier for the person or machine (`sub`); opaque.
    pub subject: Arc<str>,
    /// The OAuth client; may be an HTTPS URL (client id metadata document).
    pub client_id: Option<Arc<str>>,
    /// The scopes of the caller's token, as granted: what they imply is the host's to know.
    pub scopes: Arc<[Arc<str>]>,
}

impl Caller {
    /// A caller.
    pub fn new(subject: impl Into<Arc<str>>, client_id: Option<Arc<str>>, scopes: Arc<[Arc<str>]>) -> Self {
        Self { subject: subject.into(), client_id, scopes }
    }
}

/// Trace context of the request (W3C Trace Context), to pass on to systems that the plugin calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// `traceparent`, as received.
    pub traceparent: Option<Arc<str>>,
    /// `tracestate`, as received.
    pub tracestate: Option<Arc<str>>,
}

impl TraceContext {
    /// The headers as received.
    pub fn new(traceparent: Option<Arc<str>>, tracestate: Option<Arc<str>>) -> Self {
        Self { traceparent, tracestate }
    }
}

/// One progress report (`notifications/progress`).
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressUpdate {
    /// How far; must grow from report to report.
    pub progress: f64,
    /// Where it ends, if known.
    pub total: Option<f64>,
    /// What is being done, for people.
    pub message: Option<String>,
}

type ProgressSink = dyn Fn(ProgressUpdate) + Send + Sync;

/// Where a call reports how far it is; costs nothing when nobody asked.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<ProgressSink>>);

impl Progress {
    /// Reports go nowhere.
    pub fn none() -> Self {
        Self(None)
    }

    /// Reports go to `sink`, which must not block.
    pub fn to(sink: impl Fn(ProgressUpdate) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Whether somebody listens.
    pub fn wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Report.
    pub fn report(&self, progress: f64, total: Option<f64>, message: impl Into<Option<String>>) {
        if let Some(sink) = &self.0 {
            sink(ProgressUpdate { progress, total, message: message.into() });
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wanted() { "Progress(wanted)" } else { "Progress(none)" })
    }
}

/// What surrounds one call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallContext {
    /// Who calls.
    pub caller: Caller,
    /// The request's id, the same in logs and audit.
    pub request_id: Arc<str>,
    /// Where to report progress.
    pub progress: Progress,
    /// Fires when the caller goes away or the server stops.
    pub cancelled: CancellationToken,
    /// When the host gives up waiting.
    pub deadline: Option<Instant>,
    /// Trace context of the request.
    pub trace: TraceContext,
}

impl CallContext {
    /// A context with neither progress nor deadline.
    pub fn new(caller: Caller, request_id: impl Into<Arc<str>>) -> Self {
        Self {
            caller,
            request_id: request_id.into(),
            progress: Progress::none(),
            cancelled: CancellationToken::new(),
            deadline: None,
            trace: TraceContext::default(),
        }
    }

    /// A context for a plugin's own tests.
    pub fn for_tests() -> Self {
        Self::new(Caller::new("test", None, Arc::from([])), "test")
    }
}

/// How urgent a log line is (`LoggingLevel`, narrowed to what operators tell apart).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is off but works.
    Warn,
    /// Something does not work.
    Error,
}

/// What a plugin tells its host.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A line for the log.
    Log {
        /// How urgent.
        level: LogLevel,
        /// The line; must hold no secret.
        message: String,
    },
    /// The list of tools has changed.
    ToolsChanged,
    /// A resource has changed.
    ResourceUpdated {
        /// Which.
        uri: String,
    },
}

type NoticeSink = dyn Fn(Notice) + Send + Sync;

/// The host as a plugin sees it, given when the plugin starts.
#[derive(Clone)]
pub struct HostHandle {
    plugin: Arc<str>,
    state_dir: PathBuf,
    base_dir: PathBuf,
    sink: Arc<NoticeSink>,
}

impl HostHandle {
    /// A handle for the plugin named `plugin`, which may keep files in `state_dir`.
    pub fn new(
        plugin: impl Into<Arc<str>>,
        state_dir: impl Into<PathBuf>,
        sink: impl Fn(Notice) + Send + Sync + 'static,
    ) -> Self {
        Self { plugin: plugin.into(), state_dir: state_dir.into(), base_dir: PathBuf::from("."), sink: Arc::new(sink) }
    }

    /// The same handle, with another folder that relative paths start from.
    #[must_use]
    pub fn with_base_dir(self, base_dir: impl Into<PathBuf>) -> Self {
        Self { base_dir: base_dir.into(), ..self }
    }

    /// A handle for a plugin's own tests; notices go nowhere.
    pub fn for_tests() -> Self {
        Self::new("test", std::env::temp_dir(), |_| {})
    }

    /// The plugin's name in the configuration.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// A folder of the plugin's own; may not exist yet.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Where relative paths in the plugin's settings start: the folder of the configuration file.
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// Write to the server's log.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        (self.sink)(Notice::Log { level, message: message.into() });
    }

    /// Say that the list of tools has changed.
    pub fn tools_changed(&self) {
        (self.sink)(Notice::ToolsChanged);
    }

    /// Say that a resource has changed.
    pub fn resource_updated(&self, uri: impl Into<String>) {
        (self.sink)(Notice::ResourceUpdated { uri: uri.into() });
    }
}

impl fmt::Debug for HostHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostHandle").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}
