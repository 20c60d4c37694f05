//! How a plugin fails: while starting or listing ([`ProviderError`]), and in a call ([`ToolError`]).

use std::fmt::Display;

use serde_json::Value;

use crate::tool::ToolResult;

/// A plugin could not start, or could not list its tools.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// A setting is wrong; `path` is relative to the plugin's `settings`, in dotted form, empty for the whole.
    #[error("{message}")]
    Settings {
        /// Which setting, such as `api_key`.
        path: String,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// The plugin cannot work now.
    #[error("{0}")]
    Unavailable(String),
}

impl ProviderError {
    /// A wrong setting.
    pub fn settings(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Settings { path: path.into(), message: message.into() }
    }
}

/// A call failed. Every variant reaches the model as a result with `isError: true`, as the specification
/// asks, except [`ToolError::UnknownTool`], which is a protocol error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The plugin has no such tool.
    #[error("unknown tool \"{0}\"")]
    UnknownTool(String),
    /// The arguments do not fit; `path` is a JSON Pointer (RFC 6901) into them, empty for the whole.
    #[error("invalid arguments at \"{path}\": {message}")]
    InvalidArguments {
        /// Where, such as `/urls/3`.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The arguments do not match the tool's schema, as whoever runs the plugin for the host has found. For hosts:
    /// a plugin need not check what its schema says.
    #[doc(hidden)]
    #[error("invalid arguments at \"{path}\": {message}")]
    OutsideSchema {
        /// Where, such as `/urls/3`.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The work failed.
    #[error("{message}")]
    Failed {
        /// What happened and what to do, for the model to read.
        message: String,
        /// The same for programs; becomes `structuredContent.error`.
        details: Option<Value>,
    },
    /// The caller went away.
    #[error("the call was cancelled")]
    Cancelled,
}

impl ToolError {
    /// The work failed for the reason given.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), details: None }
    }

    /// The work failed because of another error, which the model will read: `….map_err(ToolError::because)?`.
    pub fn because(cause: impl Display) -> Self {
        Self::failed(cause.to_string())
    }

    /// The arguments do not fit at a JSON Pointer.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidArguments { path: path.into(), message: message.into() }
    }

    /// The same error with details for programs. A tool that declares an output schema must allow an `error`
    /// member in it, since clients check `structuredContent` of failures too.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        match self {
            Self::Failed { message, .. } => Self::Failed { message, details: Some(details) },
            other => Self::Failed { message: other.to_string(), details: Some(details) },
        }
    }

    /// The result that a model sees.
    pub fn into_result(self) -> ToolResult {
        let text = self.to_string();
        match self {
            Self::Failed { details: Some(details), .. } => {
                ToolResult::error(text).with_structured(serde_json::json!({ "error": details }))
            }
            _ => ToolResult::error(text),
        }
    }
}

/// So that `?` works on what fails with a message.
impl From<String> for ToolError {
    fn from(message: String) -> Self {
        Self::failed(message)
    }
}

/// So that `?` works on what fails with a message.
impl From<&str> for ToolError {
    fn from(message: &str) -> Self {
        Self::failed(message)
    }
}
