//! The commands, as a person at a shell meets them.

use serde_json::{Value, json};
use toolgate_tests::{
    server::{Finished, Launch, workspace},
    tavily::StandIn,
};

use crate::house::CONFIG;

/// Run a command with the shipped configuration.
async fn shipped(arguments: &[&str]) -> Finished {
    Launch::shipped().command(arguments).run().await
}

/// Run a command with [`CONFIG`], Tavily being where this says.
async fn with_tavily(url: &str, arguments: &[&str]) -> Finished {
    Launch::new(CONFIG).env("ISSUER", "https://auth.example.com").env("TAVILY", url).command(arguments).run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_order_is_said_to_be_and_what_is_not_is_said_where() {
    let fine = shipped(&["check"]).await;
    assert_eq!((fine.code(), fine.stderr.as_str()), (Some(0), ""), "{fine:?}");
    assert_eq!(fine.stdout, "config.toml is in order: 1 endpoint, 11 tools, 0 warnings\n");

    let broken =
        CONFIG.replace("listen = ", "lisen = ").replace("[plugins.echo.tools]\necho", "[plugins.echo.tools]\nechoo");
    let refused = Launch::new(&broken).env("ISSUER", "https://auth.example.com").command(&["check"]).run().await;
    assert_eq!((refused.code(), refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("config.toml:3:1"), "{}", refused.stderr);
    assert!(refused.stderr.contains("\"lisen\"") && refused.stderr.contains("listen"), "{}", refused.stderr);

    let unmapped = CONFIG.replace("[plugins.echo.tools]\necho", "[plugins.echo.tools]\nechoo");
    let refused = Launch::new(&unmapped).env("ISSUER", "https://auth.example.com").command(&["check"]).run().await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    for text in ["the tool \"echo\" has no rule", "echo = { scopes", "has no tool \"echoo\"", "did you mean \"echo\"?"]
    {
        assert!(refused.stderr.contains(text), "{text:?} in {}", refused.stderr);
    }
    let started = Launch::new(&unmapped).env("ISSUER", "https://auth.example.com").run().await;
    assert_eq!((started.code(), started.stderr), (Some(1), refused.stderr), "a start refuses what check refuses");

    let absent = shipped(&["check", "--config", "elsewhere.toml"]).await;
    assert_eq!(absent.code(), Some(1));
    assert!(absent.stderr.contains("elsewhere.toml") && absent.stderr.contains("--config"), "{}", absent.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_a_table_for_people_and_json_for_programs() {
    let table = shipped(&["tools"]).await;
    let expected = "TOOL                 PLUGIN      ENDPOINT    SCOPES\n\
                    tavily_search        web-search  web-search  web-search:read\n\
                    tavily_extract       web-search  web-search  web-search:read\n\
                    tavily_map           web-search  web-search  web-search:write\n\
                    tavily_crawl         web-search  web-search  web-search:write\n\
                    tavily_research      web-search  web-search  web-search:write\n\
                    tavily_get_research  web-search  web-search  web-search:read\n\
                    tavily_usage         web-search  web-search  web-search:read\n\
                    tavily_feedback      web-search  web-search  web-search:write\n\
                    docs_search          docs        web-search  docs:read\n\
                    docs_fetch           docs        web-search  docs:read\n\
                    echo                 echo        web-search  web-search:read\n";
    assert_eq!((table.code(), table.stdout.as_str()), (Some(0), expected));
    let list: Value = serde_json::from_str(&shipped(&["tools", "--json"]).await.stdout).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(11));
    let echo = json!({ "tool": "echo", "plugin": "echo", "endpoint": "web-search", "scopes": ["web-search:read"] });
    assert_eq!(list[10], echo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_called_from_the_shell() {
    let tavily = StandIn::start().await.expect("the stand-in");
    let url = tavily.url();
    let echo = with_tavily(&url, &["call", "echo", r#"{"text":"hello"}"#]).await;
    assert_eq!((echo.code(), echo.stdout.as_str()), (Some(0), "hello\n"), "{echo:?}");
    let record: Value = serde_json::from_str(echo.audit_text().trim()).expect("one record");
    let told = (&record["face"], &record["principal"]["provider"], &record["decision"], &record["outcome"]);
    assert_eq!(told, (&json!("cli"), &json!("local"), &json!("permit"), &json!("ok")));

    let search = with_tavily(&url, &["call", "tavily_search", r#"{"query":"model context protocol"}"#]).await;
    assert_eq!(search.code(), Some(0), "{search:?}");
    assert!(search.stdout.contains("[1]") && search.stdout.contains("http"), "{}", search.stdout);
    assert_eq!(tavily.take_seen().len(), 1);

    let whole = with_tavily(&url, &["call", "--json", "tavily_search", r#"{"query":"x"}"#]).await;
    let whole: Value = serde_json::from_str(&whole.stdout).expect("JSON");
    assert!(whole["structuredContent"]["sources"].is_array(), "{whole}");

    tavily.fail("432");
    let failed = with_tavily(&url, &["call", "tavily_search", r#"{"query":"x"}"#]).await;
    assert_eq!((failed.code(), failed.stdout.as_str()), (Some(1), ""), "{failed:?}");
    assert!(failed.stderr.starts_with("error: ") && failed.stderr.contains("HTTP 432"), "{}", failed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_made_says_why() {
    let cases: [(&str, &[&str], i32, &str); 7] = [
        ("a wrong type", &["call", "echo", r#"{"text":7}"#], 1, "the argument at /text does not fit"),
        ("a missing member", &["call", "echo"], 1, "\"text\" is a required property"),
        ("no such tool", &["call", "nothing"], 1, "there is no tool \"nothing\"; see toolgate tools"),
        ("no such endpoint", &["call", "echo", "{}", "--endpoint", "x"], 1, "\"x\" offers no tool \"echo\""),
        ("no JSON", &["call", "echo", "{"], 2, "not a JSON object"),
        ("a list", &["call", "echo", "[]"], 2, "not a JSON object"),
        ("a token without a server", &["token", "--url", "http://127.0.0.1:1"], 1, "toolgate serve"),
    ];
    for (name, arguments, code, text) in cases {
        let ended = shipped(arguments).await;
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(code), ""), "{name}: {ended:?}");
        assert!(ended.stderr.contains(text), "{name}: {}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_told_apart_and_every_command_has_an_example() {
    for arguments in [
        ["nonsense"].as_slice(),
        &["call"],
        &["tools", "--yaml"],
        &["schema"],
        &["schema", "everything"],
        &["serve", "now"],
        &["--port", "1"],
    ] {
        let ended = shipped(arguments).await;
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("--help"), "{arguments:?}: {}", ended.stderr);
    }
    for command in [[].as_slice(), &["serve"], &["check"], &["tools"], &["call"], &["token"], &["schema"]] {
        let help = shipped(&[command, &["--help"]].concat()).await;
        assert_eq!((help.code(), help.stderr.as_str()), (Some(0), ""), "{command:?}");
        let example = help.stdout.split("Example:\n").nth(1).unwrap_or_else(|| panic!("{command:?} has none"));
        assert!(example.trim().starts_with("toolgate"), "{command:?}: {example}");
    }
    let version = shipped(&["--version"]).await;
    assert!(version.stdout.starts_with("toolgate "), "{version:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schemas_in_the_repository_are_those_of_the_binary() {
    for (of, file) in [("config", "schemas/config.schema.json"), ("openapi", "schemas/openapi.json")] {
        let printed = shipped(&["schema", of]).await;
        assert_eq!((printed.code(), printed.stderr.as_str()), (Some(0), ""));
        let kept = std::fs::read_to_string(workspace().join(file)).expect(file);
        let fresh = printed.stdout.replace("\r\n", "\n") == kept.replace("\r\n", "\n");
        assert!(fresh, "{file} is stale; make it anew: cargo run -- schema {of} > {file}");
        let _: Value = serde_json::from_str(&kept).expect(file);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let refused = Launch::shipped().env("TOOLGATE_SERVER__LISTEN", &address).run().await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&address) && refused.stderr.contains("server.listen"), "{}", refused.stderr);
}
