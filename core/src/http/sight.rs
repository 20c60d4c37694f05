//! What somebody sees of a registry: an endpoint that hides tools shows them to those whose token reaches them.

use std::{collections::BTreeMap, sync::Arc};

use http::HeaderMap;

use crate::{
    config::OnMissingScope,
    gate::Gate,
    host::{Offered, Registry},
};

/// Whether an endpoint shows tools to those alone who may call them.
pub(super) fn hides(registry: &Registry, endpoint: &str) -> bool {
    registry.policy().endpoint(endpoint).is_some_and(|rules| rules.on_missing_scope == OnMissingScope::Hide)
}

/// Somebody's sight. Two who see the same have the same, whoever they are; somebody without a token has the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// The names of tools that a token opens to the eye, by endpoint.
    opened: BTreeMap<String, Vec<Arc<str>>>,
}

impl Sight {
    /// That of whoever sent these headers.
    pub(super) async fn of(gate: &Gate, registry: &Registry, headers: &HeaderMap) -> Self {
        let mut opened = BTreeMap::new();
        for endpoint in registry.endpoints() {
            if !hides(registry, endpoint) {
                continue;
            }
            let Some(principal) = gate.recognise(endpoint, headers).await else { continue };
            let seen: Vec<_> = registry.policy().visible(endpoint, Some(&principal)).map(|rule| &rule.name).collect();
            if !seen.is_empty() {
                opened.insert(endpoint.to_owned(), seen.into_iter().map(Arc::clone).collect());
            }
        }
        Self { opened }
    }

    /// The tools of an endpoint that are seen, in their stable order.
    pub(super) fn tools<'a>(&'a self, registry: &'a Registry, endpoint: &'a str) -> impl Iterator<Item = &'a Offered> {
        let opened = self.opened.get(endpoint);
        let named = opened.into_iter().flatten().filter_map(move |name| registry.tool(endpoint, name));
        named.chain(opened.is_none().then(|| registry.visible(endpoint, None)).into_iter().flatten())
    }

    /// The sight of somebody whose token opens these tools of an endpoint.
    #[cfg(test)]
    pub(super) fn opening(endpoint: &str, tools: &[&str]) -> Self {
        let tools = tools.iter().map(|tool| Arc::from(*tool)).collect();
        Self { opened: BTreeMap::from([(endpoint.to_owned(), tools)]) }
    }
}
