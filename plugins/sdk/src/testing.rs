//! The test kit: a plugin started in-process and called as the server calls it, without a server.
//!
//! ```
//! use toolgate_plugin::{HostHandle, Plugin, ProviderError, arguments, serde_json::json, settings, tools};
//!
//! #[settings]
//! struct Settings {
//!     greeting: String,
//! }
//!
//! struct Hello {
//!     greeting: String,
//! }
//!
//! impl Plugin for Hello {
//!     type Settings = Settings;
//!
//!     async fn start(settings: Settings, _host: HostHandle) -> Result<Self, ProviderError> {
//!         Ok(Self { greeting: settings.greeting })
//!     }
//! }
//!
//! #[arguments]
//! struct Greet {
//!     /// Whom to greet.
//!     name: String,
//! }
//!
//! #[tools]
//! impl Hello {
//!     /// Greet somebody by name.
//!     #[tool(read_only)]
//!     async fn greet(&self, args: Greet) -> String {
//!         format!("{}, {}!", self.greeting, args.name)
//!     }
//! }
//!
//! # mod tests {
//! # use super::*;
//! use toolgate_plugin::testing::Host;
//!
//! #[toolgate_plugin::testing::test]
//! # pub async fn never_run() {}
//! # pub fn run() { toolgate_plugin::testing::run(greets_by_name()) }
//! async fn greets_by_name() {
//!     let hello = Host::start::<Hello>(json!({ "greeting": "Hi" })).await.unwrap();
//!
//!     let result = hello.call("greet", json!({ "name": "Ada" })).await;
//!     assert_eq!(result.text(), "Hi, Ada!");
//!
//!     let refused = hello.call("greet", json!({ "nam": "Ada" })).await;
//!     assert!(refused.is_error, "{}", refused.text());
//! }
//! # }
//! # fn main() { tests::run() }
//! ```
//!
//! In a plugin's `Cargo.toml` the kit is a feature for tests alone:
//!
//! ```toml
//! [dev-dependencies]
//! toolgate-plugin = { version = "0.1", features = ["testing"] }
//! ```
//!
//! What the server does, the kit does: settings and arguments are checked against their schemas before the plugin
//! sees them, a call ends after a timeout, a cancelled call's future is dropped. It is stricter in one way: a tool
//! whose answer does not fit its own output schema, or that is called by a name it has not, fails the test, and so
//! does a panic. The C boundary and the isolation of a worker are not in between: `toolgate plugin run` has them.

use std::{
    any::TypeId,
    collections::HashSet,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    ops::Deref,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use toolgate_macros::plugin_test as test;

use crate::{
    context::{CallContext, Caller, HostHandle, LogLevel, Notice, Progress, ProgressUpdate},
    error::{ProviderError, ToolError},
    plugin::Plugin,
    provider::{Health, Outcome, ToolCall, ToolProvider},
    tool::{Content, JsonObject, Tool, ToolResult},
    typed::schema_of,
};

/// Runs a future on a runtime of its own, as [`#[test]`](macro@test) does.
///
/// # Panics
/// If the system refuses a runtime.
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("no runtime for the test: {error}"),
    }
}

/// A plugin that runs, and what the server would know of it. Clones share the plugin.
#[derive(Clone)]
pub struct Host {
    plugin: Arc<Running>,
    caller: Caller,
    timeout: Duration,
}

struct Running {
    provider: Box<dyn ToolProvider>,
    tools: Vec<Offered>,
    heard: Arc<Heard>,
    /// Removed with the plugin.
    state_dir: Option<PathBuf>,
}

/// A tool with its schemas, ready to check.
struct Offered {
    tool: Tool,
    input: Validator,
    output: Option<Validator>,
}

/// What the plugin has told.
#[derive(Default)]
struct Heard {
    notices: Mutex<Vec<Notice>>,
    progress: Mutex<Vec<ProgressUpdate>>,
}

