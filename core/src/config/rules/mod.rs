//! What values mean together: contradictions that no single value shows.
//!
//! Owns the rules, one file per part of the configuration. Each takes a configuration whose types are right and
//! adds all that it finds.

mod auth;
mod endpoints;
mod plugins;
mod scopes;
mod server;

use serde_json::Value;

use super::{
    diagnostic::Diagnostic,
    sections::Config,
    source::{Source, owned},
};

/// What the rules found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// What the rules look at, and what they found so far.
struct Review<'a> {
    config: &'a Config,
    /// The same as written, where a type has dropped the difference (a URL's trailing slash).
    values: &'a Value,
    source: &'a Source,
    findings: Findings,
}

/// Apply all rules.
pub(super) fn check(config: &Config, values: &Value, source: &Source) -> Findings {
    let mut review = Review { config, values, source, findings: Findings::default() };
    server::check(&mut review);
    auth::check(&mut review);
    scopes::check(&mut review);
    endpoints::check(&mut review);
    plugins::check(&mut review);
    review.findings
}

impl<'a> Review<'a> {
    /// The text at a path, as written.
    fn text(&self, path: &[&str]) -> Option<&'a str> {
        path.iter().try_fold(self.values, |value, key| value.get(*key))?.as_str()
    }

    /// Whether the file or a variable gives a value, rather than a default.
    fn is_given(&self, path: &[&str]) -> bool {
        path.iter().try_fold(self.values, |value, key| value.get(*key)).is_some()
    }

    /// Whether a value came through a reference, so that nothing of it may be shown.
    fn is_referenced(&self, path: &[&str]) -> bool {
        self.source.reference(&owned(path)).is_some()
    }

    /// An error about a value, which is shown.
    fn wrong(&mut self, path: &[&str], found: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.errors.push(self.source.error(path, Some(found.to_owned()), message, help));
    }

    /// An error about a place.
    fn error(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        self.findings.errors.push(self.source.error(path, None, message, help));
    }

    fn warn(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        self.findings.warnings.push(self.source.warning(path, None, message, help));
    }

    /// Whether a duration is longer than nothing.
    fn not_zero(&mut self, path: &[&str], duration: super::Duration) {
        if duration.0.is_zero() {
            let found = duration.to_string();
            self.wrong(path, &found, "is no time at all", "write a longer one, such as \"30s\"");
        }
    }
}

/// Whether a name can be a tool's: as the specification has it (2026-07-28, `server/tools`, "Tool Names"), and a segment
/// of a path that clients leave where it is. They take `.` and `..` out of addresses (RFC 3986 section 5.2.4).
pub fn is_tool_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !matches!(name, "." | "..")
}

/// What to write as a tool's name.
pub const TOOL_NAMES: &str = "use 1 to 128 letters, digits, _ - and ., but not . or .. alone";

/// Whether a name can stand in a URL's path and name a folder.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
