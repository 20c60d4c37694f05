//! Calling a tool: the arguments checked, the time bounded, a panic contained.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolgate_plugin::{
    CallContext, Caller, JsonObject, Outcome, Progress, ToolCall, ToolError, ToolResult, TraceContext,
};

use super::registry::Registry;
use crate::policy::{Ending, Permit};

/// What surrounds a call besides its permit.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The request's id.
    pub request_id: Arc<str>,
    /// Where progress goes.
    pub progress: Progress,
    /// Fires when the caller goes away.
    pub cancelled: CancellationToken,
    /// Trace context of the request.
    pub trace: TraceContext,
}

/// How a call ended, for the face to put into its own words.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEnd {
    /// With a result, which may say `isError`.
    Result(ToolResult),
    /// The arguments do not fit; the path is a JSON Pointer.
    InvalidArguments {
        /// Where, such as `/urls/3`; empty for the whole.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The plugin does not know the tool after all.
    UnknownTool,
}

/// What is said to a caller whose arguments do not fit, whichever face it came through.
pub fn misfit(path: &str, message: &str) -> String {
    if path.is_empty() {
        format!("the arguments do not fit: {message}")
    } else {
        format!("the argument at {path} does not fit: {message}")
    }
}

impl CallEnd {
    fn ending(&self) -> Ending {
        match self {
            Self::Result(result) if result.is_error => Ending::Error,
            Self::Result(_) => Ending::Ok,
            Self::InvalidArguments { .. } => Ending::InvalidArguments,
            Self::UnknownTool => Ending::Error,
        }
    }
}

/// How much a plugin keeps of its time for its own answer; past it the host answers in its place.
const GRACE: Duration = Duration::from_millis(250);

impl Registry {
    /// Run the tool of `permit`. Dropping the future cancels the call.
    pub async fn call(&self, permit: Permit, arguments: JsonObject, around: Surroundings) -> CallEnd {
        let _in_flight = self.calls.token();
        let rule = Arc::clone(permit.tool());
        // A permit is good in the registry that it was given for.
        let offered = self.tool(&rule.endpoint, &rule.name).filter(|offered| Arc::ptr_eq(&offered.policy, &rule));
        let Some(offered) = offered else {
            permit.finish(Ending::Error);
            return CallEnd::UnknownTool;
        };
        let arguments = Value::Object(arguments);
        if let Some(end) = misfits(&offered.arguments, &arguments) {
            permit.finish(Ending::InvalidArguments);
            return end;
        }
        let Value::Object(arguments) = arguments else { return CallEnd::UnknownTool };
        let mut cx = CallContext::new(caller(&permit), Arc::clone(&around.request_id));
        cx.progress = around.progress;
        // Fires however the call ends, for work that the plugin has spawned.
        let over = around.cancelled.child_token();
        let _over = over.clone().drop_guard();
        cx.cancelled = over;
        // A timeout beyond the clock's range is none.
        cx.deadline = Instant::now().checked_add(rule.timeout.saturating_sub(GRACE.min(rule.timeout / 10)));
        cx.trace = around.trace;
        let call = ToolCall { name: rule.tool.to_string(), arguments };
        let work = AssertUnwindSafe(async {
            match offered.limiter.enter().await {
                Ok(_place) => offered.provider.call(call, cx).await,
                Err(busy) => Ok(Outcome::Complete(busy)),
            }
        })
        .catch_unwind();
        let answer = tokio::select! {
            biased;
            () = around.cancelled.cancelled() => {
                permit.finish(Ending::Cancelled);
                return CallEnd::Result(ToolError::Cancelled.into_result());
            }
            answer = tokio::time::timeout(rule.timeout, work) => answer,
        };
        let end = match answer {
            Ok(Ok(answer)) => ended(answer),
            Ok(Err(_panic)) => {
                tracing::error!(plugin = %rule.plugin, tool = %rule.tool, request_id = %around.request_id, "the plugin panicked");
                permit.finish(Ending::Panic);
                let text = format!(
                    "the tool \"{}\" failed inside; this is a fault of its plugin, not of the arguments",
                    rule.name
                );
                return CallEnd::Result(ToolResult::error(text));
            }
            Err(_elapsed) => {
                permit.finish(Ending::Timeout);
                let span = humantime::format_duration(rule.timeout);
                let text =
                    format!("the tool \"{}\" gave no answer within {span}; try again later or ask for less", rule.name);
                return CallEnd::Result(ToolResult::error(text));
            }
        };
        permit.finish(end.ending());
        end
    }
}

/// What does not fit the schema: the first with its path, and some more, so that a caller mends them in one go.
/// The values themselves are left out: they may be long, and whoever sent them has them.
fn misfits(schema: &Validator, arguments: &Value) -> Option<CallEnd> {
    const TOLD: usize = 3;
    if schema.is_valid(arguments) {
        return None;
    }
    let mut errors = schema.iter_errors(arguments);
    let first = errors.next()?;
    let mut message = told(&first);
    for error in errors.take(TOLD - 1) {
        let path = error.instance_path().to_string();
        let place = if path.is_empty() { "in the whole".to_owned() } else { format!("at {path}") };
        message.push_str(&format!("; {place}: {}", told(&error)));
    }
    let path = shortened(&first.instance_path().to_string());
    Some(CallEnd::InvalidArguments { path, message: shortened(&message) })
}

/// An error without the value, and with every option where there are some: a model cannot guess "2 other candidates".
fn told(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Enum { options } => format!("the value is none of {options}"),
        _ => error.masked_with("the value").to_string(),
    }
}

/// As much of a text as somebody reads.
fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn caller(permit: &Permit) -> Caller {
    let principal = permit.principal();
    let id = principal.id();
    Caller::new(Arc::clone(&id.subject), id.client_id.clone(), Arc::clone(principal.scopes()))
}

fn ended(answer: Result<Outcome, ToolError>) -> CallEnd {
    match answer {
        Ok(Outcome::Complete(result)) => CallEnd::Result(result),
        Ok(_) => CallEnd::Result(ToolResult::error("the tool answered in a way that this server does not know")),
        Err(ToolError::InvalidArguments { path, message }) => CallEnd::InvalidArguments { path, message },
        Err(ToolError::UnknownTool(_)) => CallEnd::UnknownTool,
        Err(error) => CallEnd::Result(error.into_result()),
    }
}
