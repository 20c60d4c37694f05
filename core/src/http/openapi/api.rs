//! The operations that are there whatever plugins run: metadata, registration, health and the catalogue, each
//! declared once, as handler and as documentation. What they answer comes from a [`Backend`].
//!
//! Must not know: where an answer comes from, and CORS, request ids or limits, which are layers around it.

use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use poem::{Body, IntoResponse, Request, RequestBody, Response};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, Enum, ExtractParamOptions, Object, OpenApi, OpenApiService, Tags,
    payload::Json,
    registry::{MetaMediaType, MetaRequest, MetaResponses, Registry},
    types::{Any, Type},
};
use serde_json::{Map, Value};

/// An answer as it goes out: status, headers and body are kept byte for byte.
pub type Raw = http::Response<Bytes>;

/// Who answers the operations of [`Api`].
///
/// Methods that may refuse get the request whole, so that a layer's extensions (principal, request id) are at hand.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The protected resource metadata (RFC 9728) at the root (`None`), or at the path that follows
    /// `/.well-known/oauth-protected-resource`, which begins with `/` and is not percent-decoded.
    async fn protected_resource(&self, request: &Request, path: Option<&str>) -> Raw;

    /// The authorization server's metadata (RFC 8414), as it publishes it.
    async fn authorization_server_metadata(&self, request: &Request) -> Raw;

    /// The authorization server's OpenID provider configuration, as it publishes it.
    async fn openid_configuration(&self, request: &Request) -> Raw;

    /// Dynamic client registration (RFC 7591). The body is unread: its limit is the backend's to set.
    async fn register(&self, request: &Request, body: Body) -> Raw;

    /// Whether plugins are ready to be called, one by one.
    async fn ready(&self) -> Readiness;

    /// The tools that this caller may see; an error answer goes out as it is.
    async fn catalogue(&self, request: &Request) -> Result<Vec<CatalogueTool>, Raw>;
}

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
    /// Each plugin by its name.
    pub plugins: BTreeMap<String, PluginReadiness>,
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

#[derive(Tags)]
enum Tag {
    /// Where clients learn which authorization server to use.
    Discovery,
    /// Whether the server lives and can do its work.
    Health,
    /// What can be called.
    Catalogue,
}

/// What `…/oauth-protected-resource` answers; documentation of a [`Raw`] answer.
#[derive(ApiResponse)]
pub enum ProtectedResourceAnswer {
    /// The metadata.
    #[oai(status = 200)]
    Found(Json<ProtectedResourceMetadata>),
    /// No endpoint has this resource.
    #[oai(status = 404)]
    NotFound(Json<ErrorBody>),
}

/// What the provider's metadata answers; documentation of a [`Raw`] answer.
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

/// What registration answers; documentation of a [`Raw`] answer.
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

/// What the catalogue answers; documentation of a typed list or of a [`Raw`] refusal.
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

/// A [`Raw`] answer that is documented as `D`.
pub struct Documented<D>(Raw, PhantomData<fn() -> D>);

impl<D> From<Raw> for Documented<D> {
    fn from(raw: Raw) -> Self {
        Self(raw, PhantomData)
    }
}

impl<D> IntoResponse for Documented<D> {
    fn into_response(self) -> Response {
        let (parts, body) = self.0.into_parts();
        let mut response = Response::builder().status(parts.status).body(body);
        *response.headers_mut() = parts.headers;
        response
    }
}

impl<D: ApiResponse> ApiResponse for Documented<D> {
    fn meta() -> MetaResponses {
        D::meta()
    }

    fn register(registry: &mut Registry) {
        D::register(registry);
    }
}

/// The unread body of a registration, documented as [`ClientMetadata`].
struct RegistrationBody(Body);

impl<'a> ApiExtractor<'a> for RegistrationBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        ClientMetadata::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: Some("What the client says of itself."),
            content: vec![MetaMediaType { content_type: "application/json", schema: ClientMetadata::schema_ref() }],
            required: true,
        })
    }

    async fn from_request(
        _request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(body.take()?))
    }
}

const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// The operations that are there whatever plugins run.
pub struct Api {
    backend: Arc<dyn Backend>,
}

impl Api {
    /// The operations, answered by `backend`.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// The service to mount at the root. Its own document is OpenAPI 3.0 and only an input of
    /// [`merge`](super::merge).
    pub fn service(self) -> OpenApiService<Self, ()> {
        OpenApiService::new(self, "Toolgate", env!("CARGO_PKG_VERSION"))
    }
}

