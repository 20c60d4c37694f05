//! Libraries that cannot be loaded: the others serve.

use serde_json::json;
use toolgate_tests::server::Launch;

use crate::house::{CONFIG, House, RELOADED};

/// A library that is not there, beside a plugin that is.
fn with_missing(more: &str) -> String {
    let config = CONFIG.replace("plugins = [\"echo\"]", "plugins = [\"echo\", \"hello\"]");
    format!(
        "{config}\n[plugins.hello]\nlibrary = \"libhello.so\"\n{more}\n[plugins.hello.tools]\n\"*\" = {{ scopes = [] }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_fails_leaves_the_others_served_and_is_shown() {
    let house = House::with(&with_missing(""), |launch| launch).await;
    assert_eq!(house.call(&house.token("notes:read"), "echo").await, 200);
    let log = house.server.stderr_with("config.toml:").await;
    assert!(log.contains("error: ") && log.contains("plugins.hello") && log.contains("libhello.so"), "{log}");
    let banner = house.server.stdout_with("failed    plugin \"hello\": ").await;
    assert!(banner.contains("libhello.so"), "{banner}");
    let (status, ready) = house.ready().await;
    let hello = &ready["plugins"]["hello"];
    assert_eq!((status, &ready["ready"], &hello["state"]), (200, &json!(true), &json!("failed")), "{ready}");
    assert!(hello["detail"].as_str().is_some_and(|detail| detail.contains("libhello.so")), "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_library_that_fails_stops_the_start() {
    let finished = Launch::new(&with_missing("required = true")).env("ISSUER", "http://127.0.0.1:1").run().await;
    assert_eq!(finished.code(), Some(1));
    assert!(finished.stderr.contains("plugins.hello"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_show_a_library_that_fails() {
    for (command, code, printed) in [("check", 1, ""), ("tools", 0, "echo")] {
        let launch = Launch::new(&with_missing("")).env("ISSUER", "http://127.0.0.1:1").command(&[command]);
        let finished = launch.run().await;
        assert_eq!(finished.code(), Some(code), "{command}: {finished:?}");
        assert!(
            finished.stderr.contains("config.toml:") && finished.stderr.contains("libhello.so"),
            "{command}: {finished:?}"
        );
        assert!(finished.stdout.contains(printed), "{command}: {finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_appears_or_changes_is_tried() {
    let mut house = House::with(&with_missing(""), |launch| launch).await;
    let library = house.server.folder().join("libhello.so");
    for content in ["not a library", "nor this"] {
        let log = house
            .until(RELOADED, async |_: &mut House| {
                std::fs::write(&library, content).expect("a file in the server's folder")
            })
            .await;
        assert!(log.contains("kept \"echo\"; failed \"hello\""), "{log}");
    }
    assert_eq!(house.call(&house.token("notes:read"), "echo").await, 200);
}
