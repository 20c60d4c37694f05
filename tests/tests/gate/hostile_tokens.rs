//! Tokens that must not pass, sent over HTTP: each row is how a token is made, and the status and the reason that it is
//! answered with. Then those that look odd and must pass.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use toolgate_tests::authority::{Authority, SigningKey, from_now, hmac_token};

use crate::house::{Face, House, Provider, RESOURCE, RESOURCE_ID, assert_echoed, call_with};

const NOT_A_TOKEN: &str = "this is no access token";
const ALGORITHM: &str = "the token is signed with an algorithm that is not accepted here";
const CRITICAL: &str = "the token's header has critical extensions, which are not supported here";
const UNKNOWN_KEY: &str = "the token's key is not one of the authorization server's";
const NO_KEY: &str = "the token does not name its key";
const SIGNATURE: &str = "the token's signature is wrong";
const EXPIRED: &str = "the token has expired";
const TOO_EARLY: &str = "the token is not valid yet";
const ISSUER: &str = "the token was issued by another authorization server";
const AUDIENCE: &str = "the token was issued for another resource";
const ID_TOKEN: &str = "this is an ID token; send the access token";
const TYPE: &str = "the token's type is not that of an access token";
const BOUND: &str = "the token is bound to a key of its sender and cannot be used as a bearer token";
const NO_AUDIENCE: &str = "the token has no aud claim";
const SHORT: &str = "the tool 'read' needs the scope 'web-search:read'";

/// A token, and what it is answered with.
struct Row {
    name: &'static str,
    token: String,
    status: u16,
    description: &'static str,
}

fn bad(name: &'static str, token: String, description: &'static str) -> Row {
    Row { name, token, status: 401, description }
}

/// Valid, but not for this tool.
fn short(name: &'static str, token: String) -> Row {
    Row { name, token, status: 403, description: SHORT }
}

/// What tokens are made from.
struct Forge<'a> {
    authority: &'a Authority,
    audience: Value,
}

