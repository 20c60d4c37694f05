//! Who calls, as far as a decision needs to know.

use std::{sync::Arc, time::SystemTime};

/// An authenticated caller. Never holds the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who: what sessions, handles and rates belong to.
    pub id: PrincipalId,
    /// The scopes of the token, as granted.
    pub scopes: Arc<[Arc<str>]>,
    /// When the token ends; none for a local or anonymous principal.
    pub expires_at: Option<SystemTime>,
    /// Scopes are not asked of this principal (`provider = "none"`, or the operator at the shell).
    pub unrestricted: bool,
}

/// Provider, subject and client. Scopes and the issuer's spelling are not part of it, so that stepping up
/// keeps a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalId {
    /// Which authorization server vouches.
    pub provider: Arc<str>,
    /// `sub`; opaque.
    pub subject: Arc<str>,
    /// `client_id`; may be a URL.
    pub client_id: Option<Arc<str>>,
}

impl Principal {
    /// Everyone, where the operator chose `provider = "none"`.
    pub fn anonymous() -> Self {
        Self::unrestricted("none", "anonymous")
    }

    /// The operator at the shell (`toolgate call`).
    pub fn local() -> Self {
        Self::unrestricted("local", "operator")
    }

    fn unrestricted(provider: &str, subject: &str) -> Self {
        Self {
            id: PrincipalId { provider: provider.into(), subject: subject.into(), client_id: None },
            scopes: Arc::from([]),
            expires_at: None,
            unrestricted: true,
        }
    }
}
