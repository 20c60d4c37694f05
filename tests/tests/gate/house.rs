//! A server with its authorization server: one house for each provider, all with the same tools.
//!
//! The tools are four echoes under other names: `read` and `write` need a scope each, `open` any valid token, and
//! `limited` may be called once a minute.

use std::sync::LazyLock;

use serde_json::{Value, json};
use toolgate_tests::{
    authority::{Authority, CLIENT_ID, CLIENT_SECRET},
    server::{Launch, PATIENCE, Server},
};

use crate::reply::Reply;

/// The resource behind authorization servers outside.
pub(crate) const RESOURCE: &str = "https://mcp.example.com/web-search/mcp";
/// Its id at Scalekit.
pub(crate) const RESOURCE_ID: &str = "res_1001";
/// Where the endpoint is.
pub(crate) const PATH: &str = "/web-search/mcp";

const READ: &str = "web-search:read";
const WRITE: &str = "web-search:write";

const TOOLS: &str = r#"
[scopes."web-search:read"]
description = "Look"

[scopes."web-search:write"]
description = "Touch"
implies = ["web-search:read"]

[plugins.reading]
builtin = "echo"
tools.echo = { name = "read", scopes = ["web-search:read"] }

[plugins.writing]
builtin = "echo"
tools.echo = { name = "write", scopes = ["web-search:write"] }

[plugins.opening]
builtin = "echo"
tools.echo = { name = "open", scopes = [] }

[plugins.limiting]
builtin = "echo"
tools.echo = { name = "limited", scopes = [], rate = "1/min" }
"#;

const ENDPOINT: &str = r#"
[endpoints.web-search]
path = "/web-search/mcp"
plugins = ["reading", "writing", "opening", "limiting"]
"#;

/// Scopes, tools and the endpoint, with more lines for the endpoint.
pub(crate) fn tools(endpoint: &str) -> String {
    format!("{TOOLS}{ENDPOINT}{endpoint}\n")
}

/// A whole configuration around these lines for `[server]` and these sections.
pub(crate) fn config(server: &str, sections: &str) -> String {
    format!("[server]\nlisten = \"127.0.0.1:0\"\n{server}\n{sections}\n")
}

/// The `[auth]` of a Scalekit environment.
pub(crate) fn scalekit_auth(authority: &Authority) -> String {
    let url = authority.url();
    format!(
        "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"{url}\"\nresource_id = \"{RESOURCE_ID}\"\n"
    )
}

/// The `[auth]` of any other authorization server.
pub(crate) fn oauth_auth(authority: &Authority) -> String {
    format!("[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"{}\"\n", authority.issuer())
}

/// The same with introspection.
pub(crate) fn introspection_auth(authority: &Authority) -> String {
    format!(
        "{}validation = \"introspection\"\nintrospection = {{ client_id = \"{CLIENT_ID}\", client_secret = \"{CLIENT_SECRET}\" }}\n",
        oauth_auth(authority)
    )
}

/// The endpoint's `resource`, for configurations whose tokens come from outside.
pub(crate) fn resource_line() -> String {
    format!("resource = \"{RESOURCE}\"")
}

/// Who vouches in a house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    Dev,
    Scalekit,
    OAuth,
    Introspection,
    None,
}

impl Provider {
    /// Those that ask for tokens.
    pub(crate) const ASKING: [Self; 4] = [Self::Dev, Self::Scalekit, Self::OAuth, Self::Introspection];
}

/// A server and who vouches for its callers.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) provider: Provider,
    authority: Option<Authority>,
}

impl House {
    /// Build one.
    pub(crate) async fn of(provider: Provider) -> Self {
        let authority = match provider {
            Provider::Dev | Provider::None => None,
            Provider::Scalekit => Some(Authority::scalekit(RESOURCE_ID).await),
            Provider::OAuth | Provider::Introspection => Some(Authority::generic("/tenant").await),
        };
        let (auth, endpoint) = match (&authority, provider) {
            (None, Provider::Dev) => ("[auth]\nprovider = \"dev\"\n".to_owned(), String::new()),
            (None, _) => ("[auth]\nprovider = \"none\"\n".to_owned(), String::new()),
            (Some(authority), Provider::Scalekit) => (scalekit_auth(authority), resource_line()),
            (Some(authority), Provider::Introspection) => (introspection_auth(authority), resource_line()),
            (Some(authority), _) => (oauth_auth(authority), resource_line()),
        };
        let config = config("", &format!("{auth}{}", tools(&endpoint)));
        let server = Launch::new(&config).start().await;
        Self { server, provider, authority }
    }

