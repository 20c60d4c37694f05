//! The tools, one file each, and what their argument structs are made of.

mod country;
pub(crate) mod extract;
pub(crate) mod search;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de, de::DeserializeOwned};
use serde_json::Value;
use toolgate_plugin::{HostHandle, JsonObject, ProviderError, ToolError, schema_of};
use url::Url;

use crate::{
    safety::text::Budget,
    settings::{MaxOutput, Settings},
    upstream::Upstream,
};

/// What all tools work with; made once, when the plugin starts.
pub(crate) struct Shared {
    pub(crate) upstream: Upstream,
    search_url: Url,
    search_defaults: search::SearchArgs,
    extract_url: Url,
    extract_defaults: extract::ExtractArgs,
    max_output: MaxOutput,
}

impl Shared {
    /// From checked settings.
    pub(crate) fn new(settings: &Settings, host: HostHandle) -> Result<Self, ProviderError> {
        let upstream = Upstream::new(settings, host)?;
        Ok(Self {
            search_url: upstream.endpoint("search")?,
            search_defaults: search::defaults(&settings.defaults.search)?,
            extract_url: upstream.endpoint("extract")?,
            extract_defaults: extract::defaults(&settings.defaults.extract)?,
            max_output: settings.max_output,
            upstream,
        })
    }

    fn budget(&self) -> Budget {
        Budget::new(self.max_output.per_source.0, self.max_output.total.0)
    }
}

/// The schema of a tool's arguments without those that cannot have a default.
fn optional_arguments<T: JsonSchema>(without: &[&str]) -> Schema {
    let mut schema = schema_of::<T>();
    schema.shift_remove("$schema");
    schema.shift_remove("required");
    schema.shift_remove("description");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for name in without {
            properties.shift_remove(*name);
        }
    }
    schema.into()
}

/// Read default arguments, filling in the `required` one.
fn read_defaults<T: DeserializeOwned>(
    tool: &str,
    defaults: &JsonObject,
    required: (&str, Value),
    conflict: impl Fn(&T) -> Result<(), ToolError>,
) -> Result<T, ProviderError> {
    let mut arguments = defaults.clone();
    arguments.insert(required.0.to_owned(), required.1);
    let path = format!("defaults.{tool}");
    let read = serde_json::from_value(Value::Object(arguments));
    let read: T = read.map_err(|error| ProviderError::settings(path.as_str(), error.to_string()))?;
    conflict(&read).map_err(|error| match error {
        ToolError::InvalidArguments { path: at, message } => {
            ProviderError::settings(format!("{path}{}", at.replace('/', ".")), message)
        }
        other => ProviderError::settings(path.as_str(), other.to_string()),
    })?;
    Ok(read)
}

/// Fill the fields that the caller left out, except where that would contradict the caller.
macro_rules! fill_gaps {
    ($args:expr, $defaults:expr; $($field:ident),+ $(,)?) => {
        $(if $args.$field.is_none() && $defaults.$field.is_some() {
            $args.$field.clone_from(&$defaults.$field);
            if $args.conflict().is_err() {
                $args.$field = None;
            }
        })+
    };
}
use fill_gaps;

/// A whole number between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Whole<const MIN: u8, const MAX: u8>(u8);

impl<'de, const MIN: u8, const MAX: u8> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // 5.0 is an integer to JSON Schema.
        let number = f64::deserialize(deserializer)?;
        if number.fract() == 0.0 && (f64::from(MIN)..=f64::from(MAX)).contains(&number) {
            return Ok(Self(number as u8));
        }
        Err(de::Error::custom(format!("{number} is no whole number from {MIN} to {MAX}")))
    }
}

impl<const MIN: u8, const MAX: u8> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("WholeFrom{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}
