//! Domain filters that hold: Tavily treats `include_domains` as a preference at times, so what comes back is
//! filtered again by host.

mod paths;
mod patterns;

use toolgate_plugin::{ProviderError, ToolError};
use url::{Host, Url};

pub(crate) use self::patterns::{Patterns, check};
use crate::{
    safety::{address, text},
    settings,
};

/// An entry of `include_domains` or `exclude_domains`: a domain and all below it, with a path prefix if given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Site {
    host: String,
    path: paths::Prefix,
    /// Written with a star or a dot: all below it, which may be all of a country.
    below: bool,
}

/// Which pages the operator lets callers read and see.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    allow: Vec<Site>,
    deny: Vec<Site>,
    /// Both as they were written.
    allowed: Vec<String>,
    denied: Vec<String>,
}

/// The domain filters of a call: what to keep, what to leave out.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    pub(crate) include: Vec<Site>,
    pub(crate) exclude: Vec<Site>,
}

impl Site {
    /// Read an entry: `example.com`, `*.example.com`, `example.com/docs`, or a URL.
    pub(crate) fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim();
        let bare = match entry.split_once("://") {
            Some((scheme, bare)) if ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => bare,
            Some((scheme, _)) if !scheme.contains('/') => return None,
            _ => entry,
        };
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        let host = without_port(host);
        let below = host.starts_with(['*', '.']);
        let host = host.strip_prefix("*.").unwrap_or(host).trim_start_matches('.');
        // The host in the form that URLs have it: lower case, punycode. Dots may be escaped, or of other scripts.
        let host = Host::parse(host).ok()?.to_string();
        let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
        // Nothing is below a host with a star or an empty label in it: it would be a filter that leaves nothing out.
        if host.contains('*') || host.split('.').any(str::is_empty) {
            return None;
        }
        Some(Self { host, path: paths::Prefix::read(path)?, below })
    }

    /// Whether a page is surely of this site: whether it may be kept.
    pub(crate) fn holds(&self, page: &Url) -> bool {
        self.has_host(page) && self.path.holds(page.path())
    }

    /// Whether a page is of this site, or may be by some server's reading of its path: whether it is to be left out.
    pub(crate) fn may_hold(&self, page: &Url) -> bool {
        self.has_host(page) && self.path.may_hold(page.path())
    }

    fn has_host(&self, page: &Url) -> bool {
        let host = page.host_str().unwrap_or_default().trim_end_matches('.');
        host.strip_suffix(&self.host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Whether others may be told of it: a filter that names an internal system tells of it as well.
    fn public(&self) -> Result<(), &'static str> {
        let name = match self.below && !self.host.contains('.') {
            true => &format!("any.{}", self.host),
            false => &self.host,
        };
        // What was a host stays one.
        Host::parse(name).map_or(Ok(()), |host| address::public(&host))
    }

    /// The same for a list of sites to keep, where `www.example.com` means `example.com`.
    pub(crate) fn without_www(mut self) -> Self {
        if let Some(rest) = self.host.strip_prefix("www.").filter(|rest| rest.contains('.')) {
            self.host = rest.to_owned();
        }
        self
    }
}

/// A host without the port after it.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if !bare.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            match bare.contains(':') {
                // Of an address of version 6, what is within brackets is no port.
                true if !bare.ends_with(']') => host,
                _ => bare,
            }
        }
        _ => host,
    }
}

/// Read a list of domains; `path` is where it stands in the arguments.
pub(crate) fn read(path: &str, entries: Option<&[String]>) -> Result<Vec<Site>, ToolError> {
    let entries = entries.unwrap_or_default().iter().enumerate();
    let read = entries.map(|(n, entry)| {
        let wrong =
            |why: &str| ToolError::invalid(format!("/{path}/{n}"), format!("\"{}\" {why}", text::line(entry, 100)));
        let site = Site::parse(entry).ok_or_else(|| wrong("is no domain; write it as \"example.com\""))?;
        site.public()
            .map_err(|_| wrong("is private or an internal name, which others must not learn; leave it out"))?;
        Ok(site)
    });
    read.collect()
}

impl Filters {
    /// Why a page is left out, if it is.
    pub(crate) fn refuse(&self, page: &Url) -> Option<&'static str> {
        if !self.include.is_empty() && !self.include.iter().any(|site| site.holds(page)) {
            return Some("not within include_domains");
        }
        self.exclude.iter().any(|site| site.may_hold(page)).then_some("within exclude_domains")
    }
}

impl Rules {
    /// From the operator's settings.
    pub(crate) fn read(given: &settings::Sites) -> Result<Self, ProviderError> {
        let list = |name: &str, entries: &[String]| {
            let sites = entries.iter().enumerate().map(|(n, entry)| {
                let wrong = || {
                    let message =
                        format!("\"{}\" is no public domain; write it as \"example.com\"", text::line(entry, 100));
                    ProviderError::settings(format!("sites.{name}.{n}"), message)
                };
                // What is allowed is told to Tavily, so it has to be public; what is denied stays here.
                Site::parse(entry).filter(|site| name == "deny" || site.public().is_ok()).ok_or_else(wrong)
            });
            sites.collect::<Result<Vec<Site>, ProviderError>>()
        };
        let (allow, deny) = (list("allow", &given.allow)?, list("deny", &given.deny)?);
        let denied = given.deny.iter().zip(&deny).filter(|(_, site)| site.public().is_ok());
        let denied = denied.map(|(entry, _)| entry.clone()).collect();
        Ok(Self { allow, deny, allowed: given.allow.clone(), denied })
    }

