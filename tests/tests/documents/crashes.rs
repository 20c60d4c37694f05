//! The server is killed while it reads: nothing is lost for longer than the next start takes, and nothing half-read is
//! ever given as whole.

use std::time::{Duration, SystemTime};

use serde_json::json;
use toolgate_tests::authority::Authority;

use crate::house::{House, Place, eventually, http};

const DOCUMENTS: usize = 1500;

/// A document of several parts, with a word that all have and one of its own at its beginning and its end.
fn document(number: usize) -> String {
    let middle: String =
        (0..6).map(|section| format!("## Section {section}\n\n{}\n\n", "Some words. ".repeat(20))).collect();
    format!("# Document {number}\n\nbegins{number}\n\n{middle}## End\n\neverywhere ends{number}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_completes_its_index() {
    let place = Place::with(&[]);
    for number in 0..DOCUMENTS {
        place.write(&format!("{}/{number}.md", number % 30), &document(number));
    }
    let authority = Authority::generic("").await;
    let settings = place.settings("wait = \"0s\"");
    let mut house = House { server: place.launch(&settings, &authority).start().await, authority, http: http() };
    for round in 0_u32..8 {
        // A random moment is the point of it: of the first look, of a commit, of a merge.
        let random = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").subsec_nanos();
        tokio::time::sleep(Duration::from_millis(u64::from(random % 400) + u64::from(round) * 40)).await;
        check(&house, random as usize).await;
        house.server.signal("KILL").await;
        let House { server, authority, http } = house;
        server.ended().await;
        // What changes while nobody looks is seen as well.
        place.write(&format!("{}/{round}.md", round % 30), &document(DOCUMENTS + round as usize));
        house = House { server: place.launch(&settings, &authority).start().await, authority, http };
    }
    let whole = async || {
        let found = house.search(json!({ "query": "everywhere" })).await;
        found.get("indexing").is_none().then_some(found)
    };
    let found = eventually("the index is complete", whole).await;
    assert_eq!(found["total"], DOCUMENTS, "{}", house.server.stderr());
    for number in 0..8 {
        assert_eq!(house.found(&format!("begins{number}")).await, [""; 0]);
        let new = DOCUMENTS + number;
        assert_eq!(house.found(&format!("ends{new}")).await.len(), 1, "document {new}");
    }
    for number in (8..DOCUMENTS).step_by(97) {
        check(&house, number).await;
        assert_eq!(house.found(&format!("begins{number}")).await.len(), 1, "document {number}");
    }
    assert!(!house.server.stderr().contains("damaged"), "{}", house.server.stderr());
    let state = async || (house.ready().await.1["state"] == "ready").then_some(());
    eventually("the plugin is well", state).await;
}

/// Whatever can be found of a document, all of it is there.
async fn check(house: &House, random: usize) {
    let number = 8 + random % (DOCUMENTS - 8);
    let id = format!("docs/{}/{number}.md", number % 30);
    let found = house.search(json!({ "query": format!("begins{number} ends{number}") })).await;
    let fetched = house.fetch(&id).await;
    match found["total"].as_u64() {
        Some(0) => {}
        Some(2) => {
            let fetched = fetched.expect("what is found can be fetched");
            assert_eq!(fetched["text"].as_str().map(str::trim_end), Some(document(number).trim_end()));
            assert_eq!(fetched["metadata"]["whole"], "true");
        }
        other => panic!("{other:?} parts of document {number}: {found}"),
    }
}
