//! Results that are remembered: off unless asked for, each for its own caller, whole ones alone.

use serde_json::{Value, json};
use toolgate_plugin::{CallContext, Caller};
use toolgate_tests::tavily::faults::Act;

use crate::{Bench, by, structured, text};

async fn remembering() -> Bench {
    Bench::with(json!({ "cache": { "keep": "1h" } })).await
}

async fn cached(bench: &Bench, tool: &str, arguments: &Value, cx: CallContext) -> bool {
    let result = bench.call_in(tool, arguments.clone(), cx).await;
    assert!(!result.is_error, "{}", text(&result));
    structured(&result)["cached"] == true
}

#[tokio::test]
async fn nothing_is_remembered_unless_the_operator_says_so() {
    let bench = Bench::new().await;
    for _ in 0..2 {
        assert!(!cached(&bench, "tavily_search", &json!({ "query": "x" }), by("ann")).await);
    }
    assert_eq!(bench.sent().len(), 2);
    for tool in bench.plugin.tools().await.unwrap() {
        let properties = tool.input_schema.get("properties").and_then(Value::as_object);
        assert!(properties.is_none_or(|properties| !properties.contains_key("fresh")), "{}", tool.name);
    }
}

#[tokio::test]
async fn the_same_question_by_the_same_caller_costs_once() {
    let bench = remembering().await;
    let cases = [
        ("tavily_search", json!({ "query": "x", "max_results": 2 })),
        ("tavily_extract", json!({ "urls": "https://a.example/" })),
        ("tavily_map", json!({ "url": "https://a.example", "limit": 5 })),
        ("tavily_crawl", json!({ "url": "https://a.example", "limit": 5 })),
    ];
    for (tool, arguments) in cases {
        assert!(!cached(&bench, tool, &arguments, by("ann")).await, "{tool}");
        let first = bench.sent().len();
        assert_eq!(first, 1);
        let again = bench.call_in(tool, arguments.clone(), by("ann")).await;
        assert_eq!(structured(&again)["cached"], true, "{tool}");
        assert_eq!(structured(&again)["cost"], json!({ "credits": 0, "estimated": false }));
        assert!(text(&again).contains("Cost: none; remembered since 20"), "{}", text(&again));
        assert!(!structured(&again)["sources"].as_array().unwrap().is_empty());
        // Others, other questions, and who wants it fresh, ask.
        let phone = CallContext::new(Caller::new("ann", Some("phone".into()), [].into()), "r");
        assert!(!cached(&bench, tool, &arguments, by("bob")).await, "{tool}");
        assert!(!cached(&bench, tool, &arguments, phone).await, "{tool}");
        let mut other = arguments.clone();
        other["include_favicon"] = true.into();
        if tool != "tavily_map" {
            assert!(!cached(&bench, tool, &other, by("ann")).await, "{tool}");
        }
        let mut fresh = arguments.clone();
        fresh["fresh"] = true.into();
        assert!(!cached(&bench, tool, &fresh, by("ann")).await, "{tool}");
        assert!(cached(&bench, tool, &arguments, by("ann")).await, "{tool}");
        // How much of it is shown is another matter.
        let mut short = arguments.clone();
        short["max_output_tokens"] = 300.into();
        assert!(cached(&bench, tool, &short, by("ann")).await, "{tool}");
        assert!(bench.sent().iter().all(|body| body.get("fresh").is_none() && body.get("max_output_tokens").is_none()));
    }
}

#[tokio::test]
async fn errors_and_partial_results_are_never_remembered() {
    let bench = remembering().await;
    let search = json!({ "query": "x" });
    for fault in ["500", "432", "not-json", "wrong-form", "cut"] {
        bench.stand_in.fail(fault);
        assert!(bench.call_in("tavily_search", search.clone(), by("ann")).await.is_error, "{fault}");
    }
    bench.stand_in.play(Act::Serve);
    assert!(!cached(&bench, "tavily_search", &search, by("ann")).await);
    let none = json!({ "query": "x", "max_results": 0 });
    let partial = json!({ "urls": ["https://a.example/", "https://fail.example/"] });
    for (tool, arguments) in [("tavily_search", none), ("tavily_extract", partial)] {
        for _ in 0..2 {
            assert!(!cached(&bench, tool, &arguments, by("ann")).await, "{tool} {arguments}");
        }
    }
    let crawl = json!({ "url": "https://a.example", "limit": 3 });
    let half = Act::Alter(|answer| answer["results"][1]["raw_content"] = Value::Null);
    bench.stand_in.play(Act::On("crawl", Box::new(half)));
    for _ in 0..2 {
        assert!(!cached(&bench, "tavily_crawl", &crawl, by("ann")).await);
    }
    for _ in 0..2 {
        assert!(!bench.call_in("tavily_research", json!({ "input": "x", "wait": false }), by("ann")).await.is_error);
    }
    let created = bench.stand_in.take_seen().iter().filter(|seen| seen.path == "/research").count();
    assert_eq!(created, 2, "a research is never the same");
}

