//! From the rules of `[plugins.*.tools]` to those of an endpoint's tools: which rule is whose, who has a name, what does
//! not fit.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    rate::Counter,
    rules::{Consequence, EndpointPolicy, Finding, Misfits, PluginTools, ToolPolicy},
    scopes::{Implications, Requirement},
};
use crate::config::{Config, Endpoint, Plugin, Rate, Scope, TOOL_NAMES, ToolRule, is_tool_name, nearest};

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

/// Look at a plugin's rules beside its tools.
pub(super) fn check_rules(section: &Plugin, plugin: &PluginTools, findings: &mut Vec<Finding>) {
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
pub(super) struct Compiler<'a> {
    pub(super) name: &'a str,
    pub(super) config: &'a Config,
    pub(super) plugins: &'a [PluginTools],
    pub(super) implications: &'a Implications,
    /// The endpoint as it was before.
    pub(super) earlier: Option<&'a EndpointPolicy>,
}

impl Compiler<'_> {
    /// The rules of the endpoint.
    pub(super) fn endpoint(&self, endpoint: &Endpoint, findings: &mut Vec<Finding>) -> EndpointPolicy {
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
                    let path = rule_path(plugin_name, tool);
                    findings.push(plugin.misfit(path, message, TOOL_NAMES.to_owned()));
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

    /// Two tools of one name; whether the earlier one makes way. A name stays with whoever had it: no plugin takes over
    /// the callers of another by listing a tool.
    fn clash(&self, earlier: &ToolPolicy, plugin: &PluginTools, tool: &str) -> (Finding, bool) {
        let other = self.plugin(&earlier.plugin);
        let exposed = &*earlier.name;
        let theirs = other.map(|other| (other, self.claim(other, &earlier.tool, exposed)));
        let (culprit, own, makes_way) = match theirs {
            Some((other, theirs)) if self.claim(plugin, tool, exposed) > theirs => (other, &*earlier.tool, true),
            _ => (plugin, tool, false),
        };
        let message = format!(
            "the endpoint \"{}\" would have two tools \"{}\": from the plugins \"{}\" and \"{}\"",
            self.name, earlier.name, earlier.plugin, plugin.plugin
        );
        let help = format!("give one another name: `{own} = {{ scopes = […], name = \"…\" }}`");
        (culprit.misfit(rule_path(&culprit.plugin, own), message, help), makes_way)
    }

    /// How good a plugin's claim to a name is; of two that are as good, the earlier one in the endpoint's list counts.
    fn claim(&self, plugin: &PluginTools, tool: &str, exposed: &str) -> Claim {
        let had = self.earlier.and_then(|earlier| earlier.tools.get(exposed));
        let by_plugin = had.is_some_and(|had| *had.plugin == *plugin.plugin);
        Claim {
            compiled_in: self.config.plugins.get(&plugin.plugin).is_some_and(|section| section.builtin.is_some()),
            had_by_plugin: by_plugin,
            had: by_plugin && had.is_some_and(|had| *had.tool == *tool),
            must_run: plugin.misfits == Misfits::Refuse,
        }
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

/// What speaks for a tool where another has the same name, the weightiest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    /// Whoever built the server chose the name; a library never takes it away.
    compiled_in: bool,
    /// The name was its plugin's.
    had_by_plugin: bool,
    /// The name was its own.
    had: bool,
    /// Nothing is served without its plugin.
    must_run: bool,
}

fn rule_path(plugin: &str, tool: &str) -> Vec<String> {
    ["plugins", plugin, "tools", tool].map(str::to_owned).into()
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
