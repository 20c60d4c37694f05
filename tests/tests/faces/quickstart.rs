//! The README's quickstart, step by step, without the internet.

use std::{collections::BTreeMap, fs};

use reqwest::Method;
use serde_json::{Value, json};
use toolgate_tests::server::{Launch, Server, binary, workspace};

use crate::house::{Answer, MODERN, PATH, eventually, http, modern_message};

/// A place for Tavily that no name server knows (RFC 2606).
const OFFLINE: (&str, &str) = ("TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__API_BASE_URL", "https://tavily.invalid");

/// The first step, but for the port, which is a free one.
async fn serve() -> Server {
    Launch::shipped().with_documents().env("TOOLGATE_SERVER__LISTEN", "127.0.0.1:0").start().await
}

/// The README's commands, by the first words of the step that they are in.
fn commands() -> BTreeMap<String, Vec<String>> {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("README.md");
    let quickstart = readme.split("## Quickstart").nth(1).and_then(|rest| rest.split("\n## ").next());
    let mut commands: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for step in quickstart.expect("the quickstart").split("\n**").skip(1) {
        let title = step.split("**").next().expect("a title").to_owned();
        let blocks = step.split("```sh\n").skip(1).map(|block| block.split("```").next().expect("an end").to_owned());
        commands.insert(title, blocks.collect());
    }
    commands
}

/// Type a block of the README into a shell beside the server; its status and its output.
async fn type_in(server: &Server, block: &str) -> (Option<i32>, String, String) {
    let port = server.address().port().to_string();
    // Built already; and the port is a free one.
    let script = format!("cargo() {{ shift 3; toolgate \"$@\"; }}\n{}", block.replace("10000", &port));
    let own = binary().parent().expect("the binary's folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).expect("a path");
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-e", "-c", &script]).current_dir(server.folder()).env_clear();
    shell.env("PATH", path).env("PORT", &port).env(OFFLINE.0, OFFLINE.1);
    let ended = shell.output().await.expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
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
    let last = "toolgate token --scope \"web-search:read docs:read\"\n";
    let banner =
        eventually("the whole banner", async || Some(server.stdout()).filter(|told| told.ends_with(last))).await;
    for line in [
        format!("toolgate {} listens on {}", env!("CARGO_PKG_VERSION"), server.address()),
        format!("  endpoint  {url}{PATH}"),
        "    tool    tavily_search        web-search:read".to_owned(),
        "    tool    tavily_crawl         web-search:write".to_owned(),
        "    tool    docs_search          docs:read".to_owned(),
        "    tool    echo                 web-search:read".to_owned(),
        format!("  page      {url}/"),
        format!("  docs      {url}/docs"),
        "  try       toolgate call docs_search '{\"query\":\"write a plugin\"}'".to_owned(),
        "            toolgate token --scope \"web-search:read docs:read\"".to_owned(),
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
async fn the_first_call_of_a_newcomer_gives_a_real_answer() {
    // No server, no network, nothing read before.
    let search = r#"{"query":"write a plugin"}"#;
    let found = Launch::shipped().with_documents().command(&["call", "docs_search", search]).run().await;
    assert_eq!(found.code(), Some(0), "{found:?}");
    let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
    let first = &found["results"][0];
    assert_eq!((&first["folder"], &first["path"]), (&json!("docs"), &json!("write-a-plugin.md")), "{found}");
    assert!(first["snippet"].as_str().is_some_and(|snippet| snippet.contains("«")), "{found}");
    assert!(found.get("indexing").is_none() && found.get("note").is_none(), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_do_what_it_says() {
    let server = serve().await;
    let commands = commands();
    let steps: Vec<&str> = commands.keys().map(String::as_str).collect();
    let [_serve, call, client, web, _sign_in] = steps.as_slice() else { panic!("other steps: {steps:?}") };
    let [search, fetch] = commands[*call].as_slice() else { panic!("other commands: {commands:?}") };

    let (code, found, told) = type_in(&server, search).await;
    assert_eq!(code, Some(0), "{found}{told}");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["results"][0]["path"], "write-a-plugin.md", "{found}");
    let (code, fetched, told) = type_in(&server, fetch).await;
    assert_eq!(code, Some(0), "{fetched}{told}");
    let fetched: Value = serde_json::from_str(&fetched).expect("JSON");
    assert!(fetched["text"].as_str().is_some_and(|text| text.starts_with("# Write a plugin")), "{fetched}");
    assert!(fetched["next"].is_string(), "{fetched}");

    let (code, answer, told) = type_in(&server, &commands[*client].concat()).await;
    assert_eq!(code, Some(0), "{answer}{told}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["structuredContent"], found, "the same, through the gate");

    // Where there is no network.
    let (code, _, told) = type_in(&server, &commands[*web].concat()).await;
    assert!(code == Some(1) && told.contains("tavily cannot be reached over the network"), "{code:?}: {told}");
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
