//! Asking the provider about a token: RFC 7662, with our client credentials.
//!
//! Must not know profiles beyond the credentials; what the answer's members are worth is judged in `claims`.

use std::{sync::Arc, time::Duration};

use http::{StatusCode, header::ACCEPT};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use crate::config::Secret;

use super::{
    jws::Members,
    metadata::{Discovery, Endpoint},
    provider::{ProviderClient, Unreachable},
    verdict::{InvalidToken, VerifyError},
};

/// When to ask again after the provider did not answer as it should.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An introspection endpoint.
pub(super) struct Introspection {
    client: Arc<ProviderClient>,
    discovery: Arc<Discovery>,
    endpoint: Option<Url>,
    client_id: String,
    client_secret: Secret,
}

impl Introspection {
    pub(super) fn new(
        client: Arc<ProviderClient>,
        discovery: Arc<Discovery>,
        endpoint: Option<Url>,
        client_id: &str,
        client_secret: Secret,
    ) -> Self {
        // "encoded using the application/x-www-form-urlencoded encoding algorithm" (RFC 6749 section 2.3.1).
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (client_id, client_secret) = (encoded(client_id), Secret::new(encoded(client_secret.expose())));
        Self { client, discovery, endpoint, client_id, client_secret }
    }

    /// What the provider says about an active token.
    pub(super) async fn ask(&self, token: &str) -> Result<Map<String, Value>, VerifyError> {
        let mut members = self.answer(token).await.map_err(|unreachable| {
            tracing::warn!(reason = %unreachable, "the authorization server cannot be asked about a token");
            VerifyError::Unavailable { reason: unreachable.to_string(), retry_after: RETRY_AFTER }
        })?;
        match members.remove("active") {
            Some(Value::Bool(true)) => Ok(members),
            _ => Err(InvalidToken::Inactive.into()),
        }
    }

    async fn answer(&self, token: &str) -> Result<Map<String, Value>, Unreachable> {
        let url = match &self.endpoint {
            Some(url) => url.clone(),
            None => self.discovery.endpoint(Endpoint::Introspection).await?,
        };
        let question = [("token", token), ("token_type_hint", "access_token")];
        let post = |client: &reqwest::Client| {
            client
                .post(url.clone())
                .header(ACCEPT, "application/json")
                .basic_auth(&self.client_id, Some(self.client_secret.expose()))
                .form(&question)
        };
        let answer = self.client.send(&url, post).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let problem = "refuses our credentials; check `introspection.client_id` and `client_secret`";
                return Err(Unreachable::Unusable { url: url.to_string(), problem });
            }
            status => return Err(Unreachable::Status { url: url.to_string(), status: status.as_u16() }),
        }
        let unusable = || Unreachable::Unusable { url: url.to_string(), problem: "is no introspection response" };
        let Members(members) = serde_json::from_slice(&answer.body).map_err(|_| unusable())?;
        // `active` is the one member that must be there (RFC 7662 section 2.2): without it nothing was said.
        if members.get("active").is_some_and(Value::is_boolean) { Ok(members) } else { Err(unusable()) }
    }
}
