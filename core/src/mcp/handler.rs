//! rmcp's handler: every method of ours that a client can reach, hand-written.
//!
//! Trusts nothing but the [`Served`] that the exchange put into the request: who calls, under which permit.

use std::{borrow::Cow, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, Implementation,
        ListToolsResult, MetaObject, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::{NotificationContext, RequestContext},
};
use tokio::sync::mpsc;
use toolgate_plugin::{Progress, ProgressUpdate, ToolResult, TraceContext};

use super::{Served, convert};
use crate::{
    host::{CallEnd, Current, Registry, Surroundings, misfit},
    policy::{Ending, ToolPolicy},
};

/// The protocol revisions that are served, oldest first.
const VERSIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

/// How many progress reports may wait for a slow client; later ones are dropped, as reports may be.
const PROGRESS_QUEUE: usize = 64;
/// How long the reports of a call that has ended may still take, before its result.
const LAST_REPORTS: Duration = Duration::from_millis(500);

/// The tools of one registry in rmcp's types, converted once.
struct Listing {
    registry: Arc<Registry>,
    tools: Vec<(Arc<ToolPolicy>, Tool)>,
    /// Whether some tool's parameters are mirrored into headers (`x-mcp-header`).
    mirrored: bool,
}

#[derive(Clone)]
pub(super) struct Handler {
    endpoint: Arc<str>,
    registry: Current,
    listing: Arc<ArcSwapOption<Listing>>,
}

impl Handler {
    pub(super) fn new(endpoint: Arc<str>, registry: Current) -> Self {
        Self { endpoint, registry, listing: Arc::default() }
    }

    fn listing(&self, registry: &Arc<Registry>) -> Arc<Listing> {
        if let Some(listing) = self.listing.load_full().filter(|listing| Arc::ptr_eq(&listing.registry, registry)) {
            return listing;
        }
        let all = registry.policy().endpoint(&self.endpoint).into_iter().flat_map(|rules| rules.tools.values());
        let tools: Vec<_> = all
            .filter_map(|rule| {
                let offered = registry.tool(&self.endpoint, &rule.name)?;
                Some((Arc::clone(rule), convert::tool(&offered.tool)))
            })
            .collect();
        let marks =
            |tool: &Tool| serde_json::to_string(&tool.input_schema).is_ok_and(|text| text.contains("\"x-mcp-header\""));
        let mirrored = tools.iter().any(|(_, tool)| marks(tool));
        let listing = Arc::new(Listing { registry: Arc::clone(registry), tools, mirrored });
        self.listing.store(Some(Arc::clone(&listing)));
        listing
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let served = served(&context)?;
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
            CallEnd::InvalidArguments { path, message } => ToolResult::error(misfit(&path, &message)),
            CallEnd::UnknownTool => return Err(unknown()),
        };
        let mut wire = convert::result(result);
        if is_stateless(&context) {
            name_server(wire.meta.get_or_insert_default());
        }
        Ok(wire.into())
    }
}

fn served(context: &RequestContext<RoleServer>) -> Result<Arc<Served>, ErrorData> {
    context
        .extensions
        .get::<http::request::Parts>()
        .and_then(|head| head.extensions.get::<Arc<Served>>())
        .map(Arc::clone)
        .ok_or_else(|| ErrorData::internal_error("the request came past the gate", None))
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
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(implementation())
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
            let served = served(&context)?;
            let visible: Vec<&str> = served
                .registry
                .visible(&self.endpoint, Some(&served.principal))
                .map(|offered| offered.tool.name.as_str())
                .collect();
            let listing = self.listing(&served.registry);
            let tools = listing.tools.iter().filter(|(rule, _)| visible.contains(&&*rule.name));
            let mut result = ListToolsResult::with_all_items(tools.map(|(_, tool)| tool.clone()).collect());
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
        let listing = self.listing(&self.registry.load());
        if !listing.mirrored {
            return None;
        }
        listing.tools.iter().find(|(rule, _)| *rule.name == *name).map(|(_, tool)| tool.clone())
    }

    /// Messages of known methods whose params rmcp could not read arrive here.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method.as_str();
        // The 2026-07-28 revision has neither sessions nor pings.
        let known = matches!(method, "tools/call" | "tools/list" | "server/discover")
            || !is_stateless(&context) && matches!(method, "initialize" | "ping");
        if known {
            let text = format!("the params of {} do not fit", request.method);
            return Err(ErrorData::invalid_params(text, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None))
    }

    async fn on_initialized(&self, _context: NotificationContext<RoleServer>) {}
}
