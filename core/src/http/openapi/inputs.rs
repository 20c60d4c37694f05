//! What the document is made of, as plain data: the server, its endpoints and tools, and how a token is had. Must not
//! know where they come from.

use serde_json::{Map, Value};

/// What the document is made of.
#[derive(Debug, Clone)]
pub struct Document {
    /// Origin and path prefix under which clients reach the server, without a slash at the end; `/` if nobody has said
    /// so: then the document is about where it was fetched.
    pub server_url: String,
    /// Version of the server.
    pub version: String,
    /// The fixed operations, OpenAPI 3.0: [`base_document`](super::base_document).
    pub base: Value,
    /// The tools, in a stable order.
    pub tools: Vec<ToolOperation>,
    /// The endpoints that the tools belong to.
    pub endpoints: Vec<EndpointOperations>,
    /// The authorization servers, each under the name of its security scheme.
    pub security: Vec<(String, SecurityScheme)>,
    /// What the refusals say that every tool may give; 401 and 403 where a token is asked for.
    pub refusals: Vec<Refused>,
}

/// What one endpoint adds to the document.
#[derive(Debug, Clone)]
pub struct EndpointOperations {
    /// Its name, the first segment of its tools' paths.
    pub name: String,
    /// The security scheme of its tools, one of [`Document::security`]; `None`: no token is asked for.
    pub scheme: Option<String>,
    /// Where its RFC 9728 document is, below `/.well-known/oauth-protected-resource`: `/web-search/mcp`.
    pub metadata_paths: Vec<String>,
}

/// One tool at one endpoint.
#[derive(Debug, Clone)]
pub struct ToolOperation {
    /// The endpoint that offers it.
    pub endpoint: String,
    /// The plugin that provides it.
    pub plugin: String,
    /// The name under which it is called.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it does and when to use it.
    pub description: Option<String>,
    /// JSON Schema (2020-12) of the arguments.
    pub input_schema: Map<String, Value>,
    /// JSON Schema (2020-12) of the structured result.
    pub output_schema: Option<Map<String, Value>>,
    /// The scopes that a token needs, all of them.
    pub scopes: Vec<String>,
    /// Its schemas are run in a process of their own alone: they are shown here, and no example is made of them.
    pub foreign: bool,
    /// The tool says that it changes nothing.
    pub read_only: bool,
    /// What refusals of its own say, in place of those that every tool may give.
    pub refusals: Vec<Refused>,
}

/// What a refusal says, as whoever writes it writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The code: `error`.
    pub error: String,
    /// For people: `error_description`.
    pub description: String,
}

/// How a token is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityScheme {
    /// OAuth 2.1, authorization code with PKCE.
    OAuth2 {
        /// Where a person signs in.
        authorization_url: String,
        /// Where a code becomes a token.
        token_url: String,
        /// Where a refresh token becomes a token, if that is somewhere else.
        refresh_url: Option<String>,
        /// Scopes and what they allow. Scopes that tools require and that are missing here are added.
        scopes: Vec<(String, String)>,
    },
    /// An OpenID provider, by the address of its configuration.
    OpenIdConnect {
        /// The address, ending in `/.well-known/openid-configuration`.
        url: String,
    },
    /// A bearer token from an authorization server whose metadata are not known (yet).
    Bearer,
}
