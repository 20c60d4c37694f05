//! What keeps a server from starting, and that it says so: status 1 and one line that helps. Then what starts, with the
//! configuration that the project ships and the variables of the original server.

use serde_json::json;
use toolgate_tests::{
    authority::Authority,
    server::{Finished, Launch},
    tavily::{KEY, StandIn},
};

use crate::{
    house::{
        Face, House, PATH, Provider, RESOURCE_ID, assert_echoed, call, call_with, client, config, register_machine,
        tools,
    },
    reply::Reply,
};

const DEV: &str = "[auth]\nprovider = \"dev\"\n";
const NONE: &str = "[auth]\nprovider = \"none\"\n";

/// It ended with status 1, served nobody, and said all of this on standard error.
fn assert_refused(name: &str, finished: &Finished, said: &[&str]) {
    assert_eq!(finished.code(), Some(1), "{name}: {finished:#?}");
    assert!(finished.stdout.is_empty(), "{name}: {finished:#?}");
    for part in said {
        assert!(finished.stderr.contains(part), "{name}: {part:?} is missing in {:?}", finished.stderr);
    }
    assert!(!finished.stderr.contains("panicked"), "{name}: {finished:#?}");
}

#[tokio::test]
async fn what_cannot_be_served_is_said_with_its_remedy() {
    let listening = |listen: &str, auth: &str| format!("[server]\nlisten = \"{listen}\"\n{auth}{}", tools(""));
    let with = |server: &str, auth: &str| config(server, &format!("{auth}{}", tools("")));
    let oauth = "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"http://auth.example.com\"\n";
    let res = "[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"https://acme.scalekit.dev\"\nresource_id = \"srv_1\"\n";
    let bare = "[auth]\nprovider = \"scalekit\"\n";
    let introspection = "[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"https://auth.example.com\"\nvalidation = \"introspection\"\n";
    let rows: [(&str, String, &[&str]); 14] = [
        (
            "dev beyond loopback",
            listening("0.0.0.0:0", DEV),
            &["server.listen", "reaches beyond this machine", "127.0.0.1"],
        ),
        ("dev on all of IPv6", listening("[::]:0", DEV), &["server.listen", "reaches beyond this machine"]),
        ("none beyond loopback", listening("0.0.0.0:0", NONE), &["server.listen", "provider \"none\" asks nobody"]),
        (
            "dev in public",
            with("public_url = \"https://mcp.example.com\"", DEV),
            &["server.public_url", "allow_public = true"],
        ),
        (
            "none in public",
            with("public_url = \"https://mcp.example.com\"", NONE),
            &["server.public_url", "allow_public = true"],
        ),
        ("an authorization server in the clear", with("", oauth), &["auth.oauth.issuer", "is not https"]),
        ("an id that is none", with("", res), &["auth.scalekit.resource_id", "srv_1", "res_"]),
        ("Scalekit without a section", with("", bare), &["auth.provider", "add a section [auth.scalekit]"]),
        ("introspection without credentials", with("", introspection), &["auth.oauth.validation", "client_secret"]),
        (
            "an audit file in no folder",
            with("", &format!("{NONE}[audit]\nsink = \"nowhere/audit.jsonl\"\n")),
            &["cannot open the audit log", "nowhere"],
        ),
        ("a listen that is no address", listening("localhost", DEV), &["server.listen", "\"localhost\""]),
        ("no endpoint", config("", DEV), &["endpoints", "add a section"]),
        ("a key with a typo", with("alowed_origins = []", DEV), &["alowed_origins", "allowed_origins"]),
        ("no TOML", "[server\n".to_owned(), &["config.toml:1"]),
    ];
    for (name, config, said) in rows {
        // Without the audit file that `Launch` sets, so that the configuration's own counts.
        let finished = Launch::new(&config).unset("TOOLGATE_AUDIT__SINK").run().await;
        assert_refused(name, &finished, said);
        assert!(finished.stderr.starts_with("error: "), "{name}: {:?}", finished.stderr);
    }
}

