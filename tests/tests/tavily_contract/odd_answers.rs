//! Answers that nobody documented: whatever Tavily sends, a tool says something that fits its schema, and says it soon.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use toolgate_tests::tavily::{KEY, faults::Act};

use crate::{Bench, text};

/// The answers that are documented, with everything in them.
fn good(tool: &str) -> Value {
    let source = json!({
        "id": "7be1d0-01", "title": "A page", "url": "https://a.example/1", "content": "Some text.", "raw_content": "All of it.",
        "score": 0.7, "published_date": "2026-11-22", "favicon": "https://a.example/f.ico",
        "images": ["https://a.example/i.png", { "url": "https://a.example/j.png", "description": "x" }],
    });
    match tool {
        "tavily_map" => {
            json!({ "base_url": "a.example", "results": ["https://a.example/1", "https://a.example/2"], "response_time": 1.0, "usage": { "credits": 1 }, "request_id": "r" })
        }
        "tavily_research" => json!({
            "request_id": "r-1", "status": "completed", "content": "# Report", "sources": [source], "model": "mini",
            "created_at": "2026-11-22T08:00:00Z", "response_time": 61.4, "usage": { "credits": 4 },
        }),
        "tavily_usage" => {
            json!({ "key": { "usage": 12, "limit": 100, "search_usage": 9 }, "account": { "current_plan": "x", "plan_usage": 1 } })
        }
        "tavily_feedback" => json!({ "success": true, "feedback_id": "f", "response_time": 0.1 }),
        _ => json!({
            "query": "x", "answer": "An answer.", "images": ["https://a.example/k.png"], "results": [source, source], "base_url": "a.example",
            "failed_results": [{ "url": "https://b.example", "error": "timeout" }], "response_time": 0.9, "usage": { "credits": 1 }, "request_id": "r",
        }),
    }
}

fn odd(rng: &mut StdRng) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5e308),
        json!(u64::MAX),
        json!(""),
        json!("7"),
        json!("NaN"),
        json!("https://a.example/"),
        json!("http://["),
        json!("x".repeat(5000)),
        json!("\u{0}\u{202e}\n"),
        json!([]),
        json!({}),
        json!([[[[1]]]]),
        json!([null, 7, "x", {}]),
        json!({ "error": { "error": ["x"] } }),
        json!({ "url": { "url": [] } }),
    ];
    values.choose(rng).cloned().unwrap_or_default()
}

/// The answer with something in it exchanged, taken out or added.
fn changed(value: &mut Value, rng: &mut StdRng) {
    match value {
        Value::Object(members) if !members.is_empty() && rng.random_bool(0.85) => {
            let name = members.keys().nth(rng.random_range(0..members.len())).cloned().unwrap_or_default();
            match rng.random_range(0..6) {
                0 => drop(members.shift_remove(&name)),
                1 => drop(members.insert("new".into(), odd(rng))),
                _ => changed(&mut members[&name], rng),
            }
        }
        Value::Array(items) if !items.is_empty() && rng.random_bool(0.85) => {
            let index = rng.random_range(0..items.len());
            changed(&mut items[index], rng);
        }
        value => *value = odd(rng),
    }
}

#[tokio::test]
async fn no_answer_is_too_odd_to_be_told_of() {
    let bench = Bench::with(json!({ "account_usage": true, "credits": { "per_subject_per_day": 1_000_000 } })).await;
    let calls = [
        (
            "tavily_search",
            json!({ "query": "x", "include_answer": true, "include_raw_content": true, "include_domains": ["a.example"], "min_score": 0.1 }),
        ),
        ("tavily_extract", json!({ "urls": "https://a.example/1" })),
        ("tavily_map", json!({ "url": "https://a.example/", "allow_external": false })),
        ("tavily_crawl", json!({ "url": "https://a.example/", "select_domains": ["a"] })),
        ("tavily_research", json!({ "input": "x", "exclude_domains": ["b.example"] })),
        ("tavily_usage", json!({})),
        ("tavily_feedback", json!({ "request_id": "r" })),
    ];
    let mut rng = StdRng::seed_from_u64(20_261_122);
    for round in 0..120 {
        for (tool, arguments) in &calls {
            let mut answer = good(tool);
            for _ in 0..rng.random_range(1..4) {
                changed(&mut answer, &mut rng);
            }
            // A research that is not done yet would be asked about for long.
            if *tool == "tavily_research" && answer.is_object() && answer["status"] != "completed" {
                answer["status"] = "completed".into();
            }
            bench.stand_in.play(Act::json(200, &answer));
            let within = std::time::Duration::from_secs(60);
            let called = tokio::time::timeout(within, bench.call(tool, arguments.clone())).await;
            let result = called.unwrap_or_else(|_| panic!("round {round}, {tool}: no end for {answer}"));
            assert!(!text(&result).is_empty() && text(&result).len() < 100_000, "round {round}, {tool}: {answer}");
        }
        bench.stand_in.take_seen();
    }
}

