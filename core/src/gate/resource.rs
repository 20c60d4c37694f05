//! One endpoint as an OAuth protected resource (RFC 9728): its identifier, who verifies its tokens, and the
//! document that tells clients where to get one.

use std::sync::Arc;

use crate::{config::metadata_path, tokens::Verifier};
use serde::Serialize;

/// A protected resource.
pub struct ProtectedResource {
    identifier: String,
    metadata_paths: MetadataPaths,
    metadata_url: String,
    documentation: String,
    verifier: Option<Arc<Verifier>>,
}

/// The paths that follow the well-known one where a resource's document is, without a slash at the end; empty for the root.
/// They differ where `public_url` has a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataPaths {
    /// Where the identifier's own host serves it (RFC 9728 section 3.1).
    pub at_root: String,
    /// Where `public_url` serves it.
    pub below: String,
}

impl MetadataPaths {
    /// Whether this is one of them.
    pub fn contains(&self, path: &str) -> bool {
        self.at_root == path || self.below == path
    }
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
        let below = metadata_path(&identifier, Some(public_url));
        let without_slash = |path: &str| path.trim_end_matches('/').to_owned();
        let metadata_paths =
            MetadataPaths { at_root: without_slash(&metadata_path(&identifier, None)), below: without_slash(&below) };
        Self {
            metadata_url: format!("{public_url}{WELL_KNOWN}{below}"),
            documentation: format!("{public_url}/docs"),
            identifier,
            metadata_paths,
            verifier,
        }
    }

    /// The resource identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The paths behind the well-known one that its document has.
    pub fn metadata_paths(&self) -> &MetadataPaths {
        &self.metadata_paths
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_below_public_url_and_at_the_root() {
        let public_url = "https://mcp.example.com/tools";
        // resource, path at the root, path below, advertised below public_url
        let rows = [
            ("https://mcp.example.com/tools/web/mcp", "/tools/web/mcp", "/web/mcp", "/web/mcp"),
            ("https://mcp.example.com/tools/web/mcp?team=1", "/tools/web/mcp", "/web/mcp", "/web/mcp"),
            ("https://mcp.example.com/tools/mcp/", "/tools/mcp", "/mcp", "/mcp/"),
            ("https://mcp.example.com/tools/", "/tools", "", ""),
            ("https://mcp.example.com/tools", "/tools", "/tools", "/tools"),
            ("https://mcp.example.com/toolsmcp", "/toolsmcp", "/toolsmcp", "/toolsmcp"),
            ("https://other.example/mcp?team=1", "/mcp", "/mcp", "/mcp"),
            ("https://other.example/", "", "", ""),
        ];
        for (identifier, at_root, below, advertised) in rows {
            let resource = ProtectedResource::new(identifier.to_owned(), public_url, None);
            let paths = MetadataPaths { at_root: at_root.to_owned(), below: below.to_owned() };
            assert_eq!(*resource.metadata_paths(), paths, "{identifier}");
            assert_eq!(resource.metadata_url(), format!("{public_url}{WELL_KNOWN}{advertised}"), "{identifier}");
        }
    }
}
