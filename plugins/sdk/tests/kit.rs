//! What the test kit promises: that a plugin in it meets what it would meet in a server.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use toolgate_plugin::{
    CallContext, Content, Health, HostHandle, Json, JsonObject, LogLevel, Notice, Plugin, ProviderError, ToolError,
    ToolResult, ToolSet, arguments,
    serde_json::{Value, json},
    settings,
    testing::{Answer, Host, test},
    tools,
};

#[settings]
struct Settings {
    /// How many at most.
    limit: u8,
    #[serde(default)]
    upstream: Upstream,
}

#[settings]
#[derive(Default)]
struct Upstream {
    url: Option<String>,
}

struct Shop {
    host: HostHandle,
    limit: u8,
    /// Set when a call's future is dropped before its end.
    dropped: Arc<Mutex<bool>>,
}

impl Plugin for Shop {
    type Settings = Settings;

    async fn start(settings: Settings, host: HostHandle) -> Result<Self, ProviderError> {
        if settings.upstream.url.as_deref() == Some("") {
            return Err(ProviderError::settings("upstream.url", "the URL is empty; leave it out"));
        }
        host.log(LogLevel::Info, format!("a limit of {}", settings.limit));
        std::fs::create_dir(host.state_dir()).map_err(|error| ProviderError::Unavailable(error.to_string()))?;
        Ok(Self { host, limit: settings.limit, dropped: Arc::default() })
    }
}

#[arguments]
struct Order {
    /// How many.
    count: u8,
}

struct Drops(Arc<Mutex<bool>>);

impl Drop for Drops {
    fn drop(&mut self) {
        if let Ok(mut dropped) = self.0.lock() {
            *dropped = true;
        }
    }
}

#[tools]
impl Shop {
    /// Order some.
    #[tool]
    async fn order(&self, args: Order) -> Result<Json<u8>, ToolError> {
        if args.count > self.limit {
            return Err(ToolError::invalid("/count", format!("more than {}", self.limit)));
        }
        self.host.tools_changed();
        Ok(Json(args.count))
    }

    /// Never ends.
    #[tool]
    async fn wait(&self, cx: CallContext) -> String {
        let _drops = Drops(Arc::clone(&self.dropped));
        cx.progress.report(1.0, Some(2.0), "halfway".to_owned());
        std::future::pending::<()>().await;
        String::new()
    }

    /// Whether a wait was given up.
    #[tool]
    async fn given_up(&self) -> String {
        self.dropped.lock().is_ok_and(|dropped| *dropped).to_string()
    }

    /// How long there is, in whole seconds, rounded up.
    #[tool]
    async fn patience(&self, cx: CallContext) -> Result<String, &'static str> {
        let deadline = cx.deadline.ok_or("no deadline")?;
        Ok(deadline.duration_since(std::time::Instant::now()).as_secs().saturating_add(1).to_string())
    }

    /// Where its files are.
    #[tool]
    async fn folder(&self) -> String {
        self.host.state_dir().display().to_string()
    }

    /// Panics.
    #[tool]
    async fn stumble(&self) -> String {
        panic!("over its own feet")
    }
}

async fn shop() -> Host {
    Host::start::<Shop>(json!({ "limit": 3 })).await.expect("the settings fit")
}

/// What a test that makes this call is told when it fails.
async fn failure(call: impl Future<Output = Answer>) -> String {
    let panic = futures_util::FutureExt::catch_unwind(AssertUnwindSafe(call)).await.expect_err("the test fails");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(other) => other.downcast::<&str>().map_or_else(|_| String::new(), |message| (*message).to_owned()),
    }
}

