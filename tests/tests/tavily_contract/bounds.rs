//! Bounds of the arguments of maps, crawls, research, feedback and the rest, by their schema and beyond it.

use serde_json::{Value, json};

use crate::{Bench, arguments::validator, invalid, text};

fn texts(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("d{n}.example")).collect()
}

fn files(n: usize) -> Vec<Value> {
    (0..n).map(|n| json!({ "name": format!("f{n}.md"), "data": "aGk=" })).collect()
}

/// Each case: the tool, what it needs besides, an argument, a value, whether the value fits.
async fn check(tool: &str, base: Value, cases: &[(&str, Value, bool)]) {
    let bench = Bench::new().await;
    let schema = validator(&bench, tool).await;
    for (name, value, fits) in cases {
        let mut arguments = base.clone();
        arguments[*name] = value.clone();
        assert_eq!(schema.is_valid(&arguments), *fits, "{tool} {arguments}");
        // What the schema lets through, the plugin can read and Tavily takes.
        if *fits {
            let result = bench.call(tool, arguments.clone()).await;
            assert!(!result.is_error, "{tool} {arguments}: {}", text(&result));
        }
    }
}

/// An argument, a value, whether it fits.
type Bound = (&'static str, fn() -> Value, bool);

const SITE: &[Bound] = &[
    ("url", || json!("https://a.example"), true),
    ("url", || json!("a.example"), true),
    ("url", || json!(""), false),
    ("url", || json!(" "), false),
    ("url", || json!(7), false),
    ("url", || json!(null), false),
    ("instructions", || json!("the docs"), true),
    ("instructions", || json!(" "), false),
    ("instructions", || json!(null), true),
    ("max_depth", || json!(0), false),
    ("max_depth", || json!(1), true),
    ("max_depth", || json!(5), true),
    ("max_depth", || json!(6), false),
    ("max_breadth", || json!(0), false),
    ("max_breadth", || json!(1), true),
    ("max_breadth", || json!(500), true),
    ("max_breadth", || json!(501), false),
    ("max_breadth", || json!(1.5), false),
    ("limit", || json!(0), false),
    ("limit", || json!(1), true),
    ("limit", || json!("50"), false),
    ("select_paths", || json!(["/docs/.*"]), true),
    ("select_paths", || json!([]), true),
    ("select_paths", || json!("/docs/.*"), false),
    ("select_paths", || json!(vec!["x"; 50]), true),
    ("select_paths", || json!(vec!["x"; 51]), false),
    ("select_paths", || json!(["x".repeat(301)]), false),
    ("select_paths", || json!([""]), false),
    ("select_domains", || json!(["^a\\.example$"]), true),
    ("select_domains", || json!(vec!["x"; 51]), false),
    ("exclude_paths", || json!(["/private/.*"]), true),
    ("exclude_paths", || json!([7]), false),
    ("exclude_domains", || json!(["evil"]), true),
    ("exclude_domains", || json!(["x".repeat(301)]), false),
    ("allow_external", || json!(false), true),
    ("allow_external", || json!("no"), false),
    ("timeout", || json!(9), false),
    ("timeout", || json!(9.99), false),
    ("timeout", || json!(10), true),
    ("timeout", || json!(150), true),
    ("timeout", || json!(150.5), false),
    ("timeout", || json!(151), false),
    ("max_output_tokens", || json!(199), false),
    ("max_output_tokens", || json!(200), true),
    ("max_output_tokens", || json!(1_000_000), true),
    ("max_output_tokens", || json!(1_000_001), false),
    ("api_key", || json!("tvly-x"), false),
    ("fresh", || json!(true), false),
    ("categories", || json!(["docs"]), false),
];

#[tokio::test]
async fn every_bound_of_a_map_is_in_its_schema() {
    let mut cases: Vec<(&str, Value, bool)> = SITE.iter().map(|(name, value, fits)| (*name, value(), *fits)).collect();
    cases.extend([
        ("limit", json!(500), true),
        ("limit", json!(501), false),
        ("include_images", json!(true), false),
        ("extract_depth", json!("basic"), false),
    ]);
    check("tavily_map", json!({ "url": "https://a.example" }), &cases).await;
}

#[tokio::test]
async fn every_bound_of_a_crawl_is_in_its_schema() {
    let mut cases: Vec<(&str, Value, bool)> = SITE.iter().map(|(name, value, fits)| (*name, value(), *fits)).collect();
    cases.extend([
        ("limit", json!(100), true),
        ("limit", json!(101), false),
        ("extract_depth", json!("basic"), true),
        ("extract_depth", json!("advanced"), true),
        ("extract_depth", json!("fast"), false),
        ("format", json!("markdown"), true),
        ("format", json!("text"), true),
        ("format", json!("html"), false),
        ("include_images", json!(true), true),
        ("include_images", json!(1), false),
        ("include_favicon", json!(true), true),
        ("include_favicon", json!("x"), false),
    ]);
    check("tavily_crawl", json!({ "url": "https://a.example" }), &cases).await;
    let cases = [
        ("chunks_per_source", json!(0), false),
        ("chunks_per_source", json!(1), true),
        ("chunks_per_source", json!(5), true),
        ("chunks_per_source", json!(6), false),
    ];
    check("tavily_crawl", json!({ "url": "https://a.example", "instructions": "x" }), &cases).await;
}

#[tokio::test]
async fn every_bound_of_a_research_is_in_its_schema() {
    let file = |name: &str| json!([{ "name": name, "data": "aGk=" }]);
    let cases = [
        ("input", json!("x"), true),
        ("input", json!(""), false),
        ("input", json!(" \n"), false),
        ("input", json!(7), false),
        ("model", json!("mini"), true),
        ("model", json!("pro"), true),
        ("model", json!("auto"), true),
        ("model", json!("ultra"), false),
        ("model", json!(null), true),
        ("citation_format", json!("numbered"), true),
        ("citation_format", json!("mla"), true),
        ("citation_format", json!("apa"), true),
        ("citation_format", json!("chicago"), true),
        ("citation_format", json!("harvard"), false),
        ("output_length", json!("short"), true),
        ("output_length", json!("standard"), true),
        ("output_length", json!("long"), true),
        ("output_length", json!("longer"), false),
        ("include_domains", json!(texts(20)), true),
        ("include_domains", json!(texts(21)), false),
        ("include_domains", json!("a.example"), false),
        ("exclude_domains", json!(texts(20)), true),
        ("exclude_domains", json!(texts(21)), false),
        ("files", json!(files(5)), true),
        ("files", json!(files(6)), false),
        ("files", json!([{ "name": "a.md" }]), false),
        ("files", json!([{ "data": "aGk=" }]), false),
        ("files", json!([{ "name": "a.md", "data": "aGk=", "type": "base64" }]), true),
        ("files", json!([{ "name": "a.md", "data": "aGk=", "type": "text" }]), false),
        ("files", json!([{ "name": "a.md", "data": "" }]), false),
        ("files", file("a.txt"), true),
        ("files", file("a.json"), true),
        ("files", file("a.pdf"), false),
        ("files", file("a"), false),
        ("output_schema", json!({ "properties": { "a": { "type": "string", "description": "x" } } }), true),
        ("output_schema", json!({}), false),
        ("output_schema", json!({ "properties": {} }), false),
        ("output_schema", json!("x"), false),
        ("wait", json!(false), true),
        ("wait", json!("no"), false),
        ("max_output_tokens", json!(199), false),
        ("stream", json!(true), false),
        ("api_key", json!("tvly-x"), false),
    ];
    check("tavily_research", json!({ "input": "x", "wait": false }), &cases).await;
}

#[tokio::test]
async fn every_bound_of_feedback_is_in_its_schema() {
    let cases = [
        ("request_id", json!("r"), true),
        ("request_id", json!(""), false),
        ("session_id", json!("s"), true),
        ("agent_score", json!(1), true),
        ("agent_score", json!(-1.5), true),
        ("agent_score", json!("good"), true),
        ("agent_score", json!(true), false),
        ("human_score", json!("0"), true),
        ("human_score", json!([]), false),
        ("extra_scores", json!([{ "label": "x", "value": 1 }]), true),
        ("extra_scores", json!([{ "label": "x" }]), false),
        ("extra_scores", json!([{ "value": 1 }]), false),
        ("comment", json!("x"), true),
        ("comment", json!("x".repeat(10_001)), false),
        ("response_delivered", json!("x"), true),
        ("response_delivered", json!("x".repeat(100_001)), false),
        ("used_urls", json!(["https://a.example"]), true),
        ("used_urls", json!("https://a.example"), false),
        ("used_urls", json!(vec!["https://a.example"; 101]), false),
        ("used_ids", json!(["x"]), true),
        ("used_ids", json!([7]), false),
        ("used_citations", json!(["x"]), true),
        ("used_citations", json!([""]), false),
        (
            "urls_scores",
            json!([{ "id": "x", "agent_score": 1, "scores": [{ "label": "x", "value": "y" }], "comment": "z" }]),
            true,
        ),
        ("urls_scores", json!([{ "url": "https://a.example" }]), true),
        ("urls_scores", json!([{ "name": "x" }]), false),
        ("other", json!(1), false),
    ];
    check("tavily_feedback", json!({ "request_id": "r" }), &cases).await;
}

#[tokio::test]
async fn the_others_take_little() {
    let cases = [
        ("request_id", json!(""), false),
        ("request_id", json!("x".repeat(201)), false),
        ("request_id", json!(7), false),
        ("other", json!(1), false),
    ];
    check("tavily_get_research", json!({}), &cases).await;
    check("tavily_usage", json!({}), &[("other", json!(1), false)]).await;
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_before_it_leaves() {
    let bench = Bench::new().await;
    let file = |name: &str, data: &str| json!({ "input": "x", "files": [{ "name": name, "data": data }] });
    let words = |n: usize| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode("word ".repeat(n))
    };
    let half = words(40_001);
    let url = "https://a.example";
    let cases = [
        ("tavily_map", json!({ "url": url, "instructions": " " }), "/instructions", "say what to look for"),
        ("tavily_map", json!({ "url": url, "select_domains": ["("] }), "/select_domains/0", "no regular expression"),
        ("tavily_map", json!({ "url": url, "select_domains": ["a", "(?=x)y"] }), "/select_domains/1", "look-around"),
        ("tavily_map", json!({ "url": url, "exclude_paths": ["["] }), "/exclude_paths/0", "no regular expression"),
        ("tavily_crawl", json!({ "url": url, "chunks_per_source": 2 }), "/chunks_per_source", "instructions"),
        (
            "tavily_crawl",
            json!({ "url": url, "exclude_domains": ["*"] }),
            "/exclude_domains/0",
            "no regular expression",
        ),
        ("tavily_research", json!({ "input": " " }), "/input", "what to find out"),
        ("tavily_research", json!({ "input": "x", "include_domains": ["a b"] }), "/include_domains/0", "no domain"),
        ("tavily_research", file("a.md", "not base64!"), "/files/0/data", "not base64"),
        ("tavily_research", file("a.md", "/w=="), "/files/0/data", "UTF-8"),
        ("tavily_research", file("a.pdf", "aGk="), "/files/0/name", ".txt, .md and .json"),
        ("tavily_research", file("a.md", &words(80_001)), "/files/0/data", "80000 words"),
        (
            "tavily_research",
            json!({ "input": "x", "files": [{ "name": "a.md", "data": half }, { "name": "b.md", "data": half }] }),
            "/files/1/data",
            "80000 words",
        ),
        (
            "tavily_research",
            json!({ "input": "x", "output_schema": { "properties": { "a": { "type": "boolean", "description": "x" } } } }),
            "/output_schema/properties/a",
            "type is",
        ),
        (
            "tavily_research",
            json!({ "input": "x", "output_schema": { "properties": { "a/b": { "type": "string" } } } }),
            "/output_schema/properties/a~1b",
            "description",
        ),
    ];
    for (tool, arguments, path, part) in cases {
        let (found, message) = invalid(&bench, tool, arguments.clone()).await;
        assert_eq!(found, path, "{tool}: {message}");
        assert!(message.contains(part), "{tool}: {message}");
    }
    assert!(bench.sent().is_empty(), "nothing left");
    let full = json!({ "input": "x", "wait": false, "files": [{ "name": "a.md", "data": words(80_000) }] });
    assert!(!bench.call("tavily_research", full).await.is_error);
}