#[tokio::test]
async fn no_error_is_too_odd_to_be_told_of() {
    let bench = Bench::new().await;
    let mut rng = StdRng::seed_from_u64(20_261_123);
    for round in 0..300 {
        let mut error = json!({ "detail": { "error": "x", "error_code": "y", "failed_results": [{ "url": "x", "error": "y" }] }, "error": { "code": "z", "retry_after_seconds": 1 } });
        for _ in 0..rng.random_range(1..4) {
            changed(&mut error, &mut rng);
        }
        let status = *[400, 401, 402, 403, 404, 405, 408, 409, 418, 422, 432, 433, 451, 499].choose(&mut rng).unwrap();
        bench.stand_in.play(Act::json(status, &error));
        let result = bench.call("tavily_crawl", json!({ "url": "https://a.example" })).await;
        assert!(result.is_error, "round {round}: {status} {error}");
        assert_eq!(crate::error(&result)["http_status"], status, "round {round}: {error}");
        assert_eq!(bench.sent().len(), 1);
    }
}

/// The key as JSON can write it.
fn escaped(answer: &Value) -> String {
    answer.to_string().replace(KEY, &KEY.replace('-', "\\u002d"))
}

#[tokio::test]
async fn the_key_does_not_come_back_whatever_tavily_echoes() {
    let said = format!("before {KEY} after");
    let url = format!("https://a.example/?k={KEY}");
    let page = json!({ "url": url, "title": said, "content": said, "raw_content": said });
    let failed = json!([{ "url": url, "error": said }]);
    let walk =
        json!({ "base_url": said, "results": [page], "failed_results": failed, "request_id": said, "answer": said });
    let refusal = json!({ "detail": { "error": said, "failed_results": failed }, "request_id": said });
    let report =
        json!({ "request_id": "r-1", "status": "completed", "content": { said.clone(): said }, "sources": [page] });
    let cases = [
        ("tavily_search", json!({ "query": "x", "include_answer": true, "include_raw_content": true }), 200, &walk),
        ("tavily_extract", json!({ "urls": "https://a.example" }), 200, &walk),
        ("tavily_crawl", json!({ "url": "https://a.example" }), 200, &walk),
        ("tavily_extract", json!({ "urls": "https://a.example" }), 400, &refusal),
        ("tavily_research", json!({ "input": "x" }), 200, &report),
        ("tavily_research", json!({ "input": "x" }), 400, &refusal),
    ];
    for (tool, arguments, status, answer) in cases {
        for body in [answer.to_string(), escaped(answer)] {
            let bench = Bench::new().await;
            bench.stand_in.play(Act::Answer { status, headers: Vec::new(), body });
            let result = bench.call(tool, arguments.clone()).await;
            let all = format!("{} {}", text(&result), crate::structured(&result));
            assert!(!all.contains(KEY) && all.contains("(the key)"), "{tool} {status}: {all}");
        }
    }
}

#[tokio::test]
async fn an_error_beside_no_results_is_an_error_and_a_number_is_a_name() {
    let bench = Bench::new().await;
    bench.stand_in.play(Act::json(200, &json!({ "results": [], "error": "boom" })));
    let result = bench.search(json!({ "query": "x" })).await;
    assert_eq!(crate::error(&result)["code"], "upstream_invalid_response");
    assert_eq!(crate::error(&result)["upstream_message"], "an error in place of a result: boom");
    bench.stand_in.play(Act::json(200, &json!({ "results": [], "request_id": 77 })));
    assert_eq!(crate::structured(&bench.search(json!({ "query": "x" })).await)["request_id"], "77");
    bench.stand_in.play(Act::json(201, &json!({ "request_id": 77, "status": "pending" })));
    let begun = bench.call("tavily_research", json!({ "input": "x", "wait": false })).await;
    assert_eq!(crate::structured(&begun)["request_id"], "77");
}
