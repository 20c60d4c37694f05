//! The whole document: the fixed operations, upgraded, and one operation a tool, with its schemas and its scopes.
//! Made anew at each registry swap. Must not know where its parts come from.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{
    example,
    schemas::{Components, Names, pascal, reference},
    upgrade::upgrade,
};

/// What a path segment need not encode (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Methods of a path item.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The operation that takes an optional token.
const CATALOGUE: &str = "/api/tools";

/// What the document is made of.
#[derive(Debug, Clone)]
pub struct Document {
    /// Origin and path prefix under which clients reach the server, without a slash at the end.
    pub public_url: String,
    /// Version of the server.
    pub version: String,
    /// The fixed operations, OpenAPI 3.0: [`base_document`](super::base_document).
    pub base: Value,
    /// The tools, in a stable order.
    pub tools: Vec<ToolOperation>,
    /// The endpoints that the tools belong to.
    pub endpoints: Vec<EndpointOperations>,
    /// The authorization servers, each under the name of its security scheme.
    pub security: Vec<(String, SecurityScheme)>,
}

/// What one endpoint adds to the document.
#[derive(Debug, Clone)]
pub struct EndpointOperations {
    /// Its name, the first segment of its tools' paths.
    pub name: String,
    /// The security scheme of its tools; `None`: no token is asked for.
    pub scheme: Option<String>,
    /// Where its RFC 9728 document is, below `/.well-known/oauth-protected-resource`: `/web-search/mcp`.
    pub metadata_paths: Vec<String>,
}

/// One tool at one endpoint.
#[derive(Debug, Clone)]
pub struct ToolOperation {
    /// The endpoint that offers it.
    pub endpoint: String,
    /// The plugin that provides it.
    pub plugin: String,
    /// The name under which it is called.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it does and when to use it.
    pub description: Option<String>,
    /// JSON Schema (2020-12) of the arguments.
    pub input_schema: Map<String, Value>,
    /// JSON Schema (2020-12) of the structured result.
    pub output_schema: Option<Map<String, Value>>,
    /// The scopes that a token needs, all of them.
    pub scopes: Vec<String>,
    /// The tool says that it changes nothing.
    pub read_only: bool,
}

/// How a token is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityScheme {
    /// OAuth 2.1, authorization code with PKCE.
    OAuth2 {
        /// Where a person signs in.
        authorization_url: String,
        /// Where a code becomes a token.
        token_url: String,
        /// Where a refresh token becomes a token, if that is somewhere else.
        refresh_url: Option<String>,
        /// Scopes and what they allow. Scopes that tools require and that are missing here are added.
        scopes: Vec<(String, String)>,
    },
    /// An OpenID provider, by the address of its configuration.
    OpenIdConnect {
        /// The address, ending in `/.well-known/openid-configuration`.
        url: String,
    },
    /// A bearer token from an authorization server whose metadata are not known (yet).
    Bearer,
}

/// The OpenAPI 3.1.0 document. Tool schemas are taken for valid JSON Schema, as the host loads no others; whatever
/// they hold, every reference in the document resolves.
pub fn merge(inputs: Document) -> Value {
    let Document { public_url, version, mut base, tools, endpoints, security } = inputs;
    upgrade(&mut base);

    let mut components = Components::new(taken(&mut base, "/components/schemas"));
    for (name, schema) in shared_schemas() {
        if !components.contains(name) {
            components.add(name, schema);
        }
    }
    let mut paths = taken(&mut base, "/paths");
    let mut tags = base.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut operation_ids = Names::default();

    place_metadata(&mut paths, &endpoints);
    for operation in operations(&mut paths) {
        finish_fixed(operation, &mut operation_ids);
    }
    if let Some(Value::Object(catalogue)) = paths.get_mut(CATALOGUE).and_then(|item| item.get_mut("get")) {
        let schemes = security.iter().map(|(name, _)| json!({ name.as_str(): [] }));
        catalogue.insert("security".to_owned(), std::iter::once(json!({})).chain(schemes).collect());
    }

    let mut asked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut guarded = false;
    for tool in &tools {
        let endpoint = endpoints.iter().find(|endpoint| endpoint.name == tool.endpoint);
        let scheme = endpoint
            .and_then(|endpoint| endpoint.scheme.as_deref())
            .filter(|scheme| security.iter().any(|(name, _)| name == scheme));
        if let Some(scheme) = scheme {
            guarded = true;
            asked.entry(scheme).or_default().extend(tool.scopes.iter().map(String::as_str));
        }
        let operation = tool_operation(tool, scheme, &mut components, &mut operation_ids);
        let (endpoint, name) = (utf8_percent_encode(&tool.endpoint, SEGMENT), utf8_percent_encode(&tool.name, SEGMENT));
        paths.insert(format!("/api/tools/{endpoint}/{name}"), json!({ "post": operation }));
    }
    tags.extend(endpoint_tags(&tools));

    let schemes: Map<String, Value> = security
        .iter()
        .map(|(name, scheme)| {
            (name.clone(), security_scheme(scheme, asked.get(name.as_str()).map_or(&[], Vec::as_slice)))
        })
        .collect();
    let mut all = Map::new();
    let mut schemas = components.finish();
    let mut headers = shared_headers();
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
        all.insert("responses".to_owned(), Value::Object(shared_responses(guarded)));
    }
    all.insert("schemas".to_owned(), Value::Object(schemas));
    all.insert("headers".to_owned(), Value::Object(headers));
    if !schemes.is_empty() {
        all.insert("securitySchemes".to_owned(), Value::Object(schemes));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Toolgate",
            "summary": "Tool plugins behind OAuth 2.1",
            "description": "The plain HTTP face of this server: what it is, what can be called, and one operation a \
                tool. The same tools are served over MCP; a call passes the same gate and the same policy there.",
            "version": version,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": public_url }],
        "tags": tags,
        "paths": paths,
        "components": all,
    })
}

