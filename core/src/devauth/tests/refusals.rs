//! Every refusal as a row: what was sent, and the exact answer.

use super::*;

#[tokio::test]
async fn authorization_requests_that_are_refused_by_redirect() {
    let server = Server::with_two_resources().await;
    let client = server.public_client().await;
    let short = "a".repeat(42);
    let odd = "*".repeat(43);
    // what is wrong, the changes to a sound request, the error
    let cases: Vec<(&str, Pairs<'_>, &str)> = vec![
        ("no response type", vec![("response_type", "")], "invalid_request"),
        ("implicit", vec![("response_type", "token")], "unsupported_response_type"),
        ("hybrid", vec![("response_type", "code id_token")], "unsupported_response_type"),
        ("no challenge", vec![("code_challenge", "")], "invalid_request"),
        ("no challenge method, which means plain", vec![("code_challenge_method", "")], "invalid_request"),
        ("plain", vec![("code_challenge_method", "plain")], "invalid_request"),
        ("short challenge", vec![("code_challenge", &short)], "invalid_request"),
        ("challenge in another alphabet", vec![("code_challenge", &odd)], "invalid_request"),
        ("two challenges", vec![("code_challenge", CHALLENGE), ("code_challenge", CHALLENGE)], "invalid_request"),
        ("unknown scope", vec![("scope", "admin:all")], "invalid_scope"),
        ("two scopes", vec![("scope", "web-search:read"), ("scope", "web-search:write")], "invalid_request"),
        ("no resource where there are two", vec![("resource", "")], "invalid_target"),
        ("unknown resource", vec![("resource", "https://evil.example/mcp")], "invalid_target"),
        ("resource with two slashes", vec![("resource", "http://localhost:10000/other/mcp//")], "invalid_target"),
        ("resource in capitals", vec![("resource", "http://localhost:10000/other/MCP")], "invalid_target"),
        ("resource with a query", vec![("resource", "http://localhost:10000/other/mcp?x")], "invalid_target"),
        ("resource with a fragment", vec![("resource", "http://localhost:10000/other/mcp#x")], "invalid_target"),
        ("resource at another port", vec![("resource", "http://localhost:10001/other/mcp")], "invalid_target"),
        ("resource without a scheme", vec![("resource", "localhost:10000/other/mcp")], "invalid_target"),
        ("one of two unknown", vec![("resource", RESOURCE), ("resource", "https://evil.example/")], "invalid_target"),
        ("prompt none", vec![("prompt", "none")], "login_required"),
        ("another response mode", vec![("response_mode", "fragment")], "invalid_request"),
        ("two states", vec![("state", "one"), ("state", "two")], "invalid_request"),
    ];
    for (what, changes, error) in cases {
        let sound = changed(request(&client), &[("resource", RESOURCE)]);
        let response = server.authorize(&changed(sound, &changes)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{what}");
        let back = answer(&response);
        assert_eq!(back["error"], error, "{what}: {}", back["error_description"]);
        assert_eq!(back["iss"], server.issuer, "{what}");
        let state = if what == "two states" { None } else { Some("st&te=1") };
        assert_eq!(back.get("state").map(String::as_str), state, "{what}");
        assert!(!back.contains_key("code"), "{what}");
    }
}

#[tokio::test]
async fn authorization_requests_that_are_refused_with_a_page() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let two = server
        .registered(json!({
            "redirect_uris": [CALLBACK, "https://a.example/cb"], "token_endpoint_auth_method": "none",
        }))
        .await;
    let machine = server.machine().await;
    let long = "s".repeat(9000);
    let cases: Vec<(&str, Pairs<'_>)> = vec![
        ("no client", vec![("client_id", "")]),
        ("unknown client", vec![("client_id", "client_nobody")]),
        ("two clients", vec![("client_id", &client.id), ("client_id", &client.id)]),
        ("two redirects", vec![("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)]),
        ("no redirect where there are two", vec![("client_id", &two.id), ("redirect_uri", "")]),
        ("a client that registered none", vec![("client_id", &machine.id)]),
        ("a query without end", vec![("state", &long)]),
    ];
    for (what, changes) in cases {
        let response = server.authorize(&changed(request(&client), &changes)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{what}");
        assert!(response.headers().get(header::LOCATION).is_none(), "{what}");
    }
    let machine_with_redirect =
        server.registered(json!({ "grant_types": ["client_credentials"], "redirect_uris": [CALLBACK] })).await;
    let back = answer(&server.authorize(&request(&machine_with_redirect)).await);
    assert_eq!(back["error"], "unauthorized_client");
}

#[tokio::test]
async fn token_requests_that_are_refused() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let other = server.public_client().await;
    let machine = server.machine().await;
    let secret = machine.secret.clone().unwrap();
    let tokens = server.sign_in(&client).await;
    let refresh_token = text(&tokens, "refresh_token");
    let access_token = text(&tokens, "access_token");
    let (short, long) = ("v".repeat(42), "v".repeat(129));

    // what is wrong, the changes to a sound redemption (with a fresh code), status, error
    let cases: Vec<(&str, Pairs<'_>, u16, &str)> = vec![
        ("no grant type", vec![("grant_type", "")], 400, "invalid_request"),
        ("password", vec![("grant_type", "password")], 400, "unsupported_grant_type"),
        ("two grant types", vec![("grant_type", "authorization_code"), ("grant_type", "x")], 400, "invalid_request"),
        ("no client", vec![("client_id", "")], 401, "invalid_client"),
        ("unknown client", vec![("client_id", "client_nobody")], 401, "invalid_client"),
        ("public client with a secret", vec![("client_secret", "x")], 401, "invalid_client"),
        ("another client", vec![("client_id", &other.id)], 400, "invalid_grant"),
        ("no code", vec![("code", "")], 400, "invalid_request"),
        ("unknown code", vec![("code", "nonsense")], 400, "invalid_grant"),
        ("no verifier", vec![("code_verifier", "")], 400, "invalid_request"),
        ("wrong verifier", vec![("code_verifier", CHALLENGE)], 400, "invalid_grant"),
        ("short verifier", vec![("code_verifier", &short)], 400, "invalid_grant"),
        ("long verifier", vec![("code_verifier", &long)], 400, "invalid_grant"),
        ("another redirect", vec![("redirect_uri", "http://127.0.0.1:7778/callback")], 400, "invalid_grant"),
        ("resource not granted", vec![("resource", OTHER_RESOURCE)], 400, "invalid_target"),
        ("no refresh token", vec![("grant_type", "refresh_token")], 400, "invalid_request"),
        (
            "unknown refresh token",
            vec![("grant_type", "refresh_token"), ("refresh_token", "nonsense.nonsense")],
            400,
            "invalid_grant",
        ),
        (
            "access token as refresh token",
            vec![("grant_type", "refresh_token"), ("refresh_token", &access_token)],
            400,
            "invalid_grant",
        ),
        (
            "another client's refresh token",
            vec![("grant_type", "refresh_token"), ("client_id", &other.id), ("refresh_token", &refresh_token)],
            400,
            "invalid_grant",
        ),
        (
            "more scope than granted",
            vec![("grant_type", "refresh_token"), ("refresh_token", &refresh_token), ("scope", "admin")],
            400,
            "invalid_scope",
        ),
        (
            "resource not granted to the refresh token",
            vec![("grant_type", "refresh_token"), ("refresh_token", &refresh_token), ("resource", OTHER_RESOURCE)],
            400,
            "invalid_target",
        ),
        (
            "client credentials of a public client",
            vec![("grant_type", "client_credentials")],
            400,
            "unauthorized_client",
        ),
        (
            "machine without its secret",
            vec![("grant_type", "client_credentials"), ("client_id", &machine.id)],
            401,
            "invalid_client",
        ),
        (
            "machine with a wrong secret",
            vec![("grant_type", "client_credentials"), ("client_id", &machine.id), ("client_secret", "wrong")],
            401,
            "invalid_client",
        ),
        (
            "machine and a scope that is not configured",
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", &machine.id),
                ("client_secret", &secret),
                ("scope", "admin"),
            ],
            400,
            "invalid_scope",
        ),
        (
            "machine and an unknown resource",
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", &machine.id),
                ("client_secret", &secret),
                ("resource", "https://evil.example"),
            ],
            400,
            "invalid_target",
        ),
        (
            "grant type that was not registered",
            vec![("client_id", &machine.id), ("client_secret", &secret)],
            400,
            "unauthorized_client",
        ),
    ];
    for (what, changes, status, error) in cases {
        let code = server.code(&request(&client)).await;
        let (got, body) = server.token(&changed(redemption(&client, &code), &changes)).await;
        assert_eq!((got.as_u16(), body["error"].as_str().unwrap_or_default()), (status, error), "{what}: {body}");
        assert!(body["error_description"].is_string() && body.get("access_token").is_none(), "{what}");
    }
    assert_eq!(server.refresh(&client, &refresh_token).await.0, StatusCode::OK, "none of these spent it");
}

#[tokio::test]
async fn client_authentication_that_is_refused() {
    let server = Server::start().await;
    let machine = server.machine().await;
    let secret = machine.secret.clone().unwrap();
    let basic = |id: &str, secret: &str| {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
    };
    let good = basic(&machine.id, &secret);
    // what is wrong, the Authorization header, more form fields, status, error
    let cases: Vec<(&str, String, Pairs<'_>, u16, &str)> = vec![
        ("wrong secret", basic(&machine.id, "wrong"), vec![], 401, "invalid_client"),
        ("empty secret", basic(&machine.id, ""), vec![], 401, "invalid_client"),
        ("unknown client", basic("client_nobody", &secret), vec![], 401, "invalid_client"),
        ("another scheme", good.replace("Basic", "Bearer"), vec![], 401, "invalid_client"),
        ("not base64", "Basic ???".to_owned(), vec![], 401, "invalid_client"),
        ("no colon", "Basic YWJj".to_owned(), vec![], 401, "invalid_client"),
        ("header and form", good.clone(), vec![("client_secret", &secret)], 400, "invalid_request"),
        ("two client ids", good.clone(), vec![("client_id", "client_other")], 400, "invalid_request"),
    ];
    for (what, authorization, fields, status, error) in cases {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(fields);
        let request = server.http.post(server.url("/token")).header(header::AUTHORIZATION, authorization).form(&form);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{what}");
        let challenged = response
            .headers()
            .get(header::WWW_AUTHENTICATE)
            .is_some_and(|value| value.to_str().unwrap().starts_with("Basic realm="));
        assert_eq!(challenged, status == 401, "{what}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"], error, "{what}");
    }
    let form = [("grant_type", "client_credentials"), ("client_id", &machine.id)];
    let request = server.http.post(server.url("/token")).header(header::AUTHORIZATION, good).form(&form);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "the id may be repeated in the form");
}

