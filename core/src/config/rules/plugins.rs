//! `[plugins]`: names, and rules for tools that say who may call them.

use super::{Review, is_plain_name};
use crate::config::sections::{Plugin, ToolRule};

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
            check_kind(review, name, plugin);
            review.not_zero(&["plugins", name, "limits", "timeout"], plugin.limits.timeout);
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

/// Exactly one key says what kind of plugin it is.
fn check_kind(review: &mut Review<'_>, name: &str, plugin: &Plugin) {
    match (plugin.builtin, &plugin.library) {
        (None, None) => {
            let help = "write builtin = \"…\" for a compiled-in one, or library = \"path/to/lib….so\"";
            review.error(&["plugins", name], "nothing says what kind of plugin this is", help);
        }
        (Some(_), Some(_)) => {
            let help = "keep the one of builtin and library that is meant";
            review.error(&["plugins", name, "library"], "this plugin is compiled in and a library at once", help);
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
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if tool == REST {
        review.wrong(&path, renamed, "would be the name of many tools", "rename each tool in its own rule");
    } else if !renamed.bytes().all(plain) || renamed.len() > 128 {
        review.wrong(&path, renamed, "cannot name a tool", "use up to 128 letters, digits, _ - and .");
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
