//! Schemas that are made to harm: what an isolated plugin gives as JSON Schema costs nobody else anything.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::house::{Plan, contrary, crashing, http};

/// Longest that anything else may take while a schema runs for ever.
const PROMPT: Duration = Duration::from_secs(1);

/// Checked against this, a value is looked at 2^34 times.
fn doubling() -> Value {
    let mut schemas: Map<String, Value> = (0..34)
        .map(|index| {
            let next = json!({ "$ref": format!("#/$defs/d{}", index + 1) });
            (format!("d{index}"), json!({ "allOf": [next, next] }))
        })
        .collect();
    schemas.insert("d34".into(), json!({ "type": "object" }));
    json!({ "type": "object", "$defs": schemas, "$ref": "#/$defs/d0" })
}

/// The same shape, so deep that JSON itself is about to refuse it.
fn deep() -> Value {
    (0..50).fold(json!({ "type": "object" }), |inner, _| json!({ "type": "object", "properties": { "a": inner } }))
}

fn many() -> Value {
    let properties: Map<String, Value> =
        (0..10_000).map(|index| (format!("p{index}"), json!({ "type": "integer" }))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A chain of references, and names that the document has to tell apart.
fn chain() -> Value {
    let mut schemas: Map<String, Value> =
        (0..10_000).map(|index| (format!("c{index}"), json!({ "$ref": format!("#/$defs/c{}", index + 1) }))).collect();
    schemas.insert("c10000".into(), json!({}));
    for index in 1..1_000 {
        schemas.insert("-".repeat(index), json!({}));
    }
    json!({ "type": "object", "$defs": schemas })
}

/// A library whose tool `greet` has this input schema.
fn library(folder: &Path, name: &str, schema: &Value) -> PathBuf {
    let list = json!({ "tools": [{ "name": "greet", "inputSchema": schema }] }).to_string();
    let (numbers, library) = (folder.join(format!("{name}.inc")), folder.join(format!("{name}.so")));
    fs::write(&numbers, list.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",")).expect("a file");
    contrary(&[("TOOLS", &format!("{:?}", numbers.display().to_string()))], &library);
    library
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_never_ends_hangs_its_own_worker_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = Plan::new()
        .library("doubling", &library(folder.path(), "doubling", &doubling()), "limits.timeout = \"1s\"")
        .library("crashing", &crashing(), "");
    let house = std::sync::Arc::new(plan.open().await);
    let mut hanging = JoinSet::new();
    for _ in 0..8 {
        let house = std::sync::Arc::clone(&house);
        hanging.spawn(async move { house.call("doubling", "greet", json!({ "name": "x" })).await });
    }
    for _ in 0..20 {
        let started = Instant::now();
        let healthz = http().get(format!("{}/healthz", house.server.url())).send().await.expect("an answer");
        assert!(healthz.status().is_success(), "{healthz:?}");
        assert!(house.echoes().await);
        assert_eq!(house.text("crashing", "fine", json!({ "text": "here" })).await, "here");
        assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    }
    while let Some(ended) = hanging.join_next().await {
        let answer = ended.expect("no panic").expect("an answer");
        assert!(answer.is_error(), "{answer:?}");
        assert!(answer.text().contains("gave no answer within 1s") || answer.text().contains("hung"), "{answer:?}");
    }
    // And the worker that still works on it is ended.
    house.server.stderr_with("it did not end a call within").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_odd_schemas_are_served_and_documented_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = json!({ "type": "string", "pattern": "^(a+)+$" });
    let pattern = json!({ "type": "object", "properties": { "text": text } });
    let rows = [
        ("doubling", doubling(), None),
        ("deep", deep(), Some((json!({ "a": { "a": 3 } }), "/a/a"))),
        ("many", many(), Some((json!({ "p9999": "x" }), "/p9999"))),
        ("chain", chain(), Some((json!([]), ""))),
        ("pattern", pattern, Some((json!({ "text": format!("{}!", "a".repeat(50_000)) }), "/text"))),
    ];
    let plan = rows
        .iter()
        .fold(Plan::new(), |plan, (name, schema, _)| plan.library(name, &library(folder.path(), name, schema), ""));
    let house = plan.open().await;
    for path in ["/openapi.json", "/api/tools"] {
        let started = Instant::now();
        let response = house.http.get(format!("{}{path}", house.server.url())).send().await.expect("an answer");
        let document: Value = response.json().await.expect("JSON");
        assert!(started.elapsed() < 5 * PROMPT, "{path}: {:?}", started.elapsed());
        assert!(document.to_string().contains("p9999"), "{path}");
    }
    for (name, _, wrong) in &rows {
        let Some((wrong, path)) = wrong else { continue };
        let started = Instant::now();
        assert_eq!(house.text(name, "greet", json!({})).await, "hello", "{name}");
        let answer = house.call(name, "greet", wrong.clone()).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}: {answer:?}");
        assert!(answer.body.to_string().contains(path), "{name}: {answer:?}");
        assert!(started.elapsed() < 2 * PROMPT, "{name}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_told_apart_in_the_answer_and_the_trail_by_each_worker() {
    let house = Plan::new().library("p", &crashing(), "limits.restarts = 1000").open().await;
    for round in 0..3 {
        let url = format!("{}/api/tools/p/fine", house.server.url());
        let answer = house.http.post(url).json(&json!({ "text": 7 })).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{round}");
        let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["error"], "invalid_arguments", "{body}");
        assert!(body.to_string().contains("/text"), "{body}");
        assert_eq!(house.server.audited(&id).await["outcome"], "invalid_arguments", "{round}");
        // The next worker knows the schemas before it is asked for its tools.
        assert!(house.call("p", "abort", json!({})).await.expect("an answer").is_error());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_never_fetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let file = folder.path().join("schema.json");
    fs::write(&file, "{}").expect("a file");
    let http = format!("http://{}/schema.json", listener.local_addr().expect("an address"));
    let rows = [("http", http), ("file", format!("file://{}", file.display()))];
    let granted = format!("limits = {{ network = true, read = [{:?}] }}", folder.path().display().to_string());
    let plan = rows.iter().fold(Plan::new(), |plan, (name, address)| {
        let library = library(folder.path(), name, &json!({ "type": "object", "$ref": address }));
        let inside = format!("{name}-inside");
        plan.library(name, &library, &granted).library(&inside, &library, "isolation = \"none\"")
    });
    let house = plan.open().await;
    assert!(house.echoes().await);
    for plugin in ["http", "http-inside", "file", "file-inside"] {
        let said = house.readiness(plugin).await;
        assert_eq!(said["state"], "failed", "{plugin}: {said}");
        assert!(said["detail"].as_str().unwrap_or_default().contains("no valid JSON Schema"), "{plugin}: {said}");
    }
    let call = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(call.is_err(), "nobody called");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_settings_that_never_ends_keeps_its_own_plugin_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = json!({ "name": "slow", "version": "1", "settingsSchema": doubling() }).to_string();
    let library = folder.path().join("slow.so");
    contrary(&[("MANIFEST", &format!("{manifest:?}"))], &library);
    let house = Plan::new().library("slow", &library, "").open().await;
    assert!(house.echoes().await);
    let said = house.readiness("slow").await;
    assert_eq!(said["state"], "failed", "{said}");
    assert!(said["detail"].as_str().unwrap_or_default().contains("did not start within"), "{said}");
}
