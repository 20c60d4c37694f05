//! `[plugins.NAME.limits]` as somebody meets it who operates a server: what is granted is told, and bounds hit what they
//! are about.

use serde_json::json;

use super::house::{Plan, crashing};

#[tokio::test]
async fn a_worker_that_starts_says_what_it_may_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let granted = format!("limits = {{ network = true, read = [{path:?}] }}");
    let house = Plan::new().library("p", &crashing(), "").library("q", &crashing(), &granted).open().await;
    let log = house.server.stderr();
    let p = "worker of \"p\" started: no network, no programs, files: its state folder only";
    let q = format!("worker of \"q\" started: network, no programs, files: its state folder, reads {path:?}");
    for told in [p, &q] {
        assert!(log.lines().any(|line| line.contains("INFO") && line.contains(told)), "{told} in\n{log}");
    }
}

#[tokio::test]
async fn a_small_bound_on_results_does_not_keep_the_list_of_tools_out() {
    let house = Plan::new()
        .library("p", &crashing(), "limits.result = \"100 B\"")
        .library("q", &crashing(), "isolation = \"none\"\nlimits.result = \"100 B\"")
        .open()
        .await;
    for plugin in ["p", "q"] {
        assert_eq!(house.text(plugin, "fine", json!({ "text": "small" })).await, "small", "{plugin}");
        for text in ["x".repeat(100), "x".repeat(1 << 20)] {
            let answer = house.call(plugin, "fine", json!({ "text": text })).await.expect("an answer");
            assert!(answer.is_error() && answer.text().contains("more than the 100 B"), "{plugin}: {answer:?}");
        }
        assert_eq!(house.readiness(plugin).await["state"], "ready", "{plugin}");
    }
}

#[tokio::test]
async fn check_warns_of_paths_that_are_not_there() {
    let section = "limits = { read = [\"/\", \"/srv/nope\"], write = [\"nope\"] }";
    let plan = Plan::new().library("p", &crashing(), section);
    let checked = plan.launch().command(&["check"]).run().await;
    assert_eq!(checked.code(), Some(0), "{checked:?}");
    let line = plan.text().lines().position(|line| line == section).expect("the line") + 1;
    for (column, key, path) in
        [(25, "read[1]", "/srv/nope\" cannot be used"), (48, "write[0]", "nope\" cannot be used")]
    {
        let found =
            checked.stderr.lines().find(|told| told.contains(&format!(":{line}:{column}: plugins.p.limits.{key}: ")));
        assert!(found.is_some_and(|told| told.starts_with("warning: ") && told.contains(path)), "{key}: {checked:?}");
    }
    assert_eq!(checked.stderr.matches("cannot be used").count(), 2, "{checked:?}");
    assert!(checked.stdout.contains("2 warnings"), "{checked:?}");
}