impl Forge<'_> {
    fn claims(&self, over: &Value) -> Value {
        let mut claims = self.authority.claims(&self.audience, &json!({ "scope": "web-search:read" }));
        for (name, value) in over.as_object().into_iter().flatten() {
            if value.is_null() {
                claims.as_object_mut().expect("an object").shift_remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    /// Honestly signed, with these claims.
    fn with(&self, over: Value) -> String {
        self.authority.key().token(&self.claims(&over))
    }

    /// Honestly signed, with this header.
    fn headed(&self, header: Value) -> String {
        self.authority.key().token_with(&header, &self.claims(&json!({})))
    }

    /// Honestly signed, of this text as claims.
    fn raw(&self, claims: &str) -> String {
        let key = self.authority.key();
        let header = json!({ "alg": "RS256", "kid": key.kid, "typ": "JWT" }).to_string();
        key.seal("RS256", header.as_bytes(), claims.as_bytes())
    }

    /// The claims as text, with more text before the closing brace.
    fn appended(&self, more: &str) -> String {
        let text = self.claims(&json!({})).to_string();
        self.raw(&format!("{},{more}}}", text.trim_end_matches('}')))
    }

    /// A good token, its parts changed.
    fn parts(&self, change: impl FnOnce(&mut Vec<String>)) -> String {
        changed(&self.with(json!({})), change)
    }

    fn issuer(&self) -> String {
        self.claims(&json!({}))["iss"].as_str().expect("an issuer").to_owned()
    }
}

fn changed(token: &str, change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut parts = token.split('.').map(str::to_owned).collect();
    change(&mut parts);
    parts.join(".")
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Rows for each provider whose tokens are JWTs.
fn everywhere(forge: &Forge<'_>) -> Vec<Row> {
    let key = forge.authority.key();
    let kid = key.kid.clone().expect("a kid");
    let modulus = key.jwk()["n"].as_str().expect("a modulus").to_owned();
    let stranger = SigningKey::another_rsa(&kid);
    let own = forge.claims(&json!({}));
    let unsigned = |header: Value| format!("{}.{}.", encoded(&header), encoded(&own));
    let issuer = forge.issuer();
    let mut rows = vec![
        bad("two parts", forge.parts(|parts| drop(parts.pop())), NOT_A_TOKEN),
        bad("four parts", forge.parts(|parts| parts.push("x".into())), NOT_A_TOKEN),
        bad("five parts", forge.parts(|parts| parts.extend(["x".into(), "y".into()])), NOT_A_TOKEN),
        bad("dots", "..".into(), NOT_A_TOKEN),
        bad("longer than 16 KiB", forge.with(json!({ "pad": "x".repeat(16 * 1024) })), NOT_A_TOKEN),
        bad("padded", forge.parts(|parts| parts[2].push_str("==")), NOT_A_TOKEN),
        bad("beyond ASCII", forge.parts(|parts| parts[1].push('%')), NOT_A_TOKEN),
        bad("header without JSON", forge.parts(|parts| parts[0] = URL_SAFE_NO_PAD.encode("{")), NOT_A_TOKEN),
        bad("header in a list", forge.parts(|parts| parts[0] = encoded(&json!(["RS256"]))), NOT_A_TOKEN),
        bad("claims without JSON", forge.raw("{\"iss\":"), NOT_A_TOKEN),
        bad("claims in a list", forge.raw("[]"), NOT_A_TOKEN),
        bad("claims a thousand deep", forge.raw(&("{\"a\":".to_owned() + &"[".repeat(1000))), NOT_A_TOKEN),
        bad("audience twice", forge.appended("\"aud\":\"x\""), NOT_A_TOKEN),
        bad("subject twice, once escaped", forge.appended("\"s\\u0075b\":\"usr_admin\""), NOT_A_TOKEN),
        bad("scope twice", forge.appended("\"scope\":\"web-search:write\""), NOT_A_TOKEN),
        bad("no algorithm", forge.headed(json!({ "alg": null })), NOT_A_TOKEN),
        bad("algorithms in a list", forge.headed(json!({ "alg": ["RS256"] })), NOT_A_TOKEN),
        bad("unsigned", unsigned(json!({ "alg": "none", "kid": kid })), ALGORITHM),
        bad("unsigned, in capitals", unsigned(json!({ "alg": "NONE", "kid": kid })), ALGORITHM),
        bad("unsigned, mixed", unsigned(json!({ "alg": "nOnE", "kid": kid })), ALGORITHM),
        bad("HMAC with the modulus", hmac_token(modulus.as_bytes(), &kid, &own), ALGORITHM),
        bad("HMAC with the key as JSON", hmac_token(key.jwk().to_string().as_bytes(), &kid, &own), ALGORITHM),
        bad("HMAC with nothing", hmac_token(b"", &kid, &own), ALGORITHM),
        bad("RS512", forge.headed(json!({ "alg": "RS512" })), ALGORITHM),
        bad("small letters", forge.headed(json!({ "alg": "rs256" })), ALGORITHM),
        bad("critical extension", forge.headed(json!({ "crit": ["exp2"], "exp2": 1 })), CRITICAL),
        bad("critical b64", forge.headed(json!({ "crit": ["b64"], "b64": false })), CRITICAL),
        bad("empty crit", forge.headed(json!({ "crit": [] })), CRITICAL),
        bad("unknown kid", forge.headed(json!({ "kid": "another" })), UNKNOWN_KEY),
        bad("kid that is a path", forge.headed(json!({ "kid": "../../../dev/null" })), UNKNOWN_KEY),
        bad("kid that is a query", forge.headed(json!({ "kid": "' UNION SELECT 1 --" })), UNKNOWN_KEY),
        bad(
            "its own key, under its own kid",
            stranger.token_with(&json!({ "jwk": stranger.jwk(), "kid": "mine" }), &own),
            UNKNOWN_KEY,
        ),
        bad("its own key, under our kid", stranger.token_with(&json!({ "jwk": stranger.jwk() }), &own), SIGNATURE),
        bad(
            "the address of its own keys",
            stranger.token_with(&json!({ "jku": "http://127.0.0.1:9/keys" }), &own),
            SIGNATURE,
        ),
        bad("another key under our kid", stranger.token(&own), SIGNATURE),
        bad("no signature", forge.parts(|parts| parts[2].clear()), SIGNATURE),
        bad("half a signature", forge.parts(|parts| parts[2].truncate(100)), SIGNATURE),
        bad("a signature of zeros", forge.parts(|parts| parts[2] = URL_SAFE_NO_PAD.encode([0; 256])), SIGNATURE),
        bad(
            "the signature of another token",
            forge.parts(|parts| {
                let other = forge.with(json!({ "sub": "usr_1" }));
                parts[2] = other.rsplit('.').next().unwrap_or_default().to_owned();
            }),
            SIGNATURE,
        ),
        bad(
            "claims changed after signing",
            forge.parts(|parts| parts[1] = encoded(&forge.claims(&json!({ "scope": "web-search:write" })))),
            SIGNATURE,
        ),
        bad("expired", forge.with(json!({ "exp": from_now(-3600) })), EXPIRED),
        bad("expired beyond the leeway", forge.with(json!({ "exp": from_now(-61) })), EXPIRED),
        bad("expiry 0", forge.with(json!({ "exp": 0 })), EXPIRED),
        bad("expiry before all time", forge.with(json!({ "exp": -1e300 })), EXPIRED),
        bad("no expiry", forge.with(json!({ "exp": null })), "the token has no exp claim"),
        bad("expiry as text", forge.with(json!({ "exp": "9999999999" })), "the token's exp claim is malformed"),
        bad("expiry in a list", forge.with(json!({ "exp": [from_now(60)] })), "the token's exp claim is malformed"),
        bad("not yet", forge.with(json!({ "nbf": from_now(3600) })), TOO_EARLY),
        bad("never", forge.with(json!({ "nbf": u64::MAX })), TOO_EARLY),
        bad("another issuer", forge.with(json!({ "iss": "https://evil.example" })), ISSUER),
        bad("issuer with a slash more", forge.with(json!({ "iss": format!("{issuer}/") })), ISSUER),
        bad("issuer as a beginning", forge.with(json!({ "iss": format!("{issuer}.evil.example") })), ISSUER),
        bad("issuer in capitals", forge.with(json!({ "iss": issuer.to_uppercase() })), ISSUER),
        bad("issuers in a list", forge.with(json!({ "iss": [issuer] })), "the token's iss claim is malformed"),
        bad("no issuer", forge.with(json!({ "iss": null })), "the token has no iss claim"),
        bad("another audience", forge.with(json!({ "aud": "https://other.example/mcp" })), AUDIENCE),
        bad("no audience", forge.with(json!({ "aud": null })), NO_AUDIENCE),
        bad("no audience in a list", forge.with(json!({ "aud": [] })), AUDIENCE),
        bad("audience with a slash more", forge.with(json!({ "aud": format!("{RESOURCE}/") })), AUDIENCE),
        bad("audiences in one text", forge.with(json!({ "aud": format!("{RESOURCE} {RESOURCE_ID}") })), AUDIENCE),
        bad(
            "audience among numbers",
            forge.with(json!({ "aud": [RESOURCE, RESOURCE_ID, 1] })),
            "the token's aud claim is malformed",
        ),
        bad("no subject", forge.with(json!({ "sub": null })), "the token has no sub claim"),
        bad("subject that is a number", forge.with(json!({ "sub": 7 })), "the token's sub claim is malformed"),
        bad("ID token with a hash", forge.with(json!({ "at_hash": "x" })), ID_TOKEN),
        bad("ID token by its use", forge.with(json!({ "token_use": "id" })), ID_TOKEN),
        bad("refresh token", forge.with(json!({ "typ": "Refresh" })), TYPE),
        bad("logout token", forge.with(json!({ "events": { "logout": {} } })), TYPE),
        bad("bound by DPoP", forge.with(json!({ "cnf": { "jkt": "x" } })), BOUND),
        bad("scope that is a number", forge.with(json!({ "scope": 7 })), "the token's scope claim is malformed"),
    ];
    rows.extend([
        short("no scope", forge.with(json!({ "scope": null }))),
        short("empty scope", forge.with(json!({ "scope": "" }))),
        short("scope in capitals", forge.with(json!({ "scope": "WEB-SEARCH:READ" }))),
        short("scope that begins alike", forge.with(json!({ "scope": "web-search:reading web-search" }))),
        short("scopes with a comma", forge.with(json!({ "scope": "web-search:read,web-search:write" }))),
        short("scopes with a tab", forge.with(json!({ "scope": "a\tweb-search:read" }))),
        short("scope with a wildcard", forge.with(json!({ "scope": "web-search:* *" }))),
        short("scope under another name", forge.with(json!({ "scope": null, "permissions": ["web-search:read"] }))),
        short("scopes joined in a list", forge.with(json!({ "scope": null, "scopes": ["a web-search:read"] }))),
    ]);
    rows
}

/// Send each through both faces; all failures are told at once, by name.
async fn assert_all_refused(house: &House, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        for face in Face::BOTH {
            let reply = call_with(&house.server, face, "read", &row.token).await;
            let error = if row.status == 403 { "insufficient_scope" } else { "invalid_token" };
            let challenge = reply.challenge();
            let said = challenge.as_ref().map(|challenge| {
                (
                    challenge.parameter("error"),
                    challenge.parameter("error_description"),
                    challenge.parameter("scope"),
                    challenge.parameter("resource_metadata"),
                )
            });
            let url = house.metadata_url();
            let expected = Some((Some(error), Some(row.description), Some("web-search:read"), Some(&*url)));
            if reply.status != row.status || said != expected {
                wrong.push(format!("{}, {face:?}: expected {} {expected:?}, got {reply:?}", row.name, row.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn hostile_tokens_do_not_pass_behind_scalekit() {
    let house = House::of(Provider::Scalekit).await;
    let authority = house.authority();
    let forge = Forge { authority, audience: json!([RESOURCE, RESOURCE_ID]) };
    assert_echoed(
        Face::Rest,
        &call_with(&house.server, Face::Rest, "read", &forge.with(json!({}))).await,
        "a good one",
    );
    let url = authority.url();
    let own = forge.claims(&json!({}));
    let mut rows = everywhere(&forge);
    rows.extend([
        bad("no kid", authority.key().nameless().token(&own), NO_KEY),
        bad(
            "another resource of the environment",
            forge.with(json!({ "aud": ["https://o.example/mcp", "res_2"] })),
            AUDIENCE,
        ),
        bad("the URL without the resource id", forge.with(json!({ "aud": [RESOURCE] })), AUDIENCE),
        bad("a longer resource id", forge.with(json!({ "aud": [format!("{RESOURCE_ID}0")] })), AUDIENCE),
        bad("the environment's application", forge.with(json!({ "aud": ["skc_1"] })), AUDIENCE),
        bad("ID token of the application", forge.with(json!({ "aud": ["skc_1"], "at_hash": "x" })), ID_TOKEN),
        bad(
            "an organisation's machine",
            forge.with(json!({ "aud": null, "sub": "m2morg_1", "client_id": "m2morg_1" })),
            NO_AUDIENCE,
        ),
        bad("issuer of another resource", forge.with(json!({ "iss": format!("{url}/resources/res_2") })), ISSUER),
        bad(
            "issuer of the resource with a slash",
            forge.with(json!({ "iss": format!("{url}/resources/{RESOURCE_ID}/") })),
            ISSUER,
        ),
        bad("another resource claim", forge.with(json!({ "resource": "https://other.example/mcp" })), AUDIENCE),
        bad("PS256", forge.headed(json!({ "alg": "PS256" })), ALGORITHM),
        bad("ES256", SigningKey::ec("snk_1").token(&own), ALGORITHM),
        bad("EdDSA", SigningKey::ed("snk_1").token(&own), ALGORITHM),
    ]);
    assert!(rows.len() >= 60, "{} rows", rows.len());
    assert_all_refused(&house, &rows).await;
    // The first fetch, and one for all the unknown keys; one more if the table takes longer than half a minute.
    assert!(authority.asked("/keys") <= 3, "{} fetches", authority.asked("/keys"));
}

#[tokio::test]
async fn hostile_tokens_do_not_pass_behind_another_authorization_server() {
    let house = House::of(Provider::OAuth).await;
    let authority = house.authority();
    let forge = Forge { authority, audience: json!(RESOURCE) };
    let own = forge.claims(&json!({}));
    // A set with one key of each kind, and a token signed with each.
    let (rsa, ec) = (authority.key(), SigningKey::ec("ec"));
    authority.add_key(ec.clone());
    authority.add_key(SigningKey::ed("ed"));
    authority.add_key(rsa.clone());
    assert_echoed(Face::Rest, &call_with(&house.server, Face::Rest, "read", &ec.token(&own)).await, "a good one");
    let sealed = |key: &SigningKey, made: &str, said: &str, kid: &str| {
        let header = json!({ "alg": said, "kid": kid }).to_string();
        key.seal(made, header.as_bytes(), own.to_string().as_bytes())
    };
    let mut rows = everywhere(&forge);
    rows.extend([
        bad("an RSA key's id with ES256", sealed(&ec, "ES256", "ES256", "key-1"), UNKNOWN_KEY),
        bad("an EC key's id with RS256", sealed(&rsa, "RS256", "RS256", "ec"), UNKNOWN_KEY),
        bad("an Ed25519 key's id with ES256", sealed(&ec, "ES256", "ES256", "ed"), UNKNOWN_KEY),
        bad("an RS256 signature as PS256", sealed(&rsa, "RS256", "PS256", "key-1"), SIGNATURE),
        bad("a PS256 signature as RS256", sealed(&rsa, "PS256", "RS256", "key-1"), SIGNATURE),
        bad(
            "an ECDSA signature of zeros",
            changed(&ec.token(&own), |parts| parts[2] = URL_SAFE_NO_PAD.encode([0; 64])),
            SIGNATURE,
        ),
        bad("DPoP proof", forge.headed(json!({ "typ": "dpop+jwt" })), TYPE),
        bad("logout token by its type", forge.headed(json!({ "typ": "logout+jwt" })), TYPE),
        bad("ID token with a nonce", forge.with(json!({ "nonce": "n", "scope": null })), ID_TOKEN),
    ]);
    assert_all_refused(&house, &rows).await;
}

#[tokio::test]
async fn hostile_tokens_do_not_pass_behind_the_development_server() {
    let house = House::of(Provider::Dev).await;
    let elsewhere = House::of(Provider::Dev).await;
    let good = house.reader().await;
    assert_echoed(Face::Rest, &call_with(&house.server, Face::Rest, "read", &good).await, "a good one");
    let read = |part: usize| -> Value {
        let part = good.split('.').nth(part).expect("a part");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let (header, claims) = (read(0), read(1));
    let kid = header["kid"].as_str().expect("a kid");
    let stranger = SigningKey::ec(kid);
    let unsigned = encoded(&json!({ "alg": "none" }));
    let mut wider = claims.clone();
    wider["scope"] = json!("web-search:write");
    let rows = [
        bad("of another development server", elsewhere.reader().await, ISSUER),
        bad("another key under its kid", stranger.token(&claims), SIGNATURE),
        bad("another key", SigningKey::ec("mine").token(&claims), UNKNOWN_KEY),
        bad("HMAC with the kid", hmac_token(kid.as_bytes(), kid, &claims), ALGORITHM),
        bad("RS256", SigningKey::rsa(kid).token(&claims), ALGORITHM),
        bad("unsigned", changed(&good, |parts| (parts[0], parts[2]) = (unsigned.clone(), String::new())), ALGORITHM),
        bad("more scope", changed(&good, |parts| parts[1] = encoded(&wider)), SIGNATURE),
        bad("no signature", changed(&good, |parts| parts[2].clear()), SIGNATURE),
        bad("a signature of zeros", changed(&good, |parts| parts[2] = URL_SAFE_NO_PAD.encode([0; 64])), SIGNATURE),
        bad("two parts", changed(&good, |parts| drop(parts.pop())), NOT_A_TOKEN),
    ];
    assert_all_refused(&house, &rows).await;
    assert_echoed(Face::Mcp, &call_with(&house.server, Face::Mcp, "read", &good).await, "the good one still");
}

#[tokio::test]
async fn what_introspection_does_not_vouch_for_does_not_pass() {
    let house = House::of(Provider::Introspection).await;
    let authority = house.authority();
    let members = |over: Value| Forge { authority, audience: json!(RESOURCE) }.claims(&over);
    let cases = [
        ("another-audience", members(json!({ "aud": "https://other.example/mcp" })), 401, AUDIENCE),
        ("no-audience", members(json!({ "aud": null })), 401, NO_AUDIENCE),
        ("another-issuer", members(json!({ "iss": "https://evil.example" })), 401, ISSUER),
        ("expired", members(json!({ "exp": from_now(-3600) })), 401, EXPIRED),
        ("not-yet", members(json!({ "nbf": from_now(3600) })), 401, TOO_EARLY),
        ("bound", members(json!({ "cnf": { "jkt": "x" } })), 401, BOUND),
        ("not-active", members(json!({ "active": false })), 401, "the token is not active"),
        ("nobody", members(json!({ "sub": null, "client_id": null })), 401, "the token has no sub claim"),
        ("without-scope", members(json!({ "scope": null })), 403, SHORT),
    ];
    let mut rows: Vec<Row> = cases
        .into_iter()
        .map(|(name, members, status, description)| {
            authority.activate(name, &members);
            Row { name, token: name.to_owned(), status, description }
        })
        .collect();
    rows.push(bad("never heard of", "never-heard-of".to_owned(), "the token is not active"));
    assert_all_refused(&house, &rows).await;
}

#[tokio::test]
async fn what_scalekits_tokens_look_like_passes() {
    let house = House::of(Provider::Scalekit).await;
    let authority = house.authority();
    let forge = Forge { authority, audience: json!([RESOURCE, RESOURCE_ID]) };
    let rows = [
        ("the environment as issuer", json!({ "iss": authority.url() })),
        ("the resource as issuer", json!({ "iss": authority.issuer() })),
        ("the resource id in a list", json!({ "aud": [RESOURCE_ID] })),
        ("the resource id alone", json!({ "aud": RESOURCE_ID })),
        ("scopes as a list", json!({ "scope": null, "scopes": ["openid", "web-search:read"] })),
        ("scope as a list", json!({ "scope": ["web-search:read"] })),
        ("scopes that disagree", json!({ "scope": "openid", "scopes": ["web-search:read"] })),
        ("scp", json!({ "scope": null, "scp": ["web-search:read"] })),
        ("a client that is a URL", json!({ "client_id": "https://client.example/metadata.json" })),
        ("a machine", json!({ "sub": "m2m_3001", "client_id": "m2m_3001", "oid": null })),
        ("expired within the leeway", json!({ "exp": from_now(-10) })),
        ("early within the leeway", json!({ "nbf": from_now(30) })),
        ("issued in the future", json!({ "iat": from_now(3600) })),
        ("a fraction of a second", json!({ "exp": 4_000_000_000.5 })),
        ("our resource claim", json!({ "resource": RESOURCE })),
        ("no token id", json!({ "jti": null })),
    ];
    for (name, over) in rows {
        let token = forge.with(over);
        for face in Face::BOTH {
            assert_echoed(face, &call_with(&house.server, face, "read", &token).await, name);
        }
    }
    for kind in [json!(null), json!("at+jwt"), json!("JWT")] {
        let token = forge.headed(json!({ "typ": kind }));
        assert_echoed(Face::Mcp, &call_with(&house.server, Face::Mcp, "read", &token).await, &kind.to_string());
    }
}
