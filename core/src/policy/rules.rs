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
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    principal::{Principal, PrincipalId},
    scopes::{Implications, Requirement},
};
use crate::config::{Config, Diagnostic, Endpoint, OnMissingScope, Plugin, Rate, Scope, Source, ToolRule, nearest};

/// The tools that a loaded plugin has, by their own names.
#[derive(Debug, Clone)]
pub struct PluginTools {
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// Its tools, in its order.
    pub tools: Vec<String>,
    /// What becomes of a tool of its that the rules do not fit.
    pub misfits: Misfits,
    /// Counts the permits for its tools that are out.
    pub permits: TaskTracker,
}

/// What becomes of a tool that the rules do not fit: one without a rule, or with a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfits {
    /// It stops the start: whoever built the server knew the tool.
    Refuse,
    /// Its plugin is left out, so that a new plugin never serves by halves.
    KeepOut,
    /// It alone is left out: it came to a plugin that serves already.
    Hide,
}

/// What a finding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The configuration is refused.
    Refused,
    /// The plugin that the finding is about is left out.
    KeptOut,
    /// Somebody should look at it.
    Warning,
}

/// Something in the configuration that does not fit the tools there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it leads to.
    pub consequence: Consequence,
    /// The plugin that it is about, if it is about one.
    pub plugin: Option<String>,
    /// The key that it is about.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub help: String,
}

impl Finding {
    /// At its place in the file.
    pub fn diagnostic(&self, source: &Source) -> Diagnostic {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match self.consequence {
            Consequence::Warning => source.warning(&path, None, self.message.as_str(), self.help.as_str()),
            _ => source.error(&path, None, self.message.as_str(), self.help.as_str()),
        }
    }
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
    rate: Option<Arc<Counter>>,
    permits: TaskTracker,
}

