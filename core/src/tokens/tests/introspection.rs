//! Opaque tokens, judged by the provider's word (RFC 7662).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
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
async fn a_refusal_is_remembered_for_ten_seconds() {
    for (name, members, expected) in [
        ("inactive", None, InvalidToken::Inactive),
        (
            "for another resource",
            Some(json!({ "sub": "u", "aud": "https://other.example" })),
            InvalidToken::WrongAudience,
        ),
    ] {
        let authority = Authority::generic("").await;
        if let Some(members) = members {
            authority.activate(TOKEN, &members);
        }
        let subject = Subject::introspecting(&authority);
        for _ in 0..20 {
            assert_eq!(subject.refuse(TOKEN).await, expected, "{name}");
        }
        authority.activate(TOKEN, &json!({ "sub": "u", "aud": RESOURCE }));
        subject.clock.advance(9);
        assert_eq!(subject.refuse(TOKEN).await, expected, "{name}");
        assert_eq!(authority.asked("/introspect"), 1, "{name}");
        subject.clock.advance(1);
        subject.accept(TOKEN).await;
    }
}

#[tokio::test]
async fn callers_with_one_token_share_one_question() {
    for (good, expected) in [(true, None), (false, Some(VerifyError::Invalid(InvalidToken::Inactive)))] {
        let (authority, subject) = active(json!({ "sub": "u", "aud": RESOURCE })).await;
        let token = if good { TOKEN } else { "unknown" };
        authority.hold();
        let mut callers: Vec<_> = (0..20).map(|_| Box::pin(subject.verify(token))).collect();
        for caller in &mut callers {
            assert!(caller.now_or_never().is_none());
        }
        authority.release();
        for caller in callers {
            assert_eq!(caller.await.err(), expected);
        }
        assert_eq!(authority.asked("/tenant/introspect"), 1);
    }
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_nothing_from_the_others() {
    let (authority, subject) = active(json!({ "sub": "u", "aud": RESOURCE })).await;
    authority.hold();
    let verifier = Arc::clone(&subject.verifier);
    let gone = tokio::spawn(async move { verifier.verify(TOKEN).await });
    // The metadata is asked for first; it is held like everything.
    while authority.log().is_empty() {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    authority.release();
    subject.accept(TOKEN).await;
    assert_eq!(authority.asked("/tenant/introspect"), 1);
}

#[tokio::test]
async fn a_flood_of_tokens_is_turned_away_at_once() {
    let (authority, subject) = active(json!({ "sub": "u", "aud": RESOURCE })).await;
    subject.accept(TOKEN).await;
    authority.hold();
    let tokens: Vec<String> = (0..1024).map(|number| format!("token-{number}")).collect();
    for token in &tokens {
        // The question goes on without its caller.
        assert!(subject.verify(token).now_or_never().is_none());
    }
    let Err(VerifyError::Unavailable { reason, retry_after }) = subject.verify("one-too-many").await else {
        panic!("one more was taken");
    };
    assert!(reason.contains("too many") && retry_after == Duration::from_secs(1), "{reason}");
    // Who was judged before is not concerned.
    subject.accept(TOKEN).await;
    while authority.asked("/tenant/introspect") < 33 {
        tokio::task::yield_now().await;
    }
    assert_eq!(authority.asked("/tenant/introspect"), 33, "32 at a time, beside the first one");
    authority.release();
    for token in &tokens {
        assert_eq!(subject.refuse(token).await, InvalidToken::Inactive);
    }
    assert_eq!(authority.asked("/tenant/introspect"), 1025);
}

#[tokio::test]
async fn an_outage_is_met_once_and_looked_after_at_growing_intervals() {
    let (authority, subject) = active(json!({ "sub": "u", "aud": RESOURCE })).await;
    authority.reply("/tenant/introspect", Reply::status(500));
    let asked = || authority.asked("/tenant/introspect");
    for (attempt, pause) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        let pause = Duration::from_secs(pause);
        assert_eq!(subject.unavailable(TOKEN).await, pause);
        for number in 0..20 {
            assert_eq!(subject.unavailable(&format!("token-{number}")).await, pause);
        }
        assert_eq!(asked(), attempt + 1);
        subject.clock.advance(pause.as_secs());
    }
    authority.forget("/tenant/introspect");
    subject.accept(TOKEN).await;
    assert_eq!(subject.refuse("another").await, InvalidToken::Inactive);
}

#[tokio::test]
async fn a_token_that_the_provider_will_not_judge_keeps_nobody_out() {
    let (authority, subject) = active(json!({ "sub": "u", "aud": RESOURCE })).await;
    authority.reply("/tenant/introspect", Reply::status(400));
    subject.unavailable("malformed").await;
    authority.forget("/tenant/introspect");
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
