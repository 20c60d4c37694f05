//! When the authorization server cannot be reached, changes its keys, or changes its mind.

use serde_json::{Value, json};
use toolgate_tests::{
    authority::{Authority, Reply as Scripted, SigningKey},
    server::{Launch, PATIENCE, Server},
};

use crate::{
    house::{
        Face, House, PATH, Provider, RESOURCE, RESOURCE_ID, assert_echoed, call, call_with, client, config,
        introspection_auth, oauth_auth, register_machine, resource_line, scalekit_auth, tools,
    },
    reply::Reply,
};

/// What "cannot tell" is answered with.
async fn assert_cannot_tell(server: &Server, face: Face, reply: &Reply, row: &str) {
    let row = format!("{row}, {face:?}: {reply:?}");
    assert_eq!(reply.status, 503, "{row}");
    assert!(reply.retry_after().is_some_and(|seconds| (1..=60).contains(&seconds)), "{row}");
    let body = reply.json();
    assert_eq!(body["error"], "temporarily_unavailable", "{row}");
    assert_eq!(body["request_id"], reply.request_id(), "{row}");
    let challenge = reply.challenge().unwrap_or_else(|| panic!("no challenge, {row}"));
    assert_eq!(challenge.names(), ["resource_metadata"], "it accuses nobody, {row}");
    let record = server.audited(reply.request_id()).await;
    assert_eq!(
        (&record["decision"], &record["reason"]),
        (&json!("refuse"), &json!("temporarily_unavailable")),
        "{row}"
    );
}

/// Call until the answer has this status.
async fn until(status: u16, server: &Server, face: Face, token: &str) -> Reply {
    let poll = async {
        loop {
            let reply = call_with(server, face, "read", token).await;
            if reply.status == status {
                return reply;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("no {status} in time"))
}

/// A server of one of the providers outside, over this authorization server as it is now.
async fn over(authority: &Authority, provider: Provider) -> Server {
    let auth = match provider {
        Provider::Scalekit => scalekit_auth(authority),
        Provider::Introspection => introspection_auth(authority),
        _ => oauth_auth(authority),
    };
    Launch::new(&config("", &format!("{auth}{}", tools(&resource_line())))).start().await
}

async fn authority(provider: Provider) -> Authority {
    match provider {
        Provider::Scalekit => Authority::scalekit(RESOURCE_ID).await,
        _ => Authority::generic("/tenant").await,
    }
}

fn token(authority: &Authority, over: Value) -> String {
    let mut claims = authority.claims(&json!([RESOURCE, RESOURCE_ID]), &json!({ "scope": "web-search:read" }));
    for (name, value) in over.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    authority.key().token(&claims)
}

#[tokio::test]
async fn out_of_reach_from_the_start_is_503_and_heals_by_itself() {
    for provider in [Provider::Scalekit, Provider::OAuth, Provider::Introspection] {
        let authority = authority(provider).await;
        let good = token(&authority, json!({}));
        authority.activate(&good, &authority.claims(&json!(RESOURCE), &json!({ "scope": "web-search:read" })));
        authority.go_down().await;
        let server = over(&authority, provider).await;
        for face in Face::BOTH {
            let row = format!("{provider:?}");
            assert_cannot_tell(&server, face, &call_with(&server, face, "read", &good).await, &row).await;
            // What can be told is told: no token, or one that could be good nowhere.
            assert_eq!(call(&server, face, "read", &[]).await.status, 401, "{row}, no token, {face:?}");
            assert_eq!(
                call(&server, face, "read", &["Bearer {}"]).await.status,
                401,
                "{row}, no token at all, {face:?}"
            );
            assert_eq!(call(&server, face, "read", &["Bearer a b"]).await.status, 400, "{row}, two tokens, {face:?}");
        }
        let document = client().get(format!("{}/.well-known/oauth-protected-resource{PATH}", server.url()));
        assert_eq!(document.send().await.expect("an answer").status(), 200, "our own document needs nobody");
        let ready = client().get(format!("{}/healthz", server.url()));
        assert_eq!(ready.send().await.expect("an answer").status(), 200);
        authority.come_up().await;
        for face in Face::BOTH {
            assert_echoed(face, &until(200, &server, face, &good).await, "after the outage");
        }
    }
}

#[tokio::test]
async fn keys_that_are_none_are_no_reason_to_refuse_anybody() {
    let sets = [
        ("an error", Scripted::status(500)),
        ("not found", Scripted::status(404)),
        ("too many questions", Scripted::status(429)),
        ("a page", Scripted::text("text/html", "<html>maintenance</html>")),
        ("no JSON", Scripted::text("application/json", "{\"keys\":")),
        ("no keys", Scripted::json(&json!({ "keys": [] }))),
        ("no set", Scripted::json(&json!([]))),
        ("keys of other kinds", Scripted::json(&json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "snk_1" }] }))),
        ("a weak key", Scripted::json(&json!({ "keys": [{ "kty": "RSA", "n": "_w", "e": "AQAB", "kid": "snk_1" }] }))),
        ("more than a MiB", Scripted::text("application/json", "[".repeat(2 * 1024 * 1024))),
        ("a redirect", Scripted::redirect("/elsewhere")),
    ];
    for (name, set) in sets {
        let authority = authority(Provider::Scalekit).await;
        authority.reply("/keys", set);
        let server = over(&authority, Provider::Scalekit).await;
        for face in Face::BOTH {
            let reply = call_with(&server, face, "read", &token(&authority, json!({}))).await;
            assert_cannot_tell(&server, face, &reply, name).await;
        }
    }
}

