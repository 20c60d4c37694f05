//! Tokens that must not pass, each with the one reason it is refused for. The table is the specification: how a token
//! is made, and what a person is told.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    RESOURCE, RESOURCE_ID, Subject,
    authority::{Authority, SigningKey, from_now, hmac_token, merged},
    scalekit_audience,
};
use crate::tokens::InvalidToken::{self, *};

/// What a hostile token is made from.
struct Forge<'a> {
    authority: &'a Authority,
    audience: Value,
}

impl Forge<'_> {
    fn claims(&self, over: Value) -> Value {
        self.authority.claims(&self.audience, &over)
    }

    /// Honestly signed, with these claims.
    fn with(&self, over: Value) -> String {
        self.authority.key().token(&self.claims(over))
    }

    /// Honestly signed, with this header.
    fn headed(&self, header: Value) -> String {
        self.authority.key().token_with(&header, &self.claims(json!({})))
    }

    /// Honestly signed, of this text as claims.
    fn raw(&self, claims: &str) -> String {
        let key = self.authority.key();
        let header = json!({ "alg": "RS256", "kid": key.kid, "typ": "JWT" }).to_string();
        key.seal("RS256", header.as_bytes(), claims.as_bytes())
    }

    /// A good token, its three parts changed.
    fn parts(&self, change: impl FnOnce(&mut Vec<String>)) -> String {
        let token = self.with(json!({}));
        let mut parts = token.split('.').map(str::to_owned).collect();
        change(&mut parts);
        parts.join(".")
    }

    /// The claims as JSON text with more text before the closing brace.
    fn appended(&self, more: &str) -> String {
        let text = self.claims(json!({})).to_string();
        self.raw(&format!("{},{more}}}", text.trim_end_matches('}')))
    }
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

