//! What loads, and as what: layers, references, variables, sections that are not read.

use std::time::Duration;

use super::{Folder, default_text};
use crate::config::{Config, Environment, Loaded, PluginKind, ProviderConfig, ProviderKind, Secret, load};

fn loaded(config: &str, environment: &Environment) -> Loaded {
    Folder::with(config).load(environment).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// The default configuration with these variables.
fn with(environment: &[(&str, &str)]) -> Config {
    loaded(&default_text(), &environment.iter().copied().collect()).config
}

fn warnings(environment: &[(&str, &str)]) -> Vec<String> {
    let loaded = loaded(&default_text(), &environment.iter().copied().collect());
    loaded.warnings.iter().map(ToString::to_string).collect()
}

/// A second endpoint and more, below the default configuration.
fn with_more(more: &str, environment: &[(&str, &str)]) -> Config {
    loaded(&format!("{}\n{more}", default_text()), &environment.iter().copied().collect()).config
}

#[test]
fn environment_wins_over_the_file_and_the_file_over_defaults() {
    let config = with(&[("TOOLGATE_SERVER__LISTEN", "127.0.0.1:7")]);
    assert_eq!(config.server.listen.port(), 7);
    assert_eq!(config.server.max_connections, 1024);
    assert_eq!(with(&[]).server.listen.port(), 10000);
}

#[test]
fn variables_are_typed_by_the_schema_and_not_by_their_looks() {
    let config = with(&[
        ("TOOLGATE_SCOPES__WEB_SEARCH_READ__DESCRIPTION", "123"),
        ("TOOLGATE_PLUGINS__ECHO__ENABLED", "False"),
        ("TOOLGATE_SERVER__MAX_SESSIONS", " 7 "),
        ("TOOLGATE_SERVER__ALLOWED_ORIGINS", "https://a.example, https://b.example"),
        ("TOOLGATE_ENDPOINTS__WEB_SEARCH__INITIAL_SCOPES", "[\"web-search:read\"]"),
        ("TOOLGATE_PLUGINS__WEB_SEARCH__LIMITS", "{ timeout = \"5s\" }"),
        ("TOOLGATE_AUDIT", "{\"queue\": 9}"),
        ("TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__API_KEY", "true"),
    ]);
    assert_eq!(config.scopes[0].description, "123");
    assert!(!config.plugins["echo"].enabled);
    assert_eq!(config.server.max_sessions, 7);
    assert_eq!(config.server.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.endpoints["web-search"].initial_scopes.as_ref().map(Vec::len), Some(1));
    assert_eq!(config.plugins["web-search"].limits.timeout.0, Duration::from_secs(5));
    assert_eq!((config.audit.queue, config.audit.sink.as_str()), (9, "stderr"));
    assert_eq!(config.plugins["web-search"].settings.0["api_key"], "true");
}

#[test]
fn variables_find_keys_in_any_case_and_underscores_stand_for_what_is_no_letter() {
    let config = with(&[
        ("TOOLGATE_plugins__Web_Search__tools__TAVILY_SEARCH__rate", "1/h"),
        ("TOOLGATE_PLUGINS__WEB_SEARCH__TOOLS__TAVILY_MAP__SCOPES", "web-search:write"),
    ]);
    let tools = &config.plugins["web-search"].tools;
    assert_eq!(tools["tavily_search"].rate.map(|rate| rate.to_string()).as_deref(), Some("1/h"));
    assert_eq!(tools["tavily_map"].scopes.as_ref().map(|scopes| scopes[0].as_str()), Some("web-search:write"));
}

#[test]
fn unknown_variables_are_warnings_with_the_nearest_name() {
    let cases = [
        (("TOOLGATE_LOG_X", "1"), "it is ignored; settings are named by their path, such as TOOLGATE_SERVER__LISTEN"),
        (
            ("TOOLGATE_PORT_10000_TCP", "tcp://10.0.0.1"),
            "it is ignored; settings are named by their path, such as TOOLGATE_SERVER__LISTEN",
        ),
        (("TOOLGATE_SERVER__LISTN", "x"), "it is ignored; did you mean TOOLGATE_SERVER__LISTEN?"),
        (("TOOLGATE_SEVER__LISTEN", "x"), "it is ignored; did you mean TOOLGATE_SERVER__LISTEN?"),
        (
            ("TOOLGATE_PLUGINS__WEBSEARCH__ENABLED", "false"),
            "it is ignored; did you mean TOOLGATE_PLUGINS__WEB_SEARCH__ENABLED?",
        ),
        (
            ("TOOLGATE_SERVER__LISTEN__PORT", "1"),
            "it is ignored; settings are named by their path, such as TOOLGATE_SERVER__LISTEN",
        ),
        (("TOOLGATE_", "1"), "it is ignored; settings are named by their path, such as TOOLGATE_SERVER__LISTEN"),
    ];
    for (variable, help) in cases {
        assert_eq!(warnings(&[variable]), [format!("warning: {}: no setting has this name; {help}", variable.0)]);
    }
}

#[test]
fn a_plugin_can_come_from_variables_alone() {
    let config = with(&[
        ("TOOLGATE_PLUGINS__SECOND_ECHO__BUILTIN", "echo"),
        ("TOOLGATE_PLUGINS__SECOND_ECHO__TOOLS", "{ echo = { scopes = [], name = \"again\" } }"),
        ("TOOLGATE_ENDPOINTS__WEB_SEARCH__PLUGINS", "echo,second-echo"),
    ]);
    assert!(config.plugins.contains_key("second-echo"));
    assert_eq!(
        config.plugins.keys().collect::<Vec<_>>(),
        ["web-search", "docs", "echo", "second-echo"],
        "the file's order is kept"
    );
}

#[test]
fn a_name_that_fits_two_keys_is_refused() {
    let text = format!("{}\n[plugins.\"web_search\"]\nbuiltin = \"echo\"\nenabled = false\n", default_text());
    let environment = Environment::from([("TOOLGATE_PLUGINS__WEB_SEARCH__ENABLED", "false")]);
    let error = Folder::with(&text).load(&environment).expect_err("two keys");
    assert_eq!(
        error.to_string(),
        "error: TOOLGATE_PLUGINS__WEB_SEARCH__ENABLED: this name fits both \"web-search\" and \"web_search\"; \
         rename one of the two, or write the setting into the file"
    );
}

#[test]
fn what_is_loaded_can_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Loaded>();
}

