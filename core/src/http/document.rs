//! The OpenAPI document of what runs here, and what its page needs to know.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future;
use serde_json::{Map, Value};

use super::{
    kept::Kept,
    openapi::{
        Document, EndpointOperations, Merged, Operations, Page, Refused, SecurityScheme, SignIn, ToolOperation,
        base_document, merge,
    },
    providers::profile,
    refusal::{NO_OBJECT, too_large, unknown_tool},
    sight::{Sight, hides},
    tagged::Tagged,
};
use crate::{
    config::{Config, ProviderKind},
    gate::Challenge,
    host::{Offered, Registry},
    tokens::{InvalidToken, SignInEndpoints, Verifier},
};

/// How long a page waits for a provider that has not told yet where people sign in.
const PATIENCE: Duration = Duration::from_secs(3);

/// The documents, by what is known of the providers and by who looks.
pub(super) struct Documents {
    kept: Arc<Kept<(Known, Sight), Arc<Made>>>,
    verifiers: HashMap<String, Arc<Verifier>>,
    config: Arc<Config>,
}

/// A document, and where its tools are in it.
pub(super) struct Made {
    pub(super) text: Tagged,
    pub(super) operations: Operations,
}

/// Where people sign in, by endpoint, as far as it is known. What is not is a plain bearer token in the document.
type Known = HashMap<String, SignInEndpoints>;

impl Documents {
    /// The documents of a configuration, with the verifiers of the endpoints that ask for tokens.
    pub(super) fn new(config: Arc<Config>, verifiers: HashMap<String, Arc<Verifier>>) -> Self {
        Self { kept: Arc::new(Kept::new(|made| made.text.len())), verifiers, config }
    }

    /// Learn where people sign in from those providers that must be asked. One that does not answer is asked again
    /// next time.
    pub(super) async fn learn(&self) {
        // Each is asked to the end, whoever waits for it: what comes late is there for the next, and one that hangs is known
        // to and left alone for a while.
        let asked = self.verifiers.values().cloned().map(|verifier| {
            tokio::spawn(async move {
                let _ = verifier.sign_in().await;
            })
        });
        // A page is better without a sign-in than late.
        let _ = tokio::time::timeout(PATIENCE, future::join_all(asked)).await;
    }

    fn known(&self) -> Known {
        let known = |(name, verifier): (&String, &Arc<Verifier>)| Some((name.clone(), verifier.known_sign_in()?));
        self.verifiers.iter().filter_map(known).collect()
    }

    /// The document as somebody may see it.
    pub(super) async fn seen(&self, registry: &Arc<Registry>, sight: Sight) -> Option<Arc<Made>> {
        let config = Arc::clone(&self.config);
        let make = move |registry: &Registry, (known, sight): &(Known, Sight)| {
            let Merged { document, operations } = document(&config, registry, known, sight);
            Some(Arc::new(Made { text: Tagged::new("application/json", document.to_string()), operations }))
        };
        self.kept.or_made(registry, (self.known(), sight), make).await
    }

