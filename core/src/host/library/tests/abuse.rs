//! Claims about plugins that break the rules of the boundary inside the server: each call has its answer, and nobody
//! else notices.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_plugin::{
    CallContext, Health, HostHandle, JsonObject, Notice, Outcome, Progress, ToolCall, ToolError, ToolProvider,
};

use super::{
    super::{Opened, Place, Start, border::Library, failure::CreateError, link::Ears, shelf::Shelf, told::Notices},
    folder, unruly,
};
use crate::{
    config::{Isolation, Limits, Size},
    host::{LoadError, limits::Limiter},
};

/// A plugin that runs.
struct Bench {
    provider: Arc<dyn ToolProvider>,
    limiter: Arc<Limiter>,
    notices: Arc<Mutex<Vec<Notice>>>,
    _folder: TempDir,
}

async fn start(definitions: &[&str], settings: Value, limits: Limits) -> Result<Bench, LoadError> {
    let folder = folder();
    let library = unruly(folder.path(), definitions);
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notices);
    let limiter = Arc::new(Limiter::new("unruly", &limits));
    let start = Start {
        plugin: "unruly",
        library: &library,
        isolation: Isolation::None,
        settings,
        limits: &limits,
        limiter: Arc::clone(&limiter),
        copies: &folder.path().join("libraries"),
        host: HostHandle::new("unruly", folder.path(), move |notice| sink.lock().unwrap().push(notice)),
        down: Arc::default(),
    };
    // A shelf of its own: the process's has too few places for all tests.
    let shelf: &'static Shelf = Box::leak(Box::new(Shelf::new(1)));
    let library = shelf.open(start.library, start.copies, start.plugin).unwrap();
    let provider =
        Opened { place: Place::Inside(library), notices: Notices::new(start.host.clone()) }.create(start).await?;
    Ok(Bench { provider, limiter, notices, _folder: folder })
}

async fn bench() -> Bench {
    start(&[], json!({}), Limits::default()).await.unwrap()
}

const MAY_BLOCK: &str = r#"MANIFEST="{\"name\":\"x\",\"version\":\"1\"}""#;

impl Bench {
    async fn call(&self, tool: &str) -> Result<Outcome, ToolError> {
        self.call_with(tool, CallContext::for_tests()).await
    }

    async fn call_with(&self, tool: &str, cx: CallContext) -> Result<Outcome, ToolError> {
        let call = ToolCall { name: tool.into(), arguments: JsonObject::new() };
        tokio::time::timeout(Duration::from_secs(20), self.provider.call(call, cx)).await.expect("an answer")
    }
}

fn text(answer: Result<Outcome, ToolError>) -> String {
    let result = match answer {
        Ok(Outcome::Complete(result)) => result,
        Ok(other) => panic!("{other:?}"),
        Err(error) => error.into_result(),
    };
    result.content.first().and_then(|content| content.as_text()).unwrap_or_default().to_owned()
}

/// The words without " (line 1, column 23)".
fn without_place(text: &str) -> String {
    match text.split_once(" (line ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').unwrap().1),
        None => text.to_owned(),
    }
}

