//! What clients read before they sign in: protected resource metadata (RFC 9728), the authorization server's own
//! documents, and dynamic registration.

use serde_json::{Value, json};
use toolgate_tests::{
    authority::{Authority, Reply as Scripted},
    server::{Launch, Server},
};

use crate::{
    house::{
        Face, House, PATH, Provider, RESOURCE, RESOURCE_ID, call, client, config, oauth_auth, scalekit_auth, tools,
    },
    reply::Reply,
};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

async fn get(server: &Server, path: &str) -> Reply {
    Reply::of(client().get(format!("{}{path}", server.url())).send().await.expect("an answer")).await
}

/// The `resource` of the document at this path; `None` if there is none, which must be a proper 404.
async fn resource_at(server: &Server, path: &str) -> Option<String> {
    let reply = get(server, path).await;
    assert_eq!(reply.header("content-type"), Some("application/json"), "{path}: {reply:?}");
    if reply.status == 404 {
        assert_eq!(reply.json()["error"], "not_found", "{path}: {reply:?}");
        assert_eq!(reply.json()["request_id"], reply.request_id(), "{path}: {reply:?}");
        return None;
    }
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    Some(reply.json()["resource"].as_str().expect("a resource").to_owned())
}

/// Each path with the `resource` that stands there.
async fn assert_documents(server: &Server, rows: &[(&str, Option<&str>)]) {
    for (path, expected) in rows {
        assert_eq!(resource_at(server, &format!("{WELL_KNOWN}{path}")).await.as_deref(), *expected, "{path}");
    }
}

#[tokio::test]
async fn each_provider_has_a_document_that_leads_to_it() {
    for provider in Provider::ASKING {
        let house = House::of(provider).await;
        let server = &house.server;
        let (resource, issuer) = match provider {
            Provider::Dev => (format!("{}{PATH}", server.public_url()), format!("{}/dev/auth", server.public_url())),
            _ => (RESOURCE.to_owned(), house.authority().issuer()),
        };
        let document = get(server, &format!("{WELL_KNOWN}{PATH}")).await;
        let expected = json!({
            "resource": resource,
            "authorization_servers": [issuer],
            "scopes_supported": ["web-search:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Toolgate",
            "resource_documentation": format!("{}/docs", server.public_url()),
        });
        assert_eq!((document.status, document.json()), (200, expected), "{provider:?}");
        assert_eq!(get(server, WELL_KNOWN).await.body, document.body, "{provider:?}: the same at the root");
        // The challenge leads to it.
        let challenge = call(server, Face::Mcp, "read", &[]).await.challenge().expect("a challenge");
        assert_eq!(challenge.parameter("resource_metadata"), Some(&*house.metadata_url()), "{provider:?}");
        assert_documents(server, &[("/elsewhere", None), ("/web-search", None), ("/web-search/mcp/x", None)]).await;
    }
}

#[tokio::test]
async fn with_no_provider_there_is_nothing_to_lead_to() {
    let house = House::of(Provider::None).await;
    for path in [
        WELL_KNOWN,
        &format!("{WELL_KNOWN}{PATH}"),
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        assert_eq!(resource_at(&house.server, path).await, None, "{path}");
    }
    let refused = client().post(format!("{}/oauth/register", house.server.url())).json(&json!({})).send().await;
    assert_eq!(refused.expect("an answer").status(), 404);
}

#[tokio::test]
async fn a_resource_elsewhere_has_its_document_under_its_own_path_and_the_endpoints() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let rows: &[(&str, &[(&str, bool)])] = &[
        ("https://mcp.example.com/search", &[("", true), ("/search", true), (PATH, true), ("/", true), ("/x", false)]),
        ("https://mcp.example.com/search/", &[("", true), ("/search/", true), ("/search", true), (PATH, true)]),
        ("https://mcp.example.com", &[("", true), (PATH, true), ("/search", false)]),
        ("https://mcp.example.com/", &[("", true), (PATH, true)]),
        ("https://mcp.example.com/a/b/c", &[("/a/b/c", true), ("/a/b", false), (PATH, true)]),
    ];
    for (resource, paths) in rows {
        let endpoint = format!("resource = \"{resource}\"");
        let sections = format!("{}{}", scalekit_auth(&authority), tools(&endpoint));
        let server = Launch::new(&config("public_url = \"https://mcp.example.com\"", &sections)).start().await;
        for (path, there) in *paths {
            let found = resource_at(&server, &format!("{WELL_KNOWN}{path}")).await;
            assert_eq!(found.as_deref(), there.then_some(*resource), "{resource} at {path:?}");
        }
        let challenge = call(&server, Face::Mcp, "read", &[]).await.challenge().expect("a challenge");
        let path = url::Url::parse(resource).expect("a URL").path().to_owned();
        let path = if path == "/" { String::new() } else { path };
        let expected = format!("https://mcp.example.com{WELL_KNOWN}{path}");
        assert_eq!(challenge.parameter("resource_metadata"), Some(&*expected), "{resource}");
    }
}