#[test]
async fn settings_that_do_not_fit_keep_a_plugin_from_starting() {
    let cases = [
        (json!({ "limit": 3, "colour": "red" }), "", "Additional properties are not allowed ('colour' was unexpected)"),
        (json!({ "limit": 300 }), "limit", "the value is greater than the maximum of 255"),
        (json!({}), "", "\"limit\" is a required property"),
        (json!(null), "", "the value is not of type \"object\""),
        (
            json!({ "limit": 3, "upstream": { "url": 1 } }),
            "upstream.url",
            "the value is not of types \"null\", \"string\"",
        ),
        (json!({ "limit": 3, "upstream": { "url": "" } }), "upstream.url", "the URL is empty; leave it out"),
    ];
    for (settings, at, told) in cases {
        match Host::start::<Shop>(settings.clone()).await.err() {
            Some(ProviderError::Settings { path, message }) => {
                assert_eq!((path.as_str(), message.as_str()), (at, told), "{settings}");
            }
            other => panic!("{settings}: {other:?}"),
        }
    }
}

struct Plain;

#[tools]
impl Plain {
    /// Nothing.
    #[tool]
    async fn nothing(&self) -> String {
        String::new()
    }
}

impl Plugin for Plain {
    type Settings = ();

    async fn start((): (), _host: HostHandle) -> Result<Self, ProviderError> {
        Ok(Self)
    }
}

#[test]
async fn a_plugin_without_settings_takes_an_empty_table() {
    let plain = Host::start::<Plain>(json!({})).await.expect("nothing is asked");
    assert_eq!(plain.health().await, Health::Ready);
    assert_eq!(plain.call("nothing", json!({})).await.content, [Content::text("")]);
    assert!(Host::start::<Plain>(json!({ "a": 1 })).await.is_err());
}

#[test]
async fn arguments_that_do_not_fit_are_an_error_that_a_model_can_act_on() {
    let shop = shop().await;
    let cases = [
        (json!({ "count": 300 }), "the argument at /count does not fit: the value is greater than the maximum of 255"),
        (json!({ "count": 4 }), "the argument at /count does not fit: more than 3"),
        (json!({}), "the arguments do not fit: \"count\" is a required property"),
    ];
    for (arguments, text) in cases {
        let answer = shop.call("order", arguments.clone()).await;
        assert_eq!((answer.is_error, answer.text().as_str()), (true, text), "{arguments}");
    }
}

#[test]
async fn a_cancelled_call_is_dropped_where_it_stands() {
    let shop = shop().await;
    let mut call = shop.begin("wait", json!({}));
    let halfway = call.next_progress().await.expect("progress is reported");
    assert_eq!(halfway.message.as_deref(), Some("halfway"));
    assert_eq!(shop.progress(), [halfway]);
    assert_eq!(shop.call("given_up", json!({})).await.text(), "false");
    let answer = call.cancel().await;
    assert_eq!((answer.is_error, answer.text().as_str()), (true, "the call was cancelled"));
    assert_eq!(shop.call("given_up", json!({})).await.text(), "true");
}

#[test]
async fn a_call_that_nobody_holds_any_more_is_dropped() {
    let shop = shop().await;
    let mut call = shop.begin("wait", json!({}));
    call.next_progress().await.expect("progress is reported");
    drop(call);
    while shop.call("given_up", json!({})).await.text() == "false" {
        tokio::task::yield_now().await;
    }
}

#[test]
async fn the_state_folder_goes_with_the_plugin() {
    let (first, second) = (shop().await, shop().await);
    let folder = first.call("folder", json!({})).await.text();
    assert_ne!(folder, second.call("folder", json!({})).await.text());
    assert!(std::fs::exists(&folder).expect("the folder can be looked for"), "{folder}");
    drop(first);
    assert!(!std::fs::exists(&folder).expect("the folder can be looked for"), "{folder}");
}

#[test]
async fn a_call_ends_when_its_time_is_over() {
    let shop = shop().await;
    assert_eq!(shop.call("patience", json!({})).await.text(), "60");
    let answer = shop.timeout(Duration::from_millis(1)).call("wait", json!({})).await;
    assert_eq!((answer.is_error, answer.text().as_str()), (true, "the tool gave no answer within 1ms"));
}

#[test]
async fn what_a_plugin_tells_its_host_is_kept() {
    let shop = shop().await;
    shop.call("order", json!({ "count": 1 })).await;
    assert_eq!(shop.log(), [(LogLevel::Info, "a limit of 3".to_owned())]);
    assert_eq!(shop.notices().last(), Some(&Notice::ToolsChanged));
}

