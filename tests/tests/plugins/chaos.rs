//! A plugin that misbehaves in every way, under load: the others do not notice, each of its own calls has an answer,
//! and the server holds afterwards what it held before.
//!
//! A round is 200 concurrent calls, a few of them to the plugin that misbehaves, one way a round. `TOOLGATE_ROUNDS=1000
//! cargo test --release -p toolgate-tests --test plugins chaos` is the whole of it; a gate makes fewer rounds.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::Arc,
    time::Instant,
};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use toolgate_tests::{
    library,
    process::{children, open_files, resident},
};

use super::house::{Answer, House, Plan, crashing, http, rounds};

/// Calls at a time; most of them to plugins that behave.
const CONCURRENT: usize = 200;
/// Of these, calls of the plugin that misbehaves, half of them of its good tool.
const UNRULY: usize = 8;

/// Ways to misbehave, and whether such a call may end well.
const WAYS: &[(&str, bool)] = &[
    ("segfault", false),
    ("abort", false),
    ("overflow", false),
    ("leak", false),
    ("block", false),
    ("spin", false),
    ("panic", false),
    ("panic_escapes", false),
    ("twice", true),
    ("never", false),
    ("huge", false),
    ("garbage", false),
    ("not_utf8", false),
    ("wrong_shape", false),
    ("exit", false),
];

/// What the server may hold more of after all rounds than after its first times through all ways, in KiB. Its allocator
/// keeps what bursts have needed, and a log line here and there is on its way.
const MORE_MEMORY: u64 = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holdings {
    memory: u64,
    files: usize,
    workers: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_misbehaves_harms_nobody_and_leaves_nothing_behind() {
    let plan = Plan::new().library("hello", &library::of_crate("hello-plugin"), "").library(
        "crashing",
        &crashing(),
        "limits = { timeout = \"300ms\", memory = \"64 MiB\", cpu = \"1s\", restarts = 1000000 }",
    );
    let house = Arc::new(plan.open().await);
    // Pools, threads and buffers are as large as they become.
    for way in WAYS {
        round(&house, way).await;
    }
    let house = rested(house).await;
    let before = holdings(&house);
    let rounds = rounds(100);
    let started = Instant::now();
    for index in 0..rounds {
        round(&house, &WAYS[index % WAYS.len()]).await;
    }
    let span = started.elapsed();
    let house = rested(house).await;
    let mut after = holdings(&house);
    // What is on its way back is given a moment.
    house
        .until("what the server held before", async |house| {
            after = holdings(house);
            let back = after.files <= before.files && after.workers == before.workers;
            (back && after.memory <= before.memory + MORE_MEMORY).then_some(())
        })
        .await;
    let _ = writeln!(io::stdout(), "{rounds} rounds in {span:?}: {before:?} before, {after:?} after");
}

/// One round; panics with every call that is not as it has to be.
async fn round(house: &Arc<House>, &(way, may_end_well): &(&'static str, bool)) {
    let mut calls = JoinSet::new();
    for index in 0..CONCURRENT {
        let house = Arc::clone(house);
        let (plugin, tool, arguments) = match index {
            _ if index < UNRULY / 2 => ("crashing", way, json!({})),
            _ if index < UNRULY => ("crashing", "fine", json!({ "text": "fine" })),
            _ if index % 2 == 0 => ("echo", "echo", json!({ "text": "hi" })),
            _ => ("hello", "greet", json!({ "name": "you" })),
        };
        calls.spawn(async move { (plugin, tool, house.call(plugin, tool, arguments).await) });
    }
    let mut failures = String::new();
    while let Some(ended) = calls.join_next().await {
        let (plugin, tool, answer) = ended.expect("a call does not panic");
        let fault = match &answer {
            Err(error) => Some(format!("no answer: {error}")),
            Ok(answer) => fault(plugin, tool == way, may_end_well, answer),
        };
        if let Some(fault) = fault {
            let _ = writeln!(failures, "{plugin}/{tool} while it should {way}: {fault}");
        }
    }
    assert!(failures.is_empty(), "{failures}\n{}", last_lines(&house.server.stderr()));
    // It comes back: a worker that has answered a call is started again at once the next time.
    house.worker("crashing").await;
}

/// What is wrong with an answer.
fn fault(plugin: &str, misbehaves: bool, may_end_well: bool, answer: &Answer) -> Option<String> {
    let shown = || {
        let text: String = answer.text().chars().take(200).collect();
        Some(format!("{} isError={} {text:?}", answer.status, answer.body["isError"]))
    };
    let expected = match plugin {
        "echo" => answer.is_good() && answer.text() == "hi",
        "hello" => answer.is_good() && answer.text() == "Hello, you!",
        _ if misbehaves && !may_end_well => answer.is_error(),
        _ => answer.is_result(),
    };
    // A model has to be able to read what went wrong.
    let told = !answer.is_error() || !answer.text().is_empty();
    if expected && told { None } else { shown() }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// The server once nothing is under way, and with a client that has no connections left.
async fn rested(house: Arc<House>) -> Arc<House> {
    let House { server, http: _ } = Arc::into_inner(house).expect("no call is under way");
    let house = House { server, http: http() };
    house.worker("crashing").await;
    let open = async |house: &House| open_files(house.pid()).filter(|&open| open < CONCURRENT / 2);
    house.until("the end of all connections", open).await;
    house.until("two workers and no more", async |house| (children(house.pid()).len() == 2).then_some(())).await;
    assert_eq!(house.readiness("hello").await["state"], Value::from("ready"));
    Arc::new(house)
}

fn holdings(house: &House) -> Holdings {
    let pid = house.pid();
    Holdings {
        memory: resident(pid).expect("its memory"),
        files: open_files(pid).expect("its files"),
        workers: children(pid).len(),
    }
}
