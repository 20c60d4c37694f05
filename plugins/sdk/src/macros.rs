//! What the code written by the attribute macros calls; no part of the public face, and free to change with them.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

use crate::{
    error::ToolError,
    tool::{JsonObject, Tool, ToolAnnotations},
    typed::schema_of,
};

/// What a tool may take; a trait of its own so that the compiler names the remedy.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are no arguments of a tool",
    label = "no arguments of a tool",
    note = "mark the struct with `#[arguments]`, or derive `Deserialize` and `JsonSchema` for it"
)]
pub trait Arguments: DeserializeOwned + JsonSchema {
    /// The input schema.
    fn schema() -> JsonObject;

    /// The arguments as this type.
    ///
    /// # Errors
    /// They do not fit.
    fn read(arguments: JsonObject) -> Result<Self, ToolError>;
}

#[diagnostic::do_not_recommend]
impl<A: DeserializeOwned + JsonSchema> Arguments for A {
    fn schema() -> JsonObject {
        schema_of::<A>()
    }

    fn read(arguments: JsonObject) -> Result<Self, ToolError> {
        serde_path_to_error::deserialize(Value::Object(arguments))
            .map_err(|error| ToolError::invalid(pointer(error.path()), error.inner().to_string()))
    }
}

/// Where the arguments do not fit, as a JSON Pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            // A variant is the key that it is written under, or has none.
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

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
