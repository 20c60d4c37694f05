//! JSON errors of the HTTP face: `{"error","error_description","request_id"}`, and what they say where it is documented.

use std::sync::Arc;

use poem::{Request, Response, http::StatusCode};
use serde_json::json;

use crate::config::Size;

/// The request's id, the same in answers, log and audit.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

impl RequestId {
    /// The id of a request; every request has one.
    pub(super) fn of(request: &Request) -> Arc<str> {
        request.extensions().get::<Self>().map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0))
    }
}

/// What is said of a body that is JSON, and no object.
pub(super) const NO_OBJECT: &str = "the arguments are a JSON object";

/// What is said of a tool that an endpoint does not have.
pub(super) fn unknown_tool(endpoint: &str, tool: &str) -> String {
    let cut = |text: &str| text.chars().take(128).collect::<String>();
    format!("the endpoint \"{}\" offers no tool \"{}\"; see /api/tools", cut(endpoint), cut(tool))
}

/// What is said of a body of more than `most` bytes, a bound that is `setting`'s or fixed.
pub(super) fn too_large(most: u64, setting: Option<&str>) -> String {
    let help = setting.map_or_else(String::new, |key| format!("; the operator may raise {key}"));
    format!("the body is larger than {}{help}", Size(most))
}

/// An error answer.
pub(super) fn refusal(status: StatusCode, error: &str, description: &str, request_id: &str) -> Response {
    let body = json!({ "error": error, "error_description": description, "request_id": request_id });
    Response::builder().status(status).content_type("application/json").body(body.to_string())
}

/// The same as a plain HTTP answer.
pub(super) fn raw(
    status: StatusCode,
    error: &str,
    description: &str,
    request_id: &str,
) -> http::Response<bytes::Bytes> {
    let body = json!({ "error": error, "error_description": description, "request_id": request_id });
    let mut response = http::Response::new(bytes::Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// A plain HTTP answer as poem's.
pub(super) fn poem(response: http::Response<bytes::Bytes>) -> Response {
    let (head, body) = response.into_parts();
    let mut response = Response::builder().status(head.status).body(body);
    *response.headers_mut() = head.headers;
    response
}
