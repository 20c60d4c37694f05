//! The tools, one file each, and what their argument structs are made of.

mod country;
pub(crate) mod crawl;
pub(crate) mod extract;
pub(crate) mod feedback;
pub(crate) mod get_research;
mod heartbeat;
pub(crate) mod map;
pub(crate) mod research;
pub(crate) mod search;
mod site;
pub(crate) mod usage;

use std::borrow::Cow;

use reqwest::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de, de::DeserializeOwned};
use serde_json::Value;
use toolgate_plugin::{JsonObject, ProviderError, ToolAnnotations, ToolError, schema_of};

use crate::{
    settings::{MaxPages, Settings},
    upstream::{Endpoint, Upstream},
};

/// What the tools offer here: where their questions go, and what fills the gaps in them.
pub(crate) struct Offers {
    search: Offer<search::SearchArgs>,
    extract: Offer<extract::ExtractArgs>,
    map: Offer<map::MapArgs>,
    crawl: Offer<crawl::CrawlArgs>,
    research: Offer<research::ResearchArgs>,
    /// Below which every research is found by its name.
    researches: Endpoint,
    usage: Endpoint,
    feedback: Endpoint,
    pub(crate) max_pages: MaxPages,
}

struct Offer<T> {
    endpoint: Endpoint,
    defaults: T,
}

impl Offers {
    /// From checked settings.
    pub(crate) fn new(settings: &Settings, upstream: &Upstream) -> Result<Self, ProviderError> {
        let post = |name: &str| upstream.endpoint(Method::POST, name);
        let defaults = &settings.defaults;
        Ok(Self {
            search: Offer { endpoint: post("search")?.repeatable(), defaults: search::defaults(&defaults.search)? },
            extract: Offer { endpoint: post("extract")?.repeatable(), defaults: extract::defaults(&defaults.extract)? },
            map: Offer {
                endpoint: post("map")?.repeatable(),
                defaults: map::defaults(&defaults.map, settings.max_pages.map)?,
            },
            // Pages by the hundred.
            crawl: Offer {
                endpoint: post("crawl")?.longest(16),
                defaults: crawl::defaults(&defaults.crawl, settings.max_pages.crawl)?,
            },
            research: Offer {
                endpoint: post("research")?.streaming(),
                defaults: research::defaults(&defaults.research)?,
            },
            researches: upstream.endpoint(Method::GET, "research")?.repeatable(),
            usage: upstream.endpoint(Method::GET, "usage")?.repeatable(),
            feedback: post("feedback")?.silent(),
            max_pages: settings.max_pages,
        })
    }

    /// Where a research begins.
    pub(crate) fn research(&self) -> &Endpoint {
        &self.research.endpoint
    }

    /// Where a research is asked about.
    pub(crate) fn research_of(&self, task: &str) -> Endpoint {
        self.researches.below(task, "include_usage=true")
    }
}

/// A tool's answer to `max_output_tokens`.
type Tokens = Whole<200, 1_000_000>;

/// What there is to do about a text that was cut.
const IF_CUT: &str = "ask for fewer, or raise max_output_tokens";

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

/// The body of a request.
fn body(request: &impl Serialize) -> Result<Vec<u8>, ToolError> {
    serde_json::to_vec(request).map_err(|error| ToolError::failed(format!("no request: {error}")))
}

/// A text that says something.
fn says_something(path: &str, text: &str, what: &str) -> Result<(), ToolError> {
    if text.trim().is_empty() { Err(ToolError::invalid(path, what)) } else { Ok(()) }
}

/// A whole number between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    fn number(self) -> u32 {
        self.0
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // 5.0 is an integer to JSON Schema.
        let number = f64::deserialize(deserializer)?;
        if number.fract() == 0.0 && (f64::from(MIN)..=f64::from(MAX)).contains(&number) {
            return Ok(Self(number as u32));
        }
        Err(de::Error::custom(format!("{number} is no whole number from {MIN} to {MAX}")))
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
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

/// How a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum ExtractDepth {
    Basic,
    Advanced,
}

/// How a page's text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum Format {
    Markdown,
    Text,
}

/// A tool that destroys nothing, but spends what its arguments say, or leaves something at Tavily's: not read-only, since
/// hosts let what is read-only run unasked, and not idempotent, since each call is billed.
fn spends() -> ToolAnnotations {
    ToolAnnotations {
        read_only_hint: Some(false),
        destructive_hint: Some(false),
        idempotent_hint: Some(false),
        ..ToolAnnotations::default()
    }
    .open_world(true)
}
