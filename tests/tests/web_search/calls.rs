//! Who may call what, and what a client hears of it.

use serde_json::{Value, json};
use toolgate_tests::tavily::{Options, StandIn};

use crate::house::{House, messages, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_steps_up_for_what_spends() {
    let tavily = StandIn::start().await.expect("a stand-in");
    let house = House::open(&tavily, "").await;
    let (reader, writer) = (house.token("ann", "web-search:read"), house.writer("ann"));
    let walk = json!({ "url": "https://a.example" });
    for (tool, arguments, writes) in [
        ("tavily_search", json!({ "query": "x" }), false),
        ("tavily_extract", json!({ "urls": "https://a.example" }), false),
        ("tavily_map", walk.clone(), true),
        ("tavily_crawl", walk, true),
        ("tavily_research", json!({ "input": "x", "wait": false }), true),
        ("tavily_get_research", json!({}), false),
        ("tavily_usage", json!({}), false),
        ("tavily_feedback", json!({ "request_id": "r" }), true),
    ] {
        for request in [house.post(&reader, tool, &arguments), house.mcp(&reader, tool, &arguments, false)] {
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status() == 403, writes, "{tool}");
            if writes {
                let challenge = response.headers()["www-authenticate"].to_str().expect("text").to_owned();
                assert!(
                    challenge.contains("error=\"insufficient_scope\"") && challenge.contains("web-search:write"),
                    "{challenge}"
                );
            }
        }
        let result = house.result(&writer, tool, &arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_never_the_callers_fault() {
    let tavily = StandIn::start().await.expect("a stand-in");
    let house = House::open(&tavily, "").await;
    for fault in ["no-auth-header", "key-deactivated", "403", "432", "433", "429-no-header", "keyless-limit", "500"] {
        tavily.fail(fault);
        for (tool, arguments) in
            [("tavily_search", json!({ "query": "x" })), ("tavily_research", json!({ "input": "x" }))]
        {
            let token = house.writer("ann");
            let result = house.result(&token, tool, &arguments).await;
            assert_eq!(result["isError"], true, "{fault}: {result}");
            let response = house.mcp(&token, tool, &arguments, false).send().await.expect("an answer");
            assert_eq!(response.status(), 200, "{fault}");
            assert!(!response.headers().contains_key("www-authenticate"), "{fault}");
            let answer = messages(&response.text().await.expect("its body")).pop().expect("a message");
            assert_eq!(answer["result"]["isError"], true, "{fault}: {answer}");
        }
    }
    let log = house.server.stderr_with("refuses this server (HTTP 401").await;
    assert!(!log.contains("tvly-stand-in"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_research_reaches_the_client_before_its_report() {
    let tavily = StandIn::start().await.expect("a stand-in");
    let house = House::open(&tavily, "").await;
    let request = house.mcp(&house.writer("ann"), "tavily_research", &json!({ "input": "tea" }), true);
    let body = request.send().await.expect("an answer").text().await.expect("its body");
    let mut messages = messages(&body);
    let result = messages.pop().expect("a result");
    assert!(
        result["result"]["structuredContent"]["content"].as_str().is_some_and(|text| text.contains("tea")),
        "{result}"
    );
    let steps: Vec<&str> = messages.iter().filter_map(|message| message["params"]["message"].as_str()).collect();
    for step in ["Planning: Planning it", "WebSearch: tea overview; tea news", "Generating: done", "Writing the report"]
    {
        assert!(steps.contains(&step), "{step:?} in {steps:?}");
    }
    assert!(messages.iter().all(|message| message["method"] == "notifications/progress"), "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_ends_when_its_client_disconnects() {
    let tavily = StandIn::start().await.expect("a stand-in");
    let house = House::open(&tavily, "").await;
    let token = house.writer("ann");
    tavily.fail("stream-silent");
    for progress in [true, false] {
        let request = house.mcp(&token, "tavily_research", &json!({ "input": "tea" }), progress);
        let call = tokio::spawn(request.send());
        until("the stream is open", async || tavily.open_streams() == 1).await;
        call.abort();
        // With progress, the answer's head has come and its body is what is read.
        let _ = call.await;
        until("the stream is closed", async || tavily.open_streams() == 0).await;
    }
    let call = tokio::spawn(house.post(&token, "tavily_research", &json!({ "input": "tea" })).send());
    until("the stream is open", async || tavily.open_streams() == 1).await;
    call.abort();
    let _ = call.await;
    until("the stream is closed", async || tavily.open_streams() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_is_its_callers_alone_through_both_faces() {
    let tavily = StandIn::start_with(Options { looks: 0, ..Options::default() }).await.expect("a stand-in");
    let house = House::open(&tavily, "").await;
    let (ann, bob) = (house.writer("ann"), house.writer("bob"));
    let begun = house.result(&ann, "tavily_research", &json!({ "input": "tea", "wait": false })).await;
    let id = json!({ "request_id": begun["structuredContent"]["request_id"] });
    let mine = house.result(&house.token("ann", "web-search:read"), "tavily_get_research", &id).await;
    assert_eq!(mine["structuredContent"]["status"], "completed", "{mine}");
    let theirs = house.result(&bob, "tavily_get_research", &id).await;
    let never = house.result(&bob, "tavily_get_research", &json!({ "request_id": "never" })).await;
    assert_eq!(theirs, never);
    let response = house.mcp(&bob, "tavily_get_research", &id, false).send().await.expect("an answer");
    let answer = messages(&response.text().await.expect("its body")).pop().expect("a message");
    assert_eq!(answer["result"]["structuredContent"], never["structuredContent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_in_the_schemas_are_the_servers_own() {
    let tavily = StandIn::start().await.expect("a stand-in");
    let house = House::open(&tavily, "max_pages = { crawl = 5 }").await;
    let token = house.writer("ann");
    let response = house.post(&token, "tavily_crawl", &json!({ "url": "https://a.example", "limit": 6 })).send().await;
    let response = response.expect("an answer");
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.expect("JSON");
    assert!(body["error_description"].as_str().is_some_and(|text| text.contains("/limit")), "{body}");
    assert!(tavily.take_seen().is_empty());
}
