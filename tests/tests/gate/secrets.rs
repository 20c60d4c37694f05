//! No token, key or secret in what a server writes: standard output, standard error at its most talkative, the audit
//! file, and its answers.

use serde_json::json;
use toolgate_tests::{
    authority::{Authority, CLIENT_SECRET},
    server::{Finished, Launch, Server},
    tavily::{StandIn, faults::Act},
};

use crate::{
    house::{
        Face, Provider, RESOURCE, RESOURCE_ID, call, client, config, introspection_auth, oauth_auth, register_machine,
        request, resource_line, scalekit_auth, tools,
    },
    reply::Reply,
};

const TAVILY_KEY: &str = "tvly-dev-a7Qz91kLmn0xYtR3";
const QUERY: &str = "zebra-crossing-9931";

const SEARCH: &str = "
[plugins.web]
builtin = \"tavily\"
[plugins.web.tools]
\"*\" = { scopes = [\"web-search:read\"] }
";

/// A server that searches, behind this provider, which writes all that it can.
async fn talkative(auth: &str, resource: &str, tavily: &StandIn) -> Server {
    let tools = tools(resource).replace("plugins = [", "plugins = [\"web\", ");
    let settings =
        format!("[plugins.web.settings]\napi_key = \"${{TAVILY_API_KEY}}\"\napi_base_url = \"{}\"\n", tavily.url());
    Launch::new(&config("", &format!("{auth}{tools}{SEARCH}{settings}")))
        .env("RUST_LOG", "trace,rmcp=trace,h2=trace,hyper_util=trace")
        .env("TAVILY_API_KEY", TAVILY_KEY)
        .start()
        .await
}

fn assert_clean(reply: &Reply, secrets: &[&str]) {
    let text = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body));
    for secret in secrets {
        assert!(!text.contains(secret), "{secret:?} in the answer {text}");
    }
}

/// Searches that go well, and badly in several ways; nothing secret is in an answer.
async fn search(server: &Server, tavily: &StandIn, token: &str, secrets: &[&str]) {
    for fault in [None, Some("key-deactivated"), Some("500"), Some("not-json"), Some("close")] {
        match fault {
            Some(fault) => tavily.fail(fault),
            None => tavily.play(Act::Serve),
        }
        for face in Face::BOTH {
            let request = request(server, face, "tavily_search", &json!({ "query": QUERY }));
            let reply = Reply::of(request.bearer_auth(token).send().await.expect("an answer")).await;
            assert_eq!(reply.status, 200, "{fault:?}: {reply:?}");
            assert_eq!(face.result(&reply)["isError"] == true, fault.is_some(), "{fault:?}: {reply:?}");
            assert_clean(&reply, secrets);
        }
    }
}

/// Calls with these tokens, most of them refused in one way or another; nothing secret is in an answer.
async fn call_all(server: &Server, tokens: &[String], secrets: &[&str]) {
    let secrets: Vec<&str> = secrets.iter().copied().chain(tokens.iter().map(String::as_str)).collect();
    for token in tokens {
        let bearer = format!("Bearer {token}");
        for face in Face::BOTH {
            for tool in ["read", "write", "limited", "no_such_tool"] {
                assert_clean(&call(server, face, tool, &[&bearer]).await, &secrets);
            }
            assert_clean(&call(server, face, "read", &[&bearer, &bearer]).await, &secrets);
            assert_clean(&call(server, face, "read", &[&format!("{bearer} {token}")]).await, &secrets);
            assert_clean(&call(server, face, "read", &[&format!("Basic {token}")]).await, &secrets);
        }
        // In places where no token belongs, but clumsy clients put it.
        let url = format!("{}/web-search/mcp?access_token={token}", server.url());
        assert_eq!(client().post(url).send().await.expect("an answer").status(), 401);
    }
}

