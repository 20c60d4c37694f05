//! A plugin library as a [`ToolProvider`]: MCP's methods over a [`Link`], whatever carries it.
//!
//! Owns the params of what is asked and the reading of what is answered. Knows neither processes nor pointers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::timeout};
use toolgate_abi::{code, method};
use toolgate_plugin::{
    CallContext, Caller, Health, JsonObject, Outcome, ProviderError, Tool, ToolCall, ToolError, ToolProvider,
    ToolResult,
};

use super::{
    link::{ErrorObject, Link, Pending, Reply},
    told::Notices,
};
use crate::host::{arguments::BY_SCHEMA, limits::Limiter};

/// How long a plugin may take to list its tools.
const LISTING: Duration = Duration::from_secs(30);

/// How long a plugin may take to say how it is, and for how long that is believed.
const PULSE: Duration = Duration::from_secs(1);

/// The params of most calls have room in this many bytes.
const USUAL: usize = 512;

/// A plugin behind a link.
pub(super) struct Provider {
    plugin: Arc<str>,
    link: Arc<dyn Link>,
    limiter: Arc<Limiter>,
    notices: Arc<Notices>,
    pulse: Mutex<Pulse>,
}

/// What the plugin said of itself.
struct Pulse {
    last: Health,
    at: Option<Instant>,
    /// The question that it has not answered yet: it is not asked again.
    asked: Option<Pending>,
}

impl Provider {
    pub(super) fn new(plugin: &str, link: Arc<dyn Link>, limiter: Arc<Limiter>, notices: Arc<Notices>) -> Self {
        let pulse = Mutex::new(Pulse { last: Health::Ready, at: None, asked: None });
        Self { plugin: plugin.into(), link, limiter, notices, pulse }
    }

    fn read(&self, reply: Reply, tool: String) -> Result<Outcome, ToolError> {
        match reply {
            // Links are told how large an answer may be, which may be more.
            Reply::Result(bytes) if bytes.len() as u64 > self.limiter.largest() => {
                Ok(Outcome::Complete(self.limiter.oversized(bytes.len() as u64)))
            }
            Reply::Result(bytes) => match serde_json::from_slice::<ToolResult>(&bytes) {
                Ok(result) => Ok(Outcome::Complete(result)),
                Err(error) => Err(ToolError::failed(format!(
                    "the plugin \"{}\" answered with {}; this is a fault of the plugin, not of the arguments",
                    self.plugin,
                    malformed(&error, "CallToolResult"),
                ))),
            },
            Reply::Error(error) => Err(self.refusal(error, tool)),
            Reply::TooLarge(size) => Ok(Outcome::Complete(self.limiter.oversized(size))),
            Reply::Gone(why) => Err(ToolError::failed(why)),
        }
    }

    fn refusal(&self, error: ErrorObject, tool: String) -> ToolError {
        let ErrorObject { code, message, data } = error;
        match code {
            code::INVALID_PARAMS => {
                let path = data.get("path").and_then(|path| path.as_str()).unwrap_or_default().to_owned();
                match data.get(BY_SCHEMA) {
                    Some(_) => ToolError::OutsideSchema { path, message },
                    None => ToolError::InvalidArguments { path, message },
                }
            }
            code::UNKNOWN_TOOL => ToolError::UnknownTool(tool),
            code::CANCELLED => ToolError::Cancelled,
            _ => {
                let mut text = format!("the plugin \"{}\" failed: {message}", self.plugin);
                if code == code::INTERNAL {
                    text.push_str("; this is a fault of the plugin, not of the arguments");
                }
                let failed = ToolError::failed(text);
                if data.is_null() { failed } else { failed.with_details(data) }
            }
        }
    }

    /// A link whose channel closes without a reply is gone as well.
    fn gone(&self) -> Reply {
        Reply::Gone(format!("the plugin \"{}\" has been stopped", self.plugin))
    }
}

/// What is wrong with an answer, without any of it.
fn malformed(error: &serde_json::Error, expected: &str) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => format!("JSON that is no {expected} ({place})"),
        serde_json::error::Category::Eof => format!("invalid JSON: it ends too early ({place})"),
        _ => format!("invalid JSON ({place})"),
    }
}

/// Tells the plugin that nobody waits any more, unless the call has ended.
struct Waiting<'a> {
    link: &'a dyn Link,
    id: u64,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.link.notify(method::CANCELLED, format!("{{\"requestId\":{}}}", self.id).into_bytes());
        }
    }
}

/// The params of `tools/call`. The names are those of `toolgate_abi::meta`.
#[derive(Serialize)]
struct CallParams<'a> {
    name: &'a str,
    arguments: &'a JsonObject,
    #[serde(rename = "_meta")]
    meta: Meta<'a>,
}

