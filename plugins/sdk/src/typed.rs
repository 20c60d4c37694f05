//! The typed face: async functions over argument structs become tools.
//!
//! Owns the way from a Rust type to its JSON Schema and from a return value to a [`ToolResult`].

use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    __macros::{Failure, read},
    context::CallContext,
    error::{ProviderError, ToolError},
    provider::{Outcome, ToolCall, ToolProvider},
    tool::{JsonObject, Tool, ToolAnnotations, ToolResult},
};

/// The JSON Schema (2020-12) of a type, as an object.
pub fn schema_of<T: JsonSchema>() -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(plain));
    let mut object = match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(object) => object,
        // `true`: anything goes.
        _ => JsonObject::new(),
    };
    // The title is the Rust type's name, which means nothing to a model.
    object.shift_remove("title");
    // MCP wants an object at the root, also for a tool without arguments.
    object.entry("type").or_insert_with(|| "object".into());
    object
}

/// Takes out what only means something in Rust: the line breaks of doc comments, and number formats that JSON
/// Schema does not know (the bounds beside them say the same).
fn plain(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        let paragraphs = description.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
        *description = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    let number =
        |format: &str| format.trim_start_matches('u').starts_with("int") || matches!(format, "float" | "double");
    if schema.get("format").and_then(Value::as_str).is_some_and(number) {
        schema.remove("format");
    }
}

/// The output schema of a tool whose failures carry details ([`ToolError::with_details`]): what `success`
/// describes, or an object with the member `error` that `details` describes. Clients check the
/// `structuredContent` of failures too.
pub fn fallible_schema(mut success: JsonObject, mut details: JsonObject) -> JsonObject {
    details.shift_remove("$schema");
    let required = success.shift_remove("required").unwrap_or_else(|| Value::Array(Vec::new()));
    let properties = success.entry("properties").or_insert_with(|| Value::Object(JsonObject::new()));
    if let Value::Object(properties) = properties {
        properties.insert("error".into(), Value::Object(details));
    }
    success.insert("anyOf".into(), serde_json::json!([{ "required": required }, { "required": ["error"] }]));
    success
}

/// What a typed tool may return: text, a value for programs ([`Json`], [`Described`], or a struct with
/// [`#[output]`](macro@crate::output)), a whole [`ToolResult`], or a `Result` of one of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reply of a tool",
    label = "no reply of a tool",
    note = "return `String`, `ToolResult`, a struct with `#[output]`, `Json<T>`, `Described<T>`, or a `Result` of one of these whose error turns into a `ToolError`"
)]
pub trait Reply: Send {
    /// The schema of `structuredContent`, if there is one.
    fn output_schema() -> Option<JsonObject> {
        None
    }

    /// The result that the caller gets.
    fn into_result(self) -> Result<ToolResult, ToolError>;
}

impl Reply for ToolResult {
    fn into_result(self) -> Result<ToolResult, ToolError> {
        Ok(self)
    }
}

impl Reply for String {
    fn into_result(self) -> Result<ToolResult, ToolError> {
        Ok(ToolResult::text(self))
    }
}

impl<R: Reply, E: Failure> Reply for Result<R, E> {
    fn output_schema() -> Option<JsonObject> {
        R::output_schema()
    }

    fn into_result(self) -> Result<ToolResult, ToolError> {
        self.map_err(Failure::into_error)?.into_result()
    }
}

/// A value for programs, with its JSON as the text that models read.
#[derive(Debug, Clone, PartialEq)]
pub struct Json<T>(pub T);

impl<T: Serialize + JsonSchema + Send> Reply for Json<T> {
    fn output_schema() -> Option<JsonObject> {
        Some(schema_of::<T>())
    }

    fn into_result(self) -> Result<ToolResult, ToolError> {
        let value = to_value(&self.0)?;
        Ok(ToolResult::text(value.to_string()).with_structured(value))
    }
}

/// A value for programs and, beside it, the text that models read.
#[derive(Debug, Clone, PartialEq)]
pub struct Described<T> {
    /// For models.
    pub text: String,
    /// For programs.
    pub value: T,
}

impl<T: Serialize + JsonSchema + Send> Reply for Described<T> {
    fn output_schema() -> Option<JsonObject> {
        Some(schema_of::<T>())
    }

    fn into_result(self) -> Result<ToolResult, ToolError> {
        Ok(ToolResult::text(self.text).with_structured(to_value(&self.value)?))
    }
}

