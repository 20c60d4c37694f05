//! Reading a message far enough to know what it asks, before anything else touches it; and writing the
//! JSON-RPC errors that need no handler.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json, value::RawValue};

use super::Body;

pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const INTERNAL_ERROR: i32 = -32603;

/// What a message asks, as far as the policy and the session table care.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// `tools/call`.
    Call { tool: Cow<'a, str>, arguments: Option<&'a RawValue> },
    /// `initialize`, which opens a session in the protocol revisions up to 2025-11-25.
    Initialize,
    /// `subscriptions/listen`, which opens a stream (2026-07-28).
    Listen,
    /// Anything else.
    Other,
}

/// The members that JSON-RPC 2.0 gives a meaning; twice the same one is an error, so that no two readers can
/// see different messages.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
}

/// Tells an explicit `null` from an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Why a message is not served, in JSON-RPC's terms.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: i32,
    text: String,
    id: Option<Value>,
}

impl Refused {
    fn new(status: StatusCode, code: i32, text: impl Into<String>) -> Self {
        Self { status, code, text: text.into(), id: None }
    }

    pub(super) fn response(self) -> Response<Body> {
        error(self.status, self.code, &self.text, self.id)
    }
}

/// Read a message.
///
/// # Errors
/// The answer to give to what is none.
pub(super) fn read<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Message<'a>, Refused> {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let text = "the body must be application/json";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, text));
    }
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        let text = "JSON-RPC batches are not served; send each message by itself";
        return Err(Refused::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, text));
    }
    if let Err(wrong) = serde_json::from_slice::<&RawValue>(body) {
        return Err(Refused::new(StatusCode::BAD_REQUEST, PARSE_ERROR, format!("the body is not JSON: {wrong}")));
    }
    let invalid = |text: &str| Refused::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, text);
    let envelope: Envelope<'a> =
        serde_json::from_slice(body).map_err(|wrong| invalid(&format!("this is no JSON-RPC message: {wrong}")))?;
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return Err(invalid("a message says \"jsonrpc\": \"2.0\""));
    }
    let id = match envelope.id.map(|raw| serde_json::from_str::<Value>(raw.get())) {
        None => None,
        Some(Ok(id)) if id.is_string() || id.is_i64() => Some(id),
        Some(_) => return Err(invalid("an id is a string or an integer")),
    };
    let invalid_params =
        |text: &str| Refused { id: id.clone(), ..Refused::new(StatusCode::BAD_REQUEST, INVALID_PARAMS, text) };
    match envelope.method.as_deref() {
        Some("initialize") => Ok(Message::Initialize),
        Some("subscriptions/listen") if id.is_some() => Ok(Message::Listen),
        Some("tools/call") if id.is_some() => {
            let params =
                envelope.params.ok_or_else(|| invalid_params("tools/call needs params with the tool's name"))?;
            // serde would read an array as well, member by member.
            if !params.get().starts_with('{') {
                return Err(invalid_params("the params of tools/call are a JSON object"));
            }
            let params: CallParams<'a> = serde_json::from_str(params.get())
                .map_err(|wrong| invalid_params(&format!("the params of tools/call do not fit: {wrong}")))?;
            match params.arguments.map(RawValue::get) {
                Some(raw) if !raw.starts_with('{') && raw != "null" => {
                    Err(invalid_params("the arguments of tools/call are a JSON object"))
                }
                _ => Ok(Message::Call { tool: params.name, arguments: params.arguments }),
            }
        }
        _ => Ok(Message::Other),
    }
}

/// The arguments of a call, for the audit record.
pub(super) fn arguments(raw: Option<&RawValue>) -> Option<Map<String, Value>> {
    serde_json::from_str(raw?.get()).ok()
}

/// A JSON-RPC error as a whole HTTP answer.
pub(super) fn error(status: StatusCode, code: i32, message: &str, id: Option<Value>) -> Response<Body> {
    let mut value = json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message } });
    // Without an id the specification wants the member left out, JSON-RPC 2.0 wants null; clients of both
    // revisions read null.
    value["id"] = id.unwrap_or(Value::Null);
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer to who has opened as much as may be open.
pub(super) fn too_many(text: &str) -> Response<Body> {
    let mut refused = error(StatusCode::TOO_MANY_REQUESTS, INVALID_REQUEST, text, None);
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    refused
}

/// What the endpoint can be asked.
pub(super) fn method_not_allowed() -> Response<Body> {
    let mut response =
        error(StatusCode::METHOD_NOT_ALLOWED, INVALID_REQUEST, "an MCP endpoint takes POST, GET and DELETE", None);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE, OPTIONS"));
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json_headers() -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))])
    }

    #[test]
    fn what_is_no_message_is_answered_400() {
        let cases = [
            ("empty", ""),
            ("not JSON", "{"),
            ("a batch", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#),
            ("a string", r#""ping""#),
            ("no version", r#"{"id":1,"method":"ping"}"#),
            ("another version", r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#),
            ("a null id", r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
            ("a fraction as id", r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#),
            ("an id beyond 63 bits", r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}"#),
            ("two methods", r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#),
            (
                "two params",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
            ),
            ("two names", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#),
            ("no name", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#),
            ("a list as params", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["echo",{}]}"#),
            ("no params", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#),
            ("a number as name", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#),
            (
                "a list as arguments",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
            ),
        ];
        for (name, body) in cases {
            let refused = read(&json_headers(), body.as_bytes()).expect_err(name);
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}");
        }
    }

    #[test]
    fn an_escaped_name_is_read_as_what_it_says() {
        let body = r#"{"jsonrpc":"2.0","id":"x","method":"tools\/call","params":{"name":"ech\u006f"}}"#;
        assert!(matches!(read(&json_headers(), body.as_bytes()), Ok(Message::Call { tool, .. }) if tool == "echo"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
            let _ = read(&json_headers(), &body);
            let _ = read(&json_headers(), text.as_bytes());
        }
    }
}
