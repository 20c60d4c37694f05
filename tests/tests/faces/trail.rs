//! The audit trail: a record for each call and each refusal, and what happens when it takes no more.

use std::{collections::BTreeSet, path::Path, process::Command};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    house::{Answer, CONFIG, House, PATH, eventually},
    sessions::Session,
};

/// The members of a record, in their order.
fn members(record: &Value) -> Vec<&str> {
    record.as_object().expect("a record").keys().map(String::as_str).collect()
}

const PERMITTED: [&str; 10] =
    ["time", "request_id", "principal", "token_id", "client_id", "face", "endpoint", "tool", "decision", "outcome"];

fn is_time(value: &Value) -> bool {
    let format = &time::format_description::well_known::Rfc3339;
    value.as_str().is_some_and(|text| text.ends_with('Z') && time::OffsetDateTime::parse(text, format).is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_and_every_refusal_leaves_one_whole_record() {
    let rule = ("TOOLGATE_PLUGINS__ECHO__TOOLS__ECHO", r#"{ scopes = ["web-search:read"], rate = "3/h" }"#);
    let house = House::with(CONFIG, &[rule]).await;
    let (reader, writer) = (house.reader(), house.writer());
    let session = Session::newest(&house, &reader).await;
    let echo = || json!({ "text": "a private matter" });
    let in_session = session.request(&reader, "tools/call", json!({ "name": "echo", "arguments": echo() }));
    let permit = |outcome: &str| json!({ "decision": "permit", "outcome": outcome });
    let refuse = |reason: &str| json!({ "decision": "refuse", "reason": reason });
    let no_token = || house.request(Method::POST, PATH);
    let expired = house.token(&json!({ "exp": 1 }));
    let lacking =
        json!({ "decision": "refuse", "reason": "insufficient_scope", "missing_scopes": ["web-search:write"] });
    let rows = [
        ("a call", Answer::to(house.call(&reader, "echo", echo())).await, "mcp", permit("ok")),
        ("a call in a session", in_session.await, "mcp", permit("ok")),
        ("a call by REST", Answer::to(house.post(&reader, "echo", &echo())).await, "rest", permit("ok")),
        ("one too many", Answer::to(house.post(&writer, "echo", &echo())).await, "rest", refuse("rate_limited")),
        (
            "a tool that fails",
            Answer::to(house.call(&reader, "tavily_search", json!({ "query": "x" }))).await,
            "mcp",
            permit("error"),
        ),
        (
            "wrong arguments",
            Answer::to(house.post(&reader, "tavily_search", &json!({ "qwery": "x" }))).await,
            "rest",
            permit("invalid_arguments"),
        ),
        ("scopes too few", Answer::to(house.call(&reader, "tavily_extract", json!({}))).await, "mcp", lacking.clone()),
        (
            "scopes too few by REST",
            Answer::to(house.post(&reader, "tavily_extract", &json!({}))).await,
            "rest",
            lacking,
        ),
        ("no such tool", Answer::to(house.post(&reader, "nothing", &json!({}))).await, "rest", refuse("unknown_tool")),
        ("no token", Answer::to(no_token()).await, "mcp", refuse("unauthorized")),
        ("an old token", Answer::to(no_token().bearer_auth(&expired)).await, "mcp", refuse("invalid_token")),
        ("a blank in it", Answer::to(no_token().bearer_auth("a b")).await, "mcp", refuse("invalid_request")),
        (
            "headers that lie",
            Answer::to(house.call(&reader, "tavily_search", json!({ "query": "x" })).header("mcp-name", "echo")).await,
            "mcp",
            permit("rejected"),
        ),
    ];
    for (name, answer, face, expected) in &rows {
        let record = house.server.audited(answer.request_id()).await;
        assert!(is_time(&record["time"]), "{name}: {record}");
        assert_eq!((&record["face"], &record["endpoint"]), (&json!(face), &json!("web-search")), "{name}");
        for (key, value) in expected.as_object().expect("members") {
            assert_eq!(&record[key], value, "{name}: {key} of {record}");
        }
        let known = !record["principal"].is_null();
        assert_eq!(known, record["tool"].is_string(), "{name}: {record}");
        if known {
            assert_eq!(record["principal"]["subject"], "usr_2001", "{name}");
            assert!(record["principal"]["provider"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
            assert_eq!(record["client_id"], "m2m_3001", "{name}");
        }
        if record["decision"] == "permit" {
            assert_eq!(members(&record)[..10], PERMITTED, "{name}");
            assert!(record["duration_ms"].as_f64().is_some_and(|span| span >= 0.0), "{name}: {record}");
        }
    }
    // Nothing but these, and nothing of what was said or shown.
    let ids: BTreeSet<_> = rows.iter().map(|(_, answer, ..)| answer.request_id()).collect();
    assert_eq!((ids.len(), house.server.audit().len()), (rows.len(), rows.len()));
    let text = serde_json::to_string(&house.server.audit()).expect("JSON");
    for secret in ["a private matter", "arguments", "Bearer", &reader, &writer, &expired] {
        let shown = secret.get(..16).unwrap_or(secret);
        assert!(!text.replace("invalid_arguments", "").contains(secret), "{shown} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_recorded_where_the_operator_wants_them() {
    let house = House::with(CONFIG, &[("TOOLGATE_AUDIT__ARGUMENTS", "true")]).await;
    let arguments = || json!({ "text": "a private matter" });
    for request in [house.call(&house.reader(), "echo", arguments()), house.post(&house.reader(), "echo", &arguments())]
    {
        let answer = Answer::to(request).await;
        assert_eq!(house.server.audited(answer.request_id()).await["arguments"], arguments());
    }
}

/// A pipe that nobody reads from yet.
#[cfg(unix)]
fn pipe(folder: &Path) -> (std::path::PathBuf, std::fs::File) {
    let path = folder.join("audit.pipe");
    assert!(Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()), "a pipe");
    // Open on both sides, so that the server does not wait for a reader to open it.
    let held = std::fs::File::options().read(true).write(true).open(&path).expect("the pipe");
    (path, held)
}

/// A server whose audit records, with arguments, go to a pipe; it holds 64 KiB, the queue one record.
#[cfg(unix)]
async fn clogged(on_full: &str) -> (House, tempfile::TempDir, std::fs::File) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, held) = pipe(folder.path());
    let variables = [
        ("TOOLGATE_AUDIT__SINK", path.to_str().expect("a path of text")),
        ("TOOLGATE_AUDIT__ON_FULL", on_full),
        ("TOOLGATE_AUDIT__QUEUE", "1"),
        ("TOOLGATE_AUDIT__ARGUMENTS", "true"),
    ];
    (House::with(CONFIG, &variables).await, folder, held)
}

#[cfg(unix)]
fn long() -> Value {
    json!({ "text": "x".repeat(60_000) })
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_trail_refuses_calls_if_told_to() {
    let (house, _folder, _held) = clogged("refuse").await;
    let refused = eventually("a refusal", async || {
        let answer = Answer::to(house.post(&house.reader(), "echo", &long())).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, &refused.json()["error"]), (503, &json!("temporarily_unavailable")));
    assert_eq!(refused.header("retry-after"), "1");
    let mcp = Answer::to(house.call(&house.reader(), "echo", json!({ "text": "x" }))).await;
    assert_eq!((mcp.status, mcp.header("retry-after")), (503, "1"));
    let nobody = Answer::to(house.request(Method::POST, PATH)).await;
    assert_eq!(nobody.status, 503, "a refusal is a record, too");
    let list = Answer::to(house.modern(&house.reader(), "tools/list", json!({}))).await;
    assert_eq!(list.status, 200, "what leaves no record goes on");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_trail_drops_records_if_told_to() {
    let (house, _folder, _held) = clogged("drop").await;
    for _ in 0..8 {
        let answer = Answer::to(house.post(&house.reader(), "echo", &long())).await;
        assert_eq!(answer.status, 200);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_trail_keeps_calls_waiting_by_default() {
    use std::io::{BufRead, BufReader};

    const CALLS: usize = 6;
    let (house, _folder, held) = clogged("wait").await;
    let calls: Vec<_> =
        (0..CALLS).map(|_| tokio::spawn(Answer::to(house.post(&house.reader(), "echo", &long())))).collect();
    // One record is in the pipe, one on the way into it, one in the queue.
    assert!(calls.iter().filter(|call| call.is_finished()).count() <= 3);
    // The sink goes on: every call ends, and every one is recorded.
    let reader = tokio::task::spawn_blocking(move || {
        BufReader::new(held).lines().take(CALLS).map(|line| line.expect("a line")).collect::<Vec<_>>()
    });
    for call in calls {
        assert_eq!(call.await.expect("no panic").status, 200);
    }
    for line in reader.await.expect("no panic") {
        let record: Value = serde_json::from_str(&line).expect("a record");
        assert_eq!((&record["outcome"], &record["arguments"]), (&json!("ok"), &long()));
    }
}
