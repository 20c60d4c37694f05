//! MCP 2025-11-25 down to 2025-03-26, with sessions that belong to their principal.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::house::{Answer, CONFIG, House, MODERN, PATH, changed, eventually};

/// The revisions with sessions, and whether a client of them names its revision in a header.
const VERSIONS: [(&str, bool); 3] = [("2025-11-25", true), ("2025-06-18", true), ("2025-03-26", false)];

/// Sessions that end soon, and only one of them at a time: whether it is still there shows without a request in it.
pub(crate) const ONE_SHORT: [(&str, &str); 2] =
    [("TOOLGATE_SERVER__SESSION_IDLE", "1s"), ("TOOLGATE_SERVER__MAX_SESSIONS", "1")];

/// Several times as long as such a session may be idle.
const LONG: Duration = Duration::from_millis(2500);

/// The one session there may be is not given to anybody else for a long time.
pub(crate) async fn no_room(house: &House, token: &str) {
    let since = Instant::now();
    while since.elapsed() < LONG {
        assert_eq!(initialize(house, token, "2025-11-25").await.status, 429, "after {:?}", since.elapsed());
    }
}

/// Wait until there is room for another session, and take it.
pub(crate) async fn room(house: &House, token: &str) {
    let next = eventually("room for another session", async || {
        (initialize(house, token, "2025-11-25").await.status == 200).then_some(())
    });
    next.await;
}

/// Ask for a session.
pub(crate) async fn initialize(house: &House, token: &str, version: &str) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "tests", "version": "1" },
    } });
    Answer::to(house.message(token, body.to_string())).await
}

/// An open session.
pub(crate) struct Session<'a> {
    house: &'a House,
    id: String,
    version: Option<&'static str>,
}

