//! `[auth]` and the endpoints' own `auth`: each provider has what it needs, and secrets travel over TLS.

use url::Url;

use super::Review;
use crate::config::{
    resolve::{ProviderConfig, is_loopback},
    sections::{EndpointAuth, OAuthSection, ProviderKind, ScalekitSection, Validation},
};

const COMMON_SCALEKIT: [&str; 2] = ["auth", "scalekit"];
const COMMON_OAUTH: [&str; 2] = ["auth", "oauth"];

pub(super) fn check(review: &mut Review<'_>) {
    let config = review.config;
    review.not_zero(&["auth", "dev", "access_token_ttl"], config.auth.dev.access_token_ttl);
    review.not_zero(&["auth", "dev", "refresh_token_ttl"], config.auth.dev.refresh_token_ttl);
    loopback_metadata(review);
    for (name, endpoint) in &config.endpoints {
        let own = ["endpoints", name.as_str(), "auth"];
        let section: &[&str] = if endpoint.auth.is_some() { &own } else { &["auth"] };
        match config.provider_for(name) {
            None => missing_section(review, section, config.provider_kind(endpoint)),
            Some(ProviderConfig::Scalekit(scalekit)) => check_scalekit(review, endpoint.auth.as_ref(), &own, &scalekit),
            Some(ProviderConfig::OAuth(oauth)) => check_oauth(review, endpoint.auth.as_ref(), &own, &oauth),
            Some(ProviderConfig::Dev | ProviderConfig::None) => {}
        }
        if let Some(auth) = &endpoint.auth {
            unread_keys(review, &own, auth);
        }
    }
}

/// Fetching from this machine what a stranger names is for a server that no stranger reaches
/// (draft-ietf-oauth-client-id-metadata-document, section "Server Side Request Forgery (SSRF) Attacks"). Where the
/// development server does not run, its section is not read.
fn loopback_metadata(review: &mut Review<'_>) {
    let config = review.config;
    let open = config.server.public_url.as_ref().is_some_and(|url| url.has_host() && !is_loopback(url));
    if config.auth.dev.client_metadata_from_loopback && open {
        review.error(
            &["auth", "dev", "client_metadata_from_loopback"],
            "whoever reaches server.public_url could make the server send requests to this machine",
            "write false, or develop clients with a public_url of this machine",
        );
    }
}

fn missing_section(review: &mut Review<'_>, section: &[&str], kind: ProviderKind) {
    let line = match kind {
        ProviderKind::Scalekit => "environment_url = \"${SCALEKIT_ENVIRONMENT_URL}\"",
        _ => "issuer = \"https://auth.example.com\"",
    };
    let path: Vec<&str> = section.iter().copied().chain(["provider"]).collect();
    review.wrong(&path, &kind.to_string(), "has no settings", format!("add a section [auth.{kind}] with {line}"));
}

/// Where a setting stands: in the endpoint's own `auth`, or in the common section.
fn place<'p>(own: bool, endpoint: &[&'p str], common: &[&'p str], key: &'p str) -> Vec<&'p str> {
    let section = if own { endpoint } else { common };
    section.iter().copied().chain([key]).collect()
}

fn check_scalekit(review: &mut Review<'_>, auth: Option<&EndpointAuth>, own: &[&str], section: &ScalekitSection) {
    let path = place(auth.is_some_and(|auth| auth.environment_url.is_some()), own, &COMMON_SCALEKIT, "environment_url");
    let text = review.text(&path).unwrap_or_default();
    if is_secure(review, &path, text, &section.environment_url) && section.environment().ends_with('/') {
        review.wrong(
            &path,
            text,
            "ends with slashes",
            "write it as the dashboard shows it, such as \"https://acme.scalekit.dev\"",
        );
    }
    let path = place(auth.is_some_and(|auth| auth.resource_id.is_some()), own, &COMMON_SCALEKIT, "resource_id");
    if let Some(id) = &section.resource_id
        && !ScalekitSection::is_resource_id(id)
    {
        review.wrong(
            &path,
            id,
            "is not a Scalekit resource id",
            "write the id that the dashboard shows for the MCP server; it begins with \"res_\"",
        );
    }
    let path = place(auth.is_some_and(|auth| auth.extra_audiences.is_some()), own, &COMMON_SCALEKIT, "extra_audiences");
    no_empty_text(review, &path, &section.extra_audiences);
}

