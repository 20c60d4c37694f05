//! The part of the front page that is about one endpoint: its address, its tools, and how clients are connected to it.
//! It follows from the configuration, the registry and who looks, and is made once for all who may see the same.

use askama::Template;
use serde_json::{Map, Value};

use super::{
    clients::{Access, Client, Sample, Step, Target, clients},
    page::Place,
    prose::Span,
    tool::{Shown, worth_a_try},
};
use crate::{
    config::{OnMissingScope, ProviderKind},
    gate::ProtectedResource,
    host::{Offered, Registry},
    http::{
        openapi::{Operation, Operations},
        sight::Sight,
        state::State,
    },
    mcp,
};

/// More tools than this fold behind a line.
const OPEN: usize = 12;
/// More tools than this are not shown: one plugin may list thousands.
const MOST: usize = 500;

/// A tool as the page shows it.
struct Row {
    tool: Shown,
    /// Where Swagger UI shows it.
    docs: Option<String>,
}

struct ScopeNote {
    name: String,
    description: String,
}

#[derive(Template)]
#[template(path = "front/endpoint.html")]
struct EndpointTemplate<'a> {
    root: &'a str,
    name: &'a str,
    address: &'a str,
    several: bool,
    sign_in: &'a str,
    versions: Vec<&'static str>,
    shown: &'a [Row],
    more: &'a [Row],
    /// How many there are beside those.
    left_out: usize,
    hides: bool,
    scopes: Vec<ScopeNote>,
    /// With the one that is open at first.
    clients: Vec<(Client, bool)>,
}

/// The part about an endpoint, as HTML, as somebody may see it.
pub(super) fn part(
    state: &State,
    registry: &Registry,
    place: &Place,
    sight: &Sight,
    operations: &Operations,
) -> Option<String> {
    let config = &state.config;
    let Place { endpoint: name, root } = place;
    let offered: Vec<&Offered> = sight.tools(registry, name).collect();
    let resource = state.gate.resource(name);
    let guarded = resource.is_some_and(|resource| resource.verifier().is_some());
    let rows: Vec<Row> = offered
        .iter()
        .take(MOST)
        .map(|tool| Row { tool: Shown::of(tool, guarded), docs: operations.of(name, &tool.tool.name).map(link) })
        .collect();
    let sample = offered.iter().enumerate().max_by_key(|(index, tool)| worth_a_try(tool, *index)).map(|(_, tool)| tool);
    let public_url = config.public_url();
    let section = config.endpoints.get(name);
    let address = format!("{public_url}{}", section.map_or("", |section| section.path.as_str()));
    let kind = section.map_or(ProviderKind::None, |section| config.provider_kind(section));
    let target = Target {
        name: name.to_owned(),
        address: address.clone(),
        public_url,
        access: access(kind, resource, first_scopes(registry, name, sample.copied())),
        sample: sample.map(|tool| Sample {
            tool: tool.tool.name.clone(),
            arguments: operations
                .of(name, &tool.tool.name)
                .and_then(|operation| operation.example.clone())
                .unwrap_or_else(|| outline(&tool.tool.input_schema)),
        }),
    };
    let mut mentioned: Vec<&str> = rows.iter().flat_map(|row| row.tool.scopes.iter().map(String::as_str)).collect();
    mentioned.sort_unstable();
    mentioned.dedup();
    let described = config
        .scopes
        .iter()
        .filter(|(scope, section)| mentioned.binary_search(&scope.as_str()).is_ok() && !section.description.is_empty());
    let scopes = described
        .map(|(scope, section)| ScopeNote { name: scope.to_string(), description: section.description.clone() })
        .collect();
    let sign_in = sign_in(kind, resource);
    // A line that would hide a single tool hides nothing.
    let open = if rows.len() > OPEN + 1 { OPEN } else { rows.len() };
    let (shown, more) = rows.split_at(open);
    let template = EndpointTemplate {
        root,
        name,
        address: &address,
        several: config.endpoints.len() > 1,
        sign_in: &sign_in,
        versions: mcp::protocol_versions().collect(),
        shown,
        more,
        left_out: offered.len() - rows.len(),
        hides: guarded && section.is_some_and(|section| section.on_missing_scope == OnMissingScope::Hide),
        scopes,
        clients: opened(clients(&target)),
    };
    template.render().ok()
}

/// The first that reaches this address is open.
fn opened(clients: Vec<Client>) -> Vec<(Client, bool)> {
    let first = clients.iter().position(Client::reaches).unwrap_or_default();
    clients.into_iter().enumerate().map(|(index, client)| (client, index == first)).collect()
}

/// Where Swagger UI shows an operation.
fn link(operation: &Operation) -> String {
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    format!("docs#/{}/{}", encoded(&operation.tag), encoded(&operation.id))
}

/// The scopes of a first sign-in, and those that the tool to try needs beside them.
fn first_scopes(registry: &Registry, endpoint: &str, sample: Option<&Offered>) -> Vec<String> {
    let initial = registry.policy().endpoint(endpoint).map(|rules| &rules.initial_scopes);
    let mut scopes: Vec<String> =
        initial.into_iter().flat_map(|scopes| scopes.iter().map(ToString::to_string)).collect();
    for scope in sample.into_iter().flat_map(|tool| tool.policy.requirement.scopes().iter()) {
        if !scopes.iter().any(|known| **known == **scope) {
            scopes.push(scope.to_string());
        }
    }
    scopes
}

fn access(kind: ProviderKind, resource: Option<&ProtectedResource>, scopes: Vec<String>) -> Access {
    let Some((resource, verifier)) = resource.and_then(|resource| Some((resource, resource.verifier()?))) else {
        return Access::Open;
    };
    if kind == ProviderKind::Dev {
        return Access::Development { scopes };
    }
    let server = verifier.authorization_servers().first().map_or(verifier.name(), String::as_str).to_owned();
    Access::Provider { server, resource: resource.identifier().to_owned(), scopes }
}

fn sign_in(kind: ProviderKind, resource: Option<&ProtectedResource>) -> String {
    match (kind, resource.and_then(ProtectedResource::verifier)) {
        (_, None) => "None: every caller is anonymous".into(),
        (ProviderKind::Dev, _) => "Development: sign in as anybody, for trying".into(),
        (_, Some(verifier)) => verifier.name().to_owned(),
    }
}

/// The required arguments of a tool whose document has no example of them. One step deep: a schema may come from a
/// plugin that nobody trusts.
fn outline(schema: &Map<String, Value>) -> Value {
    const MOST: usize = 16;
    let property = |name: &str| schema.get("properties")?.get(name);
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let arguments = required.take(MOST).map(|name| {
        let value = match property(name).and_then(|property| property.get("type")).and_then(Value::as_str) {
            Some("string") => Value::from("…"),
            Some("integer" | "number") => Value::from(1),
            Some("boolean") => Value::from(true),
            Some("array") => Value::Array(Vec::new()),
            Some("object") => Value::Object(Map::new()),
            _ => Value::Null,
        };
        (name.to_owned(), value)
    });
    Value::Object(arguments.collect())
}
