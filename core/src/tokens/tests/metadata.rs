//! Discovery, and the provider's documents passed through.

use bytes::Bytes;
use serde_json::json;

use super::{
    RESOURCE, RESOURCE_ID, Subject,
    authority::{Authority, Reply},
    oauth_section,
};
use crate::tokens::{
    MetadataDocument::{OauthAuthorizationServer, OpenidConfiguration},
    Profile, RegisterError, SignInEndpoints, Unreachable, VerifyError,
};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// Each place alone must do, and those before it must have been tried, in this order.
#[tokio::test]
async fn discovery_tries_the_places_in_the_order_of_the_specification() {
    for (path, places) in [
        ("", vec![OAUTH.to_owned(), OPENID.to_owned()]),
        ("/tenant", vec![format!("{OAUTH}/tenant"), format!("{OPENID}/tenant"), format!("/tenant{OPENID}")]),
        ("/a/b", vec![format!("{OAUTH}/a/b"), format!("{OPENID}/a/b"), format!("/a/b{OPENID}")]),
    ] {
        for (number, place) in places.iter().enumerate() {
            let authority = Authority::generic(path).await;
            authority.forget(&format!("{OAUTH}{path}"));
            authority.reply(place, Reply::json(&authority.metadata()));
            let subject = Subject::oauth(&authority);
            subject.accept(&authority.token(&json!(RESOURCE), &json!({}))).await;
            let asked: Vec<_> = authority.log().into_iter().map(|asked| asked.path).collect();
            let mut expected = places[..=number].to_vec();
            expected.push(authority.keys_path());
            assert_eq!(asked, expected, "issuer path {path:?}, document at {place}");
        }
    }
}

#[tokio::test]
async fn a_document_of_another_issuer_is_not_used() {
    let authority = Authority::generic("/tenant").await;
    let place = format!("{OAUTH}/tenant");
    for issuer in [
        json!(authority.url()),
        json!(format!("{}/", authority.issuer())),
        json!("https://x.example"),
        json!(null),
        json!(7),
    ] {
        let mut metadata = authority.metadata();
        metadata["issuer"] = issuer.clone();
        authority.reply(&place, Reply::json(&metadata));
        let subject = Subject::oauth(&authority);
        let verdict = subject.verify(&authority.token(&json!(RESOURCE), &json!({}))).await;
        let Err(VerifyError::Unavailable { reason, .. }) = verdict else { panic!("{issuer}: {verdict:?}") };
        assert!(reason.contains("another issuer"), "{issuer}: {reason}");
        let passed = subject.verifier.metadata(OauthAuthorizationServer).await;
        assert!(matches!(passed, Err(Unreachable::IssuerMismatch { .. })), "{issuer}: {passed:?}");
    }
    // The next place may hold the right one.
    authority.reply(&format!("{OPENID}/tenant"), Reply::json(&authority.metadata()));
    Subject::oauth(&authority).accept(&authority.token(&json!(RESOURCE), &json!({}))).await;
}

#[tokio::test]
async fn an_issuer_that_ends_in_a_slash_is_found_and_compared_as_it_is() {
    let authority = Authority::generic("").await;
    let issuer = format!("{}/", authority.url());
    let mut metadata = authority.metadata();
    metadata["issuer"] = json!(issuer);
    authority.reply(OAUTH, Reply::json(&metadata));
    let subject = Subject::new(Profile::oauth(&oauth_section(&issuer), RESOURCE).unwrap());
    subject.accept(&authority.token(&json!(RESOURCE), &json!({ "iss": issuer }))).await;
    subject.refuse(&authority.token(&json!(RESOURCE), &json!({}))).await;
}

