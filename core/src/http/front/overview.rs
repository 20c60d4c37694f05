//! How the server is, in a word, a sentence and a list of what somebody should look at. From what `/readyz` tells.

use serde::Serialize;

use crate::http::openapi::{ConfigurationState, PluginReadiness, PluginState, Readiness};

/// More plugins that are well than this are not listed one by one.
const LISTED: usize = 8;

/// How the server is, in a word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    /// All is well.
    Ready,
    /// It serves, but something is off.
    Degraded,
    /// A plugin that must run does not.
    NotReady,
}

impl Condition {
    pub(super) fn of(readiness: &Readiness) -> Self {
        let well = readiness.plugins.values().all(|plugin| plugin.state == PluginState::Ready);
        match readiness.configuration.state {
            _ if !readiness.ready => Self::NotReady,
            ConfigurationState::Current | ConfigurationState::Waits if well => Self::Ready,
            _ => Self::Degraded,
        }
    }
}

/// What a page shows of it. A tone is a class of the style: `ok`, `warn`, `bad`.
pub(super) struct Overview {
    pub(super) tone: &'static str,
    pub(super) word: &'static str,
    pub(super) sentence: String,
    /// Plugins that there is something to say of.
    pub(super) plugins: Vec<PluginNote>,
    /// The names of those that are well, or of some, and how many more there are.
    pub(super) calm: Vec<String>,
    pub(super) uncounted: usize,
    pub(super) configuration: Option<ConfigurationNote>,
}

pub(super) struct PluginNote {
    pub(super) name: String,
    pub(super) tone: &'static str,
    pub(super) word: &'static str,
    pub(super) detail: Option<String>,
    pub(super) warnings: Vec<String>,
}

pub(super) struct ConfigurationNote {
    pub(super) tone: &'static str,
    pub(super) word: &'static str,
    pub(super) detail: String,
}

impl Overview {
    pub(super) fn of(readiness: &Readiness) -> Self {
        let condition = Condition::of(readiness);
        let (total, ill) = {
            let ill = readiness.plugins.values().filter(|plugin| plugin.state != PluginState::Ready);
            (readiness.plugins.len(), ill.count())
        };
        let sentence = sentence(total, ill);
        let (mut plugins, mut calm) = (Vec::new(), Vec::new());
        for (name, plugin) in &readiness.plugins {
            if plugin.state == PluginState::Ready && plugin.detail.is_none() && plugin.warnings.is_empty() {
                calm.push(name.clone());
            } else {
                plugins.push(note(name, plugin));
            }
        }
        let uncounted = if calm.len() > LISTED { calm.split_off(LISTED - 1).len() } else { 0 };
        let configuration = match readiness.configuration.state {
            ConfigurationState::Current => None,
            ConfigurationState::Refused => {
                Some(("bad", "The edited configuration is refused; the one before serves on"))
            }
            ConfigurationState::Waits => Some(("warn", "A part of the configuration waits")),
        };
        let detail = readiness.configuration.detail.clone().unwrap_or_default();
        let configuration = configuration.map(|(tone, word)| ConfigurationNote { tone, word, detail });
        let (tone, word) = match condition {
            Condition::Ready => ("ok", "Ready"),
            Condition::Degraded => ("warn", "Degraded"),
            Condition::NotReady => ("bad", "Not ready"),
        };
        Self { tone, word, sentence, plugins, calm, uncounted, configuration }
    }
}

fn sentence(total: usize, ill: usize) -> String {
    match (total, ill) {
        (0, _) => "No plugin runs.".to_owned(),
        (1, 0) => "The one plugin takes calls.".to_owned(),
        (2, 0) => "Both plugins take calls.".to_owned(),
        (total, 0) => format!("All {total} plugins take calls."),
        (1, _) => "The one plugin is not well.".to_owned(),
        (total, 1) => format!("1 of {total} plugins is not well."),
        (total, ill) => format!("{ill} of {total} plugins are not well."),
    }
}

fn note(name: &str, plugin: &PluginReadiness) -> PluginNote {
    let (tone, word) = match plugin.state {
        PluginState::Ready => ("ok", "ready"),
        PluginState::Starting => ("warn", "starting"),
        PluginState::Degraded => ("warn", "degraded"),
        PluginState::Failed => ("bad", "failed"),
    };
    let (detail, warnings) = (plugin.detail.clone(), plugin.warnings.clone());
    PluginNote { name: name.to_owned(), tone, word, detail, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_plugins_that_are_well_some_are_named_and_the_others_counted() {
        let well = PluginReadiness { state: PluginState::Ready, detail: None, warnings: Vec::new() };
        for (total, named, uncounted) in [(0, 0, 0), (1, 1, 0), (8, 8, 0), (9, 7, 2), (20, 7, 13)] {
            let mut readiness = Readiness { ready: true, ..Readiness::default() };
            readiness.plugins.extend((0..total).map(|index| (format!("p{index:02}"), well.clone())));
            let overview = Overview::of(&readiness);
            assert_eq!((overview.calm.len(), overview.uncounted), (named, uncounted), "{total}");
            // One that there is something to say of is always listed.
            let ill = PluginReadiness { state: PluginState::Failed, ..well.clone() };
            readiness.plugins.insert("ill".into(), ill);
            let overview = Overview::of(&readiness);
            assert_eq!(
                (overview.calm.len(), overview.uncounted, overview.plugins.len()),
                (named, uncounted, 1),
                "{total}"
            );
        }
    }
}
