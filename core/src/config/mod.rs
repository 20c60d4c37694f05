//! The typed configuration, and how it is loaded.
//!
//! Owns the shape of `config.toml` ([`sections`], [`units`]). Knows nothing of plugins' own settings beyond
//! that they are JSON, and imports nothing above itself.

mod sections;
mod units;

pub use sections::*;
pub use units::{Duration, Rate, Scope, ScopeError, Secret, Size};
