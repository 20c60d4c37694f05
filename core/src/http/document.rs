//! The OpenAPI document of what runs here, and what its page needs to know.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use serde_json::Value;

use super::{
    app::State,
    openapi::{Document, EndpointOperations, Page, SecurityScheme, SignIn, ToolOperation, base_document, merge},
};
use crate::{
    config::{Config, ProviderKind},
    host::Registry,
    policy::Principal,
};

/// The document of one registry, made once.
#[derive(Default)]
pub(super) struct Documents {
    made: ArcSwapOption<Made>,
    provider: ProviderEndpoints,
    config: Arc<Config>,
}

struct Made {
    registry: Arc<Registry>,
    text: Bytes,
}

/// Where people sign in, as far as the provider is known without asking it.
#[derive(Debug, Clone, Default)]
pub(super) struct ProviderEndpoints {
    pub(super) issuer: Option<String>,
    pub(super) authorization: Option<String>,
    pub(super) token: Option<String>,
}

impl Documents {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self { made: ArcSwapOption::empty(), provider: ProviderEndpoints::of(&config), config }
    }

    /// The document that everyone may see.
    pub(super) fn public(&self, registry: &Arc<Registry>) -> Bytes {
        if let Some(made) = self.made.load_full().filter(|made| Arc::ptr_eq(&made.registry, registry)) {
            return made.text.clone();
        }
        let text = Bytes::from(document(&self.config, registry, &self.provider, &HashMap::new()).to_string());
        self.made.store(Some(Arc::new(Made { registry: Arc::clone(registry), text: text.clone() })));
        text
    }

    /// The document as one caller may see it: with the tools that only this caller's token reaches.
    pub(super) fn seen_by(&self, registry: &Registry, callers: &HashMap<String, Arc<Principal>>) -> Bytes {
        Bytes::from(document(&self.config, registry, &self.provider, callers).to_string())
    }

    /// The page around it.
    pub(super) fn page(&self, state: &State) -> Page {
        let registry = state.registry.load();
        let sign_in = self.config.endpoints.keys().filter_map(|name| {
            let scheme = scheme_of(&self.config, name)?;
            let initial = registry.policy().endpoint(name)?.initial_scopes.iter().map(ToString::to_string).collect();
            Some(SignIn {
                scheme,
                client_id: None,
                registration_url: Some("oauth/register".into()),
                issuer: self.provider.issuer.clone(),
                token_url: self.provider.token.clone(),
                scopes: initial,
                resource: Some(self.config.resource(name)),
            })
        });
        Page { title: "Toolgate".into(), public_url: self.config.public_url(), sign_in: sign_in.collect() }
    }
}

impl ProviderEndpoints {
    fn of(config: &Config) -> Self {
        match config.auth.provider {
            ProviderKind::Dev => {
                let issuer = format!("{}/dev/auth", config.public_url());
                Self {
                    authorization: Some(format!("{issuer}/authorize")),
                    token: Some(format!("{issuer}/token")),
                    issuer: Some(issuer),
                }
            }
            ProviderKind::Scalekit => config.auth.scalekit.as_ref().map_or_else(Self::default, |section| {
                let base = match &section.resource_id {
                    Some(id) => format!("{}/resources/{id}", section.environment()),
                    None => section.environment().to_owned(),
                };
                Self {
                    // Scalekit's tokens and metadata name one of two issuers; the page can't know which.
                    issuer: None,
                    authorization: Some(format!("{base}/oauth/authorize")),
                    token: Some(format!("{base}/oauth/token")),
                }
            }),
            ProviderKind::Oauth | ProviderKind::None => Self::default(),
        }
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
pub fn openapi_document(config: &Config, registry: &Registry) -> Value {
    document(config, registry, &ProviderEndpoints::of(config), &HashMap::new())
}

fn document(
    config: &Config,
    registry: &Registry,
    provider: &ProviderEndpoints,
    callers: &HashMap<String, Arc<Principal>>,
) -> Value {
    let mut tools = Vec::new();
    let mut endpoints = Vec::new();
    let mut security: Vec<(String, SecurityScheme)> = Vec::new();
    for name in registry.endpoints() {
        let scheme = scheme_of(config, name);
        if let Some(scheme) = &scheme
            && !security.iter().any(|(known, _)| known == scheme)
        {
            let own = config.endpoints.get(name).is_some_and(|section| section.auth.is_some());
            security.push((scheme.clone(), security_scheme(config, if own { None } else { Some(provider) })));
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
            read_only: offered.tool.annotations.as_ref().and_then(|hints| hints.read_only_hint).unwrap_or(false),
        }));
    }
    merge(Document {
        public_url: config.public_url(),
        version: env!("CARGO_PKG_VERSION").into(),
        base: base_document(),
        tools,
        endpoints,
        security,
    })
}

fn security_scheme(config: &Config, provider: Option<&ProviderEndpoints>) -> SecurityScheme {
    let Some(ProviderEndpoints { authorization: Some(authorization_url), token: Some(token_url), .. }) =
        provider.cloned()
    else {
        return SecurityScheme::Bearer;
    };
    let scopes =
        config.scopes.iter().map(|(scope, section)| (scope.to_string(), section.description.clone())).collect();
    SecurityScheme::OAuth2 { authorization_url, token_url, refresh_url: None, scopes }
}
