//! Both faces, under the scope `docs:read`.

use serde_json::{Value, json};
use toolgate_tests::corpus::{self, Words};

use crate::house::Place;

const GUIDE: &str = "# Guide\n\n## Gates\n\nTurn the brass key.\n";

/// The JSON of the one event of a stream, or of the body.
async fn message(response: reqwest::Response) -> Value {
    let text = response.text().await.expect("the whole answer");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: {")).next_back();
    let text = data.map_or(text.clone(), |data| format!("{{{data}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_faces_give_the_same_to_whoever_has_the_scope() {
    let place = Place::with(&[("guide.md", GUIDE)]);
    let house = place.open().await;
    let token = house.token("docs:read");
    for (tool, arguments) in
        [("docs_search", json!({ "query": "brass" })), ("docs_fetch", json!({ "id": "docs/guide.md#L3" }))]
    {
        let rest = house.post(tool, &arguments).bearer_auth(&token).send().await.expect("an answer");
        let rest: Value = rest.json().await.expect("JSON");
        let mcp = house.call(tool, &arguments, json!({})).bearer_auth(&token).send().await.expect("an answer");
        let mcp = message(mcp).await;
        assert_eq!(rest["isError"], false, "{rest}");
        assert_eq!(rest["structuredContent"], mcp["result"]["structuredContent"], "{mcp}");
        let text = mcp["result"]["content"][0]["text"].as_str().expect("text");
        let text: Value = serde_json::from_str(text).expect("the text is JSON");
        assert_eq!(text, mcp["result"]["structuredContent"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_scope_nothing_is_told() {
    let place = Place::with(&[("guide.md", GUIDE)]);
    let house = place.open().await;
    for tool in ["docs_search", "docs_fetch"] {
        let arguments = json!({ "query": "brass" });
        for other in [house.post(tool, &arguments), house.call(tool, &arguments, json!({}))] {
            let refused = other.bearer_auth(house.token("other:read")).send().await.expect("an answer");
            let challenge = refused.headers()["www-authenticate"].to_str().expect("text").to_owned();
            assert_eq!(refused.status().as_u16(), 403, "{tool}");
            assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"docs:read\""));
            assert!(!refused.text().await.expect("a body").contains("brass"));
        }
        for nobody in [house.post(tool, &arguments), house.call(tool, &arguments, json!({}))] {
            assert_eq!(nobody.send().await.expect("an answer").status().as_u16(), 401, "{tool}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_research_client_searches_and_fetches_what_it_found() {
    // As ChatGPT's deep research does: one string each, and JSON in the one block of text.
    let place = Place::with(&[("guide.md", GUIDE), ("other.txt", "Brass is an alloy.")]);
    let settings = format!(
        "folders = [{{ path = \"{}\", url = \"https://docs.example/{{path}}#L{{line}}\" }}]\nwait = \"60s\"",
        place.docs().display()
    );
    let house = place.open_with(&settings).await;
    let found = house.result("docs_search", json!({ "query": "brass" })).await;
    assert_eq!(found["content"].as_array().map(Vec::len), Some(1));
    let found: Value = serde_json::from_str(found["content"][0]["text"].as_str().expect("text")).expect("JSON");
    let results = found["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    for result in results {
        let [id, title, url] = ["id", "title", "url"].map(|member| result[member].as_str().expect("text"));
        assert!(!title.is_empty() && url.starts_with("https://docs.example/"), "{result}");
        let fetched = house.result("docs_fetch", json!({ "id": id })).await;
        let fetched: Value = serde_json::from_str(fetched["content"][0]["text"].as_str().expect("text")).expect("JSON");
        for member in ["id", "title", "text", "url"] {
            assert!(fetched[member].is_string(), "{fetched}");
        }
        assert!(fetched["text"].as_str().expect("text").to_lowercase().contains("brass"));
        assert!(fetched["metadata"].is_object());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_query_is_an_answer_and_never_a_failure_of_the_server() {
    let place = Place::with(&[("guide.md", GUIDE)]);
    let house = place.open().await;
    let deep = "(".repeat(400);
    let many = "a ".repeat(200);
    for query in [
        "a:(^",
        "- *",
        "\"",
        "\"\"\"",
        "*",
        "[* TO *]",
        "a^99999999999",
        "~",
        "\\",
        "key~99",
        "NOT NOT NOT",
        "\u{0}",
        "\u{202e}",
        "%00",
        "' OR 1=1 --",
        "<script>",
        "(((((key)))))",
        "/.*.*.*.*x/",
        &deep,
        &many,
        "-key",
        "ключ 鍵 🔑",
    ] {
        let request = house.post("docs_search", &json!({ "query": query })).bearer_auth(house.token("docs:read"));
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let body: Value = response.json().await.expect("JSON");
        // By its length, or, since there is no word in it, by the tool itself.
        let refused = (status == 400 || status == 200 && body["isError"] == true) && body.to_string().contains("query");
        let fine = status == 200 && body["isError"] == false;
        assert!(fine || refused, "{query:?}: {status} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_the_first_index_is_told_how_far_it_is() {
    let place = Place::with(&[]);
    corpus::write(&place.docs(), 6000).expect("documents");
    let house = place.open().await;
    let token = house.token("docs:read");
    let call = house.call("docs_search", &json!({ "query": Words::common() }), json!({ "progressToken": "p" }));
    let answer = call.bearer_auth(token).send().await.expect("an answer").text().await.expect("the whole answer");
    let progress = answer.lines().filter(|line| line.contains("notifications/progress")).collect::<Vec<_>>();
    assert!(progress.iter().any(|line| line.contains("of 6000 documents")), "{answer}");
    assert!(answer.contains("\"total\":") && !answer.contains("\"indexing\":"), "{answer}");
}
