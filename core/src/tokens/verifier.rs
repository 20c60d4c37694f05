//! The verifier of one endpoint: a token in, a verdict out. Ties the parts of this module together and holds none of
//! their knowledge.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::config::Algorithm;

use super::{
    claims::Claims,
    clock::Clock,
    introspection::{Credentials, Introspection},
    jws::{LONGEST_TOKEN, Unverified},
    keyring::{Current, Keyless, Keyring, LocalKeys, Location},
    keys::algorithm_named,
    metadata::{Discovery, MetadataDocument, Passthrough, RegisterError},
    profile::{Check, Profile, SignInEndpoints, Source},
    provider::{ProviderClient, Unreachable},
    remembered::{self, Digest, Remembered},
    verdict::{InvalidToken, Verified, VerifyError},
};

/// Verifies the tokens of one provider for one resource.
pub struct Verifier {
    profile: Profile,
    method: Method,
    discovery: Option<Arc<Discovery>>,
    remembered: Remembered,
    clock: Clock,
}

/// How this provider's tokens are checked.
enum Method {
    Remote(Arc<Keyring>),
    Local { keys: LocalKeys, revoked: Arc<dyn Fn(&str) -> bool + Send + Sync> },
    Introspection(Arc<Introspection>),
}

impl Verifier {
    /// A verifier. Does no I/O: keys and documents are fetched when they are first needed, so a server starts while
    /// its provider is out of reach.
    pub fn new(profile: Profile, client: Arc<ProviderClient>) -> Self {
        Self::with_clock(profile, client, Clock::default())
    }

    pub(super) fn with_clock(profile: Profile, client: Arc<ProviderClient>, clock: Clock) -> Self {
        let algorithms = profile.algorithms.clone();
        let (method, discovery) = match &profile.source {
            Source::Local { keys, revoked } => {
                let keys = LocalKeys::new(keys, &algorithms, &clock);
                (Method::Local { keys, revoked: Arc::clone(revoked) }, None)
            }
            Source::Provider { documents, check } => {
                let discovery = Arc::new(Discovery::new((**documents).clone(), Arc::clone(&client), clock.clone()));
                let remote =
                    |location| Method::Remote(Keyring::new(location, algorithms, client.clone(), clock.clone()));
                let method = match &**check {
                    Check::KeysAt(url) => remote(Location::At(url.clone())),
                    Check::KeysNamed => remote(Location::Named(Arc::clone(&discovery))),
                    Check::Introspection { client_id, client_secret, endpoint } => {
                        let credentials = Credentials {
                            endpoint: endpoint.clone(),
                            client_id: client_id.clone(),
                            client_secret: client_secret.clone(),
                        };
                        let asked = Arc::clone(&discovery);
                        Method::Introspection(Introspection::new(client, asked, credentials, clock.clone()))
                    }
                };
                (method, Some(discovery))
            }
        };
        Self { profile, method, discovery, remembered: Remembered::new(), clock }
    }

    /// Verify a token. Cancel safe: a caller that goes away takes nothing from the others who wait for the same keys.
    pub async fn verify(&self, token: &str) -> Result<Arc<Verified>, VerifyError> {
        if !may_be_token(token) {
            return Err(InvalidToken::NotAToken.into());
        }
        let digest = remembered::digest(token);
        match &self.method {
            Method::Remote(keyring) => match self.recall(&digest, keyring.generation()) {
                Some(verified) => Ok(verified),
                None => self.by_remote_keys(token, digest, keyring).await,
            },
            Method::Local { keys, revoked } => {
                let verified = self.by_local_keys(token, digest, keys)?;
                let gone = verified.token_id.as_deref().is_none_or(|id| revoked(id));
                if gone { Err(InvalidToken::Revoked.into()) } else { Ok(verified) }
            }
            Method::Introspection(introspection) => match self.recall(&digest, 0) {
                Some(verified) => Ok(verified),
                None => self.by_introspection(token, digest, introspection).await,
            },
        }
    }

    /// What RFC 9728 metadata names as `authorization_servers`.
    pub fn authorization_servers(&self) -> &[String] {
        self.profile.authorization_servers()
    }

    /// What people call the provider.
    pub fn name(&self) -> &str {
        self.profile.name()
    }

    /// Where people sign in, as far as that is known now: by the profile, or from metadata that were fetched before.
    pub fn known_sign_in(&self) -> Option<SignInEndpoints> {
        self.profile.sign_in().cloned().or_else(|| self.discovery.as_ref()?.known_sign_in())
    }

    /// Where people sign in; asks the provider for its metadata if that is how it is known, within the same bounds as
    /// [`Verifier::metadata`].
    pub async fn sign_in(&self) -> Result<SignInEndpoints, Unreachable> {
        match (self.profile.sign_in(), &self.discovery) {
            (Some(known), _) => Ok(known.clone()),
            (None, Some(discovery)) => discovery.sign_in().await,
            (None, None) => Err(Unreachable::Embedded),
        }
    }

