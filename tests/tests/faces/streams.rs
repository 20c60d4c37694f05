//! Streams that a session holds open, and when they end.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use toolgate_tests::authority::from_now;

use crate::{
    house::{Answer, CONFIG, House},
    sessions::{ONE_SHORT, Session, no_room, room},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_expires() {
    let house = House::open().await;
    // Refused from a minute after `exp` on, the leeway for clocks that differ.
    let end = from_now(8);
    let token = house.token(&json!({ "scope": "web-search:read", "exp": end - 60 }));
    let session = Session::newest(&house, &token).await;
    let answer = Answer::to(session.stream(&token)).await;
    let ended = SystemTime::now();
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"));
    let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(end).expect("a time after 1970"));
    assert!(ended >= expiry, "it ended before the token did");
    assert_eq!(session.request(&token, "ping", json!({})).await.status, 401, "it ended with the token");
    // The session goes on with a fresh token of the same principal.
    let fresh = house.reader();
    assert_eq!(session.request(&fresh, "ping", json!({})).await.result(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_session() {
    let house = House::open().await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let stream = session.stream(&token).send().await.expect("a stream");
    assert_eq!(stream.status(), 200);
    assert_eq!(session.close(&token).await.status, 204);
    stream.text().await.expect("the end of the stream");
    let gone = session.request(&token, "ping", json!({})).await;
    assert_eq!((gone.status, gone.rpc_error()), (404, -32600), "{}", gone.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_expire_while_its_client_listens() {
    let house = House::with(CONFIG, &ONE_SHORT).await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let stream = session.stream(&token).send().await.expect("a stream");
    assert_eq!(stream.status(), 200);
    no_room(&house, &token).await;
    assert_eq!(session.request(&token, "ping", json!({})).await.result(), json!({}));
    // The client disconnects without a word.
    drop(stream);
    room(&house, &token).await;
    assert_eq!(session.request(&token, "ping", json!({})).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_is_in_nobodys_way() {
    let house = House::open().await;
    let token = house.reader();
    let session = Session::newest(&house, &token).await;
    let _open = session.stream(&token).send().await.expect("a stream");
    let call = |text: &str| json!({ "name": "echo", "arguments": { "text": text } });
    for text in ["one", "two", "three"] {
        let result = session.request(&token, "tools/call", call(text)).await.result();
        assert_eq!(result["structuredContent"]["text"], text);
    }
    let answer = Answer::to(house.call(&token, "echo", json!({ "text": "four" }))).await;
    assert_eq!(answer.result()["structuredContent"], json!({ "text": "four" }));
    assert_eq!(answer.rpc()["error"], Value::Null);
}
