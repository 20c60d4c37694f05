//! The shapes that every tool's result shares: numbered sources, what failed, what was left out, what it cost; and the
//! way from there to a result.
//!
//! What is made here may stand between marks: text is clean, and addresses are on one line.

mod room;
mod sheet;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use toolgate_plugin::{JsonObject, Reply, ToolError, ToolResult, fallible_schema, schema_of};
use url::Url;

pub(crate) use self::sheet::{Labelled, Sheet};
use crate::{
    credits::Credits,
    safety::{address, envelope::take_apart, text, text::Prose},
    upstream::{Answer, FailureDetails, answer},
};

/// A source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Source {
    /// Its number: cite it as [n].
    pub(crate) n: usize,
    /// Tavily's id of it, or else one made of its URL; the same whenever it is found.
    pub(crate) id: String,
    /// Where it is.
    pub(crate) url: String,
    /// The page's title, if known; untrusted text.
    pub(crate) title: Option<String>,
    /// How relevant it is, 0 to 1, if Tavily says so.
    pub(crate) score: Option<f64>,
    /// When it was published, as the page or Tavily writes it.
    pub(crate) published: Option<String>,
    /// Its text: excerpts, joined by " [...] ", or the page; untrusted text.
    pub(crate) text: String,
    /// The whole page beside the excerpts, if asked for; untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
    /// Whether `text` or `raw` was cut.
    pub(crate) truncated: bool,
    /// About how many tokens were cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) omitted_tokens: Option<usize>,
    /// The site's icon, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) favicon: Option<String>,
    /// The page's images, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(crate) images: Vec<Image>,
    #[serde(skip)]
    omitted: usize,
}

/// A page that is named without its text.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Link {
    /// Its number: cite it as [n].
    pub(crate) n: usize,
    /// An id made of its URL; the same whenever it is found.
    pub(crate) id: String,
    /// Where it is.
    pub(crate) url: String,
    /// The page's title, if known; untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    /// The site's icon, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) favicon: Option<String>,
}

/// A page that could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct FailedUrl {
    /// The URL.
    pub(crate) url: String,
    /// Why, in a few words.
    pub(crate) error: String,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Cost {
    /// Tavily credits.
    pub(crate) credits: Credits,
    /// True if Tavily did not say and this is the most by its price list.
    pub(crate) estimated: bool,
}

/// What every result says beside its sources.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// Pages that could not be read, or were refused before they left, and why.
    pub(crate) failed: Vec<FailedUrl>,
    /// Results left out: outside of filters, without a usable address, or without room.
    pub(crate) dropped: Vec<Dropped>,
    /// What the call cost.
    pub(crate) cost: Cost,
    /// Tavily's id of the request.
    pub(crate) request_id: Option<String>,
    /// Whether the result comes from this server's cache.
    pub(crate) cached: bool,
    /// When Tavily gave it, UTC.
    pub(crate) fetched_at: String,
    /// Whether any text was cut or left out.
    pub(crate) truncated: bool,
    /// How long Tavily took, in seconds.
    pub(crate) response_time: Option<f64>,
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

/// The longest title that is passed on, in bytes.
const TITLE: usize = 300;

// === impl Source ===

impl Source {
    /// A source of Tavily's, in any of the forms that they have; `text` names the member that holds its text. Longer
    /// text than `limit` bytes is not even looked at.
    pub(crate) fn read(n: usize, url: &Url, hit: &Value, text: &str, limit: usize) -> Self {
        let prose = |name: &str| hit[name].as_str().map(|text| Prose::read(text, limit));
        let Prose { text: body, omitted } = prose(text).unwrap_or_default();
        let id = hit["id"].as_str().map(|id| text::line(id, 100)).filter(|id| !id.is_empty());
        Self {
            n,
            id: id.unwrap_or_else(|| stable_id(url)),
            url: url.to_string(),
            title: title(hit),
            score: score(hit),
            published: hit["published_date"].as_str().map(|date| text::line(date, 60)).filter(|date| !date.is_empty()),
            text: body,
            raw: None,
            truncated: false,
            omitted_tokens: None,
            favicon: hit["favicon"].as_str().and_then(web_url).map(String::from),
            images: Image::read_all(&hit["images"]),
            omitted,
        }
    }

    /// The same with the whole page beside its excerpts.
    pub(crate) fn with_raw(mut self, hit: &Value, limit: usize) -> Self {
        if let Some(raw) = hit["raw_content"].as_str() {
            let Prose { text, omitted } = Prose::read(raw, limit);
            self.omitted += omitted;
            self.raw = Some(text);
        }
        self
    }
}

