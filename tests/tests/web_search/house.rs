//! A server with the tools of web search, before a stand-in for Tavily, and an authorization server that vouches.

use std::{path::Path, time::Duration};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use toolgate_tests::{
    authority::Authority,
    server::{Launch, PATIENCE, Server},
    tavily::StandIn,
};

/// Where the MCP endpoint is.
const PATH: &str = "/web-search/mcp";

/// As the project ships it, with another authorization server, a stand-in for Tavily, and settings that tests add.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[auth]
provider = "oauth"
[auth.oauth]
issuer = "${ISSUER}"
[scopes."web-search:read"]
[scopes."web-search:write"]
implies = ["web-search:read"]
[endpoints.web-search]
path = "/web-search/mcp"
plugins = ["web-search"]
[plugins.web-search]
builtin = "tavily"
[plugins.web-search.tools]
tavily_search = { scopes = ["web-search:read"] }
tavily_extract = { scopes = ["web-search:read"] }
tavily_map = { scopes = ["web-search:write"] }
tavily_crawl = { scopes = ["web-search:write"], timeout = "150s" }
tavily_research = { scopes = ["web-search:write"], timeout = "15m" }
tavily_get_research = { scopes = ["web-search:read"] }
tavily_usage = { scopes = ["web-search:read"] }
tavily_feedback = { scopes = ["web-search:write"] }
[plugins.web-search.settings]
api_key = "tvly-stand-in"
api_base_url = "${TAVILY}"
"#;

pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) http: Client,
    authority: Authority,
}

/// The configuration with more lines for the plugin's settings.
pub(crate) fn config(settings: &str) -> String {
    format!("{CONFIG}{settings}\n")
}

impl House {
    pub(crate) async fn open(tavily: &StandIn, settings: &str) -> Self {
        Self::start(Authority::generic("").await, tavily, settings, None).await
    }

    /// With a folder for what is to outlive the server.
    pub(crate) async fn start(authority: Authority, tavily: &StandIn, settings: &str, state: Option<&Path>) -> Self {
        let mut launch = Launch::new(&config(settings)).env("ISSUER", &authority.issuer()).env("TAVILY", &tavily.url());
        if let Some(state) = state {
            launch = launch.env("TOOLGATE_SERVER__STATE_DIR", &state.display().to_string());
        }
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().expect("an HTTP client");
        Self { server: launch.start().await, http, authority }
    }

    /// Kill the server as nothing should be killed, and keep who vouches.
    #[cfg(unix)]
    pub(crate) async fn kill(self) -> Authority {
        self.server.signal("KILL").await;
        self.server.ended().await;
        self.authority
    }

    pub(crate) fn token(&self, subject: &str, scope: &str) -> String {
        let audience = json!(format!("{}{PATH}", self.server.public_url()));
        self.authority.token(&audience, &json!({ "sub": subject, "scope": scope }))
    }

    pub(crate) fn writer(&self, subject: &str) -> String {
        self.token(subject, "web-search:write")
    }

    /// A call over plain HTTP.
    pub(crate) fn post(&self, token: &str, tool: &str, arguments: &Value) -> RequestBuilder {
        let url = format!("{}/api/tools/web-search/{tool}", self.server.url());
        self.http.post(url).bearer_auth(token).json(arguments)
    }

    /// A call by the newest revision of MCP; with a progress token, if progress is to be heard.
    pub(crate) fn mcp(&self, token: &str, tool: &str, arguments: &Value, progress: bool) -> RequestBuilder {
        let mut meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if progress {
            meta["progressToken"] = "p".into();
        }
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        self.http
            .post(format!("{}{PATH}", self.server.url()))
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .json(&message)
    }

    /// The result of a call, and that it came with 200.
    pub(crate) async fn result(&self, token: &str, tool: &str, arguments: &Value) -> Value {
        let response = self.post(token, tool, arguments).send().await.expect("an answer");
        let status = response.status();
        let body = response.text().await.expect("its body");
        assert_eq!(status, 200, "{tool} {arguments}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// What a ceiling says is used of it.
    pub(crate) async fn used(&self, subject: &str, ceiling: &str) -> f64 {
        let usage = self.result(&self.writer(subject), "tavily_usage", &json!({})).await;
        let budget = usage["structuredContent"]["budget"].as_array().unwrap_or_else(|| panic!("{usage}")).clone();
        let found = budget.iter().find(|allowance| allowance["ceiling"] == ceiling);
        found.and_then(|allowance| allowance["used"].as_f64()).unwrap_or_else(|| panic!("{usage}"))
    }
}

/// The messages of an answer to an MCP request, in order.
pub(crate) fn messages(body: &str) -> Vec<Value> {
    let events = body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    let messages: Vec<Value> = events.filter_map(|data| serde_json::from_str(data).ok()).collect();
    if messages.is_empty() { vec![serde_json::from_str(body).expect("a message")] } else { messages }
}

/// Look again until it is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let search = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