#[tokio::test]
async fn introspection_and_revocation_that_are_refused() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let machine = server.machine().await;
    let secret = machine.secret.clone().unwrap();
    let cases: Vec<(&str, &str, Pairs<'_>, u16, &str)> = vec![
        ("nobody asks", "/introspect", vec![("token", "x")], 401, "invalid_client"),
        ("public client asks", "/introspect", vec![("token", "x"), ("client_id", &client.id)], 401, "invalid_client"),
        (
            "wrong secret",
            "/introspect",
            vec![("token", "x"), ("client_id", &machine.id), ("client_secret", "x")],
            401,
            "invalid_client",
        ),
        (
            "no token",
            "/introspect",
            vec![("client_id", &machine.id), ("client_secret", &secret)],
            400,
            "invalid_request",
        ),
        ("nobody revokes", "/revoke", vec![("token", "x")], 401, "invalid_client"),
        ("no token to revoke", "/revoke", vec![("client_id", &client.id)], 400, "invalid_request"),
        ("without the secret", "/revoke", vec![("token", "x"), ("client_id", &machine.id)], 401, "invalid_client"),
    ];
    for (what, path, form, status, error) in cases {
        let (got, body) = server.post(path, &form).await;
        assert_eq!((got.as_u16(), body["error"].as_str().unwrap_or_default()), (status, error), "{what}");
    }
}