#[tokio::test]
async fn what_is_remembered_needs_no_budget_and_has_its_own_marks() {
    let bench = Bench::with(json!({ "cache": { "keep": "1h" }, "credits": { "per_subject_per_day": 1 } })).await;
    let search = json!({ "query": "x" });
    let mut ids = std::collections::HashSet::new();
    for _ in 0..3 {
        let result = bench.call_in("tavily_search", search.clone(), by("ann")).await;
        assert!(!result.is_error, "{}", text(&result));
        ids.insert(crate::results::without_id(text(&result)).0);
    }
    assert_eq!((ids.len(), bench.sent().len()), (3, 1));
}

#[tokio::test]
async fn what_is_remembered_is_forgotten_in_time() {
    let bench = Bench::with(json!({ "cache": { "keep": "1s" } })).await;
    let search = json!({ "query": "x" });
    assert!(!cached(&bench, "tavily_search", &search, by("ann")).await);
    let forgotten = async {
        while cached(&bench, "tavily_search", &search, by("ann")).await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), forgotten).await.unwrap();
}

#[tokio::test]
async fn a_page_that_tavily_does_not_mention_is_named_and_the_lack_not_remembered() {
    let pages = |urls: &[&str]| -> Vec<Value> {
        urls.iter().map(|url| json!({ "url": url, "raw_content": "Some text." })).collect()
    };
    let asked = json!({ "urls": ["https://a.example/", "https://b.example/x"] });
    let answers = [
        (json!({ "results": pages(&["https://a.example"]) }), json!(["https://b.example/x"]), false),
        (
            json!({ "results": pages(&["https://a.example/", "https://a.example/#x"]) }),
            json!(["https://b.example/x"]),
            false,
        ),
        (json!({ "results": [] }), json!(["https://a.example/", "https://b.example/x"]), false),
        // Spelt differently, or led elsewhere.
        (json!({ "results": pages(&["http://www.a.example", "https://b.example/x/"]) }), json!([]), true),
        (json!({ "results": pages(&["https://c.example/login", "https://a.example/"]) }), json!([]), true),
    ];
    for (answer, missing, whole) in answers {
        let bench = remembering().await;
        bench.stand_in.play(Act::json(200, &answer));
        for again in [false, true] {
            let result = bench.call_in("tavily_extract", asked.clone(), by("ann")).await;
            let failed = structured(&result)["failed"].as_array().unwrap();
            let named: Value = failed.iter().map(|failed| failed["url"].clone()).collect();
            assert_eq!(named, missing, "{answer}: {}", text(&result));
            assert!(failed.iter().all(|failed| failed["error"].as_str().unwrap().contains("gave no answer")));
            assert_eq!(structured(&result)["cached"], again && whole, "{answer}");
        }
    }
}

#[tokio::test]
async fn what_lacks_something_that_was_asked_for_is_not_remembered() {
    let crawl = json!({ "url": "https://a.example", "limit": 3 });
    let cases = [
        ("tavily_crawl", crawl.clone(), Act::Alter(|answer| answer["results"][1]["raw_content"] = "".into())),
        ("tavily_crawl", crawl.clone(), Act::Alter(with_failure)),
        ("tavily_map", crawl, Act::Alter(with_failure)),
        (
            "tavily_search",
            json!({ "query": "x", "include_raw_content": true }),
            Act::Alter(|answer| answer["results"][0]["raw_content"] = Value::Null),
        ),
        (
            "tavily_search",
            json!({ "query": "x", "include_answer": true }),
            Act::Alter(|answer| answer["answer"] = Value::Null),
        ),
    ];
    for (tool, arguments, alter) in cases {
        let bench = remembering().await;
        bench.stand_in.play(alter.clone());
        for _ in 0..2 {
            let result = bench.call_in(tool, arguments.clone(), by("ann")).await;
            assert_eq!(structured(&result)["cached"], false, "{tool} {arguments}");
            let failed = structured(&result)["failed"].as_array().unwrap();
            assert!(failed.iter().all(|failed| failed["url"] == "https://a.example/x"), "{failed:?}");
        }
        bench.stand_in.play(Act::Serve);
        assert!(!cached(&bench, tool, &arguments, by("ann")).await, "{tool} {arguments}");
        assert!(cached(&bench, tool, &arguments, by("ann")).await, "{tool} {arguments}");
    }
    let bench = remembering().await;
    bench.stand_in.play(Act::Alter(with_failure));
    let result = bench.call_in("tavily_crawl", json!({ "url": "https://a.example", "limit": 3 }), by("ann")).await;
    assert_eq!(structured(&result)["failed"], json!([{ "url": "https://a.example/x", "error": "timeout" }]));
}

fn with_failure(answer: &mut Value) {
    answer["failed_results"] = json!([{ "url": "https://a.example/x", "error": "timeout" }]);
}
