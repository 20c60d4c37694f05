//! What a map and a crawl have in common: arguments that say where to begin, how far to go and what to leave out; and
//! filters that hold for what comes back.

use std::time::{Duration, Instant};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toolgate_plugin::{CallContext, ToolError};
use url::Url;

use super::{IF_CUT, Tokens, Whole, fill_gaps, heartbeat, says_something};
use crate::{
    credits::Credits,
    report::{FailedUrl, Sheet},
    safety::{address, text},
    shared::{Order, Shared},
    sites::{self, Patterns, Site},
    upstream::{Answer, Failure},
};

/// What Tavily takes where `limit` is left out.
const USUAL_LIMIT: u32 = 50;

/// Arguments of `tavily_map` and `tavily_crawl`; what is left out or null takes the operator's default, or else Tavily's.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub(crate) struct SiteArgs {
    /// Where to begin, such as "https://docs.example.com" or "docs.example.com/guide".
    #[schemars(length(min = 1), regex(pattern = r"\S"))]
    pub(super) url: String,
    /// What kinds of pages to look for, in plain words. Doubles the cost of finding pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4000), regex(pattern = r"\S"))]
    pub(super) instructions: Option<String>,
    /// How many links away from the first page to go (default 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_depth: Option<Whole<1, 5>>,
    /// How many links to follow on each page (default 20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_breadth: Option<Whole<1, 500>>,
    /// How many pages in all (default 50). The cost grows with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<Whole<1, 10_000>>,
    /// Only paths that one of these regular expressions fits, such as "/docs/.*".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 300)))]
    select_paths: Option<Vec<String>>,
    /// Only hosts that one of these regular expressions fits, such as "^docs\.example\.com$".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 300)))]
    select_domains: Option<Vec<String>>,
    /// No paths that one of these regular expressions fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 300)))]
    exclude_paths: Option<Vec<String>>,
    /// No hosts that one of these regular expressions fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 300)))]
    exclude_domains: Option<Vec<String>>,
    /// Whether pages of other sites may be among the results (default true). With false, what is not of the first page's
    /// host or below it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_external: Option<bool>,
    /// How long to try, in seconds, 10 to 150 (default 150, or what this server has time for).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timeout_schema")]
    timeout: Option<f64>,
    /// Most tokens of the result's text; what is longer is cut at paragraph ends.
    #[serde(default, skip_serializing)]
    pub(super) max_output_tokens: Option<Tokens>,
    /// Ask anew, though this server may remember the result.
    #[serde(default, skip_serializing)]
    pub(super) fresh: Option<bool>,
}

fn timeout_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["number", "null"], "minimum": 10, "maximum": 150 })
}

/// A walk over a site.
pub(super) struct Walk {
    first: Url,
    bounds: Bounds,
    /// How many pages at most.
    pub(super) pages: usize,
    /// When it must be done.
    pub(super) deadline: Instant,
}

/// What may be among the results.
struct Bounds {
    select: Patterns,
    exclude: Patterns,
    home: Option<Site>,
}

impl SiteArgs {
    /// What contradicts itself; schema and types have checked the rest.
    pub(super) fn conflict(&self) -> Result<(), ToolError> {
        if let Some(instructions) = &self.instructions {
            says_something(
                "/instructions",
                instructions,
                "the instructions are empty; say what to look for or leave them out",
            )?;
        }
        if self.timeout.is_some_and(|timeout| !(10.0..=150.0).contains(&timeout)) {
            return Err(ToolError::invalid("/timeout", "the timeout is out of range; use 10 to 150 seconds"));
        }
        for (name, list) in [
            ("select_paths", &self.select_paths),
            ("select_domains", &self.select_domains),
            ("exclude_paths", &self.exclude_paths),
            ("exclude_domains", &self.exclude_domains),
        ] {
            let list = list.as_deref().unwrap_or_default();
            if list.len() > 50 || list.iter().any(|pattern| pattern.is_empty() || pattern.len() > 300) {
                return Err(ToolError::invalid(
                    format!("/{name}"),
                    "at most 50 patterns of 1 to 300 characters; shorten it",
                ));
            }
            sites::check(name, Some(list).filter(|_| name.ends_with("paths")))?;
        }
        self.bounds(None).map(|_| ())
    }

    pub(super) fn fill_gaps(&mut self, defaults: &Self) {
        fill_gaps!(self, defaults;
            max_depth, max_breadth, limit, select_paths, select_domains, exclude_paths, exclude_domains, allow_external,
            timeout, max_output_tokens,
        );
    }

