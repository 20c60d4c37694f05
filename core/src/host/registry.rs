//! The snapshot that serves: endpoints, tools and rules, built whole and swapped whole.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use indexmap::IndexMap;
use jsonschema::Validator;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use toolgate_plugin::{Health, JsonObject, Tool, ToolProvider};

use super::{
    limits::Limiter,
    load::{self, LoadError, Loaded, PluginState},
};
use crate::{
    config::Config,
    policy::{Finding, PluginTools, Policy, Principal, ToolPolicy},
};

/// A tool as an endpoint offers it.
pub struct Offered {
    /// Under its name here, with its scopes told ahead in `_meta.securitySchemes`.
    pub tool: Arc<Tool>,
    /// Its rule.
    pub policy: Arc<ToolPolicy>,
    pub(super) arguments: Arc<Validator>,
    pub(super) provider: Arc<dyn ToolProvider>,
    pub(super) limiter: Arc<Limiter>,
}

/// Endpoints, tools and rules at one moment; immutable.
pub struct Registry {
    policy: Policy,
    endpoints: IndexMap<String, HashMap<Arc<str>, Offered>>,
    plugins: Vec<(Arc<str>, Arc<dyn ToolProvider>, usize)>,
    /// Calls in flight, over all registries: what a stopping server waits for.
    pub(super) calls: TaskTracker,
}

/// The registry could not be built.
#[derive(Debug)]
pub enum BuildError {
    /// Plugins that do not start.
    Plugins(Vec<LoadError>),
    /// Rules that do not fit the tools.
    Rules(Vec<Finding>),
}

impl Registry {
    /// Start the plugins and compile their rules; `calls` will count the calls in flight. Findings that stop nothing come back beside the registry.
    ///
    /// # Errors
    /// Plugins that do not start, or rules that do not fit their tools.
    pub async fn build(config: &Config, calls: TaskTracker) -> Result<(Self, Vec<Finding>), BuildError> {
        let loaded = load::all(config).await.map_err(BuildError::Plugins)?;
        Self::assemble(config, loaded, calls).map_err(BuildError::Rules)
    }

    /// Put plugins that run under their rules.
    pub(super) fn assemble(
        config: &Config,
        loaded: Vec<Loaded>,
        calls: TaskTracker,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let names: Vec<PluginTools> = loaded
            .iter()
            .map(|plugin| PluginTools {
                plugin: plugin.name.to_string(),
                tools: plugin.tools.iter().map(|loaded| loaded.tool.name.clone()).collect(),
            })
            .collect();
        let (policy, findings) = Policy::compile(config, &names)?;
        let mut endpoints = IndexMap::new();
        for name in config.endpoints.keys() {
            let Some(rules) = policy.endpoint(name) else { continue };
            let mut offered = HashMap::new();
            for (exposed, rule) in &rules.tools {
                let plugin = loaded.iter().find(|plugin| plugin.name == rule.plugin);
                let Some(plugin) = plugin else { continue };
                let Some(own) = plugin.tools.iter().find(|loaded| *loaded.tool.name == *rule.tool) else { continue };
                let entry = Offered {
                    tool: Arc::new(announced(&own.tool, rule)),
                    policy: Arc::clone(rule),
                    arguments: Arc::clone(&own.arguments),
                    provider: Arc::clone(&plugin.provider),
                    limiter: Arc::clone(&plugin.limiter),
                };
                offered.insert(Arc::clone(exposed), entry);
            }
            endpoints.insert(name.clone(), offered);
        }
        let plugins = loaded.into_iter().map(|plugin| (plugin.name, plugin.provider, plugin.tools.len())).collect();
        Ok((Self { policy, endpoints, plugins, calls }, findings))
    }

    /// The rules.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The endpoints' names, in the order of the configuration.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoints.keys().map(String::as_str)
    }

    /// A tool of an endpoint. Says nothing of who may call it.
    pub fn tool(&self, endpoint: &str, name: &str) -> Option<&Offered> {
        self.endpoints.get(endpoint)?.get(name)
    }

    /// The tools of an endpoint that this principal may see, in their stable order; `None` is somebody
    /// without a token.
    pub fn visible<'a>(
        &'a self,
        endpoint: &'a str,
        principal: Option<&'a Principal>,
    ) -> impl Iterator<Item = &'a Offered> {
        self.policy.visible(endpoint, principal).filter_map(move |rule| self.tool(endpoint, &rule.name))
    }

    /// How each plugin is.
    pub async fn states(&self) -> Vec<PluginState> {
        let mut states = Vec::with_capacity(self.plugins.len());
        for (name, provider, tools) in &self.plugins {
            let reason = match provider.health().await {
                Health::Ready => None,
                Health::Degraded(reason) => Some(reason),
                _ => Some("its state is unknown to this server".into()),
            };
            states.push(PluginState { plugin: Arc::clone(name), ready: reason.is_none(), reason, tools: *tools });
        }
        states
    }

    /// Tell the plugins that the server stops.
    pub async fn shutdown(&self) {
        for (_, provider, _) in &self.plugins {
            provider.shutdown().await;
        }
    }
}

/// The tool under its name at the endpoint, with its scopes where clients that look ahead find them.
fn announced(own: &Tool, rule: &ToolPolicy) -> Tool {
    let mut tool = own.clone();
    tool.name = rule.name.to_string();
    let scopes: Vec<&str> = rule.requirement.scopes().iter().map(|scope| &**scope).collect();
    let scheme = serde_json::json!([{ "type": "oauth2", "scopes": scopes }]);
    tool.meta.get_or_insert_with(JsonObject::new).insert("securitySchemes".into(), scheme);
    tool
}

/// The registry that serves now.
#[derive(Clone)]
pub struct Current(Arc<Seat>);

struct Seat {
    registry: ArcSwap<Registry>,
    /// How often the registry was swapped.
    swaps: watch::Sender<u64>,
}

impl Current {
    /// Serve this one.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(Seat { registry: ArcSwap::from_pointee(registry), swaps: watch::Sender::new(0) }))
    }

    /// The registry of this moment; a call keeps the one that it began with.
    pub fn load(&self) -> Arc<Registry> {
        self.0.registry.load_full()
    }

    /// Serve this one from now on; the one before is returned. Calls that began in it finish there.
    pub fn swap(&self, registry: Registry) -> Arc<Registry> {
        let before = self.0.registry.swap(Arc::new(registry));
        self.0.swaps.send_modify(|swaps| *swaps += 1);
        before
    }

    /// How often the registry was swapped, to be told when it is again. Who has been told finds the new one in
    /// [`Current::load`].
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.swaps.subscribe()
    }
}
