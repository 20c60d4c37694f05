//! `[plugins]`: names, bounds that let something through, and rules for tools that say who may call them.

use std::path::Path;

use super::{Review, TOOL_NAMES, is_plain_name, is_tool_name};
use crate::config::{
    sections::{Isolation, Limits, Plugin, PluginKind, ToolRule},
    units::Size,
};

/// The rule for the rest.
const REST: &str = "*";

pub(super) fn check(review: &mut Review<'_>) {
    let config = review.config;
    for (name, plugin) in &config.plugins {
        if !is_plain_name(name) {
            review.error(
                &["plugins", name],
                format!("\"{name}\" cannot name a plugin"),
                "use letters, digits, - and _: the name is also that of its state folder",
            );
        }
        if plugin.enabled {
            check_limits(review, name, &plugin.limits);
            unread_keys(review, name, plugin);
            for (tool, rule) in &plugin.tools {
                check_rule(review, name, plugin, tool, rule);
            }
            let used = config.endpoints.values().any(|endpoint| endpoint.plugins.contains(name));
            if !used {
                review.warn(
                    &["plugins", name],
                    "no endpoint offers this plugin's tools",
                    format!("add {name:?} to the plugins of an endpoint, or write enabled = false"),
                );
            }
        }
    }
}

/// The least memory with which a worker starts, and can still say what it lacks.
const LEAST_MEMORY: Size = Size::mebibytes(16);

fn check_limits(review: &mut Review<'_>, name: &str, limits: &Limits) {
    review.not_zero(&["plugins", name, "limits", "timeout"], limits.timeout);
    review.not_zero(&["plugins", name, "limits", "cpu"], limits.cpu);
    if limits.result.0 == 0 {
        let help = "write a size such as \"4 MiB\"";
        wrong_size(review, &["plugins", name, "limits", "result"], "lets no result through", help);
    }
    if limits.memory < LEAST_MEMORY {
        let help = "write \"16 MiB\" or more";
        wrong_size(review, &["plugins", name, "limits", "memory"], "is too little for a worker", help);
    }
    for (key, paths) in [("read", &limits.read), ("write", &limits.write)] {
        for (index, _) in paths.iter().enumerate().filter(|(_, path)| **path == Path::new("")) {
            let help = "write a file's or a folder's path, such as \"data\"";
            review.wrong(&["plugins", name, "limits", key, &index.to_string()], "", "is no path", help);
        }
    }
}

/// A size as it is written.
fn wrong_size(review: &mut Review<'_>, path: &[&str], problem: &str, help: &str) {
    let found = review.text(path).unwrap_or_default();
    review.wrong(path, found, problem, help);
}

/// Keys that only a worker obeys.
const WORKERS: [&str; 8] = ["memory", "cpu", "files", "network", "exec", "read", "write", "restarts"];

/// What is written for a worker where there is none does nothing, and somebody counts on it.
fn unread_keys(review: &mut Review<'_>, name: &str, plugin: &Plugin) {
    let limits = WORKERS.map(|key| vec!["plugins", name, "limits", key]);
    match (plugin.kind(), plugin.isolation) {
        (Some(PluginKind::Builtin(_)), _) => {
            let own = ["isolation", "required"].map(|key| vec!["plugins", name, key]);
            for path in own.iter().chain(&limits).filter(|path| review.is_given(path)).collect::<Vec<_>>() {
                review.warn(path, "this key is not read for a plugin that is compiled in", "take it away");
            }
        }
        (Some(PluginKind::Library(_)), Isolation::None) => {
            for path in limits.iter().filter(|path| review.is_given(path)).collect::<Vec<_>>() {
                let help = "take it away, or write isolation = \"process\"";
                review.warn(path, "this key is not read with isolation \"none\": only a worker obeys it", help);
            }
        }
        _ => {}
    }
}

fn check_rule(review: &mut Review<'_>, name: &str, plugin: &Plugin, tool: &str, rule: &ToolRule) {
    let path = ["plugins", name, "tools", tool];
    if rule.enabled != Some(false) && rule.scopes.is_none() {
        let first = review.config.scopes.keys().next();
        let scopes = first.map_or_else(|| "[]".to_owned(), |scope| format!("[\"{scope}\"]"));
        let help = format!("add scopes = {scopes} to it; [] means any valid token");
        review.error(&path, "nothing says who may call this tool", help);
    }
    if let Some(timeout) = rule.timeout {
        review.not_zero(&["plugins", name, "tools", tool, "timeout"], timeout);
    }
    let Some(renamed) = &rule.name else { return };
    let path = ["plugins", name, "tools", tool, "name"];
    if tool == REST {
        review.wrong(&path, renamed, "would be the name of many tools", "rename each tool in its own rule");
    } else if !is_tool_name(renamed) {
        review.wrong(&path, renamed, "cannot name a tool", TOOL_NAMES);
    } else {
        let earlier = plugin.tools.iter().take_while(|(other, _)| *other != tool);
        let taken = earlier
            .filter(|(_, other)| other.enabled != Some(false))
            .find(|(_, other)| other.name.as_ref() == Some(renamed));
        if let Some((other, _)) = taken {
            review.wrong(&path, renamed, format!("is the new name of \"{other}\" too"), "give each tool its own");
        }
    }
}
