//! The Tavily plugin against the stand-in for Tavily's API, and the stand-in against Tavily's contract.

mod arguments;
mod failures;
mod hostile;
mod results;
mod settings;
mod stand_in;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use toolgate_plugin::{
    CallContext, HostHandle, Notice, Outcome, ProviderError, ToolCall, ToolError, ToolProvider, ToolResult,
};
use toolgate_tests::tavily::{KEY, StandIn};

/// A plugin in front of a stand-in.
struct Bench {
    stand_in: StandIn,
    plugin: Box<dyn ToolProvider>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Bench {
    /// With a key.
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// With a key and further settings.
    async fn with(settings: Value) -> Self {
        let stand_in = StandIn::start().await.unwrap();
        let mut all = json!({ "api_key": KEY, "api_base_url": stand_in.url() });
        for (name, value) in settings.as_object().unwrap() {
            all[name] = value.clone();
        }
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let host = HostHandle::new("web-search", std::env::temp_dir(), move |notice| sink.lock().unwrap().push(notice));
        let plugin = Box::new(toolgate_tavily::provider(all, host).unwrap());
        Self { stand_in, plugin, notices }
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
