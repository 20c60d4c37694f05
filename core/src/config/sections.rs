//! The sections of `config.toml` as types. Doc comments become the descriptions in
//! `schemas/config.schema.json`, so they speak to the operator.

mod plugins;

use std::{fmt, net::SocketAddr, path::PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

pub use plugins::*;

use super::units::{Duration, Scope, Secret, Size};

/// The whole of `config.toml`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where and how the server listens.
    pub server: Server,
    /// Who vouches for callers.
    pub auth: Auth,
    /// The scopes that tools may ask for, with what each means and implies.
    pub scopes: IndexMap<Scope, ScopeSection>,
    /// The MCP endpoints: each has a path, plugins and a resource identifier of its own.
    pub endpoints: IndexMap<String, Endpoint>,
    /// The plugins: what provides tools, and who may call each tool.
    pub plugins: IndexMap<String, Plugin>,
    /// The audit log: one JSON line for each call and each refusal.
    pub audit: Audit,
    /// The server's own log, on standard error.
    pub log: Log,
    /// Where relative paths start; no key, but where the configuration stands.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Where and how the server listens.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port. Port 0 picks a free one.
    #[schemars(with = "String", extend("format" = "address"), example = "127.0.0.1:10000")]
    pub listen: SocketAddr,
    /// The origin (and path, behind a proxy that adds one) that clients see, without a trailing slash. Default: `http://localhost:<port>`.
    #[schemars(example = "https://mcp.example.com")]
    pub public_url: Option<Url>,
    /// Browser origins, beside our own, whose pages may call.
    pub allowed_origins: Vec<String>,
    /// Host names (with port, if not the default one), beside those of `public_url` and `listen`, under which clients reach the server.
    pub allowed_hosts: Vec<String>,
    /// Largest request body.
    pub max_body: Size,
    /// Most connections at a time.
    #[schemars(range(min = 1))]
    pub max_connections: usize,
    /// How long a client may take to send its request head.
    pub header_timeout: Duration,
    /// Most sessions at a time and endpoint (protocol revisions up to 2025-11-25), and …
    #[schemars(range(min = 1))]
    pub max_sessions: usize,
    /// … how many of them one principal may hold.
    #[schemars(range(min = 1))]
    pub max_sessions_per_principal: usize,
    /// How long a session may be idle: no request unanswered, no call running, no stream open.
    pub session_idle: Duration,
    /// How long calls in flight may go on after the server was told to stop.
    pub drain: Duration,
    /// Where plugins and the development authorization server keep files. Relative to this file.
    pub state_dir: PathBuf,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 10000)),
            public_url: None,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            max_body: Size::mebibytes(4),
            max_connections: 1024,
            header_timeout: Duration::seconds(10),
            max_sessions: 1000,
            max_sessions_per_principal: 100,
            session_idle: Duration::seconds(300),
            drain: Duration::seconds(10),
            state_dir: PathBuf::from("state"),
        }
    }
}

/// Who vouches for callers.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The authorization server: `dev` (embedded, for trying), `scalekit`, `oauth` (any other) or `none`.
    pub provider: ProviderKind,
    /// Settings of the embedded development authorization server.
    pub dev: DevAuthSection,
    /// Scalekit; read only with `provider = "scalekit"`.
    pub scalekit: Option<ScalekitSection>,
    /// Any other authorization server; read only with `provider = "oauth"`.
    pub oauth: Option<OAuthSection>,
}

/// Which kind of authorization server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The embedded development authorization server.
    #[default]
    Dev,
    /// Scalekit.
    Scalekit,
    /// Any authorization server with RFC 8414 metadata or OIDC discovery.
    Oauth,
    /// No authorization: every caller is anonymous.
    None,
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dev => "dev",
            Self::Scalekit => "scalekit",
            Self::Oauth => "oauth",
            Self::None => "none",
        })
    }
}

/// Settings of the embedded development authorization server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DevAuthSection {
    /// Let `dev` or `none` serve a `public_url` that is not loopback: anyone who reaches it can sign in.
    pub allow_public: bool,
    /// Fetch the metadata document of a client whose id is a URL from this machine too, such as `http://localhost:8080/client.json`: for developing a client. Otherwise documents come over https from public addresses alone.
    pub client_metadata_from_loopback: bool,
    /// Keep keys, clients and refresh tokens over restarts, in `server.state_dir`. Otherwise they live in memory.
    pub persist: bool,
    /// How long an access token is valid.
    pub access_token_ttl: Duration,
    /// How long a refresh token is valid.
    pub refresh_token_ttl: Duration,
}

impl Default for DevAuthSection {
    fn default() -> Self {
        Self {
            allow_public: false,
            client_metadata_from_loopback: false,
            persist: false,
            access_token_ttl: Duration::seconds(3600),
            refresh_token_ttl: Duration::seconds(86_400),
        }
    }
}

/// Scalekit as the authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalekitSection {
    /// The environment's URL, such as `https://acme.scalekit.dev`.
    #[schemars(example = "https://acme.scalekit.dev")]
    pub environment_url: Url,
    /// The MCP server's id in the dashboard, `res_…`. Without it the audience must hold the endpoint's resource.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// Further audiences to accept.
    #[serde(default)]
    pub extra_audiences: Vec<String>,
}