    /// The page around it.
    pub(super) fn page(&self, registry: &Registry) -> Page {
        let mut known = self.known();
        let sign_in = self.config.endpoints.keys().filter_map(|name| {
            let scheme = scheme_of(&self.config, name)?;
            let initial = registry.policy().endpoint(name)?.initial_scopes.iter().map(ToString::to_string).collect();
            let provider = known.remove(name);
            let names_issuer = provider.as_ref().is_some_and(|provider| provider.names_issuer);
            let (issuer, token_url, theirs) = provider
                .map_or((None, None, None), |provider| (provider.issuer, Some(provider.token), provider.registration));
            let registration_url = if self.registers_at_root(name) { Some("oauth/register".into()) } else { theirs };
            Some(SignIn {
                scheme,
                client_id: None,
                registration_url,
                issuer,
                names_issuer,
                token_url,
                scopes: initial,
                resource: Some(self.config.resource(name)),
                hides: hides(registry, name),
            })
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
    document(config, registry, &config.endpoints.keys().filter_map(known).collect(), &Sight::default()).document
}

fn document(config: &Config, registry: &Registry, known: &Known, sight: &Sight) -> Merged {
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
        tools.extend(sight.tools(registry, name).map(|offered| ToolOperation {
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
            refusals: own_refusals(offered),
        }));
    }
    let refusals = shared_refusals(config, tools.first());
    merge(Document {
        server_url: config.server.public_url.as_ref().map_or_else(|| "/".to_owned(), |_| config.public_url()),
        version: env!("CARGO_PKG_VERSION").into(),
        base: base_document(),
        tools,
        endpoints,
        security,
        refusals,
    })
}

/// What any tool's refusals say, in the words of those who write them.
fn shared_refusals(config: &Config, first: Option<&ToolOperation>) -> Vec<Refused> {
    let endpoint = first.map_or("", |tool| tool.endpoint.as_str());
    let body = config.server.max_body.0;
    let expired = Challenge::invalid_token(None, &Arc::from([]), &InvalidToken::Expired.to_string());
    let refused = |status, error: &str, description| Refused { status, error: error.to_owned(), description };
    vec![
        refused(400, "invalid_arguments", NO_OBJECT.to_owned()),
        said(&expired),
        refused(404, "unknown_tool", unknown_tool(endpoint, "no-such-tool")),
        refused(413, "too_large", too_large(body, Some("server.max_body"))),
        said(&Challenge::unreachable(None, Duration::from_secs(1))),
    ]
}

/// What only this tool's refusals say: the arguments that are missing, its scopes, a rate.
fn own_refusals(offered: &Offered) -> Vec<Refused> {
    let (tool, scopes) = (&*offered.policy.name, offered.policy.requirement.scopes());
    let nothing = offered.misfit(&Value::Object(Map::new()));
    let misfit = nothing.map(|description| Refused { status: 400, error: "invalid_arguments".into(), description });
    let short = (!scopes.is_empty()).then(|| said(&Challenge::insufficient_scope(None, scopes, tool)));
    // Also where there is no rate now: an operator may set one while clients that were made of this document run.
    let often = said(&Challenge::rate_limited(None, tool, Duration::from_secs(1)));
    [misfit, short, Some(often)].into_iter().flatten().collect()
}

fn said(challenge: &Challenge) -> Refused {
    let (error, description) = (challenge.error().to_owned(), challenge.description().to_owned());
    Refused { status: challenge.status().as_u16(), error, description }
}

fn security_scheme(config: &Config, known: Option<&SignInEndpoints>) -> SecurityScheme {
    let Some(SignInEndpoints { authorization, token, .. }) = known.cloned() else { return SecurityScheme::Bearer };
    let scopes =
        config.scopes.iter().map(|(scope, section)| (scope.to_string(), section.description.clone())).collect();
    SecurityScheme::OAuth2 { authorization_url: authorization, token_url: token, refresh_url: None, scopes }
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn those_who_see_the_same_are_shown_one_document() {
        let config: Config = serde_json::from_value(serde_json::json!({
            "endpoints": { "quiet": { "path": "/quiet/mcp", "plugins": ["echo"], "on_missing_scope": "hide" } },
            "plugins": { "echo": { "builtin": "echo", "tools": { "echo": { "scopes": [] } } } },
        }))
        .unwrap();
        let (registry, _) = Registry::build(&config, TaskTracker::new()).await.unwrap();
        let (registry, documents) = (Arc::new(registry), Documents::new(Arc::new(config), HashMap::new()));
        let sight = || Sight::opening("quiet", &["echo"]);
        let first = documents.seen(&registry, sight()).await.unwrap();
        let again = documents.seen(&registry, sight()).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again), "it is made once");
        assert!(first.operations.of("quiet", "echo").is_some());
        let everybodys = documents.seen(&registry, Sight::default()).await.unwrap();
        assert!(everybodys.operations.of("quiet", "echo").is_none());
    }
}
