//! The front page: what runs here, how it is, its tools, and how to connect. One address, as a page or as JSON.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use askama::Template;
use http::{HeaderValue, StatusCode, header};
use poem::{Request, Response};
use serde::Serialize;

use super::{
    endpoint::part,
    files::{FILES, digest},
    links::root,
    negotiate::wants_page,
    overview::{Condition, Overview},
};
use crate::{
    config::OnMissingScope,
    gate::ProtectedResource,
    host::Registry,
    http::{pages::callers, readiness::readiness, state::State},
    mcp,
    policy::Principal,
};

/// The parts about endpoints that everyone may see, for the registry that they were made from.
#[derive(Default)]
pub(in crate::http) struct Front(Mutex<Made>);

#[derive(Default)]
struct Made {
    of: Weak<Registry>,
    /// By endpoint and by what its links begin with.
    parts: HashMap<(String, String), Arc<str>>,
}

impl Front {
    fn made(&self, registry: &Arc<Registry>, key: &(String, String)) -> Option<Arc<str>> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.parts.get(key).filter(|_| made.of.ptr_eq(&Arc::downgrade(registry))).map(Arc::clone)
    }

    fn keep(&self, registry: &Arc<Registry>, key: (String, String), part: &Arc<str>) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.of.ptr_eq(&Arc::downgrade(registry)) {
            *made = Made { of: Arc::downgrade(registry), parts: HashMap::new() };
        }
        made.parts.insert(key, Arc::clone(part));
    }
}

type Callers = HashMap<String, Arc<Principal>>;

/// A choice among several endpoints.
struct Tab {
    name: String,
    /// How many tools; not where the caller sees none because they are hidden.
    tools: Option<usize>,
    chosen: bool,
}

struct Names<'a> {
    style: &'a str,
    script: &'a str,
    icon: &'a str,
}

#[derive(Template)]
#[template(path = "front/page.html")]
struct PageTemplate<'a> {
    root: &'a str,
    files: Names<'a>,
    host: &'a str,
    version: &'static str,
    count: String,
    tabs: &'a [Tab],
    state: &'a str,
    endpoint: &'a str,
}

#[derive(Template)]
#[template(path = "front/state.html")]
struct StateTemplate {
    state: Overview,
}

/// What a program is told.
#[derive(Serialize)]
struct Summary {
    name: &'static str,
    version: &'static str,
    public_url: String,
    state: Condition,
    docs: String,
    openapi: String,
    catalogue: String,
    readiness: String,
    endpoints: Vec<EndpointSummary>,
}

#[derive(Serialize)]
struct EndpointSummary {
    name: String,
    url: String,
    transport: &'static str,
    protocol_versions: Vec<&'static str>,
    resource: String,
    /// `null` where no token is asked for.
    protected_resource_metadata: Option<String>,
    authorization_servers: Vec<String>,
    tools: usize,
}

/// `GET /`.
pub(in crate::http) async fn front(state: &Arc<State>, request: &Request) -> Response {
    let registry = state.registry.load();
    let callers = callers(state, request.headers()).await;
    let answer = if wants_page(request.headers()) {
        page(state, &registry, callers, request).await
    } else {
        summary(state, &registry, &callers).await
    };
    let mut answer = answer.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into());
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
    // It shows how things are now, and a caller's own tools.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    // Among others, or as the weak tag that a proxy made of it when it packed the page.
    if tag.zip(known).is_some_and(|(tag, known)| known.contains(tag)) {
        answer.set_status(StatusCode::NOT_MODIFIED);
        answer.take_body();
    }
    answer
}

