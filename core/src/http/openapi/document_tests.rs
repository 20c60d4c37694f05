//! The merged document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;
use crate::http::openapi::{base_document, inputs::Refused};

fn tool(endpoint: &str, name: &str, scopes: &[&str], input: Value, output: Option<Value>) -> ToolOperation {
    ToolOperation {
        endpoint: endpoint.to_owned(),
        plugin: "web-search".to_owned(),
        name: name.to_owned(),
        title: Some("Search the web".to_owned()),
        description: Some("Finds pages.".to_owned()),
        input_schema: input.as_object().cloned().unwrap_or_default(),
        output_schema: output.and_then(|schema| schema.as_object().cloned()),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        foreign: false,
        read_only: true,
        refusals: Vec::new(),
    }
}

fn refused(status: u16, description: &str) -> Refused {
    Refused { status, error: format!("error_{status}"), description: description.to_owned() }
}

fn inputs() -> Document {
    let search = json!({
        "type": "object",
        "properties": {"query": {"type": "string", "examples": ["rust"]}, "topic": {"$ref": "#/$defs/Topic"}},
        "required": ["query"],
        "$defs": {"Topic": {"enum": ["general", "news"]}},
    });
    let page = json!({
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    });
    let mut limited = tool("web-search", "tavily_search", &["web-search:read"], search.clone(), Some(page));
    limited.refusals = vec![refused(429, "too often"), refused(403, "it needs more")];
    // Its rule asks for a scope, its endpoint for no token.
    let mut open = tool("open", "echo", &["echo:use"], json!({"type": "object"}), None);
    open.refusals = vec![refused(403, "it needs more")];
    Document {
        server_url: "https://mcp.example.org".to_owned(),
        version: "1.2.3".to_owned(),
        base: base_document(),
        tools: vec![limited, tool("web-search", "tavily-search", &["web-search:write"], search.clone(), None), open],
        endpoints: vec![
            EndpointOperations {
                name: "web-search".to_owned(),
                scheme: Some("dev".to_owned()),
                metadata_paths: vec!["/web-search/mcp".to_owned()],
            },
            EndpointOperations { name: "open".to_owned(), scheme: None, metadata_paths: Vec::new() },
        ],
        security: vec![(
            "dev".to_owned(),
            SecurityScheme::OAuth2 {
                authorization_url: "https://mcp.example.org/dev/auth/authorize".to_owned(),
                token_url: "https://mcp.example.org/dev/auth/token".to_owned(),
                refresh_url: None,
                scopes: vec![("web-search:read".to_owned(), "Search the web".to_owned())],
            },
        )],
        refusals: [400, 401, 404, 413, 503].map(|status| refused(status, "shared")).to_vec(),
    }
}

fn merged(inputs: Document) -> Value {
    merge(inputs).document
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn assert_whole(document: &Value) {
    let mut found = Vec::new();
    references(document, &mut found);
    assert!(!found.is_empty());
    for to in &found {
        assert!(to.strip_prefix('#').is_some_and(|pointer| document.pointer(pointer).is_some()), "{to}");
    }
    // What stands among the components is used.
    for section in ["schemas", "responses", "headers"] {
        for name in document["components"][section].as_object().into_iter().flat_map(Map::keys) {
            let to = format!("#/components/{section}/{name}");
            assert!(found.iter().any(|found| found.starts_with(&to)), "{to} is not used");
        }
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(!path.contains('*') && path.starts_with('/'), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(id.chars().all(|letter| letter.is_ascii_alphanumeric()), "{id}");
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["security"].is_array(), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                if response.get("$ref").is_none() {
                    assert!(response["headers"]["X-Request-Id"].is_object(), "{method} {path} {status}");
                }
            }
        }
    }
}

#[test]
fn the_document_has_the_fixed_operations_and_one_for_each_tool() {
    let document = merged(inputs());
    assert_whole(&document);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], "1.2.3");
    assert_eq!(document["servers"], json!([{"url": "https://mcp.example.org"}]));
    let paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/web-search/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/oauth/register",
        "/healthz",
        "/readyz",
        "/api/tools",
        "/api/tools/web-search/tavily_search",
        "/api/tools/web-search/tavily-search",
        "/api/tools/open/echo",
    ];
    assert_eq!(BTreeSet::from_iter(paths), BTreeSet::from(expected));
}