    /// The authorization server outside.
    pub(crate) fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("an authorization server outside")
    }

    /// An ordinary token with this scope.
    pub(crate) async fn token(&self, scope: &str) -> String {
        match self.provider {
            Provider::None => "anything".to_owned(),
            Provider::Dev => register_machine(&self.server).await.token(&self.server, scope).await,
            Provider::Scalekit => self.authority().token(&json!([RESOURCE, RESOURCE_ID]), &json!({ "scope": scope })),
            Provider::OAuth => self.authority().token(&json!(RESOURCE), &json!({ "scope": scope })),
            Provider::Introspection => {
                let token = format!("opaque.{}", scope.replace([' ', ':'], "-"));
                let over = json!({ "scope": scope });
                self.authority().activate(&token, &self.authority().claims(&json!(RESOURCE), &over));
                token
            }
        }
    }

    /// A token that may read.
    pub(crate) async fn reader(&self) -> String {
        self.token(READ).await
    }

    /// A token that may write, and by implication read.
    pub(crate) async fn writer(&self) -> String {
        self.token(WRITE).await
    }

    /// Where the endpoint's metadata is.
    pub(crate) fn metadata_url(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource{PATH}", self.server.public_url())
    }
}

/// A client of the development authorization server that signs in for itself.
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Register one.
pub(crate) async fn register_machine(server: &Server) -> Machine {
    let registration = json!({
        "client_name": "a machine", "grant_types": ["client_credentials"], "response_types": [],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let request = client().post(format!("{}/dev/auth/register", server.url())).json(&registration);
    let registered = Reply::of(request.send().await.expect("a registration")).await.json();
    let text = |name: &str| registered[name].as_str().expect("an id and a secret").to_owned();
    Machine { id: text("client_id"), secret: text("client_secret") }
}

impl Machine {
    /// A token with this scope.
    pub(crate) async fn token(&self, server: &Server, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.id),
            ("client_secret", &self.secret),
            ("scope", scope),
            ("resource", &format!("{}{PATH}", server.public_url())),
        ];
        let request = client().post(format!("{}/dev/auth/token", server.url())).form(&form);
        let issued = Reply::of(request.send().await.expect("a token")).await;
        issued.json()["access_token"].as_str().unwrap_or_else(|| panic!("no token in {issued:?}")).to_owned()
    }
}

/// Through which face a tool is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Mcp,
    Rest,
}

impl Face {
    pub(crate) const BOTH: [Self; 2] = [Self::Mcp, Self::Rest];

    /// As audit records name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Rest => "rest",
        }
    }

    /// The path that a tool is called at.
    pub(crate) fn path(self, tool: &str) -> String {
        match self {
            Self::Mcp => PATH.to_owned(),
            Self::Rest => format!("/api/tools/web-search/{tool}"),
        }
    }

    /// What a successful call gave back.
    pub(crate) fn result(self, reply: &Reply) -> Value {
        let mut body = reply.json();
        match self {
            Self::Mcp => body["result"].take(),
            Self::Rest => body,
        }
    }
}

/// The message of a call in the newest revision, which needs no session.
pub(crate) fn message(tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    })
}

/// A client that goes straight to where it is sent, and no further.
pub(crate) fn client() -> &'static reqwest::Client {
    // No connections are kept: each test has a runtime of its own, and a connection dies with the one that made it.
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let builder =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        builder.pool_max_idle_per_host(0).build().expect("a client")
    });
    &CLIENT
}

/// A call of one of the echoes, ready to be sent or changed.
pub(crate) fn request(server: &Server, face: Face, tool: &str, arguments: &Value) -> reqwest::RequestBuilder {
    let request = client().post(format!("{}{}", server.url(), face.path(tool)));
    match face {
        Face::Rest => request.json(arguments),
        Face::Mcp => request
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .json(&message(tool, arguments)),
    }
}

/// Call one of the echoes with these `Authorization` headers.
pub(crate) async fn call(server: &Server, face: Face, tool: &str, authorization: &[&str]) -> Reply {
    let mut request = request(server, face, tool, &json!({ "text": "hello" }));
    for value in authorization {
        request = request.header("authorization", *value);
    }
    Reply::of(request.send().await.expect("an answer")).await
}

/// Call one of the echoes with this token.
pub(crate) async fn call_with(server: &Server, face: Face, tool: &str, token: &str) -> Reply {
    call(server, face, tool, &[&format!("Bearer {token}")]).await
}

/// The call went through, and its text came back.
pub(crate) fn assert_echoed(face: Face, reply: &Reply, row: &str) {
    assert_eq!(reply.status, 200, "{row}: {reply:?}");
    assert_eq!(face.result(reply)["structuredContent"], json!({ "text": "hello" }), "{row}: {reply:?}");
}
