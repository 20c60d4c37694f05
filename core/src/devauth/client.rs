//! Clients: what is remembered of one, and how one proves at the token endpoint who it is (RFC 6749 section 2.3).

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    DevAuth,
    documents::DocumentUrl,
    form::Form,
    ledger::Ledger,
    opaque,
    refusal::{ErrorCode, Refusal},
};

/// The grant types of this server.
pub(super) const GRANT_TYPES: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];

/// How clients may authenticate.
pub(super) const AUTH_METHODS: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

/// A registered client.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Client {
    /// Seconds since the epoch.
    pub(super) issued_at: u64,
    /// Seconds since the epoch; the client longest unused leaves first when there are too many.
    pub(super) last_used: u64,
    /// The digest of its secret; public clients have none.
    pub(super) secret_digest: Option<String>,
    pub(super) metadata: Arc<Metadata>,
}

/// What a client says of itself (RFC 7591 section 2), after the rules of this server were applied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) redirect_uris: Vec<String>,
    pub(super) grant_types: Vec<String>,
    pub(super) response_types: Vec<String>,
    pub(super) token_endpoint_auth_method: String,
    /// What a client credentials request without a scope gets. It limits nothing, or no client could ask for more
    /// when it meets `insufficient_scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    /// Members that are given back and mean nothing here: `client_uri`, `logo_uri` and the like.
    #[serde(flatten)]
    pub(super) echoed: serde_json::Map<String, serde_json::Value>,
}

impl Client {
    /// A client that is named by its metadata document, as far as requests without a browser need to know it. What it
    /// may have was settled when its document was read at the authorization endpoint, and is in its codes and grants: so
    /// nothing is fetched here, a stranger's request reaches nobody, and a refresh works while the client's site is
    /// down or after this server was started anew.
    pub(super) fn described() -> Self {
        let metadata = Metadata {
            client_name: None,
            redirect_uris: Vec::new(),
            grant_types: ["authorization_code", "refresh_token"].map(str::to_owned).to_vec(),
            response_types: vec!["code".to_owned()],
            token_endpoint_auth_method: "none".to_owned(),
            scope: None,
            echoed: serde_json::Map::new(),
        };
        Self { issued_at: 0, last_used: 0, secret_digest: None, metadata: Arc::new(metadata) }
    }

    pub(super) fn may_use(&self, grant_type: &str) -> bool {
        self.metadata.grant_types.iter().any(|registered| registered == grant_type)
    }
}

/// What a request carries to say which client it is from.
pub(super) struct Credentials {
    client_id: String,
    secret: Option<String>,
}

impl Credentials {
    /// Reads them from the `Authorization` header or the form, which must not both carry a secret.
    pub(super) fn read(authorization: Option<&str>, form: &Form) -> Result<Self, Refusal> {
        let in_form = (form.one("client_id")?, form.one("client_secret")?);
        let Some(header) = authorization else {
            let (Some(client_id), secret) = in_form else {
                return Err(invalid_client("no client is named; send 'client_id' or HTTP Basic credentials"));
            };
            return Ok(Self { client_id: client_id.to_owned(), secret: secret.map(str::to_owned) });
        };
        let (client_id, secret) = basic(header).ok_or_else(|| {
            invalid_client("the Authorization header is not HTTP Basic with a client id and a secret")
        })?;
        match in_form {
            (_, Some(_)) => {
                Err(Refusal::new(ErrorCode::InvalidRequest, "two ways of client authentication at once; use one"))
            }
            (Some(named), None) if named != client_id => {
                Err(Refusal::new(ErrorCode::InvalidRequest, "'client_id' and the Authorization header differ"))
            }
            _ => Ok(Self { client_id, secret: (!secret.is_empty()).then_some(secret) }),
        }
    }
}

/// The user name and password of an HTTP Basic header, form-decoded as RFC 6749 section 2.3.1 asks.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let bytes = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    Some((decode(id)?, decode(secret)?))
}

/// `invalid_client` (RFC 6749 section 5.2).
pub(super) fn invalid_client(description: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidClient, description)
}

impl DevAuth {
    /// The client that the credentials prove, marked as used. A public client proves nothing: it is only named.
    /// A confidential client may send its secret either way, whichever it registered.
    pub(super) fn authenticate(&self, ledger: &mut Ledger, shown: &Credentials) -> Result<(String, Client), Refusal> {
        if DocumentUrl::is_meant(&shown.client_id) {
            self.documents.check(&shown.client_id).map_err(|fault| invalid_client(&fault.to_string()))?;
            if shown.secret.is_some() {
                return Err(invalid_client("this client has no secret; send 'client_id' alone"));
            }
            return Ok((shown.client_id.clone(), Client::described()));
        }
        let now = self.now();
        let Some(client) = ledger.clients.get_mut(&shown.client_id) else {
            return Err(invalid_client("this client is not registered here; register it again"));
        };
        match (&client.secret_digest, &shown.secret) {
            (None, None) => {}
            (Some(digest), Some(secret)) if opaque::equal(digest, &opaque::digest(secret)) => {}
            (Some(_), Some(_)) => return Err(invalid_client("the client secret is wrong")),
            (Some(_), None) => return Err(invalid_client("this client must send its secret")),
            (None, Some(_)) => return Err(invalid_client("this client has no secret; send 'client_id' alone")),
        }
        client.last_used = now;
        Ok((shown.client_id.clone(), client.clone()))
    }
}
