//! The rules of `[plugins.*.tools]` as they apply to the tools that there are: what `compile` makes of them.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    compile::{Compiler, check_rules},
    principal::{Principal, PrincipalId},
    rate::Counter,
    scopes::{Implications, Requirement},
};
use crate::config::{Config, Diagnostic, OnMissingScope, Rate, Source};

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
    pub(super) rate: Option<Arc<Counter>>,
    pub(super) permits: TaskTracker,
}

impl ToolPolicy {
    /// Counts a permit as long as it is out.
    pub(super) fn hold(&self) -> TaskTrackerToken {
        self.permits.token()
    }

    /// How often each principal may call it.
    pub fn rate(&self) -> Option<Rate> {
        self.rate.as_ref().map(|counter| counter.rate)
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

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
