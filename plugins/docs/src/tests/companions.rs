//! Several processes with one state folder: one keeps the index, the others read it.

use std::{fs, time::Duration};

use serde_json::json;
use toolgate_plugin::testing::test;

use super::house::House;

#[test]
async fn a_second_one_reads_the_index_of_the_first_and_takes_over() {
    let house = House::with(&[("a.md", "word")]);
    let first = house.start().await;
    first.finds("word", &["docs/a.md#L1"]).await;
    let second = house.start().await;
    second.finds("word", &["docs/a.md#L1"]).await;
    assert_eq!(second.logged("documents can be searched"), [""; 0], "it has read nothing");
    house.write("b.md", "word");
    first.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
    second.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
    first.stop().await;
    house.write("c.md", "word");
    second.finds("word", &["docs/a.md#L1", "docs/b.md#L1", "docs/c.md#L1"]).await;
    second.logs("documents can be searched").await;
    second.health_with("").await;
}

#[test]
async fn a_second_one_waits_for_the_first_look_of_the_first() {
    let house = House::with(&[]);
    for number in 0..500 {
        house.write(&format!("{number}.md"), "word");
    }
    let (first, second) = (house.start().await, house.start().await);
    let found = second.search(json!({ "query": "word" })).await;
    assert_eq!((found["total"].as_u64(), found.get("indexing")), (Some(500), None));
    assert_eq!(first.search(json!({ "query": "word" })).await["total"], 500);
}

#[test]
async fn many_at_once_do_no_harm() {
    let house = House::with(&[("a.md", "word"), ("b.md", "word")]);
    let mut plugins = Vec::new();
    for _ in 0..6 {
        plugins.push(house.start().await);
    }
    for plugin in &plugins {
        plugin.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
    }
    // Each in its turn ends, and another one keeps the index.
    while let Some(plugin) = plugins.pop() {
        plugin.stop().await;
        house.write(&format!("{}.md", plugins.len()), "turn");
        let Some(next) = plugins.first() else { break };
        let begun = std::time::Instant::now();
        while next.search(json!({ "query": "turn" })).await["total"] != (6 - plugins.len()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:#?}", next.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let last = house.start().await;
    assert_eq!(last.found("word").await.len(), 2);
    assert!(last.log().iter().all(|(_, line)| !line.contains("damaged")), "{:#?}", last.log());
    assert!(fs::read_dir(house.state()).expect("state").count() > 0);
}
