//! A library that is rebuilt under load, again and again: no call is lost, and nothing piles up.
//!
//! `TOOLGATE_ROUNDS` says how often; a gate makes fewer rounds than one has patience for.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;
use toolgate_tests::process::children;

use super::house::{House, Plan, contrary, crashing, rounds};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_down_is_started_anew_by_a_hangup_and_by_any_edit() {
    let plan = Plan::new().library("p", &crashing(), "required = true\nlimits = { restarts = 0 }");
    let house = plan.open().await;
    let ready = async |house: &House| {
        let answer = house.http.get(format!("{}/readyz", house.server.url())).send().await.expect("an answer");
        answer.status().as_u16()
    };
    let edit = async |house: &House| {
        let config = format!("{}\n[scopes.\"more\"]\n", plan.text());
        fs::write(house.server.folder().join("config.toml"), config).expect("the configuration");
    };
    for way in ["a hangup", "an edit"] {
        assert_eq!(ready(&house).await, 200, "{way}");
        assert!(house.call("p", "abort", json!({})).await.expect("an answer").is_error(), "{way}");
        house
            .until("the end of the worker", async |house| {
                (house.readiness("p").await["state"] == "failed").then_some(())
            })
            .await;
        let state = house.readiness("p").await;
        let detail = state["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("started again when the configuration is reloaded"), "{way}: {state}");
        assert_eq!(ready(&house).await, 503, "{way}");
        match way {
            "a hangup" => house.server.signal("HUP").await,
            _ => edit(&house).await,
        }
        house.until("its new life", async |house| (house.readiness("p").await["state"] == "ready").then_some(())).await;
    }
    house.worker("p").await;
    assert_eq!(house.server.stderr().matches("replaced \"p\"").count(), 2, "{}", house.server.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_does_not_wait_for_a_plugin_that_does_not_list_its_tools() {
    let plan = Plan::new().library("p", &crashing(), "settings = { list_once = true }");
    let house = plan.open().await;
    assert!(house.echoes().await);
    let changed = json!({ "method": "notifications/tools/list_changed", "params": {} });
    assert!(house.call("p", "tell", changed).await.expect("an answer").is_good());
    house
        .until("the question for its tools", async |house| {
            house.server.stderr().contains("asked for the tools again").then_some(())
        })
        .await;
    let begun = Instant::now();
    let config = plan.text().replace("builtin = \"echo\"", "builtin = \"echo\"\nenabled = false");
    fs::write(house.server.folder().join("config.toml"), config).expect("the configuration");
    house.until("the end of echo", async |house| (!house.echoes().await).then_some(())).await;
    // The question itself would be given up after 30 s.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}
