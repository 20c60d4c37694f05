//! Signals that are meant for the server and reach its workers as well, as `kill $(pidof …)` or a supervisor sends them.

use std::{fs, process::Command};

use serde_json::json;

use super::house::{Plan, crashing};

fn signal(name: &str, process: u32) {
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "SIG{name} to {process}");
}

#[tokio::test]
async fn a_worker_lives_on_through_signals_that_are_meant_for_the_server() {
    let house = Plan::new().library("p", &crashing(), "").open().await;
    let worker = house.worker("p").await;
    for name in ["HUP", "INT", "TERM", "PIPE"] {
        signal(name, worker);
        // A signal that ends a process has done so before that process works on what is asked after it.
        for _ in 0..3 {
            assert_eq!(house.text("p", "pid", json!({})).await, worker.to_string(), "SIG{name}");
        }
        assert_eq!(house.readiness("p").await["state"], "ready", "SIG{name}");
    }
    house.server.signal("HUP").await;
    house.server.stderr_with("nothing has changed").await;
    assert_eq!(house.worker("p").await, worker, "the server's hangup is the server's alone");
    assert!(!house.server.stderr().contains("crashed"), "{}", house.server.stderr());
}

#[tokio::test]
async fn a_worker_goes_by_a_name_of_its_own() {
    let house = Plan::new().library("p", &crashing(), "").open().await;
    let worker = house.worker("p").await;
    let read = |what: &str| fs::read_to_string(format!("/proc/{worker}/{what}")).expect("it runs");
    assert_eq!(read("comm").trim_end(), "toolgate-worker");
    assert!(read("cmdline").starts_with("toolgate-worker\0"), "{:?}", read("cmdline"));
}
