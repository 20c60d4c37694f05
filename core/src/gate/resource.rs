//! One endpoint as an OAuth protected resource (RFC 9728): its identifier, who verifies its tokens, and the
//! document that tells clients where to get one.

use std::sync::Arc;

use serde::Serialize;
use url::Url;

use crate::tokens::Verifier;

/// A protected resource.
pub struct ProtectedResource {
    identifier: String,
    /// The path that follows the well-known one where the identifier's own host serves the document, and where
    /// `public_url` does. They differ where `public_url` has a path.
    metadata_paths: [String; 2],
    metadata_url: String,
    documentation: String,
    verifier: Option<Arc<Verifier>>,
}

/// The document of RFC 9728 section 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetadataDocument {
    /// The resource identifier, byte for byte as configured.
    pub resource: String,
    /// The issuers that it trusts.
    pub authorization_servers: Vec<String>,
    /// The scopes that a first sign-in asks for.
    pub scopes_supported: Vec<Arc<str>>,
    /// Tokens come in the header alone.
    pub bearer_methods_supported: [&'static str; 1],
    /// A name for people.
    pub resource_name: String,
    /// A page for people.
    pub resource_documentation: String,
}

/// Where RFC 9728 section 3.1 puts the document of a resource.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl ProtectedResource {
    /// A resource with its identifier, reached under `public_url`. Without a verifier it is open to everyone.
    pub fn new(identifier: String, public_url: &str, verifier: Option<Arc<Verifier>>) -> Self {
        // A slash that follows the host does not count (RFC 9728 section 3.1).
        let rooted = |path: &str| if path == "/" { String::new() } else { path.to_owned() };
        let path = Url::parse(&identifier).map(|url| rooted(url.path())).unwrap_or_default();
        let below = identifier.strip_prefix(public_url).filter(|rest| rest.starts_with('/'));
        let below = below.and_then(|rest| rest.split(['?', '#']).next());
        let below = below.map_or_else(|| path.clone(), rooted);
        Self {
            metadata_url: format!("{public_url}{WELL_KNOWN}{below}"),
            documentation: format!("{public_url}/docs"),
            identifier,
            metadata_paths: [path, below],
            verifier,
        }
    }

    /// The resource identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The paths behind the well-known one that its document has, without a slash at the end; the first is its own, should
    /// another resource have it as its second. Empty for the root.
    pub fn metadata_paths(&self) -> [&str; 2] {
        self.metadata_paths.each_ref().map(|path| path.trim_end_matches('/'))
    }

    /// Where its document is: below `public_url`, so that a proxy that forwards nothing else forwards it too. RFC 9728
    /// section 3.1 would have it at the host's root, where it is as well; a challenge may name either.
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// Who verifies its tokens; `None` where everyone may call.
    pub fn verifier(&self) -> Option<&Arc<Verifier>> {
        self.verifier.as_ref()
    }

    pub(super) fn document(&self, scopes: &[Arc<str>]) -> Option<MetadataDocument> {
        let verifier = self.verifier.as_ref()?;
        Some(MetadataDocument {
            resource: self.identifier.clone(),
            authorization_servers: verifier.authorization_servers().to_vec(),
            scopes_supported: scopes.to_vec(),
            bearer_methods_supported: ["header"],
            resource_name: "Toolgate".into(),
            resource_documentation: self.documentation.clone(),
        })
    }
}