    /// The provider's own document, or its own refusal, for clients that look for it here. Fresh for 5 minutes, served
    /// through an outage. Not for the development profile, whose documents are this process's own.
    pub async fn metadata(&self, document: MetadataDocument) -> Result<Passthrough, Unreachable> {
        match &self.discovery {
            Some(discovery) => discovery.document(document).await,
            None => Err(Unreachable::Embedded),
        }
    }

    /// Hand a dynamic registration request (RFC 7591) to the provider and its answer back.
    pub async fn register(&self, body: Bytes, content_type: Option<&str>) -> Result<Passthrough, RegisterError> {
        match &self.discovery {
            Some(discovery) => discovery.register(body, content_type).await,
            None => Err(Unreachable::Embedded.into()),
        }
    }

    fn recall(&self, digest: &Digest, generation: u64) -> Option<Arc<Verified>> {
        self.remembered.recall(digest, self.clock.wall(), generation)
    }

    async fn by_remote_keys(
        &self,
        token: &str,
        digest: Digest,
        keyring: &Arc<Keyring>,
    ) -> Result<Arc<Verified>, VerifyError> {
        let (token, algorithm, verified) = self.read(token)?;
        let cold = keyring.generation() == 0;
        let mut current = keyring.current().await?;
        let mut checked = check(&token, algorithm, &current);
        // Without a `kid`, a signature that does not fit may just as well mean a key that we have not seen.
        let key_may_be_new = match &checked {
            Err(InvalidToken::UnknownKey | InvalidToken::MissingKeyId) => true,
            Err(InvalidToken::BadSignature) => token.header.key_id.is_none(),
            _ => false,
        };
        if key_may_be_new
            && !cold
            && let Some(newer) = keyring.after_unknown_key(&current).await
        {
            checked = check(&token, algorithm, &newer);
            current = newer;
        }
        checked?;
        Ok(self.keep(digest, verified, current.generation))
    }

    fn by_local_keys(&self, token: &str, digest: Digest, keys: &LocalKeys) -> Result<Arc<Verified>, VerifyError> {
        let current = keys.current()?;
        if let Some(verified) = self.recall(&digest, current.generation) {
            return Ok(verified);
        }
        let (token, algorithm, verified) = self.read(token)?;
        check(&token, algorithm, current)?;
        Ok(self.keep(digest, verified, current.generation))
    }

    async fn by_introspection(
        &self,
        token: &str,
        digest: Digest,
        introspection: &Arc<Introspection>,
    ) -> Result<Arc<Verified>, VerifyError> {
        let members = introspection.ask(token, digest).await?;
        let now = self.clock.wall();
        let at_most = remembered::INTROSPECTED;
        let verified =
            Claims::new(&members).judge_introspected(&self.profile, now, at_most).inspect_err(|invalid| {
                introspection.refuse(digest, *invalid);
            })?;
        let verified = Arc::new(verified);
        self.remembered.keep(digest, &verified, now, at_most, 0);
        Ok(verified)
    }

    /// All that can be said before a key is at hand.
    fn read<'t>(&self, token: &'t str) -> Result<(Unverified<'t>, Algorithm, Verified), InvalidToken> {
        let token = Unverified::parse(token)?;
        let algorithm = algorithm_named(&token.header.algorithm)
            .filter(|algorithm| self.profile.algorithms.contains(algorithm))
            .ok_or(InvalidToken::UnsupportedAlgorithm)?;
        if token.header.key_id.is_none() && self.profile.key_id_required {
            return Err(InvalidToken::MissingKeyId);
        }
        let kind = token.header.kind.as_deref();
        let verified = Claims::new(&token.claims).judge(kind, &self.profile, self.clock.wall())?;
        Ok((token, algorithm, verified))
    }

    fn keep(&self, digest: Digest, verified: Verified, generation: u64) -> Arc<Verified> {
        let verified = Arc::new(verified);
        self.remembered.keep(digest, &verified, self.clock.wall(), remembered::SIGNED, generation);
        verified
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl From<Keyless> for VerifyError {
    fn from(Keyless { reason, retry_after }: Keyless) -> Self {
        Self::Unavailable { reason, retry_after }
    }
}

/// What can be a bearer token at all (`b64token`, RFC 6750 section 2.1), within our bound.
fn may_be_token(token: &str) -> bool {
    let character = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    !token.is_empty() && token.len() <= LONGEST_TOKEN && token.as_bytes().iter().all(character)
}

/// Whether the token was signed with one of these keys.
fn check(token: &Unverified<'_>, algorithm: Algorithm, current: &Current) -> Result<(), InvalidToken> {
    let key_id = token.header.key_id.as_deref();
    let candidates = current.keys.candidates(key_id, algorithm);
    if candidates.is_empty() {
        return Err(if key_id.is_some() { InvalidToken::UnknownKey } else { InvalidToken::MissingKeyId });
    }
    let signed = candidates.iter().any(|key| key.verify_sig(token.message, &token.signature).is_ok());
    if signed { Ok(()) } else { Err(InvalidToken::BadSignature) }
}
