//! The app: every request through the same doors, then the route table.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use http::{HeaderValue, header};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Route,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode, Uri},
};
use tracing::Instrument;
use uuid::Uuid;

use super::{
    backend::{Answers, PassedOn},
    doors::{self, Audience, Doors},
    front,
    mcp_route::McpRoute,
    openapi::Api,
    pages::{Fixed, Page, Read},
    place::{Place, Places},
    refusal::{RequestId, refusal},
    rest,
    state::State,
};
use crate::config::Config;

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
    places: Places,
    routes: BoxEndpoint<'static, Response>,
}

const DEV_AUTH: &str = "/dev/auth";

impl App {
    pub(super) fn new(state: Arc<State>) -> Self {
        let (doors, places) = (Doors::new(&state.config), Places::new(&state.config));
        let api = Api::new(Arc::new(Answers::new(Arc::clone(&state))));
        // Mounted where its operations are: mounted at the root it would have the front page too.
        let api = Arc::new(api.service().into_endpoint());
        let mut routes = Route::new();
        for prefix in ["/.well-known", "/oauth", "/api", "/healthz", "/readyz"] {
            routes = routes.nest_no_strip(prefix, Arc::clone(&api));
        }
        for (name, endpoint) in &state.config.endpoints {
            routes = routes.at(&endpoint.path, McpRoute::new(Arc::clone(&state), name));
        }
        routes = routes
            .at("/api/tools/:endpoint/:tool", CallRoute(Arc::clone(&state)))
            .at("/openapi.json", Read(Page::Document, Arc::clone(&state)))
            .at("/docs", Read(Page::Docs, Arc::clone(&state)))
            .at("/docs/", Read(Page::DocsWithSlash, Arc::clone(&state)))
            .at("/docs/oauth-receiver.html", Read(Page::Receiver, Arc::clone(&state)))
            .at("/docs/assets/:name", Read(Page::Asset, Arc::clone(&state)))
            .at("/assets/:name", Read(Page::File, Arc::clone(&state)))
            .at("/favicon.ico", Read(Page::Icon, Arc::clone(&state)))
            .at("/", front::Front::new(Arc::clone(&state)));
        if let Some(dev) = &state.dev {
            let (oauth, openid) = (dev.oauth_metadata(), dev.openid_configuration());
            routes = routes
                .nest(DEV_AUTH, dev.routes())
                .at(well_known("oauth-authorization-server", &state.config), Fixed::new(&oauth))
                .at(well_known("openid-configuration", &state.config), Fixed::new(&openid));
        }
        Self { doors, places, routes: routes.map_to_response().boxed(), state }
    }

    pub(super) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Gives the request the path that it means, or says where whoever reads it should look instead.
    fn lead_inside(&self, request: &mut Request) -> Option<String> {
        let with_query = |path: &str| match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let target = match self.places.find(request.uri().path()) {
            Place::Path(path) if path == request.uri().path() => return None,
            Place::Path(path) => with_query(path),
            Place::FrontWithoutSlash => return Some(with_query(&format!("{}/", self.state.config.public_url()))),
        };
        let mut parts = request.uri().clone().into_parts();
        // A part of a path and query that was one is one too.
        parts.path_and_query = target.parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        None
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

    async fn answer(&self, kind: Kind, moved: Option<String>, request: Request) -> Response {
        let request_id = RequestId::of(&request);
        if kind != Kind::Health
            && let Err(why) =
                self.doors.host(request.headers(), request.uri().authority().map(|authority| authority.as_str()))
        {
            let (status, error) = why.status();
            let mut refused = refusal(status, error, &why.to_string(), &request_id);
            refused.extensions_mut().insert(front::Stranger);
            return refused;
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
        let response = match moved {
            Some(to) if matches!(method, Method::GET | Method::HEAD) => {
                Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header(header::LOCATION, to).finish()
            }
            Some(_) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            None => self.routes.get_response(request).await,
        };
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
        let came_as = request.uri().path().to_owned();
        let moved = self.lead_inside(&mut request);
        let kind = self.kind(request.uri().path());
        let origin = request.headers().get(header::ORIGIN).cloned();
        let asked = front::Asked::of(&request, came_as);
        let span = tracing::info_span!("request", id = %request_id);
        let answer = AssertUnwindSafe(self.answer(kind, moved, request)).catch_unwind().instrument(span);
        let mut response = answer.await.unwrap_or_else(|_| {
            tracing::error!(request_id = %request_id, "a request made the server panic");
            let text = "the server failed inside; the log has more under this request_id";
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error", text, &request_id)
        });
        response = front::for_people(&self.state.config, asked, &request_id, response).await;
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
