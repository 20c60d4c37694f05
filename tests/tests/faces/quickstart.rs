//! The README's quickstart, step by step, without the internet.

use reqwest::Method;
use serde_json::json;
use toolgate_tests::server::{Launch, Server};

use crate::house::{Answer, MODERN, PATH, eventually, http, modern_message};

/// A place for Tavily that no name server knows (RFC 2606).
const OFFLINE: (&str, &str) = ("TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__API_BASE_URL", "https://tavily.invalid");

/// The first step, but for the port, which is a free one.
async fn serve() -> Server {
    Launch::shipped().env("TOOLGATE_SERVER__LISTEN", "127.0.0.1:0").start().await
}

/// The token that `toolgate token` prints, the server being where it is.
async fn token(server: &Server, scope: &str) -> String {
    let port = server.address().port().to_string();
    let asked = Launch::shipped().env("PORT", &port).command(&["token", "--scope", scope]).run().await;
    assert_eq!(asked.code(), Some(0), "{asked:?}");
    let token = asked.stdout.trim_end();
    assert_eq!(token.split('.').count(), 3, "a token and nothing else: {token}");
    token.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_says_what_runs_and_what_to_try() {
    let server = serve().await;
    let url = server.public_url();
    let last = "toolgate token --scope \"web-search:read\"\n";
    let banner =
        eventually("the whole banner", async || Some(server.stdout()).filter(|told| told.ends_with(last))).await;
    for line in [
        format!("toolgate {} listens on {}", env!("CARGO_PKG_VERSION"), server.address()),
        format!("  endpoint  {url}{PATH}"),
        "    tool    tavily_search        web-search:read".to_owned(),
        "    tool    tavily_crawl         web-search:write".to_owned(),
        "    tool    echo                 web-search:read".to_owned(),
        format!("  page      {url}/"),
        format!("  docs      {url}/docs"),
        "  try       toolgate call echo '{\"text\":\"hello\"}'".to_owned(),
        "            toolgate token --scope \"web-search:read\"".to_owned(),
    ] {
        assert!(banner.lines().any(|told| told == line), "{line:?} in\n{banner}");
    }
    assert!(banner.contains("  sign-in   dev, the embedded authorization server"), "{banner}");
    assert!(banner.lines().count() < 20, "a few lines");
    assert_eq!(server.stderr(), "", "nothing that looks like trouble, though there is no key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_called_from_the_shell_without_a_server() {
    let hello = Launch::shipped().command(&["call", "echo", r#"{"text":"hello"}"#]).run().await;
    assert_eq!((hello.code(), hello.stdout.as_str()), (Some(0), "hello\n"), "{hello:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_a_search_says_so() {
    let command = ["call", "tavily_search", r#"{"query":"model context protocol"}"#];
    for (name, value) in [OFFLINE, (OFFLINE.0, "http://127.0.0.1:1")] {
        let search = Launch::shipped().env(name, value).command(&command).run().await;
        assert_eq!((search.code(), search.stdout.as_str()), (Some(1), ""), "{value}: {search:?}");
        assert!(search.stderr.contains("tavily cannot be reached over the network"), "{value}: {}", search.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_gets_a_token_and_calls_through_both_faces() {
    let server = serve().await;
    let token = token(&server, "web-search:read").await;
    let http = http();
    let rest = http.request(Method::POST, format!("{}/api/tools/web-search/echo", server.public_url()));
    let rest = Answer::to(rest.bearer_auth(&token).json(&json!({ "text": "hello" }))).await;
    assert_eq!((rest.status, &rest.json()["structuredContent"]), (200, &json!({ "text": "hello" })));

    let call = modern_message("tools/call", json!({ "name": "echo", "arguments": { "text": "hello" } }));
    let mcp = http.post(format!("{}{PATH}", server.public_url())).bearer_auth(&token).json(&call);
    let mcp = mcp.header("accept", "application/json, text/event-stream").header("mcp-protocol-version", MODERN);
    let mcp = Answer::to(mcp.header("mcp-method", "tools/call").header("mcp-name", "echo")).await;
    assert_eq!(mcp.result()["content"][0]["text"], "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_for_the_server_that_gives_it_wherever_that_is() {
    let server = serve().await;
    // The file says port 10000.
    let asked = Launch::shipped().command(&["token", "--url", &server.url()]).run().await;
    assert_eq!(asked.code(), Some(0), "{asked:?}");
    let call = http().post(format!("{}/api/tools/web-search/echo", server.url())).bearer_auth(asked.stdout.trim_end());
    assert_eq!(Answer::to(call.json(&json!({ "text": "x" }))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_not_asked_for_is_not_given() {
    let server = serve().await;
    let token = token(&server, "web-search:write").await;
    // It implies the other one, which is all that these tools ask for.
    let request = http().post(format!("{}/api/tools/web-search/echo", server.public_url())).bearer_auth(token);
    assert_eq!(Answer::to(request.json(&json!({ "text": "x" }))).await.status, 200);
    let port = server.address().port().to_string();
    let refused = Launch::shipped().env("PORT", &port).command(&["token", "--scope", "no:such"]).run().await;
    assert_eq!((refused.code(), refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("no:such"), "{}", refused.stderr);
}
