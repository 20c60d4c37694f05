//! A library that is rebuilt under load, again and again: no call is lost, and nothing piles up.
//!
//! `TOOLGATE_ROUNDS` says how often; a gate makes fewer rounds than one has patience for.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::json;
use tokio::task::JoinSet;
use toolgate_tests::process::children;

use super::house::{Plan, contrary, rounds};

/// Callers that never pause.
const CALLERS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_no_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let builds = ["one", "two"];
    for build in builds {
        contrary(&[("GREETING", &format!("\"{build}\""))], &folder.path().join(build));
    }
    let library = folder.path().join("libplugin.so");
    // As a linker does it, or somebody who deploys: the file is another one at once.
    let install = |build: &str| {
        let new = folder.path().join("new");
        fs::copy(folder.path().join(build), &new).expect("a copy");
        fs::rename(&new, &library).expect("it is put in place");
    };
    install(builds[0]);
    let house = Arc::new(Plan::new().library("p", &library, "").open().await);
    assert_eq!(house.text("p", "greet", json!({})).await, "one");

    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (house, over, answered) = (Arc::clone(&house), Arc::clone(&over), Arc::clone(&answered));
        callers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let text = house.text("p", "greet", json!({})).await;
                assert!(builds.contains(&text.as_str()), "{text}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let rounds = rounds(20);
    for round in 1..=rounds {
        let build = builds[round % 2];
        install(build);
        house.server.signal("HUP").await;
        house
            .until(&format!("the build of round {round}"), async |house| {
                let answer = house.call("p", "greet", json!({})).await.expect("an answer");
                (answer.text() == build).then_some(())
            })
            .await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller.expect("no call of this caller was lost");
    }
    assert!(answered.load(Ordering::Relaxed) > rounds, "there was a load");
    house.until("one worker alone", async |house| (children(house.pid()).len() == 1).then_some(())).await;
}