async fn summary(state: &State, registry: &Registry, callers: &Callers) -> Option<Response> {
    let config = &state.config;
    let public_url = config.public_url();
    let endpoints = registry.endpoints().filter_map(|name| {
        let path = &config.endpoints.get(name)?.path;
        let guarded = state.gate.resource(name).filter(|resource| resource.verifier().is_some());
        let servers =
            guarded.and_then(ProtectedResource::verifier).map(|verifier| verifier.authorization_servers().to_vec());
        Some(EndpointSummary {
            name: name.to_owned(),
            url: format!("{public_url}{path}"),
            transport: "streamable-http",
            protocol_versions: mcp::protocol_versions().collect(),
            resource: config.resource(name),
            protected_resource_metadata: guarded.map(|resource| resource.metadata_url().to_owned()),
            authorization_servers: servers.unwrap_or_default(),
            tools: registry.visible(name, callers.get(name).map(Arc::as_ref)).count(),
        })
    });
    let summary = Summary {
        name: "Toolgate",
        version: env!("CARGO_PKG_VERSION"),
        state: Condition::of(&readiness(state).await),
        docs: format!("{public_url}/docs"),
        openapi: format!("{public_url}/openapi.json"),
        catalogue: format!("{public_url}/api/tools"),
        readiness: format!("{public_url}/readyz"),
        endpoints: endpoints.collect(),
        public_url,
    };
    let body = serde_json::to_vec_pretty(&summary).ok()?;
    Some(Response::builder().content_type("application/json").body(body))
}

async fn page(state: &Arc<State>, registry: &Arc<Registry>, callers: Callers, request: &Request) -> Option<Response> {
    let config = &state.config;
    let root = root(config, request.headers(), request.uri().path());
    let asked = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .find_map(|(key, value)| (key == "endpoint").then(|| value.into_owned()))
        .filter(|name| registry.endpoints().any(|known| known == name));
    let chosen = asked.or_else(|| config.root_endpoint().map(|(name, _)| name.to_owned()))?;
    let hides = |name: &str| {
        config.endpoints.get(name).is_some_and(|endpoint| endpoint.on_missing_scope == OnMissingScope::Hide)
    };
    let tabs: Vec<Tab> = registry
        .endpoints()
        .map(|name| Tab {
            name: name.to_owned(),
            tools: Some(registry.visible(name, callers.get(name).map(Arc::as_ref)).count())
                .filter(|tools| *tools > 0 || !hides(name)),
            chosen: name == chosen,
        })
        .collect();
    let endpoint = about(state, registry, callers, chosen, root.clone()).await?;
    let overview = StateTemplate { state: Overview::of(readiness(state).await) }.render().ok()?;
    let public_url = config.public_url();
    let page = PageTemplate {
        root: &root,
        files: Names { style: &FILES.style.path, script: &FILES.script.path, icon: &FILES.icon.path },
        host: public_url.split_once("://").map_or(public_url.as_str(), |(_, host)| host),
        version: env!("CARGO_PKG_VERSION"),
        count: counted(&tabs),
        tabs: &tabs,
        state: &overview,
        endpoint: &endpoint,
    };
    let html = page.render().ok()?;
    let tag = format!("\"{}\"", digest(html.as_bytes()));
    let mut answer = Response::builder().content_type("text/html; charset=utf-8").header(header::ETAG, tag).body(html);
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    super::guard(answer.headers_mut(), HeaderValue::from_static(policy));
    Some(answer)
}

fn counted(tabs: &[Tab]) -> String {
    let tools: usize = tabs.iter().filter_map(|tab| tab.tools).sum();
    let tools = match tools {
        0 if tabs.iter().any(|tab| tab.tools.is_none()) => "Tools".to_owned(),
        0 => "No tools".to_owned(),
        1 => "1 tool".to_owned(),
        tools => format!("{tools} tools"),
    };
    if tabs.len() > 1 { format!("{tools} at {} endpoints", tabs.len()) } else { tools }
}

/// The part about an endpoint: the one that everyone may see is made once.
async fn about(
    state: &Arc<State>,
    registry: &Arc<Registry>,
    callers: Callers,
    endpoint: String,
    root: String,
) -> Option<Arc<str>> {
    let key = (endpoint, root);
    let public = callers.is_empty();
    if public && let Some(part) = state.front.made(registry, &key) {
        return Some(part);
    }
    let document = state.documents.seen(Arc::clone(registry), callers.clone()).await.unwrap_or_default();
    let (of_state, of_registry) = (Arc::clone(state), Arc::clone(registry));
    // Work that grows with what plugins bring.
    let making = tokio::task::spawn_blocking(move || {
        let caller = callers.get(&key.0).map(Arc::as_ref);
        let made = part(&of_state, &of_registry, &key.0, caller, &document, &key.1);
        (key, Arc::from(made))
    });
    let (key, made) = making.await.ok()?;
    if public {
        state.front.keep(registry, key, &made);
    }
    Some(made)
}
