//! MCP over a pair of byte streams, one JSON-RPC message a line: what `toolgate plugin run` serves a desktop client on
//! its standard input and output. One principal, and the same policy, host and audit trail as over HTTP.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use rmcp::{
    ErrorData,
    model::CallToolRequestParams,
    service::{ServerInitializeError, serve_server_with_ct},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use super::{
    Served, cut_after,
    handler::{Door, Handler},
    listing::{Listener, Listings},
};
use crate::{
    host::{Current, Registry},
    policy::{Face, Principal, Reason, Request},
    telemetry::audit::Audit,
};

/// The streams could not be served.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// What came first is no opening of a conversation.
    #[error("the client did not open the conversation: {0}; it has to send initialize or server/discover first")]
    Opening(String),
    /// The conversation was broken off inside.
    #[error("the conversation broke off: {0}")]
    Broken(String),
}

/// What a connection's requests are decided with.
pub(super) struct Local {
    principal: Arc<Principal>,
    audit: Audit,
    first: Listener,
}

impl Local {
    /// A request that comes now.
    pub(super) fn served(&self, registry: Arc<Registry>) -> Arc<Served> {
        let request_id = Uuid::now_v7().to_string().into();
        Arc::new(Served { principal: Arc::clone(&self.principal), registry, request_id, permit: Mutex::new(None) })
    }

    /// Who listens here, and what they saw when the connection began.
    pub(super) fn listener(&self) -> Listener {
        self.first.clone()
    }

    /// Ask the policy for the permit of a call; without one the tool is unknown.
    pub(super) async fn decide(
        &self,
        served: &Served,
        endpoint: &str,
        call: &CallToolRequestParams,
    ) -> Result<(), ErrorData> {
        let Ok(slot) = self.audit.reserve().await else {
            return Err(ErrorData::internal_error("the audit log takes no record; try again later", None));
        };
        let request = Request {
            face: Face::Mcp,
            request_id: &served.request_id,
            endpoint,
            tool: &call.name,
            arguments: call.arguments.as_ref().filter(|_| self.audit.wants_arguments()),
        };
        match served.registry.policy().decide(&served.principal, request, slot) {
            Ok(permit) => served.put_permit(permit),
            Err(refusal) => match refusal.reason {
                Reason::UnknownTool => {}
                Reason::InsufficientScope { .. } => {
                    return Err(ErrorData::invalid_request("this tool needs a scope that nobody has here", None));
                }
                Reason::RateLimited { retry_after } => {
                    let text = format!("called too often; try again in {} s", retry_after.as_secs() + 1);
                    return Err(ErrorData::invalid_request(text, None));
                }
            },
        }
        Ok(())
    }
}

/// Serve the tools of an endpoint on this process's standard input and output, until the input ends or `stop` does.
/// Calls in flight then have a few seconds to finish.
///
/// # Errors
/// When no conversation comes about, or it breaks off.
pub async fn serve(
    endpoint: &str,
    registry: Current,
    principal: Principal,
    audit: Audit,
    stop: CancellationToken,
) -> Result<(), StdioError> {
    let (input, output) = rmcp::transport::stdio_pipes();
    over(input, output, endpoint, registry, principal, audit, stop).await
}

async fn over(
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    endpoint: &str,
    registry: Current,
    principal: Principal,
    audit: Audit,
    stop: CancellationToken,
) -> Result<(), StdioError> {
    let principal = Arc::new(principal);
    let now = registry.load();
    let listings = Arc::new(Listings::new(endpoint.into(), registry));
    let first = Listener::new(&listings, &now, Arc::clone(&principal));
    drop(now);
    let closing = stop.child_token();
    let handler = Handler::new(Door::Local(Arc::new(Local { principal, audit, first })), listings, closing.clone());
    // Listeners hear that it ends before the streams are cut; at the end of the input they are let go at once, or they
    // would count as requests that still want their answer.
    let (cut, cutting) = cut_after(stop);
    let _cutting = AbortOnDropHandle::new(cutting);
    let input = Watched { inner: input, ended: closing };
    match serve_server_with_ct(handler, (input, output), cut).await {
        Ok(service) => service.waiting().await.map(drop).map_err(|error| StdioError::Broken(error.to_string())),
        // It left without a word, or was told to stop before there was one.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(ServerInitializeError::TransportError { error, .. }) => Err(StdioError::Broken(error.to_string())),
        Err(ServerInitializeError::ExpectedInitializeRequest(_)) => {
            Err(StdioError::Opening("the first message is no request".into()))
        }
        Err(other) => Err(StdioError::Opening(other.to_string())),
    }
}

/// A stream whose end is told.
struct Watched<R> {
    inner: R,
    ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, into);
        match &read {
            Poll::Ready(Ok(())) if into.filled().len() > before || into.remaining() == 0 => {}
            Poll::Ready(_) => self.ended.cancel(),
            Poll::Pending => {}
        }
        read
    }
}

#[cfg(test)]
#[path = "stdio_tests.rs"]
mod tests;
