//! Requests of every method, and how their answers come.

use serde_json::json;
use toolgate_abi::{ERROR, OK};
use toolgate_plugin::serde_json;

use crate::host::{manifest, start, start_with};

#[test]
fn the_manifest_says_who_the_plugin_is() {
    let (version, manifest) = manifest();
    assert_eq!(version, 1);
    for (member, value) in [
        ("name", json!("sample")),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("description", json!(env!("CARGO_PKG_DESCRIPTION"))),
        ("kit", json!(concat!("toolgate-plugin ", env!("CARGO_PKG_VERSION")))),
        ("blocking", json!(false)),
    ] {
        assert_eq!(manifest[member], value, "{member}");
    }
    assert_eq!(manifest["settingsSchema"]["properties"]["start"]["type"], "string");
}

#[test]
fn every_method_is_answered() {
    let plugin = start();
    let list = json!({ "tools": [{ "name": "echo", "description": "Give back", "inputSchema": {} }] });
    let unknown = json!({ "code": -32601, "message": "unknown method \"resources/list\"" });
    for (id, (method, params, status, payload)) in (1..).zip([
        ("tools/list", json!({}), OK, list),
        ("toolgate/health", json!({}), OK, json!({ "status": "ready" })),
        ("ping", json!({}), OK, json!({})),
        ("toolgate/shutdown", json!({}), OK, json!({})),
        ("resources/list", json!({}), ERROR, unknown),
    ]) {
        plugin.ask(id, method, &params);
        assert_eq!(plugin.answer(id), (status, payload), "{method}");
    }
    plugin.logged("warning", "shut down");
    plugin.release();
}

#[test]
fn a_provider_that_fails_says_so() {
    let plugin = start_with(&json!({ "lists": "fail" })).expect("it starts");
    plugin.ask(1, "tools/list", &json!({}));
    assert_eq!(plugin.answer(1), (ERROR, json!({ "code": -32603, "message": "no list" })));
    plugin.ask(2, "toolgate/health", &json!({}));
    assert_eq!(plugin.answer(2), (OK, json!({ "status": "degraded", "reason": "no list" })));
    plugin.release();
}

#[test]
fn bytes_that_do_not_fit_are_answered() {
    let plugin = start();
    let cases: [(&[u8], &[u8], i64); 6] = [
        (b"tools/call", b"", -32602),
        (b"tools/call", b"{\"name\": 5}", -32602),
        (b"tools/call", b"\xff", -32602),
        (b"tools/call", b"{\"name\": \"echo\", \"_meta\": 5}", -32602),
        (b"\xff", b"{}", -32601),
        (b"", b"", -32601),
    ];
    for (id, (method, params, code)) in (1..).zip(cases) {
        plugin.ask_raw(id, method, params);
        let (status, error) = plugin.answer(id);
        assert_eq!((status, error["code"].as_i64()), (ERROR, Some(code)), "{id}: {error}");
    }
    plugin.release();
}

#[test]
fn what_needs_no_waiting_is_answered_before_request_returns() {
    let plugin = start();
    plugin.call(1, "echo", &json!({ "a": 1 }));
    let answers = plugin.heard.now().answers.remove(&1).expect("it is there already");
    assert_eq!(answers, [(OK, json!({ "content": [{ "type": "text", "text": "{\"a\":1}" }], "isError": false }))]);
    plugin.release();
}

#[test]
fn what_waits_goes_on_on_the_runtime_of_the_plugin() {
    let plugin = start();
    assert_eq!(plugin.text(1, "later"), "plugin-sample");
    assert_eq!(plugin.text(2, "timer"), "slept");
    assert_eq!(plugin.text(3, "socket"), "hi");
    assert_eq!(plugin.text(4, "spawn"), "spawned");
    plugin.release();
}

#[tokio::test]
async fn a_host_may_call_from_a_runtime_of_its_own() {
    let plugin = start();
    assert_eq!(plugin.text(1, "timer"), "slept");
    plugin.release();
}

#[test]
fn what_surrounds_a_call_arrives() {
    let plugin = start();
    let meta = json!({
        "toolgate/caller": { "subject": "ada", "clientId": "app", "scopes": ["a", "b"] },
        "toolgate/requestId": "r-1",
        "toolgate/timeoutMs": 60_000,
        "progressToken": 9,
        "traceparent": "00-1",
        "tracestate": "x=y",
        "of/another/version": {},
    });
    plugin.ask(1, "tools/call", &json!({ "name": "context", "arguments": {}, "_meta": meta, "task": {} }));
    let text = plugin.answer(1).1["content"][0]["text"].as_str().map(serde_json::from_str::<serde_json::Value>);
    let expected = json!({
        "subject": "ada", "client": "app", "scopes": ["a", "b"], "request": "r-1", "deadline": true, "progress": true,
        "trace": ["00-1", "x=y"],
    });
    assert_eq!(text.expect("a text").expect("JSON"), expected);

    let nothing = json!({
        "subject": "", "client": null, "scopes": [], "request": "", "deadline": false, "progress": false,
        "trace": [null, null],
    });
    assert_eq!(plugin.text(2, "context"), nothing.to_string());
    plugin.release();
}

#[test]
fn progress_and_notices_reach_the_host() {
    let plugin = start();
    plugin.logged("info", "starts as sample in /nowhere");
    plugin.heard.now().told.clear();
    let call = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "t" } });
    plugin.ask(1, "tools/call", &call);
    assert_eq!(plugin.text(2, "tell"), "told");
    let told = [
        ("notifications/progress", json!({ "progressToken": "t", "progress": 1.0, "total": 2.0, "message": "half" })),
        ("notifications/progress", json!({ "progressToken": "t", "progress": 2.0 })),
        ("notifications/tools/list_changed", json!({})),
        ("notifications/resources/updated", json!({ "uri": "file:///x" })),
        ("notifications/message", json!({ "level": "error", "data": "a \"line\"" })),
    ];
    assert_eq!(plugin.heard.now().told, told.map(|(method, params)| (method.to_owned(), params)));
    plugin.release();
}

#[test]
fn errors_of_tools_have_their_codes() {
    let plugin = start();
    let path = json!({ "path": "/urls/3" });
    for (id, (tool, status, payload)) in (1..).zip([
        ("no", ERROR, json!({ "code": -32001, "message": "unknown tool \"no\"" })),
        ("invalid", ERROR, json!({ "code": -32602, "message": "not a URL", "data": path })),
        ("cancelled", ERROR, json!({ "code": -32800, "message": "the call was cancelled" })),
        (
            "fail",
            OK,
            json!({
                "content": [{ "type": "text", "text": "no luck" }], "structuredContent": { "error": { "code": 7 } },
                "isError": true,
            }),
        ),
    ]) {
        plugin.call(id, tool, &json!({}));
        assert_eq!(plugin.answer(id), (status, payload), "{tool}");
    }
    plugin.release();
}
