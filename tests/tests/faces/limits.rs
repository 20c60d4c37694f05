//! How often a principal may call: one counter for both faces.

use serde_json::json;

use crate::house::{Answer, CONFIG, House};

#[tokio::test(flavor = "multi_thread")]
async fn both_faces_count_on_one_counter_and_each_principal_on_its_own() {
    let rule = ("TOOLGATE_PLUGINS__ECHO__TOOLS__ECHO", r#"{ scopes = ["web-search:read"], rate = "2/h" }"#);
    let house = House::with(CONFIG, &[rule]).await;
    let (reader, writer) = (house.reader(), house.writer());
    let other = house.token(&json!({ "sub": "usr_other", "scope": "web-search:read" }));
    let arguments = || json!({ "text": "x" });
    assert_eq!(Answer::to(house.call(&reader, "echo", arguments())).await.status, 200);
    assert_eq!(Answer::to(house.post(&reader, "echo", &arguments())).await.status, 200);
    // A token with other scopes is no other principal.
    for (face, request) in
        [("mcp", house.call(&reader, "echo", arguments())), ("rest", house.post(&writer, "echo", &arguments()))]
    {
        let refused = Answer::to(request).await;
        assert_eq!((refused.status, &refused.json()["error"]), (429, &json!("rate_limited")), "{face}");
        let wait: u64 = refused.header("retry-after").parse().expect("whole seconds");
        assert!((1..=1800).contains(&wait), "{face}: two in an hour is one in half an hour, not in {wait} s");
        assert!(refused.header("www-authenticate").starts_with("Bearer"), "{face}");
        let record = house.server.audited(refused.request_id()).await;
        let told = (&record["face"], &record["decision"], &record["reason"]);
        assert_eq!(told, (&json!(face), &json!("refuse"), &json!("rate_limited")));
    }
    assert_eq!(Answer::to(house.post(&other, "echo", &arguments())).await.status, 200, "another principal");
    let search = Answer::to(house.call(&reader, "tavily_search", json!({ "query": "x" }))).await;
    assert_eq!(search.status, 200, "another tool");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_its_scopes_does_not_count() {
    let rule = ("TOOLGATE_PLUGINS__ECHO__TOOLS__ECHO", r#"{ scopes = ["web-search:write"], rate = "1/h" }"#);
    let house = House::with(CONFIG, &[rule]).await;
    for _ in 0..3 {
        assert_eq!(Answer::to(house.post(&house.reader(), "echo", &json!({ "text": "x" }))).await.status, 403);
    }
    assert_eq!(Answer::to(house.post(&house.writer(), "echo", &json!({ "text": "x" }))).await.status, 200);
    assert_eq!(Answer::to(house.post(&house.writer(), "echo", &json!({ "text": "x" }))).await.status, 429);
}
