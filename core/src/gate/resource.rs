//! One endpoint as an OAuth protected resource (RFC 9728): its identifier, who verifies its tokens, and the
//! document that tells clients where to get one.

use std::sync::Arc;

use serde::Serialize;
use url::Url;

use crate::tokens::Verifier;

/// A protected resource.
pub struct ProtectedResource {
    identifier: String,
    metadata_path: String,
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
        let path = Url::parse(&identifier).map(|url| url.path().to_owned()).unwrap_or_default();
        let metadata_path = if path == "/" { String::new() } else { path };
        let origin =
            Url::parse(public_url).map_or_else(|_| public_url.to_owned(), |url| url.origin().ascii_serialization());
        Self {
            metadata_url: format!("{origin}{WELL_KNOWN}{metadata_path}"),
            documentation: format!("{public_url}/docs"),
            identifier,
            metadata_path,
            verifier,
        }
    }

    /// The resource identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The path that follows the well-known one; empty for the root.
    pub fn metadata_path(&self) -> &str {
        &self.metadata_path
    }

    /// Where its document is.
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
