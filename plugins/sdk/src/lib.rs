//! What a Toolgate plugin is written with.
//!
//! A plugin is a [`ToolProvider`]: it lists its tools and answers calls. Most plugins never implement the
//! trait by hand; they build a [`ToolSet`] from plain async functions whose argument structs derive
//! [`schemars::JsonSchema`]:
//!
//! ```
//! use toolgate_plugin::{CallContext, Json, ToolError, ToolSet};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Add {
//!     /// First summand.
//!     a: i64,
//!     /// Second summand.
//!     b: i64,
//! }
//!
//! #[derive(serde::Serialize, schemars::JsonSchema)]
//! struct Sum {
//!     sum: i64,
//! }
//!
//! let tools = ToolSet::new(()).tool(
//!     "add",
//!     "Add two integers",
//!     |_state, args: Add, _cx: CallContext| async move {
//!         let sum = args.a.checked_add(args.b).ok_or_else(|| ToolError::failed("the sum overflows"))?;
//!         Ok(Json(Sum { sum }))
//!     },
//! );
//! # let _ = tools;
//! ```
//!
//! The types here are MCP's JSON shapes (specification 2026-07-28, `server/tools`), kept apart from any
//! protocol library so that a plugin does not break when that library changes. This crate does no I/O and
//! knows nothing of the server.

mod context;
mod error;
#[doc(hidden)]
pub mod export;
mod plugin;
mod provider;
mod tool;
mod typed;

pub use context::{CallContext, Caller, HostHandle, LogLevel, Notice, Progress, ProgressUpdate, TraceContext};
pub use error::{ProviderError, ToolError};
pub use plugin::Plugin;
pub use provider::{Health, Outcome, ToolCall, ToolProvider};
pub use tool::{Content, ContentAnnotations, JsonObject, ResourceContents, Role, Tool, ToolAnnotations, ToolResult};
pub use typed::{Described, Json, Reply, ToolSet, ToolSpec, fallible_schema, schema_of};

pub use async_trait::async_trait;
pub use schemars;
pub use serde;
pub use serde_json;