#[tokio::test]
async fn an_authorization_server_that_does_not_answer_is_waited_for_a_while() {
    let authority = authority(Provider::OAuth).await;
    authority.hold();
    let server = over(&authority, Provider::OAuth).await;
    let good = token(&authority, json!({}));
    for face in Face::BOTH {
        assert_cannot_tell(&server, face, &call_with(&server, face, "read", &good).await, "held").await;
    }
    authority.release();
    assert_echoed(Face::Rest, &until(200, &server, Face::Rest, &good).await, "released");
}

#[tokio::test]
async fn one_that_hangs_is_not_asked_anew_by_each_who_opens_the_docs() {
    let authority = authority(Provider::OAuth).await;
    authority.hold();
    let server = over(&authority, Provider::OAuth).await;
    let flows = async || {
        let request = client().get(format!("{}/openapi.json", server.url()));
        let document = Reply::of(request.send().await.expect("an answer")).await.json();
        document["components"]["securitySchemes"]["oauth2"]["flows"].clone()
    };
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        assert_eq!(flows().await, Value::Null, "a page does not wait for ever");
    }
    let asked = authority.asked("/.well-known/oauth-authorization-server/tenant");
    // It is given 5 s, and left alone for 5 more.
    assert!(asked as u64 <= 1 + begun.elapsed().as_secs() / 10, "asked {asked} times in {:?}", begun.elapsed());
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_used() {
    let authority = authority(Provider::OAuth).await;
    let mut metadata = authority.metadata();
    metadata["issuer"] = json!("https://evil.example");
    authority.reply("/.well-known/oauth-authorization-server/tenant", Scripted::json(&metadata));
    let server = over(&authority, Provider::OAuth).await;
    let reply = call_with(&server, Face::Mcp, "read", &token(&authority, json!({}))).await;
    assert_cannot_tell(&server, Face::Mcp, &reply, "another issuer's metadata").await;
    server.stderr_with("is that of another issuer").await;
}

