//! What an edit changes.

use serde_json::json;

use crate::house::{CONFIG, House};

#[tokio::test(flavor = "multi_thread")]
async fn another_scope_is_asked_for_from_the_edit_on() {
    let mut house = House::open().await;
    let reader = house.token("notes:read");
    assert_eq!(house.call(&reader, "echo").await, 200);
    assert_eq!(house.call_mcp("/notes/mcp", &reader, "echo").await, 200);
    let log = house.reload(r#"echo = { scopes = ["notes:read"]"#, r#"echo = { scopes = ["notes:write"]"#).await;
    assert!(log.contains("kept \"echo\""), "{log}");
    assert_eq!(house.call(&reader, "echo").await, 403);
    assert_eq!(house.call_mcp("/notes/mcp", &reader, "echo").await, 403);
    assert_eq!(house.call(&house.token("notes:write"), "echo").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_catalogue_follow() {
    let mut house = House::open().await;
    assert!(house.json("/openapi.json").await["paths"]["/api/tools/notes/echo"].is_object());
    house.reload(r#"echo = { scopes = ["notes:read"] }"#, r#"echo = { scopes = ["notes:write"], name = "say" }"#).await;
    let document = house.json("/openapi.json").await;
    assert!(document["paths"]["/api/tools/notes/echo"].is_null(), "{document}");
    assert!(document["paths"]["/api/tools/notes/say"].is_object(), "{document}");
    let catalogue = house.json("/api/tools").await;
    assert_eq!(
        (&catalogue["tools"][0]["tool"], &catalogue["tools"][0]["required_scopes"]),
        (&json!("say"), &json!(["notes:write"]))
    );
    let metadata = house.json("/.well-known/oauth-protected-resource/notes/mcp").await;
    assert_eq!(metadata["scopes_supported"], json!(["notes:write"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_switched_off_and_on() {
    let mut house = House::open().await;
    let reader = house.token("notes:read");
    let log = house.reload("builtin = \"echo\"", "enabled = false\nbuiltin = \"echo\"").await;
    assert!(log.contains("removed \"echo\""), "{log}");
    assert_eq!(house.call(&reader, "echo").await, 404);
    assert_eq!(house.ready().await.1["plugins"], json!({}));
    let log = house.reload("enabled = false\n", "").await;
    assert!(log.contains("started \"echo\""), "{log}");
    assert_eq!(house.call(&reader, "echo").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_come_move_and_go() {
    let mut house = House::open().await;
    let more = "[endpoints.more]\npath = \"/more/mcp\"\nplugins = [\"echo\"]\n\n[plugins.echo]";
    house.reload("[plugins.echo]", more).await;
    let token = house.token_for("/more/mcp", "notes:read");
    assert_eq!(house.call_mcp("/more/mcp", &token, "echo").await, 200);
    assert_eq!(house.call_at("more", &token, "echo").await, 200);
    // Moved: another path, so another resource.
    house.reload("path = \"/more/mcp\"", "path = \"/moved/mcp\"").await;
    assert_eq!(house.call_mcp("/more/mcp", &token, "echo").await, 404);
    assert_eq!(house.call_mcp("/moved/mcp", &token, "echo").await, 401, "a token for the resource of before");
    let token = house.token_for("/moved/mcp", "notes:read");
    assert_eq!(house.call_mcp("/moved/mcp", &token, "echo").await, 200);
    house.reload(&more.replace("/more/", "/moved/"), "[plugins.echo]").await;
    assert_eq!(house.call_mcp("/moved/mcp", &token, "echo").await, 404);
    assert_eq!(house.call(&house.token("notes:read"), "echo").await, 200, "the other one stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_tool_hides_from_the_edit_on() {
    let mut house = House::open().await;
    assert_eq!(house.json("/api/tools").await["tools"].as_array().map(Vec::len), Some(1));
    house.reload("plugins = [\"echo\"]", "plugins = [\"echo\"]\non_missing_scope = \"hide\"").await;
    assert_eq!(house.json("/api/tools").await["tools"], json!([]));
    assert_eq!(house.call(&house.token("notes:write"), "echo").await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authorization_server_is_trusted_from_the_edit_on() {
    let mut house = House::open().await;
    let reader = house.token("notes:read");
    assert_eq!(house.call(&reader, "echo").await, 200);
    house.reload("provider = \"oauth\"", "provider = \"dev\"").await;
    assert_eq!(house.call(&reader, "echo").await, 401);
    let metadata = house.json("/.well-known/oauth-protected-resource/notes/mcp").await;
    assert_eq!(metadata["authorization_servers"], json!([format!("{}/dev/auth", house.server.public_url())]));
    house.reload("provider = \"dev\"", "provider = \"oauth\"").await;
    assert_eq!(house.call(&reader, "echo").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_development_server_grants_scopes_that_an_edit_brought_and_keeps_its_tokens() {
    let mut house = House::with(&CONFIG.replace("provider = \"oauth\"", "provider = \"dev\""), |launch| launch).await;
    let before = development_token(&house, "notes:read").await.expect("a token");
    assert_eq!(house.call(&before, "echo").await, 200);
    assert_eq!(development_token(&house, "notes:new").await, None);
    house.reload("[scopes.\"notes:write\"]", "[scopes.\"notes:write\"]\n[scopes.\"notes:new\"]").await;
    house.reload(r#"echo = { scopes = ["notes:read"]"#, r#"echo = { scopes = ["notes:new"]"#).await;
    assert_eq!(house.call(&before, "echo").await, 403, "still a good token");
    let after = development_token(&house, "notes:new").await.expect("a token");
    assert_eq!(house.call(&after, "echo").await, 200);
}

/// A token of the development authorization server, by client credentials.
async fn development_token(house: &House, scope: &str) -> Option<String> {
    let base = format!("{}/dev/auth", house.server.url());
    let asked = json!({ "client_name": "tests", "grant_types": ["client_credentials"] });
    let client = house.http.post(format!("{base}/register")).json(&asked).send().await.expect("an answer");
    let client: serde_json::Value = client.json().await.expect("JSON");
    let text = |key: &str| client[key].as_str().unwrap_or_default().to_owned();
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    let token = house.http.post(format!("{base}/token")).basic_auth(text("client_id"), Some(text("client_secret")));
    let token: serde_json::Value = token.form(&form).send().await.expect("an answer").json().await.expect("JSON");
    token["access_token"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_through_reloads() {
    let mut house = House::open().await;
    let token = house.token("notes:read");
    let post = |message: serde_json::Value, session: Option<&str>| {
        let request = house.http.post(format!("{}/notes/mcp", house.server.url())).bearer_auth(&token);
        let request = request.header("accept", "application/json, text/event-stream").json(&message);
        session.iter().fold(request, |request, session| request.header("mcp-session-id", *session))
    };
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "tests", "version": "1" } } });
    let opened = post(initialize, None).send().await.expect("an answer");
    let session = opened.headers()["mcp-session-id"].to_str().expect("text").to_owned();
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let told = post(initialized, Some(&session)).send().await.expect("an answer");
    assert_eq!(told.status(), 202);
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let before = post(list.clone(), Some(&session)).build().expect("a request");
    let after = before.try_clone().expect("a body in memory");
    let names = async |house: &House, request| {
        house.http.execute(request).await.expect("an answer").text().await.expect("text")
    };
    assert!(names(&house, before).await.contains("\"echo\""));
    house.reload(r#"echo = { scopes = ["notes:read"] }"#, r#"echo = { scopes = ["notes:read"], name = "say" }"#).await;
    let listed = names(&house, after).await;
    assert!(listed.contains("\"say\"") && !listed.contains("\"echo\""), "{listed}");
}
