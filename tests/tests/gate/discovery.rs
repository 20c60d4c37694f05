//! Sign-in from end to end, for clients that look in different places, behind proxies that do different things.

use reqwest::Method;
use serde_json::{Value, json};
use toolgate_tests::server::{Launch, Server};
use url::Url;

use crate::{
    house::{Face, PATH, call, config, tools},
    outside::{Identity, Outside, Proxy},
    reply::Reply,
};

const AUTH: &str = "[auth]\nprovider = \"dev\"\n[auth.dev]\nallow_public = true\n";

/// Where a client looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// Where the challenge sends it (RFC 9728 section 5.1), then for RFC 8414 metadata, then for OpenID's.
    WhereItIsSent,
    /// At the root's protected resource document alone.
    AtTheRoot,
    /// At the document with the endpoint's path alone.
    AtThePath,
    /// At the root's authorization server metadata alone, as MCP's 2025-03-26 revision has it; it knows no resources.
    AsIn2025March,
}

impl Looks {
    const ALL: [Self; 4] = [Self::WhereItIsSent, Self::AtTheRoot, Self::AtThePath, Self::AsIn2025March];
}

/// The metadata of the authorization server, and the resource to ask for, as a client finds them that was given the
/// endpoint's address.
async fn discover(outside: &Outside<'_>, looks: Looks, endpoint: &str) -> (Value, Option<String>) {
    let refused = outside.call(endpoint, None).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let address = Url::parse(endpoint).expect("a URL");
    let origin = address.origin().ascii_serialization();
    let protected = format!("{origin}/.well-known/oauth-protected-resource");
    let at = match looks {
        Looks::WhereItIsSent => {
            let challenge = refused.challenge().expect("a challenge");
            challenge.parameter("resource_metadata").expect("where the metadata is").to_owned()
        }
        Looks::AtTheRoot => protected,
        // Clients take a slash at the end off, or do not.
        Looks::AtThePath => format!("{protected}{}", address.path()),
        Looks::AsIn2025March => {
            let at = format!("{origin}/.well-known/oauth-authorization-server");
            return (outside.document(&at).await.unwrap_or_else(|| panic!("nothing at {at}")), None);
        }
    };
    let resource = outside.document(&at).await.unwrap_or_else(|| panic!("nothing at {at}"));
    let identifier = resource["resource"].as_str().expect("a resource");
    // As the SDKs check it: the same origin, and no deeper path.
    assert!(format!("{endpoint}/").starts_with(&format!("{identifier}/")), "{identifier} is not for {endpoint}");
    let issuer = resource["authorization_servers"][0].as_str().expect("an issuer");
    let metadata = authorization_server(outside, issuer).await;
    assert_eq!(metadata["issuer"], issuer, "RFC 8414 section 3.3");
    (metadata, Some(identifier.to_owned()))
}

/// The authorization server's metadata, in the order of MCP 2026-07-28,
/// `basic/authorization/authorization-server-discovery`.
async fn authorization_server(outside: &Outside<'_>, issuer: &str) -> Value {
    let url = Url::parse(issuer).expect("a URL");
    let (origin, path) = (url.origin().ascii_serialization(), url.path());
    for at in [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
        format!("{issuer}/.well-known/openid-configuration"),
    ] {
        if let Some(metadata) = outside.document(&at).await {
            return metadata;
        }
    }
    panic!("no metadata of {issuer}");
}

async fn launch(public_url: &str) -> Server {
    Launch::new(&config(&format!("public_url = \"{public_url}\""), &format!("{AUTH}{}", tools("")))).start().await
}

/// Everything that a client does, from the endpoint's address to a call that goes through.
async fn assert_completes(outside: &Outside<'_>, looks: Looks, endpoint: &str) {
    let row = format!("{looks:?} at {endpoint} ({:?})", outside.proxy);
    let (metadata, resource) = discover(outside, looks, endpoint).await;
    let signed_in = outside.sign_in(&metadata, Identity::Registers, resource.as_deref()).await;
    let token = Some(signed_in.access_token());
    let reply = outside.call(endpoint, token).await;
    assert_eq!(reply.status, 200, "{row}: {reply:?}");
    assert_eq!(Face::Mcp.result(&reply)["structuredContent"], json!({ "text": "hello" }), "{row}");
    if looks == Looks::AsIn2025March {
        let initialize = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": { "name": "old", "version": "1" },
            },
        });
        let request = outside.request("POST", endpoint).header("accept", "application/json, text/event-stream");
        let request = request.bearer_auth(signed_in.access_token()).json(&initialize);
        let reply = Reply::of(request.send().await.expect("an answer")).await;
        assert_eq!(reply.status, 200, "{row}: {reply:?}");
        assert!(reply.header("mcp-session-id").is_some(), "{row}: {reply:?}");
    }
    // A refresh, which names the resource or does not.
    let refresh_token = signed_in.tokens["refresh_token"].as_str().expect("a refresh token");
    let mut form =
        vec![("grant_type", "refresh_token"), ("client_id", &signed_in.client_id), ("refresh_token", refresh_token)];
    form.extend(resource.as_deref().map(|resource| ("resource", resource)));
    let request = outside.request("POST", metadata["token_endpoint"].as_str().expect("an endpoint")).form(&form);
    let refreshed = Reply::of(request.send().await.expect("an answer")).await;
    assert_eq!(refreshed.status, 200, "{row}: {refreshed:?}");
}

