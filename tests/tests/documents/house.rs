//! A server over a folder of documents, somebody who vouches, and requests put together.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_tests::{
    authority::Authority,
    server::{Launch, PATIENCE, Server},
};

/// The revision without sessions.
pub(crate) const MODERN: &str = "2026-07-28";

/// The path of the MCP endpoint.
const PATH: &str = "/mcp";

/// The configuration, but for the plugin's settings.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
state_dir = "${STATE}"
[auth]
provider = "oauth"
[auth.oauth]
issuer = "${ISSUER}"
[scopes."docs:read"]
description = "Search documents"
[scopes."other:read"]
description = "Something else"
[endpoints.docs]
path = "/mcp"
plugins = ["docs", "echo"]
[plugins.docs]
builtin = "docs"
[plugins.docs.tools]
docs_search = { scopes = ["docs:read"] }
docs_fetch = { scopes = ["docs:read"] }
[plugins.echo]
builtin = "echo"
[plugins.echo.tools]
echo = { scopes = ["other:read"] }
[plugins.docs.settings]
"#;

/// A place with documents in `docs`, the server's state beside them, and an outside around them.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn with(documents: &[(&str, &str)]) -> Self {
        let place = Self(TempDir::with_prefix("documents-").expect("a folder"));
        fs::create_dir(place.docs()).expect("a folder");
        for (name, text) in documents {
            place.write(name, text);
        }
        place
    }

    pub(crate) fn around(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn docs(&self) -> PathBuf {
        self.around().join("docs")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.docs().join(name);
        fs::create_dir_all(path.parent().expect("its folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Settings that name `docs`, and whatever else.
    pub(crate) fn settings(&self, more: &str) -> String {
        format!("folders = [\"{}\"]\n{more}", self.docs().display())
    }

    /// A server over `docs`.
    pub(crate) async fn open(&self) -> House {
        self.open_with(&self.settings("wait = \"60s\"")).await
    }

    /// A server with these settings of the plugin.
    pub(crate) async fn open_with(&self, settings: &str) -> House {
        let authority = Authority::generic("").await;
        let server = self.launch(settings, &authority).start().await;
        House { server, authority, http: http() }
    }

    pub(crate) fn launch(&self, settings: &str, authority: &Authority) -> Launch {
        let state = self.around().join("state").to_string_lossy().into_owned();
        Launch::new(&format!("{CONFIG}{settings}\n")).env("ISSUER", &authority.issuer()).env("STATE", &state)
    }
}

/// A running server and the authorization server that it trusts.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    pub(crate) http: Client,
}

impl House {
    pub(crate) fn token(&self, scope: &str) -> String {
        let audience = json!(format!("{}{PATH}", self.server.public_url()));
        self.authority.token(&audience, &json!({ "scope": scope }))
    }

    /// A call through the REST face.
    pub(crate) fn post(&self, tool: &str, arguments: &Value) -> RequestBuilder {
        let url = format!("{}/api/tools/docs/{tool}", self.server.url());
        self.http.request(Method::POST, url).json(arguments)
    }

    /// A call through the MCP endpoint.
    pub(crate) fn call(&self, tool: &str, arguments: &Value, meta: Value) -> RequestBuilder {
        let mut meta = meta;
        meta["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
        meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "tests", "version": "1" });
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        self.http
            .post(format!("{}{PATH}", self.server.url()))
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .json(&message)
    }

    /// The whole result of a call through the REST face by somebody who may.
    pub(crate) async fn result(&self, tool: &str, arguments: Value) -> Value {
        let request = self.post(tool, &arguments).bearer_auth(self.token("docs:read"));
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let body: Value = response.json().await.expect("JSON");
        assert_eq!(status.as_u16(), 200, "{body}");
        body
    }

    /// What a search finds.
    pub(crate) async fn search(&self, arguments: Value) -> Value {
        let mut result = self.result("docs_search", arguments).await;
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].take()
    }

    /// What a fetch gives, if there is such a document.
    pub(crate) async fn fetch(&self, id: &str) -> Option<Value> {
        let mut result = self.result("docs_fetch", json!({ "id": id })).await;
        (result["isError"] == false).then(|| result["structuredContent"].take())
    }

    /// The ids of what a query finds, sorted.
    pub(crate) async fn found(&self, query: &str) -> Vec<String> {
        let found = self.search(json!({ "query": query, "limit": 50 })).await;
        let ids = found["results"].as_array().expect("results").iter();
        let mut ids: Vec<String> = ids.map(|result| result["id"].as_str().expect("an id").to_owned()).collect();
        ids.sort();
        ids
    }

    /// Search again until a query finds exactly this.
    pub(crate) async fn finds(&self, query: &str, expected: &[&str]) {
        let what = format!("{query:?} finds {expected:?}");
        eventually(&what, async || (self.found(query).await == expected).then_some(())).await;
    }

    /// Whether the server is ready, and how the plugin is.
    pub(crate) async fn ready(&self) -> (u16, Value) {
        let response = self.http.get(format!("{}/readyz", self.server.url())).send().await.expect("an answer");
        let status = response.status().as_u16();
        let mut body: Value = response.json().await.expect("JSON");
        (status, body["plugins"]["docs"].take())
    }
}

/// A client that asks nobody on the way, and gives up on a server that hangs.
pub(crate) fn http() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).build().expect("an HTTP client")
}

/// Look again until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
