//! What every tool's operation answers with: the result's shape, the failures, their headers. Must not know any tool.

use serde_json::{Map, Value, json};

use super::{
    inputs::Refused,
    schemas::{pascal, reference},
};

/// A kind of refusal.
struct Failure {
    status: u16,
    component: &'static str,
    description: &'static str,
    /// A header and its component.
    header: Option<(&'static str, &'static str)>,
}

const FAILURES: [Failure; 7] = {
    const CHALLENGE: Option<(&str, &str)> = Some(("WWW-Authenticate", "Challenge"));
    const RETRY_AFTER: Option<(&str, &str)> = Some(("Retry-After", "RetryAfter"));
    [
        Failure {
            status: 400,
            component: "BadRequest",
            description: "The arguments do not match the tool's schema (the description names the path), or the request is malformed.",
            header: None,
        },
        Failure {
            status: 401,
            component: "Unauthorized",
            description: "No token, or none that is valid.",
            header: CHALLENGE,
        },
        Failure {
            status: 403,
            component: "Forbidden",
            description: "The token lacks scopes that this tool needs.",
            header: CHALLENGE,
        },
        Failure { status: 404, component: "NotFound", description: "No such tool here.", header: None },
        Failure { status: 413, component: "ContentTooLarge", description: "The body is too long.", header: None },
        Failure {
            status: 429,
            component: "TooManyRequests",
            description: "Over the tool's rate.",
            header: RETRY_AFTER,
        },
        Failure {
            status: 503,
            component: "Unavailable",
            description: "The token cannot be verified now, or the call cannot be written to the audit trail.",
            header: RETRY_AFTER,
        },
    ]
};

/// The refusals of an operation by their statuses: its own, and references to those that it shares.
pub(super) fn refusals<'a>(own: &[Refused], shared: impl Iterator<Item = &'a Refused>) -> Vec<(String, Value)> {
    let shared: Vec<u16> = shared.map(|refused| refused.status).collect();
    let refusals = FAILURES.iter().filter_map(|failure| {
        let own = own.iter().find(|refused| refused.status == failure.status);
        let answer = match (own, shared.contains(&failure.status)) {
            (Some(own), _) => response(failure, own),
            (None, true) => json!({ "$ref": format!("#/components/responses/{}", failure.component) }),
            (None, false) => return None,
        };
        Some((failure.status.to_string(), answer))
    });
    refusals.collect()
}

/// The refusals that operations share, by the names of their components.
pub(super) fn components<'a>(shared: impl Iterator<Item = &'a Refused>) -> Map<String, Value> {
    let component = |refused: &Refused| {
        let failure = FAILURES.iter().find(|failure| failure.status == refused.status)?;
        Some((failure.component.to_owned(), response(failure, refused)))
    };
    shared.filter_map(component).collect()
}

fn response(failure: &Failure, refused: &Refused) -> Value {
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
    if let Some((header, component)) = failure.header {
        headers[header] = json!({ "$ref": format!("#/components/headers/{component}") });
    }
    let example = json!({
        "error": refused.error,
        "error_description": refused.description,
        "request_id": "0192f1c4-5a77-7c1e-9a3b-6c0f4f1f2b7a",
    });
    json!({
        "description": failure.description,
        "headers": headers,
        "content": { "application/json": { "schema": reference("Error"), "example": example } },
    })
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
