//! What the fixed operations take and give, each type once as data and as documentation. Must not know who answers.

use std::collections::BTreeMap;

use poem_openapi::{ApiResponse, Enum, Object, payload::Json, types::Any};
use serde_json::{Map, Value};

/// The body of every error outside MCP.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "Error")]
pub struct ErrorBody {
    /// A code for programs, such as `invalid_token` (RFC 6750) or `invalid_request`.
    pub error: String,
    /// What went wrong and what to do, for people.
    pub error_description: String,
    /// The request's id, the same as in `X-Request-Id`, the log and the audit.
    pub request_id: String,
}

/// The process answers.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
}

/// Whether the server can do its work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
pub struct Readiness {
    /// All plugins that must run do.
    pub ready: bool,
    /// How the configuration's file stands to what serves.
    pub configuration: ConfigurationReadiness,
    /// Each plugin by its name.
    pub plugins: BTreeMap<String, PluginReadiness>,
}

/// Whether the configuration's file, as it is now, is what serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct ConfigurationReadiness {
    /// How the file stands to what serves.
    pub state: ConfigurationState,
    /// What was found first with its place in the file, or the keys that wait.
    pub detail: Option<String>,
}

/// How the configuration's file stands to what serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ConfigurationState {
    /// It is what serves.
    #[default]
    Current,
    /// It was edited and would not be served; what served before serves on.
    Refused,
    /// It is what serves, but for keys that take effect at the next start.
    Waits,
}

/// Whether one plugin can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct PluginReadiness {
    /// What it is doing.
    pub state: PluginState,
    /// Why, where there is something to say.
    pub detail: Option<String>,
    /// What someone should look at, such as a tool that stays hidden because no rule maps it.
    pub warnings: Vec<String>,
}

/// What a plugin is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum PluginState {
    /// Not yet ready to be called.
    Starting,
    /// Takes calls.
    Ready,
    /// Takes calls, but says that something is wrong.
    Degraded,
    /// Takes no calls.
    Failed,
}

/// One tool of the catalogue.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct CatalogueTool {
    /// The name under which it is called.
    pub tool: String,
    /// The plugin that provides it.
    pub plugin: String,
    /// The endpoint that offers it.
    pub endpoint: String,
    /// A name for people.
    pub title: Option<String>,
    /// What the tool does and when to use it.
    pub description: Option<String>,
    /// JSON Schema (2020-12) of the arguments.
    pub input_schema: Any<Map<String, Value>>,
    /// JSON Schema (2020-12) of the structured result.
    pub output_schema: Option<Any<Map<String, Value>>>,
    /// The scopes that a token needs; empty: any valid token will do.
    pub required_scopes: Vec<String>,
}

/// The tools that can be called here.
#[derive(Debug, Clone, Object)]
pub struct Catalogue {
    /// The tools, in a stable order.
    pub tools: Vec<CatalogueTool>,
}

/// Protected resource metadata (RFC 9728, section 2).
#[derive(Debug, Clone, Object)]
pub struct ProtectedResourceMetadata {
    /// The resource identifier: what a client sends as `resource` and a token carries as its audience.
    pub resource: String,
    /// Issuers of the authorization servers that may be used.
    pub authorization_servers: Option<Vec<String>>,
    /// The scopes to ask for at first.
    pub scopes_supported: Option<Vec<String>>,
    /// How a token is presented: in the header.
    pub bearer_methods_supported: Option<Vec<String>>,
    /// A name for people.
    pub resource_name: Option<String>,
    /// Where to read more.
    pub resource_documentation: Option<String>,
}

/// Authorization server metadata (RFC 8414, section 2); members beyond these are the provider's.
#[derive(Debug, Clone, Object)]
pub struct AuthorizationServerMetadata {
    /// The issuer identifier.
    pub issuer: String,
    /// Where a person signs in.
    pub authorization_endpoint: Option<String>,
    /// Where a code becomes a token.
    pub token_endpoint: Option<String>,
    /// Where a client registers itself (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// The key set.
    pub jwks_uri: Option<String>,
    /// The scopes that can be asked for.
    pub scopes_supported: Option<Vec<String>>,
    /// PKCE methods (RFC 7636).
    pub code_challenge_methods_supported: Option<Vec<String>>,
}

