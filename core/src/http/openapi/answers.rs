//! What every tool's operation answers with: the result's shape, the failures, their headers. Must not know any tool.

use serde_json::{Map, Value, json};

use super::schemas::{pascal, reference};

/// An answer that every tool shares.
pub(super) struct Failure {
    pub(super) status: &'static str,
    pub(super) component: &'static str,
    description: &'static str,
    /// What it may say: `error` and `error_description`.
    example: (&'static str, &'static str),
    /// A header and its component.
    header: Option<(&'static str, &'static str)>,
    /// Only where a token is asked for.
    pub(super) guarded: bool,
}

pub(super) const FAILURES: [Failure; 7] = {
    const CHALLENGE: Option<(&str, &str)> = Some(("WWW-Authenticate", "Challenge"));
    const RETRY_AFTER: Option<(&str, &str)> = Some(("Retry-After", "RetryAfter"));
    [
        Failure {
            status: "400",
            component: "BadRequest",
            description: "The arguments do not match the tool's schema (the description names the path), or the request is malformed.",
            example: (
                "invalid_arguments",
                "the argument at /max_results does not fit: the value is greater than the maximum of 20",
            ),
            header: None,
            guarded: false,
        },
        Failure {
            status: "401",
            component: "Unauthorized",
            description: "No token, or none that is valid.",
            example: ("invalid_token", "the token has expired"),
            header: CHALLENGE,
            guarded: true,
        },
        Failure {
            status: "403",
            component: "Forbidden",
            description: "The token lacks scopes that this tool needs.",
            example: ("insufficient_scope", "the tool 'tavily_crawl' needs the scope 'web-search:write'"),
            header: CHALLENGE,
            guarded: true,
        },
        Failure {
            status: "404",
            component: "NotFound",
            description: "No such tool here.",
            example: ("unknown_tool", "the endpoint \"web-search\" offers no tool \"serch\"; see /api/tools"),
            header: None,
            guarded: false,
        },
        Failure {
            status: "413",
            component: "ContentTooLarge",
            description: "The body is too long.",
            example: ("too_large", "the body is larger than 4 MiB; the operator may raise server.max_body"),
            header: None,
            guarded: false,
        },
        Failure {
            status: "429",
            component: "TooManyRequests",
            description: "Over the tool's rate.",
            example: ("rate_limited", "over the rate of 60/min for \"tavily_search\"; wait 2 s"),
            header: RETRY_AFTER,
            guarded: false,
        },
        Failure {
            status: "503",
            component: "Unavailable",
            description: "The token cannot be verified now, or the plugin takes no calls.",
            example: ("temporarily_unavailable", "the authorization server cannot be reached; try again in 5 s"),
            header: RETRY_AFTER,
            guarded: false,
        },
    ]
};

/// The answers that some operation refers to.
pub(super) fn responses(guarded: bool) -> Map<String, Value> {
    let responses = FAILURES.iter().filter(|failure| guarded || !failure.guarded).map(|failure| {
        let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
        if let Some((header, component)) = failure.header {
            headers[header] = json!({ "$ref": format!("#/components/headers/{component}") });
        }
        let (error, description) = failure.example;
        let example = json!({
            "error": error,
            "error_description": description,
            "request_id": "0192f1c4-5a77-7c1e-9a3b-6c0f4f1f2b7a",
        });
        let response = json!({
            "description": failure.description,
            "headers": headers,
            "content": { "application/json": { "schema": reference("Error"), "example": example } },
        });
        (failure.component.to_owned(), response)
    });
    responses.collect()
}

pub(super) fn headers() -> Map<String, Value> {
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
pub(super) fn schemas() -> [(&'static str, Value); 3] {
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

pub(super) fn tool_result(output: Option<Value>) -> Value {
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
