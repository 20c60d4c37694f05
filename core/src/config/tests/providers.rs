//! Authorization servers: none that tokens could not be checked with, and none whose tokens open two endpoints.

use super::Folder;
use crate::{
    config::{Environment, OAuthSection, ProviderConfig, ScalekitSection},
    tokens::Profile,
};

const RESOURCE: &str = "https://mcp.example.com/mcp";

const REST: &str = r#"
[scopes.x]
[endpoints.notes]
path = "/notes/mcp"
plugins = ["echo"]
[plugins.echo]
builtin = "echo"
tools.echo = { scopes = ["x"] }
"#;

#[test]
fn what_the_development_server_would_do_matters_where_it_runs_alone() {
    for (provider, loads) in [("oauth", true), ("dev", false)] {
        let text = format!(
            "[server]\npublic_url = \"https://mcp.example.com\"\n[auth]\nprovider = \"{provider}\"\n[auth.oauth]\n\
             issuer = \"https://auth.example.com\"\n[auth.dev]\nallow_public = true\n\
             client_metadata_from_loopback = true\n{REST}"
        );
        let loaded = Folder::with(&text).load(&Environment::default());
        assert_eq!(loaded.is_ok(), loads, "{provider}: {:?}", loaded.err());
    }
}

#[test]
fn whatever_no_profile_can_be_made_from_is_refused_where_it_stands() {
    const ENVIRONMENT: &str = "https://acme.scalekit.dev";
    let urls = [
        "",
        "auth.example.com",
        "mailto:x@auth.example.com",
        "ftp://auth.example.com",
        "http://auth.example.com",
        "http://10.0.0.1",
        "http://[::2]",
        "http://[::ffff:10.0.0.1]",
        "https://u:p@auth.example.com",
        "https://u@auth.example.com",
        "https://auth.example.com?x",
        "https://auth.example.com/#x",
        "https://",
        "http://[::ffff:127.0.0.1]:1",
        "http://localhost:1/a",
        "https://auth.example.com/a/",
    ];
    let ids = ["1001", "res_", "RES_1", "res_1/../2", "res_é b", "res_1 ", " res_1", "skc_1", "res_a-B_1"];
    let scalekit = |url: &str, id: Option<&str>| {
        let section = ScalekitSection {
            environment_url: url.parse().ok()?,
            resource_id: id.map(str::to_owned),
            extra_audiences: Vec::new(),
        };
        Profile::scalekit(&section, RESOURCE).ok()
    };
    let oauth = |url: &str| format!("[auth]\nprovider = \"oauth\"\n[auth.oauth]\nissuer = \"{url}\"\n");
    let environment =
        |url: &str| format!("[auth]\nprovider = \"scalekit\"\n[auth.scalekit]\nenvironment_url = \"{url}\"\n");
    let mut rows: Vec<(String, bool)> = Vec::new();
    for url in urls {
        rows.push((oauth(url), Profile::oauth(&OAuthSection::with_issuer(url), RESOURCE).is_ok()));
        rows.push((environment(url), scalekit(url, None).is_some()));
    }
    for id in ids {
        let text = format!("{}resource_id = \"{id}\"\n", environment(ENVIRONMENT));
        rows.push((text, scalekit(ENVIRONMENT, Some(id)).is_some()));
    }
    for (text, made) in rows {
        match Folder::with(&format!("{text}{REST}")).load(&Environment::default()) {
            Ok(_) => assert!(made, "loads, and no profile can be made from it:\n{text}"),
            Err(diagnostics) => {
                assert!(!made, "a profile can be made from this, and it does not load: {diagnostics}\n{text}");
                assert!(diagnostics.to_string().contains("config.toml:"), "{diagnostics}");
            }
        }
    }
}

#[test]
fn endpoints_that_would_take_each_others_tokens_are_told() {
    let scalekit = |id: Option<&str>, extra: &[&str]| {
        ProviderConfig::Scalekit(ScalekitSection {
            environment_url: "https://acme.scalekit.dev".parse().unwrap(),
            resource_id: id.map(str::to_owned),
            extra_audiences: extra.iter().map(|text| (*text).to_owned()).collect(),
        })
    };
    let oauth = |issuer: &str, audience: &[&str]| {
        let audience = audience.iter().map(|text| (*text).to_owned()).collect();
        ProviderConfig::OAuth(OAuthSection { audience, ..OAuthSection::with_issuer(issuer) })
    };
    let (a, b) = ("https://mcp.example.com/a", "https://mcp.example.com/b");
    let below = "https://acme.scalekit.dev/resources/res_1";
    for (name, one, other, pass) in [
        ("own ids", scalekit(Some("res_1"), &[]), scalekit(Some("res_2"), &[]), false),
        ("own resources", scalekit(None, &[]), scalekit(None, &[]), false),
        ("one id for both", scalekit(Some("res_1"), &[]), scalekit(Some("res_1"), &[]), true),
        (
            "the other's id as a further audience",
            scalekit(Some("res_1"), &[]),
            scalekit(Some("res_2"), &["res_1"]),
            true,
        ),
        // A token for a resource with an id carries its URL as well.
        ("the other's URL as a further audience", scalekit(Some("res_1"), &[]), scalekit(Some("res_2"), &[a]), true),
        ("nothing as a further audience", scalekit(Some("res_1"), &[""]), scalekit(Some("res_2"), &[""]), false),
        ("own resources at one issuer", oauth("https://as.example", &[]), oauth("https://as.example/", &[]), false),
        ("one audience", oauth("https://as.example", &["x"]), oauth("https://as.example", &["x", "y"]), true),
        (
            "one audience at two issuers",
            oauth("https://as.example", &["x"]),
            oauth("https://as2.example", &["x"]),
            false,
        ),
        ("Scalekit, once as plain OAuth", scalekit(Some("res_1"), &[]), oauth(below, &["res_1"]), true),
        ("the development server twice", ProviderConfig::Dev, ProviderConfig::Dev, false),
        ("nobody to ask", ProviderConfig::None, ProviderConfig::None, false),
    ] {
        assert_eq!(one.tokens_pass_at(a, &other, b), pass, "{name}");
    }
}
