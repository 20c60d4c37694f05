//! Opaque tokens, judged by the provider's word (RFC 7662).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{
    RESOURCE, Subject,
    authority::{Authority, CLIENT_ID, Reply, from_now},
    introspection_section, scopes,
};
use crate::{
    config::Secret,
    tokens::{InvalidToken, Profile, VerifyError},
};

const TOKEN: &str = "opaque-token_1~+/=";

async fn active(members: Value) -> (Authority, Subject) {
    let authority = Authority::generic("/tenant").await;
    authority.activate(TOKEN, &members);
    let subject = Subject::introspecting(&authority);
    (authority, subject)
}

#[tokio::test]
async fn an_active_token_is_accepted_with_what_the_provider_says() {
    let (authority, subject) = active(json!({
        "sub": "user-1", "client_id": "client-1", "scope": "a b", "aud": RESOURCE, "exp": from_now(100), "jti": "t1",
    }))
    .await;
    let verified = subject.accept(TOKEN).await;
    assert_eq!(*verified.provider, format!("oauth:{}", authority.issuer()));
    assert_eq!(*verified.issuer, authority.issuer());
    assert_eq!((&*verified.subject, verified.client_id.as_deref()), ("user-1", Some("client-1")));
    assert_eq!(scopes(&verified), ["a", "b"]);
    let asked = authority.log().pop().unwrap();
    assert_eq!(asked.path, "/tenant/introspect");
    assert_eq!(asked.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(&asked.body[..], b"token=opaque-token_1%7E%2B%2F%3D&token_type_hint=access_token");
}

#[tokio::test]
async fn a_configured_endpoint_needs_no_metadata() {
    let authority = Authority::generic("").await;
    authority.activate(TOKEN, &json!({ "sub": "u", "aud": [RESOURCE] }));
    let mut section = introspection_section(&authority.issuer());
    section.introspection.as_mut().unwrap().endpoint = Some(format!("{}/introspect", authority.url()).parse().unwrap());
    Subject::new(Profile::oauth(&section, RESOURCE).unwrap()).accept(TOKEN).await;
    assert_eq!(authority.log().len(), 1);
}

#[tokio::test]
async fn an_inactive_token_is_refused_each_time_anew() {
    let authority = Authority::generic("").await;
    let subject = Subject::introspecting(&authority);
    assert_eq!(subject.refuse(TOKEN).await, InvalidToken::Inactive);
    authority.activate(TOKEN, &json!({ "sub": "u", "aud": RESOURCE }));
    subject.accept(TOKEN).await;
}

#[tokio::test]
async fn what_the_provider_says_is_checked_like_claims() {
    let good = json!({ "sub": "u", "aud": RESOURCE });
    let table: Vec<(&str, Value, InvalidToken)> = vec![
        ("no audience", json!({ "aud": null }), InvalidToken::MissingClaim("aud")),
        ("another audience", json!({ "aud": ["https://other.example"] }), InvalidToken::WrongAudience),
        ("another issuer", json!({ "iss": "https://evil.example" }), InvalidToken::WrongIssuer),
        ("expired", json!({ "exp": from_now(-100) }), InvalidToken::Expired),
        ("not yet", json!({ "nbf": from_now(100) }), InvalidToken::NotYetValid),
        ("no name at all", json!({ "sub": null }), InvalidToken::MissingClaim("sub")),
        ("subject that is a number", json!({ "sub": 1 }), InvalidToken::MalformedClaim("sub")),
        ("bound", json!({ "cnf": { "jkt": "x" } }), InvalidToken::SenderConstrained),
    ];
    for (name, over, expected) in table {
        let (_authority, subject) = active(super::authority::merged(good.clone(), &over)).await;
        assert_eq!(subject.refuse(TOKEN).await, expected, "{name}");
    }
}

#[tokio::test]
async fn who_has_no_sub_is_known_by_name_and_machines_by_their_client() {
    for (members, expected) in [
        (json!({ "username": "ann", "client_id": "c", "aud": RESOURCE }), "ann"),
        (json!({ "client_id": "c", "aud": RESOURCE }), "c"),
    ] {
        let (_authority, subject) = active(members).await;
        assert_eq!(&*subject.accept(TOKEN).await.subject, expected);
    }
}

#[tokio::test]
async fn the_providers_word_is_believed_for_a_minute() {
    let (authority, subject) = active(json!({ "sub": "u", "aud": RESOURCE, "exp": from_now(10_000) })).await;
    let first = subject.accept(TOKEN).await;
    authority.deactivate_all();
    subject.clock.advance(59);
    assert!(Arc::ptr_eq(&first, &subject.accept(TOKEN).await));
    assert_eq!(authority.asked("/tenant/introspect"), 1);
    subject.clock.advance(1);
    assert_eq!(subject.refuse(TOKEN).await, InvalidToken::Inactive);
}

#[tokio::test]
async fn without_an_expiry_the_verdict_ends_with_our_belief_in_it() {
    let (_authority, subject) = active(json!({ "sub": "u", "aud": RESOURCE })).await;
    let verified = subject.accept(TOKEN).await;
    assert!(verified.expires_at <= SystemTime::now() + Duration::from_secs(60));
}

#[tokio::test]
async fn when_the_provider_cannot_answer_it_cannot_be_told() {
    for (name, reply) in [
        ("500", Reply::status(500)),
        ("429", Reply::status(429)),
        ("404", Reply::status(404)),
        ("a redirect", Reply::redirect("/elsewhere")),
        ("a page", Reply::text("text/html", "<html>")),
        ("no active member", Reply::json(&json!({ "sub": "u", "aud": RESOURCE }))),
        ("active as text", Reply::json(&json!({ "active": "true", "sub": "u", "aud": RESOURCE }))),
        ("an array", Reply::json(&json!([]))),
    ] {
        let (authority, subject) = active(json!({})).await;
        authority.reply("/tenant/introspect", reply);
        let verdict = subject.verify(TOKEN).await;
        assert!(matches!(verdict, Err(VerifyError::Unavailable { .. })), "{name}: {verdict:?}");
    }
}

#[tokio::test]
async fn refused_credentials_are_named_but_not_shown() {
    let (authority, _) = active(json!({ "sub": "u", "aud": RESOURCE })).await;
    let mut section = introspection_section(&authority.issuer());
    section.introspection.as_mut().unwrap().client_secret = Secret::new("wrong-and-private");
    let profile = Profile::oauth(&section, RESOURCE).unwrap();
    assert!(!format!("{profile:?}").contains("private"));
    let verdict = Subject::new(profile).verify(TOKEN).await;
    let Err(VerifyError::Unavailable { reason, .. }) = verdict else { panic!("{verdict:?}") };
    assert!(reason.contains("client_secret") && !reason.contains("private") && !reason.contains(CLIENT_ID), "{reason}");
}

#[tokio::test]
async fn what_can_be_no_token_is_not_sent() {
    let authority = Authority::generic("").await;
    let subject = Subject::introspecting(&authority);
    for token in ["", " ", "a b", "a\"b", "ä", "a\r\nb", &"x".repeat(16 * 1024 + 1)] {
        assert_eq!(subject.refuse(token).await, InvalidToken::NotAToken, "{token:?}");
    }
    assert_eq!(authority.log().len(), 0);
}
