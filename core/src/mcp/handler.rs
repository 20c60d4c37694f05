//! rmcp's handler: every method of ours that a client can reach, hand-written.
//!
//! Trusts nothing but the [`Served`] that the connection's [`Door`] gives for a request: who calls, under which permit.

use std::{
    borrow::Cow,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, Extensions, Implementation,
        ListToolsResult, MetaObject, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
        ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use toolgate_plugin::{Progress, ProgressUpdate, ToolResult, TraceContext};

use super::{
    Served, convert,
    listing::{Listener, Listings},
    stdio::Local,
};
use crate::{
    host::{CallEnd, Surroundings, misfit},
    policy::{Ending, Principal},
};

/// The protocol revisions that are served, oldest first.
pub(super) const VERSIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

/// How many progress reports may wait for a slow client; later ones are dropped, as reports may be.
const PROGRESS_QUEUE: usize = 64;
/// How long the reports of a call that has ended may still take, before its result.
const LAST_REPORTS: Duration = Duration::from_millis(500);

/// How a connection learns who sends a request, and under which permit it calls.
#[derive(Clone)]
pub(super) enum Door {
    /// The exchange has decided, and put its [`Served`] into the request.
    Exchange,
    /// All requests are one principal's; each call is decided when it comes.
    Local(Arc<Local>),
}

/// What lasts as long as one connection: a session of the revisions up to 2025-11-25, the streams of `stdio`, or the
/// one request of 2026-07-28 over HTTP.
struct Connection {
    /// Tells the client of changes, once it has said that it is initialized; ends with the connection.
    told: OnceLock<AbortOnDropHandle<()>>,
    /// Who sent the last request in it, for scopes may grow.
    principal: OnceLock<Arc<ArcSwap<Principal>>>,
}

#[derive(Clone)]
pub(super) struct Handler {
    door: Door,
    listings: Arc<Listings>,
    /// Fires when listeners should hear their last word.
    closing: CancellationToken,
    connection: Arc<Connection>,
}

impl Handler {
    /// A handler for one connection.
    pub(super) fn new(door: Door, listings: Arc<Listings>, closing: CancellationToken) -> Self {
        let connection = Arc::new(Connection { told: OnceLock::new(), principal: OnceLock::new() });
        Self { door, listings, closing, connection }
    }

    /// The same for another connection.
    pub(super) fn for_another(&self) -> Self {
        Self::new(self.door.clone(), Arc::clone(&self.listings), self.closing.clone())
    }

    fn served(&self, extensions: &Extensions) -> Result<Arc<Served>, ErrorData> {
        let served = match &self.door {
            Door::Exchange => part::<Arc<Served>>(extensions)?,
            Door::Local(local) => local.served(self.listings.registry()),
        };
        self.principal(&served).store(Arc::clone(&served.principal));
        Ok(served)
    }

    fn principal(&self, served: &Served) -> &Arc<ArcSwap<Principal>> {
        self.connection.principal.get_or_init(|| Arc::new(ArcSwap::new(Arc::clone(&served.principal))))
    }

    /// Tell the client whenever the list that it sees has changed, until the connection ends.
    fn tell(&self, context: NotificationContext<RoleServer>) -> Result<(), ErrorData> {
        let served = self.served(&context.extensions)?;
        let principal = Arc::clone(self.principal(&served));
        let listener = Listener::new(&self.listings, &served.registry, Arc::clone(&served.principal));
        let mut watch = listener.watch(&self.listings);
        let peer = context.peer;
        self.connection.told.get_or_init(|| {
            AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    watch.changed(|| principal.load_full()).await;
                    if let Err(error) = peer.notify_tool_list_changed().await {
                        tracing::debug!(%error, "a client could not be told that its tools have changed");
                        return;
                    }
                }
            }))
        });
        Ok(())
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let served = self.served(&context.extensions)?;
        if let Door::Local(local) = &self.door {
            local.decide(&served, self.listings.endpoint(), &request).await?;
        }
        let unknown = || {
            let name: String = request.name.chars().take(128).collect();
            ErrorData::invalid_params(format!("unknown tool \"{name}\"; tools/list tells which there are"), None)
        };
        let permit = served.take_permit().ok_or_else(unknown)?;
        // The permit is for the tool that the policy read; rmcp read the message a second time.
        if *permit.tool().name != *request.name {
            permit.finish(Ending::Rejected);
            return Err(unknown());
        }
        let (progress, reports) = progress(&context);
        let around = Surroundings {
            request_id: Arc::clone(&served.request_id),
            progress,
            cancelled: context.ct.clone(),
            trace: trace(&context),
        };
        let call = served.registry.call(permit, request.arguments.clone().unwrap_or_default(), around);
        let end = match reports {
            None => call.await,
            Some(reports) => forward(call, reports, &context).await,
        };
        let result = match end {
            CallEnd::Result(result) => result,
            CallEnd::OutsideSchema { path, message } => ToolResult::error(misfit(&path, &message)),
            CallEnd::UnknownTool => return Err(unknown()),
        };
        let mut wire = convert::result(result);
        if is_stateless(&context) {
            name_server(wire.meta.get_or_insert_default());
        }
        Ok(wire.into())
    }
}

