//! Claims about listening: who is told that a list has changed, when, and what is left behind.

use std::{
    sync::Weak,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    config::{Audit as AuditSection, Config},
    tokens::Verified,
};

mod idle;

const READ: &str = r#"echo = { scopes = ["read"] }"#;
const RENAMED: &str = r#"echo = { scopes = ["read"], name = "say" }"#;
const RESCOPED: &str = r#"echo = { scopes = ["write"] }"#;

/// A configuration with a plugin `first` for readers, a plugin `second` under `rule`, and these keys of `[server]`.
fn config(rule: &str, missing: &str, server: &str) -> Config {
    toml_edit::de::from_str(&format!(
        r#"
        [server]
        {server}
        [scopes.read]
        [scopes.write]
        [endpoints.e]
        path = "/e"
        plugins = ["first", "second"]
        on_missing_scope = "{missing}"
        [plugins.first]
        builtin = "echo"
        tools.echo = {{ scopes = ["read"], name = "first" }}
        [plugins.second]
        builtin = "echo"
        [plugins.second.tools]
        {rule}
        "#
    ))
    .unwrap()
}

async fn registry(rule: &str, missing: &str) -> Registry {
    Registry::build(&config(rule, missing, ""), TaskTracker::new()).await.unwrap().0
}

struct Bench {
    endpoint: Endpoint,
    current: Current,
    missing: &'static str,
    stop: CancellationToken,
}

impl Bench {
    async fn open(rule: &str, missing: &'static str, server: &str) -> Self {
        let current = Current::new(registry(rule, missing).await);
        let sink = if cfg!(windows) { "NUL" } else { "/dev/null" }.to_owned();
        let audit = Audit::open(&AuditSection { sink, ..AuditSection::default() }).unwrap();
        let stop = CancellationToken::new();
        let server = config(rule, missing, server).server;
        let endpoint = Endpoint::new("e", &server, current.clone(), audit, stop.clone());
        Self { endpoint, current, missing, stop }
    }

    async fn swap(&self, rule: &str) -> Weak<Registry> {
        Arc::downgrade(&self.current.swap(registry(rule, self.missing).await))
    }

    async fn send(&self, principal: &Arc<Principal>, request: http::request::Builder, body: &Value) -> Response<Body> {
        let request = request
            .uri("/e")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let body = Bytes::from(body.to_string());
        let exchange = Exchange { principal: Arc::clone(principal), request_id: "r".into(), head, body };
        match self.endpoint.exchange(exchange).await {
            Answer::Response(response) => response,
            Answer::Refused(refusal) => panic!("refused: {refusal:?}"),
            Answer::Unrecordable => panic!("no audit record"),
        }
    }

    /// A request of 2026-07-28.
    async fn modern(&self, principal: &Arc<Principal>, method: &str, mut params: Value) -> Response<Body> {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let head = http::Request::post("/e").header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);
        self.send(principal, head, &json!({ "jsonrpc": "2.0", "id": "s1", "method": method, "params": params })).await
    }

    async fn listen(&self, principal: &Arc<Principal>) -> Events {
        let response = self
            .modern(principal, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }))
            .await;
        let mut events = Events::of(response);
        assert_eq!(events.next().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
        events
    }

    async fn names(&self, principal: &Arc<Principal>) -> Vec<String> {
        let response = self.modern(principal, "tools/list", json!({})).await;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let tools = answer["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A session, initialized.
    async fn session(&self, principal: &Arc<Principal>) -> String {
        let response = self.send(principal, http::Request::post("/e"), &initialize()).await;
        let id = sessions::id(response.headers()).unwrap().to_owned();
        let answer = Events::of(response).next().await.unwrap();
        assert_eq!(answer["result"]["capabilities"], json!({ "tools": { "listChanged": true } }));
        let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.send(principal, within(Method::POST, &id), &message).await.status(), StatusCode::ACCEPTED);
        id
    }

    async fn stream(&self, principal: &Arc<Principal>, session: &str) -> Events {
        Events::of(self.send(principal, within(Method::GET, session), &Value::Null).await)
    }
}

