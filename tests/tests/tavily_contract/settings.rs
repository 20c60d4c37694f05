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
        (json!({ "max_output": { "per_source": "1 B" } }), "max_output.per_source", "out of range"),
        (json!({ "max_output": { "each": "1 KiB" } }), "max_output.each", "unknown setting"),
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
async fn without_a_key_there_are_two_tools_and_requests_say_keyless() {
    let bench = Bench::with(json!({ "api_key": "" })).await;
    let names: Vec<String> = bench.plugin.tools().await.unwrap().into_iter().map(|tool| tool.name).collect();
    assert_eq!(names, ["tavily_search", "tavily_extract"]);
    assert!(!bench.search(json!({ "query": "x" })).await.is_error);
    let seen = bench.stand_in.take_seen().remove(0);
    assert_eq!(seen.headers["x-tavily-access-mode"], "keyless");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn the_key_is_in_the_header_and_nowhere_else() {
    let bench = Bench::with(json!({ "project_id": "p-1", "org_id": "o-1", "client_source": "mine" })).await;
    let mut said = Vec::new();
    for fault in ["no-auth-header", "key-deactivated", "500", "not-json", "close", "432"] {
        bench.stand_in.fail(fault);
        said.push(format!("{:?}", bench.search(json!({ "query": "x" })).await));
        said.push(format!("{:?}", bench.extract(json!({ "urls": "https://a.example" })).await));
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
