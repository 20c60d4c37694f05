//! A token's parts: the compact form of RFC 7515 section 3.1, its header and its claims as JSON objects.
//!
//! Stricter than JSON parsers are by habit: a member that occurs twice is refused (RFC 7515 section 4, RFC 7519
//! section 4), since two readers could each see the other one; a `crit` header is refused, since no extension is known
//! here. Must not know keys, profiles or the meaning of claims.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::verdict::InvalidToken;

/// Longest token that is looked at, in bytes. Real ones are below 4 KiB; headers end at 16 KiB with most proxies.
pub(super) const LONGEST_TOKEN: usize = 16 * 1024;

/// A signed token whose signature nobody has checked.
pub(super) struct Unverified<'t> {
    /// Its JOSE header.
    pub(super) header: Header,
    /// Its claims.
    pub(super) claims: Map<String, Value>,
    /// What the signature covers: the first two parts with their dot.
    pub(super) message: &'t [u8],
    /// The signature, decoded.
    pub(super) signature: Vec<u8>,
}

/// What matters of a JOSE header. `jwk`, `jku`, `x5c` and `x5u` are not read: a token does not bring its own key.
pub(super) struct Header {
    /// `alg`, as written.
    pub(super) algorithm: String,
    /// `kid`.
    pub(super) key_id: Option<String>,
    /// `typ`.
    pub(super) kind: Option<String>,
}

impl<'t> Unverified<'t> {
    /// Take a token apart.
    pub(super) fn parse(token: &'t str) -> Result<Self, InvalidToken> {
        let not_a_token = InvalidToken::NotAToken;
        if token.len() > LONGEST_TOKEN {
            return Err(not_a_token);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(not_a_token);
        };
        let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
        let header = Header::read(object(header)?)?;
        Ok(Self {
            header,
            claims: object(payload)?,
            message,
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| not_a_token)?,
        })
    }
}

impl Header {
    fn read(mut members: Map<String, Value>) -> Result<Self, InvalidToken> {
        if members.contains_key("crit") {
            return Err(InvalidToken::UnknownCritical);
        }
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(InvalidToken::NotAToken),
        };
        Ok(Self { algorithm: text("alg")?.ok_or(InvalidToken::NotAToken)?, key_id: text("kid")?, kind: text("typ")? })
    }
}

fn object(part: &str) -> Result<Map<String, Value>, InvalidToken> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken::NotAToken)?;
    serde_json::from_slice::<Members>(&json).map(|Members(members)| members).map_err(|_| InvalidToken::NotAToken)
}

/// A JSON object, each member of which occurs once.
pub(super) struct Members(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a member occurs twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
