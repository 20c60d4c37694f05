//! Panics, starts that fail, and hosts that are not what they should be.

use serde_json::{Value, json};
use toolgate_abi::{ERROR, OK, Peer};
use toolgate_plugin::serde_json;

use crate::host::{refusal, refusal_of_sizes, start, start_with};

#[test]
fn a_panic_is_an_answer_that_keeps_its_message() {
    let plugin = start_with(&json!({ "lists": "panic" })).expect("it starts");
    let call = |tool: &str| json!({ "name": tool, "arguments": {} });
    for (id, (method, params, label, message)) in (1..).zip([
        ("tools/call", call("panic"), "the tool \"panic\"", "a secret in a call"),
        ("tools/call", call("panic_later"), "the tool \"panic_later\"", "no message"),
        ("tools/call", call("bomb"), "the tool \"bomb\"", "no message"),
        ("tools/call", call("bomb_later"), "the tool \"bomb_later\"", "no message"),
        ("tools/list", json!({}), "tools/list", "a secret in the list"),
    ]) {
        plugin.ask(id, method, &params);
        let error = json!({ "code": -32603, "message": format!("the plugin panicked in {label}") });
        assert_eq!(plugin.answer(id), (ERROR, error), "{method} {params}");
        plugin.logged("error", &format!("{label} panicked: {message}"));
    }
    assert_eq!(plugin.text(9, "later"), "plugin-sample", "it goes on");
    plugin.release();
}

#[test]
fn a_panic_in_a_drop_is_answered_too() {
    let plugin = start();
    for (id, tool) in (1..).zip(["wait_and_panic", "wait_and_bomb"]) {
        plugin.call(id, tool, &json!({}));
        plugin.cancel(id);
        let error = json!({ "code": -32603, "message": "the plugin panicked" });
        assert_eq!(plugin.answer(id), (ERROR, error), "{tool}");
    }
    plugin.call(3, "echo", &json!({}));
    assert_eq!(plugin.answer(3).0, OK);
    plugin.release();
}

#[test]
fn a_start_that_fails_says_why() {
    let settings = |path: &str, message: &str| json!({ "code": -32002, "message": message, "data": { "path": path } });
    let panicked = json!({ "code": -32603, "message": "the plugin panicked in Plugin::start" });
    let fields = "expected one of `lists`, `start`, `limits`";
    for (given, error) in [
        (json!({ "start": "fail" }), json!({ "code": -32603, "message": "no upstream" })),
        (json!({ "start": "refuse" }), settings("start", "not this one")),
        (json!({ "start": "panic" }), panicked.clone()),
        (json!({ "start": "bomb" }), panicked),
        (json!({ "start": 5 }), settings("start", "invalid type: integer `5`, expected a string")),
        (
            json!({ "limits": { "sizes": [1, 300] } }),
            settings("limits.sizes.1", "invalid value: integer `300`, expected u8"),
        ),
        (json!({ "no": 1 }), settings("no", &format!("unknown field `no`, {fields}"))),
        (Value::Null, settings("", "invalid type: null, expected struct Settings")),
    ] {
        assert_eq!(start_with(&given).err(), Some(vec![(ERROR, error)]), "{given}");
    }
}

#[test]
fn params_of_create_that_do_not_fit_are_refused() {
    for params in ["", "{", "[]", "{}", "{\"plugin\": 5}", "\u{0}"] {
        let answers = refusal(params);
        assert_eq!(answers.len(), 1, "{params}");
        assert_eq!((answers[0].0, &answers[0].1["code"]), (ERROR, &json!(-32602)), "{params}");
    }
}

#[test]
fn a_host_that_knows_less_than_version_1_is_refused() {
    let whole = size_of::<Peer>();
    let error = json!({ "code": -32603, "message": "the host's toolgate_peer is smaller than version 1 has it" });
    for (host, room) in [(whole - 1, whole), (whole, whole - 1), (0, whole), (whole, 0)] {
        assert_eq!(refusal_of_sizes(host, room), [(ERROR, error.clone())], "{host} {room}");
    }
}
