//! The arguments of `tavily_search`: their schema, what contradicts itself, and the operator's defaults.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use time::{Date, macros::format_description};
use toolgate_plugin::{JsonObject, ProviderError, ToolError};

use super::super::{Tokens, Whole, country::Country, fill_gaps, optional_arguments, read_defaults, says_something};
use crate::{
    safety::text,
    sites::{self, Filters, Rules, Site},
};

/// Arguments of `tavily_search`; what is left out or null takes the operator's default, or else Tavily's.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchArgs {
    /// What to search for. Best short and specific, under 400 characters; split a broad question into several
    /// searches.
    #[schemars(length(min = 1), regex(pattern = r"\S"))]
    pub(super) query: String,
    /// "basic": balanced (default). "advanced": most relevant, several excerpts a page, 2 credits. "fast" and
    /// "ultra-fast": lower latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    search_depth: Option<SearchDepth>,
    /// Excerpts of up to 500 characters for each page (default 3). Not with search_depth "ultra-fast".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chunks_per_source: Option<Whole<1, 3>>,
    /// How many results (default 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_results: Option<Whole<0, 20>>,
    /// "news" for recent events in mainstream media, "finance" for markets and companies, otherwise "general"
    /// (default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<Topic>,
    /// Only pages published or updated within the last day, week, month or year. Not together with dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_range: Option<TimeRange>,
    /// Only pages published or updated on or after this day (YYYY-MM-DD). Not together with time_range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_schema")]
    start_date: Option<String>,
    /// Only pages published or updated on or before this day (YYYY-MM-DD). Not together with time_range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_schema")]
    end_date: Option<String>,
    /// Add an answer written by a model from the results: true or "basic" for a short one, "advanced" for a
    /// longer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "answer_schema")]
    include_answer: Option<Choice<AnswerKind>>,
    /// Add the whole text of each page: true or "markdown", or "text" for plain text. Long; prefer
    /// tavily_extract for the few pages that matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "raw_content_schema")]
    include_raw_content: Option<Choice<RawKind>>,
    /// Add the addresses of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    include_images: Option<bool>,
    /// Describe each image; needs include_images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    include_image_descriptions: Option<bool>,
    /// Add the address of each site's icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    include_favicon: Option<bool>,
    /// Only results from these domains and what is below them, such as "example.com" or "example.com/docs".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300), inner(length(min = 1, max = 300)))]
    include_domains: Option<Vec<String>>,
    /// No results from these domains and what is below them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 150), inner(length(min = 1, max = 300)))]
    exclude_domains: Option<Vec<String>>,
    /// Prefer results from this country (English name, lower case). Only with topic "general".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<Country>,
    /// Let Tavily choose the parameters that are left out; may choose "advanced", which costs 2 credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auto_parameters: Option<bool>,
    /// Only pages that hold the phrases in "quotes" within the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact_match: Option<bool>,
    /// Leave out adult and unsafe content; Tavily offers it on enterprise plans only. Not with search_depth
    /// "fast" or "ultra-fast".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    safe_search: Option<bool>,
    /// Leave out results whose score is lower than this, 0 to 1.
    #[serde(default, skip_serializing)]
    #[schemars(schema_with = "score_schema")]
    min_score: Option<f64>,
    /// Most tokens of the result's text; what is longer is cut at paragraph ends, shared out by score.
    #[serde(default, skip_serializing)]
    max_output_tokens: Option<Tokens>,
    /// Ask anew, though this server may remember the result.
    #[serde(default, skip_serializing)]
    fresh: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
enum SearchDepth {
    Basic,
    Advanced,
    Fast,
    UltraFast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum Topic {
    General,
    News,
    Finance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
enum TimeRange {
    Day,
    Week,
    Month,
    Year,
    D,
    W,
    M,
    Y,
}

/// On, off, or on in a certain way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
enum Choice<T> {
    Flag(bool),
    Kind(T),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum AnswerKind {
    Basic,
    Advanced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Markdown,
    Text,
}

fn date_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" })
}

fn answer_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, "basic", "advanced", null] })
}

fn raw_content_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, "markdown", "text", null] })
}

fn score_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["number", "null"], "minimum": 0, "maximum": 1 })
}

/// The schema of the default parameters.
pub(crate) fn defaults_schema(_: &mut SchemaGenerator) -> Schema {
    optional_arguments::<SearchArgs>(&["query", "fresh"])
}

/// The default parameters, checked.
pub(crate) fn defaults(given: &JsonObject) -> Result<SearchArgs, ProviderError> {
    read_defaults("search", given, ("query", "-".into()), |args: &SearchArgs| {
        args.conflict()?;
        args.sites().map(|_| ())
    })
}

// === impl SearchArgs ===

