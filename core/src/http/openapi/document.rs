//! The whole document: the fixed operations, upgraded, and one operation a tool, with its schemas and its scopes.
//! Made anew at each registry swap. Must not know where its parts come from.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{
    answers, example,
    inputs::{Document, EndpointOperations, Refused, SecurityScheme, ToolOperation},
    registration,
    schemas::{Components, Names, pascal, plain, reference},
    upgrade::upgrade,
};

/// What a path segment need not encode (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Methods of a path item.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The operation that takes an optional token.
const CATALOGUE: &str = "/api/tools";

/// A document that is made.
#[derive(Debug, Clone)]
pub struct Merged {
    /// OpenAPI 3.1.0.
    pub document: Value,
    /// What it says of each tool's operation.
    pub operations: Operations,
}

/// Operations by endpoint and tool.
#[derive(Debug, Clone, Default)]
pub struct Operations(HashMap<(String, String), Operation>);

impl Operations {
    /// That of one tool.
    pub fn of(&self, endpoint: &str, tool: &str) -> Option<&Operation> {
        self.0.get(&(endpoint.to_owned(), tool.to_owned()))
    }
}

/// What the document says of a tool's operation, for whoever links to it or shows a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// The group that it is in.
    pub tag: String,
    /// Arguments that fit.
    pub example: Option<Value>,
}

/// The OpenAPI 3.1.0 document. Tool schemas are taken for valid JSON Schema, as the host loads no others; whatever
/// they hold, every reference in the document resolves, and it is made in time that is linear in their length.
pub fn merge(inputs: Document) -> Merged {
    let Document { server_url, version, mut base, tools, endpoints, security, refusals } = inputs;
    upgrade(&mut base);

    let mut schemas = taken(&mut base, "/components/schemas");
    if let Some(schema) = schemas.get_mut(registration::NAME) {
        *schema = registration::client_metadata();
    }
    let mut components = Components::new(schemas);
    for (name, schema) in answers::schemas() {
        if !components.contains(name) {
            components.add(name, schema);
        }
    }
    let mut paths = place_metadata(taken(&mut base, "/paths"), &endpoints);
    let mut operation_ids = Names::default();

    for operation in operations(&mut paths) {
        finish_fixed(operation, &mut operation_ids);
    }
    if let Some(Value::Object(catalogue)) = paths.get_mut(CATALOGUE).and_then(|item| item.get_mut("get")) {
        let schemes = security.iter().map(|(name, _)| json!({ name.as_str(): [] }));
        catalogue.insert("security".to_owned(), std::iter::once(json!({})).chain(schemes).collect());
    }

    let mut asked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut guarded = false;
    let mut shared = BTreeSet::new();
    let mut found = HashMap::new();
    for tool in &tools {
        let endpoint = endpoints.iter().find(|endpoint| endpoint.name == tool.endpoint);
        let scheme = endpoint
            .and_then(|endpoint| endpoint.scheme.as_deref())
            .filter(|scheme| security.iter().any(|(name, _)| name == scheme));
        if let Some(scheme) = scheme {
            guarded = true;
            asked.entry(scheme).or_default().extend(tool.scopes.iter().map(String::as_str));
        }
        let operation = Operation {
            id: operation_ids.claim(&format!("call{}", type_name(tool))),
            tag: tag(&tool.endpoint),
            example: example_of(tool),
        };
        let mut documented = tool_operation(tool, &operation, scheme, &mut components);
        let meets = |refused: &&Refused| scheme.is_some() || !matches!(refused.status, 401 | 403);
        let own: Vec<Refused> = tool.refusals.iter().filter(meets).cloned().collect();
        for (status, answer) in answers::refusals(&own, refusals.iter().filter(meets)) {
            if answer.get("$ref").is_some() {
                shared.insert(status.clone());
            }
            documented["responses"][status] = answer;
        }
        let (endpoint, name) = (utf8_percent_encode(&tool.endpoint, SEGMENT), utf8_percent_encode(&tool.name, SEGMENT));
        paths.insert(format!("/api/tools/{endpoint}/{name}"), json!({ "post": documented }));
        found.insert((tool.endpoint.clone(), tool.name.clone()), operation);
    }
    // The tools first: they are what people come for.
    let mut tags = endpoint_tags(&tools);
    tags.extend(base.get("tags").and_then(Value::as_array).cloned().unwrap_or_default());

    let schemes: Map<String, Value> = security
        .iter()
        .map(|(name, scheme)| {
            (name.clone(), security_scheme(scheme, asked.get(name.as_str()).map_or(&[], Vec::as_slice)))
        })
        .collect();
    let mut all = Map::new();
    let mut schemas = components.finish();
    let mut headers = answers::headers();
    // What no operation refers to is left out.
    if tools.is_empty() {
        schemas.retain(|name, _| !matches!(name.as_str(), "ToolResult" | "ContentBlock"));
        headers.retain(|name, _| name == "RequestId");
    } else {
        if tools.iter().all(|tool| tool.output_schema.is_some()) {
            schemas.shift_remove("ToolResult");
        }
        if !guarded {
            headers.shift_remove("Challenge");
        }
        let used = refusals.iter().filter(|refused| shared.contains(&refused.status.to_string()));
        all.insert("responses".to_owned(), Value::Object(answers::components(used)));
    }
    all.insert("schemas".to_owned(), Value::Object(schemas));
    all.insert("headers".to_owned(), Value::Object(headers));
    if !schemes.is_empty() {
        all.insert("securitySchemes".to_owned(), Value::Object(schemes));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Toolgate",
            "summary": "Tool plugins behind OAuth 2.1",
            "description": "The plain HTTP face of this server: what it is, what can be called, and one operation a \
                tool. The same tools are served over MCP; a call passes the same gate and the same policy there.",
            "version": version,
            "contact": { "name": "Toolgate", "url": env!("CARGO_PKG_REPOSITORY") },
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": server_url }],
        "tags": tags,
        "paths": paths,
        "components": all,
    });
    Merged { document, operations: Operations(found) }
}

