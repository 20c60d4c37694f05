//! Who calls, as far as a decision needs to know.

use std::{sync::Arc, time::SystemTime};

use crate::tokens::Verified;

/// An authenticated caller, or one that needs no authentication. Made from a verified token, or by name; never holds
/// the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    id: PrincipalId,
    scopes: Arc<[Arc<str>]>,
    expires_at: Option<SystemTime>,
    organisation: Option<Arc<str>>,
    token_id: Option<Arc<str>>,
    unrestricted: bool,
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
            organisation: None,
            token_id: None,
            unrestricted: true,
        }
    }

    /// Who: what sessions, handles and rates belong to.
    pub fn id(&self) -> &PrincipalId {
        &self.id
    }

    /// The scopes of the token, as granted.
    pub fn scopes(&self) -> &Arc<[Arc<str>]> {
        &self.scopes
    }

    /// When the token ends; none for a local or anonymous principal.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// The organisation of the subject, where the authorization server names one.
    pub fn organisation(&self) -> Option<&Arc<str>> {
        self.organisation.as_ref()
    }

    /// `jti` of the token.
    pub fn token_id(&self) -> Option<&Arc<str>> {
        self.token_id.as_ref()
    }

    /// Whether scopes are not asked of this principal.
    pub fn is_unrestricted(&self) -> bool {
        self.unrestricted
    }
}

impl From<&Verified> for Principal {
    fn from(verified: &Verified) -> Self {
        Self {
            id: PrincipalId {
                provider: Arc::clone(&verified.provider),
                subject: Arc::clone(&verified.subject),
                client_id: verified.client_id.clone(),
            },
            scopes: Arc::clone(&verified.scopes),
            expires_at: Some(verified.expires_at),
            organisation: verified.organisation.clone(),
            token_id: verified.token_id.clone(),
            unrestricted: false,
        }
    }
}