#[test]
fn a_plugins_own_setting_is_never_shown() {
    let folder = Folder::with(&default_text());
    let environment = Environment::from([("TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__API_KEY", "s3cret")]);
    let source = folder.load(&environment).expect("it loads").source;
    let path = ["plugins", "web-search", "settings", "api_key"];
    assert_eq!(
        source.error(&path, Some("s3cret".into()), "is not a key", "ask").to_string(),
        "error: TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__API_KEY: plugins.web-search.settings.api_key: the value is not a key; ask"
    );
}

#[test]
fn references_stand_for_variables_defaults_and_files() {
    let folder = Folder::with(
        r#"
        [server]
        listen = "127.0.0.1:${NUMBER}"
        max_sessions = "${NUMBER}"
        allowed_origins = "${ORIGINS}"
        [scopes.a]
        description = "$${A} ${UNSET:-none} ${A}${A} $ {} ${UNSET:-}|"
        [endpoints.e]
        path = "${file:path.txt}"
        plugins = ["p"]
        resource = "${UNSET:-}"
        default = "${YES}"
        [plugins.p]
        builtin = "echo"
        settings = { deep = [{ key = "${A}" }], number = 1 }
        tools."*".scopes = []
        "#,
    );
    folder.write("path.txt", "/mcp\r\n");
    let environment = Environment::from([
        ("A", "${B}"),
        ("NUMBER", "12"),
        ("YES", "true"),
        ("ORIGINS", "https://a.example,https://b.example"),
    ]);
    let config = folder.load(&environment).unwrap_or_else(|diagnostics| panic!("{diagnostics}")).config;
    assert_eq!(
        config.scopes[0].description, "${A} none ${B}${B} $ {} |",
        "a value that was put in is not searched again"
    );
    assert_eq!(config.server.listen.port(), 12);
    assert_eq!(config.server.max_sessions, 12);
    assert_eq!(config.server.allowed_origins.len(), 2);
    assert_eq!(config.endpoints["e"].path, "/mcp");
    assert_eq!(config.endpoints["e"].resource, None, "an empty text is no text");
    assert!(config.endpoints["e"].default);
    assert_eq!(config.plugins["p"].settings.0["deep"][0]["key"], "${B}");
}

