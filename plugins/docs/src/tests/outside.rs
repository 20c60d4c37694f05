//! Nothing outside of the folders is ever answered with.

#![cfg(unix)]

use std::{fs, os::unix::fs::symlink};

use serde_json::json;
use toolgate_plugin::testing::test;

use super::house::House;

/// A house with a secret beside its documents.
fn house() -> House {
    let house = House::with(&[("a.md", "inside word"), ("sub/b.md", "inside word")]);
    fs::create_dir(house.around().join("private")).expect("a folder");
    fs::write(house.around().join("private/secret.md"), "outside secret word").expect("a file");
    fs::write(house.around().join("secret.md"), "outside secret word").expect("a file");
    house
}

#[test]
async fn links_that_lead_outside_give_nothing() {
    let house = house();
    symlink("../secret.md", house.docs().join("file.md")).expect("a link");
    symlink("../private", house.docs().join("folder")).expect("a link");
    symlink(house.around(), house.docs().join("up")).expect("a link");
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await, ["docs/a.md#L1", "docs/sub/b.md#L1"]);
    plugin.logs("3 links lead outside of their folder").await;
    for id in ["docs/file.md", "docs/folder/secret.md", "docs/up/secret.md"] {
        assert!(plugin.fetch(id).await.is_error, "{id}");
    }
    // One that comes later.
    symlink("../secret.md", house.docs().join("later.md")).expect("a link");
    house.write("c.md", "marker");
    plugin.finds("marker", &["docs/c.md#L1"]).await;
    assert_eq!(plugin.found("secret").await, [""; 0]);
}

#[test]
async fn a_link_that_is_swapped_in_after_the_look_gives_nothing() {
    let house = house();
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await.len(), 2);
    fs::remove_file(house.docs().join("a.md")).expect("gone");
    symlink("../secret.md", house.docs().join("a.md")).expect("a link");
    fs::remove_dir_all(house.docs().join("sub")).expect("gone");
    fs::create_dir(house.around().join("other")).expect("a folder");
    fs::write(house.around().join("other/b.md"), "outside secret word").expect("a file");
    symlink("../other", house.docs().join("sub")).expect("a link");
    // At once, before anybody has looked again.
    for id in ["docs/a.md", "docs/sub/b.md"] {
        let fetched = plugin.fetch(id).await;
        assert!(fetched.is_error, "{id}: {}", fetched.text());
    }
    plugin.finds("word", &[]).await;
}

#[test]
async fn ids_lead_nowhere_but_into_the_index() {
    let house = house();
    let plugin = house.start().await;
    let absolute = house.around().join("secret.md").to_string_lossy().into_owned();
    for id in [
        "docs/../secret.md",
        "docs/sub/../../secret.md",
        "docs//a.md",
        "docs/./a.md",
        "../secret.md",
        "/etc/passwd",
        "docs/%2e%2e/secret.md",
        "docs",
        "docs/",
        "docs/sub",
        "docs/A.MD",
        "secret.md",
        "docs/a.md\u{0}",
        "file:///etc/passwd",
        absolute.as_str(),
        "#L1",
        "docs/a.md#L0.0#L",
    ] {
        let fetched = plugin.fetch(id).await;
        assert!(fetched.is_error, "{id}: {}", fetched.text());
        assert!(!fetched.text().contains("inside"), "{id}");
    }
}

#[test]
async fn what_the_settings_leave_out_by_now_is_not_shown() {
    let house = house();
    let first = house.start().await;
    assert_eq!(first.found("word").await.len(), 2);
    // Another instance with other settings, while the first still keeps the index.
    let folder = json!({ "name": "docs", "path": "docs", "exclude": ["sub"] });
    let second = house.start_with(json!({ "folders": [folder], "wait": "0s" })).await;
    second.finds("word", &["docs/a.md#L1"]).await;
    assert!(second.fetch("docs/sub/b.md").await.is_error);
    assert!(!second.fetch("docs/a.md").await.is_error);
    let third = house.start_with(json!({ "folders": [{ "name": "docs", "path": "private" }], "wait": "0s" })).await;
    assert_eq!(third.found("inside").await, [""; 0], "another folder of the same name is another folder");
    // And once it keeps the index itself.
    first.stop().await;
    third.stop().await;
    second.finds("word", &["docs/a.md#L1"]).await;
    second.logs("1 have gone").await;
}
