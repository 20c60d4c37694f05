//! What every request says beside its body: the key, and who asks.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use toolgate_plugin::ProviderError;

use crate::settings::Settings;

/// The headers of all requests.
pub(super) fn of(settings: &Settings) -> Result<HeaderMap, ProviderError> {
    let value = |path: &str, text: &str| {
        HeaderValue::from_str(text).map_err(|_| ProviderError::settings(path, "cannot be sent in a header"))
    };
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-client-source"), value("client_source", &settings.client_source)?);
    if let Some(id) = &settings.project_id {
        headers.insert(HeaderName::from_static("x-project-id"), value("project_id", id)?);
    }
    if let Some(id) = &settings.org_id {
        headers.insert(HeaderName::from_static("x-tavily-orgid"), value("org_id", id)?);
    }
    if settings.keyless() {
        headers.insert(HeaderName::from_static("x-tavily-access-mode"), HeaderValue::from_static("keyless"));
    } else {
        let mut bearer = value("api_key", &format!("Bearer {}", settings.api_key.expose()))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

/// What the ids of callers are hashed with, if they are to be sent. The key in it keeps others from testing a list of
/// subjects against the ids.
pub(super) fn human_id_salt(settings: &Settings) -> Option<Sha256> {
    let salt = || {
        let key = settings.api_key.expose();
        Sha256::new_with_prefix("toolgate human id\0").chain_update(key).chain_update(b"\0")
    };
    settings.human_id.then(salt)
}

/// An opaque id of a caller.
pub(super) fn human_id(salt: &Sha256, subject: &str) -> String {
    let digest = salt.clone().chain_update(subject.as_bytes()).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
