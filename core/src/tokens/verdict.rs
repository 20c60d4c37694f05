//! What verifying a token ends in: [`Verified`], or a [`VerifyError`] that says which of two things went wrong, the
//! token or our means to judge it. Must not know how the verdict was reached, nor the status it becomes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A token that holds: whose it is and what it grants. Carries no part of the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which authorization server vouches, the same for each spelling of its issuer: `scalekit:{environment}`,
    /// `oauth:{issuer}` or `dev`. With `subject` and `client_id` it makes the principal.
    pub provider: Arc<str>,
    /// The issuer as the token spells it (`iss`).
    pub issuer: Arc<str>,
    /// Who the token speaks for (`sub`); opaque.
    pub subject: Arc<str>,
    /// The client it was issued to (`client_id`, else `azp` or `cid`); may be a URL (client id metadata documents).
    pub client_id: Option<Arc<str>>,
    /// What it grants: the union of `scope`, `scopes` and `scp`, each once, in the order met.
    pub scopes: Arc<[Arc<str>]>,
    /// The moment from which [`Verifier::verify`](super::Verifier::verify) refuses it: `exp` and the leeway of 60 s.
    pub expires_at: SystemTime,
    /// The organisation that the subject acts in, where the provider says so.
    pub organisation: Option<Arc<str>>,
    /// The token's own id (`jti`), for logs and revocation.
    pub token_id: Option<Arc<str>>,
}

/// Why there is no [`Verified`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The token does not hold; the text is fit for an `error_description`.
    #[error(transparent)]
    Invalid(#[from] InvalidToken),
    /// It cannot be told: the provider is out of reach and nothing is cached. The reason is for the operator's log.
    #[error("{reason}")]
    Unavailable {
        /// What went wrong, with the provider's URL.
        reason: String,
        /// When it is worth trying again.
        retry_after: Duration,
    },
}

/// Why a token does not hold. `Display` is the `error_description` (RFC 6750 section 3): it says which, and shows
/// neither a part of the token nor what would have passed, in the characters that section allows (no `"`, no `\\`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// Not a token of the kind expected here: no JWT in compact form, unreadable JSON, a member twice, too long.
    #[error("this is no access token")]
    NotAToken,
    /// Its `typ` says that it is something other than an access token (RFC 8725 section 3.11).
    #[error("the token's type is not that of an access token")]
    WrongType,
    /// Signed with an algorithm that this provider does not use, or unsigned.
    #[error("the token is signed with an algorithm that is not accepted here")]
    UnsupportedAlgorithm,
    /// Its header has `crit`, which asks for an extension that we do not know (RFC 7515 section 4.1.11).
    #[error("the token's header has critical extensions, which are not supported here")]
    UnknownCritical,
    /// Its header has no `kid`, and without one the key is ambiguous.
    #[error("the token does not name its key")]
    MissingKeyId,
    /// Its `kid` names none of the provider's keys for its algorithm.
    #[error("the token's key is not one of the authorization server's")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Its `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// Its `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Its `iss` is not the provider of this endpoint.
    #[error("the token was issued by another authorization server")]
    WrongIssuer,
    /// Its `aud` or `resource` names other resources only.
    #[error("the token was issued for another resource")]
    WrongAudience,
    /// A claim that must be there is not.
    #[error("the token has no {0} claim")]
    MissingClaim(&'static str),
    /// A claim has a value of the wrong kind.
    #[error("the token's {0} claim is malformed")]
    MalformedClaim(&'static str),
    /// An ID token (OpenID Connect Core section 2), which is for the client and not for us.
    #[error("this is an ID token; send the access token")]
    IdToken,
    /// Bound to a key that the sender must prove to hold (`cnf`: RFC 9449, RFC 8705), which bearers do not.
    #[error("the token is bound to a key of its sender and cannot be used as a bearer token")]
    SenderConstrained,
    /// The development authorization server has revoked it.
    #[error("the token has been revoked")]
    Revoked,
    /// The provider says that it is not active (RFC 7662 section 2.2).
    #[error("the token is not active")]
    Inactive,
}