#[tokio::test]
async fn sign_in_completes_wherever_a_client_looks_and_whatever_a_proxy_does() {
    // what clients see, what the proxies do
    let rows: &[(&str, &[Proxy])] = &[
        ("https://mcp.example.com", &[Proxy::Keeps]),
        ("https://mcp.example.com:8443", &[Proxy::Keeps]),
        ("http://mcp.example.com", &[Proxy::Keeps]),
        ("https://mcp.example.com/tools", &[Proxy::Strips, Proxy::Keeps]),
        ("https://mcp.example.com:8443/a/b", &[Proxy::Strips, Proxy::Keeps]),
        // The prefix looks like the endpoint's own path.
        ("https://mcp.example.com/web-search", &[Proxy::Strips, Proxy::Keeps]),
        // The prefix looks like paths of the server's own.
        ("https://mcp.example.com/dev", &[Proxy::Strips, Proxy::Keeps]),
        ("https://mcp.example.com/api", &[Proxy::Strips, Proxy::Keeps]),
    ];
    for (public_url, proxies) in rows {
        let server = launch(public_url).await;
        for &proxy in *proxies {
            let outside = Outside { server: &server, public_url: (*public_url).to_owned(), proxy };
            for looks in Looks::ALL {
                for slash in ["", "/"] {
                    assert_completes(&outside, looks, &format!("{public_url}{PATH}{slash}")).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn sign_in_completes_without_a_proxy_too() {
    let server = Launch::new(&config("", &format!("[auth]\nprovider = \"dev\"\n{}", tools("")))).start().await;
    let outside = Outside { server: &server, public_url: server.public_url(), proxy: Proxy::Keeps };
    for looks in Looks::ALL {
        for slash in ["", "/"] {
            assert_completes(&outside, looks, &format!("{}{PATH}{slash}", server.public_url())).await;
        }
    }
}

#[tokio::test]
async fn a_proxy_that_forwards_nothing_but_the_prefix_is_enough_for_clients_that_go_where_they_are_sent() {
    let public_url = "https://mcp.example.com/tools";
    let server = launch(public_url).await;
    let proxy = Proxy::StripsAndKnowsNothingElse;
    let outside = Outside { server: &server, public_url: public_url.to_owned(), proxy };
    let challenge = outside.call(&format!("{public_url}{PATH}"), None).await.challenge().expect("a challenge");
    let expected = format!("{public_url}/.well-known/oauth-protected-resource{PATH}");
    assert_eq!(challenge.parameter("resource_metadata"), Some(&*expected));
    for slash in ["", "/"] {
        assert_completes(&outside, Looks::WhereItIsSent, &format!("{public_url}{PATH}{slash}")).await;
    }
}

#[tokio::test]
async fn a_client_that_asks_for_the_address_as_it_was_given_gets_a_token_for_the_resource() {
    let public_url = "https://mcp.example.com/tools";
    let server = launch(public_url).await;
    let outside = Outside { server: &server, public_url: public_url.to_owned(), proxy: Proxy::Strips };
    let endpoint = format!("{public_url}{PATH}");
    let (metadata, _) = discover(&outside, Looks::WhereItIsSent, &endpoint).await;
    for asked in [format!("{endpoint}/"), format!("HTTPS://MCP.example.com/tools{PATH}")] {
        let signed_in = outside.sign_in(&metadata, Identity::Registers, Some(&asked)).await;
        assert_eq!(outside.call(&endpoint, Some(signed_in.access_token())).await.status, 200, "{asked}");
    }
}

#[tokio::test]
async fn documents_are_where_clients_look_with_and_without_a_slash_at_the_end() {
    let public_url = "https://mcp.example.com/tools";
    let server = launch(public_url).await;
    let host = "https://mcp.example.com";
    let issuer = format!("{public_url}/dev/auth");
    let resource = format!("{public_url}{PATH}");
    for proxy in [Proxy::Strips, Proxy::Keeps] {
        let outside = Outside { server: &server, public_url: public_url.to_owned(), proxy };
        // the address, the member that tells which document it is, what it says; None where there is none
        let rows = [
            (format!("{host}/.well-known/oauth-protected-resource"), "resource", Some(&resource)),
            (format!("{host}/.well-known/oauth-protected-resource/tools{PATH}"), "resource", Some(&resource)),
            (format!("{host}/.well-known/oauth-protected-resource{PATH}"), "resource", Some(&resource)),
            (format!("{public_url}/.well-known/oauth-protected-resource"), "resource", Some(&resource)),
            (format!("{public_url}/.well-known/oauth-protected-resource{PATH}"), "resource", Some(&resource)),
            (format!("{host}/.well-known/oauth-protected-resource/elsewhere"), "resource", None),
            (format!("{host}/.well-known/oauth-authorization-server"), "issuer", Some(&issuer)),
            (format!("{host}/.well-known/oauth-authorization-server/tools/dev/auth"), "issuer", Some(&issuer)),
            (format!("{host}/.well-known/openid-configuration/tools/dev/auth"), "issuer", Some(&issuer)),
            (format!("{public_url}/.well-known/oauth-authorization-server"), "issuer", Some(&issuer)),
            (format!("{issuer}/.well-known/openid-configuration"), "issuer", Some(&issuer)),
            (format!("{issuer}/.well-known/oauth-authorization-server"), "issuer", Some(&issuer)),
            // Under these, metadata of another issuer would be looked for: what is there must not be ours.
            (format!("{host}/.well-known/oauth-authorization-server/tools{PATH}"), "issuer", None),
            (format!("{host}/.well-known/oauth-authorization-server/tools"), "issuer", None),
        ];
        for (address, member, expected) in rows {
            for slash in ["", "/"] {
                let found = outside.document(&format!("{address}{slash}")).await;
                let found = found.as_ref().map(|document| document[member].as_str().unwrap_or_default());
                assert_eq!(found, expected.map(String::as_str), "{address}{slash} ({proxy:?})");
            }
        }
    }
}

#[tokio::test]
async fn a_prefix_opens_nothing_and_hides_nothing() {
    let server = launch("https://mcp.example.com/tools").await;
    // Without a token, and from other people's pages or under other names, the answers are those without a prefix.
    assert_eq!(call(&server, Face::Mcp, "read", &[]).await.status, 401);
    for (path, host, origin, status) in [
        ("/tools/web-search/mcp", "mcp.example.com", None, 401),
        ("/tools/web-search/mcp", "evil.example", None, 403),
        ("/tools/web-search/mcp", "mcp.example.com", Some("https://evil.example"), 403),
        ("/tools/web-search/mcp/", "mcp.example.com", Some("https://evil.example"), 403),
        ("/tools/api/tools/web-search/read", "mcp.example.com", Some("https://evil.example"), 403),
        ("/tools/api/tools/web-search/read", "mcp.example.com", None, 401),
        ("/tools/tools/web-search/mcp", "mcp.example.com", None, 404),
        ("/toolsweb-search/mcp", "mcp.example.com", None, 404),
        ("/tools/healthz", "evil.example", None, 405),
        ("/tools/dev/auth/consent", "mcp.example.com", Some("https://evil.example"), 400),
    ] {
        let mut request = crate::house::client().post(format!("{}{path}", server.url())).header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let reply = Reply::of(request.json(&json!({})).send().await.expect("an answer")).await;
        assert_eq!(reply.status, status, "{path} at {host} from {origin:?}: {reply:?}");
    }
}

#[tokio::test]
async fn the_front_page_without_its_slash_is_found_by_those_who_read_it_alone() {
    let server = launch("https://mcp.example.com/tools").await;
    let front = "https://mcp.example.com/tools/";
    let searched = format!("{front}?endpoint=web-search");
    for (method, path, host, status, location) in [
        (Method::GET, "/tools", "mcp.example.com", 307, Some(front)),
        (Method::HEAD, "/tools", "mcp.example.com", 307, Some(front)),
        (Method::GET, "/tools?endpoint=web-search", "mcp.example.com", 307, Some(&*searched)),
        (Method::POST, "/tools", "mcp.example.com", 405, None),
        (Method::DELETE, "/tools", "mcp.example.com", 405, None),
        (Method::GET, "/tools", "evil.example", 403, None),
    ] {
        let request = crate::house::client().request(method.clone(), format!("{}{path}", server.url()));
        let reply = Reply::of(request.header("host", host).send().await.expect("an answer")).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (status, location),
            "{method} {path} at {host}: {reply:?}"
        );
        let allowed = (status == 405).then_some("GET, HEAD, OPTIONS");
        assert_eq!(reply.header("allow"), allowed, "{method} {path}");
    }
}