/// Two endpoints under one authorization server, with more lines for the second.
fn two_endpoints(authority: &Authority, second: &str) -> String {
    let sections = format!(
        "{}{}[endpoints.staff]\npath = \"/staff/mcp\"\nplugins = [\"opening\"]\n{second}\n",
        oauth_auth(authority),
        tools("")
    );
    config("", &sections)
}

#[tokio::test]
async fn of_several_endpoints_the_root_has_the_default_one_alone() {
    let authority = Authority::generic("").await;
    for (second, root) in [("", None), ("default = true", Some("/staff/mcp"))] {
        let server = Launch::new(&two_endpoints(&authority, second)).start().await;
        let url = |path: &str| format!("{}{path}", server.public_url());
        let (search, staff) = (url(PATH), url("/staff/mcp"));
        let rows =
            [("", root.map(url)), (PATH, Some(search)), ("/staff/mcp", Some(staff)), ("/staff", None), ("/mcp", None)];
        for (path, expected) in rows {
            assert_eq!(resource_at(&server, &format!("{WELL_KNOWN}{path}")).await, expected, "{second:?}: {path}");
        }
    }
}

#[tokio::test]
async fn a_token_for_one_endpoint_does_not_open_the_other() {
    let authority = Authority::generic("").await;
    let server = Launch::new(&two_endpoints(&authority, "")).start().await;
    let ask = async |path: &str, resource: &str| {
        let audience = json!(format!("{}{resource}", server.public_url()));
        let token = authority.token(&audience, &json!({ "scope": "web-search:read" }));
        let url = format!("{}/api/tools/{path}/open", server.url());
        let request = client().post(url).bearer_auth(token).json(&json!({ "text": "hello" }));
        Reply::of(request.send().await.expect("an answer")).await
    };
    assert_eq!(ask("web-search", PATH).await.status, 200);
    assert_eq!(ask("staff", "/staff/mcp").await.status, 200);
    for (path, resource) in [("web-search", "/staff/mcp"), ("staff", PATH)] {
        let reply = ask(path, resource).await;
        let challenge = reply.challenge().expect("a challenge");
        let description = challenge.parameter("error_description");
        assert_eq!((reply.status, description), (401, Some("the token was issued for another resource")), "{path}");
        let own = if path == "staff" { "/staff/mcp" } else { PATH };
        let expected = format!("{}{WELL_KNOWN}{own}", server.public_url());
        assert_eq!(challenge.parameter("resource_metadata"), Some(&*expected), "{path}");
    }
}

#[tokio::test]
async fn each_endpoint_may_have_a_provider_of_its_own_and_the_root_is_about_the_default_one() {
    let authority = Authority::generic("").await;
    let dev = "auth = { provider = \"dev\" }";
    let open = "auth = { provider = \"none\" }";
    for (second, dev_at_root) in [(dev, false), (&*format!("{dev}\ndefault = true"), true), (open, false)] {
        let server = Launch::new(&two_endpoints(&authority, second)).start().await;
        let issuer = format!("{}/dev/auth", server.public_url());
        let outside = get(&server, &format!("{WELL_KNOWN}{PATH}")).await.json();
        assert_eq!(outside["authorization_servers"], json!([authority.issuer()]), "{second}");
        let own = get(&server, &format!("{WELL_KNOWN}/staff/mcp")).await;
        if second == open {
            assert_eq!(own.status, 404, "{second}: {own:?}");
        } else {
            assert_eq!(own.json()["authorization_servers"], json!([issuer]), "{second}");
        }
        let root = get(&server, "/.well-known/oauth-authorization-server").await;
        let expected = if dev_at_root { &issuer } else { &authority.issuer() };
        assert_eq!(root.json()["issuer"], **expected, "{second}: {root:?}");
        let registered = register(&server, "{\"redirect_uris\":[\"http://127.0.0.1:1/cb\"]}").await;
        assert_eq!(registered.status, 201, "{second}: {registered:?}");
        assert_eq!(registered.json()["client_id"] == "m2m_3001", !dev_at_root, "{second}: {registered:?}");
        // Neither opens the other.
        let token = authority.token(&json!([server.public_url() + PATH]), &json!({ "scope": "web-search:read" }));
        let ask = async |endpoint: &str| {
            let url = format!("{}/api/tools/{endpoint}/open", server.url());
            let request = client().post(url).bearer_auth(&token).json(&json!({ "text": "hello" }));
            request.send().await.expect("an answer").status().as_u16()
        };
        let catalogue = get(&server, "/api/tools").await.json();
        for tool in catalogue["tools"].as_array().expect("tools") {
            let free = tool["endpoint"] == "staff" && second == open;
            assert!(!free || tool["required_scopes"] == json!([]), "no scope is asked for where no token is: {tool}");
        }
        let garbage = client().get(format!("{}/api/tools", server.url())).bearer_auth("garbage");
        assert_eq!(garbage.send().await.expect("an answer").status().as_u16(), 401, "{second}");
        assert_eq!(ask("web-search").await, 200, "{second}");
        assert_eq!(ask("staff").await, if second == open { 200 } else { 401 }, "{second}");
    }
}

