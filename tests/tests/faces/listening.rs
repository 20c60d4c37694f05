//! Clients that listen, of both protocol eras: told of a live edit, bounded, and let go when the server stops.

use std::time::{Duration, SystemTime};

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use toolgate_tests::{authority::from_now, server::PATIENCE};

use crate::{
    house::{Answer, CONFIG, House, eventually},
    sessions::Session,
};

const CHANGED: &str = "notifications/tools/list_changed";

/// A stream of events.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { response, text: String::new() }
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim);
                let message =
                    data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).expect("JSON"));
                self.text = rest.to_owned();
                if message.is_some() {
                    return message;
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event");
            self.text.push_str(std::str::from_utf8(&chunk.ok()??).expect("text"));
        }
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event);
        }
        rest
    }
}

fn wanted(house: &House, token: &str) -> RequestBuilder {
    house.modern(token, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }))
}

/// A client of 2026-07-28 that listens.
async fn listen(house: &House, token: &str) -> Events {
    let mut events = Events::of(wanted(house, token)).await;
    let first = events.next().await.expect("the acknowledgement");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({ "toolsListChanged": true }));
    events
}

/// Edit the configuration of a running server, as an editor does that writes a file whole.
fn edit(house: &House, from: &str, to: &str) {
    let file = house.server.folder().join("config.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    assert!(text.contains(from), "{from}");
    let new = file.with_extension("new");
    std::fs::write(&new, text.replace(from, to)).expect("a file beside it");
    std::fs::rename(new, file).expect("in its place");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_live_edit_reaches_who_listens_in_both_eras() {
    let house = House::open().await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let mut streams = [listen(&house, &token).await, Events::of(session.stream(&token)).await];
    let edits = [
        (
            "a new name",
            r#"echo = { scopes = ["web-search:read"] }"#,
            r#"echo = { scopes = ["web-search:read"], name = "say" }"#,
        ),
        ("another scope", r#"["web-search:read"], name = "say""#, r#"["web-search:write"], name = "say""#),
        ("a tool less", r#"plugins = ["web-search", "echo"]"#, r#"plugins = ["web-search"]"#),
    ];
    for (name, from, to) in edits {
        edit(&house, from, to);
        for events in &mut streams {
            assert_eq!(events.next().await.expect(name)["method"], CHANGED, "{name}");
        }
        let modern = Answer::to(house.modern(&token, "tools/list", json!({}))).await.result();
        let legacy = session.request(&token, "tools/list", json!({})).await.result();
        assert_eq!(modern["tools"], legacy["tools"], "{name}");
    }
    let last = Answer::to(house.modern(&token, "tools/list", json!({}))).await.result();
    assert_eq!(last["tools"].as_array().map(Vec::len), Some(2), "{last}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_see_a_tool_is_not_told_that_it_changes() {
    let config =
        CONFIG.replace(r#"path = "/web-search/mcp""#, "path = \"/web-search/mcp\"\non_missing_scope = \"hide\"");
    let house = House::with(&config, &[]).await;
    let (reader, mut writer) = (listen(&house, &house.reader()).await, listen(&house, &house.writer()).await);
    edit(&house, r#"tavily_extract = { scopes = ["web-search:write"] }"#, r#"tavily_extract = { enabled = false }"#);
    assert_eq!(writer.next().await.expect("a word to the writer")["method"], CHANGED);
    edit(&house, r#"echo = { scopes = ["web-search:read"] }"#, r#"echo = { enabled = false }"#);
    assert_eq!(writer.next().await.expect("another")["method"], CHANGED);
    let mut reader = reader;
    assert_eq!(reader.next().await.expect("a word to the reader")["method"], CHANGED);
    house.server.signal("TERM").await;
    let after = reader.rest().await;
    assert!(after.iter().all(|event| event["method"] != CHANGED), "one edit of two was the reader's: {after:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_to_who_listens() {
    let house = House::open().await;
    let events = listen(&house, &house.reader()).await;
    house.server.signal("TERM").await;
    let last = events.rest().await;
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!((&last[0]["id"], &last[0]["result"]["resultType"]), (&json!(1), &json!("complete")));
    assert_eq!(last[0]["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    assert_eq!(house.server.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_needs_a_token_and_ends_with_it() {
    let house = House::open().await;
    assert_eq!(Answer::to(wanted(&house, "nonsense")).await.status, 401);
    let end = from_now(8);
    let events = listen(&house, &house.token(&json!({ "scope": "", "exp": end - 60 }))).await;
    // Without a word: a client may take it for a reason to come back with a fresh token.
    assert_eq!(events.rest().await, Vec::<Value>::new());
    let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(end).expect("a time after 1970"));
    assert!(SystemTime::now() >= expiry, "it ended before the token did");
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_bounded_and_a_client_that_leaves_makes_room() {
    let house = House::with(CONFIG, &[("TOOLGATE_SERVER__MAX_SESSIONS_PER_PRINCIPAL", "1")]).await;
    let (token, other) = (house.reader(), house.token(&json!({ "sub": "usr_other", "scope": "web-search:read" })));
    let first = listen(&house, &token).await;
    let refused = Answer::to(wanted(&house, &token)).await;
    assert_eq!((refused.status, refused.rpc_error()), (429, -32600), "{}", refused.body);
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    let _other = listen(&house, &other).await;
    drop(first);
    eventually("room for another", async || {
        let response = wanted(&house, &token).send().await.expect("an answer");
        (response.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_of_the_revision_without_sessions() {
    let house = House::open().await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let params = json!({ "notifications": { "toolsListChanged": true } });
    assert_eq!(session.request(&token, "subscriptions/listen", params).await.rpc_error(), -32601);
    for params in [json!({}), json!({ "notifications": 7 }), json!({ "notifications": { "toolsListChanged": "yes" } })]
    {
        let answer = Answer::to(house.modern(&token, "subscriptions/listen", params.clone())).await;
        assert_eq!(answer.rpc_error(), -32602, "{params}");
    }
}