/// What the exchange put into a request.
fn part<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> Result<T, ErrorData> {
    let part = extensions.get::<http::request::Parts>().and_then(|head| head.extensions.get::<T>());
    part.cloned().ok_or_else(|| ErrorData::internal_error("the request came past the gate", None))
}

fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

fn implementation() -> Implementation {
    Implementation::new("toolgate", env!("CARGO_PKG_VERSION"))
}

/// From 2026-07-28 on every result should say which server gave it.
fn name_server(meta: &mut MetaObject) {
    if let Ok(server) = serde_json::to_value(implementation()) {
        meta.0.insert("io.modelcontextprotocol/serverInfo".into(), server);
    }
}

fn trace(context: &RequestContext<RoleServer>) -> TraceContext {
    let headers = context.extensions.get::<http::request::Parts>().map(|head| &head.headers);
    let header = |name: &str| headers?.get(name)?.to_str().ok().map(Arc::from);
    TraceContext::new(header("traceparent"), header("tracestate"))
}

fn progress(context: &RequestContext<RoleServer>) -> (Progress, Option<mpsc::Receiver<ProgressUpdate>>) {
    if context.meta.get_progress_token().is_none() {
        return (Progress::none(), None);
    }
    let (queue, reports) = mpsc::channel(PROGRESS_QUEUE);
    (Progress::to(move |update| drop(queue.try_send(update))), Some(reports))
}

/// Run the call and pass its reports on, in order, all of them before the result.
async fn forward(
    call: impl Future<Output = CallEnd>,
    mut reports: mpsc::Receiver<ProgressUpdate>,
    context: &RequestContext<RoleServer>,
) -> CallEnd {
    let mut call = std::pin::pin!(call);
    let mut pump = std::pin::pin!(async {
        while let Some(update) = reports.recv().await {
            report(update, context).await;
        }
    });
    // Side by side: a client that does not read its reports must not hold up the call, nor its timeout.
    let end = tokio::select! {
        biased;
        end = &mut call => end,
        () = &mut pump => return call.await,
    };
    let _ = tokio::time::timeout(LAST_REPORTS, pump).await;
    end
}

async fn report(update: ProgressUpdate, context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else { return };
    let mut param = ProgressNotificationParam::new(token, update.progress);
    param.total = update.total;
    param.message = update.message;
    if let Err(error) = context.peer.notify_progress(param).await {
        tracing::debug!(%error, "progress could not be delivered");
    }
}

/// rmcp leaves a request whose handler panicked without an answer for ever.
async fn contained<T>(work: impl Future<Output = Result<T, ErrorData>>) -> Result<T, ErrorData> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("the MCP handler panicked");
        Err(ErrorData::internal_error("the server failed inside", None))
    })
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        ServerConfig::new(capabilities).with_server_info(implementation())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(VERSIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|request| request.cursor.is_some()) {
            return Err(ErrorData::invalid_params("unknown cursor; the list comes in one page", None));
        }
        contained(async {
            let served = self.served(&context.extensions)?;
            let seen = self.listings.seen(&served.registry, &served.principal);
            let mut result = ListToolsResult::with_all_items(seen.tools().cloned().collect());
            if is_stateless(&context) {
                name_server(result.meta.get_or_insert_default());
            }
            Ok(result)
        })
        .await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        contained(self.call(request, context)).await
    }

    /// rmcp asks for a tool's schema to check `Mcp-Param-*` headers against it.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.listings.of(&self.listings.registry()).mirrored(name)
    }

    /// Messages of known methods whose params rmcp could not read arrive here.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method.as_str();
        // The 2026-07-28 revision has neither sessions nor pings, and those before it no subscriptions.
        let known = matches!(method, "tools/call" | "tools/list" | "server/discover")
            || is_stateless(&context) && method == "subscriptions/listen"
            || !is_stateless(&context) && matches!(method, "initialize" | "ping");
        if known {
            let text = format!("the params of {} do not fit", request.method);
            return Err(ErrorData::invalid_params(text, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None))
    }

    /// The client of a session is told from here on; over HTTP on the stream that it opens with GET. What comes
    /// before it does is kept for it by the session.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if let Err(error) = self.tell(context) {
            tracing::error!(error = %error.message, "a client will not be told of changes");
        }
    }

    /// Changes of the list of tools; there are no prompts and no resources to listen to.
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        accepted.tools_list_changed = requested.tools_list_changed.filter(|wanted| *wanted);
        Some(accepted)
    }

    /// `subscriptions/listen` of 2026-07-28. The client hears the acknowledgement before; the end of this is the
    /// graceful one, when the server stops. Where the token expires, the stream ends without a word, for the client
    /// may well come back with a fresh one.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let listener = match &self.door {
            Door::Exchange => part(&context.request_context().extensions)?,
            Door::Local(local) => local.listener(),
        };
        let mut watch = listener.watch(&self.listings);
        let wanted = context.accepted().tools_list_changed == Some(true);
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.closing.cancelled() => return Ok(()),
                () = watch.changed(|| Arc::clone(&listener.principal)), if wanted => {}
            }
            if let Err(error) = context.sink().notify_tool_list_changed().await {
                tracing::debug!(%error, "a listener could not be told that its tools have changed");
                return Ok(());
            }
        }
    }
}