#[tokio::test]
async fn registrations_that_are_refused() {
    let server = Server::start().await;
    let uri = |uri: &str| json!({ "redirect_uris": [uri] });
    let long_name = "n".repeat(201);
    let many: Vec<String> = (0..17).map(|n| format!("https://a.example/{n}")).collect();
    let cases: Vec<(&str, Value, &str)> = vec![
        ("no redirect", json!({}), "invalid_redirect_uri"),
        ("empty redirects", json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        ("relative", uri("/cb"), "invalid_redirect_uri"),
        ("fragment", uri("https://a.example/cb#x"), "invalid_redirect_uri"),
        ("empty fragment", uri("https://a.example/cb#"), "invalid_redirect_uri"),
        ("plain http", uri("http://a.example/cb"), "invalid_redirect_uri"),
        ("http to a name like localhost", uri("http://localhost.evil.example/cb"), "invalid_redirect_uri"),
        ("user name", uri("https://user@a.example/cb"), "invalid_redirect_uri"),
        ("javascript", uri("javascript:alert(1)"), "invalid_redirect_uri"),
        ("javascript in capitals", uri("JavaScript:alert(1)"), "invalid_redirect_uri"),
        ("data", uri("data:text/html,x"), "invalid_redirect_uri"),
        ("file", uri("file:///etc/passwd"), "invalid_redirect_uri"),
        ("blob", uri("blob:https://a.example/x"), "invalid_redirect_uri"),
        ("backslash", uri("https://a.example\\@evil.example/cb"), "invalid_redirect_uri"),
        ("line break", uri("https://a.example/cb\r\nX: y"), "invalid_redirect_uri"),
        ("blank", uri(" https://a.example/cb"), "invalid_redirect_uri"),
        ("missing slash", uri("https:/a.example/cb"), "invalid_redirect_uri"),
        ("other notation of the host", uri("http://0x7f000001/cb"), "invalid_redirect_uri"),
        ("beyond ASCII", uri("https://ä.example/cb"), "invalid_redirect_uri"),
        ("many redirects", json!({ "redirect_uris": many }), "invalid_client_metadata"),
        ("redirects of the wrong type", json!({ "redirect_uris": "https://a.example" }), "invalid_client_metadata"),
        ("not an object", json!([]), "invalid_client_metadata"),
        ("no known grant", json!({ "grant_types": ["password"] }), "invalid_client_metadata"),
        ("refresh alone", json!({ "grant_types": ["refresh_token"] }), "invalid_client_metadata"),
        (
            "no known response type",
            json!({ "redirect_uris": [CALLBACK], "response_types": ["token"] }),
            "invalid_client_metadata",
        ),
        (
            "authentication with a key",
            json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt" }),
            "invalid_client_metadata",
        ),
        (
            "machine without authentication",
            json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "none" }),
            "invalid_client_metadata",
        ),
        ("long name", json!({ "redirect_uris": [CALLBACK], "client_name": long_name }), "invalid_client_metadata"),
        ("two-line name", json!({ "redirect_uris": [CALLBACK], "client_name": "a\nb" }), "invalid_client_metadata"),
        ("contacts", json!({ "redirect_uris": [CALLBACK], "contacts": "me" }), "invalid_client_metadata"),
    ];
    for (what, metadata, error) in cases {
        let (status, body) = server.register(metadata).await;
        assert_eq!((status.as_u16(), body["error"].as_str().unwrap_or_default()), (400, error), "{what}: {body}");
        assert!(body.get("client_id").is_none(), "{what}");
    }
}

