//! The tools as this server offers them: with its own bounds in their schemas, and a word where one cannot work.

use std::sync::Arc;

use serde_json::{Value, json};
use toolgate_plugin::Tool;

use crate::shared::Shared;

/// What works without a key.
const KEYLESS: [&str; 2] = ["tavily_search", "tavily_extract"];

/// A tool as it is listed.
pub(crate) fn as_offered(mut tool: Tool, shared: &Shared) -> Tool {
    let schema = Arc::make_mut(&mut tool.input_schema);
    // Shared arguments leave the other word, which fewer clients know.
    if schema.shift_remove("unevaluatedProperties").is_some() {
        schema.insert("additionalProperties".into(), false.into());
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        if !shared.remembers() {
            properties.shift_remove("fresh");
        }
        // What we keep to ourselves is no less an argument for that.
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            property.shift_remove("writeOnly");
        }
        let most = shared.offers.max_pages;
        match (tool.name.as_str(), properties.get_mut("limit")) {
            ("tavily_map", Some(limit)) => limit["maximum"] = json!(most.map),
            ("tavily_crawl", Some(limit)) => limit["maximum"] = json!(most.crawl),
            _ => {}
        }
    }
    if shared.upstream.is_keyless()
        && !KEYLESS.contains(&tool.name.as_str())
        && let Some(description) = &mut tool.description
    {
        description.insert_str(0, "Does not work on this server now: it needs a Tavily API key, and none is set. ");
    }
    tool
}
