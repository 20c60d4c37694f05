//! Changes on disk are followed while the server serves.

use std::fs;

use crate::house::{Place, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn edits_deletions_and_renames_are_seen() {
    let place = Place::with(&[("a.md", "first"), ("sub/b.md", "first"), ("c.md", "first")]);
    let house = place.open().await;
    house.finds("first", &["docs/a.md#L1", "docs/c.md#L1", "docs/sub/b.md#L1"]).await;
    place.write("a.md", "second");
    fs::remove_file(place.docs().join("c.md")).expect("gone");
    fs::rename(place.docs().join("sub"), place.docs().join("moved")).expect("renamed");
    house.finds("first", &["docs/moved/b.md#L1"]).await;
    house.finds("second", &["docs/a.md#L1"]).await;
    assert!(house.fetch("docs/c.md").await.is_none() && house.fetch("docs/sub/b.md").await.is_none());
    assert_eq!(house.fetch("docs/a.md").await.expect("it is there")["text"], "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_files_and_hidden_files_are_respected() {
    let place = Place::with(&[
        ("a.md", "word"),
        (".hidden/b.md", "word"),
        ("target/c.md", "word"),
        ("notes/d.md", "word"),
        (".gitignore", "target/\n"),
        ("notes/.ignore", "d.md\n"),
    ]);
    let house = place.open().await;
    house.finds("word", &["docs/a.md#L1"]).await;
    place.write(".gitignore", "a.md\n");
    fs::remove_file(place.docs().join("notes/.ignore")).expect("gone");
    house.finds("word", &["docs/notes/d.md#L1", "docs/target/c.md#L1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_folders_take_effect_with_a_reload() {
    let place = Place::with(&[("a.md", "word")]);
    fs::create_dir(place.around().join("more")).expect("a folder");
    fs::write(place.around().join("more/b.md"), "word").expect("a file");
    let house = place.open().await;
    house.finds("word", &["docs/a.md#L1"]).await;
    let file = house.server.folder().join("config.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let (docs, more) = (place.docs(), place.around().join("more"));
    let edited = text.replace(
        &format!("folders = [\"{}\"]", docs.display()),
        &format!("folders = [{{ path = \"{}\", exclude = [\"a.md\"] }}, \"{}\"]", docs.display(), more.display()),
    );
    assert_ne!(text, edited);
    fs::write(&file, edited).expect("written");
    house.finds("word", &["more/b.md#L1"]).await;
    // The instance before has ended, and the new one keeps the index.
    fs::write(place.around().join("more/c.md"), "word").expect("a file");
    house.finds("word", &["more/b.md#L1", "more/c.md#L1"]).await;
    eventually("the plugin is well", async || (house.ready().await.1["state"] == "ready").then_some(())).await;
}
