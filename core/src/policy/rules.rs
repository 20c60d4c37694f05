//! The rules of `[plugins.*.tools]`, compiled against the tools that the plugins really have.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use indexmap::IndexMap;

use super::{
    principal::{Principal, PrincipalId},
    scopes::{Implications, Requirement},
};
use crate::config::{Config, Endpoint, OnMissingScope, Plugin, Rate, Scope, ToolRule, nearest};

/// The tools that a loaded plugin has, by their own names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginTools {
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// Its tools, in its order.
    pub tools: Vec<String>,
}

/// Something in the configuration that does not fit the tools there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stops the start; otherwise it is a warning.
    pub fatal: bool,
    /// The key that it is about.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub help: String,
}

/// What a caller must have for one tool of one endpoint.
#[derive(Debug)]
pub struct ToolPolicy {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// The tool's name within its plugin.
    pub tool: Arc<str>,
    /// The tool's name at the endpoint.
    pub name: Arc<str>,
    /// The scopes that it needs.
    pub requirement: Requirement,
    /// How long a call may take.
    pub timeout: Duration,
    rate: Option<Counter>,
}

impl ToolPolicy {
    /// Whether this principal has the scopes.
    pub fn permits(&self, principal: &Principal) -> bool {
        principal.is_unrestricted() || self.requirement.met_by(principal.scopes())
    }

    /// Count a call; otherwise how long to wait.
    pub(super) fn count(&self, principal: &PrincipalId) -> Result<(), Duration> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.count(principal))
    }
}

/// Calls of each principal to one tool.
struct Counter {
    limiter: DefaultKeyedRateLimiter<PrincipalId>,
    calls: AtomicUsize,
}

impl Counter {
    /// After this many calls the principals whose allowance is whole again are forgotten, so that memory
    /// follows the callers of the moment and not all there ever were.
    const SWEEP: usize = 4096;

    fn new(rate: Rate) -> Option<Self> {
        let count = NonZeroU32::new(rate.count)?;
        let quota = Quota::with_period(rate.per / rate.count)?.allow_burst(count);
        Some(Self { limiter: RateLimiter::keyed(quota), calls: AtomicUsize::new(0) })
    }

    fn count(&self, principal: &PrincipalId) -> Result<(), Duration> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % Self::SWEEP == Self::SWEEP - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(principal).map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counter")
    }
}

/// The rules of one endpoint.
#[derive(Debug)]
pub struct EndpointPolicy {
    /// Its tools by the names they have here, in the order of lists.
    pub tools: IndexMap<Arc<str>, Arc<ToolPolicy>>,
    /// What a caller without a tool's scopes meets.
    pub on_missing_scope: OnMissingScope,
    /// What a first challenge asks for.
    pub initial_scopes: Arc<[Arc<str>]>,
}

impl EndpointPolicy {
    /// The longest that a call of one of its tools may take.
    pub fn longest_call(&self) -> Duration {
        self.tools.values().map(|tool| tool.timeout).max().unwrap_or_default()
    }
}

/// The rules of all endpoints.
#[derive(Debug)]
pub struct Policy {
    endpoints: IndexMap<String, EndpointPolicy>,
}

impl Policy {
    /// Compile the rules. Findings that are not fatal come back beside the policy.
    ///
    /// # Errors
    /// All findings, if one of them is fatal.
    pub fn compile(config: &Config, plugins: &[PluginTools]) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut findings = Vec::new();
        let implications = Implications::close(&config.scopes).unwrap_or_else(|cycle| {
            findings.push(Finding {
                fatal: true,
                path: vec!["scopes".into()],
                message: cycle.to_string(),
                help: "a scope may imply others, in one direction".into(),
            });
            Implications::default()
        });
        for plugin in plugins {
            if let Some(section) = config.plugins.get(&plugin.plugin) {
                check_rules(&plugin.plugin, section, &plugin.tools, &mut findings);
            }
        }
        let endpoints = config
            .endpoints
            .iter()
            .map(|(name, endpoint)| {
                let compiled = compile_endpoint(name, endpoint, config, plugins, &implications, &mut findings);
                (name.clone(), compiled)
            })
            .collect();
        if findings.iter().any(|finding| finding.fatal) { Err(findings) } else { Ok((Self { endpoints }, findings)) }
    }

    /// The rules of an endpoint.
    pub fn endpoint(&self, name: &str) -> Option<&EndpointPolicy> {
        self.endpoints.get(name)
    }

    /// The tools of an endpoint that this principal may see; `None` is somebody without a token.
    pub fn visible<'a>(
        &'a self,
        endpoint: &str,
        principal: Option<&'a Principal>,
    ) -> impl Iterator<Item = &'a Arc<ToolPolicy>> {
        let endpoint = self.endpoints.get(endpoint);
        let all = endpoint.is_some_and(|endpoint| endpoint.on_missing_scope == OnMissingScope::Challenge);
        endpoint
            .into_iter()
            .flat_map(|endpoint| endpoint.tools.values())
            .filter(move |tool| all || principal.is_some_and(|principal| tool.permits(principal)))
    }
}

