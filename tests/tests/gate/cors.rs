//! Pages of other origins: who may call, who may read what, and that a preflight meets no gate.

use serde_json::json;
use toolgate_tests::{
    authority::Authority,
    server::{Launch, Server},
};

use crate::{
    house::{PATH, RESOURCE_ID, client, config, scalekit_auth, tools},
    reply::Reply,
};

const APP: &str = "https://app.example.com";
const STRANGER: &str = "https://evil.example";
const TOOL: &str = "/api/tools/web-search/read";

async fn server() -> (Authority, Server) {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let sections = format!("{}{}", scalekit_auth(&authority), tools(""));
    let server = Launch::new(&config(&format!("allowed_origins = [\"{APP}\"]"), &sections)).start().await;
    (authority, server)
}

async fn preflight(server: &Server, path: &str, origin: &str, method: &str, headers: &str) -> Reply {
    let request = client()
        .request(http::Method::OPTIONS, format!("{}{path}", server.url()))
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    Reply::of(request.send().await.expect("an answer")).await
}

/// The members of a list header, in small letters.
fn list(reply: &Reply, name: &str) -> Vec<String> {
    let value = reply.header(name).unwrap_or_else(|| panic!("no {name} in {reply:?}"));
    value.split(',').map(|member| member.trim().to_ascii_lowercase()).collect()
}

#[tokio::test]
async fn a_preflight_of_an_allowed_page_meets_no_gate() {
    let (_authority, server) = server().await;
    let ours = server.url();
    for origin in [APP, &*ours, &server.public_url()] {
        for path in [PATH, TOOL] {
            let asked = "authorization, content-type, mcp-protocol-version, mcp-param-region, Mcp-Param-City";
            let reply = preflight(&server, path, origin, "POST", asked).await;
            assert_eq!(reply.status, 204, "{origin}, {path}: {reply:?}");
            assert!(reply.body.is_empty() && reply.challenge().is_none(), "{reply:?}");
            assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "{reply:?}");
            assert_eq!(reply.header("vary"), Some("Origin"), "{reply:?}");
            assert_eq!(reply.header("access-control-allow-credentials"), None, "{reply:?}");
            let allowed = list(&reply, "access-control-allow-headers");
            for name in [
                "authorization",
                "content-type",
                "accept",
                "mcp-method",
                "mcp-name",
                "mcp-protocol-version",
                "mcp-session-id",
                "last-event-id",
                "mcp-param-region",
                "mcp-param-city",
            ] {
                assert!(allowed.contains(&name.to_owned()), "{name}: {allowed:?}");
            }
            let methods = list(&reply, "access-control-allow-methods");
            assert!(["get", "post", "delete"].iter().all(|method| methods.contains(&(*method).to_owned())));
            assert!(!allowed.contains(&"*".to_owned()) && !methods.contains(&"*".to_owned()));
            assert!(reply.header("access-control-max-age").is_some(), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn a_preflight_asks_for_no_more_than_there_is() {
    let (_authority, server) = server().await;
    for asked in ["x-evil", "mcp-parameter", "mcp-param", "mcp-param-\u{e9}", "mcp-param-a b", "cookie"] {
        let reply = preflight(&server, PATH, APP, "POST", asked).await;
        assert_eq!(reply.status, 204, "{asked}: {reply:?}");
        let allowed = list(&reply, "access-control-allow-headers");
        assert!(!allowed.contains(&asked.to_owned()), "{asked}: {allowed:?}");
    }
    // Many of them do not make the answer grow beyond what it was asked.
    let many = vec!["mcp-param-x"; 1000].join(",");
    let reply = preflight(&server, PATH, APP, "POST", &many).await;
    assert_eq!(reply.status, 204, "{reply:?}");
}

#[tokio::test]
async fn a_preflight_of_another_page_is_refused() {
    let (_authority, server) = server().await;
    for origin in [
        STRANGER,
        "null",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:444",
    ] {
        for path in [PATH, TOOL] {
            let reply = preflight(&server, path, origin, "POST", "authorization").await;
            assert_eq!((reply.status, reply.json()["error"].as_str()), (403, Some("forbidden_origin")), "{origin}");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}: {reply:?}");
            let text = reply.json()["error_description"].to_string();
            assert!(text.contains("server.allowed_origins"), "{text}");
        }
    }
}

#[tokio::test]
async fn an_allowed_page_can_read_the_challenge() {
    let (authority, server) = server().await;
    let audience = json!([RESOURCE_ID]);
    let token = authority.token(&audience, &json!({ "scope": "web-search:read" }));
    for (path, tool, token, status) in [
        (PATH, "read", None, 401),
        (TOOL, "read", None, 401),
        ("/api/tools/web-search/write", "write", Some(&token), 403),
        (TOOL, "read", Some(&token), 200),
    ] {
        let mut request =
            client().post(format!("{}{path}", server.url())).header("origin", APP).json(&json!({ "text": "hello" }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let reply = Reply::of(request.send().await.expect("an answer")).await;
        assert_eq!(reply.status, status, "{tool}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(APP), "{reply:?}");
        let exposed = list(&reply, "access-control-expose-headers");
        for name in ["www-authenticate", "mcp-session-id", "retry-after", "x-request-id"] {
            assert!(exposed.contains(&name.to_owned()), "{name}: {exposed:?}");
        }
        assert_eq!(reply.challenge().is_some(), status != 200, "{reply:?}");
    }
}

#[tokio::test]
async fn what_everyone_may_know_answers_every_page() {
    let (_authority, server) = server().await;
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/web-search/mcp",
        "/.well-known/oauth-authorization-server",
        "/openapi.json",
        "/healthz",
    ] {
        let request = client().get(format!("{}{path}", server.url())).header("origin", STRANGER);
        let reply = Reply::of(request.send().await.expect("an answer")).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-credentials"), None, "{path}: {reply:?}");
    }
    let reply = preflight(&server, "/oauth/register", STRANGER, "POST", "content-type, mcp-protocol-version").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some("*")), "{reply:?}");
    let request = client().post(format!("{}/oauth/register", server.url())).header("origin", STRANGER).json(&json!({}));
    let reply = Reply::of(request.send().await.expect("an answer")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (201, Some("*")), "{reply:?}");
}

#[tokio::test]
async fn without_an_origin_there_are_no_headers_for_pages() {
    let (_authority, server) = server().await;
    let reply = Reply::of(client().post(format!("{}{TOOL}", server.url())).send().await.expect("an answer")).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    assert_eq!(reply.header("access-control-allow-origin"), None, "{reply:?}");
}
