//! The life of tokens: one use, rotation, reuse, revocation, introspection, expiry.

use super::*;

#[tokio::test]
async fn a_replayed_code_revokes_the_tokens_it_led_to() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let code = server.code(&request(&client)).await;
    let (_, tokens) = server.redeem(&client, &code).await;
    let access_token = text(&tokens, "access_token");
    let token_id = text(&verified(&server, &access_token).1, "jti");
    assert!(!server.auth.is_revoked(&token_id));

    // A stranger who replays it is refused, but does no harm to its owner.
    let stranger = server.public_client().await;
    assert_eq!(server.redeem(&stranger, &code).await.1["error"], "invalid_grant");
    assert!(!server.auth.is_revoked(&token_id));

    let (status, body) = server.redeem(&client, &code).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    assert!(server.auth.is_revoked(&token_id));
    assert!(!server.is_active(&access_token).await);
    assert_eq!(server.refresh(&client, &text(&tokens, "refresh_token")).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_code_ends_after_a_minute_and_with_the_first_wrong_verifier() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let late = server.code(&request(&client)).await;
    server.auth.advance(Duration::from_secs(61));
    assert_eq!(server.redeem(&client, &late).await.1["error"], "invalid_grant");

    let code = server.code(&request(&client)).await;
    let wrong = "x".repeat(43);
    let form = changed(redemption(&client, &code), &[("code_verifier", &wrong)]);
    assert_eq!(server.token(&form).await.1["error"], "invalid_grant");
    assert_eq!(server.redeem(&client, &code).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_used_one_takes_the_whole_sign_in_with_it() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let first = server.sign_in(&client).await;
    let (status, second) = server.refresh(&client, &text(&first, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let (_, third) = server.refresh(&client, &text(&second, "refresh_token")).await;
    let claims = verified(&server, &text(&third, "access_token")).1;
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("ada"), &json!(RESOURCE)));

    let bystander = server.sign_in(&client).await;
    let (status, body) = server.refresh(&client, &text(&first, "refresh_token")).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    for tokens in [&first, &second, &third] {
        let claims = verified(&server, &text(tokens, "access_token")).1;
        assert!(server.auth.is_revoked(&text(&claims, "jti")));
    }
    assert_eq!(server.refresh(&client, &text(&third, "refresh_token")).await.1["error"], "invalid_grant");
    let (status, _) = server.refresh(&client, &text(&bystander, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "another sign-in of the same client goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_refreshes_at_once_exactly_one_wins() {
    let server = Arc::new(Server::start().await);
    let client = server.public_client().await;
    for round in 0..8 {
        let refresh_token = text(&server.sign_in(&client).await, "refresh_token");
        let attempts: Vec<_> = (0..4)
            .map(|_| {
                let (server, client, refresh_token) = (server.clone(), client.clone(), refresh_token.clone());
                tokio::spawn(async move { server.refresh(&client, &refresh_token).await.0 })
            })
            .collect();
        let mut wins = 0;
        for attempt in attempts {
            wins += usize::from(attempt.await.unwrap() == StatusCode::OK);
        }
        assert_eq!(wins, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_redemptions_at_once_exactly_one_wins() {
    let server = Arc::new(Server::start().await);
    let client = server.public_client().await;
    let code = server.code(&request(&client)).await;
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let (server, client, code) = (server.clone(), client.clone(), code.clone());
            tokio::spawn(async move { server.redeem(&client, &code).await.0 })
        })
        .collect();
    let mut wins = 0;
    for attempt in attempts {
        wins += usize::from(attempt.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(wins, 1);
}

#[tokio::test]
async fn a_refresh_narrows_scope_and_resource_for_one_token_only() {
    let server = Server::with_two_resources().await;
    let client = server.public_client().await;
    let mut parameters = request(&client);
    parameters.extend([("resource", RESOURCE), ("resource", OTHER_RESOURCE)]);
    let code = server.code(&parameters).await;
    let (_, tokens) = server.redeem(&client, &code).await;

    let token = text(&tokens, "refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client.id.as_str()),
        ("refresh_token", token.as_str()),
        ("scope", "web-search:read"),
        ("resource", OTHER_RESOURCE),
    ];
    let (_, narrow) = server.token(&form).await;
    let claims = verified(&server, &text(&narrow, "access_token")).1;
    assert_eq!((&claims["scope"], &claims["aud"]), (&json!("web-search:read"), &json!(OTHER_RESOURCE)));

    let (_, whole) = server.refresh(&client, &text(&narrow, "refresh_token")).await;
    let claims = verified(&server, &text(&whole, "access_token")).1;
    assert_eq!(claims["scope"], "web-search:read web-search:write");
    assert_eq!(claims["aud"], json!([RESOURCE, OTHER_RESOURCE]));
}

#[tokio::test]
async fn a_refused_narrowing_does_not_spend_the_refresh_token() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let code = server.code(&changed(request(&client), &[("scope", "web-search:read")])).await;
    let (_, tokens) = server.redeem(&client, &code).await;
    let token = text(&tokens, "refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client.id.as_str()),
        ("refresh_token", token.as_str()),
        ("scope", "web-search:write"),
    ];
    assert_eq!(server.token(&form).await.1["error"], "invalid_scope");
    assert_eq!(server.refresh(&client, &token).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_unused_refresh_token_ends() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let tokens = server.sign_in(&client).await;
    server.auth.advance(Duration::from_secs(3601));
    assert_eq!(server.refresh(&client, &text(&tokens, "refresh_token")).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn only_clients_that_registered_for_it_get_a_refresh_token() {
    let server = Server::start().await;
    let client = server.registered(json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" })).await;
    assert!(server.sign_in(&client).await.get("refresh_token").is_none());
}

#[tokio::test]
async fn a_machine_gets_a_token_for_itself_without_a_browser() {
    let server = Server::start().await;
    let machine = server.machine().await;
    let secret = machine.secret.clone().unwrap();
    let form = [("grant_type", "client_credentials"), ("scope", "web-search:read")];
    let basic = server.http.post(server.url("/token")).basic_auth(&machine.id, Some(&secret)).form(&form);
    let response = basic.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let tokens: Value = response.json().await.unwrap();
    let claims = verified(&server, &text(&tokens, "access_token")).1;
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(machine.id), &json!(machine.id)));
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(RESOURCE), &json!("web-search:read")));
    assert!(tokens.get("refresh_token").is_none());

    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &machine.id),
        ("client_secret", &secret),
        ("resource", RESOURCE),
    ];
    let (status, tokens) = server.token(&form).await;
    assert_eq!((status, &tokens["scope"]), (StatusCode::OK, &json!("web-search:read web-search:write")));
}

#[tokio::test]
async fn revoking_an_access_token_ends_it_alone_and_a_refresh_token_ends_all() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let tokens = server.sign_in(&client).await;
    let (access_token, refresh_token) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    assert!(server.is_active(&access_token).await && server.is_active(&refresh_token).await);

    let id = client.id.as_str();
    let revoke = async |token: &str| server.post("/revoke", &[("token", token), ("client_id", id)]).await.0;
    assert_eq!(revoke("unknown").await, StatusCode::OK);
    assert_eq!(revoke(&access_token).await, StatusCode::OK);
    assert_eq!(revoke(&access_token).await, StatusCode::OK, "twice is no error");
    assert!(!server.is_active(&access_token).await && server.is_active(&refresh_token).await);

    let (_, next) = server.refresh(&client, &refresh_token).await;
    let (access_token, refresh_token) = (text(&next, "access_token"), text(&next, "refresh_token"));
    assert!(server.is_active(&access_token).await);
    assert_eq!(revoke(&refresh_token).await, StatusCode::OK);
    assert!(!server.is_active(&access_token).await && !server.is_active(&refresh_token).await);
}

#[tokio::test]
async fn nobody_revokes_the_tokens_of_another_client() {
    let server = Server::start().await;
    let (client, other) = (server.public_client().await, server.public_client().await);
    let tokens = server.sign_in(&client).await;
    for member in ["access_token", "refresh_token"] {
        let token = text(&tokens, member);
        let (status, body) = server.post("/revoke", &[("token", &token), ("client_id", &other.id)]).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{member}");
        assert!(server.is_active(&token).await, "{member}");
    }
}

#[tokio::test]
async fn introspection_tells_what_a_token_is_worth() {
    let server = Server::start().await;
    let client = server.public_client().await;
    let asker = server.machine().await;
    let secret = asker.secret.clone().unwrap();
    let tokens = server.sign_in(&client).await;
    let ask = async |token: &str| {
        let form = [("token", token), ("client_id", &asker.id), ("client_secret", &secret)];
        server.post("/introspect", &form).await.1
    };
    let access_token = text(&tokens, "access_token");
    let answer = ask(&access_token).await;
    assert_eq!(answer["active"], true);
    assert_eq!((&answer["sub"], &answer["client_id"]), (&json!("ada"), &json!(client.id)));
    assert_eq!((&answer["aud"], &answer["token_type"]), (&json!(RESOURCE), &json!("Bearer")));
    let answer = ask(&text(&tokens, "refresh_token")).await;
    assert_eq!((&answer["active"], &answer["client_id"]), (&json!(true), &json!(client.id)));

    let (head, signature) = access_token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let foreign = text(&Server::start().await.sign_in_alone().await, "access_token");
    for token in ["nonsense", "a.b", "a.b.c", &forged, &foreign] {
        assert_eq!(ask(token).await, json!({ "active": false }), "{token}");
    }
    server.auth.advance(Duration::from_secs(601));
    assert_eq!(ask(&access_token).await, json!({ "active": false }), "expired");
}

impl Server {
    async fn sign_in_alone(&self) -> Value {
        let client = self.public_client().await;
        self.sign_in(&client).await
    }
}
