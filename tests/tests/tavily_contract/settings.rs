//! What the plugin takes as settings, and what it keeps to itself.

use serde_json::{Value, json};
use toolgate_plugin::{HostHandle, LogLevel, Notice};
use toolgate_tests::tavily::KEY;

use crate::{Bench, error, refused, text};

#[test]
fn wrong_settings_name_their_path_and_the_remedy() {
    let cases = [
        (json!({ "api_kye": "x" }), "api_kye", "unknown setting \"api_kye\""),
        (json!({ "api_key": 5 }), "api_key", "must be a string"),
        (json!({ "api_key": "tvly-a b" }), "api_key", "holds a blank"),
        (json!({ "api_key": "tvly-a\u{0}" }), "api_key", "holds a blank"),
        (json!({ "api_key": " tvly-a" }), "api_key", "holds a blank"),
        (json!({ "api_key": "tvly-ä" }), "api_key", "holds a blank"),
        (json!({ "api_key": "x".repeat(600) }), "api_key", "longer than 512"),
        (json!({ "api_base_url": "tavily" }), "api_base_url", "not a URL"),
        (json!({ "api_base_url": "http://api.tavily.com" }), "api_base_url", "plain http"),
        (json!({ "api_base_url": "http://10.0.0.1" }), "api_base_url", "plain http"),
        (json!({ "api_base_url": "ftp://127.0.0.1" }), "api_base_url", "\"ftp\""),
        (json!({ "api_base_url": "https://u:p@api.tavily.com" }), "api_base_url", "user name"),
        (json!({ "api_base_url": "https://api.tavily.com?x" }), "api_base_url", "query"),
        (json!({ "client_source": "a b" }), "client_source", "without spaces"),
        (json!({ "client_source": "" }), "client_source", "1 to 200"),
        (json!({ "project_id": "a\nb" }), "project_id", "without spaces"),
        (json!({ "timeout": 30 }), "timeout", "30"),
        (json!({ "timeout": "soon" }), "timeout", "soon"),
        (json!({ "timeout": "1h" }), "timeout", "1s to 10m"),
        (json!({ "crawl_timeout": "5s" }), "crawl_timeout", "10s to 10m"),
        (json!({ "max_output_tokens": 100 }), "max_output_tokens", "100"),
        (json!({ "credits": { "per_call": -1 } }), "credits.per_call", "-1"),
        (json!({ "credits": { "per_day": "many" } }), "credits.per_day", "many"),
        (json!({ "credits": { "per_week": 1 } }), "credits.per_week", "unknown setting"),
        (json!({ "max_pages": { "map": 0 } }), "max_pages.map", "0"),
        (json!({ "max_pages": { "crawl": 10_001 } }), "max_pages.crawl", "10001"),
        (json!({ "research": { "wait": "0s" } }), "research.wait", "1s to 1h"),
        (json!({ "research": { "silence": "soon" } }), "research.silence", "soon"),
        (json!({ "research": { "stream": "always" } }), "research.stream", "always"),
        (json!({ "cache": { "keep": "0s" } }), "cache.keep", "1s to 1day"),
        (json!({ "cache": { "keep": "1m", "size": "1 B" } }), "cache.size", "64 KiB to 1 GiB"),
        (json!({ "cache": {} }), "cache", "keep"),
        (json!({ "sites": { "allow": ["a b"] } }), "sites.allow.0", "no public domain"),
        (json!({ "sites": { "allow": ["localhost"] } }), "sites.allow.0", "no public domain"),
        (json!({ "marks": "none" }), "marks", "none"),
        (json!({ "defaults": { "map": { "limit": 501 } } }), "defaults.map.limit", "500"),
        (json!({ "defaults": { "crawl": { "limit": 101 } } }), "defaults.crawl.limit", "100"),
        (json!({ "defaults": { "crawl": { "url": "https://a.example" } } }), "defaults.crawl.url", "unknown setting"),
        (json!({ "defaults": { "map": { "select_domains": ["("] } } }), "defaults.map.select_domains.0", "no regular"),
        (json!({ "defaults": { "research": { "model": "ultra" } } }), "defaults.research.model", "ultra"),
        (json!({ "defaults": { "research": { "files": [] } } }), "defaults.research.files", "unknown setting"),
        (json!({ "human_id": "yes" }), "human_id", "boolean"),
        (json!({ "defaults": { "search": { "max_results": 21 } } }), "defaults.search.max_results", "21"),
        (json!({ "defaults": { "search": { "max_result": 2 } } }), "defaults.search.max_result", "unknown setting"),
        (json!({ "defaults": { "search": { "query": "x" } } }), "defaults.search.query", "unknown setting"),
        (json!({ "defaults": { "search": { "topic": "sports" } } }), "defaults.search.topic", "sports"),
        (
            json!({ "defaults": { "search": { "country": "japan", "topic": "news" } } }),
            "defaults.search.country",
            "general",
        ),
        (
            json!({ "defaults": { "search": { "start_date": "2026-02-30" } } }),
            "defaults.search.start_date",
            "not a day",
        ),
        (
            json!({ "defaults": { "search": { "include_domains": ["a b"] } } }),
            "defaults.search.include_domains.0",
            "no domain",
        ),
        (json!({ "defaults": { "extract": { "timeout": 61 } } }), "defaults.extract.timeout", "61"),
        (
            json!({ "defaults": { "extract": { "urls": "https://a.example" } } }),
            "defaults.extract.urls",
            "unknown setting",
        ),
        (json!([]), "", "object"),
    ];
    for (settings, path, part) in cases {
        let (found, message) = refused(settings.clone());
        assert_eq!(found, path, "{settings}: {message}");
        assert!(message.contains(part), "{settings}: {message}");
    }
}