#[test]
fn dotenv_is_read_below_the_process() {
    let folder = Folder::with(&default_text());
    folder.write(".env", "# a comment\nTAVILY_API_KEY='from the file'\nexport TOOLGATE_LOG__LEVEL=debug\nPORT=7\n");
    let config = folder.load(&Environment::from([("PORT", "8")])).expect("it loads").config;
    assert_eq!(config.plugins["web-search"].settings.0["api_key"], "from the file");
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.server.listen.port(), 8);
}

#[test]
fn findings_about_dotenv_name_it_and_hide_its_lines() {
    let folder = Folder::with(&default_text());
    folder.write(".env", "A=1\nB=two words s3cret\n");
    let error = folder.load(&Environment::default()).expect_err("a broken line").to_string();
    assert_eq!(
        folder.relative(&error),
        "error: .env:2: this line is not NAME=value; put values with spaces or # in quotes, and comments on lines of their own"
    );
    folder.write(".env", "PORT=x\nTOOLGATE_LOG__LEVEL=lots\n");
    let error = folder.load(&Environment::default()).expect_err("a wrong port").to_string();
    assert_eq!(error, "error: PORT (.env): server.listen: \"x\" is not a port; write a number from 0 to 65535");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::with("");
    let error = load(&folder.path().with_file_name("other.toml"), &Environment::default()).expect_err("no file");
    assert_eq!(
        folder.relative(&error.to_string()),
        "error: other.toml: cannot be read: there is no such file; name the configuration file with --config FILE"
    );
}

#[test]
fn a_provider_that_is_not_used_asks_for_nothing() {
    let config = with(&[]);
    assert!(config.auth.scalekit.is_none() && config.auth.oauth.is_none());
}

#[test]
fn scalekit_needs_three_variables() {
    let config = with(&[
        ("TOOLGATE_AUTH__PROVIDER", "scalekit"),
        ("SCALEKIT_ENVIRONMENT_URL", "https://acme.scalekit.dev/"),
        ("SCALEKIT_RESOURCE_ID", "res_1"),
    ]);
    let Some(ProviderConfig::Scalekit(section)) = config.provider_for("web-search") else { panic!("scalekit") };
    assert_eq!(section.environment(), "https://acme.scalekit.dev");
    assert_eq!(section.resource_id.as_deref(), Some("res_1"));
    assert_eq!(ProviderConfig::Scalekit(section).audiences("r"), ["res_1"]);
}

#[test]
fn scalekit_without_a_resource_id_takes_the_endpoints_resource() {
    let config =
        with(&[("TOOLGATE_AUTH__PROVIDER", "scalekit"), ("SCALEKIT_ENVIRONMENT_URL", "https://acme.scalekit.dev")]);
    let provider = config.provider_for("web-search").expect("a provider");
    assert_eq!(provider.audiences(&config.resource("web-search")), ["http://localhost:10000/web-search/mcp"]);
}

#[test]
fn nothing_switches_the_provider_by_itself() {
    let config = with(&[("SCALEKIT_ENVIRONMENT_URL", "https://acme.scalekit.dev"), ("SCALEKIT_RESOURCE_ID", "res_1")]);
    assert_eq!(config.auth.provider, ProviderKind::Dev);
}

#[test]
fn settings_of_a_disabled_plugin_are_not_read() {
    let config = with_more(
        "[plugins.off]\nbuiltin = \"tavily\"\nenabled = \"${OFF}\"\nsettings = { api_key = \"${UNSET}\" }\n",
        &[("OFF", "false")],
    );
    assert!(!config.plugins["off"].enabled);
}