#[tokio::test]
async fn once_known_an_outage_is_not_noticed() {
    for provider in [Provider::Scalekit, Provider::OAuth] {
        let authority = authority(provider).await;
        let server = over(&authority, provider).await;
        let known = token(&authority, json!({}));
        assert_echoed(Face::Mcp, &call_with(&server, Face::Mcp, "read", &known).await, "before");
        authority.go_down().await;
        let fresh = token(&authority, json!({ "sub": "usr_new", "jti": "tkn_new" }));
        let unknown =
            SigningKey::another_rsa("unknown").token(&authority.claims(&json!([RESOURCE, RESOURCE_ID]), &json!({})));
        for face in Face::BOTH {
            assert_echoed(face, &call_with(&server, face, "read", &known).await, "a token seen before");
            assert_echoed(face, &call_with(&server, face, "read", &fresh).await, "a token never seen");
            // An invented kid must not turn the outage into one of ours.
            let reply = call_with(&server, face, "read", &unknown).await;
            assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("invalid_token")), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn keys_rotate_without_a_restart() {
    for provider in [Provider::Scalekit, Provider::OAuth] {
        let authority = authority(provider).await;
        let server = over(&authority, provider).await;
        let old = token(&authority, json!({}));
        assert_echoed(Face::Mcp, &call_with(&server, Face::Mcp, "read", &old).await, "the first key");
        let before = authority.asked(&authority.keys_path());
        authority.rotate(SigningKey::another_rsa("second"));
        assert_echoed(Face::Mcp, &call_with(&server, Face::Mcp, "read", &old).await, "nobody has asked yet");
        let new = token(&authority, json!({}));
        for face in Face::BOTH {
            assert_echoed(face, &call_with(&server, face, "read", &new).await, "the second key");
        }
        assert_eq!(authority.asked(&authority.keys_path()), before + 1, "one further fetch");
        // The first key is gone, and what was verified with it.
        let reply = call_with(&server, Face::Rest, "read", &old).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("invalid_token")), "{reply:?}");
    }
}

#[tokio::test]
async fn callers_who_come_together_share_one_fetch() {
    let authority = authority(Provider::Scalekit).await;
    authority.hold();
    let server = over(&authority, Provider::Scalekit).await;
    let tokens: Vec<String> =
        (0..20).map(|index| token(&authority, json!({ "sub": format!("usr_{index}") }))).collect();
    let calls =
        futures_util::future::join_all(tokens.iter().map(|token| call_with(&server, Face::Rest, "read", token)));
    let release = async {
        // As soon as the first has asked; the others ask together with it or find the keys known.
        while authority.asked("/keys") == 0 {
            tokio::task::yield_now().await;
        }
        authority.release();
    };
    let (replies, ()) = tokio::join!(calls, release);
    for reply in &replies {
        assert_echoed(Face::Rest, reply, "all of them");
    }
    assert_eq!(authority.asked("/keys"), 1);
}

#[tokio::test]
async fn a_storm_of_unknown_keys_costs_one_fetch() {
    let authority = authority(Provider::Scalekit).await;
    let server = over(&authority, Provider::Scalekit).await;
    let good = token(&authority, json!({}));
    assert_echoed(Face::Rest, &call_with(&server, Face::Rest, "read", &good).await, "before");
    assert_eq!(authority.asked("/keys"), 1);
    let claims = authority.claims(&json!([RESOURCE, RESOURCE_ID]), &json!({}));
    let began = std::time::Instant::now();
    for round in 0..5 {
        let storm: Vec<String> =
            (0..20).map(|index| SigningKey::another_rsa(&format!("kid-{round}-{index}")).token(&claims)).collect();
        let calls = storm.iter().map(|token| call_with(&server, Face::Rest, "read", token));
        for reply in futures_util::future::join_all(calls).await {
            assert_eq!(reply.status, 401, "{reply:?}");
        }
    }
    // One in half a minute, however long this machine took.
    let allowed = 2 + usize::try_from(began.elapsed().as_secs() / 30).expect("a small number");
    assert!(authority.asked("/keys") <= allowed, "{} fetches", authority.asked("/keys"));
    assert_echoed(Face::Mcp, &call_with(&server, Face::Mcp, "read", &good).await, "after");
}