    /// Where to walk, how far and for how long; what is left out is filled in, so that what it may cost is known.
    pub(super) fn walk(&mut self, shared: &Shared, most: u16, cx: &CallContext) -> Result<Walk, ToolError> {
        let first = address::outward_site(&self.url).map_err(|reason| ToolError::invalid("/url", reason))?;
        if let Some(reason) = shared.rules.refuse(&first) {
            return Err(ToolError::invalid("/url", format!("this is of {reason}; begin elsewhere")));
        }
        self.url = first.to_string();
        let pages = self.settle_limit(most)? as usize;
        let bounds = self.bounds(Some(&first))?;
        Ok(Walk { first, bounds, pages, deadline: shared.upstream.deadline(shared.times.crawl, cx) })
    }

    /// How many pages are asked for; what is left out is said.
    pub(super) fn settle_limit(&mut self, most: u16) -> Result<u32, ToolError> {
        let most = u32::from(most);
        let limit = self.limit.map_or(USUAL_LIMIT.min(most), Whole::number);
        if limit > most {
            let message = format!("{limit} pages are more than this server allows; use {most} at most");
            return Err(ToolError::invalid("/limit", message));
        }
        self.limit = Some(Whole(limit));
        Ok(limit)
    }

    /// Have Tavily stop before we do, so that the pages found until then arrive.
    pub(super) fn fit_into(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(Duration::from_secs(2));
        if self.timeout.unwrap_or(150.0) > left.as_secs_f64() {
            self.timeout = Some(left.as_secs().clamp(10, 150) as f64);
        }
    }

    /// What may be among the results of a walk from `first`.
    fn bounds(&self, first: Option<&Url>) -> Result<Bounds, ToolError> {
        let home = first.filter(|_| self.allow_external == Some(false)).and_then(|url| Site::parse(url.host_str()?));
        Ok(Bounds {
            select: Patterns::read("select_domains", self.select_domains.as_deref())?,
            exclude: Patterns::read("exclude_domains", self.exclude_domains.as_deref())?,
            home: home.map(Site::without_www),
        })
    }

    /// What finding so many pages costs by Tavily's price list.
    pub(super) fn price(&self, pages: usize) -> u32 {
        let blocks = u32::try_from(pages.div_ceil(10)).unwrap_or(u32::MAX);
        if self.instructions.is_some() { blocks.saturating_mul(2) } else { blocks }
    }
}

impl Walk {
    /// Ask for it; `price` is what so many pages cost. What comes back are the pages, where it began by Tavily's account,
    /// and a result with nothing in it yet.
    pub(super) async fn go(
        &self,
        shared: &Shared,
        order: Order<'_>,
        cx: &CallContext,
        doing: &str,
        price: impl Fn(usize) -> Credits,
    ) -> Result<(Vec<Value>, String, Sheet), ToolError> {
        let (most, endpoint) = (order.most, order.endpoint);
        let price = |answer: &Answer| answer.get("results").as_array().map_or(most, |pages| price(pages.len()));
        let (mut answer, told) = heartbeat::during(cx, doing, shared.buy(order, cx, price)).await?;
        let unusable = |failure: Failure| {
            // Maps may be asked for again, at their price; a crawl is a deed.
            let failure = if endpoint.is_repeatable() { failure } else { failure.of_deed() };
            shared.fail(failure.with_cost(told.cost))
        };
        let pages = answer.list("results").map_err(unusable)?;
        let base = answer.get("base_url").as_str().map(|base| text::line(base, address::MAX_LENGTH));
        let base = base.filter(|base| !base.is_empty()).unwrap_or_else(|| self.first.to_string());
        let mut sheet = Sheet::new(told);
        sheet.if_cut = IF_CUT;
        let failed = answer.take("failed_results");
        sheet.told.failed = failed.as_array().into_iter().flatten().take(self.pages).map(FailedUrl::read).collect();
        Ok((pages, base, sheet))
    }

    /// Why a page is left out, if it is.
    pub(super) fn refuse(&self, shared: &Shared, page: &Url) -> Option<&'static str> {
        self.bounds.refuse(page).or_else(|| shared.rules.refuse(page))
    }
}

/// Whether pages are named that could not be read.
pub(super) fn has_failures(answer: &Answer) -> bool {
    answer.get("failed_results").as_array().is_some_and(|failed| !failed.is_empty())
}

impl Bounds {
    /// Why a page is left out, if it is.
    fn refuse(&self, page: &Url) -> Option<&'static str> {
        if !self.select.is_empty() && !self.select.hold(page) {
            return Some("not within select_domains");
        }
        if self.exclude.hold(page) {
            return Some("within exclude_domains");
        }
        self.home.as_ref().is_some_and(|home| !home.holds(page)).then_some("external, and allow_external is false")
    }
}
