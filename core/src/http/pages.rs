//! What is read with GET and needs no token: the OpenAPI document, the page around it, the files of the front page, fixed
//! documents.

use std::sync::Arc;

use http::{HeaderValue, header};
use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{Method, StatusCode},
};

use super::{front, openapi, refusal, sight::Sight, state::State, tagged::is_known};

/// A document that does not change.
pub(super) struct Fixed(bytes::Bytes);

impl Fixed {
    pub(super) fn new(document: &serde_json::Value) -> Self {
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

/// Which page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Page {
    Document,
    Docs,
    /// The same, as somebody types it. Its links hold without the slash alone.
    DocsWithSlash,
    Receiver,
    Asset,
    /// A file of the front page.
    File,
    Icon,
}

/// A page that is read.
pub(super) struct Read(pub(super) Page, pub(super) Arc<State>);

impl Endpoint for Read {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        let state = &self.1;
        Ok(match self.0 {
            Page::Document => document(state, &request).await,
            Page::Docs => docs(state).await,
            // Relative, so that it also leads there behind a proxy that adds a prefix.
            Page::DocsWithSlash => {
                StatusCode::PERMANENT_REDIRECT.with_header(header::LOCATION, "../docs").into_response()
            }
            Page::Receiver => receiver(),
            Page::Asset => asset(&request),
            Page::File => file(&request),
            Page::Icon => icon(),
        })
    }
}

/// `GET /openapi.json`: no token is needed; with one, it also shows the tools that only this token reaches.
async fn document(state: &State, request: &Request) -> Response {
    state.documents.learn().await;
    let registry = state.registry.load();
    let sight = Sight::of(&state.gate, &registry, request.headers()).await;
    match state.documents.seen(&registry, sight).await {
        Some(made) => refusal::poem(made.text.answer(request.headers())),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn docs(state: &State) -> Response {
    state.documents.learn().await;
    html(openapi::docs_page(&state.documents.page(&state.registry.load())))
}

/// Its address holds a code when it is opened.
fn receiver() -> Response {
    let mut response = html(openapi::page::receiver_page());
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

fn html(page: openapi::page::Rendered) -> Response {
    // Made of the configuration, whose addresses may be anything.
    let Ok(policy) = HeaderValue::try_from(page.content_security_policy) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = Response::builder().content_type("text/html; charset=utf-8").body(page.html);
    front::guard(response.headers_mut(), policy);
    response
}

fn asset(request: &Request) -> Response {
    let name = request.path_params::<String>().unwrap_or_default();
    let Some(asset) = openapi::asset(&name) else { return StatusCode::NOT_FOUND.into_response() };
    if is_known(request.headers(), &asset.etag) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    Response::builder()
        .content_type(asset.content_type)
        .header("etag", asset.etag)
        .header("cache-control", "no-cache")
        .body(asset.body)
}

/// A file whose name changes with what is in it.
fn file(request: &Request) -> Response {
    let name = request.path_params::<String>().unwrap_or_default();
    let Some(file) = front::FILES.named(&name) else { return StatusCode::NOT_FOUND.into_response() };
    Response::builder()
        .content_type(file.content_type)
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .body(file.body.clone())
}

/// Where browsers look for an icon of what is no page.
fn icon() -> Response {
    let icon = &front::FILES.icon;
    Response::builder()
        .content_type(icon.content_type)
        .header(header::CACHE_CONTROL, "public, max-age=86400")
        .body(icon.body.clone())
}