#[test]
fn an_endpoint_may_have_a_provider_of_its_own() {
    let more = "[endpoints.staff]\npath = \"/staff\"\nplugins = [\"echo\"]\n\
                auth = { provider = \"oauth\", audience = [\"staff\"], validation = \"introspection\", \
                introspection = { client_id = \"t\", client_secret = \"${SECRET}\" } }\n";
    let config = with_more(more, &[("SECRET", "hush")]);
    assert_eq!(config.provider_for("web-search"), Some(ProviderConfig::Dev));
    let Some(ProviderConfig::OAuth(section)) = config.provider_for("staff") else { panic!("oauth") };
    assert_eq!(section.issuer, "https://auth.example.com", "what is not given comes from [auth.oauth]");
    assert_eq!(section.audience, ["staff"]);
    assert_eq!(section.introspection.map(|own| own.client_secret), Some(Secret::new("hush")));
    assert_eq!(config.provider_for("nobody"), None);
    assert_eq!(config.default_endpoint().map(|(name, _)| name), None);
}

#[test]
fn two_endpoints_behind_scalekit_with_their_own_resource_ids_load() {
    let more = "[endpoints.b]\npath = \"/b\"\nplugins = [\"echo\"]\nauth = { provider = \"scalekit\", resource_id = \"res_2\" }\n";
    let config = with_more(
        more,
        &[
            ("TOOLGATE_AUTH__PROVIDER", "scalekit"),
            ("SCALEKIT_ENVIRONMENT_URL", "https://acme.scalekit.dev"),
            ("SCALEKIT_RESOURCE_ID", "res_1"),
        ],
    );
    assert_eq!(config.provider_for("b").expect("a provider").audiences("r"), ["res_2"]);
}

#[test]
fn original_variables_work() {
    let config =
        with(&[("PORT", "4321"), ("RESOURCE_IDENTIFIER", "http://localhost:4321/"), ("TAVILY_API_KEY", "tvly-1")]);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:4321");
    assert_eq!(config.resource("web-search"), "http://localhost:4321/", "byte for byte");
    assert_eq!(config.public_url(), "http://localhost:4321");
    assert_eq!(config.plugins["web-search"].settings.0["api_key"], "tvly-1");
    let config = with(&[("PORT", "1"), ("TOOLGATE_SERVER__LISTEN", "127.0.0.1:2")]);
    assert_eq!(config.server.listen.port(), 2, "the exact name wins");
    let config = with(&[
        ("RESOURCE_IDENTIFIER", "http://localhost/a"),
        ("TOOLGATE_ENDPOINTS__WEB_SEARCH__RESOURCE", "http://localhost/b"),
        ("TOOLGATE_SERVER__PUBLIC_URL", "http://localhost:9"),
    ]);
    assert_eq!(
        (config.resource("web-search").as_str(), config.public_url().as_str()),
        ("http://localhost/b", "http://localhost:9")
    );
    let config = with(&[("PORT", ""), ("RESOURCE_IDENTIFIER", "")]);
    assert_eq!(config.server.listen.port(), 10000, "an empty variable is as good as none");
}

#[test]
fn public_url_follows_the_bound_port() {
    let mut config = with(&[("PORT", "0")]);
    config.set_bound_port(4567);
    assert_eq!(config.resource("web-search"), "http://localhost:4567/web-search/mcp");
}

#[test]
fn dev_in_public_is_possible_when_it_is_meant() {
    let config = with(&[
        ("TOOLGATE_SERVER__PUBLIC_URL", "https://mcp.example.com/tools"),
        ("TOOLGATE_AUTH__DEV__ALLOW_PUBLIC", "true"),
    ]);
    assert_eq!(config.resource("web-search"), "https://mcp.example.com/tools/web-search/mcp");
}

