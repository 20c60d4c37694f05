//! The MCP endpoint: protocol versions, sessions, streams; turns a message into an operation and back.
//!
//! One seam: an [`Exchange`] (principal, message in) becomes an [`Answer`] (message or stream out, or a
//! refusal that the gate words). Behind it rmcp's streamable HTTP service serves both protocol eras with a
//! hand-written handler (`handler`); rmcp's types stay in this module. Host and Origin are checked before,
//! in `http`.

mod convert;
mod handler;
mod listeners;
mod listing;
mod message;
mod sessions;
mod stdio;
mod stream;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::stdio::{StdioError, serve as serve_stdio};
use self::{
    handler::{Door, Handler},
    listeners::Listeners,
    listing::{Listener, Listings},
    message::Message,
    sessions::{Admission, Place, Sessions},
};
use crate::{
    config,
    host::{Current, Registry},
    policy::{Ending, Face, Permit, Principal, Refusal, Request},
    telemetry::audit::Audit,
};

/// How long listeners have to hear that the server stops before their streams are cut.
const LAST_WORD: Duration = Duration::from_millis(100);

/// The protocol revisions that every endpoint speaks, newest first.
pub fn protocol_versions() -> impl Iterator<Item = &'static str> {
    handler::VERSIONS.iter().rev().map(|version| version.as_str())
}

/// The body of an answer.
pub type Body = BoxBody<Bytes, Infallible>;

/// One message from one principal.
pub struct Exchange {
    /// Who sends it.
    pub principal: Arc<Principal>,
    /// The request's id.
    pub request_id: Arc<str>,
    /// The HTTP head.
    pub head: Parts,
    /// The HTTP body, whole.
    pub body: Bytes,
}

/// What becomes of an exchange.
pub enum Answer {
    /// An answer in MCP's words.
    Response(Response<Body>),
    /// The policy refused; the gate words it.
    Refused(Refusal),
    /// The audit trail takes no more.
    Unrecordable,
}

/// What the handler needs to know of the exchange that it serves; travels in the request's extensions.
struct Served {
    principal: Arc<Principal>,
    registry: Arc<Registry>,
    request_id: Arc<str>,
    permit: Mutex<Option<Permit>>,
}

impl Served {
    fn put_permit(&self, permit: Permit) {
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
    }

    fn take_permit(&self) -> Option<Permit> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A token that fires a little after `stop`, unless the task that does it is aborted.
fn cut_after(stop: CancellationToken) -> (CancellationToken, JoinHandle<()>) {
    let cut = CancellationToken::new();
    let fire = cut.clone();
    let firing = tokio::spawn(async move {
        stop.cancelled().await;
        tokio::time::sleep(LAST_WORD).await;
        fire.cancel();
    });
    (cut, firing)
}

/// One configured MCP endpoint.
pub struct Endpoint {
    name: Arc<str>,
    registry: Current,
    audit: Audit,
    service:
        StreamableHttpService<Handler, rmcp::transport::streamable_http_server::session::local::LocalSessionManager>,
    listings: Arc<Listings>,
    sessions: Sessions,
    listeners: Listeners,
    stop: CancellationToken,
}

impl Endpoint {
    /// An endpoint that serves the tools of `name`. `stop` ends its sessions and streams: listeners hear a last word,
    /// what is left is cut a moment later.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(name: &str, server: &config::Server, registry: Current, audit: Audit, stop: CancellationToken) -> Self {
        let name: Arc<str> = name.into();
        let sessions = Sessions::new(server);
        tokio::spawn(sessions.clone().reap(stop.clone()));
        // Not ended with the endpoint: the streams of one that is taken down outlive it until `stop`.
        let (cut, _) = cut_after(stop.clone());
        let settings = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_json_response(true)
            .with_legacy_session_mode(true)
            .with_max_request_body_bytes(usize::try_from(server.max_body.0).unwrap_or(usize::MAX))
            .with_cancellation_token(cut);
        let listings = Arc::new(Listings::new(Arc::clone(&name), registry.clone()));
        let handler = Handler::new(Door::Exchange, Arc::clone(&listings), stop.clone());
        let service = StreamableHttpService::new(move || Ok(handler.for_another()), sessions.manager(), settings);
        let listeners = Listeners::new(server);
        Self { name, registry, audit, service, listings, sessions, listeners, stop }
    }

