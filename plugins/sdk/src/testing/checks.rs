//! What a server refuses before and after a plugin runs: settings, tools and arguments that do not fit, and answers
//! that a client would refuse.

use std::any::TypeId;

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    error::ProviderError,
    tool::{JsonObject, Tool, ToolResult},
    typed::schema_of,
};

/// A tool with its schemas, ready to check.
pub(super) struct Offered {
    pub(super) tool: Tool,
    pub(super) input: Validator,
    output: Option<Validator>,
}

impl Offered {
    pub(super) fn new(tool: Tool) -> Result<Self, ProviderError> {
        let Tool { name, .. } = &tool;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
            let message = format!("\"{name}\" is no name of a tool; use 1 to 128 of A-Z a-z 0-9 _ - .");
            return Err(ProviderError::Unavailable(message));
        }
        let whole = |what: &str, schema: &JsonObject| {
            compile(schema).map_err(|error| {
                ProviderError::Unavailable(format!("the {what} schema of \"{name}\" is no valid JSON Schema: {error}"))
            })
        };
        if tool.input_schema.get("type").and_then(Value::as_str) != Some("object") {
            let message = format!("the input schema of \"{name}\" describes no object; take a struct of arguments");
            return Err(ProviderError::Unavailable(message));
        }
        let input = whole("input", &tool.input_schema)?;
        let output = tool.output_schema.as_deref().map(|schema| whole("output", schema)).transpose()?;
        Ok(Self { input, output, tool })
    }

    /// Clients check what a tool answers; a test should have done so before. The same goes for a failure that
    /// carries a value.
    pub(super) fn check(&self, result: &ToolResult) {
        let name = &self.tool.name;
        let Some(schema) = &self.output else { return };
        let Some(value) = &result.structured_content else {
            assert!(
                result.is_error,
                "the tool \"{name}\" has an output schema, but answered without structuredContent"
            );
            return;
        };
        if let Some((path, message)) = misfit(schema, value) {
            let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
            panic!("the answer of \"{name}\" does not fit its output schema{place}: {message}; it was {value}");
        }
    }
}

/// Settings as the server reads them: against the schema first, which names the place, then as the type.
pub(super) fn read_settings<S: DeserializeOwned + JsonSchema + 'static>(settings: Value) -> Result<S, ProviderError> {
    // In the configuration settings are a table, and `()` is an empty one.
    let (schema, settings) = match (TypeId::of::<S>() == TypeId::of::<()>(), settings) {
        (true, Value::Object(none)) if none.is_empty() => (schema_of::<()>(), Value::Null),
        (true, _) => return Err(ProviderError::settings("", "this plugin takes no settings; write `{}`")),
        (false, settings) => (schema_of::<S>(), settings),
    };
    let validator = compile(&schema).map_err(|error| {
        ProviderError::settings("", format!("the schema of the settings is no valid JSON Schema: {error}"))
    })?;
    if let Some((path, message)) = misfit(&validator, &settings) {
        return Err(ProviderError::settings(path.trim_start_matches('/').replace('/', "."), message));
    }
    serde_json::from_value(settings).map_err(|error| ProviderError::settings("", error.to_string()))
}

/// JSON Schema 2020-12 is MCP's default dialect; a schema may name another in `$schema`.
fn compile(schema: &JsonObject) -> Result<Validator, String> {
    let mut options = jsonschema::options();
    if !schema.contains_key("$schema") {
        options = options.with_draft(jsonschema::Draft::Draft202012);
    }
    options.build(&Value::Object(schema.clone())).map_err(|error| error.to_string())
}

/// The first thing that does not fit: a JSON Pointer (RFC 6901) and what is wrong.
pub(super) fn misfit(schema: &Validator, value: &Value) -> Option<(String, String)> {
    let error: ValidationError<'_> = schema.iter_errors(value).next()?;
    let message = match error.kind() {
        ValidationErrorKind::Enum { options } => format!("the value is none of {options}"),
        _ => error.masked_with("the value").to_string(),
    };
    Some((error.instance_path().to_string(), message))
}