#[tokio::test]
async fn both_issuers_of_an_environment_are_one_principal() {
    let house = House::of(Provider::Scalekit).await;
    let authority = house.authority();
    let environment = token(authority, json!({ "iss": authority.url() }));
    let resource = token(authority, json!({ "iss": authority.issuer() }));
    let first = call_with(&house.server, Face::Mcp, "limited", &environment).await;
    assert_echoed(Face::Mcp, &first, "the environment's issuer");
    let second = call_with(&house.server, Face::Rest, "limited", &resource).await;
    assert_eq!(second.status, 429, "the same caller: {second:?}");
    let (first, second) =
        (house.server.audited(first.request_id()).await, house.server.audited(second.request_id()).await);
    assert_eq!(first["principal"], second["principal"]);
    assert_eq!(first["client_id"], second["client_id"]);
    // Another subject, or another client of the same one, is another caller.
    for (row, over) in
        [("another subject", json!({ "sub": "usr_2" })), ("another client", json!({ "client_id": "m2m_2" }))]
    {
        let other = token(authority, over);
        assert_echoed(Face::Rest, &call_with(&house.server, Face::Rest, "limited", &other).await, row);
    }
}

#[tokio::test]
async fn introspection_asks_once_and_believes_what_it_is_told() {
    let house = House::of(Provider::Introspection).await;
    let authority = house.authority();
    let token = house.reader().await;
    for face in Face::BOTH {
        assert_echoed(face, &call_with(&house.server, face, "read", &token).await, "active");
    }
    assert_eq!(authority.asked("/tenant/introspect"), 1, "the second call needs no question");
    // Revoked before anyone here has seen it.
    let revoked = house.writer().await;
    authority.deactivate_all();
    for face in Face::BOTH {
        let reply = call_with(&house.server, face, "read", &revoked).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("invalid_token")), "{reply:?}");
        let challenge = reply.challenge().expect("a challenge");
        assert_eq!(challenge.parameter("error_description"), Some("the token is not active"));
    }
}

#[tokio::test]
async fn introspection_that_says_nothing_is_503() {
    for (name, scripted) in [
        ("an error", Scripted::status(500)),
        ("our credentials are refused", Scripted::status(401)),
        ("a page", Scripted::text("text/html", "<html></html>")),
        ("no verdict", Scripted::json(&json!({ "scope": "web-search:read" }))),
        ("a verdict as text", Scripted::json(&json!({ "active": "true", "aud": RESOURCE, "sub": "usr_1" }))),
    ] {
        let house = House::of(Provider::Introspection).await;
        let token = house.reader().await;
        house.authority().reply("/tenant/introspect", scripted);
        for face in Face::BOTH {
            let reply = call_with(&house.server, face, "read", &token).await;
            assert_cannot_tell(&house.server, face, &reply, name).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_the_development_server_revokes_ends_at_once() {
    let house = House::of(Provider::Dev).await;
    let machine = register_machine(&house.server).await;
    let token = machine.token(&house.server, "web-search:read").await;
    assert_echoed(Face::Mcp, &call_with(&house.server, Face::Mcp, "read", &token).await, "before");
    let form = [("token", &token), ("client_id", &machine.id), ("client_secret", &machine.secret)];
    let revoked = client().post(format!("{}/dev/auth/revoke", house.server.url())).form(&form).send().await;
    assert_eq!(revoked.expect("an answer").status(), 200);
    for face in Face::BOTH {
        let reply = call_with(&house.server, face, "read", &token).await;
        assert_eq!(reply.status, 401, "{reply:?}");
        let challenge = reply.challenge().expect("a challenge");
        assert_eq!(challenge.parameter("error_description"), Some("the token has been revoked"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_once_that_a_provider_is_lost_and_once_that_it_is_back() {
    let authority = authority(Provider::Introspection).await;
    let server = over(&authority, Provider::Introspection).await;
    authority.activate("known", &authority.claims(&json!(RESOURCE), &json!({ "scope": "web-search:read" })));
    authority.reply("/tenant/introspect", Scripted::status(500));
    for number in 0..10 {
        let reply = call_with(&server, Face::Rest, "read", &format!("unknown-{number}")).await;
        assert_eq!(reply.status, 503, "{reply:?}");
    }
    assert!(authority.asked("/tenant/introspect") < 10, "in an outage the provider is left alone");
    authority.forget("/tenant/introspect");
    until(200, &server, Face::Rest, "known").await;
    let log = server.terminate().await.stderr;
    for text in ["does not answer as it should", "answers again"] {
        let lines = log.lines().filter(|line| line.contains(text) && line.contains("introspection"));
        assert_eq!(lines.count(), 1, "{text:?} in {log}");
    }
}
