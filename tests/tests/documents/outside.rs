//! Nothing outside of the folders leaves through the server.

#![cfg(unix)]

use std::{fs, os::unix::fs::symlink};

use serde_json::json;

use crate::house::Place;

#[tokio::test(flavor = "multi_thread")]
async fn links_paths_and_swaps_lead_nowhere() {
    let place = Place::with(&[("a.md", "inside"), ("sub/b.md", "inside")]);
    let outside = place.around().join("outside");
    fs::create_dir(&outside).expect("a folder");
    for name in ["secret.md", "b.md"] {
        fs::write(outside.join(name), "topsecret inside").expect("a file");
    }
    symlink("../outside/secret.md", place.docs().join("file.md")).expect("a link");
    symlink(&outside, place.docs().join("folder")).expect("a link");
    let house = place.open().await;
    house.finds("inside", &["docs/a.md#L1", "docs/sub/b.md#L1"]).await;
    let absolute = outside.join("secret.md").to_string_lossy().into_owned();
    for id in ["docs/file.md", "docs/folder/secret.md", "docs/../outside/secret.md", "../outside/secret.md", &absolute]
    {
        assert!(house.fetch(id).await.is_none(), "{id}");
    }
    // After the look.
    fs::remove_file(place.docs().join("a.md")).expect("gone");
    symlink("../outside/secret.md", place.docs().join("a.md")).expect("a link");
    fs::remove_dir_all(place.docs().join("sub")).expect("gone");
    symlink("../outside", place.docs().join("sub")).expect("a link");
    for id in ["docs/a.md", "docs/sub/b.md"] {
        assert!(house.fetch(id).await.is_none(), "{id}");
    }
    house.finds("inside", &[]).await;
    assert_eq!(house.search(json!({ "query": "topsecret" })).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_go_round_and_links_within_are_looked_behind_once() {
    let place = Place::with(&[("a.md", "word"), (".data/b.md", "word")]);
    symlink(".", place.docs().join("here")).expect("a link");
    symlink("there", place.docs().join("there")).expect("a link");
    symlink(".data", place.docs().join("data")).expect("a link");
    symlink("a.md", place.docs().join("copy.md")).expect("a link");
    let house = place.open().await;
    house.finds("word", &["docs/a.md#L1", "docs/data/b.md#L1"]).await;
    assert_eq!(house.fetch("docs/data/b.md").await.expect("it is inside")["text"], "word");
    fs::write(place.docs().join(".data/b.md"), "edited").expect("a file");
    house.finds("edited", &["docs/data/b.md#L1"]).await;
}
