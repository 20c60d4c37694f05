//! What calls cost, and what they may: refused before they are sent, set aside while they run, settled when they are
//! done, and never given back by mistake.

use std::time::Duration;

use serde_json::{Value, json};
use toolgate_plugin::{Health, LogLevel, Notice, ToolCall};
use toolgate_tests::tavily::{KEY, StandIn, faults::Act};

use crate::{Bench, by, due_in, error, structured, text, until};

fn search() -> Value {
    json!({ "query": "x" })
}

async fn with(ceilings: Value) -> Bench {
    Bench::with(json!({ "credits": ceilings })).await
}

/// What the budget of a caller says.
async fn used(bench: &Bench, subject: &str, ceiling: &str) -> f64 {
    let usage = bench.call_in("tavily_usage", json!({}), by(subject)).await;
    let budget = structured(&usage)["budget"].as_array().unwrap();
    budget.iter().find(|allowance| allowance["ceiling"] == ceiling).unwrap()["used"].as_f64().unwrap()
}

#[tokio::test]
async fn every_call_says_what_it_cost() {
    let bench = Bench::new().await;
    let cases = [
        ("tavily_search", search(), 1.0, false),
        ("tavily_search", json!({ "query": "x", "search_depth": "advanced" }), 2.0, false),
        (
            "tavily_extract",
            json!({ "urls": (0..5).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>() }),
            1.0,
            false,
        ),
        ("tavily_map", json!({ "url": "https://a.example", "limit": 20 }), 2.0, false),
        ("tavily_crawl", json!({ "url": "https://a.example", "limit": 10 }), 3.0, false),
        ("tavily_research", json!({ "input": "x", "model": "mini" }), 4.0, false),
        ("tavily_research", json!({ "input": "x", "model": "mini", "wait": false }), 110.0, true),
        ("tavily_research", json!({ "input": "x", "wait": false }), 250.0, true),
        ("tavily_get_research", json!({}), 0.0, false),
        ("tavily_usage", json!({}), 0.0, false),
        ("tavily_feedback", json!({ "request_id": "r" }), 0.0, false),
    ];
    for (tool, arguments, credits, estimated) in cases {
        let result = bench.call(tool, arguments.clone()).await;
        let cost = &structured(&result)["cost"];
        assert_eq!(
            (cost["credits"].as_f64(), &cost["estimated"]),
            (Some(credits), &json!(estimated)),
            "{tool} {arguments}"
        );
    }
    // Where Tavily does not say, the price list does.
    bench.stand_in.fail("optional-missing");
    let cases = [
        ("tavily_search", json!({ "query": "x", "auto_parameters": true }), 2.0),
        ("tavily_extract", json!({ "urls": ["https://a.example/1"], "extract_depth": "advanced" }), 2.0),
        ("tavily_map", json!({ "url": "https://a.example", "limit": 20, "instructions": "x" }), 4.0),
        ("tavily_crawl", json!({ "url": "https://a.example", "limit": 10, "extract_depth": "advanced" }), 5.0),
    ];
    for (tool, arguments, credits) in cases {
        let result = bench.call(tool, arguments.clone()).await;
        let expected = json!({ "credits": credits as u64, "estimated": true });
        assert_eq!(structured(&result)["cost"], expected, "{tool} {arguments}");
        assert!(text(&result).contains("Tavily did not say"), "{}", text(&result));
    }
}