#[tokio::test]
async fn scalekit_without_its_variables_is_told_which() {
    let finished = Launch::shipped().env("TOOLGATE_AUTH__PROVIDER", "scalekit").run().await;
    assert_refused("no variables", &finished, &["auth.scalekit.environment_url", "SCALEKIT_ENVIRONMENT_URL"]);
    let finished = Launch::shipped()
        .env("TOOLGATE_AUTH__PROVIDER", "scalekit")
        .env("SCALEKIT_ENVIRONMENT_URL", "https://acme.scalekit.dev")
        .env("SCALEKIT_RESOURCE_ID", "acme")
        .run()
        .await;
    assert_refused("a wrong id", &finished, &["SCALEKIT_RESOURCE_ID", "res_"]);
    let finished = Launch::shipped().env("TOOLGATE_AUTH__PROVIDER", "skalekit").run().await;
    assert_refused("a misspelled provider", &finished, &["TOOLGATE_AUTH__PROVIDER", "\"skalekit\"", "scalekit"]);
    let finished = Launch::shipped().env("PORT", "http").run().await;
    assert_refused("a port that is none", &finished, &["PORT", "\"http\" is not a port"]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = holder.local_addr().expect("its address").port().to_string();
    let finished = Launch::shipped().env("PORT", &port).run().await;
    assert_refused("taken", &finished, &["cannot listen on 127.0.0.1:", &port, "server.listen"]);
}

#[tokio::test]
async fn a_missing_configuration_is_named() {
    let launch = Launch::new("").command(&["serve", "--config", "elsewhere.toml"]);
    assert_refused("no file", &launch.run().await, &["elsewhere.toml"]);
    let finished = Launch::new("").command(&["serve", "--no-such-flag"]).run().await;
    assert_eq!(finished.code(), Some(2), "wrong usage: {finished:#?}");
}

#[tokio::test]
async fn dev_in_public_serves_when_told_that_it_is_meant() {
    let auth = format!("{DEV}[auth.dev]\nallow_public = true\n");
    let text = config("public_url = \"https://mcp.example.com\"", &format!("{auth}{}", tools("")));
    let server = Launch::new(&text).start().await;
    let challenge = call(&server, Face::Mcp, "read", &[]).await.challenge().expect("a challenge");
    let expected = format!("https://mcp.example.com/.well-known/oauth-protected-resource{PATH}");
    assert_eq!(challenge.parameter("resource_metadata"), Some(&*expected));
}

#[tokio::test]
async fn the_configuration_as_shipped_runs_signs_in_and_stops() {
    let server = Launch::shipped().env("PORT", "0").start().await;
    let banner = server.stdout_with("toolgate token").await;
    for part in [PATH, "web-search:read", "tavily_search", "/docs", "toolgate token", "sign-in   dev"] {
        assert!(banner.contains(part), "{part:?} is missing in {banner}");
    }
    let token = register_machine(&server).await.token(&server, "web-search:read").await;
    for face in Face::BOTH {
        assert_eq!(call(&server, face, "echo", &[]).await.status, 401);
        assert_echoed(face, &call_with(&server, face, "echo", &token).await, "as shipped");
    }
    #[cfg(unix)]
    {
        let finished = server.terminate().await;
        assert_eq!(finished.code(), Some(0), "{finished:#?}");
        assert_eq!(finished.audit_text().lines().count(), 4, "{finished:#?}");
    }
}

#[tokio::test]
async fn the_original_servers_variables_work_on_the_configuration_as_shipped() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let tavily = StandIn::start().await.expect("a stand-in");
    let resource = "https://mcp.example.com/web-search/mcp";
    let server = Launch::shipped()
        .env("TOOLGATE_AUTH__PROVIDER", "scalekit")
        .env("PORT", "0")
        .env("RESOURCE_IDENTIFIER", resource)
        .env("SCALEKIT_ENVIRONMENT_URL", &authority.url())
        .env("TAVILY_API_KEY", KEY)
        .env("TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__API_BASE_URL", &tavily.url())
        .start()
        .await;
    // The resource is the audience where no id is configured, and its origin the public URL.
    let challenge = call(&server, Face::Mcp, "tavily_search", &[]).await.challenge().expect("a challenge");
    let metadata = format!("https://mcp.example.com/.well-known/oauth-protected-resource{PATH}");
    assert_eq!(challenge.parameter("resource_metadata"), Some(&*metadata));
    let document = client().get(format!("{}/.well-known/oauth-protected-resource", server.url())).send().await;
    let document = Reply::of(document.expect("an answer")).await.json();
    assert_eq!(document["resource"], resource);
    assert_eq!(document["authorization_servers"], json!([authority.url()]));

    let token = authority.token(&json!([resource, "res_9"]), &json!({ "scope": "web-search:read" }));
    for face in Face::BOTH {
        let request = crate::house::request(&server, face, "tavily_search", &json!({ "query": "rust" }));
        let reply = Reply::of(request.bearer_auth(&token).send().await.expect("an answer")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let result = face.result(&reply);
        assert_ne!(result["isError"], true, "{result}");
        assert!(result["structuredContent"]["sources"].as_array().is_some_and(|all| !all.is_empty()), "{result}");
    }
    let seen = tavily.take_seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    for request in &seen {
        let authorization = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        assert_eq!(authorization, Some(&*format!("Bearer {KEY}")), "the key, and not the caller's token");
        assert!(!format!("{:?}", request.headers).contains(&token) && !request.json().to_string().contains(&token));
    }
    let foreign = authority.token(&json!(["https://mcp.example.com/other"]), &json!({ "scope": "web-search:read" }));
    assert_eq!(call_with(&server, Face::Rest, "tavily_search", &foreign).await.status, 401);
}

#[tokio::test]
async fn search_is_for_readers_and_a_writing_tool_for_writers() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let tavily = StandIn::start().await.expect("a stand-in");
    let rules = "
[plugins.echo.tools]
echo = { scopes = [\"web-search:write\"] }
";
    let shipped =
        std::fs::read_to_string(toolgate_tests::server::workspace().join("config.toml")).expect("config.toml");
    let (before, after) =
        shipped.split_once("\n[plugins.echo.tools]\necho = { scopes = [\"web-search:read\"] }\n").expect("the rule");
    let server = Launch::new(&format!("{before}{rules}{after}"))
        .env("TOOLGATE_AUTH__PROVIDER", "scalekit")
        .env("PORT", "0")
        .env("SCALEKIT_ENVIRONMENT_URL", &authority.url())
        .env("SCALEKIT_RESOURCE_ID", RESOURCE_ID)
        .env("TAVILY_API_KEY", KEY)
        .env("TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__API_BASE_URL", &tavily.url())
        .start()
        .await;
    let reader = authority.token(&json!([RESOURCE_ID]), &json!({ "scope": "web-search:read" }));
    for face in Face::BOTH {
        let request = crate::house::request(&server, face, "tavily_search", &json!({ "query": "rust" }));
        let reply = Reply::of(request.bearer_auth(&reader).send().await.expect("an answer")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let refused = call_with(&server, face, "echo", &reader).await;
        let challenge = refused.challenge().expect("a challenge");
        assert_eq!((refused.status, challenge.parameter("scope")), (403, Some("web-search:write")), "{refused:?}");
    }
    let writer = authority.token(&json!([RESOURCE_ID]), &json!({ "scope": "web-search:write" }));
    assert_echoed(Face::Mcp, &call_with(&server, Face::Mcp, "echo", &writer).await, "a writer");
}

#[tokio::test]
async fn a_provider_is_never_switched_by_a_variable_of_another() {
    // Scalekit's variables alone change nothing: the provider is still the one that is written.
    let server = Launch::shipped()
        .env("PORT", "0")
        .env("SCALEKIT_ENVIRONMENT_URL", "https://acme.scalekit.dev")
        .env("SCALEKIT_RESOURCE_ID", RESOURCE_ID)
        .start()
        .await;
    server.stdout_with("sign-in   dev").await;
    let house = House::of(Provider::Scalekit).await;
    house.server.stdout_with("sign-in   Scalekit at http://127.0.0.1:").await;
}
