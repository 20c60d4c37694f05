//! Changes are followed while the plugin runs.

use std::fs;

use serde_json::json;
use toolgate_plugin::testing::test;

use super::house::House;

#[test]
async fn edits_new_files_and_deletions_are_followed() {
    let house = House::with(&[("a.md", "first"), ("sub/b.md", "first")]);
    let plugin = house.start().await;
    plugin.finds("first", &["docs/a.md#L1", "docs/sub/b.md#L1"]).await;
    house.write("a.md", "second");
    plugin.finds("second", &["docs/a.md#L1"]).await;
    plugin.finds("first", &["docs/sub/b.md#L1"]).await;
    house.write("new/deep/c.md", "second");
    plugin.finds("second", &["docs/a.md#L1", "docs/new/deep/c.md#L1"]).await;
    // In a folder that came later.
    house.write("new/deep/d.md", "second");
    plugin.finds("second", &["docs/a.md#L1", "docs/new/deep/c.md#L1", "docs/new/deep/d.md#L1"]).await;
    fs::remove_file(house.docs().join("a.md")).expect("gone");
    fs::remove_dir_all(house.docs().join("new")).expect("gone");
    plugin.finds("second", &[]).await;
    assert!(plugin.fetch("docs/a.md").await.is_error);
}

#[test]
async fn renames_of_files_and_folders_are_followed() {
    let house = House::with(&[("a.md", "word"), ("one/b.md", "word"), ("two/c.md", "word")]);
    let docs = house.docs();
    let plugin = house.start().await;
    plugin.finds("word", &["docs/a.md#L1", "docs/one/b.md#L1", "docs/two/c.md#L1"]).await;
    fs::rename(docs.join("a.md"), docs.join("z.md")).expect("renamed");
    fs::rename(docs.join("one"), docs.join("1")).expect("renamed");
    plugin.finds("word", &["docs/1/b.md#L1", "docs/two/c.md#L1", "docs/z.md#L1"]).await;
    // As editors save: another file in its place. And a whole folder in the place of another.
    fs::write(house.around().join("saved"), "edited").expect("a file");
    fs::rename(house.around().join("saved"), docs.join("z.md")).expect("renamed");
    fs::create_dir(house.around().join("other")).expect("a folder");
    fs::write(house.around().join("other/d.md"), "edited").expect("a file");
    fs::rename(docs.join("two"), house.around().join("two")).expect("renamed");
    fs::rename(house.around().join("other"), docs.join("two")).expect("renamed");
    plugin.finds("edited", &["docs/two/d.md#L1", "docs/z.md#L1"]).await;
    plugin.finds("word", &["docs/1/b.md#L1"]).await;
    fs::write(docs.join("two/e.md"), "later").expect("a file");
    plugin.finds("later", &["docs/two/e.md#L1"]).await;
}

#[test]
async fn a_change_of_an_ignore_file_is_followed() {
    let house = House::with(&[("a.md", "word"), ("drafts/b.md", "word")]);
    let plugin = house.start().await;
    plugin.finds("word", &["docs/a.md#L1", "docs/drafts/b.md#L1"]).await;
    house.write(".gitignore", "drafts/\n");
    plugin.finds("word", &["docs/a.md#L1"]).await;
    assert!(plugin.fetch("docs/drafts/b.md").await.is_error);
    fs::remove_file(house.docs().join(".gitignore")).expect("gone");
    plugin.finds("word", &["docs/a.md#L1", "docs/drafts/b.md#L1"]).await;
}

#[test]
async fn a_single_file_is_followed() {
    let house = House::with(&[("a.md", "word")]);
    let plugin = house.start_with(json!({ "folders": ["docs/a.md"], "wait": "60s" })).await;
    plugin.finds("word", &["a.md#L1"]).await;
    house.write("b.md", "word");
    house.write("a.md", "edited");
    plugin.finds("edited", &["a.md#L1"]).await;
    plugin.finds("word", &[]).await;
    fs::write(house.around().join("saved"), "again").expect("a file");
    fs::rename(house.around().join("saved"), house.docs().join("a.md")).expect("renamed");
    plugin.finds("again", &["a.md#L1"]).await;
    fs::remove_file(house.docs().join("a.md")).expect("gone");
    plugin.health_with("\"a.md\"").await;
    plugin.finds("again", &[]).await;
}

