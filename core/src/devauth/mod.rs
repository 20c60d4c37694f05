//! The embedded development authorization server: OAuth 2.1 in one process, for trying and for tests.
//!
//! Owns sign-in with a consent page, the token endpoint, dynamic registration, revocation, introspection and
//! the key that signs. It stands where a real authorization server would stand, so it knows nothing of the rest
//! of the crate: what it may grant comes in through [`Settings`], what it grants leaves as signed tokens. Anyone
//! who reaches it can sign in as anyone: it must never be what protects something real.
//!
//! A request passes `routes` (HTTP) into one of `register`, `authorize`, `consent`, `token`, `revocation`; these decide,
//! and keep what they must remember in the `ledger`. A client is known because it registered, or because its id is the
//! URL of a document that says what it is (`documents`), which is the one thing that this server ever fetches.

mod authorize;
mod client;
mod consent;
mod documents;
mod form;
mod keys;
mod label;
mod ledger;
mod opaque;
mod page;
mod redirect;
mod refusal;
mod register;
mod revocation;
mod routes;
mod schema;
mod state_dir;
mod token;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};

use documents::Documents;
use keys::SigningKey;
use ledger::{Changes, Ledger, Revocations};
use refusal::{ErrorCode, Refusal};
pub use schema::registration_schema;
use state_dir::{Clients, Grants, StateDir};

/// What the authorization server may grant, to whom its tokens speak, and where it remembers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer identifier (RFC 8414): an http or https URL without query, fragment or trailing slash.
    pub issuer: String,
    /// The port that it listens on: no client's document is fetched from there.
    pub port: u16,
    /// The scopes that may be granted, each with a description for the consent page, in the order shown.
    pub scopes: Vec<(String, String)>,
    /// The resource identifiers that `resource` may name (RFC 8707); a slash at the end and the case of scheme and host do
    /// not matter, and the audience is always what stands here. With exactly one, it is the audience also of requests that
    /// name none; with several, such a request is `invalid_target`.
    pub resources: Vec<String>,
    /// The folder that keeps the signing key, clients and grants over a restart; `None` keeps them in memory.
    pub state_dir: Option<PathBuf>,
    /// How long an access token is valid.
    pub access_token_ttl: Duration,
    /// How long a refresh token may lie unused.
    pub refresh_token_ttl: Duration,
    /// Whether a client's metadata document may be on this machine, such as `http://localhost:8080/client.json`. Only
    /// for a server that nobody else reaches: with it, a `client_id` makes the server send requests to this machine.
    pub loopback_documents: bool,
    /// What an operator writes to allow that: shown to developers whose document was refused for it.
    pub loopback_documents_setting: &'static str,
}

/// Why the authorization server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The issuer is not a URL that RFC 8414 allows.
    #[error("\"{0}\" is no issuer; write an http or https URL without query, fragment or trailing slash")]
    Issuer(String),
    /// There is nothing that a token could be for.
    #[error("no resource to issue tokens for; configure an endpoint")]
    NoResource,
    /// The state folder or a file in it cannot be read or written.
    #[error("\"{}\" cannot be used as development state: {source}; check its permissions", path.display())]
    StateFile {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file in the state folder is not what this server wrote there.
    #[error("\"{}\" is damaged: {reason}; delete it to start afresh", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its content.
        reason: String,
    },
    /// The cryptography library refused to make a key.
    #[error("no signing key could be made")]
    Key,
}

/// Scopes of OpenID Connect that clients ask for out of habit. They mean nothing here: they are dropped, and a
/// request that holds nothing else counts as one without a scope.
const TOLERATED_SCOPES: [&str; 5] = ["openid", "profile", "email", "address", "offline_access"];

/// The development authorization server.
pub struct DevAuth {
    settings: Settings,
    offer: ArcSwap<Offer>,
    /// Scheme, host and port of the issuer, as browsers write them in `Origin`.
    origin: String,
    /// The issuer's path, "" at the root.
    base_path: String,
    key: SigningKey,
    ledger: Mutex<Ledger>,
    revocations: Revocations,
    documents: Documents,
    state_dir: Option<StateDir>,
    /// Seconds by which this server's clock runs ahead; only tests set it.
    ahead: AtomicU64,
}

/// What may be granted now; begins as the [`Settings`] say.
struct Offer {
    scopes: Vec<(String, String)>,
    resources: Vec<String>,
}