#[tokio::test]
async fn a_call_that_could_cost_too_much_is_refused_before_it_is_sent_with_the_figures() {
    let bench = with(json!({ "per_call": 9 })).await;
    let cases = [
        ("tavily_map", json!({ "url": "https://a.example", "limit": 100 }), 10),
        ("tavily_crawl", json!({ "url": "https://a.example", "limit": 50 }), 15),
        ("tavily_crawl", json!({ "url": "https://a.example" }), 15),
        (
            "tavily_crawl",
            json!({ "url": "https://a.example", "limit": 50, "extract_depth": "advanced", "instructions": "x" }),
            30,
        ),
        ("tavily_research", json!({ "input": "x", "model": "mini" }), 110),
        ("tavily_research", json!({ "input": "x" }), 250),
        ("tavily_research", json!({ "input": "x", "wait": false }), 250),
    ];
    for (tool, arguments, needed) in cases {
        let result = bench.call(tool, arguments.clone()).await;
        let details = error(&result);
        assert_eq!(details["code"], "credit_ceiling", "{tool} {arguments}");
        assert_eq!(
            details["budget"],
            json!({ "ceiling": "call", "most": 9, "used": 0, "needed": needed }),
            "{tool} {arguments}"
        );
        assert_eq!((&details["retryable"], &details["cost"]["credits"]), (&json!(false), &json!(0)));
        assert!(text(&result).contains(&format!("could cost {needed} credits")) && text(&result).contains("9 at most"));
    }
    assert!(bench.sent().is_empty(), "nothing left");
    assert!(!bench.call("tavily_map", json!({ "url": "https://a.example", "limit": 90 })).await.is_error);
}