#[tokio::test]
async fn bodies_of_the_wrong_kind_or_size_are_refused() {
    let server = Server::start().await;
    let large = format!("grant_type={}", "x".repeat(20_000));
    let form = "application/x-www-form-urlencoded";
    let cases = [
        ("/token", "application/json", "{}", 400, "invalid_request"),
        ("/token", "", "grant_type=x", 400, "invalid_request"),
        ("/token", form, large.as_str(), 413, "invalid_request"),
        ("/revoke", "text/plain", "token=x", 400, "invalid_request"),
        ("/introspect", "application/json", "{}", 400, "invalid_request"),
        ("/consent", "application/json", "{}", 400, "invalid_request"),
        ("/register", form, "a=b", 400, "invalid_client_metadata"),
        ("/register", "application/json", "{", 400, "invalid_client_metadata"),
        ("/register", "application/json", large.as_str(), 413, "invalid_request"),
    ];
    for (path, media_type, body, status, error) in cases {
        let request = server.http.post(server.url(path)).header(header::CONTENT_TYPE, media_type).body(body.to_owned());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{path} {media_type}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"], error, "{path} {media_type}");
    }
}

#[tokio::test]
async fn a_registration_is_answered_with_all_that_was_registered() {
    let server = Server::start().await;
    let (status, body) = server
        .register(json!({
            "client_name": "Editor", "client_uri": "https://editor.example", "logo_uri": null, "unknown": 1,
            "redirect_uris": [
                "https://editor.example/cb", "cursor://anysphere.cursor-retrieval/oauth/callback", "http://localhost/",
                "http://127.0.0.1:33418/", "http://[::1]:9/cb", "com.example.app:/cb",
            ],
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
            "token_endpoint_auth_method": "client_secret_post", "scope": "web-search:read admin openid",
        }))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(body["grant_types"], json!(["authorization_code", "refresh_token"]), "what is not served is left out");
    assert_eq!(body["response_types"], json!(["code"]));
    assert_eq!(body["redirect_uris"].as_array().unwrap().len(), 6);
    assert_eq!((&body["client_uri"], &body["scope"]), (&json!("https://editor.example"), &json!("web-search:read")));
    assert_eq!(body["token_endpoint_auth_method"], "client_secret_post");
    assert_eq!(body["client_secret_expires_at"], 0);
    assert!(body["client_id_issued_at"].is_u64() && body["client_secret"].is_string());
    assert!(body.get("unknown").is_none() && body.get("logo_uri").is_none());

    let public = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
    let (_, body) = server.register(public).await;
    assert!(body.get("client_secret").is_none() && body.get("client_secret_expires_at").is_none());
}
