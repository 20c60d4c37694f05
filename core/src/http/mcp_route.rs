//! An MCP endpoint's route: the gate, the body, and the exchange behind them. Takes the token off the request.

use std::sync::Arc;

use http::header;
use http_body_util::BodyExt;
use poem::{Body, Endpoint, IntoResponse, Request, Response, http::StatusCode};

use super::{
    refusal::{self, RequestId},
    rest,
    state::State,
};
use crate::{
    mcp::{self, Answer, Exchange},
    policy::Face,
};

/// `POST`, `GET` and `DELETE` of one MCP endpoint.
pub(super) struct McpRoute {
    state: Arc<State>,
    endpoint: String,
}

impl McpRoute {
    pub(super) fn new(state: Arc<State>, endpoint: &str) -> Self {
        Self { state, endpoint: endpoint.to_owned() }
    }
}

impl Endpoint for McpRoute {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let state = &self.state;
        let request_id = RequestId::of(&request);
        let Some(endpoint) = state.endpoints.get(&self.endpoint).map(|mounted| &mounted.endpoint) else {
            return Ok(StatusCode::NOT_FOUND.into_response());
        };
        let principal = match state.gate.authenticate(&self.endpoint, request.headers(), Face::Mcp, &request_id).await {
            Ok(principal) => principal,
            Err(challenge) => return Ok(refusal::poem(challenge.response(&request_id))),
        };
        let unread = request.take_body();
        let body = match rest::body(state, request.headers(), unread).await {
            Ok(body) => body,
            Err(error) => return Ok(error.response(&request_id)),
        };
        let mut head = http::Request::builder().method(request.method().clone()).uri(request.uri().clone());
        if let Some(headers) = head.headers_mut() {
            *headers = std::mem::take(request.headers_mut());
            // The token ends here: nothing behind the gate sees it.
            headers.remove(header::AUTHORIZATION);
        }
        let Ok(head) = head.body(()) else { return Ok(StatusCode::BAD_REQUEST.into_response()) };
        let (head, ()) = head.into_parts();
        let exchange = Exchange { principal, request_id: Arc::clone(&request_id), head, body };
        Ok(match endpoint.exchange(exchange).await {
            Answer::Response(response) => from_mcp(response),
            Answer::Unrecordable => refusal::poem(state.gate.overloaded(&self.endpoint).response(&request_id)),
            Answer::Refused(refused) => match state.gate.challenge(&self.endpoint, &refused) {
                Some(challenge) => refusal::poem(challenge.response(&request_id)),
                None => StatusCode::NOT_FOUND.into_response(),
            },
        })
    }
}

fn from_mcp(response: http::Response<mcp::Body>) -> Response {
    let (head, body) = response.into_parts();
    let body = body.map_err(|never| match never {}).boxed();
    let mut response = Response::builder().status(head.status).body(Body::from(body));
    *response.headers_mut() = head.headers;
    response
}
