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

/// What a tool may take: an object, since MCP's clients refuse a whole list of tools for one whose input schema is
/// none. `#[arguments]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no struct of arguments",
    label = "a tool takes one struct marked `#[arguments]`",
    note = "put the arguments into a struct marked `#[arguments]`, a field each; a struct of yours needs that mark"
)]
pub trait Arguments: DeserializeOwned + JsonSchema {
    /// The input schema.
    fn schema() -> JsonObject {
        schema_of::<Self>()
    }

    /// The arguments as this type.
    ///
    /// # Errors
    /// They do not fit.
    fn read(arguments: JsonObject) -> Result<Self, ToolError> {
        read(arguments)
    }
}

/// Any members.
impl Arguments for JsonObject {}

/// The arguments as a type.
pub(crate) fn read<A: DeserializeOwned>(arguments: JsonObject) -> Result<A, ToolError> {
    serde_path_to_error::deserialize(Value::Object(arguments))
        .map_err(|error| ToolError::invalid(pointer(error.path()), error.inner().to_string()))
}

/// What a plugin can be that is its own settings; a trait of its own so that the compiler names the remedy.
/// `#[settings]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not marked `#[settings]`",
    label = "a plugin that starts by itself is its settings",
    note = "put `#[settings]` above `#[derive(Plugin)]`, or implement `Plugin` by hand for one that holds something else"
)]
pub trait Settings: DeserializeOwned + JsonSchema + Send + 'static {}

/// What a tool may fail with; a trait of its own so that the compiler names the remedy.
#[diagnostic::on_unimplemented(
    message = "a tool cannot fail with `{Self}`",
    label = "does not turn into a `ToolError`",
    note = "return `Result<_, ToolError>` and write `.map_err(ToolError::because)?`, or `impl From<{Self}> for ToolError`"
)]
pub trait Failure: Send {
    /// The same as the kit's error.
    fn into_error(self) -> ToolError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<ToolError> + Send> Failure for E {
    fn into_error(self) -> ToolError {
        self.into()
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
