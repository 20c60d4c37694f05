//! The development profile: keys and revocations in the process, no requests.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};

use super::{
    RESOURCE, Subject,
    authority::{SigningKey, from_now, merged},
};
use crate::{
    config::Algorithm,
    tokens::{DevProfile, InvalidToken, MetadataDocument, Profile, RegisterError, Unreachable, VerifyError},
};

const ISSUER: &str = "http://localhost:10000/dev/auth";

/// An embedded server's keys and revocations.
#[derive(Clone, Default)]
struct Embedded {
    keys: Arc<Mutex<Vec<SigningKey>>>,
    revoked: Arc<Mutex<HashSet<String>>>,
}

impl Embedded {
    fn publish(&self, keys: &[&SigningKey]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| (*key).clone()).collect();
    }

    fn subject(&self) -> Subject {
        let (keys, revoked) = (Arc::clone(&self.keys), Arc::clone(&self.revoked));
        let set = move || -> JwkSet {
            let keys: Vec<Value> = keys.lock().unwrap().iter().map(SigningKey::jwk).collect();
            serde_json::from_value(json!({ "keys": keys })).unwrap()
        };
        Subject::new(Profile::dev(DevProfile {
            issuer: ISSUER.to_owned(),
            resource: RESOURCE.to_owned(),
            algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
            keys: Arc::new(set),
            revoked: Arc::new(move |id| revoked.lock().unwrap().contains(id)),
        }))
    }
}

fn token(key: &SigningKey, over: Value) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "dev-user", "client_id": "c", "scope": "a", "jti": "t1",
        "exp": from_now(600),
    });
    key.token_with(&json!({ "typ": "at+jwt" }), &merged(claims, &over))
}

#[tokio::test]
async fn a_token_of_the_embedded_server_is_accepted_and_remembered() {
    let (embedded, key) = (Embedded::default(), SigningKey::ec("k1"));
    embedded.publish(&[&key]);
    let subject = embedded.subject();
    let token = token(&key, json!({}));
    let first = subject.accept(&token).await;
    assert_eq!(&*first.provider, "dev");
    assert!(Arc::ptr_eq(&first, &subject.accept(&token).await));
    assert_eq!(subject.verifier.authorization_servers(), [ISSUER]);
}

#[tokio::test]
async fn a_revocation_counts_at_once() {
    let (embedded, key) = (Embedded::default(), SigningKey::ed("k1"));
    embedded.publish(&[&key]);
    let subject = embedded.subject();
    let token = token(&key, json!({}));
    subject.accept(&token).await;
    embedded.revoked.lock().unwrap().insert("t1".to_owned());
    assert_eq!(subject.refuse(&token).await, InvalidToken::Revoked);
}

#[tokio::test]
async fn a_withdrawn_key_takes_its_tokens_along_at_once() {
    let (embedded, old, new) = (Embedded::default(), SigningKey::ec("k1"), SigningKey::ec("k2"));
    embedded.publish(&[&old]);
    let subject = embedded.subject();
    subject.accept(&token(&old, json!({}))).await;
    embedded.publish(&[&new]);
    assert_eq!(subject.refuse(&token(&old, json!({}))).await, InvalidToken::UnknownKey);
    subject.accept(&token(&new, json!({}))).await;
}

#[tokio::test]
async fn what_cannot_be_revoked_or_is_signed_otherwise_is_refused() {
    let (embedded, key) = (Embedded::default(), SigningKey::ec("k1"));
    embedded.publish(&[&key]);
    let subject = embedded.subject();
    assert_eq!(subject.refuse(&token(&key, json!({ "jti": null }))).await, InvalidToken::MissingClaim("jti"));
    let rsa = token(&SigningKey::rsa("k1"), json!({}));
    assert_eq!(subject.refuse(&rsa).await, InvalidToken::UnsupportedAlgorithm);
    assert_eq!(subject.refuse(&token(&key, json!({ "aud": "x" }))).await, InvalidToken::WrongAudience);
}

#[tokio::test]
async fn without_keys_it_cannot_be_told() {
    let subject = Embedded::default().subject();
    let verdict = subject.verify(&token(&SigningKey::ec("k1"), json!({}))).await;
    assert!(matches!(verdict, Err(VerifyError::Unavailable { .. })), "{verdict:?}");
}

#[tokio::test]
async fn its_documents_are_served_elsewhere() {
    let subject = Embedded::default().subject();
    let passed = subject.verifier.metadata(MetadataDocument::OauthAuthorizationServer).await;
    assert_eq!(passed, Err(Unreachable::Embedded));
    let registered = subject.verifier.register(Bytes::new(), None).await;
    assert_eq!(registered, Err(RegisterError::Unreachable(Unreachable::Embedded)));
}