impl Host {
    /// Start a plugin with `[plugins.<name>.settings]` as given; `json!({})` are none. Its state folder is of its
    /// own, below the system's temporary one; it does not exist yet, and is removed with the last clone.
    ///
    /// # Errors
    /// What would keep the plugin out of a server: settings that do not fit, a start that fails, tools that MCP
    /// does not allow.
    pub async fn start<P: Plugin>(settings: Value) -> Result<Self, ProviderError> {
        let settings = read_settings::<P::Settings>(settings)?;
        let heard = Arc::new(Heard::default());
        let ears = Arc::clone(&heard);
        let state_dir = state_dir();
        let host = HostHandle::new("test", &state_dir, move |notice| locked(&ears.notices).push(notice));
        Self::with(P::start(settings, host).await?, heard, Some(state_dir)).await
    }

    /// Take a provider that is built already, such as a [`ToolSet`](crate::ToolSet).
    ///
    /// # Errors
    /// Tools that cannot be listed, or that MCP does not allow.
    pub async fn of(provider: impl ToolProvider) -> Result<Self, ProviderError> {
        Self::with(provider, Arc::default(), None).await
    }

    async fn with(
        provider: impl ToolProvider,
        heard: Arc<Heard>,
        state_dir: Option<PathBuf>,
    ) -> Result<Self, ProviderError> {
        let mut names = HashSet::new();
        let mut tools = Vec::new();
        for tool in provider.tools().await? {
            if !names.insert(tool.name.clone()) {
                return Err(ProviderError::Unavailable(format!("the tool \"{}\" is listed twice", tool.name)));
            }
            tools.push(Offered::new(tool)?);
        }
        let plugin = Running { provider: Box::new(provider), tools, heard, state_dir };
        let caller = Caller::new("test", None, Arc::from([]));
        Ok(Self { plugin: Arc::new(plugin), caller, timeout: Duration::from_secs(60) })
    }

    /// The same plugin, called by somebody else. Without this the caller is `test` and has no scopes: the server
    /// checks scopes before the plugin, so a plugin needs none to be called.
    #[must_use]
    pub fn as_caller(&self, subject: &str, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|scope| Arc::from(*scope)).collect();
        Self { caller: Caller::new(subject, None, scopes), ..self.clone() }
    }

    /// The same plugin, given this long for a call instead of the server's 60 s.
    #[must_use]
    pub fn timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The tools as they were listed at the start.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.plugin.tools.iter().map(|offered| &offered.tool)
    }

    /// Call a tool and wait for its result.
    ///
    /// # Panics
    /// If there is no such tool, the arguments are no JSON object, the tool panics, or its answer does not fit its
    /// output schema: mistakes of the test or of the plugin, never of a caller.
    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.begin(tool, arguments).answer().await
    }

    /// Call a tool and go on; see [`Call`].
    ///
    /// # Panics
    /// As [`Host::call`] does.
    pub fn begin(&self, tool: &str, arguments: Value) -> Call {
        let Some(place) = self.tools().position(|offered| offered.name == tool) else {
            let there: Vec<_> = self.tools().map(|offered| offered.name.as_str()).collect();
            panic!("no tool \"{tool}\"; the plugin has {there:?}");
        };
        assert!(arguments.is_object(), "the arguments of \"{tool}\" are no JSON object: {arguments}");
        let (told, progress) = mpsc::unbounded_channel();
        let cancelled = CancellationToken::new();
        let mut cx = CallContext::new(self.caller.clone(), format!("test-{tool}"));
        let heard = Arc::clone(&self.plugin.heard);
        cx.progress = Progress::to(move |update| {
            locked(&heard.progress).push(update.clone());
            // Nobody has to listen.
            let _ = told.send(update);
        });
        // The plugin's own token fires however the call ends, for work that it has spawned.
        let over = cancelled.child_token();
        cx.cancelled = over.clone();
        cx.deadline = Instant::now().checked_add(self.timeout);
        let (plugin, timeout, until) = (Arc::clone(&self.plugin), self.timeout, cancelled.clone());
        let answer = tokio::spawn(async move {
            let _over = over.drop_guard();
            tokio::select! {
                biased;
                () = until.cancelled() => Answer(ToolError::Cancelled.into_result()),
                answer = tokio::time::timeout(timeout, plugin.call(place, arguments, cx)) => answer.unwrap_or_else(|_| {
                    Answer(ToolResult::error(format!("the tool gave no answer within {timeout:?}")))
                }),
            }
        });
        Call { answer, cancelled: cancelled.drop_guard(), progress }
    }

    /// The lines that the plugin wrote to the log, so far.
    pub fn log(&self) -> Vec<(LogLevel, String)> {
        let lines = self.notices().into_iter().filter_map(|notice| match notice {
            Notice::Log { level, message } => Some((level, message)),
            _ => None,
        });
        lines.collect()
    }

    /// Everything that the plugin told the server, so far.
    pub fn notices(&self) -> Vec<Notice> {
        locked(&self.plugin.heard.notices).clone()
    }

    /// The progress that all calls have reported, so far.
    pub fn progress(&self) -> Vec<ProgressUpdate> {
        locked(&self.plugin.heard.progress).clone()
    }

    /// How the plugin is.
    pub async fn health(&self) -> Health {
        self.plugin.provider.health().await
    }

    /// Stop the plugin, as a server does before it ends or replaces it.
    pub async fn shutdown(&self) {
        self.plugin.provider.shutdown().await;
    }
}