    /// Serve one exchange. Dropping the future is the caller's going away.
    pub async fn exchange(&self, exchange: Exchange) -> Answer {
        let Exchange { principal, request_id, mut head, body } = exchange;
        if !matches!(head.method, Method::POST | Method::GET | Method::DELETE) {
            return Answer::Response(message::method_not_allowed());
        }
        let Ok(in_use) = self.sessions.enter(&mut head.headers, principal.id()) else {
            return Answer::Response(sessions::gone());
        };
        let in_use = in_use.map(Arc::new);
        let mut registry = self.registry.load();
        let mut permit = None;
        let mut admission = None;
        let mut seat = None;
        if head.method == Method::POST {
            let message = match message::read(&head.headers, &body) {
                Ok(message) => message,
                Err(refused) => return Answer::Response(refused.response()),
            };
            match message {
                Message::Call { tool, arguments } => {
                    let Ok(slot) = self.audit.reserve().await else { return Answer::Unrecordable };
                    // The rules of the moment of the decision: the wait may have outlasted a reload.
                    registry = self.registry.load();
                    let arguments = if self.audit.wants_arguments() { message::arguments(arguments) } else { None };
                    let request = Request {
                        face: Face::Mcp,
                        request_id: &request_id,
                        endpoint: &self.name,
                        tool: &tool,
                        arguments: arguments.as_ref(),
                    };
                    match registry.policy().decide(&principal, request, slot) {
                        Ok(leave) => permit = Some(leave),
                        // An unknown tool is a protocol error, worded by the handler.
                        Err(refusal) if refusal.reason == crate::policy::Reason::UnknownTool => {}
                        Err(refusal) => return Answer::Refused(refusal),
                    }
                }
                Message::Initialize => match self.sessions.admit(principal.id()).await {
                    Admission::Open(place) => admission = Some(place),
                    Admission::Full(refused) => return Answer::Response(refused),
                },
                Message::Listen => match self.listeners.admit(principal.id()) {
                    Some(place) => {
                        head.extensions.insert(Listener::new(&self.listings, &registry, Arc::clone(&principal)));
                        seat = Some(place);
                    }
                    None => {
                        let text = "too many subscriptions are open; close one, or try again later";
                        return Answer::Response(message::too_many(text));
                    }
                },
                Message::Other => {}
            }
        }
        let is_delete = head.method == Method::DELETE;
        let expires_at = principal.expires_at();
        // A call goes on when its client has left, for the client may come back for the result; so does its session.
        // Other messages must not keep it: rmcp holds on to some of them.
        if permit.is_some()
            && let Some(in_use) = &in_use
        {
            head.extensions.insert(Arc::clone(in_use));
        }
        let served = Arc::new(Served { principal, registry, request_id, permit: Mutex::new(permit) });
        // A stream of changes lives long, and must not keep the registry that it began with.
        if seat.is_none() {
            head.extensions.insert(Arc::clone(&served));
        }
        let request = http::Request::from_parts(head, Full::new(body));
        let response = match admission {
            Some(place) => self.open(place, request).await,
            None => self.service.handle(request).await,
        };
        // A permit that nobody took belongs to a message that the protocol refused. Within a session the answer
        // is a stream, and the handler comes for its permit when that is already under way.
        if !stream::is_stream(&response)
            && let Some(unused) = served.take_permit()
        {
            unused.finish(Ending::Rejected);
        }
        let response = match seat {
            Some(seat) => seat.kept_by(response),
            None => response,
        };
        let mut response = stream::until(expires_at, worded(response, self.stop.is_cancelled()).await);
        let Some(in_use) = in_use else { return Answer::Response(response) };
        let status = response.status();
        // A refused DELETE leaves the session alive, and its owner's.
        if is_delete && status.is_success() || status == StatusCode::NOT_FOUND {
            self.sessions.forget(in_use.session());
        }
        // The session is gone by now, not merely going to be; some clients complain of rmcp's 202.
        if is_delete && status == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        Answer::Response(if stream::is_stream(&response) { stream::keeping(in_use, response) } else { response })
    }

    /// Open a session. This goes on when its client leaves: rmcp would keep what nobody here knows of.
    async fn open(&self, place: Place, request: http::Request<Full<Bytes>>) -> Response<Body> {
        let service = self.service.clone();
        let opening = tokio::spawn(async move {
            let response = service.handle(request).await;
            place.settle(response.headers());
            response
        });
        opening.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a session could not be opened");
            let text = "the server failed inside";
            message::error(StatusCode::INTERNAL_SERVER_ERROR, message::INTERNAL_ERROR, text, None)
        })
    }
}

/// rmcp's transport errors are plain text without a content type; clients get JSON-RPC instead.
async fn worded(response: Response<Body>, stopping: bool) -> Response<Body> {
    let status = response.status();
    if status.is_success() || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    let (head, body) = response.into_parts();
    let text = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(never) => match never {},
    };
    if sessions::has_ended(status, &text) {
        return sessions::gone();
    }
    // What is JSON but no message that rmcp knows is an invalid request, not a wrong media type.
    let status = if status == StatusCode::UNSUPPORTED_MEDIA_TYPE { StatusCode::BAD_REQUEST } else { status };
    let mut worded = match status {
        // A call that outlasts the drain has its handler taken away.
        _ if status.is_server_error() && stopping => {
            message::error(StatusCode::SERVICE_UNAVAILABLE, message::INTERNAL_ERROR, "the server is stopping", None)
        }
        _ if status.is_server_error() => {
            tracing::error!(%status, text, "an MCP exchange failed inside");
            message::error(status, message::INTERNAL_ERROR, "the server failed inside", None)
        }
        _ => message::error(status, message::INVALID_REQUEST, &text, None),
    };
    if let Some(allow) = head.headers.get(header::ALLOW) {
        worded.headers_mut().insert(header::ALLOW, allow.clone());
    }
    worded
}

#[cfg(test)]
mod tests;
