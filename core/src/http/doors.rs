//! Who may knock at all: Host (against DNS rebinding), Origin (against other people's pages), and CORS for
//! the pages that may.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::config::Config;

/// Which origins a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Any: metadata, registration, tokens, the OpenAPI document. They hold nothing that a page may not see.
    Anyone,
    /// Those of the configuration: MCP and the tools.
    Allowed,
    /// Answers for itself.
    Own,
}

const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, Mcp-Session-Id, Retry-After, X-Request-Id");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Accept, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, \
                               Mcp-Session-Id, Last-Event-ID, traceparent, tracestate";

/// The hosts and origins that are ours.
#[derive(Debug)]
pub(super) struct Doors {
    hosts: HashSet<String>,
    origins: HashSet<String>,
}

/// Why a request is not for us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HostRefused {
    #[error("the request names no host")]
    Missing,
    #[error("the request names more than one host")]
    Several,
    #[error("the host \"{0}\" is not served here; add it to server.allowed_hosts, or set server.public_url")]
    Other(String),
}

impl HostRefused {
    /// A request without one host is malformed (RFC 9112 section 3.2); one for another host is not ours to answer.
    pub(super) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Missing | Self::Several => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Other(_) => (StatusCode::FORBIDDEN, "forbidden_host"),
        }
    }
}

