//! The plugins: what is loaded (`load`), the immutable snapshot that serves (`registry`), the next one beside it
//! (`reload`), and calling a tool under its permit (`call`).
//!
//! Takes nothing without a [`crate::policy::Permit`]. Knows neither HTTP nor the MCP wire.

mod arguments;
mod builtin;
mod call;
mod library;
mod limits;
mod load;
mod registry;
mod reload;

pub use call::{CallEnd, Surroundings, misfit};
pub use library::{Inspection, Manifest, inspect};
#[cfg(unix)]
pub use library::{NotAWorker, work};
pub use load::LoadError;
pub use registry::{BuildError, Condition, Current, Offered, PluginState, Registry};
pub use reload::{Changes, Rebuilt, Retired};

#[cfg(test)]
mod tests;
