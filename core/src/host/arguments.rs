//! Arguments against the input schema of their tool: compiled once, and the words for what does not fit.
//!
//! Schemas of a plugin in a process of its own are compiled and run there alone, by the same code: a schema decides
//! how long it takes to check something against it. Knows neither registries nor processes.

use jsonschema::{Draft, PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;
use toolgate_plugin::Tool;

/// Which regular expressions a schema may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patterns {
    /// Without look-around and back-references: a text is searched in time that is linear in its length, whatever
    /// the pattern and whoever sent the text.
    Linear,
    /// All that ECMA-262 has; what searches is bounded from outside.
    Whole,
}

/// A member of an error's `data`, between a worker and the server: the schema refused the arguments, not the plugin.
pub(super) const BY_SCHEMA: &str = "schema";

/// The first that does not fit, and some more in its message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Where, as a JSON Pointer; empty for the whole.
    pub(super) path: String,
    pub(super) message: String,
}

/// Check the schemas of a tool, and compile the one of its arguments.
///
/// # Errors
/// What is wrong with them.
pub(super) fn compile(tool: &Tool, patterns: Patterns) -> Result<Validator, String> {
    let compiled = |what: &str, schema: &serde_json::Map<String, Value>| {
        validator(&Value::Object(schema.clone()), patterns)
            .map_err(|error| format!("the {what} schema of \"{}\" is no valid JSON Schema: {error}", tool.name))
    };
    let arguments = compiled("input", &tool.input_schema)?;
    if let Some(output) = &tool.output_schema {
        compiled("output", output)?;
    }
    Ok(arguments)
}

/// JSON Schema 2020-12 is MCP's default dialect; a schema may name another in `$schema`. Nothing is fetched, neither
/// over the network nor from files.
fn validator(schema: &Value, patterns: Patterns) -> Result<Validator, String> {
    // Formats count: who writes `format: date` means that "soon" is refused, although the dialect leaves it open.
    let mut options = jsonschema::options().offline().should_validate_formats(true);
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft202012);
    }
    if patterns == Patterns::Linear {
        options = options.with_pattern_options(PatternOptions::regex());
    }
    // The words hold what is wrong, which may be as long as the schema.
    options.build(schema).map_err(|error| shortened(&error.to_string()))
}

/// What does not fit the schema: the first with its path, and some more, so that a caller mends them in one go.
/// The values themselves are left out: they may be long, and whoever sent them has them.
pub(super) fn misfit(schema: &Validator, arguments: &Value) -> Option<Misfit> {
    const TOLD: usize = 3;
    if schema.is_valid(arguments) {
        return None;
    }
    let mut errors = schema.iter_errors(arguments);
    let first = errors.next()?;
    let mut message = told(&first);
    for error in errors.take(TOLD - 1) {
        let path = error.instance_path().to_string();
        let place = if path.is_empty() { "in the whole".to_owned() } else { format!("at {path}") };
        message.push_str(&format!("; {place}: {}", told(&error)));
    }
    let path = shortened(&first.instance_path().to_string());
    Some(Misfit { path, message: shortened(&message) })
}

/// An error without the value, and with every option where there are some: a model cannot guess "2 other candidates".
fn told(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Enum { options } => format!("the value is none of {options}"),
        _ => error.masked_with("the value").to_string(),
    }
}

/// As much of a text as somebody reads.
fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(schema: Value, patterns: Patterns) -> Result<Validator, String> {
        let Value::Object(schema) = schema else { panic!("an object") };
        compile(&Tool::new("t", "", schema), patterns)
    }

    #[test]
    fn a_format_is_a_promise() {
        let schema =
            compiled(json!({ "properties": { "day": { "format": "date" } } }), Patterns::Linear).expect("a schema");
        assert!(schema.is_valid(&json!({ "day": "2026-02-28" })));
        assert!(!schema.is_valid(&json!({ "day": "2026-02-30" })));
    }

    #[test]
    fn patterns_that_could_backtrack_are_refused_where_nothing_bounds_them() {
        let schema = json!({ "properties": { "a": { "pattern": "^(?=a)(a+)+\\1$" } } });
        let refused = compiled(schema.clone(), Patterns::Linear).expect_err("needs backtracking");
        assert!(refused.starts_with("the input schema of \"t\" is no valid JSON Schema: "), "{refused}");
        compiled(schema, Patterns::Whole).expect("all of ECMA-262");
    }

    #[test]
    fn a_pattern_is_searched_in_linear_time() {
        let schema = compiled(json!({ "properties": { "a": { "pattern": "^(a+)+$" } } }), Patterns::Linear);
        let text = "a".repeat(100_000) + "!";
        let misfit = misfit(&schema.expect("a schema"), &json!({ "a": text })).expect("does not match");
        assert_eq!(misfit.path, "/a");
        assert!(misfit.message.len() < 200, "{}", misfit.message);
    }

    #[test]
    fn nothing_is_fetched() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("schema.json");
        std::fs::write(&file, "{}").expect("a file");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let http = format!("http://{}/schema.json", listener.local_addr().expect("an address"));
        for reference in [format!("file://{}", file.display()), http] {
            for patterns in [Patterns::Linear, Patterns::Whole] {
                compiled(json!({ "$ref": reference }), patterns).expect_err(&reference);
                compiled(json!({ "$schema": reference }), patterns).expect_err(&reference);
            }
        }
        assert!(listener.accept().is_err(), "nobody called");
    }
}
