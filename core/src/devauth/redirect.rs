//! Redirect URIs: which may be registered, which match, and where they lead (RFC 8252, RFC 9700 section 4.1).
//!
//! Owns every rule that keeps the authorization endpoint from becoming an open redirector. Which URIs are taken is
//! written down as patterns, of which the API description holds the same: no parser stands between what is checked and
//! what is sent to a browser, and what is described is what is taken.

use std::sync::LazyLock;

use regex::Regex;

/// Longest redirect URI taken, in bytes.
pub(super) const MAX_LENGTH: usize = 512;

/// Schemes that are not handed to the application that asks: a browser or the system runs, reads or opens what they name.
/// As a pattern; `ms-` begins those that open parts of Windows.
const REFUSED_SCHEMES: &[&str] = &[
    "https?",
    "about",
    "android-app",
    "applescript",
    "blob",
    "brave",
    "callto",
    "chrome",
    "chrome-[a-z-]*",
    "data",
    "devtools",
    "edge",
    "facetime(-[a-z]*)?",
    "feed",
    "file",
    "filesystem",
    "ftp",
    "hcp",
    "help",
    "intent",
    "itmss?(-[a-z]*)?",
    "its",
    "jar",
    "java",
    "javascript",
    "jnlp",
    "ldaps?",
    "mailto",
    "market",
    "microsoft-[a-z-]*",
    "mk",
    "ms-[a-z-]*",
    "nfs",
    "opera",
    "rdp",
    "res",
    "resource",
    "search",
    "search-ms",
    "sftp",
    "shell",
    "sips?",
    "sms",
    "smb",
    "ssh",
    "tel",
    "telnet",
    "vbscript",
    "view-source",
    "vivaldi",
    "vnc",
    "wss?",
    "x-apple[a-z.-]*",
    "x-man-page",
];

/// What may follow a host, or a scheme: RFC 3986 without fragments, and with brackets.
const REST: &str = r"[A-Za-z0-9._~!$&'()*+,;=:@%/?\[\]-]";
/// A port without zeros before it.
const PORT: &str = "(:(?:0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?";
/// Hosts that are this computer.
const LOOPBACK: &str = r"localhost|127\.0\.0\.1|\[::1\]";

/// What redirect URIs look like, in the part of regular expressions that Rust, ECMAScript and Python have in common.
pub(super) struct Patterns {
    /// A site.
    pub(super) site: String,
    /// A program on this computer.
    pub(super) loopback: String,
    /// An installed application, unless its scheme is `refused`.
    pub(super) application: String,
    pub(super) refused: String,
}

impl Patterns {
    pub(super) fn new() -> Self {
        let refused = REFUSED_SCHEMES.join("|");
        let behind = |host: &str| format!("({host}){PORT}((?:[/?]{REST}*)?)$");
        Self {
            site: format!("^https://{}", behind(&host())),
            loopback: format!("^https?://{}", behind(LOOPBACK)),
            application: format!("^([a-z][a-z0-9+.-]*):{REST}+$"),
            refused: format!("^(?:{refused}):"),
        }
    }
}

/// A name, or an address in the one notation that all parsers read alike. The last part of a name does not begin with
/// a digit, or it would be an address to some.
fn host() -> String {
    let names = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
    let octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let group = "[0-9A-Fa-f]{1,4}";
    // A gap of zeros stands before, among or behind the groups, or nowhere.
    let among = (1..=6).map(|before| format!("(?:{group}:){{1,{before}}}(?::{group}){{1,{}}}", 7 - before));
    let whole = format!("(?:{group}:){{7}}{group}");
    let ends = [format!("(?:{group}:){{1,7}}:"), format!(":(?::{group}){{1,7}}"), "::".to_owned()];
    let groups = std::iter::once(whole).chain(ends).chain(among).collect::<Vec<_>>().join("|");
    format!(r"{names}|{octet}(?:\.{octet}){{3}}|\[(?:{groups})\]")
}

/// The patterns, ready to be used. There are none if they are wrong, which a test knows before anybody else.
static GRAMMAR: LazyLock<Option<[Regex; 4]>> = LazyLock::new(|| {
    let Patterns { site, loopback, application, refused } = Patterns::new();
    let read = |pattern: String| Regex::new(&pattern).ok();
    Some([read(loopback)?, read(site)?, read(application)?, read(refused)?])
});

/// Where a redirect URI leads, for people to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// A site on the web: its host, and its port if one is given.
    Site(String),
    /// A program that listens on this computer: host and port.
    Loopback(String),
    /// An installed application: its URI scheme (RFC 8252 section 7.1).
    Application(String),
}

