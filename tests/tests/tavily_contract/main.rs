//! The Tavily plugin against the stand-in for Tavily's API, and the stand-in against Tavily's contract.

mod arguments;
mod bounds;
mod cache;
mod failures;
mod hostile;
mod injections;
mod keyless;
mod money;
mod odd_answers;
mod office;
mod research;
mod results;
mod room;
mod settings;
mod sites;
mod stand_in;
mod streams;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use toolgate_plugin::{
    CallContext, Caller, HostHandle, Notice, Outcome, Progress, ProgressUpdate, ProviderError, ToolCall, ToolError,
    ToolProvider, ToolResult,
};
use toolgate_tests::tavily::{KEY, StandIn};

/// A plugin in front of a stand-in.
struct Bench {
    stand_in: StandIn,
    plugin: Box<dyn ToolProvider>,
    notices: Arc<Mutex<Vec<Notice>>>,
    settings: Value,
    state: tempfile::TempDir,
}

impl Bench {
    /// With a key.
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// With a key and further settings.
    async fn with(settings: Value) -> Self {
        Self::before(StandIn::start().await.unwrap(), settings)
    }

    /// With a key and further settings, in front of this stand-in.
    fn before(stand_in: StandIn, settings: Value) -> Self {
        let mut all = json!({ "api_key": KEY, "api_base_url": stand_in.url() });
        for (name, value) in settings.as_object().unwrap() {
            all[name] = value.clone();
        }
        let (state, notices) = (tempfile::tempdir().unwrap(), Arc::default());
        let plugin = plugin(all.clone(), &state, &notices);
        Self { stand_in, plugin, notices, settings: all, state }
    }

    /// As after a restart: another instance with the same state folder, and with these settings over the others.
    async fn restart(&mut self, over: Value) {
        self.plugin.shutdown().await;
        for (name, value) in over.as_object().unwrap() {
            self.settings[name] = value.clone();
        }
        self.plugin = plugin(self.settings.clone(), &self.state, &self.notices);
    }

    /// Call a tool as the host would: what comes back is what a client gets.
    async fn call(&self, tool: &str, arguments: Value) -> ToolResult {
        self.call_in(tool, arguments, CallContext::for_tests()).await
    }

    async fn call_in(&self, tool: &str, arguments: Value, cx: CallContext) -> ToolResult {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let result = match self.plugin.call(ToolCall { name: tool.into(), arguments }, cx).await {
            Ok(Outcome::Complete(result)) => result,
            Ok(other) => panic!("{other:?}"),
            Err(error) => error.into_result(),
        };
        self.conforms(tool, &result).await;
        result
    }

    async fn search(&self, arguments: Value) -> ToolResult {
        self.call("tavily_search", arguments).await
    }

    async fn extract(&self, arguments: Value) -> ToolResult {
        self.call("tavily_extract", arguments).await
    }

    /// Successes and failures alike must conform to the tool's output schema.
    async fn conforms(&self, tool: &str, result: &ToolResult) {
        let tools = self.plugin.tools().await.unwrap();
        let schema = tools.iter().find(|known| known.name == tool).unwrap().output_schema.clone().unwrap();
        let validator = jsonschema::validator_for(&Value::Object((*schema).clone())).unwrap();
        if let Some(structured) = &result.structured_content {
            let errors: Vec<String> = validator.iter_errors(structured).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?} in {structured}");
        } else {
            assert!(result.is_error, "a success without structured content");
        }
    }

    /// The bodies that the stand-in got, in order.
    fn sent(&self) -> Vec<Value> {
        self.stand_in.take_seen().iter().map(|seen| seen.json()).collect()
    }
}

fn plugin(settings: Value, state: &tempfile::TempDir, notices: &Arc<Mutex<Vec<Notice>>>) -> Box<dyn ToolProvider> {
    let sink = Arc::clone(notices);
    let host = HostHandle::new("web-search", state.path(), move |notice| sink.lock().unwrap().push(notice));
    Box::new(toolgate_tavily::provider(settings, host).unwrap())
}

fn text(result: &ToolResult) -> &str {
    result.content[0].as_text().unwrap()
}

fn structured(result: &ToolResult) -> &Value {
    result.structured_content.as_ref().unwrap()
}

fn error(result: &ToolResult) -> &Value {
    assert!(result.is_error, "{}", text(result));
    &structured(result)["error"]
}

/// A call by somebody.
fn by(subject: &str) -> CallContext {
    CallContext::new(Caller::new(subject, Some("desk".into()), [].into()), "r")
}

/// A call whose progress is heard; what is reported goes there.
fn heard() -> (CallContext, Arc<Mutex<Vec<ProgressUpdate>>>) {
    let (mut cx, reports) = (CallContext::for_tests(), Arc::<Mutex<Vec<ProgressUpdate>>>::default());
    let sink = Arc::clone(&reports);
    cx.progress = Progress::to(move |update| sink.lock().unwrap().push(update));
    (cx, reports)
}

/// Look again until it is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let search = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), search).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

fn due_in(wait: Duration) -> CallContext {
    let mut cx = CallContext::for_tests();
    cx.deadline = Some(Instant::now() + wait);
    cx
}

/// Starts the plugin and expects it to refuse its settings.
fn refused(settings: Value) -> (String, String) {
    match toolgate_tavily::provider(settings, HostHandle::for_tests()).err() {
        Some(ProviderError::Settings { path, message }) => (path, message),
        other => panic!("{other:?}"),
    }
}

/// What a call with wrong arguments says, and where.
async fn invalid(bench: &Bench, tool: &str, arguments: Value) -> (String, String) {
    let call = ToolCall { name: tool.into(), arguments: arguments.as_object().unwrap().clone() };
    match bench.plugin.call(call, CallContext::for_tests()).await {
        Err(ToolError::InvalidArguments { path, message }) => (path, message),
        other => panic!("{arguments} gave {other:?}"),
    }
}
