//! What is told of a tool, on the page and in the JSON: one description for both.

use std::cmp::Reverse;

use serde::Serialize;

use super::prose::first_sentence;
use crate::host::Offered;

/// A tool as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
    pub(super) plugin: String,
    #[serde(rename = "required_scopes")]
    pub(super) scopes: Vec<String>,
    /// A token is asked for, and any will do.
    #[serde(skip)]
    pub(super) any_token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<String>,
    pub(super) read_only: bool,
    pub(super) destructive: bool,
}

impl Shown {
    /// A tool of an endpoint that asks for tokens, or of one that does not.
    pub(super) fn of(offered: &Offered, guarded: bool) -> Self {
        let tool = &offered.tool;
        let hints = tool.annotations.clone().unwrap_or_default();
        let required = offered.policy.requirement.scopes();
        let read_only = hints.read_only_hint.unwrap_or(false);
        let title = tool.title.as_deref().or(hints.title.as_deref()).map(str::trim);
        Self {
            name: tool.name.clone(),
            title: title
                .filter(|title| !title.is_empty() && *title != tool.name)
                .map(|title| title.chars().take(80).collect()),
            summary: tool.description.as_deref().and_then(first_sentence),
            plugin: offered.policy.plugin.to_string(),
            scopes: if guarded { required.iter().map(ToString::to_string).collect() } else { Vec::new() },
            any_token: guarded && required.is_empty(),
            rate: offered.policy.rate().map(|rate| rate.to_string()),
            read_only,
            // What changes nothing destroys nothing, whatever else it says.
            destructive: !read_only && hints.destructive_hint.unwrap_or(false),
        }
    }
}

/// How good a tool is to try: one that needs nothing outside, one that changes nothing, the first.
pub(super) fn worth_a_try(offered: &Offered, index: usize) -> (bool, bool, Reverse<usize>) {
    let hints = offered.tool.annotations.clone().unwrap_or_default();
    (*offered.policy.tool == *"echo", hints.read_only_hint.unwrap_or(false), Reverse(index))
}
