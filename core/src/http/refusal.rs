//! JSON errors of the HTTP face: `{"error","error_description","request_id"}`.

use std::sync::Arc;

use poem::{Request, Response, http::StatusCode};
use serde_json::json;

/// The request's id, the same in answers, log and audit.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

impl RequestId {
    /// The id of a request; every request has one.
    pub(super) fn of(request: &Request) -> Arc<str> {
        request.extensions().get::<Self>().map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0))
    }
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