#[test]
fn a_tool_is_an_operation_with_its_schemas_and_scopes() {
    let document = merged(inputs());
    let operation = &document["paths"]["/api/tools/web-search/tavily_search"]["post"];
    assert_eq!(operation["operationId"], "callWebSearchTavilySearch");
    assert_eq!(operation["summary"], "Search the web");
    assert_eq!(
        operation["description"],
        "Finds pages.\n\nTool `tavily_search` of the plugin `web-search`. Changes nothing. Needs `web-search:read`."
    );
    assert_eq!(operation["tags"], json!(["Tools: web-search"]));
    assert_eq!(operation["security"], json!([{"dev": ["web-search:read"]}]));
    assert_eq!(
        operation["requestBody"]["content"]["application/json"],
        json!({"schema": reference("WebSearchTavilySearchArguments"), "example": {"query": "rust"}})
    );
    let statuses: Vec<&str> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "400", "401", "403", "404", "413", "429", "503"]);

    let schemas = &document["components"]["schemas"];
    let arguments = &schemas["WebSearchTavilySearchArguments"];
    assert_eq!(arguments["properties"]["topic"], reference("WebSearchTavilySearchArgumentsTopic"));
    assert!(arguments.get("$defs").is_none());
    assert_eq!(schemas["WebSearchTavilySearchArgumentsTopic"], json!({"enum": ["general", "news"]}));
    assert_eq!(
        schemas["WebSearchTavilySearchResult"]["properties"]["structuredContent"]["$ref"],
        "#/components/schemas/WebSearchTavilySearchOutput"
    );
    assert_eq!(
        schemas["WebSearchTavilySearchOutput"]["properties"]["next"]["anyOf"][0],
        reference("WebSearchTavilySearchOutput")
    );
}

#[test]
fn refusals_say_what_is_said_and_a_tool_documents_those_that_it_can_meet() {
    let document = merged(inputs());
    let responses = |path: &str| document["paths"][path]["post"]["responses"].as_object().cloned().unwrap();
    let statuses = |path: &str| responses(path).keys().cloned().collect::<Vec<_>>();
    assert_eq!(statuses("/api/tools/web-search/tavily-search"), ["200", "400", "401", "404", "413", "503"]);
    assert_eq!(statuses("/api/tools/open/echo"), ["200", "400", "404", "413", "503"]);
    let own = responses("/api/tools/web-search/tavily_search");
    for (status, header, said) in [("403", "WWW-Authenticate", "it needs more"), ("429", "Retry-After", "too often")] {
        assert!(own[status]["headers"][header].is_object(), "{status}");
        let example = &own[status]["content"]["application/json"]["example"];
        let expected = (json!(format!("error_{status}")), json!(said));
        assert_eq!((&example["error"], &example["error_description"]), (&expected.0, &expected.1), "{status}");
    }
    let shared = document["components"]["responses"].as_object().unwrap();
    let names: Vec<&str> = shared.keys().map(String::as_str).collect();
    assert_eq!(names, ["BadRequest", "Unauthorized", "NotFound", "ContentTooLarge", "Unavailable"]);
    assert!(shared["Unauthorized"]["headers"]["WWW-Authenticate"].is_object());
}

#[test]
fn whoever_links_to_an_operation_is_told_its_name() {
    let Merged { document, operations } = merge(inputs());
    for (endpoint, tool) in [("web-search", "tavily_search"), ("web-search", "tavily-search"), ("open", "echo")] {
        let found = operations.of(endpoint, tool).unwrap();
        let documented = &document["paths"][format!("/api/tools/{endpoint}/{tool}")]["post"];
        assert_eq!(
            (&documented["operationId"], &documented["tags"][0]),
            (&json!(found.id), &json!(found.tag)),
            "{tool}"
        );
        let example = documented["requestBody"]["content"]["application/json"].get("example");
        assert_eq!(example, found.example.as_ref(), "{tool}");
    }
    assert!(operations.of("open", "tavily_search").is_none());
}

#[test]
fn tools_whose_names_become_the_same_keep_apart() {
    let document = merged(inputs());
    let twin = &document["paths"]["/api/tools/web-search/tavily-search"]["post"];
    assert_eq!(twin["operationId"], "callWebSearchTavilySearch2");
    assert_eq!(twin["security"], json!([{"dev": ["web-search:write"]}]));
    assert_eq!(
        twin["requestBody"]["content"]["application/json"]["schema"],
        reference("WebSearchTavilySearchArguments2")
    );
}

#[test]
fn an_endpoint_without_a_provider_asks_for_no_token() {
    let document = merged(inputs());
    let operation = &document["paths"]["/api/tools/open/echo"]["post"];
    assert_eq!(operation["security"], json!([]));
    assert!(operation["responses"].get("401").is_none() && operation["responses"].get("403").is_none());
    let mut alone = inputs();
    alone.tools.retain(|tool| tool.endpoint == "open");
    assert_whole(&merged(alone));
    assert_eq!(operation["responses"]["200"]["content"]["application/json"]["schema"], reference("ToolResult"));
}

#[test]
fn every_scope_that_a_tool_asks_for_is_declared() {
    let document = merged(inputs());
    let scheme = &document["components"]["securitySchemes"]["dev"];
    assert_eq!(scheme["type"], "oauth2");
    assert_eq!(
        scheme["flows"]["authorizationCode"]["scopes"],
        json!({"web-search:read": "Search the web", "web-search:write": ""})
    );
    assert_eq!(document["paths"]["/api/tools"]["get"]["security"], json!([{}, {"dev": []}]));
    assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([]));
}

