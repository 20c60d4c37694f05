//! What the fixed operations answer: metadata, registration, readiness, the catalogue.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Body, Endpoint, EndpointExt, Request, Response, endpoint::BoxEndpoint};
use poem_openapi::types::Any;

use super::{
    kept::Kept,
    openapi::{self, Backend, CatalogueTool, Raw, Readiness},
    refusal::{RequestId, raw},
    rest,
    sight::Sight,
    state::State,
    tagged::Tagged,
};
use crate::{
    config::ProviderKind,
    devauth::DevAuth,
    gate::{Challenge, Gate, ProtectedResource},
    host::Registry,
    policy::Face,
    tokens::{MetadataDocument, Passthrough, RegisterError, Verifier},
};

/// Marks an answer as the authorization server's own, which goes out as it came.
#[derive(Clone, Copy)]
pub(super) struct PassedOn;

/// Longest registration, in bytes. It needs no token, so it must cost little to send many.
const LONGEST_REGISTRATION: u64 = 64 * 1024;

/// The answers, from the server's state.
pub(super) struct Answers {
    state: Arc<State>,
    root: Root,
    catalogues: Arc<Kept<Sight, Tagged>>,
}

/// The authorization server that the documents and the registration at the root are about.
enum Root {
    /// The embedded one, with its routes.
    Dev(Arc<DevAuth>, BoxEndpoint<'static, Response>),
    /// One out there.
    Provider(Arc<Verifier>),
    /// None: nobody asks for tokens.
    Open,
}

impl Root {
    fn of(state: &State) -> Self {
        let Some((name, endpoint)) = state.config.root_endpoint() else { return Self::Open };
        match (state.config.provider_kind(endpoint), &state.dev) {
            (ProviderKind::Dev, Some(dev)) => Self::Dev(Arc::clone(dev), dev.routes().map_to_response().boxed()),
            _ => match state.gate.resource(name).and_then(ProtectedResource::verifier) {
                Some(verifier) => Self::Provider(Arc::clone(verifier)),
                None => Self::Open,
            },
        }
    }
}

impl Answers {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { root: Root::of(&state), state, catalogues: Arc::new(Kept::new(Tagged::len)) }
    }

    async fn provider_document(&self, request: &Request, document: MetadataDocument) -> Raw {
        let id = RequestId::of(request);
        let verifier = match &self.root {
            Root::Dev(dev, _) => {
                let value = match document {
                    MetadataDocument::OauthAuthorizationServer => dev.oauth_metadata(),
                    MetadataDocument::OpenidConfiguration => dev.openid_configuration(),
                };
                return json(value.to_string());
            }
            Root::Provider(verifier) => verifier,
            Root::Open => return no_provider(&id),
        };
        match verifier.metadata(document).await {
            Ok(passed) => passed_on(passed),
            Err(error) => {
                // `tokens` says so once, when it begins.
                tracing::debug!(%error, "the authorization server's metadata cannot be had");
                unreachable_provider(&id)
            }
        }
    }
}