#[test]
fn the_key_is_in_no_error_of_the_settings() {
    for key in
        [json!("tvly-secret one"), json!(["tvly-secret"]), json!({ "tvly-secret": 1 }), json!("tvly-secret\u{7}")]
    {
        let (path, message) = refused(json!({ "api_key": key }));
        assert!(!message.contains("secret") && !path.contains("secret"), "{message}");
    }
}

#[test]
fn settings_may_be_absent_and_a_line_end_behind_the_key_is_no_part_of_it() {
    for settings in [Value::Null, json!({}), json!({ "api_key": "" }), json!({ "api_key": "tvly-x\n" })] {
        assert!(toolgate_tavily::provider(settings, HostHandle::for_tests()).is_ok());
    }
}

#[tokio::test]
async fn the_key_is_in_the_header_and_nowhere_else() {
    let bench = Bench::with(json!({ "project_id": "p-1", "org_id": "o-1", "client_source": "mine" })).await;
    let mut said = Vec::new();
    for fault in ["no-auth-header", "key-deactivated", "500", "not-json", "close", "432"] {
        bench.stand_in.fail(fault);
        said.push(format!("{:?}", bench.search(json!({ "query": "x" })).await));
        said.push(format!("{:?}", bench.extract(json!({ "urls": "https://a.example" })).await));
        said.push(format!("{:?}", bench.call("tavily_map", json!({ "url": "https://a.example" })).await));
        said.push(format!("{:?}", bench.call("tavily_crawl", json!({ "url": "https://a.example" })).await));
        said.push(format!("{:?}", bench.call("tavily_research", json!({ "input": "x" })).await));
        said.push(format!("{:?}", bench.call("tavily_usage", json!({})).await));
        said.push(format!("{:?}", bench.call("tavily_feedback", json!({ "request_id": "r" })).await));
    }
    for seen in bench.stand_in.take_seen() {
        assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
        for (name, value) in [("x-project-id", "p-1"), ("x-tavily-orgid", "o-1"), ("x-client-source", "mine")] {
            assert_eq!(seen.headers[name], value);
        }
        assert!(!seen.headers.contains_key("x-human-id") && !seen.headers.contains_key("x-tavily-access-mode"));
        assert!(!String::from_utf8_lossy(&seen.body).contains(KEY) && seen.json().get("api_key").is_none());
    }
    said.push(format!("{:?}", bench.notices.lock().unwrap()));
    assert!(said.iter().all(|said| !said.contains(KEY)), "{said:?}");
}

