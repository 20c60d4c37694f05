//! What the stand-in answers to a map and a crawl: a site of its own making, the same at each visit.

use serde_json::{Map, Value, json};
use url::Url;

/// A site has so many pages.
const PAGES: usize = 60;

/// The first page of a walk, whether or not a scheme is given.
fn first(body: &Map<String, Value>) -> Option<Url> {
    let given = body["url"].as_str().unwrap_or_default();
    let url = if given.contains("://") { Url::parse(given) } else { Url::parse(&format!("https://{given}")) };
    url.ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
}

fn pages(body: &Map<String, Value>, first: &Url) -> Vec<String> {
    let limit = body.get("limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok()).unwrap_or(50);
    let host = first.host_str().unwrap_or_default();
    let external = body.get("allow_external").is_none_or(|allowed| allowed == true);
    let page = |n: usize| match n {
        0 => first.to_string(),
        // Each seventh link leads elsewhere.
        n if n.is_multiple_of(7) => format!("https://elsewhere.example/{n}"),
        n => format!("https://{host}/page/{n}"),
    };
    (0..PAGES).map(page).filter(|page| external || !page.contains("elsewhere.example")).take(limit).collect()
}

/// An answer of `/map`, or nothing if the URL is not supported.
pub(super) fn map(body: &Map<String, Value>) -> Option<Value> {
    let first = first(body)?;
    Some(json!({ "base_url": first.host_str(), "results": pages(body, &first), "response_time": 2.0 }))
}

/// An answer of `/crawl`, or nothing if the URL is not supported.
pub(super) fn crawl(body: &Map<String, Value>) -> Option<Value> {
    let first = first(body)?;
    let flag = |name: &str| body.get(name).is_some_and(|value| value == true);
    let mark = if body.get("format").is_some_and(|format| format == "text") { "" } else { "# " };
    let about = body.get("instructions").and_then(Value::as_str);
    let results: Vec<Value> = pages(body, &first)
        .into_iter()
        .enumerate()
        .map(|(n, url)| {
            let text = match about {
                Some(about) => format!("What page {n} says about {about}. [...] And more of it."),
                None => format!("{mark}Page {n}\n\nThe first paragraph of page {n}.\n\nThe second one."),
            };
            let mut page = json!({ "url": url, "raw_content": text });
            if flag("include_images") {
                page["images"] = json!([format!("{url}.png")]);
            }
            if flag("include_favicon") {
                page["favicon"] = "https://a.example/favicon.ico".into();
            }
            page
        })
        .collect();
    Some(json!({ "base_url": first.host_str(), "results": results, "response_time": 9.8 }))
}
