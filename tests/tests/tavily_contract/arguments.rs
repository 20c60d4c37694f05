//! Bounds of the arguments, by their schema and beyond it, and what is sent in the end.

use serde_json::{Value, json};
use toolgate_tests::tavily::contract::Endpoint;

use crate::{Bench, invalid, structured, text};

pub(crate) async fn validator(bench: &Bench, tool: &str) -> jsonschema::Validator {
    let tools = bench.plugin.tools().await.unwrap();
    let tool = tools.iter().find(|known| known.name == tool).unwrap();
    jsonschema::options().should_validate_formats(true).build(&Value::Object((*tool.input_schema).clone())).unwrap()
}

fn domains(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("d{n}.example")).collect()
}

fn urls(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("https://a.example/{n}")).collect()
}

#[tokio::test]
async fn every_bound_of_search_is_in_its_schema() {
    let bench = Bench::new().await;
    let schema = validator(&bench, "tavily_search").await;
    let cases = [
        ("query", json!("x"), true),
        ("query", json!(""), false),
        ("query", json!(" \t"), false),
        ("query", json!(5), false),
        ("query", json!(null), false),
        ("search_depth", json!("basic"), true),
        ("search_depth", json!("advanced"), true),
        ("search_depth", json!("fast"), true),
        ("search_depth", json!("ultra-fast"), true),
        ("search_depth", json!("deep"), false),
        ("search_depth", json!(null), true),
        ("chunks_per_source", json!(0), false),
        ("chunks_per_source", json!(1), true),
        ("chunks_per_source", json!(3), true),
        ("chunks_per_source", json!(4), false),
        ("chunks_per_source", json!(1.5), false),
        ("max_results", json!(-1), false),
        ("max_results", json!(0), true),
        ("max_results", json!(20), true),
        ("max_results", json!(21), false),
        ("max_results", json!("5"), false),
        ("max_results", json!(5.0), true),
        ("topic", json!("general"), true),
        ("topic", json!("news"), true),
        ("topic", json!("finance"), true),
        ("topic", json!("sports"), false),
        ("time_range", json!("day"), true),
        ("time_range", json!("week"), true),
        ("time_range", json!("month"), true),
        ("time_range", json!("year"), true),
        ("time_range", json!("d"), true),
        ("time_range", json!("w"), true),
        ("time_range", json!("m"), true),
        ("time_range", json!("y"), true),
        ("time_range", json!("hour"), false),
        ("start_date", json!("2026-11-22"), true),
        ("start_date", json!("22.11.2026"), false),
        ("start_date", json!("2026-13-01"), false),
        ("end_date", json!("2026-11-22"), true),
        ("end_date", json!("today"), false),
        ("include_answer", json!(true), true),
        ("include_answer", json!("basic"), true),
        ("include_answer", json!("advanced"), true),
        ("include_answer", json!("long"), false),
        ("include_raw_content", json!(false), true),
        ("include_raw_content", json!("markdown"), true),
        ("include_raw_content", json!("text"), true),
        ("include_raw_content", json!("html"), false),
        ("include_images", json!(true), true),
        ("include_images", json!("true"), false),
        ("include_image_descriptions", json!(true), true),
        ("include_image_descriptions", json!(1), false),
        ("include_favicon", json!(true), true),
        ("include_favicon", json!("no"), false),
        ("include_domains", json!(domains(300)), true),
        ("include_domains", json!(domains(301)), false),
        ("include_domains", json!("a.example"), false),
        ("include_domains", json!([""]), false),
        ("exclude_domains", json!(domains(150)), true),
        ("exclude_domains", json!(domains(151)), false),
        ("country", json!("japan"), true),
        ("country", json!("atlantis"), false),
        ("auto_parameters", json!(true), true),
        ("auto_parameters", json!("auto"), false),
        ("exact_match", json!(true), true),
        ("exact_match", json!("yes"), false),
        ("safe_search", json!(true), true),
        ("safe_search", json!("strict"), false),
        ("min_score", json!(0), true),
        ("min_score", json!(1), true),
        ("min_score", json!(1.1), false),
        ("min_score", json!(-0.1), false),
        ("max_output_tokens", json!(199), false),
        ("max_output_tokens", json!(200), true),
        ("api_key", json!("tvly-x"), false),
        ("days", json!(3), false),
        ("fresh", json!(true), false),
    ];
    for (name, value, fits) in cases {
        let mut arguments = json!({ "query": "x" });
        arguments[name] = value;
        assert_eq!(schema.is_valid(&arguments), fits, "{arguments}");
        // What the schema lets through, the plugin can read.
        if fits {
            let result = bench.search(arguments.clone()).await;
            assert!(!result.is_error, "{arguments}: {}", text(&result));
        }
    }
    assert!(!schema.is_valid(&json!({})));
}