#[test]
fn other_security_schemes_are_written_as_openapi_has_them() {
    let cases = [
        (SecurityScheme::Bearer, json!({"type": "http", "scheme": "bearer"})),
        (
            SecurityScheme::OpenIdConnect { url: "https://a.example/.well-known/openid-configuration".to_owned() },
            json!({"type": "openIdConnect", "openIdConnectUrl": "https://a.example/.well-known/openid-configuration"}),
        ),
    ];
    for (scheme, expected) in cases {
        let document = merged(Document { security: vec![("dev".to_owned(), scheme)], ..inputs() });
        assert_eq!(document["components"]["securitySchemes"]["dev"], expected);
        assert_whole(&document);
    }
}

#[test]
fn a_server_without_tools_has_no_unused_parts() {
    let document = merged(Document { tools: Vec::new(), endpoints: Vec::new(), security: Vec::new(), ..inputs() });
    assert_whole(&document);
    assert!(document["components"].get("responses").is_none());
    assert!(document["components"].get("securitySchemes").is_none());
}

#[test]
fn a_description_holds_no_html() {
    let mut hostile = tool("open", "echo", &[], json!({"description": "a<img src=x>"}), None);
    hostile.description = Some("1 < 2, <b>, </script><script>alert(1)</script>".to_owned());
    let document = merged(Document { tools: vec![hostile], ..inputs() });
    let description = document["paths"]["/api/tools/open/echo"]["post"]["description"].as_str().unwrap();
    assert!(description.starts_with("1 < 2, &lt;b>, &lt;/script>&lt;script>alert(1)&lt;/script>\n\n"), "{description}");
    assert_eq!(document["components"]["schemas"]["OpenEchoArguments"]["description"], "a&lt;img src=x>");
}

#[test]
fn nothing_of_openapi_3_0_is_left() {
    let text = merged(inputs()).to_string();
    for keyword in ["\"nullable\"", "\"exclusiveMinimum\":true", "charset"] {
        assert!(!text.contains(keyword), "{keyword}");
    }
}

#[test]
fn an_unreadable_base_still_makes_a_document() {
    for base in [
        json!(null),
        json!([]),
        json!({"paths": 1, "components": {"schemas": []}, "tags": {}}),
        json!({"paths": {"/api/tools": {"get": 3}, "/x": {"get": {"responses": {"200": {"headers": 1}}}}}}),
    ] {
        let document = merged(Document { base, ..inputs() });
        assert!(document["paths"]["/api/tools/open/echo"]["post"].is_object());
    }
}

#[test]
fn names_that_do_not_fit_a_path_are_encoded() {
    let document =
        merged(Document { tools: vec![tool("a/b", "{x}?", &[], json!({}), None)], endpoints: Vec::new(), ..inputs() });
    let operation = &document["paths"]["/api/tools/a%2Fb/%7Bx%7D%3F"]["post"];
    assert_eq!(operation["operationId"], "callABX");
}

proptest::proptest! {
    #[test]
    fn any_text_around_a_tool_makes_a_document(
        endpoint in ".{0,12}", name in ".{0,12}", text in ".{0,40}", scope in ".{0,8}",
    ) {
        let mut hostile = tool(&endpoint, &name, &[&scope], json!({"title": text}), Some(json!({"description": text})));
        hostile.description = Some(text);
        let endpoint = EndpointOperations { name: endpoint, scheme: Some("dev".to_owned()), metadata_paths: vec![name] };
        let document = merged(Document { tools: vec![hostile], endpoints: vec![endpoint], ..inputs() });
        let tools = document["paths"].as_object().map_or(0, |paths| paths.keys().filter(|path| path.starts_with("/api/tools/")).count());
        proptest::prop_assert_eq!(tools, 1);
    }
}

#[test]
fn a_body_is_needed_where_a_call_without_arguments_may_not_fit() {
    for (schema, needed) in [
        (json!({ "type": "object" }), false),
        (
            json!({ "type": "object", "properties": { "id": { "type": "string" } }, "additionalProperties": false }),
            false,
        ),
        (json!({ "type": "object", "required": [], "$defs": {} }), false),
        (json!({ "type": "object", "required": ["id"] }), true),
        (json!({ "type": "object", "minProperties": 1 }), true),
        (json!({ "anyOf": [{ "required": ["id"] }, { "required": ["name"] }] }), true),
        (json!({ "type": "string" }), true),
    ] {
        let document =
            merge(Document { tools: vec![tool("open", "echo", &[], schema.clone(), None)], ..inputs() }).document;
        let operation = &document["paths"]["/api/tools/open/echo"]["post"];
        assert_eq!(operation["requestBody"]["required"], needed, "{schema}");
    }
}
