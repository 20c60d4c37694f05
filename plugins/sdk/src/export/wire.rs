//! The JSON of the boundary: params of what the host asks and tells, and errors. Plain data; knows no pointer and no
//! future.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use serde_path_to_error::Segment;
use toolgate_abi::{code, method};

use crate::{
    context::{Caller, LogLevel, Notice, ProgressUpdate, TraceContext},
    error::ProviderError,
    tool::{JsonObject, Tool},
};

/// The params of `toolgate_plugin_create`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create {
    pub(super) plugin: Arc<str>,
    pub(super) state_dir: PathBuf,
    /// Not given by a host that is older than this member.
    #[serde(default = "here")]
    pub(super) base_dir: PathBuf,
    #[serde(default)]
    pub(super) settings: Value,
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

/// The params of `tools/call`.
#[derive(Deserialize)]
pub(super) struct Call {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: JsonObject,
    #[serde(default, rename = "_meta")]
    pub(super) meta: Meta,
}

/// What surrounds a call; see [`toolgate_abi::meta`].
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    #[serde(rename = "toolgate/caller")]
    caller: CallerParams,
    #[serde(rename = "toolgate/requestId")]
    pub(super) request_id: Arc<str>,
    #[serde(rename = "toolgate/timeoutMs")]
    pub(super) timeout_ms: Option<u64>,
    #[serde(rename = "progressToken")]
    pub(super) progress_token: Option<Value>,
    traceparent: Option<Arc<str>>,
    tracestate: Option<Arc<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CallerParams {
    subject: Arc<str>,
    client_id: Option<Arc<str>>,
    scopes: Arc<[Arc<str>]>,
}

impl Meta {
    pub(super) fn caller(&mut self) -> Caller {
        let CallerParams { subject, client_id, scopes } = std::mem::take(&mut self.caller);
        Caller::new(subject, client_id, scopes)
    }

    pub(super) fn trace(&mut self) -> TraceContext {
        TraceContext::new(self.traceparent.take(), self.tracestate.take())
    }
}

/// The params of `notifications/cancelled`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cancelled {
    pub(super) request_id: u64,
}

/// A JSON-RPC error object.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    code: i64,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl Fault {
    pub(super) fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The work failed.
    pub(super) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code::INTERNAL, message)
    }

    /// The params do not fit the method.
    pub(super) fn params(method: &str, error: &serde_json::Error) -> Self {
        Self::new(code::INVALID_PARAMS, format!("the params of \"{method}\" do not fit: {error}"))
    }

    /// With `data.path`.
    pub(super) fn at(mut self, path: String) -> Self {
        self.data = Some(json!({ "path": path }));
        self
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Nothing here can fail: strings, a number, and a `Value`.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl From<ProviderError> for Fault {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Settings { path, message } => Self::new(code::SETTINGS, message).at(path),
            ProviderError::Unavailable(message) => Self::internal(message),
        }
    }
}

/// The answer to `tools/list`.
#[derive(Serialize)]
pub(super) struct ToolsList {
    pub(super) tools: Vec<Tool>,
}

/// Settings as the plugin's type.
///
/// # Errors
/// With the path of the setting that does not fit.
pub(super) fn settings<S: DeserializeOwned>(value: Value) -> Result<S, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut path = Vec::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => path.push(index.to_string()),
                Segment::Map { key } => path.push(key.clone()),
                // A variant is the key that it is written under, or has none.
                Segment::Enum { variant } => path.push(variant.clone()),
                Segment::Unknown => {}
            }
        }
        Fault::new(code::SETTINGS, error.inner().to_string()).at(path.join("."))
    })
}

/// What the plugin tells, as method and params.
pub(super) fn notice(notice: &Notice) -> (&'static str, Vec<u8>) {
    let (method, params) = match notice {
        Notice::Log { level, message } => {
            let level = match level {
                LogLevel::Debug => "debug",
                LogLevel::Info => "info",
                LogLevel::Warn => "warning",
                LogLevel::Error => "error",
            };
            (method::MESSAGE, json!({ "level": level, "data": message }))
        }
        Notice::ToolsChanged => (method::TOOLS_CHANGED, json!({})),
        Notice::ResourceUpdated { uri } => (method::RESOURCE_UPDATED, json!({ "uri": uri })),
    };
    (method, params.to_string().into_bytes())
}

/// The params of `notifications/progress`.
pub(super) fn progress(token: &Value, update: ProgressUpdate) -> Vec<u8> {
    let mut params = JsonObject::new();
    params.insert("progressToken".into(), token.clone());
    params.insert("progress".into(), update.progress.into());
    if let Some(total) = update.total {
        params.insert("total".into(), total.into());
    }
    if let Some(message) = update.message {
        params.insert("message".into(), message.into());
    }
    Value::Object(params).to_string().into_bytes()
}