/// An id for what has none.
fn stable_id(url: &Url) -> String {
    let digest = Sha256::digest(url.as_str());
    digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// How relevant Tavily says that a hit is; what is no share of one says nothing.
pub(crate) fn score(hit: &Value) -> Option<f64> {
    answer::number(&hit["score"]).filter(|score| (0.0..=1.0).contains(score))
}

fn title(hit: &Value) -> Option<String> {
    hit["title"].as_str().map(|title| text::line(title, TITLE)).filter(|title| !title.is_empty())
}

impl Link {
    /// A page that is known by its URL, and what else a source of Tavily's says of it.
    pub(crate) fn read(n: usize, url: &Url, hit: &Value) -> Self {
        let favicon = hit["favicon"].as_str().and_then(web_url).map(String::from);
        Self { n, id: stable_id(url), url: url.to_string(), title: title(hit), favicon }
    }
}

// === impl FailedUrl, Dropped, Cost ===

impl FailedUrl {
    /// One of Tavily's `failed_results`.
    pub(crate) fn read(value: &Value) -> Self {
        let field = |name: &str| value[name].as_str().unwrap_or_default();
        let error = take_apart(&text::line(field("error"), 300));
        let error = if error.is_empty() { "no reason given".to_owned() } else { error };
        Self { url: text::line(value.as_str().unwrap_or_else(|| field("url")), address::MAX_LENGTH), error }
    }
}

impl Dropped {
    /// Left out for a reason of ours.
    fn new(url: &str, reason: &'static str) -> Self {
        Self { url: text::line(url, address::MAX_LENGTH), reason }
    }
}

impl Cost {
    /// Nothing.
    pub(crate) const FREE: Self = Self { credits: Credits::whole(0), estimated: false };

    /// What Tavily says, or else the estimate.
    pub(crate) fn new(said: Option<Credits>, estimate: Credits) -> Self {
        Self { credits: said.unwrap_or(estimate), estimated: said.is_none() }
    }
}

// === impl Told ===

impl Told {
    /// What an answer says of itself.
    pub(crate) fn of(answer: &Answer, cost: Cost) -> Self {
        Self {
            failed: Vec::new(),
            dropped: Vec::new(),
            cost,
            request_id: answer.request_id(),
            cached: false,
            fetched_at: timestamp(OffsetDateTime::now_utc()),
            truncated: false,
            response_time: answer.response_time(),
        }
    }

    /// Where a result is, if it is kept; what has no usable address, or is refused for a reason, is told.
    pub(crate) fn address(&mut self, hit: &Value, refuse: impl Fn(&Url) -> Option<&'static str>) -> Option<Url> {
        let given = hit.as_str().or_else(|| hit["url"].as_str()).unwrap_or_default();
        let Some(url) = web_url(given) else {
            self.dropped.push(Dropped::new(given, "no http or https address"));
            return None;
        };
        let Some(reason) = refuse(&url) else { return Some(url) };
        self.dropped.push(Dropped::new(url.as_str(), reason));
        None
    }
}

/// A moment, to the second.
pub(crate) fn timestamp(moment: OffsetDateTime) -> String {
    // Years of four digits can be formatted.
    moment.truncate_to_second().format(&Rfc3339).unwrap_or_default()
}

// === impl Image ===

impl Image {
    /// Tavily's images, given as objects or as plain URLs; what is no web address is left out.
    pub(crate) fn read_all(values: &Value) -> Vec<Self> {
        let read = |value: &Value| {
            let url = web_url(value.as_str().or_else(|| value["url"].as_str())?)?.into();
            let description = value["description"].as_str().map(|said| text::line(said, 500));
            Some(Self { url, description: description.filter(|said| !said.is_empty()) })
        };
        values.as_array().into_iter().flatten().take(MOST_IMAGES).filter_map(read).collect()
    }

    fn size(&self) -> usize {
        self.url.len() + self.description.as_ref().map_or(0, String::len)
    }

    fn line(&self) -> Cow<'_, str> {
        match &self.description {
            Some(description) => format!("{} ({description})", self.url).into(),
            None => self.url.as_str().into(),
        }
    }
}

/// More images of a page than anybody looks at.
const MOST_IMAGES: usize = 100;

/// A URL from Tavily that a reader may follow: http or https. Its normal form percent-encodes what could break out of a
/// line.
fn web_url(given: &str) -> Option<Url> {
    let url = Url::parse(given).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.as_str().len() <= address::MAX_LENGTH).then_some(url)
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
