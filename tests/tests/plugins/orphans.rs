//! A worker does not outlive its server, however that ends.

use std::time::Instant;

use serde_json::json;
use toolgate_tests::{
    library,
    process::{is_alive, members},
    server::{PATIENCE, workspace},
};

use super::house::{LOOK_AGAIN, Plan, crashing};

#[tokio::test]
async fn workers_end_with_their_server_however_it_ends() {
    let library = crashing();
    for signal in ["KILL", "TERM", "ABRT"] {
        let house = Plan::new().library("a", &library, "").library("b", &library, "").open().await;
        let workers = [house.worker("a").await, house.worker("b").await];
        // One of them is busy, and would not listen.
        let spin = tokio::spawn({
            let url = format!("{}/api/tools/b/block", house.server.url());
            let request = house.http.post(url).json(&serde_json::json!({}));
            async move { drop(request.send().await) }
        });
        house.server.signal(signal).await;
        let _ = house.server.ended().await;
        let ended = Instant::now();
        while workers.iter().any(|&worker| is_alive(worker)) {
            assert!(ended.elapsed() < PATIENCE, "{signal}: workers {workers:?} live on");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        spin.abort();
    }
}

#[tokio::test]
async fn a_plugin_that_clings_to_life_ends_with_its_server_and_so_does_what_it_has_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libclinging.so");
    library::of_c(&workspace().join("tests/tests/plugins/clinging.c"), &[], &library);
    for (section, least) in [("", 1), ("limits.exec = true", 3)] {
        let house = Plan::new().library("p", &library, section).open().await;
        let worker: u32 = house.text("p", "cling", json!({})).await.parse().expect("a number");
        // A worker that may start programs has a guard, and here a program without a parent of its own.
        let group = members(worker);
        assert!(group.contains(&worker) && group.len() >= least, "{section}: {group:?}");
        house.server.signal("KILL").await;
        let _ = house.server.ended().await;
        let ended = Instant::now();
        while group.iter().any(|&process| is_alive(process)) {
            assert!(ended.elapsed() < PATIENCE, "{section}: {:?} live on", members(worker));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
