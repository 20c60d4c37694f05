//! Slow tools, clients that leave, and the end of the server.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use toolgate_tests::{
    server::Server,
    tavily::{self, StandIn},
};

use crate::{
    house::{Answer, CONFIG, House, eventually},
    sessions::{ONE_SHORT, Session, no_room, room},
};

/// A place where Tavily should be, with a test at the other end of each connection.
struct Upstream(TcpListener);

impl Upstream {
    async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("its address"))
    }

    /// The next request, whole, and the connection that it came on.
    async fn request(&self) -> TcpStream {
        let (mut connection, _) = self.0.accept().await.expect("a connection");
        let mut read = Vec::new();
        while !read.ends_with(b"}") {
            assert_ne!(connection.read_buf(&mut read).await.expect("the request"), 0, "half a request");
        }
        connection
    }
}

/// Answer a search.
async fn answer(mut connection: TcpStream) {
    let body = json!({
        "query": "x", "results": [{ "url": "https://a.example/", "title": "A", "content": "found", "score": 0.5 }],
        "response_time": 0.1, "request_id": "r",
    })
    .to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all((head + &body).as_bytes()).await.expect("the server listens");
}

/// Wait until the other side has gone.
async fn gone(connection: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is a way of going, too.
    let _ = connection.read_to_end(&mut rest).await;
}

/// The one audit record of a call of this tool, once the call is over.
async fn record(server: &Server, tool: &str) -> Value {
    eventually("the record of the call", async || server.audit().into_iter().find(|record| record["tool"] == tool))
        .await
}

fn search() -> Value {
    json!({ "query": "x" })
}

/// A call of the search, for a session.
fn search_in_session() -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": "tavily_search", "arguments": search(),
    } })
}

