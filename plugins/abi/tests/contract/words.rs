//! The contract in words: its JSON is JSON, and it leaves out no name and no code of the Rust side.

use serde_json::Value;
use toolgate_abi::{code, meta, method, symbol};

const README: &str = include_str!("../../README.md");

#[test]
fn every_example_is_json() {
    let examples: Vec<&str> = README.split("```json\n").skip(1).filter_map(|text| text.split("```").next()).collect();
    assert!(examples.len() > 5, "the examples are found");
    for example in examples {
        let parsed: Result<Value, _> = serde_json::from_str(example);
        assert!(parsed.is_ok(), "{parsed:?} in {example}");
    }
}

#[test]
fn every_name_and_code_is_explained() {
    let names = [
        symbol::ABI_VERSION,
        symbol::MANIFEST,
        symbol::CREATE,
        method::TOOLS_LIST,
        method::TOOLS_CALL,
        method::HEALTH,
        method::SHUTDOWN,
        method::PING,
        method::CANCELLED,
        method::PROGRESS,
        method::MESSAGE,
        method::TOOLS_CHANGED,
        method::RESOURCE_UPDATED,
        meta::CALLER,
        meta::REQUEST_ID,
        meta::TIMEOUT_MS,
        meta::PROGRESS_TOKEN,
        meta::TRACEPARENT,
        meta::TRACESTATE,
    ];
    let codes = [
        code::METHOD_NOT_FOUND,
        code::INVALID_PARAMS,
        code::INTERNAL,
        code::UNKNOWN_TOOL,
        code::SETTINGS,
        code::CANCELLED,
    ];
    let codes = codes.map(|code| format!("| {code} |"));
    let missing: Vec<&str> =
        names.into_iter().chain(codes.iter().map(String::as_str)).filter(|name| !README.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
