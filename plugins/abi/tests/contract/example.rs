//! The example in C compiles at its strictest and answers as the boundary has it, under the compiler's sanitizers
//! where there are any.

use std::{path::PathBuf, sync::LazyLock};

use crate::compiler::{self, C};

const SOURCES: [&str; 2] = ["tests/c/host.c", "../../examples/hello-plugin-c/hello.c"];

static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| {
    let sanitizers = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let there = C.takes("sanitizers", &["tests/c/layout.c"], &sanitizers);
    C.build("example", &SOURCES, if there { &sanitizers } else { &[] }).expect("C is there")
});

/// The answers to `lines` of a plugin that is created with `settings`, without the manifest before them.
fn answers(settings: &str, lines: &[String]) -> Vec<String> {
    let create = format!(r#"{{"plugin": "hello", "stateDir": "/tmp", "settings": {settings}}}"#);
    let output = compiler::output(&EXAMPLE, &format!("{create}\n{}\n", lines.join("\n")));
    output.lines().skip(1).map(str::to_owned).collect()
}

fn greeted(text: &str) -> String {
    format!(r#"0 {{"content": [{{"type": "text", "text": "{text}"}}]}}"#)
}

#[test]
fn every_method_is_answered() {
    let cases = [
        ("toolgate/health", "{}", r#"0 {"status": "ready"}"#),
        ("toolgate/shutdown", "{}", "0 {}"),
        ("ping", "{}", "0 {}"),
        ("resources/list", "{}", r#"1 {"code": -32601, "message": "unknown method"}"#),
        ("tools/call", r#"{"name": "bye", "arguments": {}}"#, r#"1 {"code": -32001, "message": "unknown tool"}"#),
    ];
    let lines: Vec<String> = cases.iter().map(|(method, params, _)| format!("{method} {params}")).collect();
    let answers = answers("{}", &lines);
    for (id, ((method, _, expected), answer)) in (1..).zip(cases.iter().zip(&answers)) {
        assert_eq!(*answer, format!("{id} {expected}"), "{method}");
    }
    assert_eq!(answers.len(), cases.len());
}

#[test]
fn the_argument_is_found_wherever_it_is() {
    let missing = r#"1 {"code": -32602, "message": "a name is needed", "data": {"path": "/name"}}"#;
    let cases = [
        (r#"{"name":"greet","arguments":{"name":"Ada"}}"#, greeted("Hello, Ada!")),
        (r#"{"arguments" : {"x":[{"name":"no"},"}"],"name" :  "Ada" } , "name": "greet"}"#, greeted("Hello, Ada!")),
        (r#"{"_meta":{"name":"no","n":-1.5e3,"b":true},"name":"greet","arguments":{"name":""}}"#, greeted("Hello, !")),
        (r#"{"name":"greet","arguments":{"name":"a\"b\\\u00e9"}}"#, greeted(r#"Hello, a\"b\\\u00e9!"#)),
        (r#"{"name":"greet","arguments":{"name":"Zoë"}}"#, greeted("Hello, Zoë!")),
        (r#"{"name":"greet","arguments":{"name":5}}"#, missing.into()),
        (r#"{"name":"greet","arguments":{}}"#, missing.into()),
        (r#"{"name":"greet"}"#, missing.into()),
        (r#"{"name":"greet","arguments":{"name":"Ad"#, missing.into()),
        (r#"{"name":"greet","arguments":{"name":"Ad\"#, missing.into()),
    ];
    let lines: Vec<String> = cases.iter().map(|(params, _)| format!("tools/call {params}")).collect();
    let answers = answers("{}", &lines);
    for (id, ((params, expected), answer)) in (1..).zip(cases.iter().zip(&answers)) {
        assert_eq!(*answer, format!("{id} {expected}"), "{params}");
    }
    assert_eq!(answers.len(), cases.len());
}

#[test]
fn the_setting_is_used_or_refused_by_its_name() {
    let call = [r#"tools/call {"name":"greet","arguments":{"name":"Ada"}}"#.to_owned()];
    let told = answers(r#"{"greeting": "Good \"morning\""}"#, &call);
    assert_eq!(told, [format!("1 {}", greeted(r#"Good \"morning\", Ada!"#))]);
    let refused = answers(r#"{"greeting": 5}"#, &call);
    let message = "the greeting has to be a string";
    assert_eq!(refused, [format!(r#"0 1 {{"code": -32002, "message": "{message}", "data": {{"path": "greeting"}}}}"#)]);
}
