//! The operations that are there whatever plugins run: metadata, registration, health and the catalogue, each
//! declared once, as handler and as documentation. What they answer comes from a [`Backend`].
//!
//! Must not know: where an answer comes from, and CORS, request ids or limits, which are layers around it.

use std::{marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use poem::{Body, IntoResponse, Request, RequestBody, Response};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, OpenApi, OpenApiService, Tags,
    payload::Json,
    registry::{MetaMediaType, MetaRequest, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use serde_json::Value;

use super::shapes::{
    Catalogue, CatalogueAnswer, CatalogueTool, ClientMetadata, Health, HealthAnswer, ProtectedResourceAnswer,
    ProviderAnswer, Readiness, ReadinessAnswer, RegistrationAnswer,
};

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

    /// The tools that this caller may see, as [`catalogue`] writes them, or a refusal.
    async fn catalogue(&self, request: &Request) -> Raw;
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
        *response.extensions_mut() = parts.extensions;
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
        let path = request.uri().path().strip_prefix(PROTECTED_RESOURCE);
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

    /// Is the process alive?
    ///
    /// For a supervisor that restarts what does not answer; it says nothing of plugins.
    #[oai(path = "/healthz", method = "get", operation_id = "health", tag = "Tag::Health")]
    async fn health(&self) -> HealthAnswer {
        HealthAnswer::Alive(Json(Health { status: "ok".to_owned() }))
    }

    /// Can the server do its work?
    ///
    /// For a load balancer: 503 as long as a plugin that must run does not. Tells the state of every plugin, and whether
    /// the configuration's file is what serves.
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
        self.backend.catalogue(request).await.into()
    }
}

/// The catalogue as it is answered: JSON.
pub fn catalogue(tools: Vec<CatalogueTool>) -> String {
    Catalogue { tools }.to_json_string()
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
        async fn catalogue(&self, _: &Request) -> Raw {
            Raw::default()
        }
    }

    serde_json::from_str(&Api::new(Arc::new(Nobody)).service().spec()).unwrap_or_default()
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
