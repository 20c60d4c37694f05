//! What the tools answer.

use serde_json::{Value, json};
use toolgate_plugin::testing::test;

use super::house::House;

const GUIDE: &str = "# Guide\n\nAll about gates.\n\n## Opening a gate\n\nTurn the brass key to the left, then push.\n\n\
    ## Closing\n\nPull it shut. The «brass» stays warm.\n";

#[test]
async fn the_first_search_waits_and_finds() {
    let house = House::with(&[("guide.md", GUIDE), ("other.txt", "Nothing of that.")]);
    let plugin = house.start().await;
    let found = plugin.search(json!({ "query": "brass key" })).await;
    let first = json!({
        "id": "docs/guide.md#L5",
        "title": "Guide › Opening a gate",
        "url": "docs://docs/guide.md#L5",
        "folder": "docs",
        "path": "guide.md",
        "line": 5,
        "heading": "Opening a gate",
        "type": "markdown",
        "score": found["results"][0]["score"],
        "snippet": "## Opening a gate Turn the «brass» «key» to the left, then push.",
    });
    assert_eq!(found["results"][0], first);
    assert_eq!((found["total"].as_u64(), found.get("indexing"), found.get("note")), (Some(2), None, None));
    plugin.health_with("").await;
}

#[test]
async fn the_text_is_the_json_that_research_clients_read() {
    let house = House::with(&[("guide.md", GUIDE)]);
    let plugin = house.start().await;
    for (tool, arguments, members) in [
        ("docs_search", json!({ "query": "brass" }), &["results"][..]),
        ("docs_fetch", json!({ "id": "docs/guide.md" }), &["id", "title", "text", "url", "metadata"]),
    ] {
        let answer = plugin.host().call(tool, arguments).await;
        assert_eq!(answer.content.len(), 1, "{tool}: one block");
        let text: Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(&text, answer.structured(), "{tool}");
        assert!(members.iter().all(|member| !text[*member].is_null()), "{tool}: {text}");
    }
    let found = plugin.search(json!({ "query": "brass" })).await;
    for result in found["results"].as_array().expect("results") {
        for member in ["id", "title", "url"] {
            assert!(result[member].is_string(), "{result}");
        }
    }
    // Values of metadata are text.
    let fetched = plugin.fetch("docs/guide.md").await;
    assert!(fetched.structured()["metadata"].as_object().expect("an object").values().all(Value::is_string));
}

#[test]
async fn a_document_is_fetched_by_the_id_of_a_result() {
    let house = House::with(&[("guide.md", GUIDE)]);
    let plugin = house.start().await;
    for id in ["docs/guide.md#L5", "docs/guide.md", "docs/guide.md#L7-L9"] {
        let fetched = plugin.fetch(id).await;
        let expected = json!({
            "id": "docs/guide.md",
            "title": "Guide",
            "text": GUIDE.trim_end_matches('\n').to_owned() + "\n",
            "url": "docs://docs/guide.md#L1",
            "metadata": {
                "folder": "docs", "path": "guide.md", "type": "markdown", "lines": "1-12", "of_lines": "11",
                "whole": "true",
            },
        });
        assert_eq!(fetched.structured(), &expected, "{id}");
    }
}

#[test]
async fn a_long_document_is_fetched_in_pieces() {
    let text: String = (1..800).map(|n| format!("## Section {n}\n\nWords of section {n}.\n\n")).collect();
    let house = House::with(&[("long.md", &text)]);
    let plugin = house.start().await;
    let (mut id, mut whole, mut pieces) = ("docs/long.md".to_owned(), String::new(), 0);
    loop {
        let arguments = json!({ "id": id, "max_bytes": 4000 });
        let piece = plugin.host().call("docs_fetch", arguments).await.structured().clone();
        assert_eq!(piece["metadata"]["whole"], "false");
        let part = piece["text"].as_str().expect("text");
        assert!(part.len() <= 4000 && part.starts_with("## Section"), "{part}");
        whole.push_str(part);
        whole.push('\n');
        pieces += 1;
        match piece["next"].as_str() {
            Some(next) => id = next.to_owned(),
            None => break,
        }
    }
    assert!(pieces > 5);
    assert_eq!(whole.trim_end(), text.trim_end());
}

