//! What the stand-in answers to a good request: the same answer to the same question.

pub(super) mod office;
mod site;

use serde_json::{Map, Value, json};
use url::Url;

use super::contract::Endpoint;

/// An answer of an endpoint that looks something up on the web.
pub(super) fn web(endpoint: Endpoint, body: &Map<String, Value>) -> Result<Value, (u16, Value)> {
    let unsupported = || (403, endpoint.error(403));
    match endpoint.id() {
        "search" => Ok(search(body)),
        "extract" => extract(endpoint, body).map_err(|refusal| (400, refusal)),
        "map" => site::map(body).ok_or_else(unsupported),
        "crawl" => site::crawl(body).ok_or_else(unsupported),
        _ => Err((501, json!({ "detail": { "error": "Not served by this stand-in." } }))),
    }
}

const TITLES: [&str; 5] =
    ["Runtime comparison", "A gentle introduction", "Release notes", "Questions and answers", "Field report"];
const HOSTS: [&str; 5] = ["blog.example", "docs.example", "news.example", "forum.example", "www.example.com"];

/// An answer of `/search`.
fn search(body: &Map<String, Value>) -> Value {
    let flag = |name: &str| body.get(name).is_some_and(|value| value == true || value.is_string());
    let number = |name: &str, otherwise| body.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
    let query = body["query"].as_str().unwrap_or_default();
    let include: Vec<&str> =
        body.get("include_domains").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let seed = query.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let result = |n: usize| {
        let host = if include.is_empty() { HOSTS[n % HOSTS.len()] } else { include[n % include.len()] };
        let chunks: Vec<String> = (1..=number("chunks_per_source", 3))
            .map(|chunk| format!("Excerpt {chunk} of page {n} about {query}."))
            .collect();
        let mut result = json!({
            "id": format!("{:06x}-{:02}", seed & 0xff_ffff, n + 1),
            "title": TITLES[n % TITLES.len()],
            "url": format!("https://{host}/{n}"),
            "content": chunks.join(" [...] "),
            "score": (95 - 4 * n) as f64 / 100.0,
            "raw_content": flag("include_raw_content").then(|| format!("# Page {n}\n\nThe whole page about {query}.")),
        });
        if body.get("topic").is_some_and(|topic| topic == "news") {
            result["published_date"] = format!("Fri, {:02} Nov 2026 08:00:00 GMT", 20 - n).into();
        }
        if flag("include_favicon") {
            result["favicon"] = format!("https://{host}/favicon.ico").into();
        }
        if flag("include_images") {
            result["images"] = json!([image(host, n, flag("include_image_descriptions"))]);
        }
        result
    };
    let count = usize::try_from(number("max_results", 5)).unwrap_or(0);
    let mut answer = json!({
        "query": query,
        "answer": flag("include_answer").then(|| format!("What the sources say about {query}.")),
        "follow_up_questions": null,
        "images": [],
        "results": (0..count).map(result).collect::<Vec<Value>>(),
        "response_time": 0.94,
    });
    if flag("include_images") {
        answer["images"] = json!([image("images.example", 0, flag("include_image_descriptions"))]);
    }
    if flag("auto_parameters") {
        answer["auto_parameters"] = json!({ "search_depth": "basic", "topic": "general" });
    }
    answer
}

fn image(host: &str, n: usize, described: bool) -> Value {
    let mut image = json!({ "url": format!("https://{host}/{n}.png") });
    if described {
        image["description"] = format!("Picture {n}").into();
    }
    image
}

/// An answer of `/extract`: pages whose host begins with `fail.` fail, what is no URL fails validation.
fn extract(endpoint: Endpoint, body: &Map<String, Value>) -> Result<Value, Value> {
    let flag = |name: &str| body.get(name).is_some_and(|value| value == true);
    let one = body["urls"].as_str().into_iter();
    let many = body["urls"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let (mut results, mut failed, mut invalid) = (Vec::new(), Vec::new(), 0);
    for given in one.chain(many) {
        let Some(url) = Url::parse(given).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
            invalid += 1;
            failed.push(json!({ "url": given, "error": "Validation Error: Invalid URL format" }));
            continue;
        };
        let host = url.host_str().unwrap_or_default();
        if host.starts_with("fail.") {
            failed.push(json!({ "url": given, "error": "timeout" }));
            continue;
        }
        let about = body.get("query").and_then(Value::as_str).map_or(String::new(), |query| format!(" about {query}"));
        let mark = if body.get("format").is_some_and(|format| format == "text") { "" } else { "# " };
        let mut result = json!({
            "url": given,
            "title": format!("Page at {host}"),
            "raw_content": format!("{mark}Page at {host}\n\nWhat stands there{about}."),
            "images": [],
        });
        if flag("include_images") {
            result["images"] = json!([format!("https://{host}/picture.png")]);
        }
        if flag("include_favicon") {
            result["favicon"] = format!("https://{host}/favicon.ico").into();
        }
        results.push(result);
    }
    if results.is_empty() && invalid > 0 && invalid == failed.len() {
        let mut refusal = endpoint.other_error(400);
        refusal["detail"]["failed_results"] = failed.into();
        return Err(refusal);
    }
    Ok(json!({ "results": results, "failed_results": failed, "response_time": 1.2 }))
}