#[tokio::test]
async fn a_caller_has_a_budget_and_all_together_have_one() {
    let bench = with(json!({ "per_subject_per_day": 3, "per_day": 5 })).await;
    let code = async |subject: &str| {
        let result = bench.call_in("tavily_search", search(), by(subject)).await;
        result.is_error.then(|| error(&result)["budget"]["ceiling"].as_str().unwrap().to_owned())
    };
    for expected in [None, None, None, Some("subject"), Some("subject")] {
        assert_eq!(code("ann").await.as_deref(), expected);
    }
    for expected in [None, None, Some("day")] {
        assert_eq!(code("bob").await.as_deref(), expected);
    }
    assert_eq!(code("cat").await.as_deref(), Some("day"));
    assert_eq!(bench.sent().len(), 5);
    let result = bench.call_in("tavily_search", search(), by("ann")).await;
    let details = error(&result);
    assert_eq!(details["budget"], json!({ "ceiling": "subject", "most": 3, "used": 3, "needed": 1 }));
    let wait = details["retry_after_s"].as_u64().unwrap();
    assert!(details["retryable"] == true && (1..=86_400).contains(&wait), "{details}");
    assert!(text(&result).contains("0 of your 3 for today are left"), "{}", text(&result));
    // What is more than a day's budget does not fit tomorrow either.
    let result = bench.call_in("tavily_map", json!({ "url": "https://a.example" }), by("dan")).await;
    assert_eq!((&error(&result)["retryable"], &error(&result)["retry_after_s"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn budgets_survive_a_restart_and_other_ceilings() {
    let mut bench = with(json!({ "per_subject_per_day": 3 })).await;
    for _ in 0..2 {
        assert!(!bench.call_in("tavily_search", search(), by("ann")).await.is_error);
    }
    bench.restart(json!({})).await;
    assert_eq!(used(&bench, "ann", "subject").await, 2.0);
    assert!(!bench.call_in("tavily_search", search(), by("ann")).await.is_error);
    assert!(bench.call_in("tavily_search", search(), by("ann")).await.is_error);
    bench.restart(json!({ "credits": { "per_subject_per_day": 4 } })).await;
    assert!(!bench.call_in("tavily_search", search(), by("ann")).await.is_error);
    assert!(bench.call_in("tavily_search", search(), by("ann")).await.is_error);
    bench.restart(json!({ "credits": { "per_day": 4 } })).await;
    assert!(bench.call_in("tavily_search", search(), by("bob")).await.is_error);
}

#[tokio::test]
async fn instances_at_the_same_time_share_one_budget() {
    // As while a reload lets old calls end, or a command runs beside the server.
    let bench = with(json!({ "per_day": 7 })).await;
    let other = crate::plugin(bench.settings.clone(), &bench.state, &bench.notices);
    let mut taken = 0;
    for n in 0..12 {
        let plugin = if n % 2 == 0 { &bench.plugin } else { &other };
        let call = ToolCall { name: "tavily_search".into(), arguments: search().as_object().unwrap().clone() };
        taken += usize::from(plugin.call(call, by("ann")).await.is_ok());
    }
    assert_eq!((taken, bench.sent().len()), (7, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_never_overspend() {
    let bench = with(json!({ "per_subject_per_day": 10, "per_day": 24 })).await;
    let calls = (0..90).map(|n| {
        let (bench, subject) = (&bench, ["ann", "bob", "cat"][n % 3]);
        async move { !bench.call_in("tavily_search", search(), by(subject)).await.is_error }
    });
    let taken = futures_util::future::join_all(calls).await.into_iter().filter(|taken| *taken).count();
    assert_eq!((taken, bench.stand_in.used(KEY)), (24, 24));
}

#[tokio::test]
async fn what_is_set_aside_for_a_call_that_runs_is_not_there_for_another() {
    let bench = with(json!({ "per_subject_per_day": 4 })).await;
    bench.stand_in.play(Act::Hang);
    let slow = bench.call_in(
        "tavily_extract",
        json!({ "urls": (0..20).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>() }),
        by("ann"),
    );
    let second = async {
        until("the first is under way", || !bench.stand_in.take_seen().is_empty()).await;
        let result = bench.call_in("tavily_search", search(), by("ann")).await;
        error(&result)["budget"].clone()
    };
    tokio::select! {
        _ = slow => panic!("it hangs"),
        budget = second => assert_eq!(budget, json!({ "ceiling": "subject", "most": 4, "used": 4, "needed": 1 })),
    }
    // Nobody waits for the first any more: it may have been billed.
    bench.stand_in.play(Act::Serve);
    assert_eq!(used(&bench, "ann", "subject").await, 4.0);
}

#[tokio::test]
async fn what_surely_cost_nothing_is_given_back_and_what_may_have_cost_is_not() {
    let cases = [
        ("432", "tavily_search", 0.0),
        ("429-no-header", "tavily_search", 0.0),
        ("no-auth-header", "tavily_search", 0.0),
        ("422-list-detail", "tavily_search", 0.0),
        ("500", "tavily_search", 0.0),
        ("redirect", "tavily_search", 0.0),
        ("hang", "tavily_search", 1.0),
        ("cut", "tavily_search", 1.0),
        ("close", "tavily_search", 1.0),
        ("not-json", "tavily_search", 1.0),
        ("wrong-form", "tavily_search", 1.0),
        ("432", "tavily_crawl", 0.0),
        ("500", "tavily_crawl", 15.0),
        ("hang", "tavily_crawl", 15.0),
        ("432", "tavily_research", 0.0),
        ("500", "tavily_research", 250.0),
        ("research-nameless", "tavily_research", 250.0),
        ("stream-cut", "tavily_research", 250.0),
        ("stream-error-data", "tavily_research", 250.0),
        ("research-failed", "tavily_research", 250.0),
    ];
    for (fault, tool, kept) in cases {
        let bench = with(json!({ "per_subject_per_day": 1000 })).await;
        bench.stand_in.fail(fault);
        let arguments = match tool {
            "tavily_search" => search(),
            "tavily_crawl" => json!({ "url": "https://a.example" }),
            _ => json!({ "input": "x" }),
        };
        let mut cx = by("ann");
        if fault == "hang" {
            cx.deadline = due_in(Duration::from_millis(600)).deadline;
        }
        let result = bench.call_in(tool, arguments, cx).await;
        assert_eq!(error(&result)["cost"]["credits"].as_f64(), Some(kept), "{fault} {tool}: {}", text(&result));
        bench.stand_in.play(Act::Serve);
        assert_eq!(used(&bench, "ann", "subject").await, kept, "{fault} {tool}");
    }
    // Nothing was sent.
    let mut bench = with(json!({ "per_subject_per_day": 1000 })).await;
    let other = StandIn::start().await.unwrap();
    let url = other.url();
    std::mem::replace(&mut bench.stand_in, other).stop().await;
    let result = bench.call_in("tavily_search", search(), by("ann")).await;
    assert_eq!(error(&result)["code"], "upstream_unreachable");
    bench.restart(json!({ "api_base_url": url })).await;
    assert_eq!(used(&bench, "ann", "subject").await, 0.0);
}

#[tokio::test]
async fn what_a_call_came_to_is_counted_in_place_of_what_was_set_aside() {
    let bench = with(json!({ "per_subject_per_day": 1000 })).await;
    let pages: Vec<String> = (0..12).map(|n| format!("https://a.example/{n}")).collect();
    let cases = [
        ("tavily_extract", json!({ "urls": pages }), 2.0),
        ("tavily_map", json!({ "url": "https://a.example", "limit": 100 }), 8.0),
        ("tavily_research", json!({ "input": "x" }), 12.0),
    ];
    for (tool, arguments, sum) in cases {
        assert!(!bench.call_in(tool, arguments, by("ann")).await.is_error);
        assert_eq!(used(&bench, "ann", "subject").await, sum, "{tool}");
    }
    // A research that nobody waits for is settled when it is asked for, even by another process.
    let begun = bench.call_in("tavily_research", json!({ "input": "x", "wait": false }), by("ann")).await;
    assert_eq!(used(&bench, "ann", "subject").await, 262.0);
    let mut bench = bench;
    bench.restart(json!({})).await;
    for _ in 0..5 {
        let id = &structured(&begun)["request_id"];
        bench.call_in("tavily_get_research", json!({ "request_id": id }), by("ann")).await;
    }
    assert_eq!(used(&bench, "ann", "subject").await, 16.0, "settled once");
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_stops_what_costs_and_is_told_once() {
    let bench = with(json!({ "per_day": 100 })).await;
    assert!(!bench.search(search()).await.is_error);
    let folder = bench.state.path().join("credits");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let read = || std::fs::read_to_string(&file).unwrap();
    // What the call came to is written behind its answer.
    until("it is settled", || read().lines().count() == 3).await;
    let sound = read();
    std::fs::write(&file, format!("{sound}nonsense\n")).unwrap();
    bench.sent();
    for _ in 0..3 {
        let result = bench.search(search()).await;
        assert_eq!(
            (&error(&result)["code"], &error(&result)["retryable"]),
            (&json!("state_unavailable"), &json!(false))
        );
        assert!(text(&result).contains("tell the operator"), "{}", text(&result));
    }
    assert!(bench.sent().is_empty());
    let notices = bench.notices.lock().unwrap().clone();
    let [Notice::Log { level: LogLevel::Error, message }] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(message.contains("line 4") && message.contains(file.to_str().unwrap()), "{message}");
    assert!(matches!(bench.plugin.health().await, Health::Degraded(_)));
    std::fs::write(&file, sound).unwrap();
    assert!(!bench.search(search()).await.is_error);
    assert_eq!(bench.plugin.health().await, Health::Ready);
}

#[tokio::test]
async fn without_a_ceiling_on_days_nothing_is_written() {
    let bench = Bench::new().await;
    assert!(!bench.search(search()).await.is_error);
    assert_eq!(std::fs::read_dir(bench.state.path()).unwrap().count(), 0);
    let usage = bench.call("tavily_usage", json!({})).await;
    assert_eq!(structured(&usage)["budget"].as_array().unwrap().len(), 1, "the ceiling on a call");
}

#[tokio::test]
async fn more_pages_than_the_server_allows_are_refused_with_the_figure() {
    let bench = Bench::with(json!({ "max_pages": { "map": 30, "crawl": 20 } })).await;
    for (tool, most) in [("tavily_map", 30), ("tavily_crawl", 20)] {
        let tools = bench.plugin.tools().await.unwrap();
        let schema = &tools.iter().find(|known| known.name == tool).unwrap().input_schema;
        assert_eq!(schema["properties"]["limit"]["maximum"], json!(most), "{tool}");
        let (path, message) =
            crate::invalid(&bench, tool, json!({ "url": "https://a.example", "limit": most + 1 })).await;
        assert!(path == "/limit" && message.contains(&format!("use {most} at most")), "{path} {message}");
        assert!(bench.sent().is_empty());
        assert!(!bench.call(tool, json!({ "url": "https://a.example" })).await.is_error);
        assert_eq!(bench.sent()[0]["limit"], json!(most), "what is left out is what is allowed");
    }
}

#[tokio::test]
async fn a_research_that_failed_at_a_price_costs_that() {
    let failed: fn(&mut Value) = |answer| {
        if answer["status"] == "completed" {
            *answer = json!({ "request_id": answer["request_id"], "status": "failed", "usage": { "credits": 5 } });
        }
    };
    let at_once = json!({ "status": "failed", "content": "", "usage": { "credits": 5 } });
    for act in [Act::Alter(failed), Act::json(200, &at_once)] {
        let bench = with(json!({ "per_subject_per_day": 1000 })).await;
        bench.stand_in.play(act.clone());
        let result = bench.call_in("tavily_research", json!({ "input": "x" }), by("ann")).await;
        assert_eq!(error(&result)["code"], "research_failed", "{act:?}");
        assert_eq!(error(&result)["cost"], json!({ "credits": 5, "estimated": false }), "{act:?}");
        bench.stand_in.play(Act::Serve);
        assert_eq!(used(&bench, "ann", "subject").await, 5.0, "{act:?}");
    }
}

#[tokio::test]
async fn an_absurd_price_is_not_counted() {
    let bench = with(json!({ "per_subject_per_day": 1000, "per_call": 250 })).await;
    let absurd: fn(&mut Value) = |answer| {
        if answer["status"].is_null() || answer["status"] == "completed" {
            answer["usage"] = json!({ "credits": 900_000 });
        }
    };
    bench.stand_in.play(Act::Alter(absurd));
    for (tool, arguments, most, sum) in
        [("tavily_search", search(), 1, 1.0), ("tavily_research", json!({ "input": "x" }), 250, 251.0)]
    {
        let result = bench.call_in(tool, arguments, by("ann")).await;
        assert_eq!(structured(&result)["cost"], json!({ "credits": most, "estimated": true }), "{tool}");
        bench.stand_in.play(Act::Serve);
        assert_eq!(used(&bench, "ann", "subject").await, sum, "{tool}");
        bench.stand_in.play(Act::Alter(absurd));
    }
    // What is dearer than the list says is believed.
    bench.stand_in.play(Act::Alter(|answer| answer["usage"] = json!({ "credits": 3 })));
    let result = bench.call_in("tavily_search", search(), by("ann")).await;
    assert_eq!(structured(&result)["cost"], json!({ "credits": 3, "estimated": false }));
}

#[tokio::test]
async fn the_documented_ceilings_allow_a_research_and_what_never_fits_is_told() {
    for file in ["config.toml", "examples/config/reference.toml", "plugins/tavily/README.md"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let shown = std::fs::read_to_string(path).unwrap();
        let (_, rest) = shown.split_once("per_subject_per_day = ").unwrap_or_else(|| panic!("no example in {file}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        assert!(digits.parse::<u32>().unwrap() >= 250, "{file}: {digits} credits a day are no research");
    }
    for ceilings in [json!({ "per_subject_per_day": 100 }), json!({ "per_day": 100 })] {
        let bench = with(ceilings.clone()).await;
        let result = bench.call_in("tavily_research", json!({ "input": "x" }), by("ann")).await;
        assert_eq!(error(&result)["retryable"], false);
        assert!(text(&result).contains("on a whole day") && !text(&result).contains("midnight"), "{}", text(&result));
        assert!(text(&result).contains("could cost 250 credits"), "{}", text(&result));
    }
}