fn json(body: String) -> Raw {
    let mut response = Raw::new(Bytes::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn passed_on(passed: Passthrough) -> Raw {
    let mut response = Raw::new(passed.body);
    *response.status_mut() = passed.status;
    response.extensions_mut().insert(PassedOn);
    for (name, value) in [(header::CONTENT_TYPE, passed.content_type), (header::RETRY_AFTER, passed.retry_after)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn no_provider(request_id: &str) -> Raw {
    raw(
        StatusCode::NOT_FOUND,
        "not_found",
        "this server has no authorization server (auth.provider = \"none\")",
        request_id,
    )
}

fn unreachable_provider(request_id: &str) -> Raw {
    let text = "the authorization server cannot be reached now";
    let mut response = raw(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text, request_id);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

#[async_trait]
impl Backend for Answers {
    async fn protected_resource(&self, request: &Request, path: Option<&str>) -> Raw {
        let id = RequestId::of(request);
        let gate = &self.state.gate;
        let name = match path.map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty()) {
            None => self.state.config.default_endpoint().map(|(name, _)| name.to_owned()),
            Some(path) => {
                // No two have one in common: a configuration in which they would is refused.
                let of_resource = gate.resources().find(|(_, resource)| resource.metadata_paths().contains(path));
                let by_path = || self.state.config.endpoints.iter().find(|(_, endpoint)| endpoint.path == path);
                of_resource.map(|(name, _)| name.to_owned()).or_else(|| by_path().map(|(name, _)| name.clone()))
            }
        };
        match name.and_then(|name| gate.metadata(&name)).map(|document| serde_json::to_string(&document)) {
            Some(Ok(document)) => json(document),
            _ => raw(StatusCode::NOT_FOUND, "not_found", "no protected resource has its metadata here", &id),
        }
    }

    async fn authorization_server_metadata(&self, request: &Request) -> Raw {
        self.provider_document(request, MetadataDocument::OauthAuthorizationServer).await
    }

    async fn openid_configuration(&self, request: &Request) -> Raw {
        self.provider_document(request, MetadataDocument::OpenidConfiguration).await
    }

    async fn register(&self, request: &Request, body: Body) -> Raw {
        let id = RequestId::of(request);
        let content_type = request.content_type().map(str::to_owned);
        let body = match rest::bounded(LONGEST_REGISTRATION, None, request.headers(), body).await {
            Ok(body) => body,
            Err(error) => return collect(error.response(&id)).await,
        };
        let verifier = match &self.root {
            Root::Dev(_, routes) => {
                let mut inner = Request::builder().method(http::Method::POST).uri_str("/register");
                if let Some(kind) = &content_type {
                    inner = inner.content_type(kind);
                }
                return collect(routes.get_response(inner.body(body)).await).await;
            }
            Root::Provider(verifier) => verifier,
            Root::Open => return no_provider(&id),
        };
        match verifier.register(body, content_type.as_deref()).await {
            Ok(passed) => passed_on(passed),
            Err(error @ RegisterError::NotOffered) => {
                raw(StatusCode::NOT_FOUND, "registration_not_offered", &error.to_string(), &id)
            }
            Err(error) => {
                tracing::warn!(%error, "a registration could not be passed on");
                unreachable_provider(&id)
            }
        }
    }

    async fn ready(&self) -> Readiness {
        self.state.checkup.readiness(&self.state.registry.load()).await
    }

    async fn catalogue(&self, request: &Request) -> Raw {
        let state = &self.state;
        let id = RequestId::of(request);
        let registry = state.registry.load();
        if let Err(challenge) = self.welcome(&registry, request.headers(), &id).await {
            return challenge.response(&id);
        }
        let sight = Sight::of(&state.gate, &registry, request.headers()).await;
        let state = Arc::clone(state);
        let made = move |registry: &Registry, sight: &Sight| Some(catalogue(&state.gate, registry, sight));
        match self.catalogues.or_made(&registry, sight, made).await {
            Some(made) => made.answer(request.headers()),
            None => raw(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the list could not be made", &id),
        }
    }
}

impl Answers {
    /// No token is needed, but one that opens nothing here deserves to be told why.
    async fn welcome(&self, registry: &Registry, headers: &HeaderMap, id: &Arc<str>) -> Result<(), Challenge> {
        let state = &self.state;
        if !headers.contains_key(header::AUTHORIZATION) {
            return Ok(());
        }
        // One that lets everybody in recognises any token.
        for endpoint in registry.endpoints().filter(|endpoint| is_guarded(&state.gate, endpoint)) {
            if state.gate.recognise(endpoint, headers).await.is_some() {
                return Ok(());
            }
        }
        let guarded = |endpoint: &&str| is_guarded(&state.gate, endpoint);
        let default = state.config.default_endpoint().map(|(name, _)| name).filter(guarded);
        let first = default.or_else(|| registry.endpoints().find(guarded));
        match first {
            Some(name) => state.gate.authenticate(name, headers, Face::Rest, id).await.map(drop),
            None => Ok(()),
        }
    }
}

/// Whether an endpoint asks for tokens.
fn is_guarded(gate: &Gate, endpoint: &str) -> bool {
    gate.resource(endpoint).is_some_and(|resource| resource.verifier().is_some())
}

/// The catalogue as somebody may see it.
fn catalogue(gate: &Gate, registry: &Registry, sight: &Sight) -> Tagged {
    let tools = registry.endpoints().flat_map(|endpoint| {
        let guarded = is_guarded(gate, endpoint);
        sight.tools(registry, endpoint).map(move |offered| CatalogueTool {
            tool: offered.tool.name.clone(),
            plugin: offered.policy.plugin.to_string(),
            endpoint: endpoint.to_owned(),
            title: offered.tool.title.clone(),
            description: offered.tool.description.clone(),
            input_schema: Any((*offered.tool.input_schema).clone()),
            output_schema: offered.tool.output_schema.as_ref().map(|schema| Any((**schema).clone())),
            required_scopes: if guarded {
                offered.policy.requirement.scopes().iter().map(ToString::to_string).collect()
            } else {
                Vec::new()
            },
        })
    });
    Tagged::new("application/json", openapi::catalogue(tools.collect()))
}

async fn collect(response: Response) -> Raw {
    let (head, body) = response.into_parts();
    let mut collected = Raw::new(body.into_bytes().await.unwrap_or_default());
    *collected.status_mut() = head.status;
    *collected.headers_mut() = head.headers;
    collected
}