/// Nothing of it was written anywhere.
fn assert_silent(finished: &Finished, tokens: &[String], secrets: &[&str]) {
    let audit = finished.audit_text();
    assert!(finished.stderr.contains("TRACE"), "the log was at its most talkative: {}", finished.stderr.len());
    assert!(audit.contains("\"permit\"") && audit.contains("\"refuse\""), "{audit}");
    let signatures = tokens.iter().filter_map(|token| token.rsplit('.').next()).filter(|part| part.len() > 20);
    let all = secrets.iter().copied().chain(tokens.iter().map(String::as_str)).chain(signatures);
    for secret in all {
        for (place, text) in [("stdout", &finished.stdout), ("stderr", &finished.stderr), ("audit", &audit)] {
            let found = text.lines().find(|line| line.contains(secret));
            assert!(found.is_none(), "{secret:?} in {place}: {found:?}");
        }
    }
    assert!(!audit.contains(QUERY), "arguments are audited only when asked for");
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_secret_is_written_behind_authorization_servers_outside() {
    for provider in [Provider::Scalekit, Provider::OAuth, Provider::Introspection] {
        let tavily = StandIn::start().await.expect("a stand-in");
        let (authority, auth) = match provider {
            Provider::Scalekit => {
                let authority = Authority::scalekit(RESOURCE_ID).await;
                let auth = scalekit_auth(&authority);
                (authority, auth)
            }
            provider => {
                let authority = Authority::generic("/tenant").await;
                let introspected = provider == Provider::Introspection;
                let auth = if introspected { introspection_auth(&authority) } else { oauth_auth(&authority) };
                (authority, auth)
            }
        };
        let server = talkative(&auth, &resource_line(), &tavily).await;
        let audience = json!([RESOURCE, RESOURCE_ID]);
        let token = |over| authority.token(&audience, &over);
        let mut tokens = vec![
            token(json!({ "scope": "web-search:read" })),
            token(json!({ "scope": "web-search:write" })),
            token(json!({ "exp": 1 })),
            token(json!({ "aud": "https://other.example" })),
            token(json!({ "iss": "https://evil.example" })),
            authority.key().token_with(&json!({ "kid": "unknown" }), &authority.claims(&audience, &json!({}))),
            "opaque-4f9a1c77d2".to_owned(),
        ];
        for (token, scope) in tokens.iter().zip(["web-search:read", "web-search:write"]) {
            authority.activate(token, &authority.claims(&audience, &json!({ "scope": scope })));
        }
        let encoded: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
        let secrets = [TAVILY_KEY, CLIENT_SECRET, &*encoded];
        search(&server, &tavily, &tokens[0], &secrets).await;
        call_all(&server, &tokens, &secrets).await;
        authority.go_down().await;
        tokens.push(token(json!({ "jti": "after" })));
        call_all(&server, &tokens, &secrets).await;
        assert_silent(&server.terminate().await, &tokens, &secrets);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_secret_is_written_by_the_development_server() {
    let tavily = StandIn::start().await.expect("a stand-in");
    let server = talkative("[auth]\nprovider = \"dev\"\n", "", &tavily).await;
    let machine = register_machine(&server).await;
    let tokens = [
        machine.token(&server, "web-search:read").await,
        machine.token(&server, "web-search:read web-search:write").await,
        "opaque-4f9a1c77d2".to_owned(),
    ];
    let base = format!("{}/dev/auth", server.url());
    let wrong =
        [("grant_type", "client_credentials"), ("client_id", &*machine.id), ("client_secret", "wrong-b81c0f2e")];
    assert!(
        client().post(format!("{base}/token")).form(&wrong).send().await.expect("an answer").status().is_client_error()
    );
    let secrets = [TAVILY_KEY, &machine.secret, "wrong-b81c0f2e"];
    search(&server, &tavily, &tokens[0], &secrets).await;
    call_all(&server, &tokens, &secrets).await;
    assert_silent(&server.terminate().await, &tokens, &secrets);
}

#[cfg(unix)]
#[tokio::test]
async fn arguments_are_audited_when_asked_for_and_a_broken_setting_shows_no_key() {
    let text = config("", &format!("[auth]\nprovider = \"none\"\n[audit]\narguments = true\n{}", tools("")));
    let server = Launch::new(&text).start().await;
    for face in Face::BOTH {
        let reply = call(&server, face, "read", &[]).await;
        assert_eq!(server.audited(reply.request_id()).await["arguments"], json!({ "text": "hello" }), "{face:?}");
    }
    let broken = format!("{SEARCH}[plugins.web.settings]\napi_key = \"${{TAVILY_API_KEY}}\"\napi_base_url = 7\n");
    let tools = tools("").replace("plugins = [", "plugins = [\"web\", ");
    let launch = Launch::new(&config("", &format!("[auth]\nprovider = \"none\"\n{tools}{broken}")));
    let finished = launch.env("TAVILY_API_KEY", TAVILY_KEY).env("RUST_LOG", "trace").run().await;
    assert_eq!(finished.code(), Some(1), "{finished:#?}");
    assert!(!finished.stderr.contains(TAVILY_KEY) && !finished.stdout.contains(TAVILY_KEY), "{finished:#?}");
}
