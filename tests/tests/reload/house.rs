//! A server whose configuration is edited while it runs.

use std::path::PathBuf;

use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::{Value, json};
use toolgate_tests::{
    authority::Authority,
    server::{Launch, PATIENCE, Server},
};

/// What a reload that changed something ends with in the log.
pub(crate) const RELOADED: &str = "reloaded in ";
/// What a reload that was refused ends with.
pub(crate) const REFUSED: &str = "nothing is reloaded; what served before serves on";
/// What a reload that found nothing ends with, if somebody asked for it.
pub(crate) const UNCHANGED: &str = "nothing has changed";

/// The configuration that most tests begin with.
pub(crate) const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"

[auth]
provider = "oauth"
[auth.oauth]
issuer = "${ISSUER}"

[scopes."notes:read"]
[scopes."notes:write"]

[endpoints.notes]
path = "/notes/mcp"
plugins = ["echo"]

[plugins.echo]
builtin = "echo"
[plugins.echo.tools]
echo = { scopes = ["notes:read"] }
"#;

/// A running server, the authorization server that it trusts, and what its configuration says now.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) http: Client,
    authority: Authority,
    config: String,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(CONFIG, |launch| launch).await
    }

    /// With a configuration, and what else there should be.
    pub(crate) async fn with(config: &str, prepare: impl FnOnce(Launch) -> Launch) -> Self {
        let authority = Authority::generic("").await;
        let launch = prepare(Launch::new(config).env("ISSUER", &authority.issuer()));
        let http = Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE).build();
        let http = http.expect("an HTTP client");
        Self { server: launch.start().await, http, authority, config: config.to_owned() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.server.folder().join("config.toml")
    }

    /// Replace the configuration as editors do: another file takes its name.
    pub(crate) fn write(&mut self, config: &str) {
        let beside = self.server.folder().join("config.toml.new");
        std::fs::write(&beside, config).expect("a file in the server's folder");
        std::fs::rename(&beside, self.path()).expect("a file in the server's folder");
        config.clone_into(&mut self.config);
    }

    /// The same with one text in it exchanged for another.
    pub(crate) fn edit(&mut self, from: &str, to: &str) {
        assert!(self.config.contains(from), "{from:?} is not in the configuration");
        let config = self.config.replace(from, to);
        self.write(&config);
    }

    /// How often this stands in the log.
    pub(crate) fn told(&self, part: &str) -> usize {
        self.server.stderr().matches(part).count()
    }

    /// Do something, and wait until the log has told this once more than before. The log since then.
    pub(crate) async fn until(&mut self, part: &str, act: impl AsyncFnOnce(&mut Self)) -> String {
        let (before, length) = (self.told(part), self.server.stderr().len());
        act(self).await;
        self.again(part, before).await;
        self.server.stderr()[length..].to_owned()
    }

    /// Wait until the log has told this more often than that.
    pub(crate) async fn again(&self, part: &str, times: usize) {
        let again = async {
            while self.told(part) <= times {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, again).await;
        assert!(came.is_ok(), "{part:?} does not come once more in {:?}", self.server.stderr());
    }

    /// Exchange one text of the configuration for another and wait until the server has reloaded.
    pub(crate) async fn reload(&mut self, from: &str, to: &str) -> String {
        self.until(RELOADED, async |house: &mut Self| house.edit(from, to)).await
    }

    /// A token with these scopes for this path.
    pub(crate) fn token_for(&self, path: &str, scope: &str) -> String {
        self.authority.token(&json!(format!("{}{path}", self.server.public_url())), &json!({ "scope": scope }))
    }

    pub(crate) fn token(&self, scope: &str) -> String {
        self.token_for("/notes/mcp", scope)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.request(Method::GET, format!("{}{path}", self.server.url()))
    }

    /// The JSON at a path.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// Call `echo`, or what is called so now, through the REST face: the status.
    pub(crate) async fn call(&self, token: &str, tool: &str) -> u16 {
        self.call_at("notes", token, tool).await
    }

    pub(crate) async fn call_at(&self, endpoint: &str, token: &str, tool: &str) -> u16 {
        let request = self.http.post(format!("{}/api/tools/{endpoint}/{tool}", self.server.url()));
        let answer = request.bearer_auth(token).json(&json!({ "text": "x" })).send().await.expect("an answer");
        answer.status().as_u16()
    }

    /// The same through MCP without a session.
    pub(crate) async fn call_mcp(&self, path: &str, token: &str, tool: &str) -> u16 {
        let answer = self.mcp(path, token, "tools/call", json!({ "name": tool, "arguments": { "text": "x" } }));
        let answer = answer.header("mcp-name", tool).send().await.expect("an answer");
        answer.status().as_u16()
    }

    /// A request of the revision without sessions.
    pub(crate) fn mcp(&self, path: &str, token: &str, method: &str, mut params: Value) -> RequestBuilder {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.http
            .post(format!("{}{path}", self.server.url()))
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method)
            .json(&message)
    }

    /// How `/readyz` answers.
    pub(crate) async fn ready(&self) -> (u16, Value) {
        let answer = self.get("/readyz").send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}
