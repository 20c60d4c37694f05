//! The one trait behind which every kind of plugin stands.

use async_trait::async_trait;

use crate::{
    context::CallContext,
    error::{ProviderError, ToolError},
    tool::{JsonObject, Tool, ToolResult},
};

/// A call as the plugin receives it: its own name for the tool, and arguments that the host has already
/// checked against the tool's input schema.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool's name within the plugin, whatever the configuration renamed it to.
    pub name: String,
    /// The arguments.
    pub arguments: JsonObject,
}

/// How a call ends when it does not fail.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The call is done.
    Complete(ToolResult),
}

/// How a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It works.
    Ready,
    /// It works in part, or not now; why, for people.
    Degraded(String),
}

/// A plugin: tools, and what else MCP lets a server offer.
#[async_trait]
pub trait ToolProvider: Send + Sync + 'static {
    /// The tools, in an order that does not change from call to call.
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError>;

    /// Run a tool. The future is dropped when the caller goes away or the deadline passes.
    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError>;

    /// How the plugin is; asked often, so it must be cheap.
    async fn health(&self) -> Health {
        Health::Ready
    }

    /// The server stops, or replaces this instance.
    async fn shutdown(&self) {}
}