#[derive(Serialize)]
struct Meta<'a> {
    #[serde(rename = "toolgate/caller")]
    caller: CallerParams<'a>,
    #[serde(rename = "toolgate/requestId")]
    request_id: &'a str,
    #[serde(rename = "toolgate/timeoutMs", skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(rename = "progressToken", skip_serializing_if = "Option::is_none")]
    progress_token: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallerParams<'a> {
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    scopes: &'a [Arc<str>],
}

impl<'a> From<&'a Caller> for CallerParams<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { subject: &caller.subject, client_id: caller.client_id.as_deref(), scopes: &caller.scopes }
    }
}

impl<'a> CallParams<'a> {
    fn new(call: &'a ToolCall, cx: &'a CallContext, progress_token: Option<u64>) -> Self {
        let left = cx.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let meta = Meta {
            caller: (&cx.caller).into(),
            request_id: &cx.request_id,
            timeout_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            progress_token,
            traceparent: cx.trace.traceparent.as_deref(),
            tracestate: cx.trace.tracestate.as_deref(),
        };
        Self { name: &call.name, arguments: &call.arguments, meta }
    }
}

#[derive(Deserialize)]
struct ToolsList {
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct HealthReport {
    status: String,
    #[serde(default)]
    reason: Option<String>,
}

#[async_trait]
impl ToolProvider for Provider {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        let broken = |why: String| ProviderError::Unavailable(why);
        let asked = self.link.request(method::TOOLS_LIST, b"{}".to_vec(), Instant::now().checked_add(LISTING));
        let mut waiting = Waiting { link: self.link.as_ref(), id: asked.id, over: false };
        let reply = timeout(LISTING, asked.reply)
            .await
            .map_err(|_elapsed| broken(format!("it gave no answer within {LISTING:?}")))?
            .unwrap_or_else(|_closed| self.gone());
        waiting.over = true;
        match reply {
            Reply::Result(bytes) => serde_json::from_slice(&bytes)
                .map(|list: ToolsList| list.tools)
                .map_err(|error| broken(format!("it answered with {}", malformed(&error, "{\"tools\": […]}")))),
            Reply::Error(error) => Err(broken(error.message)),
            Reply::TooLarge(size) => {
                let (size, largest) = (crate::config::Size(size), crate::config::Size(self.limiter.largest_answer()));
                Err(broken(format!("the list has {size}, more than {largest}; raise limits.result")))
            }
            Reply::Gone(why) => Err(broken(why)),
        }
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        let token = self.notices.token(&cx.progress);
        let params = CallParams::new(&call, &cx, token.as_ref().map(|token| token.number));
        let mut bytes = Vec::with_capacity(USUAL);
        serde_json::to_writer(&mut bytes, &params)
            .map_err(|error| ToolError::failed(format!("the arguments cannot be written as JSON: {error}")))?;
        let asked = self.link.request(method::TOOLS_CALL, bytes, cx.deadline);
        let mut waiting = Waiting { link: self.link.as_ref(), id: asked.id, over: false };
        let reply = asked.reply.await.unwrap_or_else(|_closed| self.gone());
        waiting.over = true;
        self.read(reply, call.name)
    }

    async fn health(&self) -> Health {
        match self.link.health() {
            Health::Ready => self.pulse().await,
            other => other,
        }
    }

    async fn shutdown(&self) {
        self.link.close().await;
    }
}

impl Provider {
    /// What the plugin says of itself.
    async fn pulse(&self) -> Health {
        let mut pulse = self.pulse.lock().await;
        if pulse.at.is_some_and(|at| at.elapsed() < PULSE) {
            return pulse.last.clone();
        }
        // Kept where it is until it is answered, also if whoever asks goes away.
        let ask = || self.link.request(method::HEALTH, b"{}".to_vec(), Instant::now().checked_add(PULSE));
        let asked = pulse.asked.get_or_insert_with(ask);
        let health = match timeout(PULSE, &mut asked.reply).await {
            Ok(reply) => {
                pulse.asked = None;
                self.diagnosis(reply.unwrap_or_else(|_closed| self.gone()))
            }
            Err(_elapsed) => Health::Degraded(format!("it did not say within {PULSE:?} how it is")),
        };
        pulse.at = Some(Instant::now());
        pulse.last = health.clone();
        health
    }

    fn diagnosis(&self, reply: Reply) -> Health {
        match reply {
            Reply::Result(bytes) => match serde_json::from_slice::<HealthReport>(&bytes) {
                Ok(report) if report.status == "ready" => Health::Ready,
                Ok(report) => Health::Degraded(report.reason.unwrap_or_else(|| "it does not say why".into())),
                Err(error) => {
                    Health::Degraded(format!("asked how it is, it answered with {}", malformed(&error, "state")))
                }
            },
            // Optional: whoever does not know the question is as well as the link.
            Reply::Error(error) if error.code == code::METHOD_NOT_FOUND => Health::Ready,
            Reply::Error(error) => Health::Degraded(error.message),
            Reply::TooLarge(size) => Health::Degraded(format!("asked how it is, it answered with {size} bytes")),
            Reply::Gone(why) => Health::Degraded(why),
        }
    }
}
