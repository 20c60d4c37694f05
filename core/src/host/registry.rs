//! The snapshot that serves: endpoints, tools and rules, built whole and swapped whole.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::future;
use indexmap::IndexMap;
use jsonschema::Validator;
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;
use toolgate_plugin::{Health, JsonObject, Tool, ToolProvider};

use super::{
    limits::Limiter,
    load::{Identity, LoadError, Loaded},
};
use crate::{
    config::{Config, Diagnostic, Plugin, Source},
    policy::{Consequence, Finding, Misfits, PluginTools, Policy, Principal, ToolPolicy},
};

/// A tool as an endpoint offers it.
pub struct Offered {
    /// Under its name here, with its scopes told ahead in `_meta.securitySchemes`.
    pub tool: Arc<Tool>,
    /// Its rule.
    pub policy: Arc<ToolPolicy>,
    /// `None`: whoever runs the plugin checks them.
    pub(super) arguments: Option<Arc<Validator>>,
    pub(super) provider: Arc<dyn ToolProvider>,
    pub(super) limiter: Arc<Limiter>,
}

impl Offered {
    /// Whether its schemas are run in the plugin's own process alone. Here they are to be shown, and not followed.
    pub fn is_foreign(&self) -> bool {
        self.arguments.is_none()
    }
}

/// Endpoints, tools and rules at one moment; immutable.
pub struct Registry {
    policy: Policy,
    endpoints: IndexMap<String, HashMap<Arc<str>, Offered>>,
    pub(super) plugins: Vec<Seat>,
    /// Calls in flight, over all registries: what a stopping server waits for.
    pub(super) calls: TaskTracker,
    /// Rings when the tools of a plugin have changed, over all registries.
    pub(super) bell: Arc<Notify>,
}

/// The place of an enabled plugin, whether it runs or not.
pub(super) struct Seat {
    pub(super) name: Arc<str>,
    /// Whether the server is not ready without it.
    pub(super) required: bool,
    pub(super) holder: Holder,
    /// What somebody should look at.
    pub(super) warnings: Vec<String>,
}

/// Who has a plugin's place.
#[derive(Clone)]
pub(super) enum Holder {
    Plugin(Box<Loaded>),
    /// Nobody: what the configuration asks for does not serve.
    Nobody {
        wanted: Identity,
        errors: Vec<LoadError>,
    },
}

impl Seat {
    pub(super) fn new(name: &str, section: &Plugin, holder: Holder) -> Self {
        let required = section.required || section.builtin.is_some();
        Self { name: name.into(), required, holder, warnings: Vec::new() }
    }

    pub(super) fn loaded(&self) -> Option<&Loaded> {
        match &self.holder {
            Holder::Plugin(loaded) => Some(loaded),
            Holder::Nobody { .. } => None,
        }
    }

    async fn state(&self) -> PluginState {
        /// How long a plugin may think about how it is.
        const THOUGHT: Duration = Duration::from_secs(2);
        let (name, required) = (Arc::clone(&self.name), self.required);
        let mut warnings = self.warnings.clone();
        let loaded = match &self.holder {
            Holder::Plugin(loaded) => loaded,
            Holder::Nobody { errors, .. } => {
                let reason = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                let condition = Condition::Failed;
                return PluginState { plugin: name, required, condition, reason: Some(reason), warnings, tools: 0 };
            }
        };
        let ill = match tokio::time::timeout(THOUGHT, loaded.instance.provider.health()).await {
            Ok(Health::Ready) => None,
            Ok(Health::Degraded(reason)) => Some(reason),
            Ok(_) => Some("its state is unknown to this server".into()),
            Err(_) => Some("it does not say how it is".into()),
        };
        warnings.extend(loaded.limiter.told());
        let down = loaded.instance.is_down();
        let behind = loaded.behind.as_ref().map(|behind| match down {
            true => behind.error.to_string(),
            false => format!("{}; the one before serves on", behind.error),
        });
        let reasons: Vec<String> = behind.into_iter().chain(ill).collect();
        let condition = match reasons.is_empty() {
            _ if down => Condition::Failed,
            true => Condition::Ready,
            false => Condition::Degraded,
        };
        let reason = Some(reasons.join("; ")).filter(|reason| !reason.is_empty());
        PluginState { plugin: name, required, condition, reason, warnings, tools: loaded.tools.len() }
    }
}

/// How a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Takes calls.
    Ready,
    /// Takes calls, but something is off.
    Degraded,
    /// Takes no calls.
    Failed,
}

/// A plugin's state, as `/readyz` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginState {
    /// Its name in the configuration.
    pub plugin: Arc<str>,
    /// Whether the server is not ready without it.
    pub required: bool,
    /// How it is.
    pub condition: Condition,
    /// What is off, for people.
    pub reason: Option<String>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
    /// How many tools it has.
    pub tools: usize,
}

/// The registry could not be built.
#[derive(Debug)]
pub enum BuildError {
    /// Plugins that do not start, and without which nothing is served.
    Plugins(Vec<LoadError>),
    /// Rules that do not fit the tools.
    Rules(Vec<Finding>),
}

impl BuildError {
    /// All that is wrong, at its place in the file.
    pub fn diagnostics(&self, source: &Source) -> Vec<Diagnostic> {
        match self {
            Self::Plugins(errors) => errors.iter().map(|error| error.diagnostic(source)).collect(),
            Self::Rules(findings) => findings.iter().map(|finding| finding.diagnostic(source)).collect(),
        }
    }
}

