//! The Scalekit profile: what its tokens look like in all their documented forms.

use serde_json::{Value, json};

use super::{
    RESOURCE, RESOURCE_ID, Subject,
    authority::{Authority, from_now},
    scalekit_audience, scalekit_section, scopes,
};
use crate::{
    config::ScalekitSection,
    tokens::{InvalidToken, Profile},
};

#[tokio::test]
async fn every_documented_form_of_token_is_accepted() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let resource_issuer = format!("{}/resources/{RESOURCE_ID}", authority.url());
    let table: Vec<(&str, Value)> = vec![
        ("issuer of the environment", json!({})),
        ("issuer of the resource", json!({ "iss": resource_issuer })),
        ("audience: server URL and resource id", json!({ "aud": [RESOURCE, RESOURCE_ID] })),
        ("audience: resource id in an array", json!({ "aud": [RESOURCE_ID] })),
        ("audience: resource id alone", json!({ "aud": RESOURCE_ID })),
        ("audience: other resources beside ours", json!({ "aud": ["res_2", RESOURCE_ID, "skc_1"] })),
        ("client id metadata document", json!({ "client_id": "https://client.example/.well-known/oauth/client.json" })),
        ("machine token", json!({ "sub": "m2m_3001", "client_id": "m2m_3001" })),
        ("expired ten seconds ago", json!({ "exp": from_now(-10) })),
        ("valid in half a minute", json!({ "nbf": from_now(30) })),
        ("issued in the future", json!({ "iat": from_now(4000) })),
        ("resource claim that is ours", json!({ "resource": RESOURCE })),
        ("expiry with a fraction", json!({ "exp": from_now(100) as f64 + 0.5 })),
        ("expiry beyond all calendars", json!({ "exp": 1e300 })),
        ("no jti, no client, no organisation", json!({ "jti": null, "client_id": null, "oid": null })),
        ("no scope at all", json!({ "scope": null })),
    ];
    for (name, over) in table {
        let verdict = subject.verify(&authority.token(&scalekit_audience(), &over)).await;
        assert!(verdict.is_ok(), "{name}: {verdict:?}");
    }
    assert_eq!(authority.asked("/keys"), 1, "one fetch of the keys serves all");
}

#[tokio::test]
async fn a_token_of_any_type_is_accepted_since_the_type_is_not_documented() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let claims = authority.claims(&scalekit_audience(), &json!({}));
    for kind in [json!(null), json!("JWT"), json!("at+jwt"), json!("application/at+JWT"), json!("access")] {
        let token = authority.key().token_with(&json!({ "typ": kind }), &claims);
        assert!(subject.verify(&token).await.is_ok(), "typ {kind}");
    }
}

#[tokio::test]
async fn scopes_are_the_union_of_all_the_claims_that_carry_them() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let table: Vec<(&str, Value, Vec<&str>)> = vec![
        ("string", json!({ "scope": "a b" }), vec!["a", "b"]),
        ("array under scope", json!({ "scope": ["a", "b"] }), vec!["a", "b"]),
        ("scopes array", json!({ "scope": null, "scopes": ["a"] }), vec!["a"]),
        ("scopes string", json!({ "scope": null, "scopes": "a b" }), vec!["a", "b"]),
        ("scp array", json!({ "scope": null, "scp": ["a"] }), vec!["a"]),
        ("both, disagreeing", json!({ "scope": "a b", "scopes": ["b", "c"], "scp": "d a" }), vec!["a", "b", "c", "d"]),
        ("blanks", json!({ "scope": "  a   b " }), vec!["a", "b"]),
        ("a blank in an element grants nothing", json!({ "scope": ["a b"] }), vec![]),
        ("what is no scope token grants nothing", json!({ "scope": "a \"b\" c\u{7f} ü" }), vec!["a"]),
        ("null", json!({ "scope": null, "scopes": Value::Null }), vec![]),
    ];
    for (name, over, expected) in table {
        let verified = subject.accept(&authority.token(&scalekit_audience(), &over)).await;
        assert_eq!(scopes(&verified), expected, "{name}");
    }
}

#[tokio::test]
async fn the_verdict_carries_whose_token_it_is() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let verified = subject.accept(&authority.token(&scalekit_audience(), &json!({}))).await;
    assert_eq!(*verified.provider, format!("scalekit:{}", authority.url()));
    assert_eq!(*verified.issuer, authority.url());
    assert_eq!(&*verified.subject, "usr_2001");
    assert_eq!(verified.client_id.as_deref(), Some("m2m_3001"));
    assert_eq!(verified.organisation.as_deref(), Some("org_4001"));
    assert_eq!(verified.token_id.as_deref(), Some("tkn_6001"));

    // Either spelling of the issuer is the same provider, so the principal stays the same.
    let iss = format!("{}/resources/{RESOURCE_ID}", authority.url());
    let other = subject.accept(&authority.token(&scalekit_audience(), &json!({ "iss": iss }))).await;
    assert_eq!(other.provider, verified.provider);

    let over = json!({ "oid": null, "org_id": "org_5", "client_id": null, "azp": "m2m_9" });
    let verified = subject.accept(&authority.token(&scalekit_audience(), &over)).await;
    assert_eq!(verified.organisation.as_deref(), Some("org_5"));
    assert_eq!(verified.client_id.as_deref(), Some("m2m_9"));
}

#[tokio::test]
async fn without_a_resource_id_the_audience_must_hold_the_resource() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    // An unset `${SCALEKIT_RESOURCE_ID:-}` is an empty string.
    for resource_id in [None, Some(String::new())] {
        let section = ScalekitSection { resource_id, ..scalekit_section(&authority) };
        let subject = Subject::new(Profile::scalekit(&section, RESOURCE).unwrap());
        assert_eq!(subject.verifier.authorization_servers(), [authority.url()]);
        subject.accept(&authority.token(&json!(RESOURCE), &json!({}))).await;
        let slash = format!("{RESOURCE}/");
        for other in [json!(RESOURCE_ID), json!(slash), json!("https://mcp.example.com")] {
            let refused = subject.refuse(&authority.token(&other, &json!({}))).await;
            assert_eq!(refused, InvalidToken::WrongAudience, "{other}");
        }
    }
}

#[tokio::test]
async fn further_audiences_are_accepted_where_configured() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let section = ScalekitSection { extra_audiences: vec!["res_old".into()], ..scalekit_section(&authority) };
    let subject = Subject::new(Profile::scalekit(&section, RESOURCE).unwrap());
    subject.accept(&authority.token(&json!(["res_old"]), &json!({}))).await;
    assert_eq!(subject.refuse(&authority.token(&json!("res_x"), &json!({}))).await, InvalidToken::WrongAudience);
}

#[tokio::test]
async fn the_resource_is_what_clients_are_sent_to() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    assert_eq!(subject.verifier.authorization_servers(), [format!("{}/resources/{RESOURCE_ID}", authority.url())]);
}
