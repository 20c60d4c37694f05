//! When keys are fetched, and what happens while they cannot be.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    RESOURCE, RESOURCE_ID, Subject,
    authority::{Authority, Reply, SigningKey, from_now},
    scalekit_audience,
};
use crate::tokens::{InvalidToken, VerifyError};

fn token(authority: &Authority, number: usize) -> String {
    authority.token(&scalekit_audience(), &json!({ "jti": format!("tkn_{number}") }))
}

async fn warm() -> (Authority, Subject) {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    subject.accept(&token(&authority, 0)).await;
    (authority, subject)
}

#[tokio::test]
async fn nothing_is_fetched_before_a_token_needs_it() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    subject.refuse("garbage").await;
    subject.refuse(&authority.token(&scalekit_audience(), &json!({ "iss": "https://evil.example" }))).await;
    subject.refuse(&authority.token(&scalekit_audience(), &json!({ "exp": 1 }))).await;
    assert_eq!(authority.log().len(), 0);
    subject.accept(&token(&authority, 0)).await;
    let log = authority.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].path, "/keys");
    assert_eq!(log[0].user_agent.as_deref(), Some(concat!("toolgate/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn those_who_come_together_share_one_fetch() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    authority.hold();
    let tokens: Vec<_> = (0..50).map(|number| token(&authority, number)).collect();
    let calls = futures_util::future::join_all(tokens.iter().map(|token| subject.verify(token)));
    let release = async {
        while authority.asked("/keys") == 0 {
            tokio::task::yield_now().await;
        }
        authority.release();
    };
    let (verdicts, ()) = tokio::join!(calls, release);
    assert!(verdicts.iter().all(Result::is_ok));
    assert_eq!(authority.asked("/keys"), 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_the_fetch_to_the_others() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    authority.hold();
    let first = token(&authority, 1);
    let verifier = Arc::clone(&subject.verifier);
    let leaver = tokio::spawn(async move { verifier.verify(&first).await });
    while authority.asked("/keys") == 0 {
        tokio::task::yield_now().await;
    }
    leaver.abort();
    assert!(leaver.await.unwrap_err().is_cancelled());
    let (verdict, ()) = tokio::join!(subject.verify_owned(token(&authority, 2)), async { authority.release() });
    assert!(verdict.is_ok(), "{verdict:?}");
    assert_eq!(authority.asked("/keys"), 1, "the fetch of the one who left was used");
}

#[tokio::test]
async fn a_rotation_needs_no_restart() {
    let (authority, subject) = warm().await;
    let old = token(&authority, 1);
    subject.accept(&old).await;
    authority.rotate(SigningKey::another_rsa("snk_2"));
    subject.accept(&token(&authority, 2)).await;
    assert_eq!(authority.asked("/keys"), 2);
    // The old key was withdrawn, and with it what was verified by it.
    assert_eq!(subject.refuse(&old).await, InvalidToken::UnknownKey);
}

#[tokio::test]
async fn a_rotation_that_keeps_the_old_key_keeps_its_tokens() {
    let (authority, subject) = warm().await;
    let old = token(&authority, 1);
    authority.add_key(SigningKey::another_rsa("snk_2"));
    subject.accept(&token(&authority, 2)).await;
    subject.accept(&old).await;
    assert_eq!(authority.asked("/keys"), 2);
}

#[tokio::test]
async fn a_storm_of_unknown_keys_costs_one_fetch_in_thirty_seconds() {
    let (authority, subject) = warm().await;
    let claims = authority.claims(&scalekit_audience(), &json!({}));
    let storm = async |round: usize| {
        for number in 0..40 {
            let forged = SigningKey::another_rsa(&format!("snk_{round}_{number}")).token(&claims);
            assert_eq!(subject.refuse(&forged).await, InvalidToken::UnknownKey);
        }
    };
    storm(1).await;
    assert_eq!(authority.asked("/keys"), 2);
    subject.clock.advance(29);
    storm(2).await;
    assert_eq!(authority.asked("/keys"), 2);
    subject.clock.advance(1);
    storm(3).await;
    assert_eq!(authority.asked("/keys"), 3);
}

#[tokio::test]
async fn an_unknown_key_on_a_cold_start_costs_one_fetch_in_all() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let forged = SigningKey::another_rsa("snk_x").token(&authority.claims(&scalekit_audience(), &json!({})));
    assert_eq!(subject.refuse(&forged).await, InvalidToken::UnknownKey);
    assert_eq!(authority.asked("/keys"), 1);
}

#[tokio::test]
async fn without_keys_it_cannot_be_told_and_the_provider_is_not_hammered() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    authority.reply("/keys", Reply::status(500));
    let mut pauses = Vec::new();
    for fetches in 1..=8 {
        let pause = subject.unavailable(&token(&authority, 0)).await;
        assert_eq!(authority.asked("/keys"), fetches);
        // At once, and just before the pause is over, nobody is asked again.
        assert!(subject.unavailable(&token(&authority, 0)).await >= Duration::from_secs(1));
        subject.clock.advance(pause.as_secs() - 1);
        subject.unavailable(&token(&authority, 0)).await;
        assert_eq!(authority.asked("/keys"), fetches);
        subject.clock.advance(1);
        pauses.push(pause.as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    // What needs no key to be refused is refused all the same.
    let expired = authority.token(&scalekit_audience(), &json!({ "exp": from_now(-3600) }));
    assert_eq!(subject.refuse(&expired).await, InvalidToken::Expired);

    authority.rotate(SigningKey::rsa("snk_1"));
    subject.accept(&token(&authority, 0)).await;
}

#[tokio::test]
async fn the_reason_names_what_could_not_be_reached() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    authority.go_down().await;
    let token = token(&authority, 0);
    let Err(VerifyError::Unavailable { reason, .. }) = subject.verify(&token).await else { panic!("told") };
    assert!(reason.starts_with(&format!("no answer from \"{}/keys\": ", authority.url())), "{reason}");
    assert!(reason.ends_with("; see that it is reachable from here"), "{reason}");
    assert!(!reason.contains(&token), "{reason}");
    authority.come_up().await;
    subject.clock.advance(1);
    subject.accept(&token).await;
}

#[tokio::test]
async fn once_known_an_outage_is_not_noticed() {
    let (authority, subject) = warm().await;
    authority.go_down().await;
    for hours in 0..30 {
        let over = json!({ "exp": from_now(1_000_000), "jti": format!("t{hours}") });
        subject.accept(&authority.token(&scalekit_audience(), &over)).await;
        subject.clock.advance(3600);
    }
    // A key that nobody has seen is unknown, not unavailable: otherwise an invented `kid` would make an outage.
    let claims = authority.claims(&scalekit_audience(), &json!({ "exp": from_now(1_000_000) }));
    let forged = SigningKey::another_rsa("snk_2").token(&claims);
    assert_eq!(subject.refuse(&forged).await, InvalidToken::UnknownKey);
    // When the provider is back, so are its new keys, as soon as it may be asked again.
    authority.come_up().await;
    authority.rotate(SigningKey::another_rsa("snk_2"));
    subject.clock.advance(30);
    subject.accept(&SigningKey::another_rsa("snk_2").token(&claims)).await;
}

#[tokio::test]
async fn old_keys_are_fetched_anew_behind_the_back() {
    let (authority, subject) = warm().await;
    let long = json!({ "exp": from_now(1_000_000) });
    subject.clock.advance(3599);
    subject.accept(&authority.token(&scalekit_audience(), &long)).await;
    assert_eq!(authority.asked("/keys"), 1);
    subject.clock.advance(2);
    // The answer does not wait for the provider …
    authority.hold();
    subject.accept(&authority.token(&scalekit_audience(), &json!({ "exp": from_now(1_000_000), "jti": "2" }))).await;
    // … which is asked all the same.
    while authority.asked("/keys") < 2 {
        tokio::task::yield_now().await;
    }
    authority.release();
}

#[tokio::test]
async fn after_a_long_sleep_a_withdrawn_key_is_noticed_by_the_first_token() {
    let (authority, subject) = warm().await;
    let old = authority.token(&scalekit_audience(), &json!({ "exp": from_now(1_000_000) }));
    authority.rotate(SigningKey::another_rsa("snk_2"));
    subject.clock.advance(3 * 3600);
    assert_eq!(subject.refuse(&old).await, InvalidToken::UnknownKey);
}

#[tokio::test]
async fn a_verdict_is_remembered_without_asking_and_dies_with_its_token() {
    let (authority, subject) = warm().await;
    let token = authority.token(&scalekit_audience(), &json!({ "exp": from_now(100) }));
    let first = subject.accept(&token).await;
    authority.go_down().await;
    let again = subject.accept(&token).await;
    assert!(Arc::ptr_eq(&first, &again), "the verdict was reached twice");
    assert_eq!(authority.asked("/keys"), 1);
    subject.clock.advance(158);
    assert!(Arc::ptr_eq(&first, &subject.accept(&token).await), "within the leeway");
    subject.clock.advance(3);
    assert_eq!(subject.refuse(&token).await, InvalidToken::Expired);
}

#[tokio::test]
async fn a_verdict_is_reached_anew_after_five_minutes() {
    let (authority, subject) = warm().await;
    let token = token(&authority, 1);
    let first = subject.accept(&token).await;
    subject.clock.advance(299);
    assert!(Arc::ptr_eq(&first, &subject.accept(&token).await));
    subject.clock.advance(2);
    assert!(!Arc::ptr_eq(&first, &subject.accept(&token).await));
}

#[tokio::test]
async fn key_sets_that_are_none_leave_us_without_keys() {
    let weak = "AQAB".repeat(40);
    let rsa = SigningKey::rsa("snk_1").jwk();
    let with = |over: Value| super::authority::merged(rsa.clone(), &over);
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("no JSON", b"<html>".to_vec()),
        ("an array", b"[]".to_vec()),
        ("no keys member", b"{}".to_vec()),
        ("no key", br#"{"keys":[]}"#.to_vec()),
        ("keys that are an object", br#"{"keys":{}}"#.to_vec()),
        ("longer than 1 MiB", format!(r#"{{"keys":[{rsa}],"pad":"{}"}}"#, "x".repeat(1024 * 1024)).into_bytes()),
        ("junk alone", json!({ "keys": [null, 1, "x", [], {}] }).to_string().into_bytes()),
        (
            "a symmetric key",
            json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "snk_1" }] }).to_string().into_bytes(),
        ),
        ("an RSA key below 2048 bits", json!({ "keys": [with(json!({ "n": weak }))] }).to_string().into_bytes()),
        ("an exponent of one", json!({ "keys": [with(json!({ "e": "AQ" }))] }).to_string().into_bytes()),
        ("an even exponent", json!({ "keys": [with(json!({ "e": "AQAA" }))] }).to_string().into_bytes()),
        ("a key for encryption", json!({ "keys": [with(json!({ "use": "enc" }))] }).to_string().into_bytes()),
        ("a key that only signs", json!({ "keys": [with(json!({ "key_ops": ["sign"] }))] }).to_string().into_bytes()),
        ("a key of another algorithm", json!({ "keys": [with(json!({ "alg": "RS512" }))] }).to_string().into_bytes()),
        ("keys of other types only", json!({ "keys": [SigningKey::ec("snk_1").jwk()] }).to_string().into_bytes()),
    ];
    for (name, body) in table {
        let authority = Authority::scalekit(RESOURCE_ID).await;
        authority.reply("/keys", Reply::text("application/json", body));
        let subject = Subject::scalekit(&authority);
        let verdict = subject.verify(&token(&authority, 0)).await;
        assert!(matches!(verdict, Err(VerifyError::Unavailable { .. })), "{name}: {verdict:?}");
    }
}

#[tokio::test]
async fn a_key_set_that_breaks_later_leaves_what_was_known() {
    let (authority, subject) = warm().await;
    authority.reply("/keys", Reply::json(&json!({ "keys": [] })));
    subject.clock.advance(3 * 3600);
    subject.accept(&authority.token(&scalekit_audience(), &json!({ "exp": from_now(1_000_000) }))).await;
}

#[tokio::test]
async fn unusable_keys_in_a_set_are_skipped() {
    let authority = Authority::generic("").await;
    let (rsa, ec, ed) = (SigningKey::rsa("rsa"), SigningKey::ec("ec"), SigningKey::ed("ed"));
    let over = |jwk: Value, over: Value| super::authority::merged(jwk, &over);
    let keys = json!({ "keys": [
        null, "junk", { "kty": "oct", "k": "AAAA", "kid": "rsa" }, { "kty": "EC", "crv": "secp256k1", "kid": "ec" },
        over(ec.jwk(), json!({ "y": ec.jwk()["x"] })),
        over(ec.jwk(), json!({ "x": "AAAA" })),
        over(ed.jwk(), json!({ "crv": "Ed448" })),
        over(ed.jwk(), json!({ "alg": "RS256" })),
        over(rsa.jwk(), json!({ "kid": 7 })),
        over(rsa.jwk(), json!({ "use": "enc", "kid": "private-use" })),
        // Another key under the same id: both are tried.
        SigningKey::another_rsa("rsa").jwk(), rsa.jwk(), ec.jwk(), ed.jwk(),
    ] });
    authority.reply("/jwks", Reply::json(&keys));
    let subject = Subject::oauth(&authority);
    let claims = authority.claims(&json!(RESOURCE), &json!({}));
    for key in [&rsa, &SigningKey::another_rsa("rsa"), &ec, &ed] {
        subject.accept(&key.token(&claims)).await;
    }
    let private = SigningKey::rsa("private-use").token(&claims);
    assert_eq!(subject.refuse(&private).await, InvalidToken::UnknownKey);
    // Two RSA keys and no `kid`: which one is meant?
    assert_eq!(subject.refuse(&rsa.nameless().token(&claims)).await, InvalidToken::MissingKeyId);
    subject.accept(&ec.nameless().token(&claims)).await;
}

#[tokio::test]
async fn keys_without_ids_can_be_rotated_too() {
    let authority = Authority::generic("").await;
    authority.rotate(SigningKey::ec("x").nameless());
    let subject = Subject::oauth(&authority);
    subject.accept(&authority.token(&json!(RESOURCE), &json!({}))).await;
    authority.rotate(SigningKey::ec("x").nameless());
    subject.accept(&authority.token(&json!(RESOURCE), &json!({}))).await;
    assert_eq!(authority.asked("/jwks"), 2);
}
