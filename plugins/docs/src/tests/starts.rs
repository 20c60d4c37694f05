//! Starts: the first, the next, over damage, and where nothing may be written.

use std::fs;

use serde_json::json;
use toolgate_plugin::{LogLevel, testing::test};

use super::house::House;
use crate::index::full;

#[test]
async fn the_next_start_reads_what_has_changed_and_no_more() {
    let house = House::with(&[("a.md", "word"), ("b.md", "word"), ("c.md", "word")]);
    // Files that were just written are read once more, for they may still change within the clock's grain.
    for entry in fs::read_dir(house.docs()).expect("documents") {
        let file = fs::File::options().write(true).open(entry.expect("an entry").path()).expect("a file");
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).expect("older");
    }
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await.len(), 3);
    plugin.logs("3 documents can be searched; 3 were read").await;
    plugin.stop().await;
    house.write("b.md", "word, changed");
    fs::remove_file(house.docs().join("c.md")).expect("gone");
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await, ["docs/a.md#L1", "docs/b.md#L1"]);
    plugin.logs("2 documents can be searched; 1 were read, 1 have gone").await;
}

#[test]
async fn commands_that_only_list_the_tools_leave_no_trace() {
    let house = House::with(&[("a.md", "word")]);
    let plugin = house.start().await;
    assert_eq!(plugin.host().tools().count(), 2);
    plugin.stop().await;
    assert!(!house.state().exists());
}

#[test]
async fn a_damaged_index_is_told_and_made_anew() {
    let house = House::with(&[("a.md", "word"), ("b.md", "word")]);
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await.len(), 2);
    plugin.stop().await;
    let index = house.state().join("index-1-english");
    for entry in fs::read_dir(&index).expect("its files") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "store" || extension == "idx") {
            fs::write(path, b"nonsense").expect("written");
        }
    }
    let plugin = house.start().await;
    plugin.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
    let told = |(level, line): &(LogLevel, String)| *level == LogLevel::Error && line.contains("made anew");
    assert!(plugin.log().iter().any(told), "{:#?}", plugin.log());
    plugin.health_with("").await;
    plugin.stop().await;
    // Or something else altogether where it should be.
    fs::remove_dir_all(&index).expect("gone");
    fs::create_dir(&index).expect("a folder");
    fs::write(index.join("meta.json"), "{}").expect("written");
    fs::write(index.join(".managed.json"), "[").expect("written");
    let plugin = house.start().await;
    plugin.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
}

#[test]
async fn an_index_that_is_damaged_while_it_serves_is_made_anew() {
    let house = House::with(&[("a.md", "word"), ("b.md", "word")]);
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await.len(), 2);
    // Cut short under the plugin: what is open is the same file.
    for entry in fs::read_dir(house.state().join("index-1-english")).expect("its files") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "idx") {
            fs::File::options().write(true).open(path).expect("open").set_len(0).expect("cut");
        }
    }
    let mut failed = false;
    for _ in 0..500 {
        let answer = plugin.host().call("docs_search", json!({ "query": "word" })).await;
        failed |= answer.is_error;
        if failed && !answer.is_error && answer.structured()["total"] == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(failed, "the damage was met");
    plugin.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
}

#[test]
async fn a_full_disk_costs_nothing_of_what_was_indexed() {
    let house = House::with(&[("a.md", "word")]);
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await, ["docs/a.md#L1"]);
    let mark = house.state().join("index-1-english").join(full::MARK);
    fs::write(&mark, "").expect("written");
    house.write("b.md", "word");
    let health = plugin.health_with("cannot be used").await;
    assert!(health.contains("storage"), "{health}");
    // What could be found before can still be, and the answer says that it may not be all.
    let found = plugin.search(json!({ "query": "word" })).await;
    assert_eq!(found["results"][0]["id"], "docs/a.md#L1", "{found}");
    assert!(plugin.logged("made anew").is_empty(), "{:#?}", plugin.log());
    fs::remove_file(&mark).expect("gone");
    plugin.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
    plugin.health_with("").await;
}

#[test]
async fn without_a_place_to_write_the_index_is_in_memory() {
    let house = House::with(&[("a.md", "word")]);
    fs::write(house.around().join("file"), "").expect("a file");
    let settings = json!({ "folders": ["docs"], "wait": "60s" });
    let plugin = house.start_in(settings, house.around().join("file/state")).await;
    plugin.finds("word", &["docs/a.md#L1"]).await;
    house.write("b.md", "word");
    plugin.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
    let health = plugin.health_with("the index is in memory").await;
    assert!(health.contains("cannot be written"), "{health}");
}

#[test]
async fn bounds_leave_out_and_say_so() {
    let house = House::with(&[("a.md", "word"), ("b.md", "word"), ("c.md", "word")]);
    house.write("large.md", &"word ".repeat(1000));
    let limits = json!({ "file": "2 KiB", "files": 2 });
    let plugin = house.start_with(json!({ "folders": ["docs"], "wait": "60s", "limits": limits })).await;
    assert_eq!(plugin.found("word").await, ["docs/a.md#L1", "docs/b.md#L1"]);
    let health = plugin.health_with("limits.files").await;
    assert!(health.contains("documents are left out: there are more than limits.files (2)"), "{health}");
    // One goes, another comes in.
    fs::remove_file(house.docs().join("a.md")).expect("gone");
    plugin.finds("word", &["docs/b.md#L1", "docs/c.md#L1"]).await;
}

#[test]
async fn while_documents_are_read_answers_say_so() {
    let house = House::with(&[]);
    for number in 0..2000 {
        house.write(&format!("{number}.md"), "# Head\n\nSome words of a document.");
    }
    let plugin = house.start_with(json!({ "folders": ["docs"], "wait": "0s" })).await;
    let first = plugin.search(json!({ "query": "words" })).await;
    assert!(first["indexing"]["total"].is_u64(), "{first}");
    // One that waits is told how far it is.
    let patient = house.start_in(json!({ "folders": ["docs"], "wait": "60s" }), house.around().join("other")).await;
    let found = patient.search(json!({ "query": "words" })).await;
    assert_eq!((found["total"].as_u64(), found.get("indexing")), (Some(2000), None));
    let told = patient.host().progress();
    assert!(!told.is_empty() && told.is_sorted_by(|one, other| one.progress < other.progress), "{told:?}");
    plugin.finds("nothing", &[]).await;
}

#[test]
async fn another_language_is_another_index() {
    let house = House::with(&[("a.md", "Die Verbindungen sind gut."), ("b.md", "Connections")]);
    let plugin = house.start().await;
    plugin.finds("connecting", &["docs/b.md#L1"]).await;
    plugin.finds("verbindung", &[]).await;
    plugin.stop().await;
    let plugin = house.start_with(json!({ "folders": ["docs"], "wait": "60s", "language": "german" })).await;
    plugin.finds("verbindung", &["docs/a.md#L1"]).await;
    plugin.logs("is of another version and is removed").await;
    assert!(!house.state().join("index-1-english").exists());
}
