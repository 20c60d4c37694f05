//! What a configuration must say for a profile to be made from it.

use super::{RESOURCE, oauth_section};
use crate::{
    config::{OAuthSection, ScalekitSection, Validation},
    tokens::{Profile, ProfileError},
};

fn scalekit(url: &str, resource_id: Option<&str>) -> Result<Profile, ProfileError> {
    let section = ScalekitSection {
        environment_url: url.parse().unwrap(),
        resource_id: resource_id.map(str::to_owned),
        extra_audiences: Vec::new(),
    };
    Profile::scalekit(&section, RESOURCE)
}

#[test]
fn plain_http_is_for_loopback_alone() {
    for issuer in [
        "http://127.0.0.1:1",
        "http://127.9.9.9",
        "http://localhost:1/a",
        "http://[::1]:1",
        "http://[::ffff:127.0.0.1]:1",
        "http://as.localhost",
        "https://as.example",
    ] {
        assert!(Profile::oauth(&oauth_section(issuer), RESOURCE).is_ok(), "{issuer}");
    }
    for issuer in
        ["http://as.example", "http://10.0.0.1", "http://localhost.evil.example", "http://[::2]", "http://0.0.0.0"]
    {
        let made = Profile::oauth(&oauth_section(issuer), RESOURCE);
        assert_eq!(made.err(), Some(ProfileError::Insecure(issuer.to_owned())), "{issuer}");
    }
    assert_eq!(
        scalekit("http://acme.scalekit.dev", None).err(),
        Some(ProfileError::Insecure("http://acme.scalekit.dev/".into()))
    );
}

#[test]
fn an_issuer_is_a_bare_absolute_url() {
    for issuer in [
        "",
        "auth.example.com",
        "https://as.example?x",
        "https://as.example/#x",
        "https://u:p@as.example",
        "ftp://as.example",
        "mailto:x@as.example",
    ] {
        let made = Profile::oauth(&oauth_section(issuer), RESOURCE);
        assert_eq!(made.err(), Some(ProfileError::NotAnIssuer(issuer.to_owned())), "{issuer}");
    }
}

#[test]
fn a_scalekit_resource_id_starts_with_res() {
    for id in ["1001", "res_", "RES_1", "res_1/../2", "https://mcp.example.com/mcp", "skc_1"] {
        let made = scalekit("https://acme.scalekit.dev", Some(id));
        assert_eq!(made.err(), Some(ProfileError::NotAResourceId(id.to_owned())), "{id}");
    }
}

#[test]
fn the_scalekit_environment_is_taken_with_and_without_a_slash() {
    for url in ["https://acme.scalekit.dev", "https://acme.scalekit.dev/"] {
        let profile = scalekit(url, Some("res_1")).unwrap();
        assert_eq!(profile.authorization_servers(), ["https://acme.scalekit.dev/resources/res_1"]);
        assert_eq!(scalekit(url, None).unwrap().authorization_servers(), ["https://acme.scalekit.dev"]);
    }
}

#[test]
fn an_oauth_section_without_algorithms_or_credentials_is_refused() {
    let section = oauth_section("https://as.example");
    let none = OAuthSection { algorithms: Vec::new(), ..section.clone() };
    assert_eq!(Profile::oauth(&none, RESOURCE).err(), Some(ProfileError::NoAlgorithm));
    let asking = OAuthSection { validation: Validation::Introspection, ..section };
    assert_eq!(Profile::oauth(&asking, RESOURCE).err(), Some(ProfileError::NoCredentials));
}

#[test]
fn messages_name_the_value_and_the_remedy() {
    for (error, text) in [
        (
            scalekit("https://acme.scalekit.dev", Some("x")).unwrap_err(),
            "\"x\" is no Scalekit resource id; copy it from the MCP server's page in the dashboard, it starts with \"res_\"",
        ),
        (
            Profile::oauth(&oauth_section("http://as.example"), RESOURCE).unwrap_err(),
            "\"http://as.example\" is not an https URL; only an authorization server on loopback may use http",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
