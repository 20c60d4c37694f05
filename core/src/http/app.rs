//! The app: every request through the same doors, then the route table.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use http::{HeaderValue, header};
use http_body_util::BodyExt;
use poem::{
    Body, Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Route,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode},
};
use tracing::Instrument;
use uuid::Uuid;

use super::{
    backend::{Answers, PassedOn},
    document::Documents,
    doors::{self, Audience, Doors},
    openapi::{self, Api},
    refusal::{self, RequestId, refusal},
    rest,
};
use crate::{
    config::{Config, OnMissingScope},
    devauth::DevAuth,
    gate::Gate,
    host::Current,
    mcp::{self, Answer, Exchange},
    policy::Face,
    telemetry::audit::Audit,
};

/// What the routes stand on.
pub(super) struct State {
    pub(super) config: Config,
    pub(super) registry: Current,
    pub(super) gate: Gate,
    pub(super) audit: Audit,
    pub(super) endpoints: HashMap<String, mcp::Endpoint>,
    pub(super) dev: Option<Arc<DevAuth>>,
    pub(super) documents: Documents,
}

/// Which page of ours a path is, for the doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Health,
    Guarded,
    Open,
    DevAuth,
}

/// The whole app.
pub(super) struct App {
    state: Arc<State>,
    doors: Doors,
    routes: BoxEndpoint<'static, Response>,
}

const DEV_AUTH: &str = "/dev/auth";

impl App {
    pub(super) fn new(state: Arc<State>) -> Self {
        let doors = Doors::new(&state.config);
        let api = Api::new(Arc::new(Answers::new(Arc::clone(&state))));
        // Mounted where its operations are: mounted at the root it would have the front page too.
        let api = Arc::new(api.service().into_endpoint());
        let mut routes = Route::new();
        for prefix in ["/.well-known", "/oauth", "/api", "/healthz", "/readyz"] {
            routes = routes.nest_no_strip(prefix, Arc::clone(&api));
        }
        for (name, endpoint) in &state.config.endpoints {
            routes = routes.at(&endpoint.path, McpRoute { state: Arc::clone(&state), endpoint: name.clone() });
        }
        routes = routes
            .at("/api/tools/:endpoint/:tool", CallRoute(Arc::clone(&state)))
            .at("/openapi.json", DocumentRoute(Arc::clone(&state)))
            .at("/docs", Pages(Arc::clone(&state), docs))
            .at("/docs/oauth-receiver.html", Pages(Arc::clone(&state), receiver))
            .at("/docs/assets/:name", Pages(Arc::clone(&state), asset))
            .at("/", Pages(Arc::clone(&state), front));
        if let Some(dev) = &state.dev {
            let (oauth, openid) = (dev.oauth_metadata(), dev.openid_configuration());
            routes = routes
                .nest(DEV_AUTH, dev.routes())
                .at(well_known("oauth-authorization-server", &state.config), Fixed::new(&oauth))
                .at(well_known("openid-configuration", &state.config), Fixed::new(&openid));
        }
        Self { doors, routes: routes.map_to_response().boxed(), state }
    }

    fn kind(&self, path: &str) -> Kind {
        if matches!(path, "/healthz" | "/readyz") {
            Kind::Health
        } else if path.starts_with("/dev/auth/") {
            Kind::DevAuth
        } else if path.starts_with("/api/")
            || self.state.config.endpoints.values().any(|endpoint| endpoint.path == path)
        {
            Kind::Guarded
        } else {
            Kind::Open
        }
    }

    async fn answer(&self, kind: Kind, request: Request) -> Response {
        let request_id = RequestId::of(&request);
        if kind != Kind::Health
            && let Err(why) =
                self.doors.host(request.headers(), request.uri().authority().map(|authority| authority.as_str()))
        {
            let (status, error) = why.status();
            return refusal(status, error, &why.to_string(), &request_id);
        }
        if kind == Kind::Guarded
            && let Err(why) = self.doors.origin(request.headers())
        {
            return refusal(StatusCode::FORBIDDEN, "forbidden_origin", &why, &request_id);
        }
        if kind != Kind::DevAuth && doors::is_preflight(request.method(), request.headers()) {
            let mut response = StatusCode::NO_CONTENT.into_response();
            doors::preflight(request.headers(), response.headers_mut());
            return response;
        }
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let response = self.routes.get_response(request).await;
        self.worded(&path, &method, response, &request_id)
    }

