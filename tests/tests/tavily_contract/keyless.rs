//! Without a key: what works, and what says that it does not.

use serde_json::json;

use crate::{Bench, error, text};

const WITH_A_KEY: [&str; 6] =
    ["tavily_map", "tavily_crawl", "tavily_research", "tavily_get_research", "tavily_usage", "tavily_feedback"];

async fn keyless() -> Bench {
    Bench::with(json!({ "api_key": "" })).await
}

#[tokio::test]
async fn search_and_extract_work_and_say_keyless() {
    let bench = keyless().await;
    assert!(!bench.search(json!({ "query": "x" })).await.is_error);
    assert!(!bench.extract(json!({ "urls": "https://a.example" })).await.is_error);
    for seen in bench.stand_in.take_seen() {
        assert_eq!(seen.headers["x-tavily-access-mode"], "keyless");
        assert!(!seen.headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn the_others_are_listed_and_say_what_is_missing_without_asking_anybody() {
    let bench = keyless().await;
    let tools = bench.plugin.tools().await.unwrap();
    assert_eq!(tools.len(), 8);
    for tool in tools {
        let needs = tool
            .description
            .as_ref()
            .unwrap()
            .starts_with("Does not work on this server now: it needs a Tavily API key");
        assert_eq!(needs, WITH_A_KEY.contains(&tool.name.as_str()), "{}", tool.name);
    }
    for tool in WITH_A_KEY {
        let arguments = match tool {
            "tavily_map" | "tavily_crawl" => json!({ "url": "https://a.example" }),
            "tavily_research" => json!({ "input": "x" }),
            "tavily_feedback" => json!({ "request_id": "r" }),
            _ => json!({}),
        };
        let result = bench.call(tool, arguments).await;
        assert_eq!((&error(&result)["code"], &error(&result)["retryable"]), (&json!("needs_api_key"), &json!(false)));
        assert!(text(&result).contains("set `api_key`"), "{}", text(&result));
    }
    assert!(bench.sent().is_empty());
    assert!(bench.notices.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_limits_of_the_keyless_mode_are_told_with_and_without_a_key() {
    for (settings, part) in [(json!({ "api_key": "" }), "set an API key"), (json!({}), "check the API key")] {
        for (fault, wait) in [("keyless-limit", 3600), ("keyless-limit-string", 60)] {
            let bench = Bench::with(settings.clone()).await;
            bench.stand_in.fail(fault);
            let result = bench.search(json!({ "query": "x" })).await;
            let details = error(&result);
            assert_eq!(
                (&details["code"], &details["retry_after_s"]),
                (&json!("keyless_limit"), &json!(wait)),
                "{fault}"
            );
            assert!(text(&result).contains(part) && !text(&result).contains("signup.example"), "{}", text(&result));
            assert_eq!(bench.sent().len(), 1);
        }
    }
}