#[tokio::test]
async fn each_abuse_of_an_answer_ends_in_an_answer() {
    let fault = |what: &str| {
        format!("the plugin \"unruly\" answered with {what}; this is a fault of the plugin, not of the arguments")
    };
    let early = fault("invalid JSON: it ends too early");
    let cases = [
        ("answers", "here".into()),
        ("answers twice", "here".into()),
        ("answers another", "here".into()),
        ("answers with a wrong context", "here".into()),
        ("answers later", "here".into()),
        ("answers nothing", early.clone()),
        ("answers a length without bytes", early),
        ("answers half", fault("invalid JSON: it ends too early")),
        ("answers a secret", fault("JSON that is no CallToolResult")),
        ("answers bytes", fault("invalid JSON")),
        ("answers a status", "the plugin \"unruly\" failed: it answered with the unknown status 7; this is a fault of the plugin, not of the arguments".into()),
        ("fails", "the plugin \"unruly\" failed: no luck; this is a fault of the plugin, not of the arguments".into()),
        (
            "fails without words",
            "the plugin \"unruly\" failed: it answered with an error that is no JSON-RPC error; this is a fault of the \
             plugin, not of the arguments"
                .into(),
        ),
        ("refuses", "invalid arguments at \"/n\": is odd".into()),
        ("unknown", "unknown tool \"unknown\"".into()),
        ("gives up", "the call was cancelled".into()),
        ("huge", "the result has 8.0 MiB, more than the 4.0 MiB that are allowed; ask for less".into()),
        ("answers", "here".into()),
    ];
    for definitions in [&[][..], &[MAY_BLOCK]] {
        let bench = start(definitions, json!({}), Limits::default()).await.unwrap();
        for (tool, expected) in &cases {
            let answer = text(bench.call(tool).await);
            assert_eq!(without_place(&answer), *expected, "{tool} {definitions:?}");
        }
        assert_eq!(bench.limiter.told(), ["1 call in the last hour had a result larger than limits.result"]);
        bench.provider.shutdown().await;
    }
}

#[tokio::test]
async fn details_of_a_failure_reach_programs() {
    let Err(ToolError::Failed { details, .. }) = bench().await.call("fails").await else { panic!("no failure") };
    assert_eq!(details, Some(json!({ "n": 1 })));
}