    /// poem's own errors are plain text, and its 405 says nothing of what is allowed (RFC 9110 section 15.5.6).
    fn worded(&self, path: &str, method: &Method, response: Response, request_id: &str) -> Response {
        if response.extensions().get::<PassedOn>().is_some() {
            return response;
        }
        let ours = response.content_type().is_some_and(|kind| !kind.starts_with("text/plain"));
        match response.status() {
            StatusCode::NOT_FOUND if !ours => {
                let text = format!("there is nothing at \"{path}\"; see /docs");
                refusal(StatusCode::NOT_FOUND, "not_found", &text, request_id)
            }
            StatusCode::METHOD_NOT_ALLOWED if !response.headers().contains_key(header::ALLOW) => {
                let allowed = match path {
                    "/oauth/register" => "POST, OPTIONS",
                    path if path.starts_with("/api/tools/") => "POST, OPTIONS",
                    _ => "GET, HEAD, OPTIONS",
                };
                let text = format!("\"{path}\" does not take {method}");
                let mut worded = refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &text, request_id);
                worded.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
                worded
            }
            status if status.is_client_error() && !ours => {
                let text = status.canonical_reason().unwrap_or("the request does not fit").to_lowercase();
                refusal(status, "invalid_request", &text, request_id)
            }
            _ => response,
        }
    }
}

impl Endpoint for App {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let request_id: Arc<str> = Uuid::now_v7().to_string().into();
        request.extensions_mut().insert(RequestId(Arc::clone(&request_id)));
        let kind = self.kind(request.uri().path());
        let origin = request.headers().get(header::ORIGIN).cloned();
        let span = tracing::info_span!("request", id = %request_id);
        let answer = AssertUnwindSafe(self.answer(kind, request)).catch_unwind().instrument(span);
        let mut response = answer.await.unwrap_or_else(|_| {
            tracing::error!(request_id = %request_id, "a request made the server panic");
            let text = "the server failed inside; the log has more under this request_id";
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error", text, &request_id)
        });
        let audience = match kind {
            Kind::Guarded => Audience::Allowed,
            Kind::Open | Kind::Health => Audience::Anyone,
            Kind::DevAuth => Audience::Own,
        };
        self.doors.expose(audience, origin.as_ref(), response.headers_mut());
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response.headers_mut().entry("x-content-type-options").or_insert(HeaderValue::from_static("nosniff"));
        Ok(response)
    }
}

/// The path of a document about the development authorization server (RFC 8414 section 3.1).
fn well_known(name: &str, config: &Config) -> String {
    let issuer = format!("{}{DEV_AUTH}", config.public_url());
    let path = url::Url::parse(&issuer).map_or_else(|_| DEV_AUTH.to_owned(), |url| url.path().to_owned());
    format!("/.well-known/{name}{path}")
}

/// `POST`, `GET` and `DELETE` of one MCP endpoint.
struct McpRoute {
    state: Arc<State>,
    endpoint: String,
}