async fn open(upstream: &Upstream) -> House {
    House::with(CONFIG, &[("TAVILY", &upstream.url())]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_tool_keeps_nobody_waiting() {
    let upstream = Upstream::open().await;
    let house = open(&upstream).await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let slow = tokio::spawn(Answer::to(house.call(&token, "tavily_search", search())));
    let held = upstream.request().await;
    for _ in 0..3 {
        let echo = || json!({ "text": "x" });
        assert_eq!(Answer::to(house.call(&token, "echo", echo())).await.status, 200);
        assert_eq!(Answer::to(house.post(&token, "echo", &echo())).await.status, 200);
        let params = json!({ "name": "echo", "arguments": echo() });
        assert_eq!(session.request(&token, "tools/call", params).await.result()["isError"], false);
    }
    assert!(!slow.is_finished());
    answer(held).await;
    let result = slow.await.expect("no panic").result();
    assert_eq!(result["isError"], false, "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_has_no_more_time_than_its_rule_gives() {
    let tavily = StandIn::start().await.expect("the stand-in");
    tavily.fail("hang");
    let rule = r#"{ scopes = ["web-search:read"], timeout = "1s" }"#;
    let variables = [("TAVILY", tavily.url()), ("TOOLGATE_PLUGINS__WEB_SEARCH__TOOLS__TAVILY_SEARCH", rule.to_owned())];
    let house = House::with(CONFIG, &variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let token = house.reader();
    let mcp = Answer::to(house.call(&token, "tavily_search", search())).await.result();
    let rest = Answer::to(house.post(&token, "tavily_search", &search())).await;
    assert_eq!(rest.status, 200);
    for result in [mcp, rest.json()] {
        assert_eq!(result["isError"], true, "{result}");
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("time") || text.contains("within 1s"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_cancels_its_call() {
    for face in ["mcp", "rest"] {
        let upstream = Upstream::open().await;
        let house = open(&upstream).await;
        let request = match face {
            "mcp" => house.call(&house.reader(), "tavily_search", search()),
            _ => house.post(&house.reader(), "tavily_search", &search()),
        };
        let client = tokio::spawn(Answer::to(request));
        let mut held = upstream.request().await;
        client.abort();
        gone(&mut held).await;
        let record = record(&house.server, "tavily_search").await;
        let told = (&record["face"], &record["decision"], &record["outcome"]);
        assert_eq!(told, (&json!(face), &json!("permit"), &json!("cancelled")), "{record}");
        assert!(record["duration_ms"].is_f64(), "{record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_session_the_client_says_so_instead() {
    let upstream = Upstream::open().await;
    let house = open(&upstream).await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let client = tokio::spawn(Answer::to(session.message(&token, &search_in_session())));
    let mut held = upstream.request().await;
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    assert_eq!(Answer::to(session.message(&token, &cancelled)).await.status, 202);
    gone(&mut held).await;
    assert_eq!(record(&house.server, "tavily_search").await["outcome"], "cancelled");
    client.abort();
    assert_eq!(session.request(&token, "ping", json!({})).await.result(), json!({}), "the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_end_under_a_call() {
    let upstream = Upstream::open().await;
    let house = House::with(CONFIG, &[ONE_SHORT.as_slice(), &[("TAVILY", &upstream.url())]].concat()).await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let client = tokio::spawn(Answer::to(session.message(&token, &search_in_session())));
    let held = upstream.request().await;
    no_room(&house, &token).await;
    answer(held).await;
    let result = client.await.expect("no panic").result();
    assert_eq!(result["isError"], false, "{result}");
    room(&house, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_end_under_a_call_whose_client_has_left() {
    let upstream = Upstream::open().await;
    let house = House::with(CONFIG, &[ONE_SHORT.as_slice(), &[("TAVILY", &upstream.url())]].concat()).await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let client = tokio::spawn(Answer::to(session.message(&token, &search_in_session())));
    let held = upstream.request().await;
    client.abort();
    no_room(&house, &token).await;
    answer(held).await;
    assert_eq!(record(&house.server, "tavily_search").await["outcome"], "ok");
    room(&house, &token).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_a_reload_gives_is_good_in_a_session_too() {
    let upstream = Upstream::open().await;
    let limited =
        |timeout: &str| CONFIG.replace("\nbuiltin", &format!("\nlimits = {{ timeout = {timeout:?} }}\nbuiltin"));
    let house = House::with(&limited("300ms"), &[ONE_SHORT.as_slice(), &[("TAVILY", &upstream.url())]].concat()).await;
    std::fs::write(house.server.folder().join("config.toml"), limited("1m")).expect("the configuration");
    house.server.signal("HUP").await;
    house.server.stderr_with("reloaded in ").await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let client = tokio::spawn(Answer::to(session.message(&token, &search_in_session())));
    let held = upstream.request().await;
    no_room(&house, &token).await;
    answer(held).await;
    let result = client.await.expect("no panic").result();
    assert_eq!(result["isError"], false, "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_told_to_stop_lets_calls_in_flight_finish() {
    for (signal, face) in [("TERM", "mcp"), ("INT", "rest"), ("TERM", "session")] {
        let upstream = Upstream::open().await;
        let variables = [("TAVILY", upstream.url()), ("TOOLGATE_SERVER__DRAIN", "1m".to_owned())];
        let house = House::with(CONFIG, &variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
        let token = house.reader();
        let params = || json!({ "name": "tavily_search", "arguments": search() });
        let session = Session::newest(&house, &token).await;
        let request = match face {
            "mcp" => house.call(&token, "tavily_search", search()),
            "rest" => house.post(&token, "tavily_search", &search()),
            _ => session
                .message(&token, &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params() })),
        };
        let client = tokio::spawn(Answer::to(request));
        let held = upstream.request().await;
        let (address, url) = (house.server.address(), house.server.url());
        house.server.signal(signal).await;
        // No new work from here on, though the old one is still in hand.
        eventually("the port to close", async || TcpStream::connect(address).await.is_err().then_some(())).await;
        assert!(!client.is_finished(), "{face}");
        answer(held).await;
        let answer = client.await.expect("no panic");
        let result = if face == "rest" { answer.json() } else { answer.result() };
        assert_eq!((answer.status, &result["isError"]), (200, &json!(false)), "{face}: {result}");
        // Somebody else can have the port, and the end is an orderly one.
        eventually(&format!("{url} to be free again"), async || TcpListener::bind(address).await.ok()).await;
        let ended = house.server.ended().await;
        assert_eq!(ended.code(), Some(0), "{face}: {ended:?}");
        assert!(ended.audit_text().contains("\"outcome\":\"ok\""), "{face}: the record was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_outlasts_the_drain_is_cut_off() {
    let upstream = Upstream::open().await;
    let house = House::with(CONFIG, &[("TAVILY", &upstream.url()), ("TOOLGATE_SERVER__DRAIN", "200ms")]).await;
    let mcp = tokio::spawn(Answer::to(house.call(&house.reader(), "tavily_search", search())));
    let rest = tokio::spawn(house.post(&house.reader(), "tavily_search", &search()).send());
    let _held = (upstream.request().await, upstream.request().await);
    let ended = house.server.terminate().await;
    assert_eq!(ended.code(), Some(0));
    let last = mcp.await.expect("no panic");
    assert_eq!((last.status, last.rpc_error()), (503, -32603), "a last word: {}", last.body);
    assert!(rest.await.expect("no panic").is_err(), "the connection was closed");
    assert!(ended.stderr.contains("server.drain"), "{}", ended.stderr);
    assert!(ended.audit_text().contains("\"outcome\":\"cancelled\""), "{}", ended.audit_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_stops_at_once_whatever_is_open() {
    let house = House::open().await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let stream = session.stream(&token).send().await.expect("a stream");
    let silent = TcpStream::connect(house.server.address()).await.expect("a connection");
    let ready = Answer::to(house.request(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, 200);
    let ended = house.server.terminate().await;
    assert_eq!(ended.code(), Some(0));
    drop((stream, silent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_reaches_tavily_with_its_key_and_without_the_token() {
    let tavily = StandIn::start().await.expect("the stand-in");
    let house = House::with(CONFIG, &[("TAVILY", &tavily.url())]).await;
    let token = house.reader();
    let result = Answer::to(house.call(&token, "tavily_search", search())).await.result();
    assert_eq!(result["isError"], false, "{result}");
    assert!(result["structuredContent"]["sources"].as_array().is_some_and(|sources| !sources.is_empty()), "{result}");
    let seen = tavily.take_seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {}", tavily::KEY));
    assert!(!format!("{:?}", seen[0]).contains(&token));
}
