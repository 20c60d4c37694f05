//! Research that is streamed: every step told, every way to end survived.

use std::time::Duration;

use serde_json::{Value, json};
use toolgate_plugin::{ToolCall, ToolError, ToolResult};
use toolgate_tests::tavily::{KEY, Options, StandIn, faults::Act};

use crate::{Bench, by, error, heard, structured, text, until};

fn input() -> Value {
    json!({ "input": "tea" })
}

async fn research(fault: &str) -> (Bench, ToolResult) {
    let bench = Bench::new().await;
    bench.stand_in.fail(fault);
    let result = bench.call("tavily_research", input()).await;
    (bench, result)
}

#[tokio::test]
async fn a_stream_that_tavily_insists_on_is_asked_for_once() {
    let (bench, result) = research("research-stream-required").await;
    let value = structured(&result);
    assert_eq!(value["status"], "completed", "{}", text(&result));
    assert_eq!(value["content"], "# Report\n\nWhat is known about tea [1].\n\nAnd what is new [2].");
    assert_eq!(value["sources"][1]["url"], "https://news.example/1");
    assert_eq!(value["cost"], json!({ "credits": 250, "estimated": true }), "streams do not tell");
    assert_eq!(bench.sent(), [input(), json!({ "input": "tea", "stream": true })]);
    // Who is told so again does not ask again.
    let refusal = json!({ "detail": { "error": "no", "error_code": "research_stream_required" } });
    bench.stand_in.play(Act::json(400, &refusal));
    assert_eq!(error(&bench.call("tavily_research", input()).await)["code"], "upstream_bad_request");
    assert_eq!(bench.sent().len(), 2);
}

#[tokio::test]
async fn a_report_is_complete_however_its_stream_ends_and_is_cut_up() {
    for fault in ["stream-whole", "stream-done-no-blank", "stream-odd", "stream-bytewise", "stream-abrupt"] {
        let (_, result) = research(fault).await;
        assert_eq!(structured(&result)["status"], "completed", "{fault}: {}", text(&result));
        assert_eq!(structured(&result)["sources"].as_array().unwrap().len(), 2, "{fault}");
    }
}

#[tokio::test]
async fn half_a_report_is_none() {
    for (fault, code, part) in [
        ("stream-cut", "upstream_unreachable", "ended before the report was complete"),
        ("stream-empty", "upstream_invalid_response", "without a report"),
        ("stream-error-data", "research_failed", "The research ran aground."),
        ("stream-error-event", "research_failed", "The research ran aground."),
    ] {
        let (bench, result) = research(fault).await;
        let details = error(&result);
        assert_eq!(details["code"], code, "{fault}");
        assert!(text(&result).contains(part), "{fault}: {}", text(&result));
        assert!(!text(&result).contains("What is known") && !details.to_string().contains("What is known"), "{fault}");
        assert_eq!(details["cost"], json!({ "credits": 250, "estimated": true }), "{fault}");
        assert_eq!(details["retryable"], false, "{fault}: it would be paid for twice");
        assert_eq!(bench.sent().len(), 2, "{fault}: never begun again");
        // The handle says the same later.
        let id = details["request_id"].as_str().unwrap();
        let later = bench.call("tavily_get_research", json!({ "request_id": id })).await;
        assert!(later.is_error, "{fault}: {}", text(&later));
    }
}

#[tokio::test]
async fn an_object_comes_as_one_however_it_is_sent() {
    let (_, result) = research("stream-content-object").await;
    assert_eq!(structured(&result)["content"], json!({ "answer": "What is known about tea." }));
    assert!(text(&result).contains("\"answer\": \"What is known about tea.\""), "{}", text(&result));
    let bench = Bench::new().await;
    bench.stand_in.fail("stream-object-in-parts");
    let schema = json!({ "properties": { "answer": { "type": "string", "description": "x" } } });
    let result = bench.call("tavily_research", json!({ "input": "tea", "output_schema": schema })).await;
    assert_eq!(structured(&result)["content"], json!({ "answer": "What is known about tea." }));
}