fn initialize() -> Value {
    let client = json!({ "name": "t", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
}

fn within(method: Method, session: &str) -> http::request::Builder {
    http::Request::builder()
        .method(method)
        .header("mcp-session-id", session)
        .header("mcp-protocol-version", "2025-11-25")
}

fn somebody(scope: &str, expires_at: SystemTime) -> Arc<Principal> {
    let verified = Verified {
        provider: "p".into(),
        issuer: "https://p.example".into(),
        subject: "ann".into(),
        client_id: None,
        scopes: [Arc::from(scope)].into(),
        expires_at,
        organisation: None,
        token_id: None,
    };
    Arc::new(Principal::from(&verified))
}

fn principal(scope: &str) -> Arc<Principal> {
    somebody(scope, SystemTime::now() + Duration::from_secs(600))
}

/// The messages of a stream.
struct Events {
    body: Body,
    text: String,
}

impl Events {
    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert!(stream::is_stream(&response), "{:?}", response.headers());
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next message; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim);
                let message = data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                if message.is_some() {
                    return message;
                }
            }
            let frame = tokio::time::timeout(Duration::from_secs(60), self.body.frame()).await.expect("an event");
            let Ok(data) = frame?.unwrap().into_data() else { continue };
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event);
        }
        rest
    }
}

fn changes(events: &[Value]) -> usize {
    events.iter().filter(|event| event["method"] == "notifications/tools/list_changed").count()
}