#[tokio::test]
async fn every_bound_of_extract_is_in_its_schema() {
    let bench = Bench::new().await;
    let schema = validator(&bench, "tavily_extract").await;
    let cases = [
        ("urls", json!("https://a.example"), true),
        ("urls", json!(urls(1)), true),
        ("urls", json!(urls(20)), true),
        ("urls", json!(urls(21)), false),
        ("urls", json!([]), false),
        ("urls", json!(""), false),
        ("urls", json!([5]), false),
        ("urls", json!(null), false),
        ("query", json!("y"), true),
        ("query", json!(" "), false),
        ("chunks_per_source", json!(0), false),
        ("chunks_per_source", json!(1), true),
        ("chunks_per_source", json!(5), true),
        ("chunks_per_source", json!(6), false),
        ("extract_depth", json!("basic"), true),
        ("extract_depth", json!("advanced"), true),
        ("extract_depth", json!("fast"), false),
        ("include_images", json!(true), true),
        ("include_images", json!("x"), false),
        ("include_favicon", json!(true), true),
        ("include_favicon", json!(0), false),
        ("format", json!("markdown"), true),
        ("format", json!("text"), true),
        ("format", json!("html"), false),
        ("timeout", json!(0.5), false),
        ("timeout", json!(1), true),
        ("timeout", json!(2.5), true),
        ("timeout", json!(60), true),
        ("timeout", json!(60.5), false),
        ("timeout", json!(null), true),
        ("depth", json!("x"), false),
    ];
    for (name, value, fits) in cases {
        let mut arguments = json!({ "urls": "https://a.example", "query": "x" });
        arguments[name] = value;
        assert_eq!(schema.is_valid(&arguments), fits, "{arguments}");
        if fits {
            let result = bench.extract(arguments.clone()).await;
            assert!(!result.is_error, "{arguments}: {}", text(&result));
        }
    }
}

#[tokio::test]
async fn the_tools_offer_what_the_contract_documents_and_little_else() {
    // Each tool, its endpoint, what it has of its own, and what is ours to decide.
    let tools: [(&str, &str, &[&str], &[&str]); 8] = [
        ("tavily_search", "search", &["min_score", "max_output_tokens", "fresh"], &[]),
        ("tavily_extract", "extract", &["max_output_tokens", "fresh"], &[]),
        ("tavily_map", "map", &["max_output_tokens", "fresh"], &[]),
        ("tavily_crawl", "crawl", &["max_output_tokens", "fresh"], &[]),
        ("tavily_research", "research_create", &["wait", "max_output_tokens"], &["stream"]),
        ("tavily_get_research", "research_get", &["request_id", "max_output_tokens"], &[]),
        ("tavily_usage", "usage", &[], &[]),
        ("tavily_feedback", "feedback", &[], &[]),
    ];
    let bench = Bench::with(json!({ "cache": { "keep": "1m" } })).await;
    let listed = bench.plugin.tools().await.unwrap();
    assert_eq!(listed.len(), tools.len());
    for (tool, (name, endpoint, own, ours)) in listed.into_iter().zip(tools) {
        assert_eq!(tool.name, name);
        let endpoint = Endpoint::named(endpoint).unwrap();
        let documented = endpoint.fields().iter().filter(|(name, field)| {
            let sent_anyhow = *name == "include_usage" || ours.contains(&name.as_str());
            !matches!(field["status"].as_str(), Some("sdk-only" | "legacy")) && !sent_anyhow
        });
        let mut documented: Vec<&str> = documented.map(|(name, _)| name.as_str()).chain(own.iter().copied()).collect();
        let properties = tool.input_schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut offered: Vec<&str> = properties.keys().map(String::as_str).collect();
        documented.sort_unstable();
        offered.sort_unstable();
        assert_eq!(offered, documented, "{name}");
        for (property_name, property) in &properties {
            assert!(property["description"].is_string(), "{name} {property_name}");
            let field = &endpoint.fields().get(property_name).cloned().unwrap_or_default();
            if let Some(known) = field["enum"].as_array() {
                let offered = property["enum"].as_array().unwrap_or_else(|| panic!("{property_name}: {property}"));
                assert!(known.iter().all(|value| offered.contains(value)), "{name} {property_name}");
                assert!(offered.iter().all(|value| known.contains(value) || value.is_null()), "{name} {property_name}");
            }
            for bound in ["minimum", "maximum"] {
                if let Some(bound_value) = field[bound].as_f64() {
                    assert_eq!(property[bound].as_f64(), Some(bound_value), "{name} {property_name} {bound}");
                }
            }
            if let Some(most) = field["max_items"].as_u64() {
                assert!(
                    property.to_string().contains(&format!("\"maxItems\":{most}")),
                    "{name} {property_name}: {property}"
                );
            }
        }
        let schema = Value::Object((*tool.input_schema).clone()).to_string();
        assert!(!schema.contains("$ref"), "clients read plain schemas best: {schema}");
        assert_eq!(tool.input_schema["additionalProperties"], false, "{name}");
        assert_eq!(tool.input_schema["type"], "object");
        assert!(["anyOf", "oneOf", "allOf"].iter().all(|word| tool.input_schema.get(*word).is_none()), "{name}");
        let output = tool.output_schema.unwrap();
        assert!(!Value::Object((*output).clone()).to_string().contains("$ref"), "{name}");
        assert!(output["properties"]["error"].is_object() && output["properties"]["cost"].is_object(), "{name}");
    }
}

