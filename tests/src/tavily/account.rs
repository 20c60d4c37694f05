//! What keys have used: credits, and requests by the minute.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::{
    UNKNOWN_KEY,
    contract::{Endpoint, contract},
};

/// What one key has used.
#[derive(Debug, Default)]
pub(super) struct Account {
    minutes: HashMap<&'static str, VecDeque<Instant>>,
    /// Pages found and read since the last full block of them.
    blocks: HashMap<&'static str, u64>,
    /// Credits, by what they were for.
    pub(super) used: BTreeMap<&'static str, u64>,
    pub(super) requests: u64,
    /// The most that it may use.
    pub(super) limit: Option<u64>,
}

impl Account {
    /// All that was used.
    pub(super) fn total(&self) -> u64 {
        self.used.values().sum()
    }

    /// Whether a request goes over the documented requests per minute; otherwise it is counted.
    pub(super) fn is_too_fast(&mut self, endpoint: Endpoint, key: &str) -> bool {
        let kind = if key.starts_with("tvly-dev-") { "development_rpm" } else { "production_rpm" };
        let most = contract()["rate_limits"][endpoint.rate()][kind].as_u64().unwrap_or(u64::MAX);
        let minute = self.minutes.entry(endpoint.rate()).or_default();
        minute.retain(|at| at.elapsed() < Duration::from_secs(60));
        if minute.len() as u64 >= most {
            return true;
        }
        minute.push_back(Instant::now());
        false
    }

    /// What this request costs; pages are billed when a block of them is full.
    pub(super) fn bill(&mut self, endpoint: Endpoint, body: &Map<String, Value>, answer: &Value) -> u64 {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let pages = answer["results"].as_array().map_or(0, Vec::len) as u64;
        let depth = text("search_depth").or_else(|| text("extract_depth")).unwrap_or("basic");
        let factor = if body.get("instructions").is_some_and(Value::is_string) { 2 } else { 1 };
        let credits = match endpoint.id() {
            "search" => endpoint.price(depth).0,
            "extract" => self.block("read", pages, endpoint.price(depth)),
            "map" => self.block("found", pages, (factor, 10)),
            "crawl" => {
                let (read, each) = if depth == "advanced" { (2, 5) } else { (1, 5) };
                self.block("found", pages, (factor, 10)) + self.block("read", pages, (read, each))
            }
            _ => 0,
        };
        self.charge(endpoint.id(), credits);
        credits
    }

    /// Charge what a research has cost.
    pub(super) fn charge(&mut self, kind: &'static str, credits: u64) {
        *self.used.entry(kind).or_default() += credits;
    }

    fn block(&mut self, kind: &'static str, pages: u64, (credits, each): (u64, u64)) -> u64 {
        let open = self.blocks.entry(kind).or_default();
        *open += pages;
        let full = *open / each;
        *open %= each;
        full * credits
    }
}

/// Whose request it is, if it may be served.
pub(super) fn key(endpoint: Endpoint, headers: &HeaderMap) -> Option<String> {
    let Some(credentials) = headers.get(header::AUTHORIZATION) else {
        let keyless = headers.get("x-tavily-access-mode").is_some_and(|mode| mode == "keyless");
        return (keyless && endpoint.keyless()).then(|| "keyless".to_owned());
    };
    let key = credentials.to_str().ok()?.strip_prefix("Bearer ")?;
    let prefix = contract()["auth"]["key_prefix"].as_str().unwrap_or_default();
    (key.len() > prefix.len() && key.starts_with(prefix) && key != UNKNOWN_KEY).then(|| key.to_owned())
}
