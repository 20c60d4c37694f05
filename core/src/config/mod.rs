//! The typed configuration, and how it is loaded.
//!
//! Owns the shape of `config.toml` (`sections`, `units`), its loading ([`load`]) and what is said about a
//! wrong one ([`Diagnostic`]). Knows nothing of plugins' own settings beyond that they are JSON, and imports
//! nothing above itself.
//!
//! The way of a value, one module each: the file's text and the spans in it (`source`), the variables
//! (`environment`) and the settings among them (`variables`), merged by figment (`layers`); references
//! replaced (`interpolate`); types checked against the schema that the sections derive (`shape`, `check`);
//! then what values mean together (`rules`). Each of the last two steps reports all that it finds, and the
//! second runs only if the first found nothing.

mod check;
mod diagnostic;
mod environment;
mod interpolate;
mod layers;
mod load;
mod resolve;
mod rules;
mod sections;
mod shape;
mod source;
#[cfg(test)]
mod tests;
mod text_file;
mod units;
mod variables;

pub use diagnostic::{Diagnostic, Diagnostics, Severity, nearest};
pub use environment::Environment;
pub use load::{Loaded, check_again, load, load_values};
pub use resolve::{ProviderConfig, is_loopback, metadata_path};
pub use rules::{TOOL_NAMES, is_tool_name};
pub use sections::*;
pub use shape::config_schema;
pub use source::Source;
pub use units::{Duration, Malformed, Rate, Scope, ScopeError, Secret, Size};