/// Let whatever can run do so. The tests' runtime has one thread.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_listener_is_acknowledged_then_told_and_hears_the_end() {
    let bench = Bench::open(READ, "challenge", "").await;
    let wanted = json!({ "notifications": {
        "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["file:///a"],
    } });
    let mut events = Events::of(bench.modern(&principal("read"), "subscriptions/listen", wanted).await);
    let first = events.next().await.unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({ "toolsListChanged": true }), "no more than there is");
    let id = |event: &Value| event["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    assert_eq!(id(&first), "s1");

    bench.swap(RENAMED).await;
    let told = events.next().await.unwrap();
    assert_eq!((told["method"].as_str(), id(&told)), (Some("notifications/tools/list_changed"), json!("s1")));
    assert_eq!(bench.names(&principal("read")).await, ["first", "say"]);

    bench.stop.cancel();
    let last = events.rest().await;
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!((&last[0]["id"], &last[0]["result"]["resultType"]), (&json!("s1"), &json!("complete")));
    assert_eq!(last[0]["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "s1");
}

#[tokio::test]
async fn names_descriptions_schemas_and_scopes_are_changes_and_nothing_else_is() {
    let cases = [
        ("the same again", READ, 0),
        ("another name", RENAMED, 1),
        ("another scope", RESCOPED, 1),
        ("a tool less", "echo = { enabled = false }", 1),
        ("another rate", r#"echo = { scopes = ["read"], rate = "1/min" }"#, 0),
    ];
    for (name, rule, expected) in cases {
        let bench = Bench::open(READ, "challenge", "").await;
        let events = bench.listen(&principal("read")).await;
        bench.swap(rule).await;
        settle().await;
        bench.stop.cancel();
        assert_eq!(changes(&events.rest().await), expected, "{name}");
    }
}

#[tokio::test]
async fn who_does_not_ask_for_tools_is_not_told() {
    let bench = Bench::open(READ, "challenge", "").await;
    let mut events =
        Events::of(bench.modern(&principal("read"), "subscriptions/listen", json!({ "notifications": {} })).await);
    assert_eq!(events.next().await.unwrap()["params"]["notifications"], json!({}));
    bench.swap(RENAMED).await;
    settle().await;
    bench.stop.cancel();
    assert_eq!(changes(&events.rest().await), 0);
}

#[tokio::test]
async fn a_hidden_tool_that_changes_is_told_only_to_who_sees_it() {
    for (missing, expected) in [("hide", [0, 1]), ("challenge", [1, 1])] {
        let bench = Bench::open(RESCOPED, missing, "").await;
        let reader = bench.listen(&principal("read")).await;
        let writer = bench.listen(&principal("write")).await;
        bench.swap(r#"echo = { scopes = ["write"], name = "hidden" }"#).await;
        settle().await;
        bench.stop.cancel();
        let heard = [changes(&reader.rest().await), changes(&writer.rest().await)];
        assert_eq!(heard, expected, "on_missing_scope = {missing:?}");
    }
}

#[tokio::test]
async fn many_swaps_are_few_notifications_and_the_last_is_not_missed() {
    let bench = Bench::open(READ, "challenge", "").await;
    let reader = principal("read");
    let session = bench.session(&reader).await;
    let (listening, streaming) = (bench.listen(&reader).await, bench.stream(&reader, &session).await);
    for round in 0..201 {
        bench.current.swap(registry(if round % 2 == 0 { RENAMED } else { RESCOPED }, "challenge").await);
    }
    settle().await;
    assert_eq!(bench.names(&reader).await, ["first", "say"]);
    bench.stop.cancel();
    for (name, events) in [("2026-07-28", listening.rest().await), ("2025-11-25", streaming.rest().await)] {
        let told = changes(&events);
        assert!((1..=201).contains(&told), "{name}: {told}");
    }
}

#[tokio::test]
async fn what_changes_between_the_request_and_its_acknowledgement_is_told() {
    let bench = Bench::open(READ, "challenge", "").await;
    let reader = principal("read");
    // What the exchange sees when the request comes, before the handler does.
    let listener = Listener::new(&bench.endpoint.listings, &bench.current.load(), Arc::clone(&reader));
    bench.swap(RENAMED).await;
    let mut watch = listener.watch(&bench.endpoint.listings);
    tokio::time::timeout(Duration::from_secs(60), watch.changed(|| Arc::clone(&reader))).await.expect("told at once");
}

#[tokio::test]
async fn a_session_is_told_on_its_stream_also_when_it_opens_later() {
    let bench = Bench::open(READ, "challenge", "").await;
    let reader = principal("read");
    let (open, late) = (bench.session(&reader).await, bench.session(&reader).await);
    let mut stream = bench.stream(&reader, &open).await;
    bench.swap(RENAMED).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/tools/list_changed");
    settle().await;
    let mut stream = bench.stream(&reader, &late).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn stepping_up_widens_what_a_session_is_told_of() {
    let bench = Bench::open(RESCOPED, "hide", "").await;
    let (reader, writer) = (principal("read"), principal("write"));
    let session = bench.session(&reader).await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let answer = Events::of(bench.send(&writer, within(Method::POST, &session), &list).await).next().await.unwrap();
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 1, "{answer}");
    bench.swap(r#"echo = { scopes = ["write"], name = "hidden" }"#).await;
    let mut stream = bench.stream(&writer, &session).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn nothing_is_left_of_listeners_that_have_gone() {
    let bench = Bench::open(READ, "challenge", "").await;
    let reader = principal("read");
    settle().await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    for _ in 0..20 {
        let session = bench.session(&reader).await;
        let streams = (bench.listen(&reader).await, bench.stream(&reader, &session).await);
        assert!(Handle::current().metrics().num_alive_tasks() > tasks);
        let closed = bench.send(&reader, within(Method::DELETE, &session), &Value::Null).await;
        assert_eq!(closed.status(), StatusCode::NO_CONTENT);
        drop(streams);
    }
    let gone = async {
        while Handle::current().metrics().num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    };
    let left = tokio::time::timeout(Duration::from_secs(60), gone).await;
    assert!(left.is_ok(), "{} tasks instead of {tasks}", Handle::current().metrics().num_alive_tasks());
}

#[tokio::test]
async fn who_listens_keeps_no_registry() {
    let bench = Bench::open(READ, "challenge", "").await;
    let reader = principal("read");
    let session = bench.session(&reader).await;
    let _open = (bench.listen(&reader).await, bench.stream(&reader, &session).await);
    bench.names(&reader).await;
    for rule in [RENAMED, READ] {
        let before = bench.swap(rule).await;
        settle().await;
        assert!(before.upgrade().is_none(), "the registry before lives on");
    }
}

#[tokio::test]
async fn listeners_are_bounded_and_their_places_come_back() {
    let bench = Bench::open(READ, "challenge", "max_sessions_per_principal = 1").await;
    let reader = principal("read");
    let first = bench.listen(&reader).await;
    let wanted = || json!({ "notifications": { "toolsListChanged": true } });
    let refused = bench.modern(&reader, "subscriptions/listen", wanted()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    drop(first);
    bench.listen(&reader).await;
    // A request that opens no stream takes no place.
    for _ in 0..3 {
        let refused = bench.modern(&reader, "subscriptions/listen", json!({ "notifications": 7 })).await;
        assert!(!stream::is_stream(&refused));
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    bench.listen(&reader).await;
}

#[tokio::test]
async fn listening_ends_with_the_token_and_without_a_word() {
    let bench = Bench::open(READ, "challenge", "").await;
    let events = bench.listen(&somebody("read", SystemTime::now() + Duration::from_millis(200))).await;
    assert_eq!(events.rest().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_session_has_no_subscriptions() {
    let bench = Bench::open(READ, "challenge", "").await;
    let reader = principal("read");
    let session = bench.session(&reader).await;
    let params = json!({ "notifications": { "toolsListChanged": true } });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params });
    let answer = Events::of(bench.send(&reader, within(Method::POST, &session), &message).await).next().await.unwrap();
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
}
