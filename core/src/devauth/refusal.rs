//! The errors of OAuth as values: a code from an RFC and a sentence for the developer who meets it.
//!
//! Owns codes and wording rules; how a refusal travels (JSON, redirect, page) is chosen in `routes` and `authorize`.

/// The error codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 7009, RFC 7591 section 3.2.2, RFC 8707 and OpenID Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    AccessDenied,
    LoginRequired,
    InvalidRedirectUri,
    InvalidClientMetadata,
    ServerError,
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The code as it is written in a response.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// One refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Why, for programs.
    pub(super) code: ErrorCode,
    /// Why and what would help, for people.
    pub(super) description: String,
}

impl Refusal {
    /// A refusal; the description is cut to the characters that RFC 6749 section 5.2 allows in one.
    pub(super) fn new(code: ErrorCode, description: impl AsRef<str>) -> Self {
        let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        let description = description.as_ref().chars().take(400).map(|c| if allowed(c) { c } else { '?' }).collect();
        Self { code, description }
    }
}