impl<'a> Session<'a> {
    /// Open one, as a client does.
    pub(crate) async fn open(house: &'a House, token: &str, (version, named): (&'static str, bool)) -> Self {
        let answer = initialize(house, token, version).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.result()["protocolVersion"], version);
        let id = answer.header("mcp-session-id").to_owned();
        assert!(id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_graphic()), "a session id: {id:?}");
        let session = Self { house, id, version: named.then_some(version) };
        let ready = session.send(token, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        assert_eq!((ready.status, ready.body.as_str()), (202, ""));
        session
    }

    /// The newest of them.
    pub(crate) async fn newest(house: &'a House, token: &str) -> Self {
        Self::open(house, token, VERSIONS[0]).await
    }

    fn named(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("mcp-session-id", &self.id);
        match self.version {
            Some(version) => request.header("mcp-protocol-version", version),
            None => request,
        }
    }

    /// A request in it.
    pub(crate) fn message(&self, token: &str, message: &Value) -> RequestBuilder {
        self.named(self.house.message(token, message.to_string()))
    }

    async fn send(&self, token: &str, message: &Value) -> Answer {
        Answer::to(self.message(token, message)).await
    }

    /// Send a request.
    pub(crate) async fn request(&self, token: &str, method: &str, params: Value) -> Answer {
        self.send(token, &json!({ "jsonrpc": "2.0", "id": "a1", "method": method, "params": params })).await
    }

    /// The stream that the server may send on by itself.
    pub(crate) fn stream(&self, token: &str) -> RequestBuilder {
        let request = self.house.request(Method::GET, PATH).bearer_auth(token).header("accept", "text/event-stream");
        self.named(request)
    }

    pub(crate) async fn close(&self, token: &str) -> Answer {
        Answer::to(self.named(self.house.request(Method::DELETE, PATH).bearer_auth(token))).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_revision_has_its_session_from_opening_to_closing() {
    let house = House::open().await;
    let token = house.reader();
    for version in VERSIONS {
        let name = version.0;
        let session = Session::open(&house, &token, version).await;
        assert_eq!(session.request(&token, "ping", json!({})).await.result(), json!({}), "{name}");

        let tools = session.request(&token, "tools/list", json!({})).await.result();
        assert_eq!(tools["tools"].as_array().map(Vec::len), Some(3), "{name}");
        assert_eq!(tools["tools"][2]["_meta"]["securitySchemes"][0]["scopes"], json!(["web-search:read"]), "{name}");

        let call = |arguments| json!({ "name": "echo", "arguments": arguments });
        let answer = session.request(&token, "tools/call", call(json!({ "text": "hello" }))).await;
        assert_eq!(answer.result()["structuredContent"], json!({ "text": "hello" }), "{name}");
        assert_eq!(answer.rpc()["id"], "a1", "{name}");
        assert_eq!(answer.header("x-accel-buffering"), "no", "{name}");
        let record = house.server.audited(answer.request_id()).await;
        assert_eq!((&record["tool"], &record["outcome"]), (&json!("echo"), &json!("ok")), "{name}");

        let result = session.request(&token, "tools/call", call(json!({ "text": 7 }))).await.result();
        assert_eq!(result["isError"], true, "{name}");
        assert!(result["content"][0]["text"].as_str().is_some_and(|text| text.contains("/text")), "{name}: {result}");

        let unknown = session.request(&token, "tools/call", json!({ "name": "nothing" })).await;
        assert_eq!(unknown.rpc_error(), -32602, "{name}");
        assert_eq!(session.request(&token, "no/such/method", json!({})).await.rpc_error(), -32601, "{name}");
        let refused = session.request(&token, "tools/call", json!({ "name": "tavily_extract" })).await;
        assert_eq!(refused.status, 403, "{name}");
        assert!(refused.header("www-authenticate").contains("scope=\"web-search:write\""), "{name}");

        assert_eq!(session.close(&token).await.status, 204, "{name}");
        let gone = session.request(&token, "tools/list", json!({})).await;
        assert_eq!((gone.status, gone.rpc_error()), (404, -32600), "{name}");
        assert_eq!(session.close(&token).await.status, 404, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_revision_is_offered_the_newest_with_sessions() {
    let house = House::open().await;
    for asked in ["1999-01-01", "2024-11-05", MODERN] {
        let answer = initialize(&house, &house.reader(), asked).await;
        assert_eq!(answer.result()["protocolVersion"], "2025-11-25", "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_there_is_a_reason() {
    let house = House::open().await;
    let token = house.reader();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    let version = |request: RequestBuilder| request.header("mcp-protocol-version", "2025-11-25");
    let get = || house.request(Method::GET, PATH).bearer_auth(&token).header("accept", "text/event-stream");
    let cases = [
        ("a message without session", version(house.message(&token, ping.clone())), 400),
        ("a message without anything", house.message(&token, ping.clone()), 400),
        ("a session that never was", version(house.message(&token, ping)).header("mcp-session-id", "none"), 404),
        ("a stream without session", version(get()), 400),
        ("a stream of none", version(get()).header("mcp-session-id", "none"), 404),
        ("the end of none", house.request(Method::DELETE, PATH).bearer_auth(&token), 400),
    ];
    for (name, request, status) in cases {
        let answer = Answer::to(request).await;
        assert_eq!((answer.status, answer.rpc_error()), (status, -32600), "{name}: {}", answer.body);
    }
    let session = Session::newest(&house, &token).await;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let request = changed(session.message(&token, &ping), &[("mcp-protocol-version", "1999-01-01")], &[]);
    assert_eq!(Answer::to(request).await.status, 400, "a revision that never was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_refused_whatever_the_revision() {
    let house = House::open().await;
    let token = house.reader();
    for version in VERSIONS {
        let session = Session::open(&house, &token, version).await;
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "echo", "arguments": { "text": "x" },
        } });
        let answer = session.send(&token, &json!([call, call])).await;
        assert_eq!((answer.status, answer.rpc_error()), (400, -32600), "{}", version.0);
        assert!(answer.body.contains("batch"), "{}", answer.body);
    }
    assert!(house.server.audit().is_empty(), "nothing was called");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_belongs_to_its_principal() {
    let house = House::open().await;
    let owner = house.reader();
    let session = Session::newest(&house, &owner).await;
    let strangers = [
        ("another subject", json!({ "sub": "usr_other", "scope": "web-search:write" })),
        ("another client", json!({ "client_id": "m2m_other", "scope": "web-search:write" })),
    ];
    for (name, claims) in strangers {
        let stranger = house.token(&claims);
        let answers = [
            session.request(&stranger, "tools/list", json!({})).await,
            session.request(&stranger, "tools/call", json!({ "name": "echo", "arguments": { "text": "x" } })).await,
            Answer::to(session.stream(&stranger)).await,
            session.close(&stranger).await,
        ];
        for answer in &answers {
            assert_eq!((answer.status, answer.rpc_error()), (404, -32600), "{name}: {}", answer.body);
        }
        // What a stranger hears is what anybody hears of a session that never was.
        let never = changed(session.stream(&stranger), &[("mcp-session-id", "never")], &[]);
        assert_eq!(Answer::to(never).await.body, answers[2].body, "{name}");
    }
    let result = session.request(&owner, "tools/list", json!({})).await.result();
    assert!(result["tools"].is_array(), "the owner still has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_version_header_opens_the_session_of_another() {
    let house = House::open().await;
    let owner = house.reader();
    let session = Session::newest(&house, &owner).await;
    let stranger = house.token(&json!({ "sub": "usr_other", "scope": "web-search:write" }));
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": MODERN, "capabilities": {}, "clientInfo": { "name": "x", "version": "1" },
    } });
    let request = changed(session.message(&stranger, &initialize), &[("mcp-protocol-version", MODERN)], &[]);
    let answer = Answer::to(request).await;
    assert_ne!(answer.header("mcp-session-id"), session.id, "{}", answer.body);
    assert!(answer.header("mcp-session-id").len() >= 32, "a session of its own: {answer:?}");
    let ping = json!({ "jsonrpc": "2.0", "id": 0, "method": "ping" });
    for version in ["9999-01-01", "2026-07-29", "zzz", MODERN] {
        let request = changed(session.message(&stranger, &ping), &[("mcp-protocol-version", version)], &[]);
        let answer = Answer::to(request).await;
        assert!([400, 404].contains(&answer.status), "{version}: {answer:?}");
        answer.rpc_error();
    }
    assert_eq!(session.request(&owner, "ping", json!({})).await.result(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn stepping_up_keeps_the_session() {
    let house = House::open().await;
    let (reader, writer) = (house.reader(), house.writer());
    let session = Session::newest(&house, &reader).await;
    let call = || json!({ "name": "tavily_extract", "arguments": { "urls": ["https://a.example"] } });
    assert_eq!(session.request(&reader, "tools/call", call()).await.status, 403);
    // The stand-in's place is empty here, so the tool's own result is an error; but the tool it is.
    let result = session.request(&writer, "tools/call", call()).await.result();
    assert_eq!(result["structuredContent"]["error"]["code"], "upstream_unreachable", "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded_for_each_principal_and_for_all() {
    let bounds = [("TOOLGATE_SERVER__MAX_SESSIONS", "3"), ("TOOLGATE_SERVER__MAX_SESSIONS_PER_PRINCIPAL", "2")];
    let house = House::with(CONFIG, &bounds).await;
    let tokens: Vec<String> = ["a", "b", "c"].map(|subject| house.token(&json!({ "sub": subject }))).into();
    let first = Session::newest(&house, &tokens[0]).await;
    let second = Session::newest(&house, &tokens[0]).await;
    // A DELETE that is refused closes nothing, so it makes no room either.
    let path = house.request(Method::DELETE, PATH).bearer_auth(&tokens[0]);
    let unknown = path.header("mcp-session-id", &second.id).header("mcp-protocol-version", "1999-01-01");
    assert_eq!(Answer::to(unknown).await.status, 400);
    let refused = initialize(&house, &tokens[0], "2025-11-25").await;
    assert_eq!((refused.status, refused.rpc_error()), (429, -32600), "a third of one principal");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    let _third = Session::newest(&house, &tokens[1]).await;
    assert_eq!(initialize(&house, &tokens[2], "2025-11-25").await.status, 429, "a fourth of all");
    assert_eq!(first.close(&tokens[0]).await.status, 204);
    Session::newest(&house, &tokens[2]).await;
    // Those who need no session are not concerned.
    let answer = Answer::to(house.call(&tokens[1], "echo", json!({ "text": "x" }))).await;
    assert_eq!(answer.status, 403, "but for their scopes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_expires_and_makes_room() {
    let house = House::with(CONFIG, &ONE_SHORT).await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    room(&house, &token).await;
    let gone = session.request(&token, "tools/list", json!({})).await;
    assert_eq!((gone.status, gone.rpc_error()), (404, -32600), "{}", gone.body);
}
