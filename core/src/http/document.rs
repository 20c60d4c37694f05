//! The OpenAPI document of what runs here, and what its page needs to know.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures_util::future;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    openapi::{Document, EndpointOperations, Page, SecurityScheme, SignIn, ToolOperation, base_document, merge},
    providers::profile,
    state::State,
};
use crate::{
    config::{Config, ProviderKind},
    host::Registry,
    policy::Principal,
    tokens::{SignInEndpoints, Verifier},
};

/// How long a page waits for a provider that has not told yet where people sign in.
const PATIENCE: Duration = Duration::from_secs(3);

/// The document of one registry, made once for what is known of the providers.
pub(super) struct Documents {
    made: ArcSwapOption<Made>,
    verifiers: HashMap<String, Arc<Verifier>>,
    config: Arc<Config>,
    /// Held while one is made.
    turn: Arc<Mutex<()>>,
}

struct Made {
    registry: Arc<Registry>,
    known: Known,
    text: Bytes,
}

/// Where people sign in, by endpoint, as far as it is known. What is not is a plain bearer token in the document.
type Known = HashMap<String, SignInEndpoints>;

impl Documents {
    /// The documents of a configuration, with the verifiers of the endpoints that ask for tokens.
    pub(super) fn new(config: Arc<Config>, verifiers: HashMap<String, Arc<Verifier>>) -> Self {
        Self { made: ArcSwapOption::empty(), verifiers, config, turn: Arc::default() }
    }

    /// Learn where people sign in from those providers that must be asked. One that does not answer is asked again
    /// next time.
    pub(super) async fn learn(&self) {
        let all = future::join_all(self.verifiers.values().map(|verifier| verifier.sign_in()));
        // A page is better without a sign-in than late.
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }

    fn known(&self) -> Known {
        let known = |(name, verifier): (&String, &Arc<Verifier>)| Some((name.clone(), verifier.known_sign_in()?));
        self.verifiers.iter().filter_map(known).collect()
    }

    /// The document as these callers may see it; without any, as everyone may. Made aside, one at a time: it is work
    /// that grows with what plugins bring.
    pub(super) async fn seen(
        self: &Arc<Self>,
        registry: Arc<Registry>,
        callers: HashMap<String, Arc<Principal>>,
    ) -> Option<Bytes> {
        if callers.is_empty()
            && let Some(text) = self.made(&registry, &self.known())
        {
            return Some(text);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let documents = Arc::clone(self);
        let making = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            if callers.is_empty() { documents.public(&registry) } else { documents.seen_by(&registry, &callers) }
        });
        making.await.ok()
    }

    /// The document that everyone may see, if it is made.
    fn made(&self, registry: &Arc<Registry>, known: &Known) -> Option<Bytes> {
        let stands = |made: &Arc<Made>| Arc::ptr_eq(&made.registry, registry) && made.known == *known;
        self.made.load_full().filter(stands).map(|made| made.text.clone())
    }

    /// The document that everyone may see.
    fn public(&self, registry: &Arc<Registry>) -> Bytes {
        let known = self.known();
        if let Some(text) = self.made(registry, &known) {
            return text;
        }
        let text = Bytes::from(document(&self.config, registry, &known, &HashMap::new()).to_string());
        self.made.store(Some(Arc::new(Made { registry: Arc::clone(registry), known, text: text.clone() })));
        text
    }

    /// The document as one caller may see it: with the tools that only this caller's token reaches.
    fn seen_by(&self, registry: &Registry, callers: &HashMap<String, Arc<Principal>>) -> Bytes {
        Bytes::from(document(&self.config, registry, &self.known(), callers).to_string())
    }

    /// The page around it.
    pub(super) fn page(&self, state: &State) -> Page {
        let registry = state.registry.load();
        let mut known = self.known();
        let sign_in = self.config.endpoints.keys().filter_map(|name| {
            let scheme = scheme_of(&self.config, name)?;
            let initial = registry.policy().endpoint(name)?.initial_scopes.iter().map(ToString::to_string).collect();
            let provider = known.remove(name);
            let (issuer, token_url, theirs) = provider
                .map_or((None, None, None), |provider| (provider.issuer, Some(provider.token), provider.registration));
            let registration_url = if self.registers_at_root(name) { Some("oauth/register".into()) } else { theirs };
            let resource = Some(self.config.resource(name));
            Some(SignIn { scheme, client_id: None, registration_url, issuer, token_url, scopes: initial, resource })
        });
        let sign_in = sign_in.collect();
        Page { title: "Toolgate".into(), public_url: self.config.public_url(), sign_in }
    }

    /// Whether `/oauth/register` registers clients with this endpoint's authorization server.
    fn registers_at_root(&self, endpoint: &str) -> bool {
        let Some((root, _)) = self.config.root_endpoint() else { return false };
        let servers = |name: &str| self.verifiers.get(name).map(|verifier| verifier.authorization_servers());
        servers(endpoint).is_some_and(|ours| servers(root) == Some(ours))
    }
}