/// Where a redirect URI leads, or why it cannot be registered.
pub(super) fn destination(uri: &str) -> Result<Destination, &'static str> {
    if uri.len() > MAX_LENGTH {
        return Err("it is longer than 512 bytes");
    }
    let Some([loopback, site, application, refused]) = &*GRAMMAR else { return Err("none can be checked now") };
    let host = |pattern: &Regex| {
        let parts = pattern.captures(uri)?;
        let port = parts.get(2).map_or("", |port| port.as_str());
        Some(format!("{}{port}", parts[1].to_ascii_lowercase()))
    };
    if let Some(host) = host(loopback) {
        return Ok(Destination::Loopback(host));
    }
    if let Some(host) = host(site) {
        return Ok(Destination::Site(host));
    }
    match application.captures(uri).filter(|_| !refused.is_match(uri)) {
        Some(parts) => Ok(Destination::Application(parts[1].to_owned())),
        None => Err(reason(uri, refused)),
    }
}

/// Why a URI fits no pattern, as far as its developer is helped by a guess.
fn reason(uri: &str, refused: &Regex) -> &'static str {
    let Some((scheme, rest)) = uri.split_once(':') else { return "it is not an absolute URI" };
    let authority = rest.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    match scheme {
        _ if uri.contains('#') => "it has a fragment",
        _ if !uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>')) => {
            "it holds a blank or a character that must be percent-encoded"
        }
        "http" | "https" if authority.contains('@') => "it holds a user name",
        "http" => "plain http is for loopback hosts only: localhost, 127.0.0.1 or [::1]",
        "https" => "its host or its port is not written plainly",
        _ if refused.is_match(&uri.to_ascii_lowercase()) => "its scheme does not lead to an application of its own",
        _ => "it is not an absolute URI with a scheme in small letters",
    }
}

/// Whether a URI that a client presents is one that it registered: byte for byte, except that a loopback
/// redirect over http may use any port (RFC 8252 section 7.3).
pub(super) fn matches(registered: &str, presented: &str) -> bool {
    registered == presented
        || matches!((without_port(registered), without_port(presented)), (Some(one), Some(other)) if one == other)
}

/// The host of a loopback redirect over http, and what follows its port.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let [loopback, ..] = GRAMMAR.as_ref()?;
    let parts = loopback.captures(uri).filter(|_| uri.starts_with("http:") && uri.len() <= MAX_LENGTH)?;
    let rest = parts.get(3)?.as_str();
    // An address without a path means its root (RFC 9110 section 4.2.3).
    Some((parts.get(1)?.as_str(), if rest.is_empty() { "/" } else { rest }))
}

