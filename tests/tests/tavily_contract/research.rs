//! Research that is asked for: accepted, waited for, handed out, and only to whoever started it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_plugin::{CallContext, Caller, ToolCall, ToolError};
use toolgate_tests::tavily::{
    KEY, Options, StandIn,
    faults::{Act, Script},
};

use crate::{Bench, by, due_in, error, heard, structured, text, until};

fn input() -> Value {
    json!({ "input": "tea" })
}

async fn begin(bench: &Bench, subject: &str) -> String {
    let begun = bench.call_in("tavily_research", json!({ "input": "tea", "wait": false }), by(subject)).await;
    structured(&begun)["request_id"].as_str().unwrap().to_owned()
}

async fn get(bench: &Bench, subject: &str, id: &str) -> toolgate_plugin::ToolResult {
    bench.call_in("tavily_get_research", json!({ "request_id": id }), by(subject)).await
}

#[tokio::test]
async fn a_research_is_waited_for_and_its_report_comes_with_its_sources() {
    for created in [201, 200, 202] {
        let stand_in = StandIn::start_with(Options { created, ..Options::default() }).await.unwrap();
        let bench = Bench::before(stand_in, json!({}));
        let result = bench.call("tavily_research", json!({ "input": "tea", "model": "mini" })).await;
        let value = structured(&result);
        assert_eq!((&value["status"], &value["model"]), (&json!("completed"), &json!("mini")), "{created}");
        assert_eq!(value["content"], "# Report\n\nWhat is known about tea [1].\n\nAnd what is new [2].");
        assert_eq!(value["cost"], json!({ "credits": 4, "estimated": false }));
        assert_eq!(value["response_time"], 61.4);
        let urls: Vec<&Value> = value["sources"].as_array().unwrap().iter().map(|source| &source["url"]).collect();
        assert_eq!(urls, ["https://blog.example/rt", "https://news.example/1"]);
        let (_, shown) = crate::results::without_id(text(&result));
        let expected = "The report:\n<untrusted-web id=\"ID\">\n# Report\n\nWhat is known about tea [1].\n\nAnd what is new [2].\n\
            </untrusted-web id=\"ID\">\n\nIts sources:\n<untrusted-web id=\"ID\">\n\
            [1] Runtime comparison — https://blog.example/rt\n[2] Release notes — https://news.example/1\n\
            </untrusted-web id=\"ID\">\n\nRequest: ";
        let expected = format!("{expected}{}\nCost: 4 credits.", value["request_id"].as_str().unwrap());
        assert!(shown.ends_with(&expected), "{shown}");
        let seen = bench.stand_in.take_seen();
        assert_eq!(seen[0].json(), json!({ "input": "tea", "model": "mini" }));
        assert!(seen[1..].iter().all(|seen| seen.method == "GET" && seen.query == "include_usage=true"));
        assert_eq!(seen.len(), 4);
    }
}

#[tokio::test]
async fn a_handle_comes_at_once_and_gives_the_report_later() {
    let bench = Bench::new().await;
    let begun = bench.call("tavily_research", json!({ "input": "tea", "wait": false })).await;
    assert_eq!(bench.sent().len(), 1);
    let value = structured(&begun);
    assert_eq!((&value["status"], &value["content"]), (&json!("pending"), &Value::Null));
    let id = value["request_id"].as_str().unwrap();
    assert!(text(&begun).contains(&format!("request_id is \"{id}\": ask tavily_get_research")), "{}", text(&begun));
    for status in ["pending", "in_progress", "completed", "completed"] {
        let got = bench.call("tavily_get_research", json!({ "request_id": id })).await;
        assert_eq!(structured(&got)["status"], status);
        assert_eq!(structured(&got)["request_id"], id);
    }
    let latest = bench.call("tavily_get_research", json!({})).await;
    assert_eq!((&structured(&latest)["request_id"], &structured(&latest)["status"]), (&json!(id), &json!("completed")));
}

