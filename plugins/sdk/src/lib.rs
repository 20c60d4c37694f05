//! What a Toolgate plugin is written with.
//!
//! ```standalone_crate
//! use toolgate_plugin::{Plugin, arguments, export_plugin, settings, tools};
//!
//! /// Greets people; its settings are all that it holds.
//! #[settings]
//! #[derive(Plugin)]
//! pub struct Hello {
//!     /// What a greeting begins with; "Hello" if left out.
//!     greeting: Option<String>,
//! }
//!
//! #[arguments]
//! struct Greet {
//!     /// Whom to greet.
//!     name: String,
//! }
//!
//! #[tools]
//! impl Hello {
//!     /// Greet somebody by name.
//!     #[tool(read_only)]
//!     async fn greet(&self, args: Greet) -> String {
//!         let greeting = self.greeting.as_deref().unwrap_or("Hello");
//!         format!("{greeting}, {}!", args.name)
//!     }
//! }
//!
//! export_plugin!(Hello);
//! # fn main() {}
//! ```
//!
//! That is a whole plugin, which `config.toml` names once it is built. Its `Cargo.toml` says `crate-type = ["cdylib"]`
//! and names no other dependency than this crate. Doc comments become the descriptions that models read, argument
//! structs the input schemas, return types the output schemas.
//!
//! # Further
//!
//! - [`#[tools]`](macro@tools): what else a tool says of itself, and how it learns who calls, reports progress and
//!   notices that nobody waits any more ([`CallContext`]);
//! - [`Reply`]: what a tool may return; [`#[output]`](macro@output) makes a struct a value for programs, a
//!   [`ToolError`] is a failure that a model can act on;
//! - [`Plugin`]: a start that does more than to read settings, such as opening a connection;
//! - `testing` (feature `testing`): the plugin called from its own tests, without a server;
//! - [`ToolProvider`] and [`ToolSet`]: what stands beneath, for tools that are known only when the plugin runs.
//!
//! The types here are MCP's JSON shapes (specification 2026-07-28, `server/tools`), kept apart from any
//! protocol library so that a plugin does not break when that library changes. Outside of the code that
//! `export_plugin!` adds, this crate does no I/O, and nothing in it knows the server.

#[doc(hidden)]
#[path = "macros.rs"]
pub mod __macros;
mod context;
mod error;
#[doc(hidden)]
pub mod export;
mod plugin;
mod provider;
#[cfg(feature = "testing")]
pub mod testing;
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
pub use toolgate_macros::{Plugin, arguments, output, settings, tools};
