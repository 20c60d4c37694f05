//! `toolgate check`: everything that a start would refuse, and what else looks wrong.

use std::{collections::HashSet, path::Path, process::ExitCode};

use tokio_util::task::TaskTracker;

use super::print;
use crate::{
    config::{Config, Isolation, PluginKind, Source},
    host::Registry,
    http::check_start,
    telemetry::log,
};

pub(super) async fn run(path: &Path) -> ExitCode {
    let loaded = match print::load(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    // Each part by itself, so that all that is wrong is told at once.
    let mut failed = false;
    if let Err(error) = log::check(&loaded.config.log) {
        print::failure(&error.to_string());
        failed = true;
    }
    if let Err(error) = check_start(&loaded.config) {
        print::start_error(&loaded.source, &error);
        failed = true;
    }
    let (registry, findings) = match Registry::build(&loaded.config, TaskTracker::new()).await {
        Ok(built) => built,
        Err(error) => return print::build_error(&loaded.source, &error),
    };
    print::findings(&loaded.source, &findings);
    failed |= print::failures(&loaded.source, &registry) > 0;
    let idle = idle(&loaded.config, &loaded.source, &registry) + nowhere(&loaded.config, &loaded.source);
    registry.shutdown().await;
    if failed {
        return ExitCode::from(1);
    }
    let tools: usize = loaded
        .config
        .endpoints
        .keys()
        .filter_map(|name| registry.policy().endpoint(name))
        .map(|rules| rules.tools.len())
        .sum();
    let endpoints = loaded.config.endpoints.len();
    let warnings = loaded.warnings.len() + findings.len() + idle;
    print::line(format_args!(
        "{} is in order: {}, {}, {}",
        path.display(),
        count(endpoints, "endpoint"),
        count(tools, "tool"),
        count(warnings, "warning"),
    ));
    ExitCode::SUCCESS
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Warn of what is there and serves nobody; how many warnings.
fn idle(config: &Config, source: &Source, registry: &Registry) -> usize {
    let mut warnings = Vec::new();
    let mut required = HashSet::new();
    for (name, endpoint) in &config.endpoints {
        let Some(rules) = registry.policy().endpoint(name) else { continue };
        if rules.tools.is_empty() {
            let help = "map tools of its plugins, or remove the endpoint";
            warnings.push(source.warning(&["endpoints", name], None, "this endpoint offers no tool", help));
        }
        required
            .extend(rules.tools.values().flat_map(|tool| tool.requirement.scopes().iter().map(ToString::to_string)));
        required.extend(endpoint.initial_scopes.iter().flatten().map(ToString::to_string));
    }
    for (scope, section) in &config.scopes {
        if !required.contains(scope.as_str()) && section.implies.is_empty() {
            let help = "ask it of a tool, or remove it";
            warnings.push(source.warning(&["scopes", scope.as_str()], None, "no tool asks for this scope", help));
        }
    }
    print::diagnostics(&warnings);
    warnings.len()
}

/// Warn of what workers are let into and is not there: they start, and cannot use it; how many warnings.
fn nowhere(config: &Config, source: &Source) -> usize {
    let mut warnings = Vec::new();
    for (name, section) in config.plugins.iter().filter(|(_, section)| section.enabled) {
        if !matches!(section.kind(), Some(PluginKind::Library(_))) || section.isolation == Isolation::None {
            continue;
        }
        for (key, paths) in [("read", &section.limits.read), ("write", &section.limits.write)] {
            for (index, path) in paths.iter().enumerate() {
                let Err(error) = path.metadata() else { continue };
                let place = ["plugins", name, "limits", key, &index.to_string()];
                let message = format!("\"{}\" cannot be used by the plugin: {}", path.display(), reason(&error));
                let help = "make it before the start, or correct the path";
                warnings.push(source.warning(&place, None, message, help));
            }
        }
    }
    print::diagnostics(&warnings);
    warnings.len()
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is nothing".into(),
        std::io::ErrorKind::PermissionDenied => "it may not be looked at".into(),
        _ => error.to_string(),
    }
}
