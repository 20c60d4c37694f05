//! What the tools answer: one value, as it is for programs and as text for models; and how they fail.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Serializer, ser::PrettyFormatter};
use toolgate_plugin::{JsonObject, Reply, ToolError, ToolResult, fallible_schema, schema_of};

/// A value that answers. Its text is the same JSON: clients for deep research read the one block of text and expect JSON
/// there. It is broken into lines, for people.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize + JsonSchema + Send> Reply for Answer<T> {
    fn output_schema() -> Option<JsonObject> {
        Some(fallible_schema(schema_of::<T>(), schema_of::<Failure>()))
    }

    fn into_result(self) -> Result<ToolResult, ToolError> {
        let no_json = |error: serde_json::Error| ToolError::failed(format!("no result: {error}"));
        let value = serde_json::to_value(self.0).map_err(no_json)?;
        let mut text = Vec::new();
        // One blank a level: blanks are paid for.
        let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b" "));
        value.serialize(&mut serializer).map_err(no_json)?;
        Ok(ToolResult::text(String::from_utf8_lossy(&text)).with_structured(value))
    }
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// There is no such document.
    NotFound,
    /// There is no index yet.
    NotReady,
    /// The index cannot be read.
    IndexFailed,
}

/// A failure, for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct Failure {
    /// Why.
    code: Code,
    /// Whether the same call may succeed later.
    retryable: bool,
}

/// A call that failed.
pub(super) fn failure(code: Code, message: impl Into<String>) -> ToolError {
    let details = serde_json::to_value(Failure { code, retryable: code != Code::NotFound }).unwrap_or_default();
    ToolError::failed(message).with_details(details)
}
