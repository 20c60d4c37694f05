//! `[endpoints]`: paths that can be served, plugins that exist, and no token that opens two of them.

use url::Url;

use super::{Review, is_plain_name};
use crate::config::{nearest, resolve::metadata_path, sections::Endpoint};

/// Paths that the server itself answers, with everything below them.
const RESERVED: [&str; 10] = [
    "/docs",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/api",
    "/oauth",
    "/dev",
    "/.well-known",
    "/assets",
    "/favicon.ico",
];

/// Where everything is the server's own, at once or below: what begins so as it comes is not taken for something behind the
/// path of `public_url`.
const OWN_TREES: [&str; 6] = ["/.well-known", "/docs", "/assets", "/dev/auth", "/api/tools", "/oauth/register"];

pub(super) fn check(review: &mut Review<'_>) {
    let config = review.config;
    if config.endpoints.is_empty() {
        review.error(
            &["endpoints"],
            "there is no endpoint, so there is nothing to serve",
            "add a section such as [endpoints.web-search] with path = \"/web-search/mcp\" and plugins = [\"web-search\"]",
        );
    }
    let mut marked: Option<&str> = None;
    for (index, (name, endpoint)) in config.endpoints.iter().enumerate() {
        if !is_plain_name(name) {
            review.error(
                &["endpoints", name],
                format!("\"{name}\" cannot name an endpoint"),
                "use letters, digits, - and _: the name is part of /api/tools/{endpoint}/{tool}",
            );
        }
        path(review, name, endpoint);
        unmistaken(review, name, endpoint);
        plugins(review, name, endpoint);
        resource(review, name, endpoint);
        if endpoint.default {
            match marked {
                Some(first) => review.error(
                    &["endpoints", name, "default"],
                    format!("the endpoint {first:?} is the default already"),
                    "keep default = true in one of them",
                ),
                None => marked = Some(name),
            }
        }
        for (other, earlier) in config.endpoints.iter().take(index) {
            apart(review, (other, earlier), (name, endpoint));
        }
    }
}

fn path(review: &mut Review<'_>, name: &str, endpoint: &Endpoint) {
    let key = ["endpoints", name, "path"];
    let path = endpoint.path.as_str();
    // The server's own page is at "/"; a trailing slash is told with what is left of it.
    if path == "/" {
        return review.wrong(&key, path, "is the page for people", "write a path such as \"/mcp\"");
    }
    let Some(inner) = path.strip_prefix('/') else {
        let help = format!("write \"/{}\"", path.split(['?', '#']).next().unwrap_or_default());
        let help = if review.is_referenced(&key) { "write a path such as \"/mcp\"".to_owned() } else { help };
        return review.wrong(&key, path, "does not begin with a slash", help);
    };
    if path.contains(['?', '#']) {
        return review.wrong(&key, path, "holds a query or a fragment", "write the path alone, such as \"/mcp\"");
    }
    if path.ends_with('/') {
        return review.wrong(&key, path, "ends with a slash", "leave the last slash out");
    }
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    if !inner.split('/').all(plain) {
        return review.wrong(
            &key,
            path,
            "is not a plain path",
            "use letters, digits, - . _ and ~ between single slashes, such as \"/web-search/mcp\"",
        );
    }
    if let Some(reserved) = reserved(path) {
        review.wrong(
            &key,
            path,
            format!("is taken: the server itself answers {reserved}"),
            "write a path such as \"/mcp\"",
        );
    }
}

/// Outside, a path stands behind that of `public_url`, which a proxy may leave on: it must not be another's path then.
fn unmistaken(review: &mut Review<'_>, name: &str, endpoint: &Endpoint) {
    let config = review.config;
    let Some(url) = &config.server.public_url else { return };
    let prefix = url.path().trim_end_matches('/');
    // One that is the server's own is told where it stands.
    if prefix.is_empty() || own_tree(prefix).is_some() {
        return;
    }
    let key = ["endpoints", name, "path"];
    if let Some(own) = own_tree(&format!("{prefix}{}", endpoint.path)) {
        let problem = format!("behind the path of public_url would be taken for the server's own {own}");
        return review.wrong(&key, &endpoint.path, problem, "write another, such as \"/mcp\"");
    }
    let Some(rest) = endpoint.path.strip_prefix(prefix) else { return };
    let other = config.endpoints.iter().find(|(_, other)| other.path == rest);
    let whose = match (other, reserved(rest)) {
        (Some((other, _)), _) => {
            format!("would be taken for the endpoint \"{other}\", which is at public_url + \"{rest}\"")
        }
        (None, Some(reserved)) => {
            format!("would be taken for the server's own {reserved}, which is at public_url + \"{rest}\"")
        }
        (None, None) if rest.is_empty() => "would be taken for the page for people, which is at public_url".to_owned(),
        (None, None) => return,
    };
    review.wrong(&key, &endpoint.path, whose, format!("write a path that does not begin with \"{prefix}\""));
}

