//! Claims about the conversation over standard input and output, held over a pipe in memory.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex, split},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::config::{Audit as AuditSection, Config};

const MODERN: &str = "2026-07-28";

async fn registry(rule: &str) -> Registry {
    let config: Config = toml_edit::de::from_str(&format!(
        "[plugins.p]\nbuiltin = \"echo\"\ntools.\"*\" = {rule}\n[endpoints.e]\npath = \"/\"\nplugins = [\"p\"]"
    ))
    .unwrap();
    Registry::build(&config, TaskTracker::new()).await.unwrap().0
}

/// A client at the other end.
struct Client {
    input: Option<WriteHalf<DuplexStream>>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    current: Current,
    stop: CancellationToken,
    trail: tempfile::TempPath,
    server: JoinHandle<Result<(), StdioError>>,
}

impl Client {
    async fn start() -> Self {
        let current = Current::new(registry("{ scopes = [] }").await);
        let trail = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let sink = trail.to_str().unwrap().to_owned();
        let audit = Audit::open(&AuditSection { sink, ..AuditSection::default() }).unwrap();
        let (near, far) = duplex(64 * 1024);
        let (stop, registry) = (CancellationToken::new(), current.clone());
        let (input, output) = split(far);
        let told = stop.clone();
        let server = tokio::spawn(async move {
            let served = over(input, output, "e", registry, Principal::local(), audit.clone(), told).await;
            audit.close(Duration::from_secs(5));
            served
        });
        let (output, input) = split(near);
        Self { input: Some(input), output: BufReader::new(output).lines(), current, stop, trail, server }
    }

    async fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn send(&mut self, message: Value) {
        self.write(&message.to_string()).await;
    }

    async fn request(&mut self, id: u32, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
    }

    async fn modern(&mut self, id: u32, method: &str, mut params: Value) {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        self.request(id, method, params).await;
    }

