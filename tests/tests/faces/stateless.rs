//! MCP 2026-07-28, without sessions.

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{Answer, House, MODERN, PATH, changed, modern_message};

#[tokio::test(flavor = "multi_thread")]
async fn discovery_names_the_versions_and_the_capabilities() {
    let house = House::open().await;
    let answer = Answer::to(house.modern(&house.reader(), "server/discover", json!({}))).await;
    let result = answer.result();
    assert_eq!(answer.status, 200);
    assert_eq!(result["supportedVersions"], json!(["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]));
    let offered = json!({ "tools": { "listChanged": true } });
    assert_eq!(result["capabilities"], offered, "nothing is announced that is not there");
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "toolgate");
    assert_eq!(answer.header("mcp-session-id"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_stable_and_complete() {
    let house = House::open().await;
    let list = async || Answer::to(house.modern(&house.reader(), "tools/list", json!({}))).await.result();
    let result = list().await;
    let tools = result["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["tavily_search", "tavily_extract", "echo"], "in the order of the configuration");
    for tool in tools {
        let name = &tool["name"];
        assert!(tool["description"].as_str().is_some_and(|text| text.len() > 20), "{name}");
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{name}");
        for schema in ["inputSchema", "outputSchema"] {
            assert_eq!(tool[schema]["type"], "object", "{name}");
            jsonschema::draft202012::new(&tool[schema]).unwrap_or_else(|error| panic!("{schema} of {name}: {error}"));
        }
    }
    let schemes: Vec<_> = tools.iter().map(|tool| &tool["_meta"]["securitySchemes"]).collect();
    let needs = |scope: &str| json!([{ "type": "oauth2", "scopes": [scope] }]);
    assert_eq!(schemes, [&needs("web-search:read"), &needs("web-search:write"), &needs("web-search:read")]);
    assert!(result["ttlMs"].is_u64(), "a hint for how long the list may be kept");
    assert_eq!(result["cacheScope"], "private", "the list may differ between callers");
    assert!(result["nextCursor"].is_null());
    for _ in 0..5 {
        assert_eq!(list().await, result);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_gives_its_result_as_text_and_as_data() {
    let house = House::open().await;
    let answer = Answer::to(house.call(&house.reader(), "echo", json!({ "text": "hello" }))).await;
    let result = answer.result();
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(result["content"], json!([{ "type": "text", "text": "hello" }]));
    assert_eq!(result["structuredContent"], json!({ "text": "hello" }));
    assert_eq!(result["isError"], false);
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "toolgate");
    assert_eq!(answer.json()["id"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_a_result_that_names_the_path() {
    let house = House::open().await;
    let cases = [
        ("a number for a text", "echo", json!({ "text": 7 }), "/text"),
        ("a missing member", "echo", json!({}), "\"text\" is a required property"),
        ("a member too many", "echo", json!({ "text": "x", "volume": 11 }), "volume"),
        ("below a bound", "tavily_search", json!({ "query": "x", "max_results": -1 }), "/max_results"),
        ("outside an enumeration", "tavily_search", json!({ "query": "x", "topic": "gossip" }), "/topic"),
        (
            "inside a list",
            "tavily_search",
            json!({ "query": "x", "include_domains": ["a.example", 5] }),
            "/include_domains/1",
        ),
    ];
    for (name, tool, arguments, path) in cases {
        let answer = Answer::to(house.call(&house.reader(), tool, arguments)).await;
        let result = answer.result();
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(result["isError"], true, "{name}");
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains(path) && text.contains("not fit: "), "{name}: {text}");
        let record = house.server.audited(answer.request_id()).await;
        assert_eq!(
            (&record["decision"], &record["outcome"]),
            (&json!("permit"), &json!("invalid_arguments")),
            "{name}"
        );
    }
}

/// A change to a good request, and the answer to it.
struct Broken {
    name: &'static str,
    method: &'static str,
    params: Value,
    headers: &'static [(&'static str, &'static str)],
    without: &'static [&'static str],
    expected: (u16, Option<i64>),
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_must_say_what_the_body_says() {
    let house = House::open().await;
    let echo = || json!({ "name": "echo", "arguments": { "text": "x" } });
    const MISMATCH: (u16, Option<i64>) = (400, Some(-32020));
    let case =
        |name, method, params, headers, without, expected| Broken { name, method, params, headers, without, expected };
    let cases = [
        case("no version header", "tools/list", json!({}), &[], &["mcp-protocol-version"], MISMATCH),
        case("another version", "tools/list", json!({}), &[("mcp-protocol-version", "2025-06-18")], &[], MISMATCH),
        case("an unknown version", "tools/list", json!({}), &[("mcp-protocol-version", "2099-01-01")], &[], MISMATCH),
        case("no method header", "tools/list", json!({}), &[], &["mcp-method"], MISMATCH),
        case("another method", "tools/list", json!({}), &[("mcp-method", "tools/call")], &[], MISMATCH),
        case("a method in capitals", "tools/list", json!({}), &[("mcp-method", "Tools/List")], &[], MISMATCH),
        case("no name header", "tools/call", echo(), &[], &["mcp-name"], MISMATCH),
        case("another name", "tools/call", echo(), &[("mcp-name", "tavily_search")], &[], MISMATCH),
        case("a name in base64", "tools/call", echo(), &[("mcp-name", "=?base64?ZWNobw==?=")], &[], (200, None)),
        case("another in base64", "tools/call", echo(), &[("mcp-name", "=?base64?eA==?=")], &[], MISMATCH),
        case("a session that is none", "tools/list", json!({}), &[("mcp-session-id", "gone")], &[], (200, None)),
    ];
    for Broken { name, method, params, headers, without, expected } in cases {
        let answer = Answer::to(changed(house.modern(&house.reader(), method, params), headers, without)).await;
        let code = answer.rpc()["error"]["code"].as_i64();
        assert_eq!((answer.status, code), expected, "{name}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_version_is_told_which_there_are() {
    let house = House::open().await;
    let mut message = modern_message("tools/list", json!({}));
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let request = house.message(&house.reader(), message.to_string());
    let request = request.header("mcp-protocol-version", "2099-01-01").header("mcp-method", "tools/list");
    let answer = Answer::to(request).await;
    assert_eq!((answer.status, answer.rpc_error()), (400, -32022));
    let data = answer.rpc()["error"]["data"].clone();
    assert_eq!(data["requested"], "2099-01-01");
    assert_eq!(data["supported"].as_array().map(Vec::len), Some(4), "{data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_to_be_not_there() {
    let house = House::open().await;
    let methods = [
        "no/such/method",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "completion/complete",
        "tasks/get",
        "logging/setLevel",
        "ping",
    ];
    for method in methods {
        let answer = Answer::to(house.modern(&house.reader(), method, json!({ "level": "info" }))).await;
        assert_eq!((answer.status, answer.rpc_error(), &answer.rpc()["id"]), (404, -32601, &json!(1)), "{method}");
    }
    let answer = Answer::to(house.call(&house.reader(), "no_such_tool", json!({}))).await;
    assert_eq!(answer.rpc_error(), -32602);
    assert!(answer.body.contains("no_such_tool"), "{}", answer.body);
    let record = house.server.audited(answer.request_id()).await;
    assert_eq!((&record["decision"], &record["reason"]), (&json!("refuse"), &json!("unknown_tool")));
    let answer = Answer::to(house.modern(&house.reader(), "tools/list", json!({ "cursor": "made-up" }))).await;
    assert_eq!(answer.rpc_error(), -32602, "a cursor that was never given");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_a_message_is_a_json_rpc_error() {
    let house = House::open().await;
    let cases: &[(&str, &[u8], u16, i64)] = &[
        ("no JSON", b"{", 400, -32700),
        ("nothing", b"", 400, -32700),
        ("no UTF-8", b"\xff\xfe", 400, -32700),
        ("two messages", b"{} {}", 400, -32700),
        ("a batch", br#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#, 400, -32600),
        ("an empty batch", b"[]", 400, -32600),
        ("a string", br#""tools/list""#, 400, -32600),
        ("no version", br#"{"id":1,"method":"tools/list"}"#, 400, -32600),
        ("an old version", br#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#, 400, -32600),
        ("null as id", br#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, 400, -32600),
        ("a fraction as id", br#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#, 400, -32600),
        ("a list as id", br#"{"jsonrpc":"2.0","id":[],"method":"tools/list"}"#, 400, -32600),
        ("an id twice", br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}"#, 400, -32600),
        ("a method twice", br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#, 400, -32600),
        ("a number as method", br#"{"jsonrpc":"2.0","id":1,"method":7}"#, 400, -32600),
        ("no method", br#"{"jsonrpc":"2.0","id":1}"#, 400, -32600),
        ("a list as params", br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#, 400, -32600),
        ("an answer", br#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400, -32600),
        ("no metadata", br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#, 400, -32602),
        ("a call without params", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, 400, -32602),
        ("a call without name", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, 400, -32602),
        (
            "a list as arguments",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":[]}}"#,
            400,
            -32602,
        ),
    ];
    for (name, body, status, code) in cases {
        let request = house.message(&house.reader(), body.to_vec());
        let answer =
            Answer::to(request.header("mcp-protocol-version", MODERN).header("mcp-method", "tools/list")).await;
        assert_eq!((answer.status, answer.rpc_error()), (*status, *code), "{name}: {}", answer.body);
        assert!(!answer.request_id().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_before_the_message_is_a_json_rpc_error_too() {
    let house = House::open().await;
    let list = || house.modern(&house.reader(), "tools/list", json!({}));
    let with = |name, value| changed(list(), &[(name, value)], &[]);
    let bare =
        |method: Method| house.request(method, PATH).bearer_auth(house.reader()).header("mcp-protocol-version", MODERN);
    let cases = [
        ("another media type", with("content-type", "text/plain"), 415),
        ("no stream accepted", with("accept", "application/json"), 406),
        ("no JSON accepted", with("accept", "text/event-stream"), 406),
        ("GET", bare(Method::GET).header("accept", "text/event-stream"), 405),
        ("DELETE", bare(Method::DELETE), 405),
        ("PUT", bare(Method::PUT), 405),
        ("PATCH", bare(Method::PATCH), 405),
    ];
    for (name, request, status) in cases {
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        assert_eq!(answer.rpc_error(), -32600, "{name}");
        assert_eq!(status == 405, !answer.header("allow").is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_accepted_without_a_body() {
    let house = House::open().await;
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let request = house.message(&house.reader(), body).header("mcp-protocol-version", MODERN);
    let answer = Answer::to(request.header("mcp-method", "notifications/cancelled")).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
}