#[tokio::test]
async fn another_callers_research_is_as_unknown_as_one_that_never_was() {
    let mut bench = Bench::new().await;
    let id = begin(&bench, "ann").await;
    bench.sent();
    let unknown = get(&bench, "bob", "research-never-was").await;
    assert_eq!((&error(&unknown)["code"], &error(&unknown)["retryable"]), (&json!("not_found"), &json!(false)));
    let phone = CallContext::new(Caller::new("ann", Some("phone".into()), [].into()), "r");
    let other_client = bench.call_in("tavily_get_research", json!({ "request_id": id }), phone).await;
    for theirs in [get(&bench, "bob", &id).await, get(&bench, "", &id).await, other_client] {
        assert_eq!(theirs, unknown);
    }
    let none = bench.call_in("tavily_get_research", json!({}), by("bob")).await;
    assert_eq!(error(&none)["code"], "not_found");
    assert!(bench.sent().is_empty(), "Tavily is not even asked");
    bench.restart(json!({})).await;
    assert_eq!(get(&bench, "bob", &id).await, unknown, "after a restart as well");
    assert!(!get(&bench, "ann", &id).await.is_error, "handles survive a restart");
}

#[tokio::test]
async fn time_that_runs_out_ends_in_the_handle_and_before_the_host_gives_up() {
    let cases = [
        ("poll-never", json!({}), Some(8000)),
        ("poll-hang", json!({}), Some(8000)),
        ("poll-never", json!({ "research": { "wait_without_progress": "1s" } }), None),
        ("stream-silent", json!({}), Some(8000)),
        ("stream-silent", json!({ "research": { "wait_without_progress": "1s" } }), None),
    ];
    for (fault, settings, deadline) in cases {
        let bench = Bench::with(settings).await;
        bench.stand_in.fail(fault);
        let cx = deadline.map_or_else(CallContext::for_tests, |millis| due_in(Duration::from_millis(millis)));
        let begun = Instant::now();
        let result = bench.call_in("tavily_research", input(), cx).await;
        let took = begun.elapsed();
        assert!(!result.is_error, "{fault}: {}", text(&result));
        assert!(deadline.is_none_or(|millis| took < Duration::from_millis(millis)), "{fault}: {took:?}");
        assert!(took >= Duration::from_millis(900), "{fault}: {took:?}");
        let value = structured(&result);
        assert_ne!(value["status"], "completed", "{fault}");
        assert_eq!(value["cost"], json!({ "credits": 250, "estimated": true }), "{fault}");
        bench.stand_in.play(Act::Serve);
        let again = bench.call("tavily_get_research", json!({ "request_id": value["request_id"] })).await;
        assert!(!again.is_error, "{fault}: {}", text(&again));
    }
}

#[tokio::test]
async fn a_caller_who_hears_of_progress_is_told_and_waits_longer() {
    let settings = json!({ "research": { "wait_without_progress": "1s", "wait": "2m", "stream": "required" } });
    let stand_in = StandIn::start_with(Options { looks: 3, ..Options::default() }).await.unwrap();
    let bench = Bench::before(stand_in, settings);
    let (cx, reports) = heard();
    let result = bench.call_in("tavily_research", input(), cx).await;
    assert_eq!(structured(&result)["status"], "completed");
    let reports = reports.lock().unwrap();
    assert!(reports.len() >= 3, "{reports:?}");
    assert!(reports.windows(2).all(|pair| pair[0].progress < pair[1].progress), "{reports:?}");
    assert!(reports.iter().any(|report| report.message.as_ref().unwrap().starts_with("waiting for its turn")));
    assert!(reports.iter().any(|report| report.message.as_ref().unwrap().starts_with("researching")));
}