type Row = (&'static str, String, InvalidToken);

/// Rows that hold for each profile whose tokens are JWTs.
fn everywhere(forge: &Forge<'_>) -> Vec<Row> {
    let key = forge.authority.key();
    let kid = key.kid.clone().unwrap();
    let modulus = key.jwk()["n"].as_str().unwrap().to_owned();
    let jwk = key.jwk().to_string();
    let stranger = SigningKey::another_rsa(&kid);
    let plain = |header: Value| format!("{}.{}.", encoded(&header), encoded(&forge.claims(json!({}))));
    vec![
        // Shapes that are no signed JWT.
        ("empty", String::new(), NotAToken),
        ("a blank", " ".into(), NotAToken),
        ("a word", "token".into(), NotAToken),
        ("dots", "..".into(), NotAToken),
        ("two parts", forge.parts(|parts| drop(parts.pop())), NotAToken),
        ("four parts", forge.parts(|parts| parts.push("x".into())), NotAToken),
        (
            "five parts, as encrypted tokens have",
            forge.parts(|parts| parts.extend(["x".into(), "y".into()])),
            NotAToken,
        ),
        ("a blank inside", forge.parts(|parts| parts[1].insert(5, ' ')), NotAToken),
        ("a line break at the end", forge.with(json!({})) + "\n", NotAToken),
        ("a NUL at the end", forge.with(json!({})) + "\0", NotAToken),
        ("letters beyond ASCII", forge.parts(|parts| parts[2].push('é')), NotAToken),
        ("the scheme left before it", format!("Bearer.{}", forge.with(json!({}))), NotAToken),
        ("longer than 16 KiB", forge.with(json!({ "pad": "x".repeat(16 * 1024) })), NotAToken),
        ("base64 with padding", forge.parts(|parts| parts[2].push_str("==")), NotAToken),
        ("header that is no JSON", forge.parts(|parts| parts[0] = URL_SAFE_NO_PAD.encode("{")), NotAToken),
        ("header that is an array", forge.parts(|parts| parts[0] = encoded(&json!(["RS256"]))), NotAToken),
        ("header that is text", forge.parts(|parts| parts[0] = encoded(&json!("RS256"))), NotAToken),
        ("claims that are no JSON", forge.raw("{\"iss\":"), NotAToken),
        ("claims that are an array", forge.raw("[]"), NotAToken),
        ("claims that are null", forge.raw("null"), NotAToken),
        ("claims that are not UTF-8", key.seal("RS256", br#"{"alg":"RS256"}"#, b"{\"iss\":\"\xff\"}"), NotAToken),
        ("claims nested a thousand deep", forge.raw(&("{\"a\":".to_owned() + &"[".repeat(1000))), NotAToken),
        ("a number no parser takes", forge.appended("\"x\":1e999"), NotAToken),
        ("more after the claims", forge.raw(&(forge.claims(json!({})).to_string() + "{}")), NotAToken),
        ("audience twice", forge.appended("\"aud\":\"x\""), NotAToken),
        ("subject twice, the second escaped", forge.appended("\"s\\u0075b\":\"usr_admin\""), NotAToken),
        (
            "algorithm twice in the header",
            key.seal("RS256", format!(r#"{{"alg":"none","alg":"RS256","kid":"{kid}"}}"#).as_bytes(), b"{}"),
            NotAToken,
        ),
        ("no algorithm", forge.headed(json!({ "alg": null })), NotAToken),
        ("algorithm that is a list", forge.headed(json!({ "alg": ["RS256"] })), NotAToken),
        ("kid that is a number", forge.headed(json!({ "kid": 1 })), NotAToken),
        ("typ that is an object", forge.headed(json!({ "typ": {} })), NotAToken),
        // Algorithms.
        ("unsigned", plain(json!({ "alg": "none", "kid": kid })), UnsupportedAlgorithm),
        ("unsigned, in capitals", plain(json!({ "alg": "NONE", "kid": kid })), UnsupportedAlgorithm),
        ("unsigned, mixed", plain(json!({ "alg": "nOnE" })), UnsupportedAlgorithm),
        ("algorithm without a name", forge.headed(json!({ "alg": "" })), UnsupportedAlgorithm),
        ("algorithm in small letters", forge.headed(json!({ "alg": "rs256" })), UnsupportedAlgorithm),
        (
            "HMAC with the modulus as secret",
            hmac_token(modulus.as_bytes(), &kid, &forge.claims(json!({}))),
            UnsupportedAlgorithm,
        ),
        (
            "HMAC with the key set as secret",
            hmac_token(jwk.as_bytes(), &kid, &forge.claims(json!({}))),
            UnsupportedAlgorithm,
        ),
        ("RS512", forge.headed(json!({ "alg": "RS512" })), UnsupportedAlgorithm),
        ("ES384", forge.headed(json!({ "alg": "ES384" })), UnsupportedAlgorithm),
        ("encryption as algorithm", forge.headed(json!({ "alg": "RSA-OAEP", "enc": "A256GCM" })), UnsupportedAlgorithm),
        // Extensions and keys that a token brings along.
        ("critical extension", forge.headed(json!({ "crit": ["exp2"], "exp2": 1 })), UnknownCritical),
        ("critical b64", forge.headed(json!({ "crit": ["b64"], "b64": false })), UnknownCritical),
        ("empty crit", forge.headed(json!({ "crit": [] })), UnknownCritical),
        (
            "crit that is null",
            forge.raw_header(&format!(r#"{{"alg":"RS256","kid":"{kid}","crit":null}}"#)),
            UnknownCritical,
        ),
        (
            "its own key in the header",
            stranger.token_with(&json!({ "jwk": stranger.jwk(), "kid": "mine" }), &forge.claims(json!({}))),
            UnknownKey,
        ),
        (
            "its own key, under our kid",
            stranger.token_with(&json!({ "jwk": stranger.jwk() }), &forge.claims(json!({}))),
            BadSignature,
        ),
        (
            "its own key set's address",
            stranger.token_with(&json!({ "jku": "https://evil.example/keys" }), &forge.claims(json!({}))),
            BadSignature,
        ),
        ("kid that is a path", forge.headed(json!({ "kid": "../../dev/null" })), UnknownKey),
        ("kid that is a query", forge.headed(json!({ "kid": "' OR 1=1 --" })), UnknownKey),
        ("kid without text", forge.headed(json!({ "kid": "" })), UnknownKey),
        // Signatures.
        ("another key, our kid", stranger.token(&forge.claims(json!({}))), BadSignature),
        ("no signature", forge.parts(|parts| parts[2].clear()), BadSignature),
        ("half a signature", forge.parts(|parts| parts[2].truncate(100)), BadSignature),
        ("a signature of zeros", forge.parts(|parts| parts[2] = URL_SAFE_NO_PAD.encode([0; 256])), BadSignature),
        (
            "the signature of another token",
            forge.parts(|parts| {
                let other = forge.with(json!({ "sub": "usr_1" }));
                parts[2] = other.rsplit('.').next().unwrap().to_owned();
            }),
            BadSignature,
        ),
        (
            "claims changed after signing",
            forge.parts(|parts| parts[1] = encoded(&forge.claims(json!({ "scope": "admin" })))),
            BadSignature,
        ),
        // Time.
        ("expired", forge.with(json!({ "exp": from_now(-3600) })), Expired),
        ("expired beyond the leeway", forge.with(json!({ "exp": from_now(-61) })), Expired),
        ("expiry 0", forge.with(json!({ "exp": 0 })), Expired),
        ("expiry before 1970", forge.with(json!({ "exp": -1 })), Expired),
        ("expiry at the least number", forge.with(json!({ "exp": i64::MIN })), Expired),
        ("expiry far before all time", forge.with(json!({ "exp": -1e300 })), Expired),
        ("no expiry", forge.with(json!({ "exp": null })), MissingClaim("exp")),
        ("expiry that is null", forge.appended_without("exp", "\"exp\":null"), MissingClaim("exp")),
        ("expiry as text", forge.with(json!({ "exp": "9999999999" })), MalformedClaim("exp")),
        ("expiry that is true", forge.with(json!({ "exp": true })), MalformedClaim("exp")),
        ("expiry in a list", forge.with(json!({ "exp": [from_now(100)] })), MalformedClaim("exp")),
        ("not yet", forge.with(json!({ "nbf": from_now(3600) })), NotYetValid),
        ("not before the end of time", forge.with(json!({ "nbf": u64::MAX })), NotYetValid),
        ("not before, as text", forge.with(json!({ "nbf": "0" })), MalformedClaim("nbf")),
        // Issuer.
        ("another issuer", forge.with(json!({ "iss": "https://evil.example" })), WrongIssuer),
        ("issuer with a slash more", forge.with(json!({ "iss": format!("{}/", forge.issuer()) })), WrongIssuer),
        ("issuer in capitals", forge.with(json!({ "iss": forge.issuer().to_uppercase() })), WrongIssuer),
        ("issuer as a prefix", forge.with(json!({ "iss": format!("{}.evil.example", forge.issuer()) })), WrongIssuer),
        ("issuer in a list", forge.with(json!({ "iss": [forge.issuer()] })), MalformedClaim("iss")),
        ("no issuer", forge.with(json!({ "iss": null })), MissingClaim("iss")),
        ("issuer without text", forge.with(json!({ "iss": "" })), MissingClaim("iss")),
        // Audience.
        ("another audience", forge.with(json!({ "aud": "https://other.example/mcp" })), WrongAudience),
        ("no audience", forge.with(json!({ "aud": null })), MissingClaim("aud")),
        ("an empty audience", forge.with(json!({ "aud": "" })), WrongAudience),
        ("an empty list of audiences", forge.with(json!({ "aud": [] })), WrongAudience),
        ("audience that is a number", forge.with(json!({ "aud": 1 })), MalformedClaim("aud")),
        ("audience among numbers", forge.with(json!({ "aud": [RESOURCE, RESOURCE_ID, 1] })), MalformedClaim("aud")),
        ("audience as an object", forge.with(json!({ "aud": { RESOURCE: true } })), MalformedClaim("aud")),
        ("audience with a slash more", forge.with(json!({ "aud": format!("{RESOURCE}/") })), WrongAudience),
        (
            "audience joined to one string",
            forge.with(json!({ "aud": format!("{RESOURCE} {RESOURCE_ID}") })),
            WrongAudience,
        ),
        // Other claims.
        ("no subject", forge.with(json!({ "sub": null })), MissingClaim("sub")),
        ("subject without text", forge.with(json!({ "sub": "" })), MissingClaim("sub")),
        ("subject that is a number", forge.with(json!({ "sub": 7 })), MalformedClaim("sub")),
        ("client that is a number", forge.with(json!({ "client_id": 7 })), MalformedClaim("client_id")),
        ("token id that is an object", forge.with(json!({ "jti": {} })), MalformedClaim("jti")),
        ("scope that is a number", forge.with(json!({ "scope": 7 })), MalformedClaim("scope")),
        ("scope that is an object", forge.with(json!({ "scope": { "admin": true } })), MalformedClaim("scope")),
        ("scopes with a number", forge.with(json!({ "scopes": ["a", 1] })), MalformedClaim("scopes")),
        ("scp that is true", forge.with(json!({ "scp": true })), MalformedClaim("scp")),
        // Other kinds of tokens, and tokens that are not for bearers.
        ("ID token with the hash of its access token", forge.with(json!({ "at_hash": "x" })), IdToken),
        ("ID token of the client", forge.with(json!({ "aud": "skc_1", "at_hash": "x" })), IdToken),
        ("ID token with a nonce", forge.with(json!({ "nonce": "n", "scope": null })), IdToken),
        ("ID token by its use", forge.with(json!({ "token_use": "id" })), IdToken),
        ("refresh token", forge.with(json!({ "typ": "Refresh" })), WrongType),
        ("logout token", forge.with(json!({ "events": { "logout": {} } })), WrongType),
        ("bound by DPoP", forge.with(json!({ "cnf": { "jkt": "x" } })), SenderConstrained),
        ("bound to a certificate", forge.with(json!({ "cnf": { "x5t#S256": "x" } })), SenderConstrained),
    ]
}

impl Forge<'_> {
    fn issuer(&self) -> String {
        self.claims(json!({}))["iss"].as_str().unwrap().to_owned()
    }

    fn raw_header(&self, header: &str) -> String {
        self.authority.key().seal("RS256", header.as_bytes(), self.claims(json!({})).to_string().as_bytes())
    }

    fn appended_without(&self, name: &str, more: &str) -> String {
        let text = self.claims(json!({ name: null })).to_string();
        self.raw(&format!("{},{more}}}", text.trim_end_matches('}')))
    }
}

async fn all_refused(subject: &Subject, rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (name, token, expected) in rows {
        let verdict = subject.verify(&token).await;
        if verdict.as_ref().err() != Some(&expected.into()) {
            wrong.push(format!("{name}: expected {expected:?}, got {verdict:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn hostile_tokens_are_refused_by_the_scalekit_profile() {
    let authority = Authority::scalekit(RESOURCE_ID).await;
    let subject = Subject::scalekit(&authority);
    let forge = Forge { authority: &authority, audience: scalekit_audience() };
    subject.accept(&forge.with(json!({}))).await;
    let url = authority.url();
    let key = authority.key();
    let ec = SigningKey::ec("snk_1");
    let ed = SigningKey::ed("snk_1");
    let mut rows = everywhere(&forge);
    rows.extend([
        (
            "another resource of the environment",
            forge.with(json!({ "aud": ["https://o.example/mcp", "res_2"] })),
            WrongAudience,
        ),
        ("the server URL without the resource id", forge.with(json!({ "aud": [RESOURCE] })), WrongAudience),
        ("the environment's own application", forge.with(json!({ "aud": ["skc_1"] })), WrongAudience),
        ("a longer resource id", forge.with(json!({ "aud": ["res_10010"] })), WrongAudience),
        (
            "an organisation's machine token",
            forge.with(json!({ "aud": null, "sub": "m2morg_1", "client_id": "m2morg_1" })),
            MissingClaim("aud"),
        ),
        ("issuer of another resource", forge.with(json!({ "iss": format!("{url}/resources/res_other") })), WrongIssuer),
        (
            "issuer of the resource with a slash",
            forge.with(json!({ "iss": format!("{url}/resources/{RESOURCE_ID}/") })),
            WrongIssuer,
        ),
        ("no kid", key.nameless().token(&forge.claims(json!({}))), MissingKeyId),
        ("another resource claim", forge.with(json!({ "resource": "https://other.example/mcp" })), WrongAudience),
        ("resource claim that is a number", forge.with(json!({ "resource": 1 })), MalformedClaim("resource")),
        ("organisation that is a list", forge.with(json!({ "oid": ["org_1"] })), MalformedClaim("oid")),
        ("PS256", forge.headed(json!({ "alg": "PS256" })), UnsupportedAlgorithm),
        ("ES256", ec.token(&forge.claims(json!({}))), UnsupportedAlgorithm),
        ("EdDSA", ed.token(&forge.claims(json!({}))), UnsupportedAlgorithm),
    ]);
    all_refused(&subject, rows).await;
    assert!(authority.asked("/keys") <= 2, "a table full of unknown keys costs one further fetch");
}

#[tokio::test]
async fn hostile_tokens_are_refused_by_the_generic_profile() {
    let authority = Authority::generic("/tenant").await;
    let subject = Subject::oauth(&authority);
    let forge = Forge { authority: &authority, audience: json!(RESOURCE) };
    subject.accept(&forge.with(json!({}))).await;
    let key = authority.key();
    let ec = SigningKey::ec("ec");
    let ed = SigningKey::ed("ed");
    authority.add_key(ec.clone());
    authority.add_key(ed.clone());
    authority.add_key(key);
    subject.accept(&ec.token(&forge.claims(json!({})))).await;
    subject.accept(&ed.token(&forge.claims(json!({})))).await;
    let seal = |key: &SigningKey, alg: &str, kid: &str| {
        let header = json!({ "alg": alg, "kid": kid }).to_string();
        key.seal(alg, header.as_bytes(), forge.claims(json!({})).to_string().as_bytes())
    };
    let der = |token: String| {
        // The DER form of an ECDSA signature, which JOSE does not use.
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut octets = URL_SAFE_NO_PAD.decode(signature).unwrap();
        octets.splice(0..0, [0x30, 0x44, 0x02, 0x20]);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(octets))
    };
    let zeros = |token: String, length: usize| {
        let (message, _) = token.rsplit_once('.').unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(vec![0; length]))
    };
    let mut rows = everywhere(&forge);
    rows.extend([
        ("an RSA key's id with ES256", seal(&ec, "ES256", "key-1"), UnknownKey),
        ("an EC key's id with RS256", seal(&forge.authority.key(), "RS256", "ec"), UnknownKey),
        ("an Ed25519 key's id with ES256", seal(&ec, "ES256", "ed"), UnknownKey),
        (
            "RS256 signature under PS256",
            {
                let key = forge.authority.key();
                let header = json!({ "alg": "PS256", "kid": "key-1" }).to_string();
                key.seal("RS256", header.as_bytes(), forge.claims(json!({})).to_string().as_bytes())
            },
            BadSignature,
        ),
        ("ECDSA signature of zeros", zeros(ec.token(&forge.claims(json!({}))), 64), BadSignature),
        ("ECDSA signature in DER", der(ec.token(&forge.claims(json!({})))), BadSignature),
        ("Ed25519 signature of zeros", zeros(ed.token(&forge.claims(json!({}))), 64), BadSignature),
        ("logout token by its type", forge.headed(json!({ "typ": "logout+jwt" })), WrongType),
        ("DPoP proof", forge.headed(json!({ "typ": "dpop+jwt" })), WrongType),
        ("type without text", forge.headed(json!({ "typ": "" })), WrongType),
        ("introspection answer", forge.headed(json!({ "typ": "token-introspection+jwt" })), WrongType),
        (
            "at_hash under the type of access tokens",
            {
                let claims = forge.claims(json!({ "at_hash": "x" }));
                forge.authority.key().token_with(&json!({ "typ": "at+jwt" }), &claims)
            },
            IdToken,
        ),
    ]);
    let many = rows.len();
    assert!(many >= 60, "{many} rows");
    all_refused(&subject, rows).await;
}

#[tokio::test]
async fn the_generic_profile_accepts_what_rfc_9068_and_its_older_cousins_look_like() {
    let authority = Authority::generic("").await;
    let subject = Subject::oauth(&authority);
    let forge = Forge { authority: &authority, audience: json!(RESOURCE) };
    let claims = forge.claims(json!({}));
    for kind in [json!(null), json!("JWT"), json!("jwt"), json!("at+jwt"), json!("AT+JWT"), json!("application/at+jwt")]
    {
        let token = authority.key().token_with(&json!({ "typ": kind }), &claims);
        assert!(subject.verify(&token).await.is_ok(), "typ {kind}");
    }
    for (name, over) in [
        ("nonce beside a scope", json!({ "nonce": "n" })),
        ("okta's names", json!({ "scope": null, "scp": ["a"], "client_id": null, "cid": "0oa" })),
        ("a resource claim is not ours to judge", json!({ "resource": "urn:other" })),
        ("oid may be anything", json!({ "oid": 7 })),
        ("null claims", merged(json!({}), &json!({ "jti": null }))),
    ] {
        let verdict = subject.verify(&forge.with(over)).await;
        assert!(verdict.is_ok(), "{name}: {verdict:?}");
    }
    let ps256 = authority.key().token_with(&json!({ "alg": "PS256" }), &claims);
    subject.accept(&ps256).await;
    // Of two keys without a `kid` none is a guess; of one it is no guess.
    subject.accept(&authority.key().nameless().token(&claims)).await;
}

#[test]
fn no_reason_shows_a_part_of_a_token() {
    let all = [
        NotAToken,
        WrongType,
        UnsupportedAlgorithm,
        UnknownCritical,
        MissingKeyId,
        UnknownKey,
        BadSignature,
        Expired,
        NotYetValid,
        WrongIssuer,
        WrongAudience,
        MissingClaim("sub"),
        MalformedClaim("aud"),
        IdToken,
        SenderConstrained,
        Revoked,
        Inactive,
    ];
    let mut seen = std::collections::HashSet::new();
    for reason in all {
        let text = reason.to_string();
        // The characters of an `error_description` (RFC 6750 section 3), and no two alike.
        assert!(text.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
        assert!(!text.ends_with('.') && seen.insert(text.clone()), "{text}");
    }
}