#[test]
async fn filters_narrow_a_search() {
    let house = House::with(&[("a.md", "word"), ("sub/b.txt", "word"), ("sub/c.rs", "// word\n")]);
    house.write("../notes.md", "word");
    let plugin = house.start_with(json!({ "folders": ["docs", "notes.md"], "wait": "60s" })).await;
    let cases = [
        (json!({}), vec!["docs/a.md#L1", "docs/sub/b.txt#L1", "docs/sub/c.rs#L1", "notes.md#L1"]),
        (json!({ "folder": "notes.md" }), vec!["notes.md#L1"]),
        (json!({ "folder": ["docs"], "type": "markdown" }), vec!["docs/a.md#L1"]),
        (json!({ "type": ["source", "text"] }), vec!["docs/sub/b.txt#L1", "docs/sub/c.rs#L1"]),
        (json!({ "path": "sub/*.rs" }), vec!["docs/sub/c.rs#L1"]),
        (json!({ "limit": 1, "path": "sub/b.txt" }), vec!["docs/sub/b.txt#L1"]),
    ];
    for (mut arguments, expected) in cases {
        arguments["query"] = "word".into();
        let found = plugin.search(arguments.clone()).await;
        let mut ids: Vec<_> = found["results"].as_array().expect("results").iter().map(|r| r["id"].clone()).collect();
        ids.sort_by_key(ToString::to_string);
        assert_eq!(ids, expected, "{arguments}");
    }
}

#[test]
async fn what_does_not_fit_is_refused_with_its_place() {
    let house = House::with(&[("a.md", "word")]);
    let plugin = house.start().await;
    let cases = [
        (json!({ "query": "" }), "/query"),
        (json!({ "query": "?!" }), "the query holds no word to search for"),
        (json!({ "query": "-word" }), "the query only says what must not be there"),
        (json!({ "query": "x".repeat(401) }), "/query"),
        (json!({ "query": "word", "limit": 0 }), "/limit"),
        (json!({ "query": "word", "folder": "other" }), "/folder"),
        (json!({ "query": "word", "type": "pdf" }), "/type"),
        (json!({ "query": "word", "path": "*?".repeat(7) }), "/path"),
        (json!({ "query": "word", "page": 2 }), "page"),
        (json!({}), "query"),
    ];
    for (arguments, expected) in cases {
        let answer = plugin.host().call("docs_search", arguments.clone()).await;
        assert!(answer.is_error && answer.text().contains(expected), "{arguments}: {}", answer.text());
    }
    let none = plugin.fetch("docs/none.md").await;
    assert!(none.is_error && none.text().contains("there is no document \"docs/none.md\""), "{}", none.text());
    assert_eq!(none.structured()["error"], json!({ "code": "not_found", "retryable": false }));
}

#[test]
async fn the_tools_say_what_they_are() {
    let house = House::with(&[]);
    let plugin = house.start().await;
    let tools: Vec<_> = plugin.host().tools().collect();
    assert_eq!(tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["docs_search", "docs_fetch"]);
    let folder = &tools[0].input_schema["properties"]["folder"]["anyOf"];
    assert_eq!((&folder[0]["enum"], &folder[1]["items"]["enum"]), (&json!(["docs"]), &json!(["docs"])));
    assert_eq!(folder[2], json!({ "type": "null" }), "left out is no name");
    for tool in tools {
        let hints = tool.annotations.as_ref().expect("annotations");
        let hints = (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint);
        assert_eq!(hints, (Some(true), Some(true), Some(false)), "{}", tool.name);
        assert!(tool.output_schema.is_some());
    }
}

#[test]
async fn hidden_characters_reach_nobody() {
    let house = House::with(&[("a.md", "# Ti\u{202e}tle\n\nA wo\u{200b}rd \u{1b}[31mred\u{7}\u{2066}.\n")]);
    let plugin = house.start().await;
    let found = plugin.search(json!({ "query": "word" })).await;
    let answer = plugin.fetch("docs/a.md").await.text() + &found.to_string();
    assert!(answer.contains("Title") && answer.contains("[31mred"), "{answer}");
    for hidden in ["\u{202e}", "\u{200b}", "\u{1b}", "\u{7}", "\u{2066}", "\\u001b", "\\u0007"] {
        assert!(!answer.contains(hidden), "{hidden:?}");
    }
}

#[test]
async fn a_file_that_is_no_utf8_is_shown_with_a_note_and_binary_files_are_not() {
    let house = House::with(&[]);
    std::fs::write(house.docs().join("latin.txt"), b"A caf\xe9 word").expect("a file");
    std::fs::write(house.docs().join("binary.txt"), b"A word\0\x01").expect("a file");
    let plugin = house.start().await;
    assert_eq!(plugin.found("word").await, ["docs/latin.txt#L1"]);
    let fetched = plugin.fetch("docs/latin.txt").await;
    assert_eq!(fetched.structured()["text"], "A caf\u{fffd} word");
    let note = fetched.structured()["metadata"]["note"].as_str().expect("a note");
    assert!(note.contains("no UTF-8"), "{note}");
    plugin.logs("1 hold no text").await;
}
