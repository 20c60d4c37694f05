//! The JSON Schema of a registration: what the API description says of it is made of the same bounds and patterns as
//! what `register` and `redirect` check, so that whatever fits is registered and what does not is refused.
//!
//! One thing it cannot say: a registration is read up to [`MAX_BODY`](super::routes::MAX_BODY), which texts far beyond
//! ASCII reach before they reach their own bounds.

use serde_json::{Value, json};

use super::{
    client::AUTH_METHODS,
    redirect,
    register::{MAX_CONTACT, MAX_CONTACTS, MAX_NAME, MAX_REDIRECT_URIS, MAX_SCOPE, MAX_TEXT},
};

/// The JSON Schema of the client metadata that are registered here (RFC 7591 section 2).
///
/// Another authorization server may ask for less or more; its answer says so.
pub fn registration_schema() -> Value {
    let text =
        |description: &str| json!({ "type": ["string", "null"], "description": description, "maxLength": MAX_TEXT });
    let address = |what: &str| text(&format!("Address of {what}."));
    let list = |description: &str| json!({ "type": ["array", "null"], "description": description, "items": { "type": "string" } });
    let holds =
        |member: &str| json!({ "type": "array", "items": { "type": "string" }, "contains": { "const": member } });
    let if_any = |member: &str| json!({ "type": ["array", "null"], "items": { "type": "string" }, "contains": { "const": member } });
    let methods: Vec<Value> = AUTH_METHODS.into_iter().map(Value::from).chain([Value::Null]).collect();
    json!({
        "type": "object",
        "description": "Client metadata (RFC 7591, section 2), at most 16 KiB; members beyond these are passed on as they are.",
        "properties": {
            "redirect_uris": {
                "type": ["array", "null"],
                "description": "Where the authorization server may send the person back to.",
                "items": redirect_uri(),
                "maxItems": MAX_REDIRECT_URIS,
            },
            "client_name": {
                "type": ["string", "null"],
                "description": "A name that the person sees on the consent page: one line.",
                "maxLength": MAX_NAME,
                "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
            },
            "token_endpoint_auth_method": {
                "type": ["string", "null"],
                "description": "How the client authenticates at the token endpoint; `none` for a public client.",
                "enum": methods,
            },
            "grant_types": list(
                "What the client will present at the token endpoint: `authorization_code` (if left out), \
                 `refresh_token` beside it, or `client_credentials`.",
            ),
            "response_types": list("What the client asks for when it sends a person: `code` (if left out)."),
            "scope": {
                "type": ["string", "null"],
                "description": "The scopes that the client may ask for, with blanks between.",
                "maxLength": MAX_SCOPE,
            },
            "client_uri": address("a page about the client"),
            "logo_uri": address("the client's picture"),
            "tos_uri": address("its terms of service"),
            "policy_uri": address("its privacy policy"),
            "contacts": {
                "type": ["array", "null"],
                "description": "Ways to reach who is responsible for the client, such as e-mail addresses.",
                "items": { "type": "string", "maxLength": MAX_CONTACT },
                "maxItems": MAX_CONTACTS,
            },
            "software_id": text("What the software is, whatever its version and installation."),
            "software_version": text("Its version."),
            "application_type": text("`web` or `native`."),
        },
        "anyOf": [
            {
                "title": "A client that people sign in with",
                "required": ["redirect_uris"],
                "properties": {
                    "redirect_uris": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
                    "grant_types": if_any("authorization_code"),
                    "response_types": if_any("code"),
                },
                // A client without a secret cannot prove by itself who it is.
                "not": {
                    "required": ["token_endpoint_auth_method", "grant_types"],
                    "properties": {
                        "token_endpoint_auth_method": { "const": "none" },
                        "grant_types": holds("client_credentials"),
                    },
                },
            },
            {
                "title": "A machine",
                "required": ["grant_types"],
                "properties": {
                    "grant_types": {
                        "type": "array",
                        "contains": { "const": "client_credentials" },
                        "items": { "not": { "enum": ["authorization_code", "refresh_token"] } },
                    },
                    "token_endpoint_auth_method": { "not": { "const": "none" } },
                },
            },
        ],
        "examples": [{
            "client_name": "My client",
            "redirect_uris": ["http://localhost:8765/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }],
    })
}

/// A site over https, a program on this computer (RFC 8252, section 7.3), or an installed application by a scheme of
/// its own (section 7.1). No fragment.
fn redirect_uri() -> Value {
    let redirect::Patterns { site, loopback, application, refused } = redirect::Patterns::new();
    json!({
        "type": "string",
        "maxLength": redirect::MAX_LENGTH,
        "anyOf": [
            { "title": "Site", "pattern": site },
            { "title": "Loopback", "pattern": loopback },
            { "title": "Application", "pattern": application, "not": { "pattern": refused } },
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use jsonschema::Validator;
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::devauth::{DevAuth, Settings, routes::MAX_BODY, tests::settings};

    /// Members that a registration may have, with values that fit, that almost fit and that do not.
    fn members() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
        let text = prop_oneof![
            "\\PC{0,8}".prop_map(Value::from),
            select(vec![200, 201, 512, 513, 2048, 2049]).prop_map(|length| Value::from("n".repeat(length))),
            // Two bytes each: bounds count characters.
            select(vec![200, 512]).prop_map(|length| Value::from("\u{e9}".repeat(length))),
            Just(json!("a\nb")),
        ];
        let uri = prop_oneof![
            "(https|http|app|search|ms-x)://(localhost|client\\.example|1\\.2\\.3\\.4|\\[::1\\])(:[0-9]{1,5})?/[a-z#\\[]{0,3}",
            "[a-zA-Z.+-]{1,6}:[ -~]{0,6}",
            select(vec![500, 512, 513]).prop_map(|length| format!("app:{}", "a".repeat(length - 4))),
        ];
        let uris = prop::collection::vec(uri.prop_map(Value::from), 0..3).prop_map(Value::from);
        let contacts = (0..10usize, select(vec![1, 128, 129]));
        let contacts = contacts.prop_map(|(count, length)| json!(vec!["c".repeat(length); count]));
        let words = ["authorization_code", "refresh_token", "client_credentials", "code", "token", "other"];
        let words = prop::collection::vec(select(words.to_vec()), 0..4).prop_map(|words| json!(words));
        let method = select(vec!["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]);
        let many = select(vec![16usize, 17]).prop_map(|count| json!(vec!["https://a.example/cb"; count]));
        let odd = select(vec![json!(null), json!(1), json!({}), json!([]), json!([1]), json!([null]), json!(true)]);
        let value = prop_oneof![
            2 => text,
            3 => uris,
            1 => many,
            1 => contacts,
            3 => words,
            2 => method.prop_map(Value::from),
            1 => odd,
        ];
        let name = select(vec![
            "redirect_uris",
            "client_name",
            "token_endpoint_auth_method",
            "grant_types",
            "response_types",
            "scope",
            "client_uri",
            "contacts",
            "software_version",
            "application_type",
            "other",
        ]);
        prop::collection::vec((name, value), 0..4)
    }

    static SERVER: LazyLock<Arc<DevAuth>> =
        LazyLock::new(|| DevAuth::open(Settings { issuer: "http://localhost:1".to_owned(), ..settings() }).unwrap());
    static SCHEMA: LazyLock<Validator> =
        LazyLock::new(|| jsonschema::draft202012::new(&registration_schema()).unwrap());

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_fits_the_schema_is_registered_and_what_does_not_is_refused(members in members(), sound: bool) {
            let mut registration = json!({});
            if sound {
                registration["redirect_uris"] = json!(["http://127.0.0.1:33418/"]);
            }
            for (name, value) in members {
                registration[name] = value;
            }
            let fits = SCHEMA.is_valid(&registration);
            let answer = SERVER.register(registration.to_string().as_bytes());
            prop_assert_eq!(fits, answer.is_ok(), "{}: {:?}", registration, answer.err());
        }
    }

    #[test]
    fn the_longest_registration_that_fits_is_read() {
        let uris: Vec<String> = (0..MAX_REDIRECT_URIS).map(|n| format!("app:{n:0508}")).collect();
        let mut registration = json!({
            "redirect_uris": uris, "client_name": "n".repeat(MAX_NAME),
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "response_types": ["code"], "token_endpoint_auth_method": "client_secret_basic",
            "contacts": vec!["c".repeat(MAX_CONTACT); MAX_CONTACTS],
        });
        registration["scope"] = json!("s".repeat(MAX_SCOPE));
        let texts =
            ["client_uri", "logo_uri", "tos_uri", "policy_uri", "software_id", "software_version", "application_type"];
        for name in texts {
            registration[name] = json!("t".repeat(MAX_TEXT));
        }
        assert!(SCHEMA.is_valid(&registration));
        let length = registration.to_string().len();
        assert!(length <= MAX_BODY, "{length}");
    }
}
