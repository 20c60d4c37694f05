//! The typed face: async functions over argument structs become tools.
//!
//! Owns the way from a Rust type to its JSON Schema and from a return value to a [`ToolResult`].

use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use indexmap::IndexMap;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    context::CallContext,
    error::{ProviderError, ToolError},
    provider::{Outcome, ToolCall, ToolProvider},
    tool::{JsonObject, Tool, ToolAnnotations, ToolResult},
};

/// The JSON Schema (2020-12) of a type, as an object.
pub fn schema_of<T: JsonSchema>() -> JsonObject {
    let mut object = match SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(object) => object,
        // `true`: anything goes.
        _ => JsonObject::new(),
    };
    // The title is the Rust type's name, which means nothing to a model.
    object.remove("title");
    // MCP wants an object at the root, also for a tool without arguments.
    object.entry("type").or_insert_with(|| "object".into());
    object
}

/// The output schema of a tool whose failures carry details ([`ToolError::with_details`]): what `success`
/// describes, or an object with the member `error` that `details` describes. Clients check the
/// `structuredContent` of failures too.
pub fn fallible_schema(mut success: JsonObject, mut details: JsonObject) -> JsonObject {
    details.remove("$schema");
    let required = success.remove("required").unwrap_or_else(|| Value::Array(Vec::new()));
    let properties = success.entry("properties").or_insert_with(|| Value::Object(JsonObject::new()));
    if let Value::Object(properties) = properties {
        properties.insert("error".into(), Value::Object(details));
    }
    success.insert("anyOf".into(), serde_json::json!([{ "required": required }, { "required": ["error"] }]));
    success
}

/// What a typed tool may return.
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
            let args = match serde_json::from_value::<A>(Value::Object(arguments)) {
                Ok(args) => args,
                Err(error) => return Box::pin(std::future::ready(Err(ToolError::invalid("", error.to_string())))),
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