/// The rule that applies to a tool: its own, or `"*"`, the rule for the rest. The two are not mixed, so that a
/// line says all that there is to know of its tool.
fn rule_for<'a>(plugin: &'a Plugin, tool: &str) -> Option<&'a ToolRule> {
    plugin.tools.get(tool).or_else(|| plugin.tools.get("*"))
}

fn check_rules(name: &str, plugin: &Plugin, tools: &[String], findings: &mut Vec<Finding>) {
    let path = |tool: &str| vec!["plugins".into(), name.into(), "tools".into(), tool.to_owned()];
    for tool in tools {
        match rule_for(plugin, tool) {
            None => findings.push(Finding {
                fatal: true,
                path: vec!["plugins".into(), name.into(), "tools".into()],
                message: format!("the tool \"{tool}\" has no rule, so nobody would know who may call it"),
                help: format!(
                    "add `{tool} = {{ scopes = [\"…\"] }}` under [plugins.{name}.tools], or `{tool} = {{ enabled = false }}`"
                ),
            }),
            Some(rule) if rule.enabled != Some(false) && rule.scopes.is_none() => findings.push(Finding {
                fatal: true,
                path: path(tool),
                message: format!("the rule for \"{tool}\" names no scopes"),
                help: "add `scopes = [\"…\"]`, or `scopes = []` to let any valid token call it".into(),
            }),
            Some(_) => {}
        }
    }
    for tool in plugin.tools.keys().filter(|tool| *tool != "*" && !tools.contains(tool)) {
        findings.push(Finding {
            fatal: false,
            path: path(tool),
            message: format!("the plugin \"{name}\" has no tool \"{tool}\""),
            help: match nearest(tool, tools.iter().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if tools.is_empty() => "it has no tools now".into(),
                None => format!("it has {}", quoted(tools)),
            },
        });
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn compile_endpoint(
    name: &str,
    endpoint: &Endpoint,
    config: &Config,
    plugins: &[PluginTools],
    implications: &Implications,
    findings: &mut Vec<Finding>,
) -> EndpointPolicy {
    let mut tools: IndexMap<Arc<str>, Arc<ToolPolicy>> = IndexMap::new();
    let shared_name: Arc<str> = name.into();
    for plugin_name in &endpoint.plugins {
        let Some(section) = config.plugins.get(plugin_name) else { continue };
        let Some(plugin) = plugins.iter().find(|plugin| plugin.plugin == *plugin_name) else { continue };
        let shared_plugin: Arc<str> = plugin_name.as_str().into();
        for tool in &plugin.tools {
            let Some(rule) = rule_for(section, tool) else { continue };
            if rule.enabled == Some(false) {
                continue;
            }
            let Some(scopes) = &rule.scopes else { continue };
            let exposed: Arc<str> =
                rule.name.as_deref().filter(|_| section.tools.contains_key(tool)).unwrap_or(tool).into();
            let at = |key: &str| vec!["plugins".to_owned(), plugin_name.clone(), "tools".into(), key.into()];
            if !is_tool_name(&exposed) {
                findings.push(Finding {
                    fatal: true,
                    path: at(tool),
                    message: format!("\"{exposed}\" is no tool name"),
                    help: "use 1 to 128 of letters, digits, \"_\", \"-\" and \".\"".into(),
                });
                continue;
            }
            if let Some(other) = tools.get(&exposed) {
                findings.push(Finding {
                    fatal: true,
                    path: at(tool),
                    message: format!(
                        "the endpoint \"{name}\" would have two tools \"{exposed}\": from the plugins \"{}\" and \"{plugin_name}\"",
                        other.plugin
                    ),
                    help: format!("give one another name: `{tool} = {{ scopes = […], name = \"…\" }}`"),
                });
                continue;
            }
            let policy = ToolPolicy {
                endpoint: Arc::clone(&shared_name),
                plugin: Arc::clone(&shared_plugin),
                tool: tool.as_str().into(),
                name: Arc::clone(&exposed),
                requirement: Requirement::new(scopes, implications),
                timeout: rule.timeout.unwrap_or(section.limits.timeout).0,
                rate: rule.rate.and_then(Counter::new),
            };
            tools.insert(exposed, Arc::new(policy));
        }
    }
    let initial_scopes = match &endpoint.initial_scopes {
        Some(scopes) => scopes.iter().map(Scope::shared).collect(),
        None => least_scopes(tools.values(), implications),
    };
    EndpointPolicy { tools, on_missing_scope: endpoint.on_missing_scope, initial_scopes }
}

/// Tool names as the specification has them (2026-07-28, `server/tools`, "Tool Names").
fn is_tool_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The scopes that some tool requires and that imply no other such scope.
fn least_scopes<'a>(tools: impl Iterator<Item = &'a Arc<ToolPolicy>>, implications: &Implications) -> Arc<[Arc<str>]> {
    let mut required: Vec<Arc<str>> = Vec::new();
    for scope in tools.flat_map(|tool| tool.requirement.scopes().iter()) {
        if !required.contains(scope) {
            required.push(Arc::clone(scope));
        }
    }
    let implies_another =
        |scope: &Arc<str>| required.iter().any(|other| other != scope && implications.includes(scope, other));
    required.iter().filter(|scope| !implies_another(scope)).map(Arc::clone).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
