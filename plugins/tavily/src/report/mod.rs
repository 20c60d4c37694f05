//! The shapes that every tool's result shares: failed and dropped pages, cost, the result itself; and reading
//! Tavily's JSON without stumbling over what it leaves out or writes differently.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use toolgate_plugin::{JsonObject, Reply, ToolError, ToolResult, fallible_schema, schema_of};
use url::Url;

use crate::{
    safety::{address, text},
    upstream::FailureDetails,
};

/// A page that could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct FailedUrl {
    /// The URL.
    pub(crate) url: String,
    /// Why, in a few words.
    pub(crate) error: String,
}

impl FailedUrl {
    /// One of Tavily's `failed_results`.
    pub(crate) fn read(value: &Value) -> Self {
        let field = |name: &str| value[name].as_str().unwrap_or_default();
        let error = text::line(field("error"), 300);
        let error = if error.is_empty() { "no reason given".to_owned() } else { error };
        Self { url: text::line(value.as_str().unwrap_or_else(|| field("url")), address::MAX_LENGTH), error }
    }
}

/// A result that was left out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Dropped {
    /// Its URL.
    pub(crate) url: String,
    /// Why.
    pub(crate) reason: &'static str,
}

/// What the call cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Cost {
    /// Tavily credits.
    #[serde(serialize_with = "whole_if_possible")]
    pub(crate) credits: f64,
    /// True if Tavily did not say and this is the most by its price list.
    pub(crate) estimated: bool,
}

impl Cost {
    /// What Tavily says, or else the estimate.
    pub(crate) fn new(usage: Option<&Usage>, estimate: u32) -> Self {
        match usage.and_then(|usage| usage.credits).filter(|credits| credits.is_finite()) {
            Some(credits) => Self { credits, estimated: false },
            None => Self { credits: f64::from(estimate), estimated: true },
        }
    }
}

/// 1 rather than 1.0.
fn whole_if_possible<S: Serializer>(number: &f64, output: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return output.serialize_i64(*number as i64);
    }
    output.serialize_f64(*number)
}

/// An image's address.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Image {
    /// Where it is.
    pub(crate) url: String,
    /// What it shows, as a model saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
}

impl Image {
    /// Tavily's images, given as objects or as plain URLs; what is no web address is left out.
    pub(crate) fn read_all(values: &[Value]) -> Vec<Self> {
        let read = |value: &Value| {
            let url = web_url(value.as_str().or_else(|| value["url"].as_str())?)?;
            let description = value["description"].as_str().map(|said| text::line(said, 500));
            Some(Self { url, description: description.filter(|said| !said.is_empty()) })
        };
        values.iter().filter_map(read).collect()
    }
}

/// A URL from Tavily that a reader may follow: http or https, on one line.
pub(crate) fn web_url(given: &str) -> Option<String> {
    let url = Url::parse(given).ok()?;
    let usable = matches!(url.scheme(), "http" | "https") && given.len() <= address::MAX_LENGTH;
    // Its normal form percent-encodes what could break out of a line.
    usable.then(|| String::from(url))
}

/// `usage` of an answer.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Usage {
    #[serde(default, deserialize_with = "lenient")]
    credits: Option<f64>,
}

/// A value that is left out where it has not the form expected.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(input: D) -> Result<T, D::Error> {
    Ok(T::deserialize(Value::deserialize(input)?).unwrap_or_default())
}

/// Seconds, written as a number or as a string that holds one.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Option<f64>, D::Error> {
    let value = Value::deserialize(input)?;
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    Ok(number.filter(|seconds| seconds.is_finite()))
}

/// A tool's result: text for models, a value for programs, an output schema that failures fit as well.
pub(crate) struct Report<T> {
    pub(crate) text: String,
    pub(crate) value: T,
}

impl<T: Serialize + JsonSchema + Send> Reply for Report<T> {
    fn output_schema() -> Option<JsonObject> {
        Some(fallible_schema(schema_of::<T>(), schema_of::<FailureDetails>()))
    }

    fn into_result(self) -> Result<ToolResult, ToolError> {
        let value = serde_json::to_value(self.value).map_err(|e| ToolError::failed(format!("no result: {e}")))?;
        Ok(ToolResult::text(self.text).with_structured(value))
    }
}