#[tokio::test]
async fn every_step_is_reported_to_a_caller_who_listens() {
    let bench = Bench::new().await;
    let (cx, reports) = heard();
    let result = bench.call_in("tavily_research", input(), cx).await;
    assert_eq!(structured(&result)["status"], "completed");
    assert_eq!(bench.sent()[0]["stream"], true, "a stream is asked for at once");
    let reports = reports.lock().unwrap();
    assert!(reports.windows(2).all(|pair| pair[0].progress < pair[1].progress), "{reports:?}");
    let messages: Vec<&str> = reports.iter().map(|report| report.message.as_deref().unwrap()).collect();
    let steps = [
        "Planning: Planning it",
        "Planning: done",
        "WebSearch: tea overview; tea news",
        "WebSearch: 2 sources",
        "Generating: Generating it",
        "Generating: done",
        "Writing the report",
    ];
    assert_eq!(messages, steps);
}

#[tokio::test]
async fn a_listening_caller_gets_the_report_also_where_there_are_no_streams() {
    let stand_in = StandIn::start().await.unwrap();
    // An answer in place of a stream, as from a service that does not know `stream`.
    stand_in.play(Act::On(
        "research_create",
        Box::new(Act::json(200, &json!({ "request_id": "r-1", "status": "pending" }))),
    ));
    let bench = Bench::before(stand_in, json!({}));
    let (cx, _) = heard();
    let result = bench.call_in("tavily_research", json!({ "input": "tea", "wait": false }), cx).await;
    assert_eq!(structured(&result)["request_id"], "r-1");
}

#[tokio::test]
async fn a_silent_stream_ends_after_the_time_that_silence_may_last() {
    let bench = Bench::with(json!({ "research": { "silence": "1s" } })).await;
    bench.stand_in.fail("stream-silent");
    let result = bench.call("tavily_research", input()).await;
    assert_eq!(error(&result)["code"], "timeout", "{}", text(&result));
    until("the connection is closed", || bench.stand_in.open_streams() == 0).await;
}

