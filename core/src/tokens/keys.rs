//! A provider's public keys: a JWK Set (RFC 7517) turned into keys that can check a signature.
//!
//! A key that we cannot use is left out and the rest of the set stands: another key type, a private use, a weak modulus,
//! a point off its curve. Keys are parsed here, once, and not for each token. Must not know where sets come from.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Algorithm;

/// Most keys kept of a set. Real sets hold below ten; the bound keeps one `kid` from costing a thousand checks.
const MOST_KEYS: usize = 100;

/// The usable keys of a set.
#[derive(Debug, PartialEq)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

/// One key, ready for each algorithm that it may be used with.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    material: Vec<u8>,
    checks: Vec<(Algorithm, ParsedPublicKey)>,
}

/// The text is no key set, or a set without a key that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKeys {
    NotASet,
    NoneUsable,
}

impl NoKeys {
    /// The problem, as the end of a sentence about the document.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NotASet => "is no JWK Set",
            Self::NoneUsable => "holds no key that can be used here",
        }
    }
}

impl KeySet {
    /// Read a JWK Set, keeping the keys that serve one of the `accepted` algorithms.
    pub(super) fn parse(json: &[u8], accepted: &[Algorithm]) -> Result<Self, NoKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| NoKeys::NotASet)?;
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .filter_map(|key| Key::read(&serde_json::from_value(key).ok()?, accepted))
            .take(MOST_KEYS)
            .collect();
        if keys.is_empty() { Err(NoKeys::NoneUsable) } else { Ok(Self { keys }) }
    }

    /// The keys that a token with this header may have been signed with: those with its `kid`, or, if it has none, the
    /// only one for its algorithm. Several may share a `kid`; more than one without a `kid` would be a guess.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&ParsedPublicKey> {
        let fitting = self.keys.iter().filter_map(|key| {
            let (_, check) = key.checks.iter().find(|(serves, _)| *serves == algorithm)?;
            Some((key.id.as_deref(), check))
        });
        match id {
            Some(id) => fitting.filter(|(key, _)| *key == Some(id)).map(|(_, check)| check).collect(),
            None => {
                let only: Vec<_> = fitting.map(|(_, check)| check).take(2).collect();
                if only.len() == 1 { only } else { Vec::new() }
            }
        }
    }
}

// === impl Key ===

/// A JSON Web Key, as far as it concerns us. Private parts are not read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    fn read(jwk: &Jwk, accepted: &[Algorithm]) -> Option<Self> {
        let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let for_verifying = jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures || !for_verifying {
            return None;
        }
        // A key that names its algorithm serves that one alone (RFC 7517 section 4.4).
        let serves = |algorithm: Algorithm| {
            accepted.contains(&algorithm)
                && jwk.alg.as_deref().is_none_or(|named| algorithm_named(named) == Some(algorithm))
        };
        let mut checks = Vec::new();
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let modulus = integer(jwk.n.as_deref()?)?;
                let exponent = integer(jwk.e.as_deref()?)?;
                if !strong_enough(&modulus, &exponent) {
                    return None;
                }
                let key = RsaPublicKeyComponents { n: &modulus, e: &exponent };
                for (algorithm, parameters) in
                    [(Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256), (Algorithm::PS256, &RSA_PSS_2048_8192_SHA256)]
                {
                    if serves(algorithm) {
                        checks.push((algorithm, key.to_parsed_public_key(parameters).ok()?));
                    }
                }
                [modulus, exponent].concat()
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (octets(jwk.x.as_deref()?)?, octets(jwk.y.as_deref()?)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                if serves(Algorithm::ES256) {
                    checks.push((Algorithm::ES256, ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).ok()?));
                }
                point
            }
            ("OKP", Some("Ed25519")) => {
                let point = octets(jwk.x.as_deref()?).filter(|x| x.len() == 32)?;
                if serves(Algorithm::EdDSA) {
                    checks.push((Algorithm::EdDSA, ParsedPublicKey::new(&ED25519, &point).ok()?));
                }
                point
            }
            _ => return None,
        };
        if checks.is_empty() { None } else { Some(Self { id: jwk.kid.clone(), material, checks }) }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let algorithms = |key: &Self| key.checks.iter().map(|(algorithm, _)| *algorithm).collect::<Vec<_>>();
        self.id == other.id && self.material == other.material && algorithms(self) == algorithms(other)
    }
}

/// The algorithm of this name (RFC 7518 section 3.1; `Ed25519` is what RFC 9864 calls the only EdDSA we know).
pub(super) fn algorithm_named(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "PS256" => Some(Algorithm::PS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

fn octets(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// An unsigned integer in big-endian octets. Some providers write a leading zero, which RFC 7518 section 2 forbids.
fn integer(text: &str) -> Option<Vec<u8>> {
    let octets = octets(text)?;
    let first = octets.iter().position(|octet| *octet != 0)?;
    Some(octets[first..].to_vec())
}

/// 2048 to 8192 bits, and an odd public exponent of 3 or more: with 1, anything is its own signature.
fn strong_enough(modulus: &[u8], exponent: &[u8]) -> bool {
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |octet| octet.leading_zeros() as usize);
    let odd = exponent.last().is_some_and(|octet| octet % 2 == 1);
    (2048..=8192).contains(&bits) && odd && exponent != [1]
}
