//! The tables within the plugin's `settings`, with their defaults.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolgate_plugin::JsonObject;

use super::units::{Size, Span};
use crate::tools::{crawl, extract, map, research, search};

/// Most credits that calls may cost. A call is refused before it is sent if it could go over one of them.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ceilings {
    /// Most that one call may cost.
    #[schemars(range(max = 1_000_000))]
    pub(crate) per_call: u32,
    /// Most that the calls of one caller (its `sub`) may cost from midnight to midnight, UTC. Absent: no ceiling.
    #[schemars(range(max = 100_000_000))]
    pub(crate) per_subject_per_day: Option<u32>,
    /// Most that all calls may cost from midnight to midnight, UTC. Absent: no ceiling.
    #[schemars(range(max = 100_000_000))]
    pub(crate) per_day: Option<u32>,
}

/// Most pages that a caller may ask for (`limit`); a caller who leaves `limit` out gets Tavily's 50, or this if less.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MaxPages {
    /// Of `tavily_map`.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) map: u16,
    /// Of `tavily_crawl`.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) crawl: u16,
}

/// How long research is waited for, and how it is followed.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Research {
    /// How long a call waits for the report before it answers with the handle, if the caller listens to progress.
    pub(crate) wait: Span,
    /// The same for a caller who does not: such clients often give up after a minute.
    pub(crate) wait_without_progress: Span,
    /// How long a stream may be silent: Tavily is, while it writes the report.
    pub(crate) silence: Span,
    /// How long a stream may last at all, also one that nobody waits for any more.
    pub(crate) longest: Span,
    /// When to follow a research as a stream of its steps rather than by asking how far it is. Streams do not tell what
    /// a research has cost, so the most that it can cost is counted.
    pub(crate) stream: Stream,
}

/// When to follow a research as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    /// If the caller listens to progress, or Tavily asks for it.
    Auto,
    /// Only if Tavily asks for it.
    Required,
}

/// Remembering results, so that the same question by the same caller costs once.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    /// How long a result is remembered, 1s to 1day.
    pub(crate) keep: Span,
    /// Most memory for what is remembered, 64 KiB to 1 GiB.
    #[serde(default = "Cache::size")]
    pub(crate) size: Size,
}

/// Which pages may be read, mapped, crawled and shown in results, beside what callers ask for. An entry is a domain and
/// all below it, with a path prefix if given, such as "example.com/docs".
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sites {
    /// Only these, unless empty.
    #[schemars(length(max = 300))]
    pub(crate) allow: Vec<String>,
    /// Not these.
    #[schemars(length(max = 300))]
    pub(crate) deny: Vec<String>,
}

/// What the ids of the marks around untrusted text are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Marks {
    /// Chance: new in every result.
    Random,
    /// A secret and the text: the same in the same result, which caches of prompts like.
    Stable,
}

/// Parameters that fill what a caller leaves out.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// For `tavily_search`: any of its arguments except `query`.
    #[schemars(schema_with = "search::defaults_schema")]
    pub(crate) search: JsonObject,
    /// For `tavily_extract`: any of its arguments except `urls` and `query`.
    #[schemars(schema_with = "extract::defaults_schema")]
    pub(crate) extract: JsonObject,
    /// For `tavily_map`: any of its arguments except `url` and `instructions`.
    #[schemars(schema_with = "map::defaults_schema")]
    pub(crate) map: JsonObject,
    /// For `tavily_crawl`: any of its arguments except `url` and `instructions`.
    #[schemars(schema_with = "crawl::defaults_schema")]
    pub(crate) crawl: JsonObject,
    /// For `tavily_research`: any of its arguments except `input`, `files` and `output_schema`.
    #[schemars(schema_with = "research::defaults_schema")]
    pub(crate) research: JsonObject,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self { per_call: 250, per_subject_per_day: None, per_day: None }
    }
}

impl Default for MaxPages {
    fn default() -> Self {
        Self { map: 500, crawl: 100 }
    }
}

impl Default for Research {
    fn default() -> Self {
        let minutes = |minutes: u64| Span(Duration::from_secs(60 * minutes));
        Self {
            wait: minutes(14),
            wait_without_progress: Span(Duration::from_secs(50)),
            silence: minutes(5),
            longest: minutes(30),
            stream: Stream::Auto,
        }
    }
}

impl Cache {
    fn size() -> Size {
        Size(16 * 1024 * 1024)
    }
}