fn taken(document: &mut Value, pointer: &str) -> Map<String, Value> {
    match document.pointer_mut(pointer).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// A wildcard path says nothing in OpenAPI: in its place comes one path for each document that there is.
fn place_metadata(paths: Map<String, Value>, endpoints: &[EndpointOperations]) -> Map<String, Value> {
    let mut placed = Map::new();
    for (path, item) in paths {
        let Some((prefix, _)) = path.split_once("/*") else {
            placed.insert(path, item);
            continue;
        };
        for endpoint in endpoints {
            let documents = endpoint.metadata_paths.iter().map(|path| path.trim_matches('/'));
            for document in documents.filter(|path| !path.is_empty()) {
                placed.insert(format!("{prefix}/{document}"), metadata_of(&endpoint.name, item.clone()));
            }
        }
    }
    placed
}

fn metadata_of(endpoint: &str, mut item: Value) -> Value {
    for method in METHODS {
        if let Some(Value::Object(operation)) = item.get_mut(method) {
            let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
            let id = format!("{id}{}", pascal(&[endpoint]));
            operation.insert("operationId".to_owned(), Value::from(id));
            operation
                .insert("description".to_owned(), Value::from(format!("The resource of the endpoint `{endpoint}`.")));
        }
    }
    item
}

fn operations(paths: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let items = paths.values_mut().filter_map(Value::as_object_mut);
    items
        .flat_map(|item| item.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str())))
        .filter_map(|(_, operation)| operation.as_object_mut())
}

/// An operation that asks for no token; its id is made unique and every answer names its request.
fn finish_fixed(operation: &mut Map<String, Value>, ids: &mut Names) {
    if let Some(id) = operation.get("operationId").and_then(Value::as_str).map(|id| ids.claim(id)) {
        operation.insert("operationId".to_owned(), Value::from(id));
    }
    operation.insert("security".to_owned(), json!([]));
    let mut responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    if let Some(responses) = &mut responses
        && !responses.keys().any(|status| status.starts_with('4'))
    {
        responses.insert("4XX".to_owned(), json!({ "description": "The request is malformed." }));
    }
    for response in responses.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        if let Value::Object(headers) = response.entry("headers").or_insert_with(|| json!({})) {
            headers.insert("X-Request-Id".to_owned(), json!({ "$ref": "#/components/headers/RequestId" }));
        }
        // The parameter adds nothing: JSON is UTF-8 (RFC 8259, section 8.1).
        if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
            && let Some(media) = content.shift_remove("application/json; charset=utf-8")
        {
            content.insert("application/json".to_owned(), media);
        }
    }
}

fn tag(endpoint: &str) -> String {
    format!("Tools: {endpoint}")
}

fn endpoint_tags(tools: &[ToolOperation]) -> Vec<Value> {
    let mut plugins: Vec<(&str, Vec<String>)> = Vec::new();
    for tool in tools {
        let index = plugins.iter().position(|(endpoint, _)| *endpoint == tool.endpoint).unwrap_or_else(|| {
            plugins.push((&tool.endpoint, Vec::new()));
            plugins.len() - 1
        });
        let plugin = format!("`{}`", tool.plugin);
        if let Some((_, names)) = plugins.get_mut(index)
            && !names.contains(&plugin)
        {
            names.push(plugin);
        }
    }
    let tags = plugins.into_iter().map(|(endpoint, names)| {
        json!({
            "name": tag(endpoint),
            "description": format!("What the endpoint `{endpoint}` offers, from {}.", names.join(", ")),
        })
    });
    tags.collect()
}