#[OpenApi]
impl Api {
    /// The metadata of the protected resource (RFC 9728).
    ///
    /// At the root, for the one endpoint that there is or for the default one.
    #[oai(
        path = "/.well-known/oauth-protected-resource",
        method = "get",
        operation_id = "protectedResourceMetadata",
        tag = "Tag::Discovery"
    )]
    async fn protected_resource(&self, request: &Request) -> Documented<ProtectedResourceAnswer> {
        self.backend.protected_resource(request, None).await.into()
    }

    /// The metadata of one protected resource (RFC 9728).
    ///
    /// The resource's path follows the well-known prefix.
    #[oai(
        path = "/.well-known/oauth-protected-resource/*resource",
        method = "get",
        operation_id = "protectedResourceMetadataOf",
        tag = "Tag::Discovery"
    )]
    async fn protected_resource_of(&self, request: &Request) -> Documented<ProtectedResourceAnswer> {
        let path = request.original_uri().path().strip_prefix(PROTECTED_RESOURCE);
        self.backend.protected_resource(request, path).await.into()
    }

    /// The metadata of the authorization server (RFC 8414).
    ///
    /// For clients of MCP's 2025-03-26 revision, which look for it here; its `issuer` stays.
    #[oai(
        path = "/.well-known/oauth-authorization-server",
        method = "get",
        operation_id = "authorizationServerMetadata",
        tag = "Tag::Discovery"
    )]
    async fn authorization_server(&self, request: &Request) -> Documented<ProviderAnswer> {
        self.backend.authorization_server_metadata(request).await.into()
    }

    /// The authorization server's OpenID provider configuration.
    ///
    /// For clients of MCP's 2025-03-26 revision; its `issuer` stays.
    #[oai(
        path = "/.well-known/openid-configuration",
        method = "get",
        operation_id = "openidConfiguration",
        tag = "Tag::Discovery"
    )]
    async fn openid_configuration(&self, request: &Request) -> Documented<ProviderAnswer> {
        self.backend.openid_configuration(request).await.into()
    }

    /// Register a client (RFC 7591).
    ///
    /// Passed to the authorization server's registration endpoint; its status and body come back as they are.
    #[oai(path = "/oauth/register", method = "post", operation_id = "registerClient", tag = "Tag::Discovery")]
    async fn register(&self, request: &Request, body: RegistrationBody) -> Documented<RegistrationAnswer> {
        self.backend.register(request, body.0).await.into()
    }

    /// The process answers.
    #[oai(path = "/healthz", method = "get", operation_id = "health", tag = "Tag::Health")]
    async fn health(&self) -> Json<Health> {
        Json(Health { status: "ok".to_owned() })
    }

    /// The server can do its work.
    #[oai(path = "/readyz", method = "get", operation_id = "readiness", tag = "Tag::Health")]
    async fn readiness(&self) -> ReadinessAnswer {
        let readiness = self.backend.ready().await;
        if readiness.ready {
            ReadinessAnswer::Ready(Json(readiness))
        } else {
            ReadinessAnswer::NotReady(Json(readiness))
        }
    }

    /// The tools that can be called here.
    ///
    /// With their plugins, endpoints, schemas and the scopes that each requires. No token is needed; with one,
    /// the tools that only this token reaches are shown as well.
    #[oai(path = "/api/tools", method = "get", operation_id = "listTools", tag = "Tag::Catalogue")]
    async fn catalogue(&self, request: &Request) -> Documented<CatalogueAnswer> {
        match self.backend.catalogue(request).await {
            Ok(tools) => json(StatusCode::OK, &poem_openapi::types::ToJSON::to_json(&Catalogue { tools })).into(),
            Err(refusal) => refusal.into(),
        }
    }
}

fn json(status: StatusCode, value: &Option<Value>) -> Raw {
    let body = value.as_ref().map(Value::to_string).unwrap_or_default();
    let mut raw = Raw::new(Bytes::from(body));
    *raw.status_mut() = status;
    raw.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    raw
}

/// The OpenAPI 3.0 document of [`Api`], the `base` of [`Document`](super::Document).
pub fn base_document() -> Value {
    struct Nobody;

    #[async_trait]
    impl Backend for Nobody {
        async fn protected_resource(&self, _: &Request, _: Option<&str>) -> Raw {
            Raw::default()
        }
        async fn authorization_server_metadata(&self, _: &Request) -> Raw {
            Raw::default()
        }
        async fn openid_configuration(&self, _: &Request) -> Raw {
            Raw::default()
        }
        async fn register(&self, _: &Request, _: Body) -> Raw {
            Raw::default()
        }
        async fn ready(&self) -> Readiness {
            Readiness::default()
        }
        async fn catalogue(&self, _: &Request) -> Result<Vec<CatalogueTool>, Raw> {
            Ok(Vec::new())
        }
    }

    serde_json::from_str(&Api::new(Arc::new(Nobody)).service().spec()).unwrap_or_default()
}
