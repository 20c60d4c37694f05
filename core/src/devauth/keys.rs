//! The key that signs access tokens, and the tokens' shape (RFC 9068).
//!
//! Owns ES256 and the JWK set; where the key is kept is `state_dir`'s.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use serde::{Deserialize, Serialize};

/// What an access token says (RFC 9068 section 2.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) aud: Audience,
    pub(super) client_id: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(super) scope: String,
    pub(super) iat: u64,
    pub(super) exp: u64,
    pub(super) jti: String,
}

/// One resource as a string, several as an array (RFC 7519 section 4.1.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl From<Vec<String>> for Audience {
    fn from(resources: Vec<String>) -> Self {
        match <[String; 1]>::try_from(resources) {
            Ok([only]) => Self::One(only),
            Err(several) => Self::Several(several),
        }
    }
}

/// A P-256 key pair, ready to sign and to verify.
pub(super) struct SigningKey {
    id: String,
    signs: EncodingKey,
    verifies: DecodingKey,
    key_set: JwkSet,
}

impl SigningKey {
    /// A new key and its PKCS #8 encoding.
    pub(super) fn generate() -> Option<(Self, Vec<u8>)> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok()?;
        let pkcs8 = document.as_ref().to_vec();
        Some((Self::from_pkcs8(&pkcs8)?, pkcs8))
    }

    /// The key in a PKCS #8 encoding; `None` if there is no P-256 key in it.
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        let signs = EncodingKey::from_ec_der(pkcs8);
        let mut jwk = Jwk::from_encoding_key(&signs, Algorithm::ES256).ok()?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let verifies = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id, signs, verifies, key_set: JwkSet { keys: vec![jwk] } })
    }

    pub(super) fn key_set(&self) -> &JwkSet {
        &self.key_set
    }

    /// The signed token; `None` if the cryptography library fails.
    pub(super) fn sign(&self, claims: &Claims) -> Option<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.signs).ok()
    }

    /// The claims of a token that this key signed, expired or not.
    pub(super) fn open(&self, token: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::ES256);
        // Time is asked of the server's own clock by the caller, and every audience is one of ours.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Some(jsonwebtoken::decode::<Claims>(token, &self.verifies, &validation).ok()?.claims)
    }
}