#[test]
async fn mistakes_of_the_test_or_the_plugin_fail_the_test() {
    let shop = shop().await;
    let told = failure(shop.call("odrer", json!({}))).await;
    assert!(told.starts_with("no tool \"odrer\"; the plugin has [\"order\", \"wait\""), "{told}");
    let told = failure(shop.call("order", json!([1]))).await;
    assert_eq!(told, "the arguments of \"order\" are no JSON object: [1]");
    assert_eq!(failure(shop.call("stumble", json!({}))).await, "over its own feet");
}

#[test]
async fn an_answer_that_its_output_schema_does_not_allow_fails_the_test() {
    /// A number that is described as text.
    struct Wrong(Option<Value>);

    impl toolgate_plugin::Reply for Wrong {
        fn output_schema() -> Option<toolgate_plugin::JsonObject> {
            json!({ "type": "object", "properties": { "a": { "type": "string" } } }).as_object().cloned()
        }

        fn into_result(self) -> Result<ToolResult, ToolError> {
            Ok(ToolResult { structured_content: self.0, ..ToolResult::text("") })
        }
    }

    #[arguments]
    struct Nothing {}

    let tools = ToolSet::new(())
        .tool("wrong", "", |_, _: Nothing, _| async { Ok(Wrong(Some(json!({ "a": 1 })))) })
        .tool("none", "", |_, _: Nothing, _| async { Ok(Wrong(None)) })
        .tool("right", "", |_, _: Nothing, _| async { Ok(Wrong(Some(json!({ "a": "b" })))) })
        .tool("failed", "", |_, _: Nothing, _| async { Err::<Wrong, _>(ToolError::failed("no")) });
    let host = Host::of(tools).await.expect("the schemas are sound");
    let wrong = "the answer of \"wrong\" does not fit its output schema at /a: the value is not of type \"string\"; it was {\"a\":1}";
    assert_eq!(failure(host.call("wrong", json!({}))).await, wrong);
    let none = "the tool \"none\" has an output schema, but answered without structuredContent";
    assert_eq!(failure(host.call("none", json!({}))).await, none);
    assert_eq!(host.call("right", json!({})).await.structured(), &json!({ "a": "b" }));
    assert!(host.call("failed", json!({})).await.is_error);
}

#[test]
async fn tools_that_no_server_takes_are_refused() {
    #[arguments]
    struct Nothing {}

    let named = |name: &str| ToolSet::new(()).tool(name, "", |_, _: Nothing, _| async { Ok(String::new()) });
    let error = Host::of(named("say hello")).await.err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("\"say hello\" is no name of a tool; use 1 to 128 of A-Z a-z 0-9 _ - ."));
    let listed = ToolSet::new(()).tool("list", "", |_, _: Vec<u8>, _| async { Ok(String::new()) });
    let error = Host::of(listed).await.err().map(|error| error.to_string());
    let told = "the input schema of \"list\" describes no object; take a struct of arguments";
    assert_eq!(error.as_deref(), Some(told));
}

#[test]
async fn a_struct_without_fields_is_a_plugin_without_settings() {
    #[derive(Plugin)]
    struct Unit;

    #[tools]
    impl Unit {
        /// Counts what it is called with.
        #[tool]
        async fn count(&self, args: JsonObject) -> String {
            args.len().to_string()
        }
    }

    #[settings]
    #[derive(Plugin)]
    struct Braces {}

    #[tools]
    impl Braces {
        /// Nothing.
        #[tool]
        async fn nothing(&self) -> String {
            String::new()
        }
    }

    let host = Host::start::<Unit>(json!({})).await.expect("it starts");
    assert_eq!(host.call("count", json!({ "a": 1, "b": 2 })).await.text(), "2");
    assert_eq!(host.call("count", json!({})).await.text(), "0");
    assert!(!Host::start::<Braces>(json!({})).await.expect("it starts").call("nothing", json!({})).await.is_error);
    assert!(Host::start::<Unit>(json!({ "a": 1 })).await.is_err(), "there is nothing to set");
}