impl ToolPolicy {
    /// Counts a permit as long as it is out.
    pub(super) fn hold(&self) -> TaskTrackerToken {
        self.permits.token()
    }

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
    rate: Rate,
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
        Some(Self { rate, limiter: RateLimiter::keyed(quota), calls: AtomicUsize::new(0) })
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
    /// Compile the rules. Warnings come back beside the policy. Where a policy served `before`, what each principal
    /// has called under a rate that stays the same counts on.
    ///
    /// # Errors
    /// All findings, if one of them is more than a warning.
    pub fn compile(
        config: &Config,
        plugins: &[PluginTools],
        before: Option<&Self>,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut findings = Vec::new();
        let implications = Implications::close(&config.scopes).unwrap_or_else(|cycle| {
            findings.push(Finding {
                consequence: Consequence::Refused,
                plugin: None,
                path: vec!["scopes".into()],
                message: cycle.to_string(),
                help: "a scope may imply others, in one direction".into(),
            });
            Implications::default()
        });
        for plugin in plugins {
            if let Some(section) = config.plugins.get(&plugin.plugin) {
                check_rules(section, plugin, &mut findings);
            }
        }
        let endpoints = config
            .endpoints
            .iter()
            .map(|(name, endpoint)| {
                let earlier = before.and_then(|before| before.endpoint(name));
                let compiler = Compiler { name, config, plugins, implications: &implications, earlier };
                (name.clone(), compiler.endpoint(endpoint, &mut findings))
            })
            .collect();
        if findings.iter().any(|finding| finding.consequence != Consequence::Warning) {
            Err(findings)
        } else {
            Ok((Self { endpoints }, findings))
        }
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

impl PluginTools {
    /// A finding about a tool that the rules do not fit.
    fn misfit(&self, path: Vec<String>, message: String, help: String) -> Finding {
        let (consequence, message) = match self.misfits {
            Misfits::Refuse => (Consequence::Refused, message),
            Misfits::KeepOut => (Consequence::KeptOut, message),
            Misfits::Hide => {
                let next = "at the next start the whole plugin is kept out until a rule names it";
                (Consequence::Warning, format!("{message}; it stays hidden; {next}"))
            }
        };
        Finding { consequence, plugin: Some(self.plugin.clone()), path, message, help }
    }
}

fn check_rules(section: &Plugin, plugin: &PluginTools, findings: &mut Vec<Finding>) {
    let (name, tools) = (&plugin.plugin, &plugin.tools);
    let path = |tool: &str| rule_path(name, tool);
    for tool in tools {
        match rule_for(section, tool) {
            None => findings.push(plugin.misfit(
                vec!["plugins".into(), name.clone(), "tools".into()],
                format!("the tool \"{tool}\" has no rule, so nobody would know who may call it"),
                format!(
                    "add `{tool} = {{ scopes = [\"…\"] }}` under [plugins.{name}.tools], or `{tool} = {{ enabled = false }}`"
                ),
            )),
            Some(rule) if rule.enabled != Some(false) && rule.scopes.is_none() => findings.push(Finding {
                consequence: Consequence::Refused,
                plugin: Some(name.clone()),
                path: path(tool),
                message: format!("the rule for \"{tool}\" names no scopes"),
                help: "add `scopes = [\"…\"]`, or `scopes = []` to let any valid token call it".into(),
            }),
            Some(_) => {}
        }
    }
    for tool in section.tools.keys().filter(|tool| *tool != "*" && !tools.contains(tool)) {
        findings.push(Finding {
            consequence: Consequence::Warning,
            plugin: Some(name.clone()),
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

/// What the rules of one endpoint are compiled from.
struct Compiler<'a> {
    name: &'a str,
    config: &'a Config,
    plugins: &'a [PluginTools],
    implications: &'a Implications,
    /// The endpoint as it was before.
    earlier: Option<&'a EndpointPolicy>,
}

impl Compiler<'_> {
    fn endpoint(&self, endpoint: &Endpoint, findings: &mut Vec<Finding>) -> EndpointPolicy {
        let mut tools: IndexMap<Arc<str>, Arc<ToolPolicy>> = IndexMap::new();
        let shared_name: Arc<str> = self.name.into();
        for plugin_name in &endpoint.plugins {
            let Some(section) = self.config.plugins.get(plugin_name) else { continue };
            let Some(plugin) = self.plugin(plugin_name) else { continue };
            let shared_plugin: Arc<str> = plugin_name.as_str().into();
            for tool in &plugin.tools {
                let Some(rule) = rule_for(section, tool).filter(|rule| rule.enabled != Some(false)) else { continue };
                let Some(scopes) = &rule.scopes else { continue };
                let own_rule = section.tools.contains_key(tool);
                let exposed: Arc<str> = rule.name.as_deref().filter(|_| own_rule).unwrap_or(tool).into();
                if !is_tool_name(&exposed) {
                    let message = format!("\"{exposed}\" is no tool name");
                    let help = "use 1 to 128 of letters, digits, \"_\", \"-\" and \".\"".to_owned();
                    findings.push(plugin.misfit(rule_path(plugin_name, tool), message, help));
                    continue;
                }
                if let Some(other) = tools.get(&exposed) {
                    let (finding, makes_way) = self.clash(other, plugin, tool);
                    findings.push(finding);
                    if !makes_way {
                        continue;
                    }
                }
                let policy = ToolPolicy {
                    endpoint: Arc::clone(&shared_name),
                    plugin: Arc::clone(&shared_plugin),
                    tool: tool.as_str().into(),
                    name: Arc::clone(&exposed),
                    requirement: Requirement::new(scopes, self.implications),
                    timeout: rule.timeout.unwrap_or(section.limits.timeout).0,
                    rate: rule.rate.and_then(|rate| self.counter(plugin_name, tool, rate)),
                    permits: plugin.permits.clone(),
                };
                tools.insert(exposed, Arc::new(policy));
            }
        }
        let initial_scopes = match &endpoint.initial_scopes {
            Some(scopes) => scopes.iter().map(Scope::shared).collect(),
            None => least_scopes(tools.values(), self.implications),
        };
        EndpointPolicy { tools, on_missing_scope: endpoint.on_missing_scope, initial_scopes }
    }

    fn plugin(&self, name: &str) -> Option<&PluginTools> {
        self.plugins.iter().find(|plugin| plugin.plugin == name)
    }

    /// Two tools of one name. The later one is at fault, unless its plugin must run and the earlier one's need not: then
    /// the earlier makes way (`true`).
    fn clash(&self, earlier: &ToolPolicy, plugin: &PluginTools, tool: &str) -> (Finding, bool) {
        let other = self.plugin(&earlier.plugin).filter(|other| other.misfits != Misfits::Refuse);
        let makes_way = plugin.misfits == Misfits::Refuse && other.is_some();
        let (culprit, own) = match other {
            Some(other) if makes_way => (other, &*earlier.tool),
            _ => (plugin, tool),
        };
        let message = format!(
            "the endpoint \"{}\" would have two tools \"{}\": from the plugins \"{}\" and \"{}\"",
            self.name, earlier.name, earlier.plugin, plugin.plugin
        );
        let help = format!("give one another name: `{own} = {{ scopes = […], name = \"…\" }}`");
        (culprit.misfit(rule_path(&culprit.plugin, own), message, help), makes_way)
    }

    /// The calls of a tool: those counted before, if the rate is still the same.
    fn counter(&self, plugin: &str, tool: &str, rate: Rate) -> Option<Arc<Counter>> {
        let earlier = self.earlier.and_then(|earlier| {
            let same = earlier.tools.values().find(|policy| *policy.plugin == *plugin && *policy.tool == *tool)?;
            same.rate.as_ref().filter(|counter| counter.rate == rate)
        });
        earlier.map(Arc::clone).or_else(|| Counter::new(rate).map(Arc::new))
    }
}

fn rule_path(plugin: &str, tool: &str) -> Vec<String> {
    ["plugins", plugin, "tools", tool].map(str::to_owned).into()
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