#[test]
async fn a_folder_that_goes_is_told_and_one_that_comes_is_searched() {
    let house = House::with(&[("a.md", "word")]);
    let plugin = house.start_with(json!({ "folders": ["docs", "later"], "wait": "60s" })).await;
    plugin.finds("word", &["docs/a.md#L1"]).await;
    let health = plugin.health_with("\"later\"").await;
    let place = house.around().join("later");
    assert_eq!(health, "\"later\" is missing", "where that is only the log says");
    let found = plugin.search(json!({ "query": "word" })).await;
    assert_eq!(found["note"], "the folder is not there at the moment: later");
    fs::create_dir(&place).expect("a folder");
    fs::write(place.join("b.md"), "word").expect("a file");
    plugin.finds("word", &["docs/a.md#L1", "later/b.md#L1"]).await;
    plugin.health_with("").await;
    // What was below it is hidden with it, and found again.
    fs::rename(&place, house.around().join("away")).expect("renamed");
    plugin.finds("word", &["docs/a.md#L1"]).await;
    assert!(plugin.fetch("later/b.md").await.is_error);
    fs::rename(house.around().join("away"), &place).expect("renamed");
    plugin.finds("word", &["docs/a.md#L1", "later/b.md#L1"]).await;
}

#[test]
async fn with_no_folder_at_all_the_plugin_waits_for_one() {
    let house = House::with(&[]);
    let plugin = house.start_with(json!({ "folders": ["none", "nor.md"], "wait": "60s" })).await;
    let found = plugin.search(json!({ "query": "word" })).await;
    assert_eq!(found["note"], "the folders are not there at the moment: none, nor.md");
    assert_eq!((found["total"].as_u64(), found.get("indexing")), (Some(0), None));
    let health = plugin.health_with("\"none\"").await;
    assert!(health.contains("\"nor.md\""), "{health}");
    fs::write(house.around().join("nor.md"), "a word").expect("a file");
    plugin.finds("word", &["nor.md#L1"]).await;
}

#[cfg(unix)]
#[test]
async fn a_release_that_is_swapped_by_its_link_is_followed() {
    use std::os::unix::fs::symlink;
    let house = House::with(&[]);
    for (release, text) in [("v1", "first release"), ("v2", "second release")] {
        fs::create_dir(house.around().join(release)).expect("a folder");
        fs::write(house.around().join(release).join("a.md"), text).expect("a file");
    }
    let link = house.around().join("current");
    symlink("v1", &link).expect("a link");
    let plugin = house.start_with(json!({ "folders": ["current"], "wait": "60s" })).await;
    plugin.finds("first", &["current/a.md#L1"]).await;
    symlink("v2", house.around().join("next")).expect("a link");
    fs::rename(house.around().join("next"), &link).expect("renamed");
    plugin.finds("second", &["current/a.md#L1"]).await;
    plugin.finds("first", &[]).await;
    fs::write(house.around().join("v2/b.md"), "third").expect("a file");
    plugin.finds("third", &["current/b.md#L1"]).await;
}

#[test]
async fn many_changes_at_once_are_followed() {
    let house = House::with(&[("0.md", "old")]);
    let plugin = house.start().await;
    plugin.finds("old", &["docs/0.md#L1"]).await;
    for number in 0..3000 {
        house.write(&format!("{}/{number}.md", number % 7), "crowd");
    }
    house.write("last.md", "crowd marker");
    plugin.finds("marker", &["docs/last.md#L1"]).await;
    let total = async || plugin.search(json!({ "query": "crowd" })).await["total"].as_u64();
    while total().await != Some(3001) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