/// A document with spacing, order and members of its own, to see that not an octet changes.
fn spelled_oddly(authority: &Authority) -> String {
    let text = serde_json::to_string_pretty(&authority.metadata()).expect("JSON");
    text.replacen('{', "{\n\t\"x_unknown\" : [ 1.0, 1e2, \"\\u00e9\\/\" ] ,", 1) + "\n\n"
}

#[tokio::test]
async fn the_providers_documents_are_passed_on_to_the_octet() {
    for provider in [Provider::Scalekit, Provider::OAuth, Provider::Introspection] {
        let house = House::of(provider).await;
        let authority = house.authority();
        let place = match provider {
            Provider::Scalekit => format!("resources/{RESOURCE_ID}"),
            _ => "tenant".to_owned(),
        };
        let text = spelled_oddly(authority);
        let kind = "application/json; charset=utf-8";
        for name in ["oauth-authorization-server", "openid-configuration"] {
            authority.reply(&format!("/.well-known/{name}/{place}"), Scripted::text(kind, text.clone()));
            for round in 0..2 {
                let reply = get(&house.server, &format!("/.well-known/{name}")).await;
                assert_eq!(reply.status, 200, "{provider:?}, {name}: {reply:?}");
                assert_eq!(reply.body, text.as_bytes(), "{provider:?}, {name}, {round}");
                assert_eq!(reply.header("content-type"), Some(kind), "{provider:?}, {name}");
            }
            let asked = authority.asked(&format!("/.well-known/{name}/{place}"));
            assert_eq!(asked, 1, "{provider:?}, {name}: kept");
        }
        // Kept through an outage too.
        authority.go_down().await;
        assert_eq!(get(&house.server, "/.well-known/oauth-authorization-server").await.body, text.as_bytes());
    }
}

#[tokio::test]
async fn scalekits_appended_place_is_found_too() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let text = spelled_oddly(&authority);
    authority.forget(&format!("/.well-known/oauth-authorization-server/resources/{RESOURCE_ID}"));
    let appended = format!("/resources/{RESOURCE_ID}/.well-known/oauth-authorization-server");
    authority.reply(&appended, Scripted::text("application/json", text.clone()));
    let sections = format!("{}{}", scalekit_auth(&authority), tools(""));
    let server = Launch::new(&config("", &sections)).start().await;
    assert_eq!(get(&server, "/.well-known/oauth-authorization-server").await.body, text.as_bytes());
}

#[tokio::test]
async fn a_provider_without_the_document_says_so_itself_and_one_out_of_reach_is_503() {
    let house = House::of(Provider::OAuth).await;
    // This stand-in has no OpenID document: its own 404 comes through.
    let reply = get(&house.server, "/.well-known/openid-configuration").await;
    assert_eq!((reply.status, reply.json()), (404, json!({ "error": "status 404" })), "{reply:?}");
    let authority = Authority::generic("").await;
    authority.go_down().await;
    let sections = format!("{}{}", oauth_auth(&authority), tools(""));
    let server = Launch::new(&config("", &sections)).start().await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let reply = get(&server, path).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (503, Some("temporarily_unavailable")), "{path}");
        assert!(reply.retry_after().is_some_and(|seconds| seconds >= 1), "{path}: {reply:?}");
        assert_eq!(reply.json()["request_id"], reply.request_id(), "{path}");
    }
}

