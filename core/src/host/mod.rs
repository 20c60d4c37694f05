//! The plugins: what is loaded (`load`), the immutable snapshot that serves (`registry`), and calling a
//! tool under its permit (`call`).
//!
//! Takes nothing without a [`crate::policy::Permit`]. Knows neither HTTP nor the MCP wire.

mod builtin;
mod call;
mod library;
mod limits;
mod load;
mod registry;

pub use call::{CallEnd, Surroundings, misfit};
pub use library::{Inspection, Manifest, inspect};
#[cfg(unix)]
pub use library::{NotAWorker, work};
pub use load::{LoadError, PluginState};
pub use registry::{BuildError, Current, Offered, Registry};

#[cfg(test)]
mod tests;
