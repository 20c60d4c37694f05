//! Dynamic client registration (RFC 7591), open to anyone.
//!
//! Owns what a registration may say, and with it what a metadata document may. As section 3.2.1 allows, what this server
//! does not support is left out of the answer rather than refused, where the client can live without it.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    DevAuth,
    client::{AUTH_METHODS, Client, GRANT_TYPES, Metadata},
    opaque, redirect,
    refusal::{ErrorCode, Refusal},
    scope_tokens,
};

/// Most redirect URIs in one registration.
pub(super) const MAX_REDIRECT_URIS: usize = 16;
/// Longest client name, in characters.
pub(super) const MAX_NAME: usize = 200;
/// Most contacts in one registration.
pub(super) const MAX_CONTACTS: usize = 8;
/// Longest contact, in characters.
pub(super) const MAX_CONTACT: usize = 128;
/// Longest list of scopes, in characters. Clients ask for all that there are, and what is unknown here is not kept.
pub(super) const MAX_SCOPE: usize = 2048;
/// Longest other text, in characters.
pub(super) const MAX_TEXT: usize = 512;
/// Members that are checked for type and length, kept and given back.
const ECHOED: [&str; 8] = [
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "contacts",
    "software_id",
    "software_version",
    "application_type",
];

/// What a client asks for.
#[derive(Deserialize)]
pub(super) struct Registration {
    client_name: Option<String>,
    redirect_uris: Option<Vec<String>>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    scope: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What differs between the ways to become a client.
pub(super) struct Terms {
    /// The grant types that are registered; others that are asked for are left out.
    pub(super) grant_types: &'static [&'static str],
    /// How a client authenticates that does not say.
    pub(super) default_auth_method: &'static str,
}

/// RFC 7591 section 2.
const REGISTERED: Terms = Terms { grant_types: &GRANT_TYPES, default_auth_method: "client_secret_basic" };

fn invalid(description: impl AsRef<str>) -> Refusal {
    Refusal::new(ErrorCode::InvalidClientMetadata, description)
}

impl DevAuth {
    /// Registers a client and answers with all that was registered.
    pub(super) fn register(&self, body: &[u8]) -> Result<Value, Refusal> {
        let registration: Registration =
            serde_json::from_slice(body).map_err(|error| invalid(format!("not a registration: {error}")))?;
        let scope = registration.scope.as_deref().map(|asked| self.registered_scope(asked));
        let mut metadata = accept(registration, &REGISTERED)?;
        metadata.scope = scope.filter(|scope| !scope.is_empty());
        let metadata = Arc::new(metadata);

        let now = self.now();
        let client_id = format!("client_{}", opaque::name());
        let secret = (metadata.token_endpoint_auth_method != "none").then(opaque::secret);
        let client = Client {
            issued_at: now,
            last_used: now,
            secret_digest: secret.as_deref().map(opaque::digest),
            metadata: Arc::clone(&metadata),
        };
        let ((), changed) = self.change(|ledger| ledger.add_client(client_id.clone(), client, now));
        self.save_or_warn(changed);
        tracing::info!(client_id, name = metadata.client_name, "development client registered");

        let mut answer = json!({ "client_id": client_id, "client_id_issued_at": now });
        if let Some(secret) = secret {
            answer["client_secret"] = json!(secret);
            answer["client_secret_expires_at"] = json!(0);
        }
        if let (Value::Object(answer), Ok(Value::Object(metadata))) = (&mut answer, serde_json::to_value(&*metadata)) {
            answer.extend(metadata);
        }
        Ok(answer)
    }

    fn registered_scope(&self, asked: &str) -> String {
        let asked: Vec<&str> = scope_tokens(asked).collect();
        let offer = self.offered();
        let configured = offer.scopes.iter().map(|(scope, _)| scope.as_str());
        configured.filter(|scope| asked.contains(scope)).collect::<Vec<_>>().join(" ")
    }
}