fn to_value<T: Serialize>(value: &T) -> Result<Value, ToolError> {
    serde_json::to_value(value).map_err(|error| ToolError::failed(format!("the result is not JSON: {error}")))
}

type Answer = Pin<Box<dyn Future<Output = Result<ToolResult, ToolError>> + Send>>;
type Handler<S> = Box<dyn Fn(Arc<S>, JsonObject, CallContext) -> Answer + Send + Sync>;

/// A set of typed tools over a shared state `S`; a [`ToolProvider`] as it is.
pub struct ToolSet<S> {
    state: Arc<S>,
    tools: IndexMap<String, (Tool, Handler<S>)>,
}

/// A typed tool's face: what `tools/list` tells of it besides its schemas.
#[derive(Debug, Clone, Default)]
pub struct ToolSpec {
    /// See [`Tool::name`].
    pub name: String,
    /// See [`Tool::title`].
    pub title: Option<String>,
    /// See [`Tool::description`].
    pub description: String,
    /// See [`Tool::annotations`].
    pub annotations: Option<ToolAnnotations>,
}

impl<S: Send + Sync + 'static> ToolSet<S> {
    /// No tools yet.
    pub fn new(state: S) -> Self {
        Self { state: Arc::new(state), tools: IndexMap::new() }
    }

    /// The state that the tools share.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Add a tool with a name and a description.
    #[must_use]
    pub fn tool<A, R, F, Fut>(self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send,
        R: Reply,
        F: Fn(Arc<S>, A, CallContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, ToolError>> + Send + 'static,
    {
        let spec = ToolSpec { name: name.into(), description: description.into(), ..ToolSpec::default() };
        self.tool_with(spec, handler)
    }

    /// Add a tool with title and annotations. A second tool of the same name replaces the first.
    #[must_use]
    pub fn tool_with<A, R, F, Fut>(mut self, spec: ToolSpec, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send,
        R: Reply,
        F: Fn(Arc<S>, A, CallContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, ToolError>> + Send + 'static,
    {
        let tool = Tool {
            title: spec.title,
            output_schema: R::output_schema().map(Arc::new),
            annotations: spec.annotations,
            ..Tool::new(spec.name, spec.description, schema_of::<A>())
        };
        let handler: Handler<S> = Box::new(move |state, arguments, cx| {
            let args = match read::<A>(arguments) {
                Ok(args) => args,
                Err(error) => return Box::pin(std::future::ready(Err(error))),
            };
            let answer = handler(state, args, cx);
            Box::pin(async move { answer.await?.into_result() })
        });
        self.tools.insert(tool.name.clone(), (tool, handler));
        self
    }
}

#[async_trait]
impl<S: Send + Sync + 'static> ToolProvider for ToolSet<S> {
    async fn tools(&self) -> Result<Vec<Tool>, ProviderError> {
        Ok(self.tools.values().map(|(tool, _)| tool.clone()).collect())
    }

    async fn call(&self, call: ToolCall, cx: CallContext) -> Result<Outcome, ToolError> {
        let Some((_, handler)) = self.tools.get(&call.name) else {
            return Err(ToolError::UnknownTool(call.name));
        };
        handler(Arc::clone(&self.state), call.arguments, cx).await.map(Outcome::Complete)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_hold_nothing_that_only_rust_knows() {
        /// Two lines
        /// that are one paragraph.
        ///
        /// Another.
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema is looked at")]
        struct Sample {
            /// Broken
            /// line.
            count: u16,
            ratios: Option<Vec<f64>>,
        }
        let expected = json!({
            "description": "Two lines that are one paragraph.\n\nAnother.",
            "type": "object",
            "properties": {
                "count": { "description": "Broken line.", "type": "integer", "minimum": 0, "maximum": 65535 },
                "ratios": { "type": ["array", "null"], "items": { "type": "number" } },
            },
            "required": ["count"],
            "$schema": "https://json-schema.org/draft/2020-12/schema",
        });
        assert_eq!(Value::Object(schema_of::<Sample>()), expected);
    }

    #[test]
    fn a_fallible_schema_asks_for_a_success_or_an_error() {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let success = json!({ "type": "object", "properties": { "sum": { "type": "integer" } }, "required": ["sum"] });
        let details = json!({ "$schema": "x", "type": "object" });
        let expected = json!({
            "type": "object",
            "properties": { "sum": { "type": "integer" }, "error": { "type": "object" } },
            "anyOf": [{ "required": ["sum"] }, { "required": ["error"] }],
        });
        assert_eq!(Value::Object(fallible_schema(object(success), object(details))), expected);
    }
}
