//! How a page links to the rest of the server, which may stand behind a proxy that adds a path before every other.

use http::{HeaderMap, header};
use url::Url;

use crate::config::Config;

/// What comes before a path of ours, such as `docs`, in a link of the page that answers `path`; it ends with a slash.
///
/// Relative, so that it holds wherever the server is reached. Only where people come by `public_url`, as the proxy
/// passes on, and that has a path, is it that path: its own address may lack the slash that relative links need.
pub(in crate::http) fn root(config: &Config, headers: &HeaderMap, path: &str) -> String {
    let public = Url::parse(&config.public_url()).ok();
    if let Some(public) = public.filter(|url| url.path() != "/")
        && headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(|host| is_at(&public, host))
    {
        return format!("{}/", public.path().trim_end_matches('/'));
    }
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        deep => "../".repeat(deep - 1),
    }
}

/// Whether a `Host` header names the host and port of a URL.
fn is_at(url: &Url, host: &str) -> bool {
    let Some(name) = url.host_str() else { return false };
    let host = host.to_ascii_lowercase();
    let with_port = url.port_or_known_default().map(|port| format!("{name}:{port}"));
    with_port.is_some_and(|full| full == host) || (url.port().is_none() && name == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_at_every_depth_and_behind_a_path() {
        let prefixed = Some("https://h.example/tools");
        let cases = [
            (None, "localhost:10000", "/", "./docs"),
            (None, "localhost:10000", "/nothing", "./docs"),
            (None, "localhost:10000", "/web-search/mcp", "../docs"),
            (None, "localhost:10000", "/a/b/c", "../../docs"),
            (None, "localhost:10000", "", "./docs"),
            (Some("https://h.example"), "h.example", "/a/b", "../docs"),
            (prefixed, "h.example", "/", "/tools/docs"),
            (prefixed, "H.example:443", "/a/b", "/tools/docs"),
            (prefixed, "localhost:10000", "/a/b", "../docs"),
            (prefixed, "h.example:80", "/", "./docs"),
        ];
        for (public_url, host, path, expected) in cases {
            let mut config = Config::default();
            config.server.public_url = public_url.map(|url| url.parse().unwrap());
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(format!("{}docs", root(&config, &headers, path)), expected, "{public_url:?} {host} {path}");
        }
    }
}