#[tokio::test]
async fn a_key_that_tavily_repeats_is_not_passed_on() {
    let bench = Bench::new().await;
    let error = json!({ "detail": { "error": format!("The key {KEY} is unknown."), "failed_results": [{ "url": "x", "error": KEY }] } });
    let mut said = Vec::new();
    for status in [200, 400, 401, 403, 429, 500] {
        bench.stand_in.play(toolgate_tests::tavily::faults::Act::json(status, &error));
        for (tool, arguments) in [
            ("tavily_search", json!({ "query": "x" })),
            ("tavily_research", json!({ "input": "x" })),
            ("tavily_usage", json!({})),
            ("tavily_feedback", json!({ "request_id": "r" })),
        ] {
            let result = bench.call(tool, arguments).await;
            // In the text, or at least in the details.
            let told = format!("{result:?}");
            assert!(result.is_error && told.contains("The key (the key) is unknown."), "{tool} {told}");
            said.push(format!("{result:?}"));
        }
    }
    let failed = json!({ "request_id": "r", "status": "failed", "error": format!("{KEY} ran out") });
    bench.stand_in.play(toolgate_tests::tavily::faults::Act::json(200, &failed));
    said.push(format!("{:?}", bench.call("tavily_research", json!({ "input": "x" })).await));
    let body = format!("data: {{\"object\":\"error\",\"error\":\"{KEY} ran out\"}}\n\n");
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    bench.stand_in.play(toolgate_tests::tavily::faults::Act::Answer { status: 200, headers, body });
    said.push(format!("{:?}", bench.call("tavily_research", json!({ "input": "x" })).await));
    said.push(format!("{:?}", bench.call("tavily_get_research", json!({})).await));
    said.push(format!("{:?}", bench.notices.lock().unwrap()));
    for said in said {
        assert!(!said.contains(KEY), "{said}");
    }
    for entry in std::fs::read_dir(bench.state.path().join("research")).unwrap() {
        let kept = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!kept.contains(KEY), "{kept}");
    }
}

#[tokio::test]
async fn a_refused_key_is_told_to_the_operator_once_and_shows_in_health() {
    let bench = Bench::new().await;
    bench.stand_in.fail("key-deactivated");
    for _ in 0..3 {
        let result = bench.search(json!({ "query": "x" })).await;
        assert_eq!(error(&result)["code"], "upstream_unauthorized");
        assert!(text(&result).contains("tell the operator"), "{}", text(&result));
    }
    let notices = bench.notices.lock().unwrap().clone();
    let [Notice::Log { level: LogLevel::Error, message }] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(message.contains("deactivated") && message.contains("api_key"), "{message}");
    assert_ne!(bench.plugin.health().await, toolgate_plugin::Health::Ready);
    bench.stand_in.play(toolgate_tests::tavily::faults::Act::Serve);
    assert!(!bench.search(json!({ "query": "x" })).await.is_error);
    assert_eq!(bench.plugin.health().await, toolgate_plugin::Health::Ready);
}

#[tokio::test]
async fn callers_get_opaque_ids_only_if_the_operator_wants_them() {
    let bench = Bench::with(json!({ "human_id": true })).await;
    let mut ids = Vec::new();
    for subject in ["alice@example.com", "bob@example.com", "alice@example.com"] {
        let caller = toolgate_plugin::Caller::new(subject, None, [].into());
        bench.call_in("tavily_search", json!({ "query": "x" }), toolgate_plugin::CallContext::new(caller, "r")).await;
        let id = bench.stand_in.take_seen().remove(0).headers["x-human-id"].to_str().unwrap().to_owned();
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        ids.push(id);
    }
    assert!(ids[0] == ids[2] && ids[0] != ids[1]);
}