fn taken(document: &mut Value, pointer: &str) -> Map<String, Value> {
    match document.pointer_mut(pointer).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// A wildcard path says nothing in OpenAPI: in its place comes one path for each document that there is.
fn place_metadata(paths: &mut Map<String, Value>, endpoints: &[EndpointOperations]) {
    let wildcards: Vec<String> = paths.keys().filter(|path| path.contains('*')).cloned().collect();
    for wildcard in wildcards {
        let Some(template) = paths.shift_remove(&wildcard) else { continue };
        let Some((prefix, _)) = wildcard.split_once("/*") else { continue };
        for endpoint in endpoints {
            for path in &endpoint.metadata_paths {
                let path = path.trim_start_matches('/');
                if path.is_empty() {
                    continue;
                }
                let mut item = template.clone();
                for method in METHODS {
                    if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
                        let id = format!("{id}{}", pascal(&[&endpoint.name]));
                        operation.insert("operationId".to_owned(), Value::from(id));
                        let description = format!("The resource of the endpoint `{}`.", endpoint.name);
                        operation.insert("description".to_owned(), Value::from(description));
                    }
                }
                paths.insert(format!("{prefix}/{path}"), item);
            }
        }
    }
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
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
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

fn tool_operation(tool: &ToolOperation, scheme: Option<&str>, components: &mut Components, ids: &mut Names) -> Value {
    let type_name = pascal(&[&tool.endpoint, &tool.name]);
    let arguments = components.move_in(&format!("{type_name}Arguments"), &tool.input_schema);
    let result = match &tool.output_schema {
        None => "ToolResult".to_owned(),
        Some(schema) => {
            let output = components.move_in(&format!("{type_name}Output"), schema);
            components.add(&format!("{type_name}Result"), tool_result(Some(reference(&output))))
        }
    };
    let mut media = json!({ "schema": reference(&arguments) });
    if let Some(example) = example::arguments(&tool.input_schema) {
        media["example"] = example;
    }
    let mut responses = json!({
        "200": {
            "description": "What the tool gives back; `isError` tells a failure of its own.",
            "headers": { "X-Request-Id": { "$ref": "#/components/headers/RequestId" } },
            "content": { "application/json": { "schema": reference(&result) } },
        }
    });
    for failure in FAILURES.iter().filter(|failure| scheme.is_some() || !failure.guarded) {
        responses[failure.status] = json!({ "$ref": format!("#/components/responses/{}", failure.component) });
    }
    json!({
        "operationId": ids.claim(&format!("call{type_name}")),
        "summary": tool.title.as_deref().filter(|title| !title.trim().is_empty()).unwrap_or(&tool.name),
        "description": describe(tool, scheme.is_some()),
        "tags": [tag(&tool.endpoint)],
        "security": scheme.map_or_else(|| json!([]), |scheme| json!([{ scheme: tool.scopes }])),
        "requestBody": {
            "description": "The arguments.",
            "required": true,
            "content": { "application/json": media },
        },
        "responses": responses,
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
        Some(text) => format!("{text}\n\n{facts}"),
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
                "description": "Authorization code with PKCE (S256). Clients register themselves.",
                "flows": { "authorizationCode": flow },
            })
        }
        SecurityScheme::OpenIdConnect { url } => json!({ "type": "openIdConnect", "openIdConnectUrl": url }),
        SecurityScheme::Bearer => json!({ "type": "http", "scheme": "bearer" }),
    }
}

/// An answer that every tool shares.
struct Failure {
    status: &'static str,
    component: &'static str,
    description: &'static str,
    /// A header and its component.
    header: Option<(&'static str, &'static str)>,
    /// Only where a token is asked for.
    guarded: bool,
}