#[tokio::test]
async fn metadata_that_is_no_document_is_passed_over() {
    let authority = Authority::generic("").await;
    authority.reply(OAUTH, Reply::text("text/html", "<html>"));
    authority.reply(OPENID, Reply::json(&authority.metadata()));
    let subject = Subject::oauth(&authority);
    subject.accept(&authority.token(&json!(RESOURCE), &json!({}))).await;
    let passed = subject.verifier.metadata(OauthAuthorizationServer).await;
    assert!(matches!(passed, Err(Unreachable::Unusable { .. })), "{passed:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let authority = Authority::generic("").await;
    let keys = json!({ "keys": [authority.key().jwk()] });
    authority.reply("/elsewhere", Reply::json(&keys));
    authority.reply("/jwks", Reply::redirect("/elsewhere"));
    let verdict = Subject::oauth(&authority).verify(&authority.token(&json!(RESOURCE), &json!({}))).await;
    assert!(matches!(verdict, Err(VerifyError::Unavailable { .. })), "{verdict:?}");
    assert_eq!(authority.asked("/elsewhere"), 0);
}

#[tokio::test]
async fn keys_in_the_clear_elsewhere_are_not_fetched() {
    let authority = Authority::generic("").await;
    for keys in ["http://keys.example/jwks", "file:///etc/passwd", "keys", "https://user:pw@keys.example/jwks"] {
        let mut metadata = authority.metadata();
        metadata["jwks_uri"] = json!(keys);
        authority.reply(OAUTH, Reply::json(&metadata));
        let verdict = Subject::oauth(&authority).verify(&authority.token(&json!(RESOURCE), &json!({}))).await;
        let Err(VerifyError::Unavailable { reason, .. }) = verdict else { panic!("{keys}: {verdict:?}") };
        assert!(reason.contains("jwks_uri"), "{keys}: {reason}");
    }
}

#[tokio::test]
async fn scalekits_document_is_passed_through_byte_for_byte() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let inserted = format!("{OAUTH}/resources/{RESOURCE_ID}");
    // Spaces, order, an issuer that is not the place's: all stays.
    for issuer in [authority.issuer(), authority.url()] {
        let body = format!("{{ \"b\":1,\n  \"issuer\" : \"{issuer}\",\"a\":2 }}");
        authority.reply(&inserted, Reply::text("application/json;x=y", body.clone()));
        let passed = Subject::scalekit(&authority).verifier.metadata(OauthAuthorizationServer).await.unwrap();
        assert_eq!((passed.status.as_u16(), passed.content_type.as_deref()), (200, Some("application/json;x=y")));
        assert_eq!(passed.body, body);
    }
}

#[tokio::test]
async fn scalekits_appended_place_is_tried_when_the_inserted_one_has_nothing() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    authority.forget(&format!("{OAUTH}/resources/{RESOURCE_ID}"));
    authority.reply(&format!("/resources/{RESOURCE_ID}{OAUTH}"), Reply::json(&authority.metadata()));
    let subject = Subject::scalekit(&authority);
    let passed = subject.verifier.metadata(OauthAuthorizationServer).await.unwrap();
    assert_eq!(passed.status, 200);
    subject.verifier.register(Bytes::from_static(b"{}"), None).await.unwrap();
}

#[tokio::test]
async fn the_providers_refusal_is_passed_through() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let passed = subject.verifier.metadata(OpenidConfiguration).await.unwrap();
    assert_eq!((passed.status.as_u16(), passed.content_type.as_deref()), (404, Some("application/json")));
    assert_eq!(passed.body, Reply::status(404).body);
    let asked = authority.log().len();
    subject.verifier.metadata(OpenidConfiguration).await.unwrap();
    assert_eq!(authority.log().len(), asked, "the refusal is remembered");
    subject.clock.advance(60);
    subject.verifier.metadata(OpenidConfiguration).await.unwrap();
    assert!(authority.log().len() > asked, "for a minute");
}

#[tokio::test]
async fn a_document_is_kept_for_five_minutes_and_through_an_outage() {
    let authority = Authority::generic("").await;
    let subject = Subject::oauth(&authority);
    let first = subject.verifier.metadata(OauthAuthorizationServer).await.unwrap();
    subject.clock.advance(299);
    subject.verifier.metadata(OauthAuthorizationServer).await.unwrap();
    assert_eq!(authority.asked(OAUTH), 1);
    subject.clock.advance(2);
    subject.verifier.metadata(OauthAuthorizationServer).await.unwrap();
    assert_eq!(authority.asked(OAUTH), 2);
    authority.reply(OAUTH, Reply::status(503));
    subject.clock.advance(301);
    for _ in 0..10 {
        assert_eq!(subject.verifier.metadata(OauthAuthorizationServer).await.unwrap(), first);
    }
    assert_eq!(authority.asked(OAUTH), 3, "a provider in trouble is left alone for a while");
    subject.clock.advance(31);
    subject.verifier.metadata(OauthAuthorizationServer).await.unwrap();
    assert_eq!(authority.asked(OAUTH), 4);
    // While one waits for the provider, the others have the copy at once.
    subject.clock.advance(31);
    authority.hold();
    let waiting = subject.verifier.metadata(OauthAuthorizationServer);
    let others = async {
        while authority.asked(OAUTH) < 5 {
            tokio::task::yield_now().await;
        }
        assert_eq!(subject.verifier.metadata(OauthAuthorizationServer).await.unwrap(), first);
        authority.release();
    };
    let (waited, ()) = tokio::join!(waiting, others);
    assert_eq!(waited.unwrap(), first);
}

#[tokio::test]
async fn without_a_copy_an_outage_is_told_with_its_cause() {
    let authority = Authority::generic("").await;
    let subject = Subject::oauth(&authority);
    authority.go_down().await;
    let passed = subject.verifier.metadata(OauthAuthorizationServer).await;
    assert!(matches!(passed, Err(Unreachable::NoAnswer { .. })), "{passed:?}");
    let registered = subject.verifier.register(Bytes::new(), None).await;
    assert!(matches!(registered, Err(RegisterError::Unreachable(_))), "{registered:?}");
    authority.come_up().await;
    subject.clock.advance(5);
    subject.verifier.metadata(OauthAuthorizationServer).await.unwrap();
}

