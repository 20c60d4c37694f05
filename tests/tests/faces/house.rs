//! A server with everything around it that a test needs: somebody who vouches, and requests put together.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use toolgate_tests::{
    authority::Authority,
    server::{Launch, PATIENCE, Server},
};

/// The revision without sessions.
pub(crate) const MODERN: &str = "2026-07-28";

/// The path of the MCP endpoint.
pub(crate) const PATH: &str = "/web-search/mcp";

/// The configuration that most tests use; they change single keys through variables.
pub(crate) const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"

[auth]
provider = "oauth"
[auth.oauth]
issuer = "${ISSUER}"

[scopes."web-search:read"]
description = "Search the web and read pages"
[scopes."web-search:write"]
description = "Whatever leaves traces"
implies = ["web-search:read"]

[endpoints.web-search]
path = "/web-search/mcp"
plugins = ["web-search", "echo"]

[plugins.web-search]
builtin = "tavily"
[plugins.web-search.settings]
api_key = "tvly-stand-in"
api_base_url = "${TAVILY:-http://127.0.0.1:1}"
[plugins.web-search.tools]
tavily_search = { scopes = ["web-search:read"] }
tavily_extract = { scopes = ["web-search:write"] }
"*" = { enabled = false }

[plugins.echo]
builtin = "echo"
[plugins.echo.tools]
echo = { scopes = ["web-search:read"] }
"#;

/// A running server and the authorization server that it trusts.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    pub(crate) http: Client,
}

impl House {
    /// With [`CONFIG`].
    pub(crate) async fn open() -> Self {
        Self::with(CONFIG, &[]).await
    }

    /// With a configuration, and variables over it.
    pub(crate) async fn with(config: &str, variables: &[(&str, &str)]) -> Self {
        let authority = Authority::generic("").await;
        let launch = Launch::new(config).env("ISSUER", &authority.issuer());
        let launch = variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        Self { server: launch.start().await, authority, http: http() }
    }

    /// A token for a reader.
    pub(crate) fn reader(&self) -> String {
        self.token(&json!({ "scope": "web-search:read" }))
    }

    /// A token for a writer, the same principal as the reader.
    pub(crate) fn writer(&self) -> String {
        self.token(&json!({ "scope": "web-search:write" }))
    }

    /// A token with these claims over the usual ones.
    pub(crate) fn token(&self, over: &Value) -> String {
        self.authority.token(&json!(format!("{}{PATH}", self.server.public_url())), over)
    }

    /// A request to a path.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.server.url()))
    }

    /// A message to the MCP endpoint, with the headers that all revisions want.
    pub(crate) fn message(&self, token: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, PATH)
            .bearer_auth(token)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body)
    }

    /// A request of the revision without sessions, as a client sends it.
    pub(crate) fn modern(&self, token: &str, method: &str, params: Value) -> RequestBuilder {
        let request = modern_message(method, params);
        let mut builder = self.message(token, request.to_string());
        builder = builder.header("mcp-protocol-version", MODERN).header("mcp-method", method);
        match request["params"]["name"].as_str() {
            Some(name) if method == "tools/call" => builder.header("mcp-name", name),
            _ => builder,
        }
    }

    /// A call of a tool by the revision without sessions.
    pub(crate) fn call(&self, token: &str, tool: &str, arguments: Value) -> RequestBuilder {
        self.modern(token, "tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// A call of a tool through the REST face.
    pub(crate) fn post(&self, token: &str, tool: &str, arguments: &Value) -> RequestBuilder {
        self.request(Method::POST, &format!("/api/tools/web-search/{tool}")).bearer_auth(token).json(arguments)
    }
}

/// A client that asks nobody on the way, and gives up on a server that hangs.
pub(crate) fn http() -> Client {
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    client.build().expect("an HTTP client")
}

/// A request of the revision without sessions.
pub(crate) fn modern_message(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// The same request with some headers set and others left out.
pub(crate) fn changed(request: RequestBuilder, set: &[(&'static str, &str)], without: &[&str]) -> RequestBuilder {
    let (client, request) = request.build_split();
    let mut request = request.expect("a request");
    for name in without {
        request.headers_mut().remove(*name);
    }
    for (name, value) in set {
        request.headers_mut().insert(*name, value.parse().expect("a header value"));
    }
    RequestBuilder::from_parts(client, request)
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// Send a request and read the answer to its end.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.expect("the whole answer");
        Self { status, headers, body }
    }

    /// A header, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// The request's id.
    pub(crate) fn request_id(&self) -> &str {
        self.header("x-request-id")
    }

    /// The body, which must be JSON and say so.
    pub(crate) fn json(&self) -> Value {
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/json"), "{kind:?} instead of JSON: {self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The JSON-RPC message of an MCP answer, whether it came as JSON or as the one event of a stream that has one.
    pub(crate) fn rpc(&self) -> Value {
        if !self.header("content-type").starts_with("text/event-stream") {
            return self.json();
        }
        let events = self.body.lines().filter_map(|line| line.strip_prefix("data: {"));
        let mut events: Vec<String> = events.map(|rest| format!("{{{rest}")).collect();
        assert_eq!(events.len(), 1, "one message: {self:?}");
        serde_json::from_str(&events.remove(0)).expect("a message is JSON")
    }

    /// The result of an MCP answer.
    pub(crate) fn result(&self) -> Value {
        let message = self.rpc();
        assert!(message["error"].is_null() && message["result"].is_object(), "no result: {self:?}");
        message["result"].clone()
    }

    /// The code of the JSON-RPC error of an MCP answer, which must be one.
    pub(crate) fn rpc_error(&self) -> i64 {
        let message = self.rpc();
        assert_eq!(message["jsonrpc"], "2.0", "{self:?}");
        assert!(message["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "no error: {self:?}");
        message["error"]["code"].as_i64().unwrap_or_else(|| panic!("no code: {self:?}"))
    }
}

/// Look again until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}
