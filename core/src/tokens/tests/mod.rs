//! Verifying against a real HTTP server on loopback. The clock is turned by hand; nothing sleeps.

#[path = "../../../../tests/src/authority/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the stand-in is shared with the black-box tests, which use all of it")]
mod authority;

mod dev;
mod hostile;
mod introspection;
mod keyring;
mod metadata;
mod profiles;
mod properties;
mod provider;
mod scalekit;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use self::authority::{Authority, CLIENT_ID, CLIENT_SECRET};
use super::{InvalidToken, Profile, ProviderClient, Verified, Verifier, VerifyError, clock};
use crate::config::{Algorithm, IntrospectionSection, OAuthSection, ScalekitSection, Secret, Validation};

/// The resource that all tests protect, byte for byte.
const RESOURCE: &str = "https://mcp.example.com/mcp";
/// Its id at Scalekit.
const RESOURCE_ID: &str = "res_1001";

/// A verifier and the clock that it goes by.
struct Subject {
    verifier: Arc<Verifier>,
    clock: Arc<clock::Manual>,
}

impl Subject {
    fn new(profile: Profile) -> Self {
        let manual = Arc::new(clock::Manual::new());
        let clock = clock::Clock::Manual(Arc::clone(&manual));
        let verifier = Verifier::with_clock(profile, Arc::new(ProviderClient::new()), clock);
        Self { verifier: Arc::new(verifier), clock: manual }
    }

    fn scalekit(authority: &Authority) -> Self {
        Self::new(Profile::scalekit(&scalekit_section(authority), RESOURCE).unwrap())
    }

    fn oauth(authority: &Authority) -> Self {
        Self::new(Profile::oauth(&oauth_section(&authority.issuer()), RESOURCE).unwrap())
    }

    fn introspecting(authority: &Authority) -> Self {
        Self::new(Profile::oauth(&introspection_section(&authority.issuer()), RESOURCE).unwrap())
    }

    async fn verify(&self, token: &str) -> Result<Arc<Verified>, VerifyError> {
        self.verifier.verify(token).await
    }

    async fn verify_owned(&self, token: String) -> Result<Arc<Verified>, VerifyError> {
        self.verify(&token).await
    }

    /// The verdict on a token that must hold.
    async fn accept(&self, token: &str) -> Arc<Verified> {
        self.verify(token).await.unwrap_or_else(|error| panic!("a good token was refused: {error}"))
    }

    /// The verdict on a token that must not.
    async fn refuse(&self, token: &str) -> InvalidToken {
        match self.verify(token).await {
            Err(VerifyError::Invalid(invalid)) => invalid,
            other => panic!("expected an invalid token, got {other:?}"),
        }
    }

    /// How long to wait, where it cannot be told.
    async fn unavailable(&self, token: &str) -> Duration {
        match self.verify(token).await {
            Err(VerifyError::Unavailable { retry_after, .. }) => retry_after,
            other => panic!("expected that it cannot be told, got {other:?}"),
        }
    }
}

fn scalekit_section(authority: &Authority) -> ScalekitSection {
    ScalekitSection {
        environment_url: authority.url().parse().unwrap(),
        resource_id: Some(RESOURCE_ID.to_owned()),
        extra_audiences: Vec::new(),
    }
}

fn oauth_section(issuer: &str) -> OAuthSection {
    OAuthSection {
        issuer: issuer.to_owned(),
        audience: Vec::new(),
        algorithms: vec![Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA],
        validation: Validation::Jwt,
        introspection: None,
    }
}

fn introspection_section(issuer: &str) -> OAuthSection {
    let ours = IntrospectionSection {
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET),
        endpoint: None,
    };
    OAuthSection { validation: Validation::Introspection, introspection: Some(ours), ..oauth_section(issuer) }
}

/// What a good token of the Scalekit stand-in is for.
fn scalekit_audience() -> Value {
    json!([RESOURCE, RESOURCE_ID])
}

fn scopes(verified: &Verified) -> Vec<&str> {
    verified.scopes.iter().map(|scope| &**scope).collect()
}
