//! Access tokens: may this one be believed, and whose is it?
//!
//! Owns the verdict on a bearer token ([`Verifier`]): as a JWT against the provider's keys (RFC 7519, RFC 9068), or by
//! asking the provider (RFC 7662); the provider profiles ([`Profile`]: Scalekit, any OAuth/OIDC server, the embedded
//! development server); the memory of keys and of verdicts; and the provider's own documents, which it fetches, checks
//! and passes through (RFC 8414, OpenID Connect Discovery, RFC 7591).
//!
//! Must not know: HTTP serving, challenges and statuses, scopes that tools ask for. A verdict is [`Verified`] or a
//! [`VerifyError`]; what a client gets to see of it is decided above.
//!
//! The way of a token: `verifier` → `remembered` (seen before?) → `jws` (its parts) → `claims` (against the `profile`)
//! → `keyring` (the key it names) → `keys` (the signature). Claims come before keys, so that a token which is of no use
//! to us costs neither a signature check nor a request to the provider; nothing is accepted before both have passed.

mod claims;
mod clock;
mod introspection;
mod jws;
mod keyring;
mod keys;
mod metadata;
mod outage;
mod profile;
mod provider;
mod remembered;
mod verdict;
mod verifier;

pub use metadata::{MetadataDocument, Passthrough, RegisterError};
pub use profile::{DevProfile, Profile, ProfileError, SignInEndpoints};
pub use provider::{ProviderClient, Unreachable};
pub use verdict::{InvalidToken, Verified, VerifyError};
pub use verifier::Verifier;

#[cfg(test)]
mod tests;
