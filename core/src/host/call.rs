//! Calling a tool: the arguments checked, the plugin's bounds kept, a panic contained.
//!
//! The arguments for a plugin in a process of its own are checked there, within its bounds.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolgate_plugin::{
    CallContext, Caller, JsonObject, Outcome, Progress, ToolCall, ToolError, ToolResult, TraceContext,
};

use super::{
    arguments::{self, Misfit},
    limits::{Limiter, watched},
    registry::{Offered, Registry},
};
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
    /// The arguments do not match the tool's schema, so the plugin was not asked; the path is a JSON Pointer.
    OutsideSchema {
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

impl Offered {
    /// What is said to a caller with these arguments. Nothing if they fit, or if the plugin's own process judges that.
    pub fn misfit(&self, arguments: &Value) -> Option<String> {
        let Misfit { path, message } = arguments::misfit(self.arguments.as_deref()?, arguments)?;
        Some(misfit(&path, &message))
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
        let given = Value::Object(arguments);
        if let Some(validator) = &offered.arguments
            && let Some(Misfit { path, message }) = arguments::misfit(validator, &given)
        {
            permit.finish(Ending::InvalidArguments);
            return CallEnd::OutsideSchema { path, message };
        }
        let Value::Object(arguments) = given else { return CallEnd::UnknownTool };
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
        let limiter = &*offered.limiter;
        let begun = AtomicBool::new(false);
        let work = AssertUnwindSafe(async {
            let _place = limiter.enter().await?;
            begun.store(true, Ordering::Relaxed);
            Ok(watched(offered.provider.call(call, cx)).await)
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
        let (end, ending) = match answer {
            Ok(Ok(Ok((answer, replaced)))) => ended(answer, replaced, limiter),
            Ok(Ok(Err(busy))) => (CallEnd::Result(busy), Ending::Busy),
            Ok(Err(_panic)) => {
                tracing::error!(plugin = %rule.plugin, tool = %rule.tool, request_id = %around.request_id, "the plugin panicked");
                let text = format!(
                    "the tool \"{}\" failed inside; this is a fault of its plugin, not of the arguments",
                    rule.name
                );
                (CallEnd::Result(ToolResult::error(text)), Ending::Panic)
            }
            Err(_elapsed) if begun.load(Ordering::Relaxed) => {
                limiter.timed_out();
                let span = humantime::format_duration(rule.timeout);
                let text =
                    format!("the tool \"{}\" gave no answer within {span}; try again later or ask for less", rule.name);
                (CallEnd::Result(ToolResult::error(text)), Ending::Timeout)
            }
            Err(_elapsed) => (CallEnd::Result(limiter.waited(rule.timeout)), Ending::Busy),
        };
        permit.finish(ending);
        end
    }
}

fn caller(permit: &Permit) -> Caller {
    let principal = permit.principal();
    let id = principal.id();
    Caller::new(Arc::clone(&id.subject), id.client_id.clone(), Arc::clone(principal.scopes()))
}

/// What a plugin answered, and how the trail names it; `replaced` is a result that stands for one that was too large.
fn ended(answer: Result<Outcome, ToolError>, replaced: bool, limiter: &Limiter) -> (CallEnd, Ending) {
    let result = match answer {
        Ok(Outcome::Complete(result)) => result,
        Ok(_) => ToolResult::error("the tool answered in a way that this server does not know"),
        Err(ToolError::OutsideSchema { path, message }) => {
            return (CallEnd::OutsideSchema { path, message }, Ending::InvalidArguments);
        }
        // What only the tool itself can judge is its answer.
        Err(ToolError::InvalidArguments { path, message }) => {
            return (CallEnd::Result(ToolResult::error(misfit(&path, &message))), Ending::InvalidArguments);
        }
        Err(ToolError::UnknownTool(_)) => return (CallEnd::UnknownTool, Ending::Error),
        Err(error) => error.into_result(),
    };
    if replaced {
        return (CallEnd::Result(result), Ending::TooLarge);
    }
    match limiter.checked(&result) {
        Some(instead) => (CallEnd::Result(instead), Ending::TooLarge),
        None if result.is_error => (CallEnd::Result(result), Ending::Error),
        None => (CallEnd::Result(result), Ending::Ok),
    }
}