/// The path of the server's own that this one is, or is below.
fn reserved(path: &str) -> Option<&'static str> {
    RESERVED.into_iter().find(|own| is_within(path, own))
}

/// The tree of the server's own that a path is in.
pub(super) fn own_tree(path: &str) -> Option<&'static str> {
    OWN_TREES.into_iter().find(|own| is_within(path, own))
}

fn is_within(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn plugins(review: &mut Review<'_>, name: &str, endpoint: &Endpoint) {
    let config = review.config;
    let key = ["endpoints", name, "plugins"];
    if endpoint.plugins.is_empty() {
        review.error(
            &key,
            "the endpoint has no plugins, so it offers no tools",
            "name one, such as plugins = [\"web-search\"]",
        );
        return;
    }
    for (index, plugin) in endpoint.plugins.iter().enumerate() {
        let at = index.to_string();
        let key = ["endpoints", name, "plugins", at.as_str()];
        if !config.plugins.contains_key(plugin) {
            let help = match nearest(plugin, config.plugins.keys().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if config.plugins.is_empty() => "add a section for it below [plugins]".to_owned(),
                None => {
                    let known: Vec<&str> = config.plugins.keys().map(String::as_str).collect();
                    format!("add a section for it below [plugins], or use one of: {}", known.join(", "))
                }
            };
            review.wrong(&key, plugin, "is not a plugin of this configuration", help);
        } else if endpoint.plugins.iter().take(index).any(|earlier| earlier == plugin) {
            review.wrong(&key, plugin, "is named twice", "name it once");
        }
    }
    let enabled = |plugin: &String| config.plugins.get(plugin).is_none_or(|plugin| plugin.enabled);
    if !endpoint.plugins.iter().any(enabled) {
        review.warn(&key, "all plugins of this endpoint are disabled, so it offers no tools", "enable one of them");
    }
}

/// RFC 8707 section 2: an absolute URI without a fragment. Ours also say where its metadata is, so: HTTP.
fn resource(review: &mut Review<'_>, name: &str, endpoint: &Endpoint) {
    let key = ["endpoints", name, "resource"];
    let Some(resource) = &endpoint.resource else { return };
    let problem = match Url::parse(resource) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => "is not an http or https URL",
        Ok(url) if url.fragment().is_some() => "holds a fragment",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "holds a user name or a password",
        Ok(_) => return,
        Err(_) => "is not a URL",
    };
    let help = "write the resource identifier exactly as tokens carry it, such as \"https://mcp.example.com/mcp\"";
    review.wrong(&key, resource, problem, help);
}

/// Two endpoints keep apart: their own path, their own resource, and no token for one that opens the other.
fn apart(review: &mut Review<'_>, (other, earlier): (&str, &Endpoint), (name, endpoint): (&str, &Endpoint)) {
    let config = review.config;
    if endpoint.path == earlier.path {
        let key = ["endpoints", name, "path"];
        return review.wrong(
            &key,
            &endpoint.path,
            format!("is the path of the endpoint \"{other}\" too"),
            "give each its own",
        );
    }
    let resource = config.resource_of(endpoint);
    let other_resource = config.resource_of(earlier);
    if resource == other_resource {
        let key = ["endpoints", name, "resource"];
        let message =
            format!("the endpoint \"{other}\" has the same resource, so a token for one would open the other");
        return review.error(
            &key,
            message,
            "give each its own, or leave the key out: the default is public_url + path",
        );
    }
    let public_url = config.public_url();
    let metadata = |resource: &str| {
        [None, Some(&*public_url)].map(|url| metadata_path(resource, url).trim_end_matches('/').to_owned())
    };
    let others = metadata(&other_resource);
    // Where both follow from the paths, these are told apart.
    let stated = endpoint.resource.is_some() || earlier.resource.is_some();
    if stated && metadata(&resource).iter().any(|path| others.contains(path)) {
        let key = ["endpoints", name, "resource"];
        return review.error(
            &key,
            format!("the metadata of this resource would be where those of the endpoint \"{other}\" are"),
            "give each resource a path of its own, or leave the key out: the default is public_url + path",
        );
    }
    let (Some(provider), Some(other_provider)) = (config.provider_for(name), config.provider_for(other)) else {
        return;
    };
    if provider.tokens_pass_at(&resource, &other_provider, &other_resource)
        || other_provider.tokens_pass_at(&other_resource, &provider, &resource)
    {
        let kind = provider.kind();
        let line = match kind {
            crate::config::ProviderKind::Scalekit => "resource_id = \"res_…\"",
            _ => "audience = [\"…\"]",
        };
        review.error(
            &["endpoints", name],
            format!("the endpoint \"{other}\" accepts the same audience, so a token for one would open the other"),
            format!("give each its own, such as auth = {{ provider = \"{kind}\", {line} }}"),
        );
    }
}