impl fmt::Debug for DevAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevAuth").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl DevAuth {
    /// Starts the authorization server, reading or creating its state folder if one is set. Blocks on files.
    pub fn open(settings: Settings) -> Result<Arc<Self>, OpenError> {
        let issuer = parse_issuer(&settings.issuer)?;
        if settings.resources.is_empty() {
            return Err(OpenError::NoResource);
        }
        let state_dir = settings.state_dir.clone().map(StateDir::open).transpose()?;
        let key = match &state_dir {
            Some(dir) => dir.signing_key()?,
            None => SigningKey::generate().ok_or(OpenError::Key)?.0,
        };
        let (ledger, revocations) = match &state_dir {
            Some(dir) => dir.ledger()?,
            None => Default::default(),
        };
        let origin = issuer.origin().ascii_serialization();
        let (loopback, setting) = (settings.loopback_documents, settings.loopback_documents_setting);
        Ok(Arc::new(Self {
            documents: Documents::new(loopback, setting, origin.clone(), settings.port),
            origin,
            base_path: issuer.path().trim_end_matches('/').to_owned(),
            offer: ArcSwap::from_pointee(Offer {
                scopes: settings.scopes.clone(),
                resources: settings.resources.clone(),
            }),
            settings,
            key,
            ledger: Mutex::new(ledger),
            revocations,
            state_dir,
            ahead: AtomicU64::new(0),
        }))
    }

    /// Grant these scopes (with their descriptions) for these resources from now on. What has been granted stays.
    pub fn offer(&self, scopes: Vec<(String, String)>, resources: Vec<String>) {
        self.offer.store(Arc::new(Offer { scopes, resources }));
    }

    fn offered(&self) -> Arc<Offer> {
        self.offer.load_full()
    }

    /// The public keys that verify this server's tokens.
    pub fn key_set(&self) -> JwkSet {
        self.key.key_set().clone()
    }

    /// Whether the access token with this `jti` was revoked, by itself or with all that its sign-in led to.
    /// The answer is meaningful until the token's expiry; later the server forgets.
    pub fn is_revoked(&self, token_id: &str) -> bool {
        self.revocations.holds(token_id)
    }

    /// The authorization server metadata (RFC 8414 section 2), for the well-known locations.
    pub fn oauth_metadata(&self) -> Value {
        let (issuer, offer) = (&self.settings.issuer, self.offered());
        let scopes: Vec<&str> = offer.scopes.iter().map(|(scope, _)| scope.as_str()).collect();
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "introspection_endpoint": format!("{issuer}/introspect"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "jwks_uri": format!("{issuer}/jwks"),
            "scopes_supported": scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": client::GRANT_TYPES,
            "token_endpoint_auth_methods_supported": client::AUTH_METHODS,
            "revocation_endpoint_auth_methods_supported": client::AUTH_METHODS,
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": true,
            "protected_resources": offer.resources,
        })
    }

    /// The same document with what OpenID Connect Discovery requires besides. No ID token is issued, so neither
    /// `openid` nor any claim is advertised; the algorithm named is the one that signs access tokens.
    pub fn openid_configuration(&self) -> Value {
        let mut document = self.oauth_metadata();
        document["subject_types_supported"] = json!(["public"]);
        document["id_token_signing_alg_values_supported"] = json!(["ES256"]);
        document
    }

    /// The routes of this server, to be nested at the issuer's path.
    pub fn routes(self: &Arc<Self>) -> poem::Route {
        routes::routes(self)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // No step leaves the ledger half-changed, so one that panicked does not spoil it for the others.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since the epoch.
    fn now(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        since_epoch.saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// The configured scopes among those asked for (RFC 6749 section 3.3); all of them if none was asked for.
    fn select_scopes(&self, asked: Option<&str>) -> Result<Vec<String>, Refusal> {
        let offer = self.offered();
        let configured = offer.scopes.iter().map(|(scope, _)| scope);
        let asked: Vec<&str> = scope_tokens(asked.unwrap_or_default()).collect();
        if asked.is_empty() {
            return Ok(configured.cloned().collect());
        }
        let selected: Vec<String> = configured.filter(|scope| asked.contains(&scope.as_str())).cloned().collect();
        if selected.is_empty() {
            let known: Vec<&str> = offer.scopes.iter().map(|(scope, _)| scope.as_str()).collect();
            let asked = asked.join(" ");
            return Err(Refusal::new(
                ErrorCode::InvalidScope,
                format!("'{asked}' holds no scope of this server; it knows '{}'", known.join(" ")),
            ));
        }
        Ok(selected)
    }

    /// The resources that a new grant is for (RFC 8707 section 2).
    fn select_resources(&self, asked: &[&str]) -> Result<Vec<String>, Refusal> {
        match (asked, self.offered().resources.as_slice()) {
            ([], [only]) => Ok(vec![only.clone()]),
            ([], several) => Err(Refusal::new(
                ErrorCode::InvalidTarget,
                format!("no 'resource' given; name one of '{}'", several.join("', '")),
            )),
            (asked, known) => narrow_resources(known, asked),
        }
    }

    /// Does something with the ledger, and says up to which change it must be written then; to no further than 0 if
    /// nothing changed that outlives a restart.
    fn change<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> (T, Changes) {
        let mut ledger = self.ledger();
        let before = ledger.changes;
        let done = work(&mut ledger);
        let due = |before, after| if before == after { 0 } else { after };
        let Changes { clients, grants } = ledger.changes;
        (done, Changes { clients: due(before.clients, clients), grants: due(before.grants, grants) })
    }

    /// Has these changes written to the state folder, if there is one. Must not be called with the ledger in hand: others
    /// go on while the file is written.
    fn save(&self, due: Changes) -> std::io::Result<()> {
        let Some(dir) = &self.state_dir else { return Ok(()) };
        dir.save_clients(due.clients, || {
            let ledger = self.ledger();
            (Clients { clients: ledger.clients.clone() }, ledger.changes.clients)
        })?;
        dir.save_grants(due.grants, || {
            let ledger = self.ledger();
            let (grants, revoked) = (ledger.grants.clone(), self.revocations.entries());
            (Grants { grants, revoked }, ledger.changes.grants)
        })
    }

    /// As [`Self::save`], where memory stays the truth if the disk does not follow: what is lost by a restart then is a
    /// registration or a sign-in, never a refusal.
    fn save_or_warn(&self, due: Changes) {
        if let Err(error) = self.save(due) {
            tracing::warn!(%error, "development state could not be saved; a restart will forget the newest clients and grants");
        }
    }

    #[cfg(test)]
    fn advance(&self, by: Duration) {
        self.ahead.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

/// The scopes in a `scope` parameter, without those that mean nothing here.
fn scope_tokens(scope: &str) -> impl Iterator<Item = &str> {
    scope.split(' ').filter(|token| !token.is_empty() && !TOLERATED_SCOPES.contains(token))
}

/// Those of `granted` that `asked` names, all if it names none; `invalid_target` if it names another.
fn narrow_resources(granted: &[String], asked: &[&str]) -> Result<Vec<String>, Refusal> {
    if let Some(foreign) = asked.iter().find(|asked| !granted.iter().any(|granted| names(asked, granted))) {
        return Err(Refusal::new(
            ErrorCode::InvalidTarget,
            format!("'{foreign}' is not among the resources here; use one of '{}'", granted.join("', '")),
        ));
    }
    let wanted = |granted: &&String| asked.is_empty() || asked.iter().any(|asked| names(asked, granted));
    Ok(granted.iter().filter(wanted).cloned().collect())
}

/// Whether a `resource` parameter means this resource. Clients that were given its address with a slash at the end send it
/// so, and MCP asks for leniency about the case of scheme and host (2026-07-28, `basic/authorization`, "Canonical Server
/// URI"). The rest counts to the letter.
fn names(asked: &str, resource: &str) -> bool {
    let parts = |uri: &str| {
        let (scheme, rest) = uri.split_once("://")?;
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(at);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        Some((scheme.to_ascii_lowercase(), authority.to_ascii_lowercase(), rest.to_owned()))
    };
    asked == resource || parts(asked).is_some_and(|asked| Some(asked) == parts(resource))
}

fn parse_issuer(issuer: &str) -> Result<url::Url, OpenError> {
    let refused = || OpenError::Issuer(issuer.to_owned());
    let url = url::Url::parse(issuer).map_err(|_| refused())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && !issuer.contains(['?', '#'])
        && !issuer.ends_with('/');
    if plain { Ok(url) } else { Err(refused()) }
}