/// Client metadata (RFC 7591, section 2); members beyond these are passed on as they are.
#[derive(Debug, Clone, Object)]
pub struct ClientMetadata {
    /// Where the authorization server may send the person back to.
    #[oai(validator(min_items = 1))]
    pub redirect_uris: Vec<String>,
    /// A name that the person sees on the consent page.
    pub client_name: Option<String>,
    /// How the client authenticates at the token endpoint; `none` for a public client.
    pub token_endpoint_auth_method: Option<String>,
    /// Such as `authorization_code` and `refresh_token`.
    pub grant_types: Option<Vec<String>>,
    /// Such as `code`.
    pub response_types: Option<Vec<String>>,
    /// The scopes that the client may ask for, with blanks between.
    pub scope: Option<String>,
}

/// A registered client (RFC 7591, section 3.2.1); members beyond these are the provider's.
#[derive(Debug, Clone, Object)]
pub struct RegisteredClient {
    /// The client's identifier.
    pub client_id: String,
    /// Its secret, if it is a confidential client.
    pub client_secret: Option<String>,
    /// Where the authorization server may send the person back to.
    pub redirect_uris: Option<Vec<String>>,
}

/// A refused registration (RFC 7591, section 3.2.2).
#[derive(Debug, Clone, Object)]
pub struct RegistrationError {
    /// Such as `invalid_redirect_uri` or `invalid_client_metadata`.
    pub error: String,
    /// For people.
    pub error_description: Option<String>,
}

/// What `…/oauth-protected-resource` answers; documentation of a [`Raw`](super::Raw) answer.
#[derive(ApiResponse)]
pub enum ProtectedResourceAnswer {
    /// The metadata.
    #[oai(status = 200)]
    Found(Json<ProtectedResourceMetadata>),
    /// No endpoint has this resource.
    #[oai(status = 404)]
    NotFound(Json<ErrorBody>),
}

/// What the provider's metadata answers; documentation of a [`Raw`](super::Raw) answer.
#[derive(ApiResponse)]
pub enum ProviderAnswer {
    /// The provider's document, untouched.
    #[oai(status = 200)]
    Found(Json<AuthorizationServerMetadata>),
    /// The provider publishes no such document, or none is configured.
    #[oai(status = 404)]
    NotFound(Json<ErrorBody>),
    /// The provider is out of reach.
    #[oai(status = 503)]
    Unavailable(
        Json<ErrorBody>,
        /// Seconds to wait.
        #[oai(header = "Retry-After")]
        u32,
    ),
}

/// What registration answers; documentation of a [`Raw`](super::Raw) answer.
#[derive(ApiResponse)]
pub enum RegistrationAnswer {
    /// The client is registered.
    #[oai(status = 201)]
    Created(Json<RegisteredClient>),
    /// The provider refuses these metadata.
    #[oai(status = 400)]
    Refused(Json<RegistrationError>),
    /// The provider registers no clients by itself.
    #[oai(status = 404)]
    NotFound(Json<ErrorBody>),
    /// The body is too long.
    #[oai(status = 413)]
    TooLarge(Json<ErrorBody>),
    /// The provider is out of reach.
    #[oai(status = 503)]
    Unavailable(
        Json<ErrorBody>,
        /// Seconds to wait.
        #[oai(header = "Retry-After")]
        u32,
    ),
}

/// What the catalogue answers; documentation of a typed list or of a [`Raw`](super::Raw) refusal.
#[derive(ApiResponse)]
pub enum CatalogueAnswer {
    /// The tools that this caller may see.
    #[oai(status = 200)]
    Found(Json<Catalogue>),
    /// Several credentials, or blanks inside one.
    #[oai(status = 400)]
    BadRequest(Json<ErrorBody>),
    /// The token is not valid.
    #[oai(status = 401)]
    Unauthorized(
        Json<ErrorBody>,
        /// The challenge (RFC 6750, RFC 9728).
        #[oai(header = "WWW-Authenticate")]
        String,
    ),
    /// The token cannot be verified now.
    #[oai(status = 503)]
    Unavailable(
        Json<ErrorBody>,
        /// Seconds to wait.
        #[oai(header = "Retry-After")]
        u32,
    ),
}

/// What health answers.
#[derive(ApiResponse)]
pub enum HealthAnswer {
    /// The process answers.
    #[oai(status = 200)]
    Alive(Json<Health>),
}

/// What readiness answers.
#[derive(ApiResponse)]
pub enum ReadinessAnswer {
    /// The server can do its work.
    #[oai(status = 200)]
    Ready(Json<Readiness>),
    /// Something that must run does not.
    #[oai(status = 503)]
    NotReady(Json<Readiness>),
}