#[test]
fn relative_paths_start_at_the_configuration() {
    let folder = Folder::with(&default_text());
    let environment = [
        ("TOOLGATE_AUDIT__SINK", "log/audit.jsonl"),
        ("TOOLGATE_PLUGINS__HELLO__LIBRARY", "target/libhello.so"),
        ("TOOLGATE_PLUGINS__HELLO__LIMITS", "{ read = [\"data\", \"/etc/hosts\"], write = [\"out\"] }"),
    ];
    let config = folder.load(&environment.into_iter().collect()).expect("it loads").config;
    let base = folder.path();
    let base = base.parent().expect("a folder");
    assert_eq!(config.server.state_dir, base.join("state"));
    assert_eq!(config.audit.sink, base.join("log/audit.jsonl").to_string_lossy());
    assert_eq!(with(&[]).audit.sink, "stderr");
    let hello = &config.plugins["hello"];
    assert_eq!(hello.kind(), Some(PluginKind::Library(&base.join("target/libhello.so"))));
    assert_eq!(hello.limits.read, [base.join("data"), "/etc/hosts".into()]);
    assert_eq!(hello.limits.write, [base.join("out")]);
}

#[test]
fn warnings_point_at_plugins_and_keys_that_nobody_uses() {
    let more = "[plugins.idle]\nbuiltin = \"echo\"\ntools.echo.scopes = []\n[plugins.off]\nbuiltin = \"echo\"\nenabled = false\n\
                [endpoints.b]\npath = \"/b\"\nplugins = [\"off\"]\nauth = { provider = \"none\", issuer = \"https://a.example\" }\n";
    let text = format!("{}\n{more}", default_text());
    let line = |needle: &str| text.lines().position(|line| line.starts_with(needle)).expect("a line") + 1;
    let folder = Folder::with(&text);
    let loaded = folder.load(&Environment::default()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let found: Vec<String> = loaded.warnings.iter().map(|warning| folder.relative(&warning.to_string())).collect();
    assert_eq!(
        found,
        [
            format!(
                "warning: config.toml:{}:1: plugins.idle: no endpoint offers this plugin's tools; add \"idle\" to the plugins of an endpoint, or write enabled = false",
                line("[plugins.idle]")
            ),
            format!(
                "warning: config.toml:{}:11: endpoints.b.plugins: all plugins of this endpoint are disabled, so it offers no tools; enable one of them",
                line("plugins = [\"off\"]")
            ),
            format!(
                "warning: config.toml:{}:38: endpoints.b.auth.issuer: this key is not read with provider \"none\"; take it away, or write provider = \"oauth\"",
                line("auth = {")
            ),
        ]
    );
}

#[test]
fn later_stages_can_point_at_a_value() {
    let folder = Folder::with(&default_text());
    let source = folder.load(&Environment::from([("TAVILY_API_KEY", "s3cret")])).expect("it loads").source;
    let line = |needle: &str| default_text().lines().position(|line| line.starts_with(needle)).expect("a line") + 1;
    let finding =
        source.error(&["plugins", "web-search", "settings", "api_key"], Some("s3cret".into()), "is not a key", "ask");
    assert_eq!(
        folder.relative(&finding.to_string()),
        format!(
            "error: config.toml:{}:11: plugins.web-search.settings.api_key: \"${{TAVILY_API_KEY:-}}\" is not a key; ask",
            line("api_key")
        )
    );
    let finding = source.warning(&["plugins", "echo", "tools", "ehco"], None, "there is no such tool", "");
    assert_eq!(
        folder.relative(&finding.to_string()),
        format!(
            "warning: config.toml:{}:1: plugins.echo.tools.ehco: there is no such tool",
            line("[plugins.echo.tools]")
        )
    );
}

#[test]
fn debug_shows_no_secret() {
    let environment = [
        ("TOOLGATE_AUTH__PROVIDER", "oauth"),
        ("TOOLGATE_AUTH__OAUTH__INTROSPECTION", "{ client_id = \"t\", client_secret = \"hush-1\" }"),
        ("TAVILY_API_KEY", "hush-2"),
        ("TOOLGATE_PLUGINS__WEB_SEARCH__SETTINGS__OTHER", "hush-3"),
    ];
    let environment: Environment = environment.into_iter().collect();
    let text = format!("{}\n# hush-4\n", default_text());
    let shown = format!("{:?} {environment:?}", loaded(&text, &environment));
    assert!(!shown.contains("hush"), "{shown}");
}
