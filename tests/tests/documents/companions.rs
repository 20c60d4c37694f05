//! The shell beside a running server: one index, two processes.

use serde_json::{Value, json};
use toolgate_tests::server::Finished;

use crate::house::{House, Place};

async fn call(place: &Place, house: &House, arguments: &[&str]) -> Finished {
    let command = [&["call"], arguments].concat();
    place.launch(&place.settings("wait = \"60s\""), &house.authority).command(&command).run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_searches_while_the_server_runs_and_harms_nothing() {
    let place = Place::with(&[("a.md", "word"), ("b.md", "word")]);
    let house = place.open().await;
    house.finds("word", &["docs/a.md#L1", "docs/b.md#L1"]).await;
    for _ in 0..3 {
        let found = call(&place, &house, &["docs_search", r#"{"query":"word"}"#]).await;
        assert_eq!(found.code(), Some(0), "{found:?}");
        let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
        assert_eq!((found["total"].as_u64(), found.get("indexing")), (Some(2), None), "{found}");
    }
    let fetched = call(&place, &house, &["docs_fetch", r#"{"id":"docs/a.md"}"#]).await;
    assert!(fetched.stdout.contains("\"text\": \"word\""), "{fetched:?}");
    place.write("c.md", "word");
    house.finds("word", &["docs/a.md#L1", "docs/b.md#L1", "docs/c.md#L1"]).await;
    assert!(!house.server.stderr().contains("damaged"), "{}", house.server.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_finds_what_has_just_been_written_where_no_server_runs() {
    let place = Place::with(&[("a.md", "word")]);
    let house = place.open().await;
    house.finds("word", &["docs/a.md#L1"]).await;
    house.server.signal("KILL").await;
    let House { server, authority, http } = house;
    server.ended().await;
    place.write("b.md", "word");
    let settings = place.settings("wait = \"60s\"");
    let found =
        place.launch(&settings, &authority).command(&["call", "docs_search", r#"{"query":"word"}"#]).run().await;
    let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(found["total"], 2, "{found}");
    // And the next server goes on from there.
    let server = place.launch(&settings, &authority).start().await;
    let house = House { server, authority, http };
    assert_eq!(house.search(json!({ "query": "word" })).await["total"], 2);
}