async fn register(server: &Server, body: &str) -> Reply {
    let request = client().post(format!("{}/oauth/register", server.url()));
    let request = request.header("content-type", "application/json").body(body.to_owned());
    Reply::of(request.send().await.expect("an answer")).await
}

#[tokio::test]
async fn registration_is_passed_on_both_ways_to_the_octet() {
    for provider in [Provider::Scalekit, Provider::OAuth] {
        let house = House::of(provider).await;
        let authority = house.authority();
        let place = match provider {
            Provider::Scalekit => format!("/api/v1/resources/{RESOURCE_ID}/clients:register"),
            _ => "/tenant/register".to_owned(),
        };
        let body = "{ \"client_name\" : \"caf\u{e9}\",\n\t\"redirect_uris\": [\"http://127.0.0.1:1/cb\"], \"x\": 1.0 }";
        // The stand-in's own registration.
        let reply = register(&house.server, body).await;
        assert_eq!(reply.status, 201, "{provider:?}: {reply:?}");
        assert_eq!(reply.json()["client_id"], "m2m_3001", "{provider:?}");
        let asked = authority.log().into_iter().rfind(|asked| asked.path == place).expect("the request came through");
        assert_eq!(asked.body, body.as_bytes(), "{provider:?}");
        assert_eq!((asked.method.as_str(), asked.content_type.as_deref()), ("POST", Some("application/json")));
        assert_eq!(asked.authorization, None, "{provider:?}");
        // Statuses and bodies of all kinds.
        for (status, kind, text) in [
            (201, "application/json;charset=UTF-8", "{ \"client_id\" :\"a\",  \"odd\": 1.0 }\n"),
            (200, "application/json", "{\"client_id\":\"a\"}"),
            (400, "application/json", "{\"error\":\"invalid_redirect_uri\", \"error_description\":\"no\"}"),
            (401, "application/json", "{\"error\":\"invalid_token\"}"),
            (403, "application/problem+json", "{\"title\":\"off\"}"),
            (404, "text/plain", "nothing here"),
            (429, "application/json", "{}"),
            (500, "text/html", "<p>oh</p>"),
        ] {
            let scripted = Scripted { status, ..Scripted::text(kind, text) };
            authority.reply(&place, scripted);
            let reply = register(&house.server, body).await;
            assert_eq!(reply.status, status, "{provider:?}: {reply:?}");
            assert_eq!(reply.body, text.as_bytes(), "{provider:?}, {status}");
            assert_eq!(reply.header("content-type"), Some(kind), "{provider:?}, {status}");
        }
        authority.go_down().await;
        let reply = register(&house.server, body).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (503, Some("temporarily_unavailable")), "{reply:?}");
        assert!(reply.retry_after().is_some(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_provider_without_registration_is_told_from_one_out_of_reach() {
    let authority = Authority::generic("").await;
    let mut metadata = authority.metadata();
    metadata.as_object_mut().expect("an object").shift_remove("registration_endpoint");
    authority.reply("/.well-known/oauth-authorization-server", Scripted::json(&metadata));
    let sections = format!("{}{}", oauth_auth(&authority), tools(""));
    let server = Launch::new(&config("", &sections)).start().await;
    let reply = register(&server, "{}").await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (404, Some("registration_not_offered")), "{reply:?}");
}

#[tokio::test]
async fn the_development_server_registers_and_describes_itself() {
    let house = House::of(Provider::Dev).await;
    let issuer = format!("{}/dev/auth", house.server.public_url());
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/dev/auth",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/dev/auth",
        "/dev/auth/.well-known/openid-configuration",
    ] {
        let reply = get(&house.server, path).await;
        assert_eq!((reply.status, &reply.json()["issuer"]), (200, &Value::from(&*issuer)), "{path}: {reply:?}");
    }
    let asked = json!({ "client_name": "x", "redirect_uris": ["http://127.0.0.1:1/cb"] }).to_string();
    let registered = register(&house.server, &asked).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert!(registered.json()["client_id"].is_string(), "{registered:?}");
    let refused = register(&house.server, "{").await;
    assert_eq!(
        (refused.status, refused.json()["error"].as_str()),
        (400, Some("invalid_client_metadata")),
        "{refused:?}"
    );
}