    async fn initialize(&mut self) {
        let client = json!({ "name": "tests", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        self.request(0, "initialize", params).await;
        let answer = self.next().await.unwrap();
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        assert_eq!(answer["result"]["capabilities"], json!({ "tools": { "listChanged": true } }));
        self.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(Duration::from_secs(60), self.output.next_line()).await.expect("a line");
        line.unwrap().map(|line| serde_json::from_str(&line).unwrap())
    }

    /// Close the input and read on to the end.
    async fn end(mut self) -> (Vec<Value>, Result<(), StdioError>, String) {
        if let Some(mut input) = self.input.take() {
            input.shutdown().await.unwrap();
        }
        let mut rest = Vec::new();
        while let Some(line) = self.next().await {
            rest.push(line);
        }
        let served = self.server.await.unwrap();
        (rest, served, std::fs::read_to_string(&self.trail).unwrap())
    }
}

fn echo(text: &str) -> Value {
    json!({ "name": "echo", "arguments": { "text": text } })
}

#[tokio::test]
async fn a_client_with_a_session_lists_calls_and_leaves() {
    let mut client = Client::start().await;
    client.initialize().await;
    client.request(1, "tools/list", json!({})).await;
    assert_eq!(client.next().await.unwrap()["result"]["tools"][0]["name"], "echo");
    client.request(2, "tools/call", echo("hi")).await;
    assert_eq!(client.next().await.unwrap()["result"]["structuredContent"], json!({ "text": "hi" }));
    client.request(3, "tools/call", json!({ "name": "nothing" })).await;
    assert_eq!(client.next().await.unwrap()["error"]["code"], -32602);
    client.request(4, "tools/call", json!({ "name": "echo", "arguments": { "text": 7 } })).await;
    assert_eq!(client.next().await.unwrap()["result"]["isError"], true);
    let (rest, served, trail) = client.end().await;
    assert_eq!(rest, Vec::<Value>::new());
    assert!(served.is_ok(), "{served:?}");
    let outcomes: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = outcomes.iter().map(|record| (&record["decision"], &record["outcome"])).collect();
    let (permit, refuse) = (json!("permit"), json!("refuse"));
    let (ok, misfit) = (json!("ok"), json!("invalid_arguments"));
    assert_eq!(told, [(&permit, &ok), (&refuse, &Value::Null), (&permit, &misfit)]);
    assert_eq!(outcomes[0]["principal"], json!({ "provider": "local", "subject": "operator" }));
}

#[tokio::test]
async fn a_client_without_sessions_discovers_and_calls() {
    let mut client = Client::start().await;
    client.modern(1, "server/discover", json!({})).await;
    let found = client.next().await.unwrap();
    assert_eq!(found["result"]["capabilities"], json!({ "tools": { "listChanged": true } }), "{found}");
    client.modern(2, "tools/call", echo("hi")).await;
    let answer = client.next().await.unwrap();
    assert_eq!(answer["result"]["structuredContent"], json!({ "text": "hi" }), "{answer}");
    assert_eq!(answer["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "toolgate");
    assert!(client.end().await.1.is_ok());
}

#[tokio::test]
async fn clients_of_both_eras_hear_that_their_tools_have_changed() {
    for modern in [true, false] {
        let mut client = Client::start().await;
        if modern {
            let wanted = json!({ "notifications": { "toolsListChanged": true } });
            client.modern(9, "subscriptions/listen", wanted).await;
            let first = client.next().await.unwrap();
            assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
        } else {
            client.initialize().await;
            // Answered in order: the notification before has been taken.
            client.request(1, "ping", json!({})).await;
            client.next().await.unwrap();
            tokio::task::yield_now().await;
        }
        client.current.swap(registry("{ enabled = false }").await);
        let told = client.next().await.unwrap();
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
        let id = &told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(*id, if modern { json!(9) } else { Value::Null });
        assert!(client.end().await.1.is_ok());
    }
}

#[tokio::test]
async fn a_cancelled_subscription_hears_no_more() {
    let mut client = Client::start().await;
    client.modern(9, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })).await;
    client.next().await.unwrap();
    client.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } })).await;
    client.modern(10, "tools/list", json!({})).await;
    assert_eq!(client.next().await.unwrap()["id"], 10);
    client.current.swap(registry("{ enabled = false }").await);
    client.modern(11, "tools/list", json!({})).await;
    assert_eq!(client.next().await.unwrap()["id"], 11, "nothing between");
    assert_eq!(client.end().await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn the_end_of_the_input_ends_everything_at_once() {
    for listens in [false, true] {
        let mut client = Client::start().await;
        if listens {
            client.modern(9, "subscriptions/listen", json!({ "notifications": {} })).await;
            client.next().await.unwrap();
        }
        let since = std::time::Instant::now();
        assert!(client.end().await.1.is_ok());
        assert!(since.elapsed() < Duration::from_secs(4), "listens = {listens}: {:?}", since.elapsed());
    }
}

#[tokio::test]
async fn a_call_that_the_end_of_the_input_follows_is_answered() {
    let mut client = Client::start().await;
    client.initialize().await;
    client.request(1, "tools/call", echo("last")).await;
    let (rest, served, _) = client.end().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(rest[0]["result"]["structuredContent"], json!({ "text": "last" }));
    assert!(served.is_ok());
}

#[tokio::test]
async fn a_server_told_to_stop_says_goodbye_to_its_listeners() {
    let mut client = Client::start().await;
    client.modern(9, "subscriptions/listen", json!({ "notifications": {} })).await;
    client.next().await.unwrap();
    client.stop.cancel();
    assert_eq!(client.next().await.unwrap()["result"]["resultType"], "complete");
    assert!(client.next().await.is_none());
    assert!(client.server.await.unwrap().is_ok());
}

#[tokio::test]
async fn lines_that_are_no_messages_end_nothing() {
    let mut client = Client::start().await;
    client.initialize().await;
    for line in ["", "not JSON", "[]", "7"] {
        client.write(line).await;
    }
    client.request(1, "ping", json!({})).await;
    let answered = async {
        loop {
            if client.next().await.unwrap()["id"] == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.expect("the conversation goes on");
}

#[tokio::test]
async fn what_opens_no_conversation_is_said() {
    let mut client = Client::start().await;
    client.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } })).await;
    let error = client.end().await.1.unwrap_err().to_string();
    assert!(error.contains("initialize"), "{error}");
}