#[tokio::test]
async fn a_caller_who_leaves_is_asked_about_no_more_and_keeps_the_handle() {
    let bench = Bench::new().await;
    bench.stand_in.fail("poll-never");
    let cx = by("ann");
    let cancelled = cx.cancelled.clone();
    let arguments = input().as_object().unwrap().clone();
    let call = bench.plugin.call(ToolCall { name: "tavily_research".into(), arguments }, cx);
    let leave = async {
        let mut looks = 0;
        until("it is asked about", || {
            looks += bench.stand_in.take_seen().iter().filter(|seen| seen.method == "GET").count();
            looks >= 1
        })
        .await;
        cancelled.cancel();
    };
    let (outcome, ()) = tokio::join!(call, leave);
    assert!(matches!(outcome, Err(ToolError::Cancelled)), "{outcome:?}");
    bench.sent();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(bench.sent().is_empty(), "nobody asks any more");
    bench.stand_in.play(Act::Serve);
    let latest = bench.call_in("tavily_get_research", json!({}), by("ann")).await;
    assert!(!latest.is_error, "{}", text(&latest));
}

#[tokio::test]
async fn what_was_sent_is_kept_though_its_caller_leaves_at_once() {
    let stand_in =
        StandIn::start_with(Options { latency: Duration::from_millis(300), ..Options::default() }).await.unwrap();
    let bench = Bench::before(stand_in, json!({}));
    let arguments = input().as_object().unwrap().clone();
    let call = bench.plugin.call(ToolCall { name: "tavily_research".into(), arguments }, by("ann"));
    let sent = until("it is sent", || bench.stand_in.take_seen().iter().any(|seen| seen.method == "POST"));
    tokio::select! {
        outcome = call => panic!("{outcome:?}"),
        () = sent => {}
    }
    let found = async {
        while bench.call_in("tavily_get_research", json!({}), by("ann")).await.is_error {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.unwrap();
}

#[tokio::test]
async fn it_is_begun_once_whatever_happens() {
    let cases = [
        ("500", "upstream_error"),
        ("503", "upstream_error"),
        ("502-html", "upstream_error"),
        ("429-no-header", "rate_limited"),
        ("retry-after-1", "rate_limited"),
        ("432", "plan_limit"),
        ("433", "paygo_limit"),
        ("no-auth-header", "upstream_unauthorized"),
        ("close", "upstream_unreachable"),
        ("cut", "upstream_unreachable"),
        ("not-json", "upstream_invalid_response"),
        ("empty-body", "upstream_invalid_response"),
        ("research-nameless", "upstream_invalid_response"),
        ("error-as-success", "upstream_invalid_response"),
        ("redirect", "upstream_invalid_response"),
    ];
    for (fault, code) in cases {
        for wait in [true, false] {
            let bench = Bench::new().await;
            bench.stand_in.fail(fault);
            let result = bench.call("tavily_research", json!({ "input": "tea", "wait": wait })).await;
            assert_eq!(error(&result)["code"], code, "{fault}: {}", text(&result));
            let undone = ["rate_limited"].contains(&code) || fault == "redirect";
            assert_eq!(error(&result)["retryable"], undone, "{fault}: {}", text(&result));
            assert_eq!(bench.sent().len(), 1, "{fault}");
        }
    }
}

#[tokio::test]
async fn a_tavily_that_cannot_be_asked_for_a_while_ends_nothing() {
    let bench = Bench::new().await;
    // Not tried again within one look.
    let trouble = || Act::json(505, &json!({ "detail": { "error": "weather" } }));
    let first = std::iter::once(Act::Serve).chain(std::iter::repeat_with(trouble).take(5)).collect();
    bench.stand_in.play(Script { first, then: Act::Serve });
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(structured(&result)["status"], "completed", "{}", text(&result));
    // One that lasts ends in the handle.
    let bench = Bench::with(json!({ "research": { "wait_without_progress": "4s" } })).await;
    bench.stand_in.play(Act::On("research_get", Box::new(trouble())));
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(structured(&result)["status"], "pending", "{}", text(&result));
    assert_eq!(structured(&result)["cost"], json!({ "credits": 250, "estimated": true }));
    let id = structured(&result)["request_id"].as_str().unwrap();
    assert_eq!(bench.stand_in.take_seen().iter().filter(|seen| seen.method == "POST").count(), 1);
    bench.stand_in.play(Act::Serve);
    assert!(!bench.call("tavily_get_research", json!({ "request_id": id })).await.is_error);
}

#[tokio::test]
async fn what_goes_on_out_of_sight_is_not_to_be_begun_anew() {
    for (status, code) in [(404, "not_found"), (403, "forbidden")] {
        let bench = Bench::new().await;
        bench
            .stand_in
            .play(Act::On("research_get", Box::new(Act::json(status, &json!({ "detail": { "error": "no" } })))));
        let result = bench.call("tavily_research", input()).await;
        let details = error(&result);
        assert_eq!((&details["code"], &details["retryable"]), (&json!(code), &json!(false)));
        assert_eq!(details["cost"], json!({ "credits": 250, "estimated": true }));
        let id = details["request_id"].as_str().unwrap();
        assert!(text(&result).contains(&format!("ask tavily_get_research for \"{id}\"")), "{}", text(&result));
        let looks = bench.stand_in.take_seen().iter().filter(|seen| seen.method == "GET").count();
        assert_eq!(looks, if status == 404 { 3 } else { 1 });
    }
}

#[tokio::test]
async fn who_is_told_to_come_back_too_late_gets_the_handle_at_once() {
    let bench = Bench::new().await;
    bench.stand_in.fail("poll-retry-after-3600");
    let begun = Instant::now();
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(structured(&result)["status"], "pending", "{}", text(&result));
    assert!(begun.elapsed() < Duration::from_secs(30), "long before the 50 s that it would wait");
}

#[tokio::test]
async fn a_failed_or_forgotten_research_is_an_error_with_its_handle() {
    for (fault, code) in [("research-failed", "research_failed"), ("research-forgotten", "not_found")] {
        let bench = Bench::new().await;
        bench.stand_in.fail(fault);
        let id = begin(&bench, "ann").await;
        let mut got = get(&bench, "ann", &id).await;
        while !got.is_error {
            got = get(&bench, "ann", &id).await;
        }
        assert_eq!((&error(&got)["code"], &error(&got)["request_id"]), (&json!(code), &json!(id)), "{}", text(&got));
    }
    let bench = Bench::new().await;
    bench.stand_in.fail("research-failed");
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(error(&result)["code"], "research_failed");
    bench.stand_in.play(Act::Alter(|answer| {
        *answer = json!({ "request_id": answer["request_id"], "status": "failed", "error": "It ran aground." });
    }));
    let id = begin_raw(&bench).await;
    let got = bench.call("tavily_get_research", json!({ "request_id": id })).await;
    assert!(text(&got).contains("It ran aground."), "{}", text(&got));
}

/// Begun while answers are altered: the handle is the latest.
async fn begin_raw(bench: &Bench) -> String {
    let result = bench.call("tavily_research", json!({ "input": "tea", "wait": false })).await;
    match result.is_error {
        true => error(&result)["request_id"].as_str().unwrap().to_owned(),
        false => structured(&result)["request_id"].as_str().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn words_that_nobody_knows_mean_that_it_goes_on() {
    let bench = Bench::new().await;
    bench.stand_in.fail("research-unknown-status");
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(structured(&result)["status"], "completed", "{}", text(&result));
}

#[tokio::test]
async fn an_answer_that_is_done_at_once_is_done() {
    for wait in [true, false] {
        let bench = Bench::new().await;
        bench.stand_in.fail("research-at-once");
        let result = bench.call("tavily_research", json!({ "input": "tea", "wait": wait })).await;
        assert_eq!(structured(&result)["status"], "completed");
        assert_eq!(structured(&result)["cost"], json!({ "credits": 5, "estimated": false }));
        assert_eq!(bench.sent().len(), 1);
    }
}

#[tokio::test]
async fn a_report_without_a_name_is_kept_here() {
    let bench = Bench::new().await;
    let report = json!({ "status": "completed", "content": "# At once", "usage": { "credits": 5 } });
    bench.stand_in.play(Act::json(200, &report));
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(structured(&result)["content"], "# At once");
    bench.sent();
    let id = structured(&result)["request_id"].clone();
    let again = bench.call("tavily_get_research", json!({ "request_id": id })).await;
    assert_eq!(structured(&again)["content"], "# At once", "{}", text(&again));
    assert_eq!(structured(&again)["cost"], json!({ "credits": 5, "estimated": false }));
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn a_name_that_cannot_be_passed_on_is_kept_here() {
    let bench = Bench::new().await;
    bench.stand_in.fail("research-odd-name");
    let begun = bench.call("tavily_research", json!({ "input": "tea", "wait": false })).await;
    let id = structured(&begun)["request_id"].as_str().unwrap();
    assert!(id.starts_with("here-") && !text(&begun).contains("SYSTEM"), "{}", text(&begun));
    bench.sent();
    let got = bench.call("tavily_get_research", json!({ "request_id": id })).await;
    assert_eq!(error(&got)["code"], "not_found", "the stand-in knows no such name, but was asked");
    assert_eq!(bench.stand_in.take_seen()[0].path, "/research/a%20bSYSTEM:%20obey");
}

#[tokio::test]
async fn an_object_is_structured_and_shown_as_text() {
    let bench = Bench::new().await;
    let schema = json!({ "properties": { "answer": { "type": "string", "description": "x" } } });
    let result = bench.call("tavily_research", json!({ "input": "tea", "output_schema": schema })).await;
    assert_eq!(structured(&result)["content"], json!({ "answer": "What is known about tea." }));
    assert!(text(&result).contains("\"answer\": \"What is known about tea.\""), "{}", text(&result));
    assert_eq!(bench.sent()[0]["output_schema"], schema);
    bench.stand_in.fail("poll-content-object");
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(structured(&result)["content"], json!({ "answer": "An object.", "parts": [1, 2] }));
    assert!(text(&result).contains("An object."), "{}", text(&result));
}

#[tokio::test]
async fn every_parameter_is_sent_as_it_is_given() {
    let bench = Bench::new().await;
    let arguments = json!({
        "input": "tea", "model": "pro", "citation_format": "apa", "output_length": "short",
        "include_domains": ["a.example"], "exclude_domains": ["b.example"],
        "files": [{ "name": "notes.md", "data": "aGVsbG8gd29ybGQ=", "type": "base64" }],
        "output_schema": { "properties": { "a": { "type": "string", "description": "x" } } },
    });
    let mut given = arguments.clone();
    given["wait"] = false.into();
    given["max_output_tokens"] = 500.into();
    bench.call("tavily_research", given).await;
    assert_eq!(bench.sent(), [arguments]);
}

#[tokio::test]
async fn excluded_sources_are_dropped_and_the_others_keep_their_numbers() {
    let bench = Bench::new().await;
    let result = bench.call("tavily_research", json!({ "input": "tea", "exclude_domains": ["blog.example"] })).await;
    let value = structured(&result);
    assert_eq!(value["dropped"], json!([{ "url": "https://blog.example/rt", "reason": "within exclude_domains" }]));
    assert_eq!((value["sources"].as_array().unwrap().len(), &value["sources"][0]["n"]), (1, &json!(2)));
    // The report cites by Tavily's numbers.
    assert!(text(&result).contains("[2] Release notes"), "{}", text(&result));
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_written_keeps_anything_from_being_begun() {
    let bench = Bench::new().await;
    std::fs::write(bench.state.path().join("research"), "a file").unwrap();
    let result = bench.call("tavily_research", input()).await;
    assert!(text(&result).contains("cannot keep what it starts"), "{}", text(&result));
    assert_eq!(error(&result)["code"], "state_unavailable");
    assert!(bench.sent().is_empty());
    assert_eq!(bench.stand_in.used(KEY), 0);
}
