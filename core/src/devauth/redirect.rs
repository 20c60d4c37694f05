//! Redirect URIs: which may be registered, which match, and where they lead (RFC 8252, RFC 9700 section 4.1).
//!
//! Owns every rule that keeps the authorization endpoint from becoming an open redirector.

use url::{Host, Url};

/// Longest redirect URI taken, in bytes.
const MAX_LENGTH: usize = 2048;

/// Schemes that a browser runs or reads itself instead of handing them to an application.
const REFUSED_SCHEMES: &[&str] = &[
    "ms-msdt",
    "search-ms",
    "ms-search",
    "ms-appinstaller",
    "ms-officecmd",
    "smb",
    "chrome",
    "edge",
    "res",
    "jar",
    "feed",
    "javascript",
    "vbscript",
    "data",
    "file",
    "blob",
    "filesystem",
    "about",
    "view-source",
    "ws",
    "wss",
    "ftp",
    "mailto",
];

/// Where a redirect URI leads, for people to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// A site on the web: its host, and its port if not the usual.
    Site(String),
    /// A program that listens on this computer: host and port.
    Loopback(String),
    /// An installed application: its URI scheme (RFC 8252 section 7.1).
    Application(String),
}

/// Where a redirect URI leads, or why it cannot be registered.
pub(super) fn destination(uri: &str) -> Result<Destination, &'static str> {
    if uri.len() > MAX_LENGTH {
        return Err("it is longer than 2048 bytes");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>')) {
        return Err("it holds a blank or a character that must be percent-encoded");
    }
    if uri.contains('#') {
        return Err("it has a fragment");
    }
    let url = Url::parse(uri).map_err(|_| "it is not an absolute URI")?;
    match url.scheme() {
        "https" | "http" => web(uri, &url),
        scheme if REFUSED_SCHEMES.contains(&scheme) => Err("its scheme does not lead to an application"),
        scheme => Ok(Destination::Application(scheme.to_owned())),
    }
}

fn web(uri: &str, url: &Url) -> Result<Destination, &'static str> {
    let host = url.host().ok_or("it has no host")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name");
    }
    // A URL that only a lenient parser reads may lead elsewhere in another parser: the host read must stand as is
    // behind "scheme://", followed by nothing but a port.
    let written = uri.get(url.scheme().len() + 3..).unwrap_or_default();
    let authority = written.split(['/', '?']).next().unwrap_or_default();
    let host_text = host.to_string();
    let port = match authority.get(..host_text.len()) {
        Some(start) if start.eq_ignore_ascii_case(&host_text) => &authority[host_text.len()..],
        _ => return Err("its host is not written plainly"),
    };
    let plain_port = port.strip_prefix(':').map_or(port.is_empty(), |digits| digits.parse::<u16>().is_ok());
    if !plain_port {
        return Err("its port is not a number");
    }
    let shown = format!("{host_text}{port}");
    match (url.scheme(), is_loopback(&host)) {
        (_, true) => Ok(Destination::Loopback(shown)),
        ("https", false) => Ok(Destination::Site(shown)),
        _ => Err("plain http is for loopback hosts only"),
    }
}

/// Whether a URI that a client presents is one that it registered: byte for byte, except that a loopback
/// redirect over http may use any port (RFC 8252 section 7.3).
pub(super) fn matches(registered: &str, presented: &str) -> bool {
    if registered == presented {
        return true;
    }
    let loopback = |uri: &str| {
        let url = Url::parse(uri).ok()?;
        let fit = url.scheme() == "http" && matches!(destination(uri), Ok(Destination::Loopback(_)));
        fit.then_some(url)
    };
    match (loopback(registered), loopback(presented)) {
        (Some(one), Some(other)) => {
            one.host() == other.host() && one.path() == other.path() && one.query() == other.query()
        }
        _ => false,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.octets() == [127, 0, 0, 1],
        Host::Ipv6(address) => address.is_loopback(),
    }
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