#[tokio::test]
async fn those_who_come_together_share_one_document() {
    let authority = Authority::generic("").await;
    let subject = Subject::oauth(&authority);
    let calls = (0..20).map(|_| subject.verifier.metadata(OauthAuthorizationServer));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(authority.asked(OAUTH), 1);
}

#[tokio::test]
async fn a_registration_is_handed_on_and_its_answer_back() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let request = Bytes::from_static(br#"{"client_name":"x","redirect_uris":["http://localhost/cb"]}"#);
    let answer = subject.verifier.register(request.clone(), Some("application/json; charset=utf-8")).await.unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.body.starts_with(b"{\"client_name\":\"x\""));
    let asked = authority.log().pop().unwrap();
    assert_eq!((asked.method.as_str(), &asked.body), ("POST", &request));
    assert_eq!(asked.content_type.as_deref(), Some("application/json; charset=utf-8"));
    assert_eq!(asked.path, format!("/api/v1/resources/{RESOURCE_ID}/clients:register"));

    let refused = subject.verifier.register(Bytes::from_static(b"no"), None).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body[..]), (400, &br#"{"error":"invalid_client_metadata"}"#[..]));
}

#[tokio::test]
async fn registration_is_not_offered_where_the_metadata_names_none() {
    let authority = Authority::generic("").await;
    let mut metadata = authority.metadata();
    metadata.as_object_mut().unwrap().remove("registration_endpoint");
    authority.reply(OAUTH, Reply::json(&metadata));
    let answer = Subject::oauth(&authority).verifier.register(Bytes::new(), None).await;
    assert_eq!(answer, Err(RegisterError::NotOffered));
}

#[tokio::test]
async fn where_people_sign_in_is_learnt_from_the_metadata_and_followed_when_it_moves() {
    let authority = Authority::generic("").await;
    let subject = Subject::oauth(&authority);
    authority.go_down().await;
    assert!(matches!(subject.verifier.sign_in().await, Err(Unreachable::NoAnswer { .. })));
    assert_eq!(subject.verifier.known_sign_in(), None);
    authority.come_up().await;
    subject.clock.advance(5);
    let issuer = authority.issuer();
    let learnt = SignInEndpoints {
        issuer: Some(issuer.clone()),
        names_issuer: false,
        authorization: format!("{issuer}/oauth/authorize"),
        token: format!("{issuer}/oauth/token"),
        registration: Some(format!("{issuer}/register")),
    };
    assert_eq!(subject.verifier.known_sign_in(), None, "what is known is not asked for");
    assert_eq!(subject.verifier.sign_in().await, Ok(learnt.clone()));

    let mut metadata = authority.metadata();
    metadata["token_endpoint"] = json!(format!("{issuer}/elsewhere"));
    metadata["registration_endpoint"] = json!("http://as.example/in-the-clear");
    metadata["authorization_response_iss_parameter_supported"] = json!(true);
    authority.reply(OAUTH, Reply::json(&metadata));
    assert_eq!(subject.verifier.sign_in().await, Ok(learnt.clone()));
    subject.clock.advance(300);
    let moved =
        SignInEndpoints { names_issuer: true, token: format!("{issuer}/elsewhere"), registration: None, ..learnt };
    assert_eq!(subject.verifier.sign_in().await, Ok(moved.clone()));

    // An outage takes away nothing that is known.
    authority.go_down().await;
    subject.clock.advance(300);
    assert_eq!(subject.verifier.sign_in().await, Ok(moved.clone()));
    assert_eq!(subject.verifier.known_sign_in(), Some(moved));
}

#[tokio::test]
async fn a_provider_without_an_authorization_endpoint_signs_nobody_in() {
    let authority = Authority::generic("").await;
    let mut metadata = authority.metadata();
    metadata.as_object_mut().unwrap().remove("authorization_endpoint");
    authority.reply(OAUTH, Reply::json(&metadata));
    let verifier = Subject::oauth(&authority).verifier;
    assert!(matches!(verifier.sign_in().await, Err(Unreachable::NotNamed { member: "authorization_endpoint", .. })));
}

#[tokio::test]
async fn scalekit_is_known_without_being_asked() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let known = subject.verifier.sign_in().await.unwrap();
    assert_eq!(subject.verifier.known_sign_in().as_ref(), Some(&known));
    assert_eq!(authority.log().len(), 0);
    let metadata = authority.metadata();
    assert_eq!(metadata["authorization_endpoint"], known.authorization);
    assert_eq!(metadata["token_endpoint"], known.token);
    assert_eq!(metadata["registration_endpoint"], json!(known.registration));
}