#[tokio::test]
async fn annotations_say_what_is_read_only_and_what_spends() {
    let bench = Bench::new().await;
    let expected = [
        ("tavily_search", true, None),
        ("tavily_extract", true, None),
        ("tavily_map", false, Some(false)),
        ("tavily_crawl", false, Some(false)),
        ("tavily_research", false, Some(false)),
        ("tavily_get_research", true, Some(true)),
        ("tavily_usage", true, Some(true)),
        ("tavily_feedback", false, Some(false)),
    ];
    for (tool, (name, read_only, idempotent)) in bench.plugin.tools().await.unwrap().into_iter().zip(expected) {
        let hints = tool.annotations.unwrap();
        assert_eq!((tool.name.as_str(), hints.read_only_hint), (name, Some(read_only)));
        assert_eq!((hints.destructive_hint, hints.idempotent_hint), (Some(false), idempotent), "{name}");
        assert_eq!(hints.open_world_hint, Some(true), "{name}");
        assert!(tool.title.is_some_and(|title| !title.is_empty()));
        let description = tool.description.unwrap();
        let says_price = ["credit", "Free"].iter().any(|word| description.contains(word));
        assert!(says_price && description.len() < 900, "{name}: {} {description}", description.len());
    }
}

#[tokio::test]
async fn contradicting_arguments_are_refused_before_they_leave() {
    let bench = Bench::new().await;
    let cases = [
        ("tavily_search", json!({ "query": " " }), "/query", "say what to search for"),
        (
            "tavily_search",
            json!({ "query": "x", "time_range": "day", "start_date": "2026-01-01" }),
            "/time_range",
            "exclude",
        ),
        (
            "tavily_search",
            json!({ "query": "x", "time_range": "d", "end_date": "2026-01-01" }),
            "/time_range",
            "exclude",
        ),
        ("tavily_search", json!({ "query": "x", "start_date": "2026-02-30" }), "/start_date", "YYYY-MM-DD"),
        ("tavily_search", json!({ "query": "x", "end_date": "yesterday" }), "/end_date", "YYYY-MM-DD"),
        (
            "tavily_search",
            json!({ "query": "x", "start_date": "2026-02-02", "end_date": "2026-02-01" }),
            "/end_date",
            "before",
        ),
        ("tavily_search", json!({ "query": "x", "country": "japan", "topic": "news" }), "/country", "general"),
        ("tavily_search", json!({ "query": "x", "country": "japan", "topic": "finance" }), "/country", "general"),
        (
            "tavily_search",
            json!({ "query": "x", "safe_search": true, "search_depth": "fast" }),
            "/safe_search",
            "basic",
        ),
        (
            "tavily_search",
            json!({ "query": "x", "safe_search": true, "search_depth": "ultra-fast" }),
            "/safe_search",
            "basic",
        ),
        (
            "tavily_search",
            json!({ "query": "x", "chunks_per_source": 2, "search_depth": "ultra-fast" }),
            "/chunks_per_source",
            "ultra-fast",
        ),
        (
            "tavily_search",
            json!({ "query": "x", "include_domains": ["a.example", "a b"] }),
            "/include_domains/1",
            "is no domain",
        ),
        ("tavily_search", json!({ "query": "x", "exclude_domains": ["http://"] }), "/exclude_domains/0", "no domain"),
        (
            "tavily_extract",
            json!({ "urls": "https://a.example", "chunks_per_source": 2 }),
            "/chunks_per_source",
            "query",
        ),
        ("tavily_extract", json!({ "urls": "https://a.example", "query": " " }), "/query", "leave it out"),
        ("tavily_extract", json!({ "urls": "example.com" }), "/urls", "https://"),
        ("tavily_extract", json!({ "urls": ["ftp://a.example"] }), "/urls/0", "http and https"),
        ("tavily_extract", json!({ "urls": ["http://127.0.0.1", "http://10.0.0.1"] }), "/urls/0", "private"),
        ("tavily_extract", json!({ "urls": "http://169.254.169.254/latest" }), "/urls", "private"),
        ("tavily_extract", json!({ "urls": "http://wiki/" }), "/urls", "internal name"),
        ("tavily_extract", json!({ "urls": "[not json" }), "/urls", "JSON array"),
        ("tavily_extract", json!({ "urls": "[]" }), "/urls", "0 URLs"),
        ("tavily_extract", json!({ "urls": json!(urls(21)).to_string() }), "/urls", "21 URLs"),
    ];
    for (tool, arguments, path, part) in cases {
        let (found, message) = invalid(&bench, tool, arguments.clone()).await;
        assert_eq!(found, path, "{arguments}: {message}");
        assert!(message.contains(part), "{arguments}: {message}");
    }
    assert!(bench.sent().is_empty(), "nothing left");
}