impl Registry {
    /// Put plugins under their rules. A plugin that the rules keep out leaves its place to nobody.
    ///
    /// # Errors
    /// Findings that refuse the configuration, among others.
    pub(super) fn seated(
        config: &Config,
        mut seats: Vec<Seat>,
        misfits: impl Fn(&Seat) -> Misfits,
        calls: TaskTracker,
        bell: Arc<Notify>,
        before: Option<&Policy>,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let (policy, findings) = loop {
            let tools: Vec<PluginTools> = seats
                .iter()
                .filter_map(|seat| {
                    let loaded = seat.loaded()?;
                    let names = loaded.tools.iter().map(|loaded| loaded.tool.name.clone()).collect();
                    let (plugin, permits) = (seat.name.to_string(), loaded.instance.permits.clone());
                    Some(PluginTools { plugin, tools: names, misfits: misfits(seat), permits })
                })
                .collect();
            match Policy::compile(config, &tools, before) {
                Ok(compiled) => break compiled,
                Err(findings) if findings.iter().any(|finding| finding.consequence == Consequence::Refused) => {
                    return Err(findings);
                }
                Err(findings) => keep_out(&mut seats, &findings),
            }
        };
        for seat in &mut seats {
            let about = findings.iter().filter(|finding| finding.plugin.as_deref() == Some(&*seat.name));
            seat.warnings = about.map(|finding| format!("{}; {}", finding.message, finding.help)).collect();
        }
        let mut endpoints = IndexMap::new();
        for name in config.endpoints.keys() {
            let Some(rules) = policy.endpoint(name) else { continue };
            let mut offered = HashMap::new();
            for (exposed, rule) in &rules.tools {
                let plugin = seats.iter().filter_map(Seat::loaded).find(|plugin| plugin.name == rule.plugin);
                let Some(plugin) = plugin else { continue };
                let Some(own) = plugin.tools.iter().find(|loaded| *loaded.tool.name == *rule.tool) else { continue };
                let entry = Offered {
                    tool: Arc::new(announced(&own.tool, rule)),
                    policy: Arc::clone(rule),
                    arguments: own.arguments.clone(),
                    provider: Arc::clone(&plugin.instance.provider),
                    limiter: Arc::clone(&plugin.limiter),
                };
                offered.insert(Arc::clone(exposed), entry);
            }
            endpoints.insert(name.clone(), offered);
        }
        Ok((Self { policy, endpoints, plugins: seats, calls, bell }, findings))
    }

    /// Put plugins that run under their rules.
    #[cfg(test)]
    pub(super) fn assemble(
        config: &Config,
        loaded: Vec<Loaded>,
        calls: TaskTracker,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let seat = |loaded: Loaded| {
            Seat::new(&loaded.name.clone(), &config.plugins[&*loaded.name], Holder::Plugin(loaded.into()))
        };
        let seats = loaded.into_iter().map(seat).collect();
        Self::seated(config, seats, |_| Misfits::Refuse, calls, Arc::default(), None)
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

    /// How each enabled plugin is.
    pub async fn states(&self) -> Vec<PluginState> {
        future::join_all(self.plugins.iter().map(Seat::state)).await
    }

    /// The plugin of this name, if it runs.
    pub(super) fn plugin(&self, name: &str) -> Option<&Loaded> {
        self.plugins.iter().find(|seat| *seat.name == *name)?.loaded()
    }

    /// Plugins that do not serve, with what is wrong.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &[LoadError])> {
        self.plugins.iter().filter_map(|seat| match &seat.holder {
            Holder::Plugin(_) => None,
            Holder::Nobody { errors, .. } => Some((&*seat.name, errors.as_slice())),
        })
    }

    /// Tell the plugins that the server stops.
    pub async fn shutdown(&self) {
        let plugins = self.plugins.iter().filter_map(Seat::loaded);
        future::join_all(plugins.map(|plugin| plugin.instance.shutdown(&plugin.name))).await;
    }
}

/// Give the place of the first plugin that the rules keep out to nobody: without it, others may fit.
fn keep_out(seats: &mut [Seat], findings: &[Finding]) {
    let first = findings.iter().find(|finding| finding.consequence == Consequence::KeptOut);
    let first = first.and_then(|finding| finding.plugin.as_deref());
    for seat in seats.iter_mut().filter(|seat| Some(&*seat.name) == first) {
        let Holder::Plugin(loaded) = &seat.holder else { continue };
        let kept_out = |finding: &&Finding| {
            finding.consequence == Consequence::KeptOut && finding.plugin.as_deref() == Some(&*seat.name)
        };
        let errors: Vec<LoadError> = findings
            .iter()
            .filter(kept_out)
            .map(|finding| LoadError {
                path: finding.path.clone(),
                message: format!("the plugin \"{}\" is kept out: {}", seat.name, finding.message),
                help: finding.help.clone(),
            })
            .collect();
        if !errors.is_empty() {
            seat.holder = Holder::Nobody { wanted: loaded.instance.identity.clone(), errors };
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
pub struct Current(Arc<Served>);

struct Served {
    registry: ArcSwap<Registry>,
    /// How often the registry was swapped.
    swaps: watch::Sender<u64>,
}

impl Current {
    /// Serve this one.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(Served { registry: ArcSwap::from_pointee(registry), swaps: watch::Sender::new(0) }))
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
