//! `GET /`: what runs here, how it is, its tools, and how to connect. One address, as a page or as JSON.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, header};
use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{Method, StatusCode},
};

use super::{links::root, negotiate::wants_page, page, summary::summary};
use crate::{
    host::Registry,
    http::{kept::Kept, openapi::Readiness, refusal, sight::Sight, state::State, tagged::Tagged},
};

/// The front page, with what was made of it.
pub(in crate::http) struct Front {
    state: Arc<State>,
    kept: Arc<Kept<Asked, Tagged>>,
}

/// What makes one answer another than the next.
#[derive(PartialEq, Eq)]
struct Asked {
    /// JSON without one.
    page: Option<page::Place>,
    sight: Sight,
    readiness: Readiness,
}

impl Front {
    pub(in crate::http) fn new(state: Arc<State>) -> Self {
        Self { state, kept: Arc::new(Kept::new(Tagged::len)) }
    }

    async fn answer(&self, request: &Request) -> Option<http::Response<Bytes>> {
        let state = &self.state;
        let registry = state.registry.load();
        let headers = request.headers();
        let sight = Sight::of(&state.gate, &registry, headers).await;
        let readiness = state.checkup.readiness(&registry).await;
        let shared = Arc::clone(state);
        if !wants_page(headers) {
            let asked = Asked { page: None, sight, readiness };
            let make = move |registry: &Registry, asked: &Asked| {
                let text = summary(&shared, registry, &asked.sight, &asked.readiness)?;
                Some(Tagged::new("application/json", text))
            };
            return Some(self.kept.or_made(&registry, asked, make).await?.answer(headers));
        }
        let documented = state.documents.seen(&registry, sight.clone()).await?;
        let place = page::Place {
            endpoint: chosen(state, &registry, request)?,
            root: root(&state.config, headers, request.uri().path()),
        };
        let asked = Asked { page: Some(place), sight, readiness };
        let make = move |registry: &Registry, asked: &Asked| {
            let place = asked.page.as_ref()?;
            let html = page::page(&shared, registry, place, &asked.sight, &asked.readiness, &documented.operations)?;
            Some(Tagged::new("text/html; charset=utf-8", html))
        };
        let mut answer = self.kept.or_made(&registry, asked, make).await?.answer(headers);
        super::guard(answer.headers_mut(), HeaderValue::from_static(page::POLICY));
        Some(answer)
    }
}

/// The endpoint that is asked for; else the one that the root stands for.
fn chosen(state: &State, registry: &Registry, request: &Request) -> Option<String> {
    let asked = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .find_map(|(key, value)| (key == "endpoint").then(|| value.into_owned()))
        .filter(|name| registry.endpoints().any(|known| known == name));
    asked.or_else(|| state.config.root_endpoint().map(|(name, _)| name.to_owned()))
}

impl Endpoint for Front {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        let Some(mut answer) = self.answer(&request).await else {
            return Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
        Ok(refusal::poem(answer))
    }
}