impl Endpoint for McpRoute {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let state = &self.state;
        let request_id = RequestId::of(&request);
        let Some(endpoint) = state.endpoints.get(&self.endpoint) else {
            return Ok(StatusCode::NOT_FOUND.into_response());
        };
        let principal = match state.gate.authenticate(&self.endpoint, request.headers(), Face::Mcp, &request_id).await {
            Ok(principal) => principal,
            Err(challenge) => return Ok(refusal::poem(challenge.response(&request_id))),
        };
        let unread = request.take_body();
        let body = match rest::body(state, request.headers(), unread).await {
            Ok(body) => body,
            Err(error) => return Ok(error.response(state, &request_id)),
        };
        let mut head = http::Request::builder().method(request.method().clone()).uri(request.uri().clone());
        if let Some(headers) = head.headers_mut() {
            *headers = std::mem::take(request.headers_mut());
            // The token ends here: nothing behind the gate sees it.
            headers.remove(header::AUTHORIZATION);
        }
        let Ok(head) = head.body(()) else { return Ok(StatusCode::BAD_REQUEST.into_response()) };
        let (head, ()) = head.into_parts();
        let exchange = Exchange { principal, request_id: Arc::clone(&request_id), head, body };
        Ok(match endpoint.exchange(exchange).await {
            Answer::Response(response) => from_mcp(response),
            Answer::Unrecordable => refusal::poem(state.gate.overloaded(&self.endpoint).response(&request_id)),
            Answer::Refused(refused) => match state.gate.challenge(&self.endpoint, &refused) {
                Some(challenge) => refusal::poem(challenge.response(&request_id)),
                None => StatusCode::NOT_FOUND.into_response(),
            },
        })
    }
}

fn from_mcp(response: http::Response<mcp::Body>) -> Response {
    let (head, body) = response.into_parts();
    let body = body.map_err(|never| match never {}).boxed();
    let mut response = Response::builder().status(head.status).body(Body::from(body));
    *response.headers_mut() = head.headers;
    response
}

/// `POST /api/tools/{endpoint}/{tool}`.
struct CallRoute(Arc<State>);

impl Endpoint for CallRoute {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if request.method() != Method::POST {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        let (endpoint, tool) = request.path_params::<(String, String)>()?;
        Ok(rest::call(&self.0, &endpoint, &tool, request).await)
    }
}

/// A document that does not change.
struct Fixed(bytes::Bytes);

impl Fixed {
    fn new(document: &serde_json::Value) -> Self {
        Self(document.to_string().into())
    }
}

impl Endpoint for Fixed {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        Ok(Response::builder().content_type("application/json").body(self.0.clone()))
    }
}

/// `GET /openapi.json`: no token is needed; with one, it also shows the tools that only this token reaches.
struct DocumentRoute(Arc<State>);

impl Endpoint for DocumentRoute {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        let state = &self.0;
        let registry = state.registry.load();
        let mut callers = HashMap::new();
        let hides =
            state.config.endpoints.iter().filter(|(_, endpoint)| endpoint.on_missing_scope == OnMissingScope::Hide);
        for (name, _) in hides {
            if let Some(principal) = state.gate.recognise(name, request.headers()).await {
                callers.insert(name.clone(), principal);
            }
        }
        let text = if callers.is_empty() {
            state.documents.public(&registry)
        } else {
            state.documents.seen_by(&registry, &callers)
        };
        Ok(Response::builder().content_type("application/json").body(text))
    }
}

/// A page that is read with GET.
struct Pages(Arc<State>, fn(&State, &Request) -> Response);

impl Endpoint for Pages {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        Ok((self.1)(&self.0, &request))
    }
}

fn html(page: openapi::page::Rendered) -> Response {
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header("content-security-policy", page.content_security_policy)
        .header("referrer-policy", "no-referrer")
        .header("x-frame-options", "DENY")
        .body(page.html)
}

fn docs(state: &State, _request: &Request) -> Response {
    html(openapi::docs_page(&state.documents.page(state)))
}

fn receiver(_state: &State, _request: &Request) -> Response {
    html(openapi::page::receiver_page())
}

fn asset(_state: &State, request: &Request) -> Response {
    let name = request.path_params::<String>().unwrap_or_default();
    let Some(asset) = openapi::asset(&name) else { return StatusCode::NOT_FOUND.into_response() };
    if request.header(header::IF_NONE_MATCH) == Some(asset.etag.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    Response::builder()
        .content_type(asset.content_type)
        .header("etag", asset.etag)
        .header("cache-control", "no-cache")
        .body(asset.body)
}

fn front(_state: &State, _request: &Request) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header("location", "docs").body(())
}
