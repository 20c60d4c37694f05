//! Each way to misbehave ends the calls it concerns, with words, and nothing else.

use super::*;

#[tokio::test]
async fn an_answer_comes_back_as_it_was_given() {
    let link = Bench::new().start().await;
    match call(&*link, "echo", "hello").await {
        Reply::Result(bytes) => assert_eq!(bytes, br#"{"name":"echo","arg":"hello"}"#),
        other => panic!("{other:?}"),
    }
    link.close().await;
}
