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
    keys: Vec<SigningKey>,
    revoked: Arc<Mutex<HashSet<String>>>,
}

impl Embedded {
    fn with(key: &SigningKey) -> Self {
        Self { keys: vec![key.clone()], revoked: Arc::default() }
    }

    fn subject(&self) -> Subject {
        let revoked = Arc::clone(&self.revoked);
        let keys: Vec<Value> = self.keys.iter().map(SigningKey::jwk).collect();
        let keys: JwkSet = serde_json::from_value(json!({ "keys": keys })).unwrap();
        Subject::new(Profile::dev(DevProfile {
            issuer: ISSUER.to_owned(),
            resource: RESOURCE.to_owned(),
            algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
            keys,
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
    let key = SigningKey::ec("k1");
    let embedded = Embedded::with(&key);
    let subject = embedded.subject();
    let token = token(&key, json!({}));
    let first = subject.accept(&token).await;
    assert_eq!(&*first.provider, "dev");
    assert!(Arc::ptr_eq(&first, &subject.accept(&token).await));
    assert_eq!(subject.verifier.authorization_servers(), [ISSUER]);
}

#[tokio::test]
async fn a_revocation_counts_at_once() {
    let key = SigningKey::ed("k1");
    let embedded = Embedded::with(&key);
    let subject = embedded.subject();
    let token = token(&key, json!({}));
    subject.accept(&token).await;
    embedded.revoked.lock().unwrap().insert("t1".to_owned());
    assert_eq!(subject.refuse(&token).await, InvalidToken::Revoked);
}

#[tokio::test]
async fn a_key_that_it_does_not_have_vouches_for_nothing() {
    let subject = Embedded::with(&SigningKey::ec("k1")).subject();
    assert_eq!(subject.refuse(&token(&SigningKey::ec("k2"), json!({}))).await, InvalidToken::UnknownKey);
}

#[tokio::test]
async fn what_cannot_be_revoked_or_is_signed_otherwise_is_refused() {
    let key = SigningKey::ec("k1");
    let embedded = Embedded::with(&key);
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