/// A redirect URI with response parameters added. The URI's own bytes stay as the client registered them.
pub(super) fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, query)) if query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::{Host, Url};

    use super::*;

    #[test]
    fn redirect_uris_and_where_they_lead() {
        use Destination::{Application, Loopback, Site};
        let cases: Vec<(&str, Destination)> = vec![
            ("https://client.example/cb", Site("client.example".into())),
            ("https://Client.Example/cb", Site("client.example".into())),
            ("https://client.example:8443/cb?x[]=1&y=%20", Site("client.example:8443".into())),
            ("https://client.example:65535", Site("client.example:65535".into())),
            ("https://xn--bcher-kva.example/cb", Site("xn--bcher-kva.example".into())),
            ("https://client.xn--p1ai/cb", Site("client.xn--p1ai".into())),
            ("https://a_b.1.example/cb", Site("a_b.1.example".into())),
            ("https://intranet/cb", Site("intranet".into())),
            ("https://203.0.113.7/cb", Site("203.0.113.7".into())),
            ("https://[2001:db8::7]:8443/cb", Site("[2001:db8::7]:8443".into())),
            ("https://[::]/cb", Site("[::]".into())),
            ("http://localhost", Loopback("localhost".into())),
            ("http://localhost:10000/docs/oauth-receiver.html", Loopback("localhost:10000".into())),
            ("http://127.0.0.1:33418/", Loopback("127.0.0.1:33418".into())),
            ("http://[::1]:9/cb", Loopback("[::1]:9".into())),
            ("https://localhost:8443/cb", Loopback("localhost:8443".into())),
            ("cursor://anysphere.cursor-mcp/oauth/callback", Application("cursor".into())),
            ("zed://x/y", Application("zed".into())),
            ("windsurf://a/b", Application("windsurf".into())),
            ("myapp://cb", Application("myapp".into())),
            ("com.example.app:/cb", Application("com.example.app".into())),
            ("searching://cb", Application("searching".into())),
            ("msal-app://cb", Application("msal-app".into())),
        ];
        for (uri, expected) in cases {
            assert_eq!(destination(uri), Ok(expected), "{uri}");
        }
    }

    #[test]
    fn redirect_uris_that_lead_nowhere_or_astray() {
        let long = format!("https://client.example/{}", "a".repeat(490));
        let cases = [
            ("", "absolute"),
            ("/cb", "absolute"),
            ("myapp:", "absolute"),
            ("MyApp://cb", "small letters"),
            ("1app://cb", "absolute"),
            (&*long, "longer than 512 bytes"),
            ("https://client.example/cb#", "fragment"),
            ("myapp://cb#x", "fragment"),
            ("https://client.example/a b", "percent-encoded"),
            ("https://client.example/cb\n", "percent-encoded"),
            ("https://client.example\\@evil.example/cb", "percent-encoded"),
            ("https://user@client.example/cb", "user name"),
            ("https://:@client.example/cb", "user name"),
            ("http://client.example/cb", "plain http is for"),
            ("http://localhost.evil.example/cb", "plain http is for"),
            ("http://127.0.0.2/cb", "plain http is for"),
            ("http://0x7f000001/cb", "plain http is for"),
            ("http://[0:0:0:0:0:0:0:1]/cb", "plain http is for"),
            ("https:client.example/cb", "plainly"),
            ("https:/client.example/cb", "plainly"),
            ("https:///client.example/cb", "plainly"),
            ("https://client.example./cb", "plainly"),
            ("https://-client.example/cb", "plainly"),
            ("https://client..example/cb", "plainly"),
            ("https://client.example:/cb", "plainly"),
            ("https://client.example:65536/cb", "plainly"),
            ("https://client.example:080/cb", "plainly"),
            ("https://2130706433/cb", "plainly"),
            ("https://0x7f.1/cb", "plainly"),
            ("https://client.0x7f/cb", "plainly"),
            ("https://256.1.1.1/cb", "plainly"),
            ("https://01.1.1.1/cb", "plainly"),
            ("https://[::1/cb", "plainly"),
            ("https://[1:2:3:4:5:6:7:8:9]/cb", "plainly"),
            ("https://[::ffff:1.2.3.4]/cb", "plainly"),
            ("https://b\u{fc}cher.example/cb", "percent-encoded"),
        ];
        for (uri, expected) in cases {
            let refused = destination(uri).expect_err(uri);
            assert!(refused.contains(expected), "{uri}: {refused}");
        }
        let schemes = [
            "javascript",
            "data",
            "file",
            "blob",
            "intent",
            "android-app",
            "shell",
            "ms-cxh",
            "ms-cxh-full",
            "ms-msdt",
            "ms-settings",
            "search",
            "search-ms",
            "java",
            "jar",
            "microsoft-edge",
            "itms-services",
            "view-source",
            "mailto",
            "ws",
            "wss",
            "ssh",
            "ldap",
            "x-man-page",
            "res",
        ];
        for scheme in schemes {
            for uri in [format!("{scheme}:x"), format!("{scheme}://x/y"), format!("{}:x", scheme.to_uppercase())] {
                let refused = destination(&uri).expect_err(&uri);
                assert!(refused.contains("does not lead to an application"), "{uri}: {refused}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_read_alike_by_a_browsers_parser(
            uri in "(https?|HTTPS|app|ms-x)(:|:/|://|:///)[a-c0-9.:@\\[\\]xX_%-]{0,12}(/[ -~]{0,6})?",
        ) {
            let Ok(destination) = destination(&uri) else { return Ok(()) };
            // Names in another script are read by their own rules, which are not these.
            prop_assume!(!uri.contains("xn--"));
            if matches!(destination, Destination::Application(_)) {
                return Ok(());
            }
            let url = Url::parse(&uri).unwrap();
            prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
            let (Destination::Site(shown) | Destination::Loopback(shown) | Destination::Application(shown)) = destination;
            let authority = Url::parse(&format!("https://{shown}/")).unwrap();
            prop_assert_eq!(url.host(), authority.host());
            let loopback = match url.host().unwrap() {
                Host::Domain(name) => name == "localhost",
                Host::Ipv4(address) => address.is_loopback(),
                Host::Ipv6(address) => address.is_loopback(),
            };
            prop_assert!(url.scheme() == "https" || loopback, "{} is sent in the clear", uri);
        }
    }
}