#[tokio::test]
async fn a_stream_is_closed_when_its_caller_leaves() {
    for dropped in [true, false] {
        let bench = Bench::new().await;
        bench.stand_in.fail("stream-silent");
        let cx = by("ann");
        let cancelled = cx.cancelled.clone();
        let arguments = input().as_object().unwrap().clone();
        let call = bench.plugin.call(ToolCall { name: "tavily_research".into(), arguments }, cx);
        let open = until("the stream is open", || bench.stand_in.open_streams() == 1);
        if dropped {
            tokio::select! {
                outcome = call => panic!("{outcome:?}"),
                () = open => {}
            }
        } else {
            let leave = async {
                open.await;
                cancelled.cancel();
            };
            let (outcome, ()) = tokio::join!(call, leave);
            assert!(matches!(outcome, Err(ToolError::Cancelled)), "{outcome:?}");
        }
        until("the stream is closed", || bench.stand_in.open_streams() == 0).await;
        let stopped = async {
            loop {
                let got = bench.call_in("tavily_get_research", json!({}), by("ann")).await;
                if got.is_error {
                    return got;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let stopped = tokio::time::timeout(Duration::from_secs(60), stopped).await.unwrap();
        assert!(text(&stopped).contains("stopped when its caller left"), "{}", text(&stopped));
    }
}

#[tokio::test]
async fn a_stream_runs_on_when_its_callers_time_is_over_and_its_report_is_kept() {
    let stand_in =
        StandIn::start_with(Options { latency: Duration::from_millis(100), ..Options::default() }).await.unwrap();
    stand_in.fail("stream-whole");
    let mut bench = Bench::before(stand_in, json!({}));
    let begun = bench.call("tavily_research", json!({ "input": "tea", "wait": false })).await;
    let id = structured(&begun)["request_id"].clone();
    assert_eq!(structured(&begun)["status"], "pending");
    let done = async {
        loop {
            let got = bench.call("tavily_get_research", json!({ "request_id": id })).await;
            if structured(&got)["status"] == "completed" {
                return got;
            }
            assert!(!got.is_error, "{}", text(&got));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let got = tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    assert!(structured(&got)["content"].as_str().unwrap().contains("What is known about tea"));
    assert!(bench.stand_in.take_seen().iter().all(|seen| seen.method == "POST"), "a stream cannot be asked about");
    bench.restart(json!({})).await;
    let later = bench.call("tavily_get_research", json!({ "request_id": id })).await;
    assert_eq!(structured(&later)["content"], structured(&got)["content"]);
    let other = bench.call_in("tavily_get_research", json!({ "request_id": id }), by("bob")).await;
    assert_eq!(error(&other)["code"], "not_found");
}

#[tokio::test]
async fn a_stream_in_another_instance_is_under_way_and_one_of_a_dead_process_is_lost() {
    let mut bench = Bench::new().await;
    bench.stand_in.fail("stream-silent");
    let begun = bench.call("tavily_research", json!({ "input": "tea", "wait": false })).await;
    let id = structured(&begun)["request_id"].clone();
    // A reload: the instance before follows the stream to its end.
    bench.restart(json!({})).await;
    let got = bench.call("tavily_get_research", json!({ "request_id": id })).await;
    assert_eq!(structured(&got)["status"], "in_progress", "{}", text(&got));
    // As after a crash: nobody follows it any more.
    let folder = bench.state.path().join("research");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "running") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let got = bench.call("tavily_get_research", json!({ "request_id": id })).await;
    assert!(error(&got)["code"] == "research_failed" && text(&got).contains("is lost"), "{}", text(&got));
}

#[tokio::test]
async fn the_last_part_may_come_with_the_news_that_it_is_done() {
    let part = |text: &str| json!({ "object": "chat.completion.chunk", "choices": [{ "delta": { "content": text } }] });
    let price = json!({ "choices": [{ "delta": { "content": "end." } }], "usage": { "credits": 7 } });
    for body in [
        format!("data: {}\n\ndata: {price}\nevent: done\n\n", part("The ")),
        format!("data: {}\n\nevent: done\ndata: {price}\n\n", part("The ")),
        format!("data: {}\n\nevent: done\ndata: {price}", part("The ")),
    ] {
        let bench = Bench::new().await;
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        bench.stand_in.play(Act::Answer { status: 200, headers, body: body.clone() });
        let result = bench.call("tavily_research", input()).await;
        assert_eq!(structured(&result)["content"], "The end.", "{body}: {}", text(&result));
        assert_eq!(structured(&result)["cost"], json!({ "credits": 7, "estimated": false }), "{body}");
    }
}

#[tokio::test]
async fn a_stream_does_not_tell_the_key() {
    let parts: Vec<String> = [&KEY[..5], &KEY[5..]]
        .iter()
        .map(|part| json!({ "choices": [{ "delta": { "content": part } }] }).to_string())
        .collect();
    let step =
        json!({ "choices": [{ "delta": { "tool_calls": { "tool_call": [{ "name": "x", "arguments": KEY }] } } }] });
    let step = step.to_string().replace('-', "\\u002d");
    let body = format!("data: {step}\n\ndata: {}\n\ndata: {}\n\nevent: done\n\n", parts[0], parts[1]);
    let bench = Bench::new().await;
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    bench.stand_in.play(Act::Answer { status: 200, headers, body });
    let (cx, reports) = heard();
    let result = bench.call_in("tavily_research", input(), cx).await;
    assert_eq!(structured(&result)["content"], "(the key)", "{}", text(&result));
    let reports = reports.lock().unwrap();
    assert_eq!(reports[0].message.as_deref(), Some("x: (the key)"), "{reports:?}");
}