/// What the names of a tool's schemas begin with.
fn type_name(tool: &ToolOperation) -> String {
    pascal(&[&tool.endpoint, &tool.name])
}

fn example_of(tool: &ToolOperation) -> Option<Value> {
    if tool.foreign { example::given(&tool.input_schema) } else { example::arguments(&tool.input_schema) }
}

fn tool_operation(
    tool: &ToolOperation,
    operation: &Operation,
    scheme: Option<&str>,
    components: &mut Components,
) -> Value {
    let type_name = type_name(tool);
    let arguments = components.move_in(&format!("{type_name}Arguments"), &tool.input_schema);
    let result = match &tool.output_schema {
        None => "ToolResult".to_owned(),
        Some(schema) => {
            let output = components.move_in(&format!("{type_name}Output"), schema);
            components.add(&format!("{type_name}Result"), answers::tool_result(Some(reference(&output))))
        }
    };
    let mut media = json!({ "schema": reference(&arguments) });
    if let Some(example) = &operation.example {
        media["example"] = example.clone();
    }
    let responses = json!({
        "200": {
            "description": "What the tool gives back; `isError` tells a failure of its own.",
            "headers": { "X-Request-Id": { "$ref": "#/components/headers/RequestId" } },
            "content": { "application/json": { "schema": reference(&result) } },
        }
    });
    json!({
        "operationId": operation.id,
        "summary": tool.title.as_deref().filter(|title| !title.trim().is_empty()).unwrap_or(&tool.name),
        "description": describe(tool, scheme.is_some()),
        "tags": [operation.tag],
        "security": scheme.map_or_else(|| json!([]), |scheme| json!([{ scheme: tool.scopes }])),
        "requestBody": {
            "description": "The arguments.",
            "required": !takes_nothing(&tool.input_schema),
            "content": { "application/json": media },
        },
        "responses": responses,
    })
}

/// Whether a call without arguments fits, and so one without a body: nothing in the schema speaks of more than each
/// argument by itself.
fn takes_nothing(schema: &Map<String, Value>) -> bool {
    schema.iter().all(|(keyword, value)| match keyword.as_str() {
        "$schema" | "$id" | "$comment" | "$defs" | "title" | "description" | "examples" | "default" => true,
        "properties" | "additionalProperties" | "patternProperties" | "propertyNames" | "maxProperties" => true,
        "type" => value == "object",
        "required" => value.as_array().is_some_and(Vec::is_empty),
        _ => false,
    })
}

fn describe(tool: &ToolOperation, guarded: bool) -> String {
    let mut facts = vec![format!("Tool `{}` of the plugin `{}`.", tool.name, tool.plugin)];
    if tool.read_only {
        facts.push("Changes nothing.".to_owned());
    }
    if guarded {
        facts.push(if tool.scopes.is_empty() {
            "Any valid token will do.".to_owned()
        } else {
            let scopes: Vec<String> = tool.scopes.iter().map(|scope| format!("`{scope}`")).collect();
            format!("Needs {}.", scopes.join(", "))
        });
    }
    let facts = facts.join(" ");
    match tool.description.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => format!("{}\n\n{facts}", plain(text)),
        None => facts,
    }
}

fn security_scheme(scheme: &SecurityScheme, asked: &[&str]) -> Value {
    match scheme {
        SecurityScheme::OAuth2 { authorization_url, token_url, refresh_url, scopes } => {
            let mut all: Map<String, Value> =
                scopes.iter().map(|(scope, meaning)| (scope.clone(), Value::from(meaning.as_str()))).collect();
            for scope in asked {
                all.entry(*scope).or_insert_with(|| Value::from(""));
            }
            let mut flow = json!({ "authorizationUrl": authorization_url, "tokenUrl": token_url, "scopes": all });
            if let Some(refresh_url) = refresh_url {
                flow["refreshUrl"] = Value::from(refresh_url.as_str());
            }
            json!({
                "type": "oauth2",
                "description": "Authorization code with PKCE (S256). Clients register themselves where the authorization server lets them.",
                "flows": { "authorizationCode": flow },
            })
        }
        SecurityScheme::OpenIdConnect { url } => json!({ "type": "openIdConnect", "openIdConnectUrl": url }),
        SecurityScheme::Bearer => json!({ "type": "http", "scheme": "bearer" }),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