    /// The sites that may be read, as they are written in the settings; empty if all may.
    pub(crate) fn allowed(&self) -> &[String] {
        &self.allowed
    }

    /// The sites that may not be read and may be named: a filter that names an internal system tells of it.
    pub(crate) fn denied(&self) -> &[String] {
        &self.denied
    }

    /// Why a page may not be read or shown, if it may not.
    pub(crate) fn refuse(&self, page: &Url) -> Option<&'static str> {
        let allowed = self.allow.is_empty() || self.allow.iter().any(|site| site.holds(page));
        let denied = !allowed || self.deny.iter().any(|site| site.may_hold(page));
        denied.then_some("a site that this server's operator leaves out")
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
            ("HTTPS://example.com", "https://example.com/", true),
            ("example.com:443", "https://example.com/", true),
            ("https://example.com:443/", "https://example.com/x", true),
            ("example.com:8443/docs", "https://example.com/docs", true),
            ("example。com。", "https://example.com/", true),
            ("example.com%2e", "https://example.com/", true),
            ("[2606:4700::1111]:443", "https://[2606:4700::1111]/", true),
            ("[2606:4700::1111]", "https://[2606:4700::1111]/", true),
            ("example.com/café", "https://example.com/caf%C3%A9/menu", true),
            ("example.com/caf%C3%A9", "https://example.com/café", true),
            ("example.com/a/../b", "https://example.com/b/c", true),
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
        assert!(Site::parse("*.gov").unwrap().holds(&Url::parse("https://www.nasa.gov/x").unwrap()));
        for entry in [
            "",
            "a b",
            "ex ample.com",
            "https://",
            "exa<mple.com",
            "*example.com",
            "example.*",
            "a.*.example",
            "*",
            "*.",
            "%2aexample.com",
            "a..example",
            "example.com..",
            "u@example.com",
            "example.com:port",
            "ftp://example.com",
        ] {
            assert_eq!(Site::parse(entry), None, "{entry:?}");
        }
    }
    #[test]
    fn filters_tell_nobody_of_internal_systems() {
        let read = |entry: &str| super::read("include_domains", Some(&[entry.to_owned()]));
        for entry in ["example.com", "*.gov", ".edu", "8.8.8.8", "sub.example.co.uk/docs", "bücher.example"] {
            assert!(read(entry).is_ok(), "{entry}");
        }
        for entry in [
            "localhost",
            "intranet",
            "com",
            "wiki.corp",
            "*.corp",
            "*.local",
            "10.0.0.1",
            "127.1",
            "0x7f000001",
            "169.254.169.254",
            "[::1]",
            "[fd00::1]",
            "metadata.google.internal",
            "https://nas.lan/x",
            "a.home.arpa",
        ] {
            assert!(
                matches!(read(entry), Err(ToolError::InvalidArguments { path, .. }) if path == "/include_domains/0"),
                "{entry}"
            );
        }
    }

    #[test]
    fn the_operators_rules_say_what_may_be_read() {
        let rules = |allow: &[&str], deny: &[&str]| {
            let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
            Rules::read(&settings::Sites { allow: list(allow), deny: list(deny) })
        };
        let page = |url: &str| Url::parse(url).unwrap();
        assert_eq!(rules(&[], &[]).unwrap().refuse(&page("https://a.example/")), None);
        let some = rules(&["example.com"], &["bad.example.com"]).unwrap();
        assert_eq!(some.refuse(&page("https://docs.example.com/")), None);
        for url in ["https://other.example/", "https://bad.example.com/x", "https://www.bad.example.com/"] {
            assert!(some.refuse(&page(url)).is_some(), "{url}");
        }
        assert!(rules(&["a b"], &[]).is_err());
        // What is denied is so in every spelling, and what is allowed in none that is in doubt.
        let deny = rules(&[], &["secret.example/admin"]).unwrap();
        for path in ["%61dmin/x", "x/..%2fadmin", "admin%2fx", "admin;x", "ADMIN", "%2561dmin"] {
            assert!(deny.refuse(&page(&format!("https://secret.example/{path}"))).is_some(), "{path}");
        }
        assert_eq!(deny.refuse(&page("https://secret.example/administration")), None);
        let allow = rules(&["docs.example/open"], &[]).unwrap();
        assert_eq!(allow.refuse(&page("https://docs.example/open/x")), None);
        for path in ["open/..%2fsecret", "open%2f..%2fsecret", "open/%252e%252e/secret", "open/..;/secret"] {
            assert!(allow.refuse(&page(&format!("https://docs.example/{path}"))).is_some(), "{path}");
        }
    }
}
