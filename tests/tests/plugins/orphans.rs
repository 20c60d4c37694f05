//! A worker does not outlive its server, however that ends.

use std::time::Instant;

use toolgate_tests::{process::is_alive, server::PATIENCE};

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
