//! Signing in: the way through the consent page, and the ways in which it must not be led astray.

use super::*;
use crate::devauth::redirect;

#[tokio::test]
async fn a_client_without_a_browser_can_sign_in_and_gets_an_access_token_for_the_resource() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let consent = server.consent(&request(&client)).await;
    assert!(consent.html.contains("Test client"));
    let fields = [("user", "ada"), ("scope", "web-search:read"), ("decision", "allow")];
    let response = server.decide(&consent, &fields).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(response.headers()[header::LOCATION].to_str().unwrap().starts_with("http://127.0.0.1:7777/callback?code="));
    let back = answer(&response);
    assert_eq!(back["state"], "st&te=1");
    assert_eq!(back["iss"], server.issuer);

    let (status, tokens) = server.redeem(&client, &back["code"]).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(tokens["scope"], "web-search:read", "the unticked scope is not granted");
    let (header, claims) = verified(&server, &text(&tokens, "access_token"));
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(claims["iss"], server.issuer.as_str());
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["aud"], RESOURCE);
    assert_eq!(claims["client_id"], client.id.as_str());
    assert_eq!(claims["scope"], "web-search:read");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
    assert!(claims["jti"].is_string());
}

#[tokio::test]
async fn declining_gives_access_denied_with_state_and_iss() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let consent = server.consent(&request(&client)).await;
    let back = answer(&server.decide(&consent, &[("decision", "deny")]).await);
    assert_eq!(back["error"], "access_denied");
    assert_eq!(back["state"], "st&te=1");
    assert_eq!(back["iss"], server.issuer);
}

#[tokio::test]
async fn scopes_are_limited_to_those_configured() {
    let server = Server::start().await;
    let client = server.public_client().await;
    // asked for, granted when every box is ticked
    let cases = [
        ("web-search:read", "web-search:read"),
        ("web-search:read admin:all", "web-search:read"),
        ("web-search:read openid offline_access", "web-search:read"),
        ("openid profile email", "web-search:read web-search:write"),
        ("", "web-search:read web-search:write"),
    ];
    for (asked, granted) in cases {
        let code = server.code(&changed(request(&client), &[("scope", asked)])).await;
        let (_, tokens) = server.redeem(&client, &code).await;
        assert_eq!(tokens["scope"], granted, "asked for {asked:?}");
    }
}

#[tokio::test]
async fn resource_becomes_the_audience_and_may_be_narrowed_at_the_token_endpoint() {
    let server = Server::with_two_resources().await;
    let client = server.public_client().await;
    // asked for at the authorization endpoint, at the token endpoint, the audience
    let cases: [(&[&str], &[&str], Value); 7] = [
        (&[RESOURCE], &[], json!(RESOURCE)),
        (&["http://localhost:10000/web-search/mcp/"], &[], json!(RESOURCE)),
        (&[RESOURCE], &["http://localhost:10000/web-search/mcp/"], json!(RESOURCE)),
        (&["HTTP://LocalHost:10000/web-search/mcp"], &["http://LOCALHOST:10000/web-search/mcp"], json!(RESOURCE)),
        (&[RESOURCE, OTHER_RESOURCE], &[], json!([RESOURCE, OTHER_RESOURCE])),
        (&[RESOURCE, OTHER_RESOURCE], &[OTHER_RESOURCE], json!(OTHER_RESOURCE)),
        (&[OTHER_RESOURCE], &[OTHER_RESOURCE], json!(OTHER_RESOURCE)),
    ];
    for (asked, narrowed, audience) in cases {
        let mut parameters = request(&client);
        parameters.extend(asked.iter().map(|resource| ("resource", *resource)));
        let code = server.code(&parameters).await;
        let mut form = redemption(&client, &code);
        form.extend(narrowed.iter().map(|resource| ("resource", *resource)));
        let (_, tokens) = server.token(&form).await;
        assert_eq!(verified(&server, &text(&tokens, "access_token")).1["aud"], audience, "{asked:?} {narrowed:?}");
    }
}

#[tokio::test]
async fn a_loopback_redirect_may_use_any_port_and_a_single_redirect_may_be_left_out() {
    let server = Server::start().await;
    let client = server.public_client().await;
    for (redirect_uri, start) in [
        ("http://127.0.0.1:50123/callback", "http://127.0.0.1:50123/callback?"),
        ("", "http://127.0.0.1:7777/callback?"),
    ] {
        let consent = server.consent(&changed(request(&client), &[("redirect_uri", redirect_uri)])).await;
        let response = server.decide(&consent, &[("decision", "deny")]).await;
        assert!(response.headers()[header::LOCATION].to_str().unwrap().starts_with(start), "{redirect_uri}");
    }
}

