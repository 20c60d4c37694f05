//! The front page for programs: the same as JSON.

use std::collections::{BTreeMap, BTreeSet};

use poem_openapi::types::ToJSON;
use serde::Serialize;
use serde_json::Value;

use super::{overview::Condition, tool::Shown};
use crate::{
    gate::ProtectedResource,
    host::Registry,
    http::{openapi::Readiness, sight::Sight, state::State},
    mcp,
};

/// What a program is told.
#[derive(Serialize)]
struct Summary {
    name: &'static str,
    version: &'static str,
    public_url: String,
    state: Condition,
    /// How the configuration's file stands to what serves, as `/readyz` has it.
    configuration: Option<Value>,
    /// Each plugin by its name, as `/readyz` has it.
    plugins: Option<Value>,
    docs: String,
    openapi: String,
    catalogue: String,
    readiness: String,
    endpoints: Vec<Endpoint>,
    /// What the scopes of these tools mean, as far as that is written down.
    scopes: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Endpoint {
    name: String,
    url: String,
    transport: &'static str,
    protocol_versions: Vec<&'static str>,
    resource: String,
    /// `null` where no token is asked for.
    protected_resource_metadata: Option<String>,
    authorization_servers: Vec<String>,
    tools: Vec<Shown>,
}

/// What runs and how it is, as somebody may see it.
pub(super) fn summary(state: &State, registry: &Registry, sight: &Sight, readiness: &Readiness) -> Option<String> {
    let config = &state.config;
    let public_url = config.public_url();
    let endpoints: Vec<Endpoint> = registry
        .endpoints()
        .filter_map(|name| {
            let path = &config.endpoints.get(name)?.path;
            let guarded = state.gate.resource(name).filter(|resource| resource.verifier().is_some());
            let servers =
                guarded.and_then(ProtectedResource::verifier).map(|verifier| verifier.authorization_servers().to_vec());
            Some(Endpoint {
                name: name.to_owned(),
                url: format!("{public_url}{path}"),
                transport: "streamable-http",
                protocol_versions: mcp::protocol_versions().collect(),
                resource: config.resource(name),
                protected_resource_metadata: guarded.map(|resource| resource.metadata_url().to_owned()),
                authorization_servers: servers.unwrap_or_default(),
                tools: sight.tools(registry, name).map(|tool| Shown::of(tool, guarded.is_some())).collect(),
            })
        })
        .collect();
    let mentioned: BTreeSet<&str> = endpoints
        .iter()
        .flat_map(|endpoint| &endpoint.tools)
        .flat_map(|tool| tool.scopes.iter().map(String::as_str))
        .collect();
    let described = config
        .scopes
        .iter()
        .filter(|(scope, section)| mentioned.contains(scope.as_str()) && !section.description.is_empty());
    let summary = Summary {
        name: "Toolgate",
        version: env!("CARGO_PKG_VERSION"),
        state: Condition::of(readiness),
        configuration: readiness.configuration.to_json(),
        plugins: readiness.plugins.to_json(),
        docs: format!("{public_url}/docs"),
        openapi: format!("{public_url}/openapi.json"),
        catalogue: format!("{public_url}/api/tools"),
        readiness: format!("{public_url}/readyz"),
        scopes: described.map(|(scope, section)| (scope.to_string(), section.description.clone())).collect(),
        endpoints,
        public_url,
    };
    serde_json::to_string_pretty(&summary).ok()
}
