//! Bodies and the headers that repeat them: what counts is the body, read in one way.

use serde_json::json;

use super::{Honest, Says, assert_answered, honest, row};
use crate::house::{Face, House, Provider, message};

#[tokio::test]
async fn messages_mean_what_their_body_says() {
    let house = House::of(Provider::Scalekit).await;
    let Honest { rest, mcp, .. } = honest(&house).await;
    let with = |body: &str| mcp.clone().body(body);
    let write = message("write", &json!({ "text": "hello" })).to_string();
    let read = message("read", &json!({ "text": "hello" })).to_string();
    let short = || Says::Error("insufficient_scope");
    let twice = |member: &str| {
        let (head, tail) = read.split_once("\"name\":\"read\"").expect("the tool's name");
        format!("{head}\"name\":\"read\",{member}{tail}")
    };
    let rows = vec![
        row("the header names another tool", mcp.clone().set("Mcp-Name", "open"), 400, Says::JsonRpc),
        row("the header names a tool that may be called", with(&write), 403, short()),
        row("the header names both", with(&write).set("Mcp-Name", "write"), 403, short()),
        row("two headers name two tools", mcp.clone().with("Mcp-Name", "write"), 400, Says::JsonRpc),
        row("the header says another method", mcp.clone().set("Mcp-Method", "tools/list"), 400, Says::JsonRpc),
        row("two names", with(&twice("\"name\":\"write\"")), 400, Says::JsonRpc),
        row("two names, one escaped", with(&twice("\"n\\u0061me\":\"write\"")), 400, Says::JsonRpc),
        row("two methods", with(&read.replacen('{', "{\"method\":\"ping\",", 1)), 400, Says::JsonRpc),
        row("two params", with(&read.replacen('{', "{\"params\":{\"name\":\"write\"},", 1)), 400, Says::JsonRpc),
        row("two ids", with(&read.replacen('{', "{\"id\":2,", 1)), 400, Says::JsonRpc),
        row("a batch", with(&format!("[{read}]")), 400, Says::JsonRpc),
        row("a batch of nothing", with("[]"), 400, Says::JsonRpc),
        row("two messages", with(&format!("{read}{read}")), 400, Says::JsonRpc),
        row("no message", with(""), 400, Says::JsonRpc),
        row("half a message", with(&read[..read.len() / 2]), 400, Says::JsonRpc),
        row("a mark before the message", with(&format!("\u{feff}{read}")), 400, Says::JsonRpc),
        row(
            "not UTF-8",
            mcp.clone().octets_of(b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}"),
            400,
            Says::JsonRpc,
        ),
        row("ten thousand lists deep", with(&format!("{{\"jsonrpc\":{}", "[".repeat(10_000))), 400, Says::JsonRpc),
        row("the name is a number", with(&read.replace("\"name\":\"read\"", "\"name\":7")), 400, Says::JsonRpc),
        row("the name is a list", with(&read.replace("\"name\":\"read\"", "\"name\":[\"read\"]")), 400, Says::JsonRpc),
        row("as a form", mcp.clone().set("Content-Type", "application/x-www-form-urlencoded"), 415, Says::JsonRpc),
        row(
            "as text, which a page may send unasked",
            mcp.clone().set("Content-Type", "text/plain"),
            415,
            Says::JsonRpc,
        ),
        row("as nothing", mcp.clone().without("Content-Type"), 415, Says::JsonRpc),
        row(
            "a tool's arguments as text",
            rest.clone().set("Content-Type", "text/plain"),
            415,
            Says::Error("unsupported_media_type"),
        ),
        row("a tool's arguments in a list", rest.clone().body("[]"), 400, Says::Error("invalid_arguments")),
        row("a tool's arguments cut off", rest.clone().body("{\"text\":"), 400, Says::Error("invalid_request")),
        row(
            "an argument that is not the tool's",
            rest.clone().body("{\"text\":\"hello\",\"scope\":\"x\"}"),
            400,
            Says::Error("invalid_arguments"),
        ),
        row(
            "an argument twice: the last counts",
            rest.clone().body("{\"text\":\"bye\",\"text\":\"hello\"}"),
            200,
            Says::Echo(Face::Rest),
        ),
    ];
    assert_answered(&house, rows).await;
}