#[tokio::test]
async fn what_is_sent_is_what_was_given_without_nulls_and_with_usage() {
    let bench = Bench::new().await;
    bench
        .search(json!({ "query": "x", "topic": null, "max_results": 3.0, "country": "Japan", "include_answer": true }))
        .await;
    bench.extract(json!({ "urls": "https://a.example", "format": null })).await;
    bench.extract(json!({ "urls": "[\"https://a.example/1\", \"https://b.example/\"]", "timeout": 5 })).await;
    assert_eq!(
        bench.sent(),
        [
            json!({ "query": "x", "max_results": 3, "include_answer": true, "country": "japan", "include_usage": true }),
            json!({ "urls": ["https://a.example/"], "include_usage": true }),
            json!({ "urls": ["https://a.example/1", "https://b.example/"], "timeout": 5.0, "include_usage": true }),
        ]
    );
}

#[tokio::test]
async fn refused_pages_do_not_keep_the_others_from_being_read() {
    let bench = Bench::new().await;
    let given = ["https://a.example/x", "http://10.0.0.1/secret", "https://user:hunter2@b.example/"];
    let result = bench.extract(json!({ "urls": given })).await;
    assert_eq!(bench.sent()[0]["urls"], json!(["https://a.example/x"]));
    let failed = structured(&result)["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 2);
    assert!(failed[0]["error"].as_str().unwrap().starts_with("refused: the address is private"));
    assert_eq!(failed[1]["url"], "https://b.example/");
    assert!(!format!("{result:?}").contains("hunter2"));
    assert!(text(&result).contains("http://10.0.0.1/secret"));
}

#[tokio::test]
async fn defaults_fill_gaps_and_never_override_a_caller() {
    let defaults = json!({ "defaults": {
        "search": { "max_results": 15, "time_range": "week", "country": "japan", "search_depth": "ultra-fast" },
        "extract": { "format": "text", "chunks_per_source": 2, "extract_depth": "advanced" },
    } });
    let bench = Bench::with(defaults).await;
    let cases = [
        (
            json!({}),
            json!({ "search_depth": "ultra-fast", "max_results": 15, "time_range": "week", "country": "japan" }),
        ),
        (
            json!({ "max_results": 7 }),
            json!({ "search_depth": "ultra-fast", "max_results": 7, "time_range": "week", "country": "japan" }),
        ),
        // A default that contradicts the caller yields.
        (
            json!({ "start_date": "2026-01-01", "topic": "news", "chunks_per_source": 2 }),
            json!({ "chunks_per_source": 2, "max_results": 15, "topic": "news", "start_date": "2026-01-01" }),
        ),
    ];
    for (mut given, mut expected) in cases {
        given["query"] = "x".into();
        expected["query"] = "x".into();
        expected["include_usage"] = true.into();
        assert!(!bench.search(given.clone()).await.is_error);
        assert_eq!(bench.sent()[0], expected, "{given}");
    }
    bench.extract(json!({ "urls": "https://a.example/", "extract_depth": "basic" })).await;
    bench.extract(json!({ "urls": "https://a.example/", "query": "y" })).await;
    assert_eq!(
        bench.sent(),
        [
            json!({ "urls": ["https://a.example/"], "extract_depth": "basic", "format": "text", "include_usage": true }),
            json!({ "urls": ["https://a.example/"], "query": "y", "chunks_per_source": 2, "extract_depth": "advanced",
                "format": "text", "include_usage": true }),
        ]
    );
}