impl Doors {
    /// Those of `public_url`, of `listen`, of loopback when bound to it, and those the operator adds.
    pub(super) fn new(config: &Config) -> Self {
        let mut doors = Self { hosts: HashSet::new(), origins: HashSet::new() };
        if let Ok(url) = Url::parse(&config.public_url()) {
            doors.admit(&url);
        }
        let listen = config.server.listen;
        let mut own = vec![listen.to_string()];
        if listen.ip().is_loopback() {
            own.extend(["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{}", listen.port())));
        }
        for authority in own {
            if let Ok(url) = Url::parse(&format!("http://{authority}")) {
                doors.admit(&url);
            }
        }
        doors.hosts.extend(config.server.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()));
        for origin in &config.server.allowed_origins {
            if let Ok(url) = Url::parse(origin) {
                doors.origins.insert(url.origin().ascii_serialization());
            }
        }
        doors
    }

    fn admit(&mut self, url: &Url) {
        self.origins.insert(url.origin().ascii_serialization());
        let Some(host) = url.host_str() else { return };
        // Clients leave out a scheme's own port, or do not.
        if let Some(port) = url.port_or_known_default() {
            self.hosts.insert(format!("{host}:{port}"));
        }
        if url.port().is_none() {
            self.hosts.insert(host.to_owned());
        }
    }

    /// Whether the request is addressed to us: in the `Host` header, and in the target where that names a host
    /// (`:authority` in HTTP/2), which is the one that counts (RFC 9112 section 3.2.2).
    pub(super) fn host(&self, headers: &HeaderMap, authority: Option<&str>) -> Result<(), HostRefused> {
        let mut named = headers.get_all(header::HOST).iter();
        let (host, further) = (named.next(), named.next());
        if further.is_some() {
            return Err(HostRefused::Several);
        }
        let host = host.map(|host| host.to_str().unwrap_or_default());
        if host.is_none() && authority.is_none() {
            return Err(HostRefused::Missing);
        }
        let other = host.into_iter().chain(authority).find(|host| !self.hosts.contains(&host.to_ascii_lowercase()));
        other.map_or(Ok(()), |host| Err(HostRefused::Other(host.chars().take(100).collect())))
    }

    /// Whether the request comes from a page that may call. Without an Origin it comes from no page.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Result<(), String> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let text = origin.to_str().unwrap_or_default();
        if origins.next().is_none() && self.knows(text) {
            return Ok(());
        }
        let text: String = text.chars().take(100).collect();
        Err(format!("pages of the origin \"{text}\" may not call; add it to server.allowed_origins"))
    }

    fn knows(&self, origin: &str) -> bool {
        self.origins.contains(origin) || self.origins.contains(&origin.to_ascii_lowercase())
    }

    /// The CORS headers of an answer, if the page may read it.
    pub(super) fn expose(&self, audience: Audience, request: &HeaderMap, answer: &mut HeaderMap) {
        let Some(origin) = request.get(header::ORIGIN) else { return };
        let allowed = match audience {
            Audience::Own => return,
            Audience::Anyone => HeaderValue::from_static("*"),
            Audience::Allowed => {
                answer.append(header::VARY, HeaderValue::from_static("Origin"));
                if !origin.to_str().is_ok_and(|origin| self.knows(origin)) {
                    return;
                }
                origin.clone()
            }
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Whether this asks for leave to ask (a preflight); it is answered before the gate.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight, besides what [`Doors::expose`] adds.
pub(super) fn preflight(request: &HeaderMap, answer: &mut HeaderMap) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    // `Mcp-Param-*` are named by each tool's schema, and CORS knows no patterns.
    let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
    let params = asked.into_iter().flat_map(|asked| asked.split(',')).map(str::trim).filter(|name| {
        name.get(..10).is_some_and(|prefix| prefix.eq_ignore_ascii_case("mcp-param-"))
            && HeaderName::from_bytes(name.as_bytes()).is_ok()
    });
    let allowed = params.fold(ALLOWED_HEADERS.to_owned(), |mut list, name| {
        list.push_str(", ");
        list.push_str(name);
        list
    });
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(listen: &str, public_url: Option<&str>) -> Doors {
        let mut config = Config::default();
        config.server.listen = listen.parse().unwrap();
        config.server.public_url = public_url.map(|url| url.parse().unwrap());
        config.server.allowed_origins = vec!["https://app.example".into()];
        Doors::new(&config)
    }

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn hosts_are_those_of_public_url_and_listen_and_loopback() {
        let local = doors("127.0.0.1:10000", None);
        let public = doors("0.0.0.0:10000", Some("https://mcp.example.com"));
        let cases = [
            (&local, "localhost:10000", true),
            (&local, "LOCALHOST:10000", true),
            (&local, "127.0.0.1:10000", true),
            (&local, "[::1]:10000", true),
            (&local, "localhost", false),
            (&local, "localhost:10001", false),
            (&local, "evil.example:10000", false),
            (&local, "localhost:10000.evil.example", false),
            (&public, "mcp.example.com", true),
            (&public, "mcp.example.com:443", true),
            (&public, "mcp.example.com:80", false),
            (&public, "localhost:10000", false),
        ];
        for (doors, host, expected) in cases {
            assert_eq!(doors.host(&with(header::HOST, host), None).is_ok(), expected, "{host}");
            assert_eq!(doors.host(&HeaderMap::new(), Some(host)).is_ok(), expected, "{host} in the target");
        }
        let ours = with(header::HOST, "localhost:10000");
        assert!(local.host(&ours, Some("127.0.0.1:10000")).is_ok());
        let refused = local.host(&ours, Some("evil.example")).unwrap_err();
        assert_eq!(refused.status(), (StatusCode::FORBIDDEN, "forbidden_host"));
        let refused = local.host(&HeaderMap::new(), None).unwrap_err();
        assert_eq!(refused.status(), (StatusCode::BAD_REQUEST, "invalid_request"));
    }

    #[test]
    fn a_refused_origin_is_told_which_setting_to_change() {
        let doors = doors("127.0.0.1:10000", None);
        assert!(doors.origin(&HeaderMap::new()).is_ok());
        assert!(doors.origin(&with(header::ORIGIN, "http://localhost:10000")).is_ok());
        assert!(doors.origin(&with(header::ORIGIN, "https://app.example")).is_ok());
        for origin in
            ["null", "http://localhost", "https://localhost:10000", "http://evil.example", "https://app.example.evil"]
        {
            let refused = doors.origin(&with(header::ORIGIN, origin)).unwrap_err();
            assert!(refused.ends_with("add it to server.allowed_origins"), "{origin}");
        }
    }
}
