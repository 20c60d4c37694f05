//! `[server]`, `[audit]`, `[log]`: addresses, origins, hosts, bounds.

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use url::Url;

use super::{Review, endpoints::own_tree};
use crate::config::{
    nearest,
    resolve::is_loopback,
    sections::{ProviderKind, Server},
};

pub(super) fn check(review: &mut Review<'_>) {
    let config = review.config;
    open_providers(review);
    public_url(review);
    for (index, origin) in config.server.allowed_origins.iter().enumerate() {
        allowed_origin(review, &["server", "allowed_origins", &index.to_string()], origin);
    }
    for (index, host) in config.server.allowed_hosts.iter().enumerate() {
        allowed_host(review, &["server", "allowed_hosts", &index.to_string()], host);
    }
    if config.server.max_body.0 == 0 {
        review.wrong(&["server", "max_body"], "0", "lets no request through", "write a size such as \"4 MiB\"");
    }
    review.not_zero(&["server", "header_timeout"], config.server.header_timeout);
    review.not_zero(&["server", "session_idle"], config.server.session_idle);
    if config.server.state_dir.as_os_str().is_empty() {
        review.wrong(&["server", "state_dir"], "", "is no folder", "write a path such as \"state\"");
    }
    audit_sink(review);
    log_level(review);
}

/// `dev` and `none` let anyone in, so they stay on this machine.
fn open_providers(review: &mut Review<'_>) {
    let config = review.config;
    let kinds = config.endpoints.values().map(|endpoint| config.provider_kind(endpoint));
    let Some(kind) = kinds.into_iter().find(|kind| matches!(kind, ProviderKind::Dev | ProviderKind::None)) else {
        return;
    };
    let why = match kind {
        ProviderKind::Dev => "provider \"dev\" lets anyone sign in",
        _ => "provider \"none\" asks nobody who they are",
    };
    let listen = config.server.listen;
    if !listen.ip().to_canonical().is_loopback() {
        let own = Server::default().listen.port();
        let port = if review.is_referenced(&["server", "listen"]) { own } else { listen.port() };
        review.wrong(
            &["server", "listen"],
            &listen.to_string(),
            format!("reaches beyond this machine, and {why}"),
            format!("write \"127.0.0.1:{port}\", or choose provider = \"scalekit\" or \"oauth\""),
        );
    }
    if let Some(url) = &config.server.public_url
        && url.has_host()
        && !is_loopback(url)
        && !config.auth.dev.allow_public
    {
        let path = ["server", "public_url"];
        let found = review.text(&path).unwrap_or_default();
        review.wrong(
            &path,
            found,
            format!("is open to others, and {why}"),
            "choose provider = \"scalekit\" or \"oauth\"; if you mean it, write allow_public = true in [auth.dev]",
        );
    }
}

fn public_url(review: &mut Review<'_>) {
    let path = ["server", "public_url"];
    let (Some(url), Some(text)) = (&review.config.server.public_url, review.text(&path)) else { return };
    let (problem, help) = if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        ("is not an http or https URL", "write one such as \"https://mcp.example.com\"".to_owned())
    } else if !url.username().is_empty() || url.password().is_some() {
        ("holds a user name or a password", format!("write \"{}\"", bare(url)))
    } else if url.query().is_some() || url.fragment().is_some() {
        ("holds a query or a fragment", format!("write \"{}\"", bare(url)))
    } else if text.ends_with('/') {
        ("ends with a slash", format!("write \"{}\"", bare(url)))
    } else if own_tree(url.path()).is_some() {
        // Behind a proxy that leaves such a path on, nobody could tell what is meant.
        let help = "write another, such as \"https://mcp.example.com/tools\"".to_owned();
        ("has a path below which the server's own pages are", help)
    } else {
        return;
    };
    let help = if review.is_referenced(&path) {
        "write scheme, host and port alone, such as \"https://mcp.example.com\"".to_owned()
    } else {
        help
    };
    review.wrong(&path, text, problem, help);
}

/// Scheme, host, port and path, without a trailing slash.
fn bare(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/'))
}

fn allowed_origin(review: &mut Review<'_>, path: &[&str], text: &str) {
    let help = match Url::parse(text) {
        // An extension's or an application's own scheme has an opaque origin: scheme and host, nothing after.
        Ok(url) if !url.origin().is_tuple() => {
            let own = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
            if url.has_host() && own == text {
                return;
            }
            "write scheme and host alone, such as \"https://app.example.com\"".to_owned()
        }
        Ok(url) => {
            let origin = url.origin().ascii_serialization();
            if origin == text {
                return;
            }
            if review.is_referenced(path) {
                "write scheme, host and port alone, such as \"https://app.example.com\"".to_owned()
            } else {
                format!("write \"{origin}\"")
            }
        }
        Err(_) => "write scheme, host and port, such as \"https://app.example.com\"; there is no wildcard".to_owned(),
    };
    review.wrong(path, text, "is not an origin", help);
}

fn allowed_host(review: &mut Review<'_>, path: &[&str], text: &str) {
    let plain = text.parse::<http::uri::Authority>().is_ok_and(|authority| {
        let whole = match authority.port_u16() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        whole == text && !text.contains('*')
    });
    if !plain {
        review.wrong(path, text, "is not a host name", "write one such as \"mcp.example.com\" or \"10.0.0.5:8080\"");
    }
}

fn audit_sink(review: &mut Review<'_>) {
    let path = ["audit", "sink"];
    match review.config.audit.sink.as_str() {
        text @ ("" | "stdout" | "-") => {
            review.wrong(&path, text, "is not a sink", "write \"stderr\", or a file's path such as \"audit.jsonl\"");
        }
        text if text.ends_with('/') => {
            review.wrong(&path, text, "is a folder", "write a file's path, such as \"audit.jsonl\"");
        }
        _ => {}
    }
}

/// A bare word is a level here; in `RUST_LOG` it could be the name of a module, which hides a misspelled level.
fn log_level(review: &mut Review<'_>) {
    let path = ["log", "level"];
    let text = review.config.log.level.as_str();
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    let word = text.split(',').map(str::trim).find(|part| {
        !part.contains(['=', '['])
            && (part.is_empty() || part.parse::<LevelFilter>().is_err() || part.parse::<u8>().is_ok())
    });
    match word {
        Some(word) => {
            let help = match nearest(word, levels) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write one of {}, or directives such as \"info,toolgate=debug\"", levels.join(", ")),
            };
            review.wrong(&path, text, "is not a log level", help);
        }
        None if EnvFilter::try_new(text).is_err() => {
            review.wrong(&path, text, "is not a log level", "write directives such as \"info,toolgate=debug\"");
        }
        None => {}
    }
}
