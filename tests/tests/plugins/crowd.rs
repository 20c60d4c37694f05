//! What one caller, or one call, can do to the others of the same plugin and to the server's log.

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use toolgate_tests::{library, process::resident, server::workspace};

use super::house::{House, Plan};

/// A server with the plugin of `crowd.c`, and the folder that holds its library.
async fn open(section: &str) -> (House, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let crowd = folder.path().join("libcrowd.so");
    library::of_c(&workspace().join("tests/tests/plugins/crowd.c"), &[], &crowd);
    (Plan::new().library("crowd", &crowd, section).open().await, folder)
}

/// Call `sleep` and hang up before it answers.
async fn hang_up(house: &House, milliseconds: u64) {
    let call = house.call("crowd", "sleep", json!({ "ms": milliseconds }));
    let _ = tokio::time::timeout(Duration::from_millis(500), call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_hang_up_end_nobody_elses_calls() {
    let (house, _folder) = open("").await;
    // Longer than a worker is given for a call that it should have ended.
    let patient = house.call("crowd", "sleep", json!({ "ms": 8000 }));
    let (answer, ()) = tokio::join!(patient, hang_up(&house, 40_000));
    let answer = answer.expect("an answer");
    assert!(answer.is_good() && answer.text() == "hello", "{answer:?}\n{}", house.server.stderr());
    assert!(!house.server.stderr().contains("hung"), "{}", house.server.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_on_after_its_time_limit_ends_its_worker() {
    let (house, _folder) = open("limits = { timeout = \"1s\" }").await;
    hang_up(&house, 600_000).await;
    let hung = async |house: &House| house.server.stderr().contains("of its time limit").then_some(());
    house.until("the end of the worker", hung).await;
    assert_eq!(house.text("crowd", "greet", json!({})).await, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_babbles_fills_no_log_and_keeps_nobody_waiting() {
    for isolation in ["process", "none"] {
        let (house, _folder) = open(&format!("isolation = \"{isolation}\"")).await;
        assert_eq!(house.text("crowd", "greet", json!({})).await, "hello");
        let (before, lines) = (resident(house.pid()).expect("its memory"), house.server.stderr().lines().count());
        let asks = async {
            let mut slowest = Duration::ZERO;
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(2) {
                let asked = Instant::now();
                assert_eq!(house.text("crowd", "greet", json!({})).await, "hello", "{isolation}");
                assert!(house.echoes().await, "{isolation}");
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        };
        let (babbled, slowest) = tokio::join!(house.call("crowd", "babble", json!({ "ms": 3000 })), asks);
        assert!(babbled.expect("an answer").is_good(), "{isolation}");
        assert!(slowest < Duration::from_secs(2), "{isolation}: {slowest:?}");
        let more = resident(house.pid()).expect("its memory").saturating_sub(before);
        assert!(more < 16 * 1024, "{isolation}: {more} KiB");
        let log = house.server.stderr();
        // A hundred lines a second, for three seconds that may touch five, and what is said of the others.
        let told = log.lines().count() - lines;
        assert!((100..=520).contains(&told), "{isolation}: {told} lines");
        assert!(log.contains("lines are left out: more than 100 a second"), "{isolation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_hangs_up_is_not_taken_for_one_that_was_killed() {
    let (house, _folder) = open("").await;
    let answer = house.call("crowd", "hang_up", json!({})).await.expect("an answer");
    let expected = "the plugin \"crowd\" closed its connection to the server while it worked on this call; ";
    assert!(answer.is_error() && answer.text().starts_with(expected), "{answer:?}");
}
