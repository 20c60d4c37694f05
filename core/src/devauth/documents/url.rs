//! A client id that is a URL (draft-ietf-oauth-client-id-metadata-document, section "Client Identifier URL"): which may
//! be fetched, as far as its text alone tells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::address;

/// Longest client id that is read as a URL, in bytes.
const MAX_LENGTH: usize = 2048;

/// Where a client's metadata document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::devauth) struct DocumentUrl {
    url: Url,
    loopback: bool,
}

/// Why a client id cannot be where a document is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::devauth) enum UrlFault {
    #[error("the client id is longer than {MAX_LENGTH} bytes; use a shorter URL")]
    TooLong,
    #[error("the client id is not a URL; write one such as \"https://client.example/client.json\"")]
    NotUrl,
    #[error("the client id is not an https URL; put the document where https serves it")]
    NotHttps,
    #[error("the client id holds a user name or a password; leave them out")]
    UserInfo,
    #[error("the client id has a fragment; leave \"#\" and what follows out")]
    Fragment,
    #[error("the client id is not in its normal form; write \"{0}\"")]
    NotNormal(String),
    #[error("the client id has no path; put the document at one, such as \"/client.json\"")]
    NoPath,
    #[error("nothing is fetched from port {0}; use 443 or one from 1024 up")]
    Port(u16),
    #[error("the client id names this server itself; put the document where the client is")]
    Ourselves,
    #[error("the client id holds an address that is not public ({0}); use a public host")]
    NotPublic(&'static str),
    #[error("the client id names this machine, which no document is fetched from; while you develop a client, set {0}")]
    Loopback(&'static str),
}

/// What this server's own settings say of client ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// Whether documents may come from this machine.
    pub(super) loopback: bool,
    /// What the operator writes to let them.
    pub(super) loopback_setting: &'static str,
    /// Scheme, host and port of this server.
    pub(super) own_origin: String,
    /// The port that this server listens on.
    pub(super) own_port: u16,
}

impl DocumentUrl {
    /// Whether a client id is meant as a URL at all. No other client id of this server holds these octets.
    pub(in crate::devauth) fn is_meant(client_id: &str) -> bool {
        client_id.contains("://")
    }