/// Any other authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuthSection {
    /// The issuer, exactly as it stands in the authorization server's metadata.
    #[schemars(example = "https://auth.example.com")]
    pub issuer: String,
    /// Audiences to accept, any of. Default: the endpoint's resource.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Signature algorithms to accept.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// How tokens are checked.
    #[serde(default)]
    pub validation: Validation,
    /// Our own credentials at the introspection endpoint (RFC 7662); for `validation = "introspection"`.
    #[serde(default)]
    pub introspection: Option<IntrospectionSection>,
}

fn all_algorithms() -> Vec<Algorithm> {
    Algorithm::ALL.to_vec()
}

impl Algorithm {
    /// All that are supported.
    pub const ALL: [Self; 4] = [Self::RS256, Self::PS256, Self::ES256, Self::EdDSA];
}

/// A signature algorithm (RFC 7518, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[allow(clippy::upper_case_acronyms, reason = "the names are those of RFC 7518")]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// EdDSA on Ed25519.
    EdDSA,
}

/// How tokens are checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// Locally, as JWTs against the provider's keys.
    #[default]
    Jwt,
    /// By asking the provider (RFC 7662).
    Introspection,
}

/// Our credentials at an introspection endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionSection {
    /// Client id.
    #[schemars(example = &"toolgate")]
    pub client_id: String,
    /// Client secret; write `${NAME}` or `${file:/run/secrets/name}`.
    #[schemars(example = "${INTROSPECTION_SECRET}")]
    pub client_secret: Secret,
    /// The endpoint, if the provider's metadata does not name it.
    #[serde(default)]
    pub endpoint: Option<Url>,
}

/// What a scope means.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeSection {
    /// What it lets a caller do, for the consent page.
    pub description: String,
    /// Scopes that it includes.
    pub implies: Vec<Scope>,
}

/// One MCP endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its path, such as `/web-search/mcp`.
    #[schemars(example = "/web-search/mcp")]
    pub path: String,
    /// The plugins whose tools it offers, in this order.
    #[schemars(example = ["web-search"])]
    pub plugins: Vec<String>,
    /// The resource identifier (RFC 8707), byte for byte as tokens carry it. Default: `public_url` + `path`.
    #[serde(default)]
    pub resource: Option<String>,
    /// What a caller without a tool's scopes meets: a challenge to ask for them, or a tool that is not there.
    #[serde(default)]
    pub on_missing_scope: OnMissingScope,
    /// What the first 401 asks for. Default: the scopes that some tool here requires and that imply no other such scope.
    #[serde(default)]
    pub initial_scopes: Option<Vec<Scope>>,
    /// Serve this endpoint's metadata at the root as well.
    #[serde(default)]
    pub default: bool,
    /// Another authorization server for this endpoint alone.
    #[serde(default)]
    pub auth: Option<EndpointAuth>,
}

/// What a caller without a tool's scopes meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingScope {
    /// 403 with the scopes to ask for.
    #[default]
    Challenge,
    /// The tool is left out of lists and called unknown.
    Hide,
}

/// An authorization server for one endpoint: what is not given here comes from `[auth.*]`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointAuth {
    /// The kind of authorization server.
    pub provider: ProviderKind,
    /// As in `[auth.scalekit]`.
    #[serde(default)]
    pub environment_url: Option<Url>,
    /// As in `[auth.scalekit]`.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// As in `[auth.scalekit]`.
    #[serde(default)]
    pub extra_audiences: Option<Vec<String>>,
    /// As in `[auth.oauth]`.
    #[serde(default)]
    pub issuer: Option<String>,
    /// As in `[auth.oauth]`.
    #[serde(default)]
    pub audience: Option<Vec<String>>,
    /// As in `[auth.oauth]`.
    #[serde(default)]
    pub algorithms: Option<Vec<Algorithm>>,
    /// As in `[auth.oauth]`.
    #[serde(default)]
    pub validation: Option<Validation>,
    /// As in `[auth.oauth]`.
    #[serde(default)]
    pub introspection: Option<IntrospectionSection>,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Where records go: `stderr`, or a file's path.
    pub sink: String,
    /// Whether records hold the arguments of calls. They may be private.
    pub arguments: bool,
    /// What happens to a call when the sink cannot keep up.
    pub on_full: OnFull,
    /// How many records may wait for the sink.
    #[schemars(range(min = 1))]
    pub queue: usize,
}

impl Default for Audit {
    fn default() -> Self {
        Self { sink: "stderr".into(), arguments: false, on_full: OnFull::Wait, queue: 1024 }
    }
}

/// What happens to a call when the audit sink cannot keep up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// It waits.
    #[default]
    Wait,
    /// It is answered 503.
    Refuse,
    /// It goes on, unrecorded; the number of lost records is logged.
    Drop,
}

/// The server's own log.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives as in `RUST_LOG`, which wins.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
