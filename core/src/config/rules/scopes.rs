//! `[scopes]`: every scope that is named exists, and no scope implies itself.

use super::Review;
use crate::config::{nearest, source::quoted_key, units::Scope};

pub(super) fn check(review: &mut Review<'_>) {
    let config = review.config;
    for (scope, section) in &config.scopes {
        known(review, &["scopes", scope.as_str(), "implies"], &section.implies);
    }
    for (name, endpoint) in &config.endpoints {
        if let Some(scopes) = &endpoint.initial_scopes {
            known(review, &["endpoints", name, "initial_scopes"], scopes);
        }
    }
    for (name, plugin) in &config.plugins {
        for (tool, rule) in &plugin.tools {
            if let Some(scopes) = &rule.scopes {
                known(review, &["plugins", name, "tools", tool, "scopes"], scopes);
            }
        }
    }
    cycles(review);
}

/// Each scope of a list has its section.
fn known(review: &mut Review<'_>, path: &[&str], scopes: &[Scope]) {
    let config = review.config;
    for (index, scope) in scopes.iter().enumerate().filter(|(_, scope)| !config.scopes.contains_key(*scope)) {
        let index = index.to_string();
        let path: Vec<&str> = path.iter().copied().chain([index.as_str()]).collect();
        let declare = match review.is_referenced(&path) {
            true => "add a section for it below [scopes]".to_owned(),
            false => format!("add a section [scopes.{}]", quoted_key(scope.as_str())),
        };
        let help = match nearest(scope.as_str(), config.scopes.keys().map(Scope::as_str)) {
            Some(near) => format!("did you mean \"{near}\"? otherwise {declare}"),
            None => declare,
        };
        review.wrong(&path, scope.as_str(), "is not a declared scope", help);
    }
}

/// Each circle of implications is told once, at the first of its scopes in the file.
fn cycles(review: &mut Review<'_>) {
    let config = review.config;
    let mut told: Vec<&Scope> = Vec::new();
    for start in config.scopes.keys() {
        if told.contains(&start) {
            continue;
        }
        let Some(circle) = circle_through(review, start) else { continue };
        let names: Vec<&str> = circle.iter().map(|scope| scope.as_str()).chain([start.as_str()]).collect();
        told.extend(circle);
        review.error(
            &["scopes", start.as_str(), "implies"],
            format!("the scopes imply one another in a circle: {}", names.join(" → ")),
            "take one of these implications away",
        );
    }
}

/// A shortest way from a scope back to itself, by breadth-first search.
fn circle_through<'a>(review: &Review<'a>, start: &'a Scope) -> Option<Vec<&'a Scope>> {
    let scopes = &review.config.scopes;
    let mut ways: Vec<(usize, &Scope)> = vec![(0, start)];
    let mut next = 0;
    while let Some(&(_, scope)) = ways.get(next) {
        for implied in scopes.get(scope).into_iter().flat_map(|section| &section.implies) {
            if implied == start {
                let mut circle = Vec::new();
                let mut at = next;
                while let Some(&(from, scope)) = ways.get(at) {
                    circle.push(scope);
                    if at == 0 {
                        break;
                    }
                    at = from;
                }
                circle.reverse();
                return Some(circle);
            }
            if !ways.iter().any(|(_, seen)| *seen == implied) {
                ways.push((next, implied));
            }
        }
        next += 1;
    }
    None
}
