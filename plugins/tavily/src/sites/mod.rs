//! Domain filters that hold: Tavily treats `include_domains` as a preference at times, so what comes back is
//! filtered again by host.

use url::{Host, Url};

/// An entry of `include_domains` or `exclude_domains`: a domain and all below it, with a path prefix if given.
#[derive(Debug, PartialEq)]
pub(crate) struct Site {
    host: String,
    path: String,
}

impl Site {
    /// Read an entry: `example.com`, `*.example.com`, `example.com/docs`, or a URL.
    pub(crate) fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim();
        let bare = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://")).unwrap_or(entry);
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        let host = host.strip_prefix("*.").unwrap_or(host).trim_start_matches('.').trim_end_matches('.');
        // The host in the form that URLs have it: lower case, punycode.
        let host = Host::parse(host).ok()?.to_string();
        Some(Self { host, path: path.trim_end_matches('/').to_owned() })
    }

    /// Whether a page is of this site.
    pub(crate) fn holds(&self, page: &Url) -> bool {
        let host = page.host_str().unwrap_or_default().trim_end_matches('.');
        let below = host.strip_suffix(&self.host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let path = page.path().trim_start_matches('/');
        let inside = |rest: &str| self.path.is_empty() || rest.is_empty() || rest.starts_with('/');
        below && path.strip_prefix(&self.path).is_some_and(inside)
    }

    /// The same for a list of sites to keep, where `www.example.com` means `example.com`.
    pub(crate) fn without_www(mut self) -> Self {
        if let Some(rest) = self.host.strip_prefix("www.").filter(|rest| rest.contains('.')) {
            self.host = rest.to_owned();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_holds_its_host_those_below_and_no_lookalike() {
        let cases = [
            ("example.com", "https://example.com/", true),
            ("example.com", "https://docs.example.com/x", true),
            ("example.com", "https://EXAMPLE.com./x", true),
            ("Example.COM", "https://example.com/", true),
            ("*.example.com", "https://a.example.com/", true),
            ("https://example.com/", "https://example.com/a", true),
            ("com", "https://example.com/", true),
            ("example.com", "https://notexample.com/", false),
            ("example.com", "https://example.com.evil.test/", false),
            ("example.com", "https://evil.test/example.com", false),
            ("docs.example.com", "https://example.com/", false),
            ("linkedin.example/in", "https://www.linkedin.example/in/someone", true),
            ("linkedin.example/in", "https://linkedin.example/in", true),
            ("linkedin.example/in", "https://linkedin.example/inbox", false),
            ("bücher.example", "https://xn--bcher-kva.example/", true),
            ("xn--bcher-kva.example", "https://bücher.example/", true),
        ];
        for (entry, page, expected) in cases {
            let (site, page) = (Site::parse(entry).unwrap(), Url::parse(page).unwrap());
            assert_eq!(site.holds(&page), expected, "{entry} {page}");
        }
        assert_eq!(Site::parse("www.example.com").map(Site::without_www), Site::parse("example.com"));
        for entry in ["", "a b", "ex ample.com", "https://", "exa<mple.com"] {
            assert_eq!(Site::parse(entry), None, "{entry:?}");
        }
    }
}
