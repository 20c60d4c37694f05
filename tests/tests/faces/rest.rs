//! The REST face: `POST /api/tools/{endpoint}/{tool}` and the catalogue beside it.

use reqwest::Method;
use serde_json::json;

use crate::house::{Answer, CONFIG, House};

const ECHO: &str = "/api/tools/web-search/echo";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_gives_its_result_as_text_and_as_data() {
    let house = House::open().await;
    let answer = Answer::to(house.post(&house.reader(), "echo", &json!({ "text": "hello" }))).await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "content": [{ "type": "text", "text": "hello" }], "structuredContent": { "text": "hello" }, "isError": false,
    });
    assert_eq!(answer.json(), expected);
    let record = house.server.audited(answer.request_id()).await;
    assert_eq!((&record["face"], &record["outcome"]), (&json!("rest"), &json!("ok")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_fails_is_an_answer_that_says_so() {
    let house = House::open().await;
    let answer = Answer::to(house.post(&house.reader(), "tavily_search", &json!({ "query": "x" }))).await;
    assert_eq!(answer.status, 200, "the call was made, its tool failed");
    let result = answer.json();
    assert_eq!(result["isError"], true);
    assert_eq!(result["structuredContent"]["error"]["code"], "upstream_unreachable");
    assert_eq!(house.server.audited(answer.request_id()).await["outcome"], "error");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_has_its_status_and_says_why() {
    let house = House::with(CONFIG, &[("TOOLGATE_SERVER__MAX_BODY", "1 KiB")]).await;
    let (reader, long) = (house.reader(), json!({ "text": "x".repeat(2000) }).to_string());
    let cases = [
        ("a wrong type", ECHO, "application/json", r#"{"text":7}"#, 400, "invalid_arguments", "/text"),
        ("a missing member", ECHO, "application/json", "{}", 400, "invalid_arguments", "\"text\" is a required"),
        ("nothing", ECHO, "application/json", "", 400, "invalid_arguments", "\"text\" is a required"),
        ("a list", ECHO, "application/json", "[]", 400, "invalid_arguments", "a JSON object"),
        ("a string", ECHO, "application/json", r#""hello""#, 400, "invalid_arguments", "a JSON object"),
        ("no JSON", ECHO, "application/json", "{", 400, "invalid_request", "not JSON"),
        (
            "another media type",
            ECHO,
            "text/plain",
            r#"{"text":"x"}"#,
            415,
            "unsupported_media_type",
            "application/json",
        ),
        (
            "a form",
            ECHO,
            "application/x-www-form-urlencoded",
            "text=x",
            415,
            "unsupported_media_type",
            "application/json",
        ),
        ("too much", ECHO, "application/json", &long, 413, "too_large", "server.max_body"),
        ("no such tool", "/api/tools/web-search/nothing", "application/json", "{}", 404, "unknown_tool", "nothing"),
        ("no such endpoint", "/api/tools/nowhere/echo", "application/json", "{}", 404, "unknown_tool", "nowhere"),
        ("a tool of another", "/api/tools/web-search/%65cho2", "application/json", "{}", 404, "unknown_tool", "echo2"),
        ("no place for a call", "/api/tools/web-search/echo/more", "application/json", "{}", 404, "not_found", "/docs"),
        ("a place too short", "/api/tools/web-search", "application/json", "{}", 404, "not_found", "/docs"),
    ];
    for (name, path, kind, body, status, error, text) in cases {
        let request = house.request(Method::POST, path).bearer_auth(&reader).header("content-type", kind);
        let answer = Answer::to(request.body(body.to_owned())).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["error"]), (status, &json!(error)), "{name}: {}", answer.body);
        assert!(told["error_description"].as_str().is_some_and(|said| said.contains(text)), "{name}: {told}");
        assert_eq!(told["request_id"], answer.request_id(), "{name}");
    }
    let charset = house.request(Method::POST, ECHO).bearer_auth(&reader).body(r#"{"text":"x"}"#);
    let answer = Answer::to(charset.header("content-type", "Application/JSON; charset=utf-8")).await;
    assert_eq!(answer.status, 200, "parameters and letters of another size are no other type");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_tool_can_judge_is_its_answer() {
    let house = House::open().await;
    let search = |rest: serde_json::Value| {
        let mut arguments = json!({ "query": "x" });
        arguments.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        house.post(&house.reader(), "tavily_search", &arguments)
    };
    // No schema says that one day must lie before another.
    let answer = Answer::to(search(json!({ "start_date": "2026-02-02", "end_date": "2026-02-01" }))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let result = answer.json();
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("/end_date") && text.contains("before start_date"), "{text}");
    assert_eq!(house.server.audited(answer.request_id()).await["outcome"], "invalid_arguments");
    // A format is in the schema: it is refused before the tool is asked.
    let answer = Answer::to(search(json!({ "start_date": "2026-02-30" }))).await;
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_arguments")));
    assert_eq!(house.server.audited(answer.request_id()).await["outcome"], "invalid_arguments");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_is_the_same() {
    let house = House::open().await;
    let anonymous = Answer::to(house.request(Method::POST, ECHO).json(&json!({ "text": "x" }))).await;
    assert_eq!(anonymous.status, 401);
    let expected = format!(
        "Bearer scope=\"web-search:read\", \
         resource_metadata=\"{}/.well-known/oauth-protected-resource/web-search/mcp\"",
        house.server.public_url()
    );
    assert_eq!(anonymous.header("www-authenticate"), expected);
    let refused = Answer::to(house.post(&house.reader(), "tavily_extract", &json!({ "urls": ["https://a.example"] })));
    let refused = refused.await;
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("insufficient_scope")));
    assert!(refused.header("www-authenticate").contains("scope=\"web-search:write\""));
    let writer = Answer::to(house.post(&house.writer(), "echo", &json!({ "text": "x" }))).await;
    assert_eq!(writer.status, 200, "a scope that implies the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_needs_no_token_but_minds_one() {
    let house = House::open().await;
    let catalogue = || house.request(Method::GET, "/api/tools");
    let public = Answer::to(catalogue()).await;
    assert_eq!(public.status, 200);
    let tools = public.json()["tools"].clone();
    let rows: Vec<_> = tools
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| {
            let text = |key: &str| tool[key].as_str().unwrap_or_default().to_owned();
            (text("tool"), text("plugin"), text("endpoint"), tool["required_scopes"].clone())
        })
        .collect();
    let row = |tool: &str, plugin: &str, scope: &str| {
        (tool.to_owned(), plugin.to_owned(), "web-search".to_owned(), json!([scope]))
    };
    let expected = [
        row("tavily_search", "web-search", "web-search:read"),
        row("tavily_extract", "web-search", "web-search:write"),
        row("echo", "echo", "web-search:read"),
    ];
    assert_eq!(rows, expected);
    assert_eq!(tools[2]["input_schema"]["required"], json!(["text"]), "{}", tools[2]);
    assert_eq!(tools[2]["output_schema"]["type"], "object", "{}", tools[2]);
    let reader = Answer::to(catalogue().bearer_auth(house.reader())).await;
    assert_eq!(reader.json()["tools"], tools, "tools that ask for more are challenged, not hidden");
    let stale = house.token(&json!({ "exp": 1 }));
    let refused = Answer::to(catalogue().bearer_auth(stale)).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_token")));
}