fn check_oauth(review: &mut Review<'_>, auth: Option<&EndpointAuth>, own: &[&str], section: &OAuthSection) {
    let path = place(auth.is_some_and(|auth| auth.issuer.is_some()), own, &COMMON_OAUTH, "issuer");
    match Url::parse(&section.issuer) {
        Ok(url) => {
            is_secure(review, &path, &section.issuer, &url);
        }
        Err(_) => review.wrong(
            &path,
            &section.issuer,
            "is not a URL",
            "write the issuer exactly as the authorization server's metadata has it, such as \"https://auth.example.com\"",
        ),
    }
    let path = place(auth.is_some_and(|auth| auth.algorithms.is_some()), own, &COMMON_OAUTH, "algorithms");
    if section.algorithms.is_empty() {
        review.error(
            &path,
            "no algorithm is allowed, so no token can be valid",
            "write [\"RS256\"], or leave the key out",
        );
    }
    let path = place(auth.is_some_and(|auth| auth.audience.is_some()), own, &COMMON_OAUTH, "audience");
    no_empty_text(review, &path, &section.audience);
    let path = place(auth.is_some_and(|auth| auth.introspection.is_some()), own, &COMMON_OAUTH, "introspection");
    match (&section.introspection, section.validation) {
        (None, Validation::Introspection) => {
            let path = place(auth.is_some_and(|auth| auth.validation.is_some()), own, &COMMON_OAUTH, "validation");
            review.wrong(
                &path,
                "introspection",
                "needs credentials of our own",
                "add introspection = { client_id = \"toolgate\", client_secret = \"${INTROSPECTION_SECRET}\" }",
            );
        }
        (Some(introspection), _) => {
            let key = |key| path.iter().copied().chain([key]).collect::<Vec<_>>();
            if introspection.client_id.is_empty() {
                review.error(
                    &key("client_id"),
                    "the client id is empty",
                    "write the id under which the provider knows us",
                );
            }
            if introspection.client_secret.expose().is_empty() {
                review.error(
                    &key("client_secret"),
                    "the client secret is empty",
                    "write \"${INTROSPECTION_SECRET}\" and set that variable",
                );
            }
            if let Some(endpoint) = &introspection.endpoint {
                let path = key("endpoint");
                let text = review.text(&path).unwrap_or_default();
                is_secure(review, &path, text, endpoint);
            }
        }
        (None, Validation::Jwt) => {}
    }
}

/// HTTPS, or HTTP on this machine; nothing that an issuer cannot have (RFC 8414 section 2).
fn is_secure(review: &mut Review<'_>, path: &[&str], text: &str, url: &Url) -> bool {
    let (problem, help) = if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        ("is not an http or https URL", "write one such as \"https://auth.example.com\"")
    } else if url.scheme() == "http" && !is_loopback(url) {
        ("is not https", "write https://…; plain http is for this machine alone")
    } else if !url.username().is_empty() || url.password().is_some() {
        ("holds a user name or a password", "leave them out")
    } else if url.query().is_some() || url.fragment().is_some() {
        ("holds a query or a fragment", "leave them out")
    } else {
        return true;
    };
    review.wrong(path, text, problem, help);
    false
}

fn no_empty_text(review: &mut Review<'_>, path: &[&str], audiences: &[String]) {
    for (index, _) in audiences.iter().enumerate().filter(|(_, audience)| audience.is_empty()) {
        let index = index.to_string();
        let path: Vec<&str> = path.iter().copied().chain([index.as_str()]).collect();
        review.wrong(&path, "", "is not an audience", "write what tokens carry in \"aud\", or leave it out");
    }
}

/// Keys of another provider than the endpoint's.
fn unread_keys(review: &mut Review<'_>, own: &[&str], auth: &EndpointAuth) {
    let scalekit = [
        ("environment_url", auth.environment_url.is_some()),
        ("resource_id", auth.resource_id.is_some()),
        ("extra_audiences", auth.extra_audiences.is_some()),
    ];
    let oauth = [
        ("issuer", auth.issuer.is_some()),
        ("audience", auth.audience.is_some()),
        ("algorithms", auth.algorithms.is_some()),
        ("validation", auth.validation.is_some()),
        ("introspection", auth.introspection.is_some()),
    ];
    let foreign = scalekit
        .iter()
        .map(|key| (key, ProviderKind::Scalekit))
        .chain(oauth.iter().map(|key| (key, ProviderKind::Oauth)));
    for ((key, given), kind) in foreign {
        if *given && kind != auth.provider {
            let path: Vec<&str> = own.iter().copied().chain([*key]).collect();
            let message = format!("this key is not read with provider \"{}\"", auth.provider);
            review.warn(&path, message, format!("take it away, or write provider = \"{kind}\""));
        }
    }
}
