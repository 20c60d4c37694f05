//! What the code written by the attribute macros calls; no part of the public face, and free to change with them.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    error::ToolError,
    tool::{JsonObject, Tool, ToolAnnotations},
};

/// A tool as `#[tool]` describes it.
pub fn tool(
    name: &str,
    title: Option<&str>,
    description: &str,
    annotations: Option<ToolAnnotations>,
    input: JsonObject,
    output: Option<JsonObject>,
) -> Tool {
    Tool {
        title: title.map(str::to_owned),
        annotations,
        output_schema: output.map(Into::into),
        ..Tool::new(name, description, input)
    }
}

/// The hints that `#[tool]` gives.
pub fn annotations(
    read_only_hint: Option<bool>,
    destructive_hint: Option<bool>,
    idempotent_hint: Option<bool>,
    open_world_hint: Option<bool>,
) -> ToolAnnotations {
    ToolAnnotations { title: None, read_only_hint, destructive_hint, idempotent_hint, open_world_hint }
}

/// The input schema of a tool without arguments.
pub fn no_arguments() -> JsonObject {
    match json!({ "type": "object", "properties": {}, "additionalProperties": false }) {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

/// The arguments as the tool's type.
///
/// # Errors
/// They do not fit.
pub fn arguments<A: DeserializeOwned>(arguments: JsonObject) -> Result<A, ToolError> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| ToolError::invalid("", error.to_string()))
}
