//! Which of our paths a request means, whatever stands before and behind it on its way here.
//!
//! A `public_url` may have a path, and a proxy that serves it may take that path off or leave it on; people and clients
//! write a slash at the end of an address or do not. Routes know neither. Where the path of `public_url` looks like one of
//! ours, what is whole as it came is not taken apart; the configuration's rules see to it that this can be told.

use std::collections::HashSet;

use url::Url;

use crate::config::Config;

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// To this path of ours.
    Path(&'a str),
    /// To the front page without its slash, from where the page's own links would lead past us.
    FrontWithoutSlash,
}

/// The paths as clients see them.
#[derive(Debug)]
pub(super) struct Places {
    /// The path of `public_url`, without a slash at the end; empty if it has none.
    prefix: String,
    endpoints: HashSet<String>,
}

impl Places {
    pub(super) fn new(config: &Config) -> Self {
        let path = Url::parse(&config.public_url()).map(|url| url.path().to_owned()).unwrap_or_default();
        Self {
            prefix: path.trim_end_matches('/').to_owned(),
            endpoints: config.endpoints.values().map(|endpoint| endpoint.path.clone()).collect(),
        }
    }

    /// The place that a request's path means.
    pub(super) fn find<'a>(&self, path: &'a str) -> Place<'a> {
        // Endpoints and paths of ours may begin like the prefix: a proxy that takes it off leaves such a path.
        if !self.prefix.is_empty() && !self.is_endpoint(path) && !is_own(path) {
            match path.strip_prefix(&*self.prefix) {
                Some("") => return Place::FrontWithoutSlash,
                Some(rest) if rest.starts_with('/') => return Place::Path(self.without_slash(rest)),
                _ => {}
            }
        }
        Place::Path(self.without_slash(path))
    }

    fn is_endpoint(&self, path: &str) -> bool {
        self.endpoints.contains(path.strip_suffix('/').unwrap_or(path))
    }

    /// What people give to clients, and what clients make of it, may end in a slash.
    fn without_slash<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_suffix('/') {
            Some(bare) if self.endpoints.contains(bare) || path.contains("/.well-known/") => bare,
            _ => path,
        }
    }
}

/// Whether a path is one of the server's own, apart from endpoints and the front page.
fn is_own(path: &str) -> bool {
    const PAGES: [&str; 8] =
        ["/docs", "/openapi.json", "/healthz", "/readyz", "/favicon.ico", "/oauth/register", "/api/tools", "/dev/auth"];
    const BELOW: [&str; 5] = ["/.well-known/", "/dev/auth/", "/api/tools/", "/docs/", "/assets/"];
    PAGES.contains(&path) || BELOW.iter().any(|below| path.len() > below.len() && path.starts_with(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(public_url: &str, endpoint: &str) -> Places {
        let mut config = Config::default();
        config.server.public_url = Some(public_url.parse().unwrap());
        let endpoint = format!("path = \"{endpoint}\"\nplugins = []");
        config.endpoints.insert("one".to_owned(), toml_edit::de::from_str(&endpoint).unwrap());
        Places::new(&config)
    }

    #[test]
    fn a_prefix_is_taken_off_unless_the_proxy_did_and_a_slash_where_clients_add_one() {
        let bare = places("https://mcp.example.com", "/web/mcp");
        let below = places("https://mcp.example.com/tools", "/web/mcp");
        let twice = places("https://mcp.example.com/tools", "/tools/mcp");
        let [api, dev, oauth, health] = ["api", "dev", "oauth", "healthz"]
            .map(|prefix| places(&format!("https://mcp.example.com/{prefix}"), "/web/mcp"));
        let deep = places("https://mcp.example.com/a/b", "/mcp");
        let cases = [
            (&bare, "/web/mcp", "/web/mcp"),
            (&bare, "/web/mcp/", "/web/mcp"),
            (&bare, "/web/mcp//", "/web/mcp//"),
            (&bare, "/web/", "/web/"),
            (&bare, "/", "/"),
            (&bare, "/docs/", "/docs/"),
            (&bare, "/tools/web/mcp", "/tools/web/mcp"),
            (&bare, "/.well-known/oauth-protected-resource/web/mcp/", "/.well-known/oauth-protected-resource/web/mcp"),
            (&bare, "/.well-known/oauth-authorization-server/", "/.well-known/oauth-authorization-server"),
            (&bare, "/dev/auth/.well-known/openid-configuration/", "/dev/auth/.well-known/openid-configuration"),
            (&bare, "/dev/auth/token/", "/dev/auth/token/"),
            (&below, "/web/mcp", "/web/mcp"),
            (&below, "/tools/web/mcp", "/web/mcp"),
            (&below, "/tools/web/mcp/", "/web/mcp"),
            (&below, "/tools/", "/"),
            (&below, "/toolsweb/mcp", "/toolsweb/mcp"),
            (&below, "/tools/tools/web/mcp", "/tools/web/mcp"),
            (&below, "/tools/.well-known/oauth-protected-resource/", "/.well-known/oauth-protected-resource"),
            (
                &below,
                "/.well-known/oauth-protected-resource/tools/web/mcp",
                "/.well-known/oauth-protected-resource/tools/web/mcp",
            ),
            (&twice, "/tools/mcp", "/tools/mcp"),
            (&twice, "/tools/mcp/", "/tools/mcp"),
            (&twice, "/tools/tools/mcp", "/tools/mcp"),
            (&twice, "/tools/docs", "/docs"),
            // Whether the prefix was taken off or not, with a prefix that is like a path of ours.
            (&api, "/api/tools", "/api/tools"),
            (&api, "/api/tools/web/search", "/api/tools/web/search"),
            (&api, "/api/api/tools", "/api/tools"),
            (&api, "/api/api/tools/web/search", "/api/tools/web/search"),
            (&api, "/api/web/mcp", "/web/mcp"),
            (&api, "/web/mcp", "/web/mcp"),
            (&api, "/api/docs", "/docs"),
            (&api, "/api/", "/"),
            (&dev, "/dev/auth/token", "/dev/auth/token"),
            (&dev, "/dev/dev/auth/token", "/dev/auth/token"),
            (&dev, "/dev/auth/.well-known/openid-configuration", "/dev/auth/.well-known/openid-configuration"),
            (&dev, "/dev/assets/front.css", "/assets/front.css"),
            (&oauth, "/oauth/register", "/oauth/register"),
            (&oauth, "/oauth/oauth/register", "/oauth/register"),
            (&health, "/healthz", "/healthz"),
            (&health, "/healthz/healthz", "/healthz"),
            (&health, "/healthz/web/mcp", "/web/mcp"),
            (&deep, "/a/b/mcp/", "/mcp"),
            (&deep, "/a/mcp", "/a/mcp"),
        ];
        for (places, path, expected) in cases {
            assert_eq!(places.find(path), Place::Path(expected), "{path} below \"{}\"", places.prefix);
        }
        assert_eq!(below.find("/tools"), Place::FrontWithoutSlash);
        assert_eq!(deep.find("/a/b"), Place::FrontWithoutSlash);
        assert_eq!(api.find("/api"), Place::FrontWithoutSlash);
    }
}