/// The security scheme of an endpoint. Each has its own: a token is for one resource.
fn scheme_of(config: &Config, endpoint: &str) -> Option<String> {
    let section = config.endpoints.get(endpoint)?;
    match config.provider_kind(section) {
        ProviderKind::None => None,
        _ if config.endpoints.len() == 1 => Some("oauth2".into()),
        _ => Some(format!("oauth2-{endpoint}")),
    }
}

/// The OpenAPI document of a configuration and its tools, as somebody without a token may see it.
/// Nobody is asked: a provider whose endpoints its metadata name is a plain bearer token here.
pub fn openapi_document(config: &Config, registry: &Registry) -> Value {
    let known = |name: &String| Some((name.clone(), profile(config, name, None).ok()??.sign_in()?.clone()));
    document(config, registry, &config.endpoints.keys().filter_map(known).collect(), &HashMap::new())
}

fn document(config: &Config, registry: &Registry, known: &Known, callers: &HashMap<String, Arc<Principal>>) -> Value {
    let mut tools = Vec::new();
    let mut endpoints = Vec::new();
    let mut security: Vec<(String, SecurityScheme)> = Vec::new();
    for name in registry.endpoints() {
        let scheme = scheme_of(config, name);
        if let Some(scheme) = &scheme
            && !security.iter().any(|(known, _)| known == scheme)
        {
            security.push((scheme.clone(), security_scheme(config, known.get(name))));
        }
        let resource = config.resource(name);
        let path = url::Url::parse(&resource).map(|url| url.path().to_owned()).unwrap_or_default();
        let metadata_paths = if scheme.is_some() { vec![path] } else { Vec::new() };
        endpoints.push(EndpointOperations { name: name.to_owned(), scheme, metadata_paths });
        tools.extend(registry.visible(name, callers.get(name).map(Arc::as_ref)).map(|offered| ToolOperation {
            endpoint: name.to_owned(),
            plugin: offered.policy.plugin.to_string(),
            name: offered.tool.name.clone(),
            title: offered.tool.title.clone(),
            description: offered.tool.description.clone(),
            input_schema: (*offered.tool.input_schema).clone(),
            output_schema: offered.tool.output_schema.as_ref().map(|schema| (**schema).clone()),
            scopes: offered.policy.requirement.scopes().iter().map(ToString::to_string).collect(),
            foreign: offered.is_foreign(),
            read_only: offered.tool.annotations.as_ref().and_then(|hints| hints.read_only_hint).unwrap_or(false),
        }));
    }
    merge(Document {
        server_url: config.server.public_url.as_ref().map_or_else(|| "/".to_owned(), |_| config.public_url()),
        version: env!("CARGO_PKG_VERSION").into(),
        base: base_document(),
        tools,
        endpoints,
        security,
    })
}

fn security_scheme(config: &Config, known: Option<&SignInEndpoints>) -> SecurityScheme {
    let Some(SignInEndpoints { authorization, token, .. }) = known.cloned() else { return SecurityScheme::Bearer };
    let scopes =
        config.scopes.iter().map(|(scope, section)| (scope.to_string(), section.description.clone())).collect();
    SecurityScheme::OAuth2 { authorization_url: authorization, token_url: token, refresh_url: None, scopes }
}
