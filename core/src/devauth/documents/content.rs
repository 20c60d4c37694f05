//! What a metadata document may say (draft-ietf-oauth-client-id-metadata-document, section "Client ID Metadata
//! Document"; MCP 2026-07-28, `basic/authorization/client-registration`).
//!
//! Owns what sets a document apart from a registration; the rest follows the rules of registrations.

use serde_json::{Map, Value};

use crate::devauth::{
    client::Metadata,
    register::{Registration, Terms, accept},
};

/// A document is for signing people in, by a client that has no secret.
const TERMS: Terms = Terms { grant_types: &["authorization_code", "refresh_token"], default_auth_method: "none" };

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::devauth) enum ContentFault {
    #[error("the document is not JSON: line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the document is not a JSON object")]
    NotAnObject,
    #[error("the document has no \"client_id\"; it must be \"{0}\"")]
    NoClientId(String),
    #[error("the document's \"client_id\" is \"{found}\"; it must be \"{expected}\", to the letter")]
    ClientId { found: String, expected: String },
    #[error("the document has no \"{0}\"; it is required")]
    Missing(&'static str),
    #[error("the document holds \"{0}\", but everybody can read it; take it out")]
    Secret(String),
    #[error("the document holds a private or symmetric key; publish public keys alone")]
    PrivateKey,
    #[error("the client authenticates with \"{0}\", a secret that it cannot share by a document; write \"none\"")]
    SharedSecret(String),
    #[error("the client authenticates with \"{0}\"; this server takes clients without authentication: write \"none\"")]
    AuthMethod(String),
    #[error("{0}")]
    Metadata(String),
}

/// The client that a document describes, fetched from where `client_id` says.
pub(super) fn read(client_id: &str, body: &[u8]) -> Result<Metadata, ContentFault> {
    let document: Value = serde_json::from_slice(body)
        .map_err(|error| ContentFault::NotJson { line: error.line(), column: error.column() })?;
    let Value::Object(document) = document else { return Err(ContentFault::NotAnObject) };
    let expected = || client_id.to_owned();
    match document.get("client_id") {
        None => return Err(ContentFault::NoClientId(expected())),
        Some(Value::String(found)) if found == client_id => {}
        Some(found) => {
            let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            return Err(ContentFault::ClientId { found, expected: expected() });
        }
    }
    if let Some(secret) = document.keys().find(|name| name.starts_with("client_secret")) {
        return Err(ContentFault::Secret(secret.clone()));
    }
    if document.get("jwks").is_some_and(holds_private_key) {
        return Err(ContentFault::PrivateKey);
    }
    for required in ["client_name", "redirect_uris"] {
        if document.get(required).is_none_or(Value::is_null) {
            return Err(ContentFault::Missing(required));
        }
    }
    check_auth_method(&document)?;
    let registration: Registration = serde_json::from_value(Value::Object(document))
        .map_err(|error| ContentFault::Metadata(format!("the document is not client metadata: {error}")))?;
    let metadata = accept(registration, &TERMS).map_err(|refusal| ContentFault::Metadata(refusal.description))?;
    // A blank name is none.
    if metadata.client_name.is_none() { Err(ContentFault::Missing("client_name")) } else { Ok(metadata) }
}

fn check_auth_method(document: &Map<String, Value>) -> Result<(), ContentFault> {
    match document.get("token_endpoint_auth_method").and_then(Value::as_str) {
        None | Some("none") => Ok(()),
        Some(method) if method.starts_with("client_secret") => Err(ContentFault::SharedSecret(method.to_owned())),
        Some(method) => Err(ContentFault::AuthMethod(method.to_owned())),
    }
}

/// The members of RFC 7518 that hold what must not be published: a private exponent or scalar, a symmetric key.
fn holds_private_key(jwks: &Value) -> bool {
    let keys = jwks.get("keys").and_then(Value::as_array).into_iter().flatten();
    keys.into_iter().any(|key| ["d", "k"].iter().any(|member| key.get(member).is_some()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "https://client.example/client.json";

    fn sound() -> Value {
        json!({ "client_id": ID, "client_name": "Editor", "redirect_uris": ["http://127.0.0.1:7777/callback"] })
    }

    fn with(member: &str, value: Value) -> Vec<u8> {
        let mut document = sound();
        document[member] = value;
        document.to_string().into_bytes()
    }

    fn without(member: &str) -> Vec<u8> {
        let mut document = sound();
        document.as_object_mut().unwrap().remove(member);
        document.to_string().into_bytes()
    }

    #[test]
    fn documents_that_describe_no_client() {
        let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
        let many: Vec<String> = (0..17).map(|n| format!("https://a.example/{n}")).collect();
        // what is wrong, the document, what is said
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            ("empty", Vec::new(), "not JSON: line 1, column 0"),
            ("HTML", b"<!doctype html><title>x</title>".to_vec(), "not JSON: line 1, column 1"),
            ("cut", b"{\"client_id\": \"https".to_vec(), "not JSON"),
            ("more than one", b"{} {}".to_vec(), "not JSON"),
            ("not UTF-8", b"{\"client_name\": \"\xff\"}".to_vec(), "not JSON"),
            ("a byte order mark", [b"\xef\xbb\xbf".as_slice(), &with("x", json!(1))].concat(), "not JSON"),
            ("deep", deep.into_bytes(), "not JSON"),
            ("an array", b"[]".to_vec(), "not a JSON object"),
            ("null", b"null".to_vec(), "not a JSON object"),
            ("a string", b"\"x\"".to_vec(), "not a JSON object"),
            (
                "no client id",
                without("client_id"),
                "has no \"client_id\"; it must be \"https://client.example/client.json\"",
            ),
            (
                "another client id",
                with("client_id", json!("https://other.example/client.json")),
                "is \"https://other.example/client.json\"",
            ),
            (
                "a client id in capitals",
                with("client_id", json!("https://CLIENT.example/client.json")),
                "to the letter",
            ),
            ("a client id with a slash more", with("client_id", json!(format!("{ID}/"))), "to the letter"),
            (
                "a client id with a port",
                with("client_id", json!("https://client.example:443/client.json")),
                "to the letter",
            ),
            ("a client id that is a number", with("client_id", json!(7)), "is \"7\""),
            ("a client id that is null", with("client_id", Value::Null), "is \"null\""),
            ("no name", without("client_name"), "has no \"client_name\""),
            ("a blank name", with("client_name", json!("  ")), "has no \"client_name\""),
            ("a null name", with("client_name", Value::Null), "has no \"client_name\""),
            ("a name of the wrong type", with("client_name", json!(["x"])), "not client metadata"),
            ("a long name", with("client_name", json!("n".repeat(201))), "'client_name' is longer"),
            ("a name of two lines", with("client_name", json!("a\nb")), "not one line of text"),
            ("no redirect", without("redirect_uris"), "has no \"redirect_uris\""),
            ("empty redirects", with("redirect_uris", json!([])), "'redirect_uris' is missing"),
            ("one redirect", with("redirect_uris", json!("https://client.example/cb")), "not client metadata"),
            ("many redirects", with("redirect_uris", json!(many)), "more than 16"),
            (
                "a plain http redirect",
                with("redirect_uris", json!(["http://client.example/cb"])),
                "loopback hosts only",
            ),
            (
                "a javascript redirect",
                with("redirect_uris", json!(["javascript:alert(1)"])),
                "cannot be a redirect URI",
            ),
            (
                "one bad redirect of two",
                with("redirect_uris", json!(["https://client.example/cb", "data:,x"])),
                "'data:,x'",
            ),
            ("a secret", with("client_secret", json!("s3cret")), "holds \"client_secret\""),
            ("the end of a secret", with("client_secret_expires_at", json!(0)), "holds \"client_secret_expires_at\""),
            ("a null secret", with("client_secret", Value::Null), "holds \"client_secret\""),
            ("a private key", with("jwks", json!({ "keys": [{ "kty": "EC", "d": "x" }] })), "private or symmetric key"),
            (
                "a symmetric key",
                with("jwks", json!({ "keys": [{}, { "kty": "oct", "k": "x" }] })),
                "private or symmetric key",
            ),
            (
                "basic",
                with("token_endpoint_auth_method", json!("client_secret_basic")),
                "a secret that it cannot share",
            ),
            ("post", with("token_endpoint_auth_method", json!("client_secret_post")), "a secret that it cannot share"),
            ("jwt", with("token_endpoint_auth_method", json!("client_secret_jwt")), "a secret that it cannot share"),
            ("a key", with("token_endpoint_auth_method", json!("private_key_jwt")), "write \"none\""),
            ("a method of the wrong type", with("token_endpoint_auth_method", json!(1)), "not client metadata"),
            ("no sign-in", with("grant_types", json!(["client_credentials"])), "no grant type of this server"),
            ("refresh alone", with("grant_types", json!(["refresh_token"])), "needs 'authorization_code'"),
            ("implicit", with("response_types", json!(["token"])), "needs the response type 'code'"),
            ("contacts", with("contacts", json!("me")), "'contacts' is of the wrong type"),
        ];
        for (what, document, said) in cases {
            let fault = read(ID, &document).expect_err(what).to_string();
            assert!(fault.contains(said), "{what}: {fault}");
            assert!(!fault.contains("s3cret"), "{what}: {fault}");
        }
        let twice = format!("{{\"client_name\":\"A\",{}", sound().to_string().trim_start_matches('{'));
        // Which of two counts is for nobody to guess: the last does, and it is the one that is shown.
        assert_eq!(read(ID, twice.as_bytes()).unwrap().client_name.as_deref(), Some("Editor"));
    }

    #[test]
    fn documents_that_describe_a_client() {
        let metadata = read(ID, sound().to_string().as_bytes()).unwrap();
        assert_eq!(metadata.client_name.as_deref(), Some("Editor"));
        assert_eq!(metadata.grant_types, ["authorization_code"]);
        assert_eq!(metadata.token_endpoint_auth_method, "none");

        let document = json!({
            "client_id": ID, "client_name": "Editor", "client_uri": "https://client.example",
            "logo_uri": "https://client.example/logo.png", "application_type": "native", "scope": "everything",
            "redirect_uris": ["https://client.example/cb", "http://localhost/", "editor://cb"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials", "urn:x:device_code"],
            "response_types": ["code"], "token_endpoint_auth_method": "none",
            "jwks": { "keys": [{ "kty": "EC", "x": "x", "y": "y" }] }, "unknown": { "nested": [1] },
        });
        let metadata = read(ID, document.to_string().as_bytes()).unwrap();
        assert_eq!(metadata.redirect_uris.len(), 3);
        assert_eq!(metadata.grant_types, ["authorization_code", "refresh_token"]);
        assert_eq!(metadata.scope, None, "what a document names limits and grants nothing");
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}|https://[a-z/.:@]{0,12}|none|code|authorization_code".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("d|k|keys|[a-z]{1,4}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_read_has_no_secret_and_leads_where_redirects_may_lead(
            members in prop::collection::vec((prop::sample::select(vec![
                "client_id", "client_name", "redirect_uris", "grant_types", "response_types", "scope", "jwks", "contacts",
                "token_endpoint_auth_method", "client_secret", "client_uri", "other",
            ]), anything()), 0..6),
        ) {
            let mut document = sound();
            for (name, value) in members {
                document[name] = value;
            }
            if let Ok(metadata) = read(ID, document.to_string().as_bytes()) {
                prop_assert_eq!(&document["client_id"], &json!(ID));
                prop_assert_eq!(document.get("client_secret"), None);
                prop_assert_eq!(metadata.token_endpoint_auth_method, "none");
                prop_assert!(!metadata.redirect_uris.is_empty() && metadata.client_name.is_some());
                let leads = |uri: &String| crate::devauth::redirect::destination(uri).is_ok();
                prop_assert!(metadata.redirect_uris.iter().all(leads));
            }
        }

        #[test]
        fn bytes_of_any_kind_are_refused_in_peace(bytes: Vec<u8>) {
            prop_assert!(read(ID, &bytes).is_err());
        }
    }
}
