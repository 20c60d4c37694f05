//! The header and the Rust side say the same, and both compilers take it at their strictest.

use std::{env, fs, mem::offset_of, path::Path};

use toolgate_abi::{Bytes, Complete, ERROR, HEADER, OK, Peer, VERSION, code};

use crate::compiler::{self, C, CXX, Compiler};

/// Every line that `layout.c` prints, from the Rust side.
fn layout() -> String {
    let sizes = [
        ("sizeof(toolgate_bytes)", size_of::<Bytes>()),
        ("offsetof(toolgate_bytes, data)", offset_of!(Bytes, data)),
        ("offsetof(toolgate_bytes, len)", offset_of!(Bytes, len)),
        ("sizeof(toolgate_peer)", size_of::<Peer>()),
        ("offsetof(toolgate_peer, size)", offset_of!(Peer, size)),
        ("offsetof(toolgate_peer, instance)", offset_of!(Peer, instance)),
        ("offsetof(toolgate_peer, request)", offset_of!(Peer, request)),
        ("offsetof(toolgate_peer, notify)", offset_of!(Peer, notify)),
        ("offsetof(toolgate_peer, release)", offset_of!(Peer, release)),
        ("sizeof(toolgate_complete)", size_of::<Option<Complete>>()),
    ];
    let values = [
        ("TOOLGATE_ABI_VERSION", i64::from(VERSION)),
        ("TOOLGATE_OK", i64::from(OK)),
        ("TOOLGATE_ERROR", i64::from(ERROR)),
        ("TOOLGATE_E_METHOD_NOT_FOUND", code::METHOD_NOT_FOUND),
        ("TOOLGATE_E_INVALID_PARAMS", code::INVALID_PARAMS),
        ("TOOLGATE_E_INTERNAL", code::INTERNAL),
        ("TOOLGATE_E_UNKNOWN_TOOL", code::UNKNOWN_TOOL),
        ("TOOLGATE_E_SETTINGS", code::SETTINGS),
        ("TOOLGATE_E_CANCELLED", code::CANCELLED),
    ];
    let sizes = sizes.iter().map(|(name, value)| format!("{name} {value}\n"));
    sizes.chain(values.iter().map(|(name, value)| format!("{name} {value}\n"))).collect()
}

fn assert_layout(compiler: Compiler, name: &str) {
    let Some(program) = compiler.build(name, &["tests/c/layout.c"], &[]) else { return };
    assert_eq!(compiler::output(&program, ""), layout());
}

#[test]
fn c_sees_what_rust_sees() {
    assert_layout(C, "layout-c");
}

#[test]
fn cpp_sees_what_rust_sees() {
    assert_layout(CXX, "layout-cpp");
}

#[test]
fn what_a_cpp_plugin_throws_is_an_answer() {
    let Some(program) = CXX.build("throwing", &["tests/c/throwing.cpp"], &[]) else { return };
    let expected = "7 1 {\"code\": -32603, \"message\": \"the plugin threw an exception\"}\n";
    assert_eq!(compiler::output(&program, ""), expected);
}

#[test]
fn a_cpp_function_that_may_throw_is_no_request() {
    if !CXX.is_there() {
        return;
    }
    let error = CXX.refusal("unguarded", &["tests/c/throwing.cpp"], &["-DUNGUARDED"]);
    assert!(error.contains("noexcept"), "{error}");
}

#[test]
fn the_header_among_the_schemas_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/toolgate_plugin.h");
    if env::var_os("REFRESH").is_some() {
        fs::write(&path, HEADER).expect("the header is written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let refresh = "REFRESH=1 cargo test -p toolgate-abi --test contract";
    assert!(stored == HEADER, "schemas/toolgate_plugin.h is stale; refresh it with: {refresh}");
}