impl SearchArgs {
    /// What contradicts itself; schema and types have checked the rest.
    pub(super) fn conflict(&self) -> Result<(), ToolError> {
        let wrong = |path, message: &str| Err(ToolError::invalid(path, message));
        says_something("/query", &self.query, "the query is empty; say what to search for")?;
        if self.time_range.is_some() && (self.start_date.is_some() || self.end_date.is_some()) {
            return wrong("/time_range", "time_range and start_date or end_date exclude each other; leave one out");
        }
        let start = day("/start_date", self.start_date.as_deref())?;
        let end = day("/end_date", self.end_date.as_deref())?;
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return wrong("/end_date", "end_date is before start_date; swap them");
        }
        if self.country.is_some() && self.topic.is_some_and(|topic| topic != Topic::General) {
            return wrong("/country", "country works with topic \"general\" only; leave one of the two out");
        }
        let depth = self.search_depth;
        if self.safe_search == Some(true) && matches!(depth, Some(SearchDepth::Fast | SearchDepth::UltraFast)) {
            return wrong("/safe_search", "safe_search works with search_depth \"basic\" and \"advanced\" only");
        }
        if self.chunks_per_source.is_some() && depth == Some(SearchDepth::UltraFast) {
            return wrong("/chunks_per_source", "chunks_per_source does not work with search_depth \"ultra-fast\"");
        }
        if self.min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return wrong("/min_score", "min_score is out of range; use 0 to 1");
        }
        Ok(())
    }

    pub(super) fn fill_gaps(&mut self, defaults: &Self) {
        // Depth and topic first: others depend on them.
        fill_gaps!(self, defaults;
            search_depth, topic, chunks_per_source, max_results, time_range, start_date, end_date, include_answer,
            include_raw_content, include_images, include_image_descriptions, include_favicon, include_domains,
            exclude_domains, country, auto_parameters, exact_match, safe_search, min_score, max_output_tokens,
        );
    }

    /// Where the caller names no domains, ask for those that the operator allows.
    pub(super) fn prefer(&mut self, rules: &Rules) {
        if self.include_domains.as_ref().is_none_or(Vec::is_empty) && !rules.allowed().is_empty() {
            self.include_domains = Some(rules.allowed().to_vec());
        }
    }

    /// The domain filters.
    pub(super) fn sites(&self) -> Result<Filters, ToolError> {
        let include = sites::read("include_domains", self.include_domains.as_deref())?;
        let exclude = sites::read("exclude_domains", self.exclude_domains.as_deref())?;
        Ok(Filters { include: include.into_iter().map(Site::without_www).collect(), exclude })
    }

    /// Why a result of this score is left out, if it is. One without a score is not judged by it.
    pub(super) fn below(&self, score: Option<f64>) -> Option<&'static str> {
        let low = self.min_score.zip(score).is_some_and(|(least, score)| score < least);
        low.then_some("score below min_score")
    }

    /// Why a result that comes after so many others is left out, if it is.
    pub(super) fn beyond(&self, count: usize) -> Option<&'static str> {
        let full = self.max_results.is_some_and(|most| count >= most.number() as usize);
        full.then_some("more than max_results")
    }

    pub(super) fn max_output_tokens(&self) -> Option<u32> {
        self.max_output_tokens.map(Whole::number)
    }

    /// Whether an answer is asked for.
    pub(super) fn wants_answer(&self) -> bool {
        self.include_answer.is_some_and(|choice| choice != Choice::Flag(false))
    }

    /// Whether the whole pages are asked for.
    pub(super) fn wants_raw(&self) -> bool {
        self.include_raw_content.is_some_and(|choice| choice != Choice::Flag(false))
    }

    /// Whether what is remembered will not do.
    pub(super) fn fresh(&self) -> bool {
        self.fresh == Some(true)
    }

    /// The most that the search costs by Tavily's price list.
    pub(super) fn credits(&self) -> u32 {
        let may_be_advanced = self.auto_parameters == Some(true) && self.search_depth.is_none();
        if may_be_advanced || self.search_depth == Some(SearchDepth::Advanced) { 2 } else { 1 }
    }

    /// The filters in use, for advice when nothing was found.
    pub(super) fn filters(&self) -> Vec<&'static str> {
        let filled = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let uses = [
            ("time_range", self.time_range.is_some()),
            ("start_date", self.start_date.is_some()),
            ("end_date", self.end_date.is_some()),
            ("include_domains", filled(&self.include_domains)),
            ("exclude_domains", filled(&self.exclude_domains)),
            ("topic", self.topic.is_some_and(|topic| topic != Topic::General)),
            ("exact_match", self.exact_match == Some(true)),
            ("safe_search", self.safe_search == Some(true)),
            ("min_score", self.min_score.is_some()),
        ];
        uses.into_iter().filter(|(_, used)| *used).map(|(name, _)| name).collect()
    }
}

fn day(path: &str, given: Option<&str>) -> Result<Option<Date>, ToolError> {
    let Some(given) = given else { return Ok(None) };
    let parsed = Date::parse(given, format_description!("[year]-[month]-[day]"));
    let wrong =
        |_| ToolError::invalid(path, format!("\"{}\" is not a day; write it as YYYY-MM-DD", text::line(given, 40)));
    parsed.map(Some).map_err(wrong)
}