#[tokio::test]
async fn a_plugin_that_tells_is_heard_and_one_that_babbles_is_not() {
    let bench = bench().await;
    let reports = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&reports);
    let mut cx = CallContext::for_tests();
    cx.progress =
        Progress::to(move |update| sink.lock().unwrap().push((update.progress, update.total, update.message)));
    assert_eq!(text(bench.call_with("tells", cx).await), "here");
    assert_eq!(*reports.lock().unwrap(), [(1.0, Some(2.0), Some("half".to_owned()))]);
    let told: Vec<String> = bench.notices.lock().unwrap().iter().map(|notice| format!("{notice:?}")).collect();
    let expected = [
        r#"Log { level: Info, message: "a\\nb" }"#,
        r#"Log { level: Error, message: "{\"n\":1}" }"#,
        "ToolsChanged",
        r#"ResourceUpdated { uri: "x:y" }"#,
    ];
    assert_eq!(told, expected);
    // Progress after the call, and where nobody asked for any, goes nowhere.
    assert_eq!(text(bench.call("tells").await), "here");
    assert_eq!(reports.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_plugin_that_asks_is_answered() {
    let bench = bench().await;
    let cases = [
        ("asks ping", json!({ "id": 2, "status": 0, "payload": {} })),
        (
            "asks for sampling",
            json!({ "id": 2, "status": 1, "payload": { "code": -32601, "message": "the host does not know the method \"sampling/createMessage\"" } }),
        ),
        (
            "asks bytes",
            json!({ "id": 2, "status": 1, "payload": { "code": -32601, "message": "the host does not know the method \"\"" } }),
        ),
    ];
    for (tool, expected) in cases {
        let Ok(Outcome::Complete(result)) = bench.call(tool).await else { panic!("{tool}") };
        assert_eq!(result.structured_content, Some(expected), "{tool}");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_told_to_the_plugin() {
    for definitions in [&[][..], &[MAY_BLOCK]] {
        let bench = start(definitions, json!({}), Limits::default()).await.unwrap();
        let tool = if definitions.is_empty() { "never" } else { "blocks" };
        let call = ToolCall { name: tool.into(), arguments: JsonObject::new() };
        let mut given_up = bench.provider.call(call, CallContext::for_tests());
        // Once, so that it is asked.
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        // The threads of a plugin that blocks know no order.
        let told = async { while text(bench.call("was cancelled").await) != "yes" {} };
        tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
        bench.provider.shutdown().await;
    }
}

#[tokio::test]
async fn a_stopped_plugin_answers_what_was_under_way_and_what_comes() {
    let bench = bench().await;
    let call = ToolCall { name: "never".into(), arguments: JsonObject::new() };
    let mut under_way = bench.provider.call(call, CallContext::for_tests());
    assert!(futures_util::poll!(&mut under_way).is_pending());
    bench.provider.shutdown().await;
    assert_eq!(text(under_way.await), "the plugin \"unruly\" has been stopped");
    assert_eq!(text(bench.call("answers").await), "the plugin \"unruly\" has been stopped");
    assert_eq!(bench.provider.health().await, Health::Degraded("it has been stopped".into()));
    assert!(bench.provider.tools().await.is_err());
    bench.provider.shutdown().await;
}

#[tokio::test]
async fn threads_that_come_back_late_are_waited_for() {
    for (concurrency, callers) in [(1, 1), (4, 16)] {
        let limits = Limits { concurrency, ..Limits::default() };
        let bench = start(&[MAY_BLOCK], json!({}), limits).await.unwrap();
        let caller = async || {
            for _ in 0..50 {
                let place = bench.limiter.enter().await.expect("a place");
                assert_eq!(text(bench.call("lingers").await), "here", "{concurrency} {callers}");
                drop(place);
            }
        };
        futures_util::future::join_all((0..callers).map(|_| caller())).await;
        assert_eq!(bench.provider.health().await, Health::Ready);
        bench.provider.shutdown().await;
    }
}

#[tokio::test]
async fn a_long_call_hides_nothing_else() {
    let limits = Limits { concurrency: 1, ..Limits::default() };
    let bench = start(&[MAY_BLOCK], json!({}), limits).await.unwrap();
    let call = |tool: &str| ToolCall { name: tool.into(), arguments: JsonObject::new() };
    let mut long = bench.provider.call(call("blocks"), CallContext::for_tests());
    let mut next = bench.provider.call(call("answers"), CallContext::for_tests());
    let mut given_up = bench.provider.call(call("stays"), CallContext::for_tests());
    for call in [&mut long, &mut next, &mut given_up] {
        assert!(futures_util::poll!(call).is_pending());
    }
    assert_eq!(bench.provider.health().await, Health::Ready);
    assert_eq!(bench.provider.tools().await.unwrap().len(), 1);
    // Told to the plugin, which ends the long one; it is not asked for what was given up.
    drop(given_up);
    let both = futures_util::future::join(long, next);
    let (long, next) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("answers");
    assert_eq!((text(long), text(next)), ("here".into(), "here".into()));
    assert_eq!(text(bench.call("answers").await), "here");
    bench.provider.shutdown().await;
}

#[tokio::test]
async fn a_plugin_that_blocks_every_thread_for_good_is_said_to_and_blocks_nobody_else() {
    let limits = Limits { concurrency: 2, ..Limits::default() };
    let stuck = start(&[MAY_BLOCK], json!({}), limits).await.unwrap();
    let other = bench().await;
    for _ in 0..2 {
        let call = ToolCall { name: "stays".into(), arguments: JsonObject::new() };
        let mut given_up = stuck.provider.call(call, CallContext::for_tests());
        // Long enough for a thread to take it up.
        let _ = tokio::time::timeout(Duration::from_millis(100), &mut given_up).await;
    }
    let expected = "the plugin \"unruly\" blocks 2 threads with calls that do not end; ";
    // One that waits when that is found out, and one that comes after it.
    for when in ["before", "after"] {
        let told = text(stuck.call("answers").await);
        assert!(told.starts_with(expected), "{when}: {told}");
    }
    let Health::Degraded(why) = stuck.provider.health().await else { panic!("ready") };
    assert!(why.starts_with(expected), "{why}");
    assert_eq!(stuck.provider.tools().await.unwrap().len(), 1);
    assert_eq!(text(other.call("answers").await), "here");
    stuck.provider.shutdown().await;
}

#[tokio::test]
async fn calls_that_are_never_answered_leave_nothing_behind() {
    let limits = Limits { result: Size(100), ..Limits::default() };
    let bench = start(&[], json!({}), limits).await.unwrap();
    for _ in 0..1000 {
        let call = ToolCall { name: "never".into(), arguments: JsonObject::new() };
        let mut given_up = bench.provider.call(call, CallContext::for_tests());
        assert!(futures_util::poll!(&mut given_up).is_pending());
    }
    assert_eq!(text(bench.call("answers").await), "here");
}

#[tokio::test]
async fn health_is_optional_and_tools_are_listed() {
    let bench = bench().await;
    assert_eq!(bench.provider.health().await, Health::Ready);
    let tools = bench.provider.tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["answers"]);
}

#[tokio::test]
async fn a_refusal_to_start_is_told_where_it_belongs() {
    let cases = [
        ("no", "plugins.unruly", "the plugin \"unruly\" cannot start: the moon is full"),
        ("setting", "plugins.unruly.settings.api_key", "is expired"),
        (
            "silent",
            "plugins.unruly",
            "the plugin \"unruly\" cannot start: the plugin refused to start and did not say why",
        ),
        ("empty", "plugins.unruly", "the plugin \"unruly\" cannot start: the plugin started without `request`"),
        ("deaf", "plugins.unruly", "the plugin \"unruly\" cannot start: the plugin started without `request`"),
    ];
    for (how, path, message) in cases {
        let Err(error) = start(&[], json!({ "how": how }), Limits::default()).await else { panic!("{how}: started") };
        assert_eq!((error.path.join(".").as_str(), error.message.as_str()), (path, message), "{how}");
    }
    let Err(error) = start(&[], json!({ "hwo": 1 }), Limits::default()).await else { panic!("started") };
    assert_eq!(error.path.join("."), "plugins.unruly.settings.hwo");
}

/// Hears what a plugin says.
#[derive(Default)]
struct Heard(Mutex<Vec<(u64, i32, Vec<u8>)>>);

impl Ears for Heard {
    fn answered(&self, id: u64, status: i32, payload: &[u8]) {
        self.0.lock().unwrap().push((id, status, payload.to_vec()));
    }

    fn told(&self, _: &str, _: &[u8]) {
        std::panic::panic_any(Bomb);
    }
}

/// Thrown, it throws again when it is put away.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

fn library(folder: &Path, definitions: &[&str]) -> Library {
    Library::open(&unruly(folder, definitions)).unwrap()
}

#[test]
fn a_peer_of_an_impossible_size_is_refused() {
    for size in ["SIZE=0", "SIZE=8", "SIZE=100000"] {
        let refused = library(folder().path(), &[size]).create(b"{}", Arc::new(Heard::default()));
        assert_eq!(refused.err(), Some(CreateError::Unusable("a `size` that a toolgate_peer can have")), "{size}");
    }
    // A later version's, which is longer.
    library(folder().path(), &["SIZE=64"]).create(b"{}", Arc::new(Heard::default())).unwrap();
}

#[test]
fn a_panic_of_the_host_does_not_reach_the_plugin() {
    let heard = Arc::new(Heard::default());
    let instance = library(folder().path(), &[]).create(b"{}", Arc::<Heard>::clone(&heard)).unwrap();
    instance.request(7, "tools/call", br#"{"name":"tells"}"#);
    assert_eq!(heard.0.lock().unwrap()[0].0, 7);
}

#[test]
fn two_instances_of_one_library_have_their_own_ears_and_none_after_their_release() {
    let library = library(folder().path(), &[]);
    let (one, two) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
    let first = library.create(b"{}", Arc::<Heard>::clone(&one)).unwrap();
    let second = library.create(b"{}", Arc::<Heard>::clone(&two)).unwrap();
    first.request(1, "tools/call", br#"{"name":"never"}"#);
    second.request(2, "tools/call", br#"{"name":"answers"}"#);
    assert_eq!(one.0.lock().unwrap().len(), 0);
    assert_eq!(two.0.lock().unwrap().len(), 1);
    // The plugin answers while it is released: heard still.
    first.release();
    assert_eq!(one.0.lock().unwrap().len(), 1);
    assert_eq!(Arc::strong_count(&one), 1, "nobody hears a released instance");
    second.release();
}