/// The metadata that is registered, its `scope` left out; or what is wrong with what was asked.
pub(super) fn accept(asked: Registration, terms: &Terms) -> Result<Metadata, Refusal> {
    let grant_types = known(asked.grant_types, terms.grant_types, &["authorization_code"]);
    if grant_types.is_empty() {
        let known = terms.grant_types.join("', '");
        return Err(invalid(format!("no grant type of this server; it knows '{known}'")));
    }
    let uses = |grant_type: &str| grant_types.iter().any(|registered| registered == grant_type);
    let signs_in = uses("authorization_code");
    if uses("refresh_token") && !signs_in {
        return Err(invalid("'refresh_token' needs 'authorization_code' beside it; nothing else issues one"));
    }

    let response_types = known(asked.response_types, &["code"], if signs_in { &["code"] } else { &[] });
    if signs_in && response_types.is_empty() {
        return Err(invalid("'authorization_code' needs the response type 'code'"));
    }

    let method = asked.token_endpoint_auth_method.unwrap_or_else(|| terms.default_auth_method.to_owned());
    if !AUTH_METHODS.contains(&method.as_str()) {
        return Err(invalid(format!(
            "'{method}' is no client authentication method here; use one of '{}'",
            AUTH_METHODS.join("', '")
        )));
    }
    if method == "none" && uses("client_credentials") {
        return Err(invalid("'client_credentials' is for clients with a secret; 'none' gives none"));
    }

    let redirect_uris = asked.redirect_uris.unwrap_or_default();
    if redirect_uris.len() > MAX_REDIRECT_URIS {
        return Err(invalid(format!("more than {MAX_REDIRECT_URIS} redirect URIs")));
    }
    if asked.scope.as_deref().is_some_and(|scope| scope.chars().count() > MAX_SCOPE) {
        return Err(invalid(format!("'scope' is longer than {MAX_SCOPE} characters")));
    }
    if signs_in && redirect_uris.is_empty() {
        let description = "'redirect_uris' is missing; 'authorization_code' needs at least one";
        return Err(Refusal::new(ErrorCode::InvalidRedirectUri, description));
    }
    for uri in &redirect_uris {
        redirect::destination(uri).map_err(|reason| {
            Refusal::new(ErrorCode::InvalidRedirectUri, format!("'{uri}' cannot be a redirect URI: {reason}"))
        })?;
    }

    let client_name = asked.client_name.filter(|name| !name.trim().is_empty());
    if client_name.as_deref().is_some_and(|name| name.chars().count() > MAX_NAME || name.contains(char::is_control)) {
        return Err(invalid(format!("'client_name' is longer than {MAX_NAME} characters or not one line of text")));
    }

    let mut echoed = asked.rest;
    echoed.retain(|name, value| ECHOED.contains(&name.as_str()) && !value.is_null());
    let text = |value: &Value, most| value.as_str().is_some_and(|text| text.chars().count() <= most);
    let contacts =
        |values: &Vec<Value>| values.len() <= MAX_CONTACTS && values.iter().all(|contact| text(contact, MAX_CONTACT));
    if let Some((name, _)) = echoed.iter().find(|(name, value)| match name.as_str() {
        "contacts" => !value.as_array().is_some_and(contacts),
        _ => !text(value, MAX_TEXT),
    }) {
        return Err(invalid(format!("'{name}' is of the wrong type or too long")));
    }

    Ok(Metadata {
        client_name,
        redirect_uris,
        grant_types,
        response_types,
        token_endpoint_auth_method: method,
        scope: None,
        echoed,
    })
}

/// Those asked for that are known, each once; the default if the member was left out.
fn known(asked: Option<Vec<String>>, known: &[&str], default: &[&str]) -> Vec<String> {
    let Some(asked) = asked else {
        return default.iter().map(|&name| name.to_owned()).collect();
    };
    known.iter().filter(|name| asked.iter().any(|asked| asked == *name)).map(|&name| name.to_owned()).collect()
}
