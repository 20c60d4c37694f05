//! Keys that sign tokens, honest ones and others.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::merged;

/// A key that tokens are signed with.
#[derive(Clone)]
pub struct SigningKey {
    /// Its id; goes into the token's header and the key set.
    pub kid: Option<String>,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(&'static RsaKeyPair),
    Ec(Arc<EcdsaKeyPair>),
    Ed(Arc<Ed25519KeyPair>),
}

impl SigningKey {
    /// The RSA key (2048 bits) of this process, under this id.
    pub fn rsa(kid: &str) -> Self {
        static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
        Self { kid: Some(kid.to_owned()), pair: Pair::Rsa(KEY.get_or_init(rsa_key)) }
    }

    /// Another RSA key than that of [`SigningKey::rsa`].
    pub fn another_rsa(kid: &str) -> Self {
        static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
        Self { kid: Some(kid.to_owned()), pair: Pair::Rsa(KEY.get_or_init(rsa_key)) }
    }

    /// A new P-256 key.
    pub fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key");
        Self { kid: Some(kid.to_owned()), pair: Pair::Ec(Arc::new(pair)) }
    }

    /// A new Ed25519 key.
    pub fn ed(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("an Ed25519 key");
        Self { kid: Some(kid.to_owned()), pair: Pair::Ed(Arc::new(pair)) }
    }

    /// The same key without an id.
    pub fn nameless(&self) -> Self {
        Self { kid: None, pair: self.pair.clone() }
    }

    /// The algorithm that it signs with unless told otherwise.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    /// Its public half as a JSON Web Key, with `use` and, but for RSA (which serves two), `alg`.
    pub fn jwk(&self) -> Value {
        let text = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let n = text(key.modulus().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": text(key.exponent().big_endian_without_leading_zero()) })
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": text(pair.public_key().as_ref()) })
            }
        };
        jwk["use"] = json!("sig");
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }

    /// A token with these claims, honestly signed.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({}), claims)
    }

    /// A token whose header has these members over the usual `alg`, `kid`, `typ`; `null` leaves one out. `alg` chooses
    /// the signature where the key can make it.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let mut usual = json!({ "alg": self.algorithm(), "typ": "JWT" });
        if let Some(kid) = &self.kid {
            usual["kid"] = json!(kid);
        }
        let header = merged(usual, header);
        let algorithm = header["alg"].as_str().unwrap_or(self.algorithm()).to_owned();
        self.seal(&algorithm, header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// A token of these very octets.
    pub fn seal(&self, algorithm: &str, header: &[u8], claims: &[u8]) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(algorithm, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).expect("an RSA signature");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).expect("an ECDSA signature").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token "signed" with HMAC under a secret that the forger knows, such as a public key.
pub fn hmac_token(secret: &[u8], kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": "HS256", "kid": kid, "typ": "JWT" }).to_string();
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

fn rsa_key() -> RsaKeyPair {
    RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")
}