impl Running {
    async fn call(&self, place: usize, arguments: Value, cx: CallContext) -> Answer {
        let offered = &self.tools[place];
        let name = offered.tool.name.as_str();
        if let Some((path, message)) = misfit(&offered.input, &arguments) {
            return refused(&path, &message);
        }
        let Value::Object(arguments) = arguments else { return refused("", "they are no JSON object") };
        match self.provider.call(ToolCall { name: name.to_owned(), arguments }, cx).await {
            Ok(Outcome::Complete(result)) => {
                offered.check(&result);
                Answer(result)
            }
            Err(ToolError::UnknownTool(unknown)) => {
                panic!("the plugin lists \"{name}\", but does not know \"{unknown}\"")
            }
            Err(ToolError::InvalidArguments { path, message }) => refused(&path, &message),
            Err(error) => {
                let result = error.into_result();
                offered.check(&result);
                Answer(result)
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(state_dir) = &self.state_dir {
            // Most plugins never make it.
            let _ = std::fs::remove_dir_all(state_dir);
        }
    }
}

impl Offered {
    fn new(tool: Tool) -> Result<Self, ProviderError> {
        let Tool { name, .. } = &tool;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
            let message = format!("\"{name}\" is no name of a tool; use 1 to 128 of A-Z a-z 0-9 _ - .");
            return Err(ProviderError::Unavailable(message));
        }
        let whole = |what: &str, schema: &JsonObject| {
            compile(schema).map_err(|error| {
                ProviderError::Unavailable(format!("the {what} schema of \"{name}\" is no valid JSON Schema: {error}"))
            })
        };
        if tool.input_schema.get("type").and_then(Value::as_str) != Some("object") {
            let message = format!("the input schema of \"{name}\" describes no object; take a struct of arguments");
            return Err(ProviderError::Unavailable(message));
        }
        let input = whole("input", &tool.input_schema)?;
        let output = tool.output_schema.as_deref().map(|schema| whole("output", schema)).transpose()?;
        Ok(Self { input, output, tool })
    }

    /// Clients check what a tool answers; a test should have done so before. The same goes for a failure that
    /// carries a value.
    fn check(&self, result: &ToolResult) {
        let name = &self.tool.name;
        let Some(schema) = &self.output else { return };
        let Some(value) = &result.structured_content else {
            assert!(
                result.is_error,
                "the tool \"{name}\" has an output schema, but answered without structuredContent"
            );
            return;
        };
        if let Some((path, message)) = misfit(schema, value) {
            let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
            panic!("the answer of \"{name}\" does not fit its output schema{place}: {message}; it was {value}");
        }
    }
}

/// A call that is under way. Dropping it cancels the call.
pub struct Call {
    answer: JoinHandle<Answer>,
    cancelled: DropGuard,
    progress: mpsc::UnboundedReceiver<ProgressUpdate>,
}

impl Call {
    /// Wait for the result.
    ///
    /// # Panics
    /// As [`Host::call`] does.
    pub async fn answer(self) -> Answer {
        let Self { answer, cancelled: _until_answered, .. } = self;
        match answer.await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("the call was lost: {error}"),
            },
        }
    }

    /// Go away, as a client does: the call's `cancelled` fires and its future is dropped.
    ///
    /// # Panics
    /// As [`Host::call`] does.
    pub async fn cancel(self) -> Answer {
        let Self { answer, cancelled, progress } = self;
        let cancelled = cancelled.disarm();
        cancelled.cancel();
        Self { answer, cancelled: cancelled.drop_guard(), progress }.answer().await
    }

    /// Wait for the next report of progress; `None` when the call is over and all reports are read.
    pub async fn next_progress(&mut self) -> Option<ProgressUpdate> {
        self.progress.recv().await
    }
}