    /// Reads a client id, byte for byte: one that a parser would tidy is refused, so that what is fetched, what is
    /// compared and what is shown are the same.
    pub(super) fn read(client_id: &str, rules: &Rules) -> Result<Self, UrlFault> {
        if client_id.len() > MAX_LENGTH {
            return Err(UrlFault::TooLong);
        }
        let url = Url::parse(client_id).map_err(|_| UrlFault::NotUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(UrlFault::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(client_id).contains('@') {
            return Err(UrlFault::UserInfo);
        }
        if client_id.contains('#') {
            return Err(UrlFault::Fragment);
        }
        let loopback = is_loopback(&url);
        if loopback && !rules.loopback {
            return Err(UrlFault::Loopback(rules.loopback_setting));
        }
        if !loopback && url.scheme() != "https" {
            return Err(UrlFault::NotHttps);
        }
        if url.as_str() != client_id {
            return Err(UrlFault::NotNormal(url.into()));
        }
        if url.path() == "/" {
            return Err(UrlFault::NoPath);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !(port >= 1024 || port == 443 || loopback && port == 80) {
            return Err(UrlFault::Port(port));
        }
        // This machine has many names, and a request to itself could ask for the next one.
        if url.origin().ascii_serialization() == rules.own_origin || (loopback && port == rules.own_port) {
            return Err(UrlFault::Ourselves);
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(kind) = literal.filter(|_| !loopback).and_then(address::special) {
            return Err(UrlFault::NotPublic(kind));
        }
        Ok(Self { url, loopback })
    }

    #[cfg(test)]
    pub(in crate::devauth) fn of(client_id: &str) -> Self {
        let rules = Rules { loopback: true, ..Rules::default() };
        Self::read(client_id, &rules).unwrap()
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The client id.
    pub(super) fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whether the document is on this machine.
    pub(in crate::devauth) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Who vouches for the client, for people: the host, and its port if not the usual.
    pub(in crate::devauth) fn host(&self) -> &str {
        authority(self.url.as_str())
    }
}

/// What stands between `scheme://` and the path.
fn authority(url: &str) -> &str {
    let after = url.split_once("://").map_or("", |(_, after)| after);
    after.split(['/', '?', '#', '\\']).next().unwrap_or_default()
}

/// Whether a host is this machine by definition, so that nobody else's name service is asked. A name that somebody else
/// makes resolve to this machine is not.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// RFC 6761 section 6.3.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// The addresses of `localhost`, whatever a name service says.
pub(super) const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(loopback: bool) -> Rules {
        let own_origin = "https://mcp.example.com:8443".to_owned();
        Rules { loopback, loopback_setting: "the_key = true", own_origin, own_port: 10000 }
    }

    #[test]
    fn client_ids_that_no_document_is_fetched_from() {
        use UrlFault::{Fragment, Loopback, NoPath, NotHttps, NotPublic, NotUrl, Ourselves, Port, TooLong, UserInfo};
        let long = format!("https://client.example/{}", "a".repeat(2048));
        let normal = |url: &str| UrlFault::NotNormal(url.to_owned());
        let here = || Loopback("the_key = true");
        let cases: Vec<(&str, UrlFault)> = vec![
            ("https://", NotUrl),
            ("://client.example/c", NotUrl),
            ("https://exa mple/c", NotUrl),
            ("https://client.example:99999/c", NotUrl),
            ("https://%00/c", NotUrl),
            ("ftp://client.example/c", NotHttps),
            ("file:///etc/passwd", NotHttps),
            ("gopher://client.example/c", NotHttps),
            ("http://client.example/c", NotHttps),
            ("http://10.0.0.1/c", NotHttps),
            ("https://user@client.example/c", UserInfo),
            ("https://user:pw@client.example/c", UserInfo),
            ("https://@client.example/c", UserInfo),
            ("https://:@client.example/c", UserInfo),
            ("https://client.example/c#f", Fragment),
            ("https://client.example/c#", Fragment),
            ("HTTPS://client.example/c", normal("https://client.example/c")),
            ("https://Client.example/c", normal("https://client.example/c")),
            ("https://client.example:443/c", normal("https://client.example/c")),
            ("https://client.example", normal("https://client.example/")),
            ("https://client.example/a/../c", normal("https://client.example/c")),
            ("https://client.example/./c", normal("https://client.example/c")),
            ("https://client.example/a/%2e%2E/c", normal("https://client.example/c")),
            ("https://client.example\\c", normal("https://client.example/c")),
            ("https:\\\\client.example/c", normal("https://client.example/c")),
            (" https://client.example/c", normal("https://client.example/c")),
            ("https://client.example/c\n", normal("https://client.example/c")),
            ("https://client.example/a\tb", normal("https://client.example/ab")),
            ("https://client.example/ä", normal("https://client.example/%C3%A4")),
            ("https://bücher.example/c", normal("https://xn--bcher-kva.example/c")),
            ("https://8.8.2056/c", normal("https://8.8.8.8/c")),
            ("https:///client.example/c", normal("https://client.example/c")),
            ("https://client.example/", NoPath),
            ("https://client.example:22/c", Port(22)),
            ("https://client.example:25/c", Port(25)),
            ("https://client.example:80/c", Port(80)),
            ("https://client.example:1023/c", Port(1023)),
            ("https://client.example:0/c", Port(0)),
            ("https://10.0.0.1/c", NotPublic("private")),
            ("https://169.254.169.254/latest/meta-data", NotPublic("link-local")),
            ("https://[fd00:ec2::254]/c", NotPublic("private")),
            ("https://[::ffff:a00:1]/c", NotPublic("private")),
            ("https://[64:ff9b::a9fe:a9fe]/c", NotPublic("link-local")),
            ("https://[2002:a00:1::]/c", NotPublic("6to4")),
            ("https://0.0.0.0/c", NotPublic("this network")),
            ("https://localhost/c", here()),
            ("https://localhost./c", here()),
            ("https://LOCALHOST/c", here()),
            ("https://app.localhost/c", here()),
            ("http://localhost:8080/client.json", here()),
            ("http://127.0.0.1:8080/client.json", here()),
            ("https://2130706433/c", here()),
            ("https://0x7f.1/c", here()),
            ("https://[::1]/c", here()),
            ("https://[::ffff:7f00:1]/c", here()),
            (&long, TooLong),
        ];
        for (client_id, expected) in cases {
            let found = DocumentUrl::read(client_id, &rules(false));
            // A port that is out of range, or a host that is none, are told by the parser.
            assert_eq!(found, Err(expected), "{client_id}");
        }
        for ours in [
            "https://mcp.example.com:8443/client.json",
            "http://localhost:10000/client.json",
            "http://app.localhost:10000/client.json",
            "http://127.0.0.1:10000/client.json",
            "http://127.9.9.9:10000/client.json",
            "http://[::1]:10000/client.json",
            "http://[::ffff:7f00:1]:10000/client.json",
            "https://localhost:10000/client.json",
        ] {
            assert_eq!(DocumentUrl::read(ours, &rules(true)), Err(Ourselves), "{ours}");
        }
    }

    #[test]
    fn client_ids_that_are_fetched() {
        for (client_id, host) in [
            ("https://client.example/client.json", "client.example"),
            ("https://client.example/c", "client.example"),
            ("https://client.example/a/b/", "client.example"),
            ("https://client.example/c?v=1", "client.example"),
            ("https://client.example/c?a=https://x@y/", "client.example"),
            ("https://client.example:8443/c", "client.example:8443"),
            ("https://xn--bcher-kva.example/c", "xn--bcher-kva.example"),
            ("https://8.8.8.8/c", "8.8.8.8"),
            ("https://[2606:4700::1111]/c", "[2606:4700::1111]"),
        ] {
            let read = DocumentUrl::read(client_id, &rules(false)).unwrap();
            assert_eq!((read.as_str(), read.host(), read.is_loopback()), (client_id, host, false));
        }
        for client_id in [
            "http://localhost:8080/client.json",
            "http://127.0.0.1:8080/client.json",
            "http://[::1]:8080/client.json",
            "http://localhost/client.json",
            "https://localhost:8443/client.json",
        ] {
            assert!(DocumentUrl::read(client_id, &rules(true)).unwrap().is_loopback(), "{client_id}");
        }
        // The switch is for this machine alone.
        for client_id in ["http://client.example/c", "http://10.0.0.1:8080/c", "https://10.0.0.1/c"] {
            DocumentUrl::read(client_id, &rules(true)).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(client_id in "(https|http|ftp)://[ -~]{0,40}") {
            if let Ok(read) = DocumentUrl::read(&client_id, &rules(true)) {
                prop_assert_eq!(read.as_str(), &client_id);
                prop_assert!(client_id.starts_with("https://") || read.is_loopback());
            }
        }
    }
}