#[tokio::test]
async fn nothing_is_ever_sent_to_an_address_that_the_client_did_not_register() {
    let server = Server::start().await;
    let client = server
        .registered(json!({
            "token_endpoint_auth_method": "none",
            "redirect_uris": [CALLBACK, "https://client.example/cb", "cursor://app/cb"],
        }))
        .await;
    let attempts = [
        "https://evil.example/cb",
        "https://client.example/cb/",
        "https://client.example/cb?x=1",
        "https://client.example/cb#x",
        "https://client.example:8443/cb",
        "https://client.example/CB",
        "https://client.example@evil.example/cb",
        "https://client.example.evil.example/cb",
        "http://client.example/cb",
        "//evil.example/callback",
        "http://127.0.0.1:7777/other",
        "http://127.0.0.1:7778/callback?next=https://evil.example",
        "http://127.0.0.1:7777/callback/../other",
        "http://127.0.0.1:7777@evil.example/callback",
        "http://127.0.0.1:7777\\@evil.example/callback",
        "http://evil.example\\.127.0.0.1/callback",
        "http://127.0.0.1.evil.example:7777/callback",
        "http://0x7f.1:7777/callback",
        "http://localhost:7777/callback",
        "https://127.0.0.1:7777/callback",
        "http://127.0.0.1:7777/callback#fragment",
        "http:/127.0.0.1:7777/callback",
        "http://127.0.0.1:7777/callback\r\nSet-Cookie: a=b",
        "cursor://evil/cb",
        "javascript:alert(1)",
    ];
    for attempt in attempts {
        let response = server.authorize(&changed(request(&client), &[("redirect_uri", attempt)])).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{attempt}");
        assert!(response.headers().get(header::LOCATION).is_none(), "{attempt}");
        assert!(response.text().await.unwrap().contains("<h1>"), "{attempt}");
    }
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_escaped() {
    let server = Server::start().await;
    let client = server
        .registered(json!({
            "client_name": "<script>alert(1)</script>\"'&", "redirect_uris": ["https://client.example/'x'&y=z"],
            "token_endpoint_auth_method": "none",
        }))
        .await;
    let consent = server.consent(&changed(request(&client), &[("redirect_uri", "")])).await;
    assert!(!consent.html.contains("<script"), "{}", consent.html);
    assert!(consent.html.contains("&#60;script&#62;") || consent.html.contains("&lt;script&gt;"));

    let response = server.authorize(&vec![("client_id", "<script>alert(1)</script>")]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(!response.text().await.unwrap().contains("<script"));
}

#[tokio::test]
async fn pages_may_not_be_framed_cached_or_scripted() {
    let server = Server::start().await;
    let client = server.public_client().await;
    for parameters in [request(&client), vec![("client_id", "unknown")]] {
        let response = server.authorize(&parameters).await;
        let headers = response.headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"), "{policy}");
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    }
    let response = server.authorize(&request(&client)).await;
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.ends_with("; Path=/dev/auth; Max-Age=600; HttpOnly; SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn a_forged_consent_form_is_refused_and_spends_nothing() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let own = server.consent(&request(&client)).await;
    let other = server.consent(&request(&client)).await;
    let allow = [("user", "ada"), ("scope", "web-search:read"), ("decision", "allow")];
    let own_name = own.cookie.split('=').next().unwrap();
    let other_value = other.cookie.split('=').nth(1).unwrap();

    let origin = server.issuer.trim_end_matches("/dev/auth");
    // what is wrong, the transaction, the cookie, the origin
    let cases = [
        ("no cookie", own.transaction.as_str(), String::new(), None),
        ("an empty cookie", &own.transaction, format!("{own_name}="), None),
        ("another transaction's cookie", &own.transaction, other.cookie.clone(), None),
        ("another transaction's secret", &own.transaction, format!("{own_name}={other_value}"), None),
        ("an unknown transaction", "nonsense", own.cookie.clone(), None),
        ("no transaction", "", own.cookie.clone(), None),
        ("a foreign origin", &own.transaction, own.cookie.clone(), Some("https://evil.example")),
        ("a hidden origin", &own.transaction, own.cookie.clone(), Some("null")),
    ];
    for (what, transaction, cookie, from) in cases {
        let mut form = vec![("transaction", transaction)];
        form.extend(allow);
        let mut request = server.http.post(server.url("/consent")).form(&form).header(header::COOKIE, cookie);
        if let Some(from) = from {
            request = request.header(header::ORIGIN, from);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{what}");
        assert!(response.headers().get(header::LOCATION).is_none(), "{what}");
    }

    let mut form = vec![("transaction", own.transaction.as_str())];
    form.extend(allow);
    let cookies = format!("first=1; {}; last=2", own.cookie);
    let request =
        server.http.post(server.url("/consent")).header(header::ORIGIN, origin).header(header::COOKIE, cookies);
    assert_eq!(request.form(&form).send().await.unwrap().status(), StatusCode::SEE_OTHER, "the true one still works");
    assert_eq!(server.decide(&own, &allow).await.status(), StatusCode::FORBIDDEN, "but only once");
    server.auth.advance(Duration::from_secs(601));
    assert_eq!(server.decide(&other, &allow).await.status(), StatusCode::FORBIDDEN, "and not after ten minutes");
}

#[tokio::test]
async fn a_wrong_form_is_shown_again_with_what_is_wrong() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let machine = server.machine().await;
    let consent = server.consent(&request(&client)).await;
    let long = "a".repeat(65);
    let cases: [(&str, Pairs<'_>); 7] = [
        ("no user", vec![("scope", "web-search:read"), ("decision", "allow")]),
        ("a user with blanks", vec![("user", "a b"), ("scope", "web-search:read"), ("decision", "allow")]),
        ("a long user", vec![("user", &long), ("scope", "web-search:read"), ("decision", "allow")]),
        ("a user that is a client", vec![("user", &machine.id), ("scope", "web-search:read"), ("decision", "allow")]),
        ("no scope", vec![("user", "ada"), ("decision", "allow")]),
        ("a scope that was not asked", vec![("user", "ada"), ("scope", "admin"), ("decision", "allow")]),
        ("no decision", vec![("user", "ada"), ("scope", "web-search:read")]),
    ];
    for (what, fields) in cases {
        assert_eq!(server.decide(&consent, &fields).await.status(), StatusCode::BAD_REQUEST, "{what}");
    }
    let unticked = [("user", "<b>"), ("scope", "web-search:read"), ("decision", "allow")];
    let again = server.decide(&consent, &unticked).await.text().await.unwrap();
    assert!(again.contains("role=\"alert\"") && !again.contains("<b>"), "{again}");
    assert!(again.contains("value=\"web-search:read\" checked>"), "what was ticked stays ticked");
    assert!(again.contains("value=\"web-search:write\">"), "what was unticked stays unticked");

    let right = [("user", "ada@example.com"), ("scope", "web-search:read"), ("decision", "allow")];
    assert_eq!(server.decide(&consent, &right).await.status(), StatusCode::SEE_OTHER);
}

#[test]
fn response_parameters_are_added_without_touching_the_redirect_uri() {
    let cases = [
        ("https://a.example", "https://a.example?code=x"),
        ("https://a.example/cb?k=v", "https://a.example/cb?k=v&code=x"),
        ("https://a.example/cb?", "https://a.example/cb?code=x"),
        ("cursor://app/cb", "cursor://app/cb?code=x"),
        ("com.example.app:/cb", "com.example.app:/cb?code=x"),
    ];
    for (uri, expected) in cases {
        assert_eq!(redirect::with_parameters(uri, &[("code", "x")]), expected);
    }
}

#[tokio::test]
async fn documents_name_endpoints_that_answer_any_origin() {
    let server = Server::start().await;
    let issuer = server.issuer.as_str();
    let oauth = server.auth.oauth_metadata();
    assert_eq!(oauth["issuer"], issuer);
    assert_eq!(oauth["scopes_supported"], json!(["web-search:read", "web-search:write"]));
    assert_eq!(oauth["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(oauth["authorization_response_iss_parameter_supported"], true);
    let oidc = server.auth.openid_configuration();
    assert_eq!(oidc["subject_types_supported"], json!(["public"]));
    for (path, expected) in [
        ("/.well-known/openid-configuration", &oidc),
        ("/.well-known/oauth-authorization-server", &oauth),
        ("/jwks", &serde_json::to_value(server.auth.key_set()).unwrap()),
    ] {
        let response = server.http.get(server.url(path)).send().await.unwrap();
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{path}");
        assert_eq!(&response.json::<Value>().await.unwrap(), expected, "{path}");
    }
    let key = &serde_json::to_value(server.auth.key_set()).unwrap()["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
    );
    assert!(key.get("d").is_none());

    for member in ["token_endpoint", "registration_endpoint", "revocation_endpoint", "jwks_uri"] {
        let url = text(&oauth, member);
        let preflight = server.http.request(reqwest::Method::OPTIONS, url).send().await.unwrap();
        assert_eq!(preflight.status(), StatusCode::NO_CONTENT, "{member}");
        assert_eq!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{member}");
        assert!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains("Authorization"));
    }
}

#[tokio::test]
async fn wrong_methods_name_the_right_ones_and_unknown_paths_are_404_json() {
    let server = Server::start().await;
    let cases = [
        ("GET", "/token", 405, "POST"),
        ("GET", "/register", 405, "POST"),
        ("PUT", "/revoke", 405, "POST"),
        ("GET", "/introspect", 405, "POST"),
        ("GET", "/consent", 405, "POST"),
        ("POST", "/authorize", 405, "GET, HEAD"),
        ("OPTIONS", "/authorize", 405, "GET, HEAD"),
        ("DELETE", "/jwks", 405, "GET, HEAD"),
        ("HEAD", "/jwks", 200, ""),
        ("GET", "/nothing", 404, ""),
        ("GET", "/token/more", 404, ""),
        ("GET", "/", 404, ""),
        ("GET", "", 404, ""),
    ];
    for (method, path, status, allow) in cases {
        let response = server.http.request(method.parse().unwrap(), server.url(path)).send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(
            response.headers().get(header::ALLOW).map_or("", |value| value.to_str().unwrap()),
            allow,
            "{method} {path}"
        );
        if method != "HEAD" {
            assert!(response.json::<Value>().await.unwrap()["error"].is_string(), "{method} {path}");
        }
    }
}