const FAILURES: [Failure; 7] = {
    const CHALLENGE: Option<(&str, &str)> = Some(("WWW-Authenticate", "Challenge"));
    const RETRY_AFTER: Option<(&str, &str)> = Some(("Retry-After", "RetryAfter"));
    [
        Failure {
            status: "400",
            component: "BadRequest",
            description: "The arguments do not match the tool's schema (the description names the path), or the request is malformed.",
            header: None,
            guarded: false,
        },
        Failure {
            status: "401",
            component: "Unauthorized",
            description: "No token, or none that is valid.",
            header: CHALLENGE,
            guarded: true,
        },
        Failure {
            status: "403",
            component: "Forbidden",
            description: "The token lacks scopes that this tool needs.",
            header: CHALLENGE,
            guarded: true,
        },
        Failure {
            status: "404",
            component: "NotFound",
            description: "No such tool here.",
            header: None,
            guarded: false,
        },
        Failure {
            status: "413",
            component: "ContentTooLarge",
            description: "The body is too long.",
            header: None,
            guarded: false,
        },
        Failure {
            status: "429",
            component: "TooManyRequests",
            description: "Over the tool's rate.",
            header: RETRY_AFTER,
            guarded: false,
        },
        Failure {
            status: "503",
            component: "Unavailable",
            description: "The token cannot be verified now, or the plugin takes no calls.",
            header: RETRY_AFTER,
            guarded: false,
        },
    ]
};

/// The answers that some operation refers to.
fn shared_responses(guarded: bool) -> Map<String, Value> {
    let responses = FAILURES.iter().filter(|failure| guarded || !failure.guarded).map(|failure| {
        let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
        if let Some((header, component)) = failure.header {
            headers[header] = json!({ "$ref": format!("#/components/headers/{component}") });
        }
        let response = json!({
            "description": failure.description,
            "headers": headers,
            "content": { "application/json": { "schema": reference("Error") } },
        });
        (failure.component.to_owned(), response)
    });
    responses.collect()
}

fn shared_headers() -> Map<String, Value> {
    let headers = json!({
        "RequestId": {
            "description": "The request's id, the same in the log and the audit.",
            "schema": { "type": "string" },
        },
        "Challenge": {
            "description": "`Bearer` with `resource_metadata`, `scope` and, if a token was sent, `error` \
                (RFC 6750, RFC 9728).",
            "schema": { "type": "string" },
        },
        "RetryAfter": {
            "description": "Seconds to wait.",
            "schema": { "type": "integer", "minimum": 0 },
        },
    });
    headers.as_object().cloned().unwrap_or_default()
}

/// The schemas that every tool shares.
fn shared_schemas() -> [(&'static str, Value); 3] {
    [("Error", error()), ("ContentBlock", content_block()), ("ToolResult", tool_result(None))]
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error", "error_description", "request_id"],
        "properties": {
            "error": { "type": "string" },
            "error_description": { "type": "string" },
            "request_id": { "type": "string" },
        },
    })
}

fn tool_result(output: Option<Value>) -> Value {
    let typed = output.is_some();
    let mut structured = output.unwrap_or_else(|| json!({}));
    structured["description"] = Value::from(if typed {
        "The result for programs; absent if `isError`."
    } else {
        "The result for programs, if the tool gives one."
    });
    json!({
        "type": "object",
        "description": "The result of a call (MCP, `CallToolResult`).",
        "required": ["content", "isError"],
        "properties": {
            "content": {
                "type": "array",
                "description": "The result for models.",
                "items": reference("ContentBlock"),
            },
            "structuredContent": structured,
            "isError": {
                "type": "boolean",
                "description": "The tool failed in a way that the caller may act on; `content` says how.",
            },
            "_meta": { "type": "object", "additionalProperties": true },
        },
    })
}

fn content_block() -> Value {
    let block = |kind: &str, required: &[&str], properties: Value| {
        let mut all = json!({ "type": { "type": "string", "const": kind } });
        if let (Some(all), Value::Object(properties)) = (all.as_object_mut(), properties) {
            all.extend(properties);
        }
        let required: Vec<&str> = std::iter::once("type").chain(required.iter().copied()).collect();
        json!({ "type": "object", "title": pascal(&[kind]), "required": required, "properties": all })
    };
    let text = || json!({ "type": "string" });
    let base64 = || json!({ "type": "string", "contentEncoding": "base64" });
    json!({
        "description": "One block of a result (MCP, `ContentBlock`).",
        "oneOf": [
            block("text", &["text"], json!({
                "text": text(),
                "annotations": { "type": "object", "additionalProperties": true },
                "_meta": { "type": "object", "additionalProperties": true },
            })),
            block("image", &["data", "mimeType"], json!({ "data": base64(), "mimeType": text() })),
            block("audio", &["data", "mimeType"], json!({ "data": base64(), "mimeType": text() })),
            block("resource_link", &["uri", "name"], json!({
                "uri": text(), "name": text(), "description": text(), "mimeType": text(),
            })),
            block("resource", &["resource"], json!({
                "resource": {
                    "type": "object",
                    "required": ["uri"],
                    "properties": { "uri": text(), "mimeType": text(), "text": text(), "blob": base64() },
                },
            })),
        ],
    })
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