/// What a call answered: a [`ToolResult`] that is easy to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(pub ToolResult);

impl Answer {
    /// All blocks of text, in their order, a line break between two.
    pub fn text(&self) -> String {
        self.0.content.iter().filter_map(Content::as_text).collect::<Vec<_>>().join("\n")
    }

    /// `structuredContent`; `null` if there is none.
    pub fn structured(&self) -> &Value {
        self.0.structured_content.as_ref().unwrap_or(&Value::Null)
    }
}

impl Deref for Answer {
    type Target = ToolResult;

    fn deref(&self) -> &ToolResult {
        &self.0
    }
}

/// What a caller reads whose arguments do not fit.
fn refused(path: &str, message: &str) -> Answer {
    Answer(ToolResult::error(match path {
        "" => format!("the arguments do not fit: {message}"),
        path => format!("the argument at {path} does not fit: {message}"),
    }))
}

/// Settings as the server reads them: against the schema first, which names the place, then as the type.
fn read_settings<S: serde::de::DeserializeOwned + schemars::JsonSchema + 'static>(
    settings: Value,
) -> Result<S, ProviderError> {
    // In the configuration settings are a table, and `()` is an empty one.
    let (schema, settings) = match (TypeId::of::<S>() == TypeId::of::<()>(), settings) {
        (true, Value::Object(none)) if none.is_empty() => (schema_of::<()>(), Value::Null),
        (true, _) => return Err(ProviderError::settings("", "this plugin takes no settings; write `{}`")),
        (false, settings) => (schema_of::<S>(), settings),
    };
    let validator = compile(&schema).map_err(|error| {
        ProviderError::settings("", format!("the schema of the settings is no valid JSON Schema: {error}"))
    })?;
    if let Some((path, message)) = misfit(&validator, &settings) {
        return Err(ProviderError::settings(path.trim_start_matches('/').replace('/', "."), message));
    }
    serde_json::from_value(settings).map_err(|error| ProviderError::settings("", error.to_string()))
}

/// JSON Schema 2020-12 is MCP's default dialect; a schema may name another in `$schema`.
fn compile(schema: &JsonObject) -> Result<Validator, String> {
    let mut options = jsonschema::options();
    if !schema.contains_key("$schema") {
        options = options.with_draft(jsonschema::Draft::Draft202012);
    }
    options.build(&Value::Object(schema.clone())).map_err(|error| error.to_string())
}

/// The first thing that does not fit: a JSON Pointer (RFC 6901) and what is wrong.
fn misfit(schema: &Validator, value: &Value) -> Option<(String, String)> {
    let error: ValidationError<'_> = schema.iter_errors(value).next()?;
    let message = match error.kind() {
        ValidationErrorKind::Enum { options } => format!("the value is none of {options}"),
        _ => error.masked_with("the value").to_string(),
    };
    Some((error.instance_path().to_string(), message))
}

/// A folder that no other test uses.
fn state_dir() -> PathBuf {
    let random = RandomState::new().build_hasher().finish();
    std::env::temp_dir().join(format!("toolgate-test-{random:016x}"))
}

/// A panic elsewhere is told there; the list is whole.
fn locked<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
