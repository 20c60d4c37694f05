//! The REST face of the tools: `POST /api/tools/{endpoint}/{tool}`. The same gate, policy and host as MCP.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, header};
use poem::{Request, Response, http::StatusCode};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use toolgate_plugin::{Progress, TraceContext};

use super::{
    refusal::{self, NO_OBJECT, RequestId, refusal, too_large, unknown_tool},
    state::State,
};
use crate::{
    host::{CallEnd, Surroundings, misfit},
    policy::{Ending, Face, Reason, Request as PolicyRequest},
};

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a body could not be read.
pub(super) enum BodyError {
    TooLarge { most: u64, setting: Option<&'static str> },
    TooSlow,
    Broken,
}

impl BodyError {
    pub(super) fn response(&self, request_id: &str) -> Response {
        let (status, error, text) = match self {
            Self::TooLarge { most, setting } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", too_large(*most, *setting))
            }
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive in time".to_owned()),
            Self::Broken => (StatusCode::BAD_REQUEST, "invalid_request", "the body could not be read".to_owned()),
        };
        refusal(status, error, &text, request_id)
    }
}

/// The body of a request with these headers, bounded in size by `server.max_body`, and in time.
pub(super) async fn body(state: &State, headers: &HeaderMap, body: poem::Body) -> Result<bytes::Bytes, BodyError> {
    bounded(state.config.server.max_body.0, Some("server.max_body"), headers, body).await
}

/// A body of at most `most` bytes, a bound that is `setting`'s or fixed.
pub(super) async fn bounded(
    most: u64,
    setting: Option<&'static str>,
    headers: &HeaderMap,
    body: poem::Body,
) -> Result<bytes::Bytes, BodyError> {
    let too_large = || BodyError::TooLarge { most, setting };
    // What is announced as too large need not be waited for.
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > most) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, body.into_bytes_limit(usize::try_from(most).unwrap_or(usize::MAX))).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(poem::error::ReadBodyError::PayloadTooLarge)) => Err(too_large()),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Call a tool. Dropping the future (the client has gone) cancels the call.
pub(super) async fn call(state: &State, endpoint: &str, tool: &str, mut request: Request) -> Response {
    let request_id = RequestId::of(&request);
    let unknown =
        |request_id: &str| refusal(StatusCode::NOT_FOUND, "unknown_tool", &unknown_tool(endpoint, tool), request_id);
    if state.gate.resource(endpoint).is_none() {
        return unknown(&request_id);
    }
    let principal = match state.gate.authenticate(endpoint, request.headers(), Face::Rest, &request_id).await {
        Ok(principal) => principal,
        Err(challenge) => return refusal::poem(challenge.response(&request_id)),
    };
    let Ok(slot) = state.audit.reserve().await else {
        return refusal::poem(state.gate.overloaded(endpoint).response(&request_id));
    };
    // Right before the decision: what is loaded long before a permit may be retired meanwhile.
    let registry = state.registry.load();
    let wanted = PolicyRequest { face: Face::Rest, request_id: &request_id, endpoint, tool, arguments: None };
    let mut permit = match registry.policy().decide(&principal, wanted, slot) {
        Ok(permit) => permit,
        Err(refused) if refused.reason == Reason::UnknownTool => return unknown(&request_id),
        Err(refused) => {
            return match state.gate.challenge(endpoint, &refused) {
                Some(challenge) => refusal::poem(challenge.response(&request_id)),
                None => unknown(&request_id),
            };
        }
    };
    // Read after the decision: who may not call the tool is told that, whatever the arguments.
    let arguments = match arguments(state, &mut request, &request_id).await {
        Ok(arguments) => arguments,
        Err(response) => {
            permit.finish(Ending::Rejected);
            return *response;
        }
    };
    if state.audit.wants_arguments() {
        permit.record_arguments(&arguments);
    }
    let header = |name: &str| request.headers().get(name)?.to_str().ok().map(Arc::from);
    // Nothing but dropping this future cancels a call over plain HTTP.
    let cancelled = CancellationToken::new();
    let around = Surroundings {
        request_id: Arc::clone(&request_id),
        progress: Progress::none(),
        cancelled,
        trace: TraceContext::new(header("traceparent"), header("tracestate")),
    };
    match registry.call(permit, arguments, around).await {
        CallEnd::Result(result) => {
            let mut body = json!({ "content": result.content, "isError": result.is_error });
            if let Some(structured) = result.structured_content {
                body["structuredContent"] = structured;
            }
            if let Some(meta) = result.meta {
                body["_meta"] = Value::Object(meta);
            }
            Response::builder().content_type("application/json").body(body.to_string())
        }
        CallEnd::OutsideSchema { path, message } => {
            refusal(StatusCode::BAD_REQUEST, "invalid_arguments", &misfit(&path, &message), &request_id)
        }
        CallEnd::UnknownTool => unknown(&request_id),
    }
}

async fn arguments(
    state: &State,
    request: &mut Request,
    request_id: &str,
) -> Result<Map<String, Value>, Box<Response>> {
    let essence = request.content_type().and_then(|kind| kind.split(';').next()).map(str::trim);
    let is_json = essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let declared = essence.is_some();
    let unread = request.take_body();
    let bytes = body(state, request.headers(), unread).await.map_err(|error| Box::new(error.response(request_id)))?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let refused = |status, error, text: &str| Err(Box::new(refusal(status, error, text, request_id)));
    if declared && !is_json {
        return refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body must be application/json",
        );
    }
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => refused(StatusCode::BAD_REQUEST, "invalid_arguments", NO_OBJECT),
        Err(wrong) => refused(StatusCode::BAD_REQUEST, "invalid_request", &format!("the body is not JSON: {wrong}")),
    }
}
