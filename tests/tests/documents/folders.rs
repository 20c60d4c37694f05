//! Folders that are not there: the plugin is degraded, the server serves.

use std::fs;

use serde_json::json;
use toolgate_tests::server::Launch;

use crate::house::{Place, eventually, http};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_folder_degrades_the_plugin_until_it_appears() {
    let place = Place::with(&[("a.md", "word")]);
    let later = place.around().join("later");
    let settings = format!("folders = [\"{}\", \"{}\"]\nwait = \"60s\"", place.docs().display(), later.display());
    let house = place.open_with(&settings).await;
    assert_eq!(house.found("word").await, ["docs/a.md#L1"]);
    let (status, docs) = house.ready().await;
    assert_eq!((status, docs["state"].as_str()), (200, Some("degraded")), "{docs}");
    assert!(
        docs["detail"].as_str().is_some_and(|why| why.contains("\"later\"") && why.contains("is missing")),
        "{docs}"
    );
    let answer = house.post("echo", &json!({ "text": "on" })).bearer_auth(house.token("other:read")).send().await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 200, "the server serves");
    fs::create_dir(&later).expect("a folder");
    fs::write(later.join("b.md"), "word").expect("a file");
    house.finds("word", &["docs/a.md#L1", "later/b.md#L1"]).await;
    eventually("the plugin is well", async || (house.ready().await.1["state"] == "ready").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_configuration_alone_somewhere_else_serves() {
    let server = Launch::shipped().env("PORT", "0").start().await;
    let url = format!("{}/readyz", server.url());
    let told = async || {
        let ready = http().get(&url).send().await.expect("an answer");
        let status = ready.status().as_u16();
        let docs = ready.json::<serde_json::Value>().await.expect("JSON")["plugins"]["docs"].take();
        let detail = docs["detail"].as_str().unwrap_or_default().to_owned();
        ["README.md", "ARCHITECTURE.md", "docs"].iter().all(|name| detail.contains(name)).then_some((status, docs))
    };
    let (status, docs) = eventually("the folders are named", told).await;
    assert_eq!((status, docs["state"].as_str()), (200, Some("degraded")), "{docs}");
    // And finds them once they are put beside it.
    fs::write(server.folder().join("README.md"), "# A word\n").expect("a file");
    let gone = async || {
        let ready = http().get(&url).send().await.expect("an answer").json::<serde_json::Value>().await.expect("JSON");
        let detail = ready["plugins"]["docs"]["detail"].as_str().unwrap_or_default().to_owned();
        (detail.contains("ARCHITECTURE.md") && !detail.contains("README.md")).then_some(())
    };
    eventually("README.md is there", gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_stop_the_start_with_their_line() {
    let place = Place::with(&[]);
    let authority = toolgate_tests::authority::Authority::generic("").await;
    let cases = [
        ("folders = []", "plugins.docs.settings.folders: there is nothing to search; write folders = ["),
        (
            "folders = [\"a\", { path = \"b\", types = [\"pdf\"] }]",
            "folders[1].types[0]: \"pdf\" is not known here; write one of \"markdown\", ",
        ),
        ("folders = [\"a\"]\nlimits = { file = \"9 GiB\" }", "limits.file: \"9.0 GiB\" is out of range; use"),
        ("folder = [\"a\"]", "folder: unknown setting \"folder\"; remove it or correct its name"),
    ];
    for (settings, expected) in cases {
        let ended = place.launch(settings, &authority).run().await;
        assert_eq!(ended.code(), Some(1), "{settings}: {ended:?}");
        assert!(
            ended.stderr.contains(expected) && ended.stderr.contains("config.toml:"),
            "{settings}: {}",
            ended.stderr
        );
    }
}
