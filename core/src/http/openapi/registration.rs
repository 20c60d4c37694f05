//! The JSON Schema of a registration (RFC 7591), which poem-openapi's 3.0 schemas cannot say: lists that must hold a
//! certain member, members that depend on each other.
//!
//! It says what the embedded development authorization server takes, so that what matches it is registered there.
//! Another authorization server may ask for less or more; its answer says so.

use serde_json::{Value, json};

/// The name of the schema in the document.
pub(super) const NAME: &str = "ClientMetadata";

/// The schema, in place of the one that only tells types.
pub(super) fn client_metadata() -> Value {
    let text = |description: &str| json!({ "type": ["string", "null"], "description": description, "maxLength": 2048 });
    let address = |what: &str| text(&format!("Address of {what}."));
    let list = |description: &str| json!({ "type": ["array", "null"], "description": description, "items": { "type": "string" } });
    let holds =
        |member: &str| json!({ "type": "array", "items": { "type": "string" }, "contains": { "const": member } });
    let if_any = |member: &str| json!({ "type": ["array", "null"], "items": { "type": "string" }, "contains": { "const": member } });
    json!({
        "type": "object",
        "title": NAME,
        "description": "Client metadata (RFC 7591, section 2); members beyond these are passed on as they are.",
        "properties": {
            "redirect_uris": {
                "type": "array",
                "description": "Where the authorization server may send the person back to.",
                "items": redirect_uri(),
                "maxItems": 32,
            },
            "client_name": {
                "type": ["string", "null"],
                "description": "A name that the person sees on the consent page: one line.",
                "maxLength": 200,
                "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
            },
            "token_endpoint_auth_method": {
                "type": ["string", "null"],
                "description": "How the client authenticates at the token endpoint; `none` for a public client.",
                "enum": ["none", "client_secret_basic", "client_secret_post", null],
            },
            "grant_types": list(
                "What the client will present at the token endpoint: `authorization_code` (if left out), \
                 `refresh_token` beside it, or `client_credentials`.",
            ),
            "response_types": list("What the client asks for when it sends a person: `code` (if left out)."),
            "scope": text("The scopes that the client may ask for, with blanks between."),
            "client_uri": address("a page about the client"),
            "logo_uri": address("the client's picture"),
            "tos_uri": address("its terms of service"),
            "policy_uri": address("its privacy policy"),
            "contacts": {
                "type": ["array", "null"],
                "description": "Ways to reach who is responsible for the client, such as e-mail addresses.",
                "items": { "type": "string", "maxLength": 2048 },
                "maxItems": 16,
            },
            "software_id": text("What the software is, whatever its version and installation."),
            "software_version": text("Its version."),
        },
        "anyOf": [
            {
                "title": "A client that people sign in with",
                "required": ["redirect_uris"],
                "properties": {
                    "redirect_uris": { "minItems": 1 },
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
    const REST: &str = r"([/?][A-Za-z0-9._~!$&'()*+,;=:@%/?\[\]-]*)?$";
    const PORT: &str = "(:[1-9][0-9]{0,3})?";
    json!({
        "type": "string",
        "maxLength": 2048,
        "anyOf": [
            {
                "title": "Site",
                "pattern": format!(r"^https://([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z]+{PORT}{REST}"),
            },
            { "title": "Loopback", "pattern": format!(r"^http://(localhost|127\.0\.0\.1|\[::1\]){PORT}{REST}") },
            {
                "title": "Application",
                "pattern": r"^[a-z][a-z0-9]*(\.[a-z0-9-]+)+:/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$",
            },
            { "title": "Application", "pattern": r"^(cursor|vscode|vscode-insiders)://[a-z0-9.-]+(/[A-Za-z0-9._~%/?=&-]*)?$" },
        ],
    })
}
