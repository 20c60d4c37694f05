//! What the front page has to copy: run here as people run it, and quoted whatever the address holds.

use std::process::Stdio;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use toolgate_tests::server::{Launch, Server, binary, workspace};
use url::Url;

use crate::{
    house::{Answer, CONFIG, House, http},
    html::{BROWSER, Html},
};

async fn page(url: &str) -> Html {
    Html::of(&Answer::to(http().get(url).header("accept", BROWSER)).await)
}

/// Run snippets one after another in one shell, in the server's folder, with the binary in the path; what they print.
#[cfg(unix)]
async fn run(server: &Server, snippets: &[String]) -> String {
    let folder = binary().parent().expect("its folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    // `curl` says how far it is, unless it is told not to.
    shell.args(["-e", "-c", &format!("curl() {{ command curl -sS --noproxy '*' \"$@\"; }}\n{}", snippets.join("\n"))]);
    shell.current_dir(server.folder()).env_clear().env("PATH", path).env("ISSUER", "http://127.0.0.1:1");
    let ran = shell.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("a shell");
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{snippets:#?}: {stdout}{stderr}");
    stdout.into_owned()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn curl_calls_and_lists_as_the_page_says() {
    for provider in ["dev", "none"] {
        let launch = Launch::new(&CONFIG.replace("provider = \"oauth\"", &format!("provider = \"{provider}\"")));
        let server = launch.env("ISSUER", "http://127.0.0.1:1").start().await;
        let page = page(&server.url()).await;
        let token = page.text_of("curl-token");
        assert_eq!(token.is_some(), provider == "dev");
        for (id, tools) in [("curl-call", None), ("curl-list", Some(3))] {
            let snippet = page.text_of(id).unwrap_or_else(|| panic!("{id} is not there"));
            let snippets: Vec<String> = token.clone().into_iter().chain([snippet]).collect();
            let printed = run(&server, &snippets).await;
            let answer: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
            match tools {
                None => assert_eq!(
                    (&answer["isError"], &answer["structuredContent"]),
                    (&json!(false), &json!({ "text": "text" }))
                ),
                Some(tools) => assert_eq!(answer["result"]["tools"].as_array().map(Vec::len), Some(tools), "{printed}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_to_try_a_tool_with_is_asked_for_with_the_scopes_of_that_tool() {
    let config = CONFIG
        .replace("provider = \"oauth\"", "provider = \"dev\"")
        .replace("path = \"/web-search/mcp\"", "path = \"/web-search/mcp\"\ninitial_scopes = [\"web-search:write\"]");
    let server = Launch::new(&config).env("ISSUER", "http://127.0.0.1:1").start().await;
    let token = page(&server.url()).await.text_of("curl-token").expect("a token");
    assert!(token.contains("--scope 'web-search:write web-search:read'"), "a first sign-in's, and echo's own: {token}");
}

/// A public address that means something to shells, JavaScript, Python, JSON and HTML.
const HOSTILE: &str = "https://h.example/it's/$HOME/$(id)/&amp;/a;b/!x/(y)/%22%3Cb%3E";

#[tokio::test(flavor = "multi_thread")]
async fn no_address_breaks_out_of_its_quotes() {
    let house = House::with(CONFIG, &[("TOOLGATE_SERVER__PUBLIC_URL", HOSTILE)]).await;
    let page = page(&house.server.url()).await;
    page.assert_is_inert();
    let address = format!("{HOSTILE}/web-search/mcp");
    let snippet = |id: &str| page.text_of(id).unwrap_or_else(|| panic!("{id} is not there"));
    for id in ["address-text", "claude-address", "chatgpt-address"] {
        assert_eq!(snippet(id), address, "{id}");
    }
    #[cfg(unix)]
    for (id, command, at) in [
        ("claude-code-add", "claude", Some(5)),
        ("codex-add", "codex", Some(4)),
        ("inspector-page", "npx", Some(3)),
        ("inspector-list", "npx", Some(3)),
        ("mcp-remote-try", "npx", Some(4)),
        ("curl-list", "curl", Some(0)),
        ("curl-call", "curl", None),
        ("vscode-add", "code", None),
    ] {
        // The command is replaced by one that prints its arguments, a line each.
        let script = format!("{command}() {{ printf '%s\\n' \"$@\"; }}\n{}", snippet(id));
        let words = run(&house.server, &[script]).await;
        let words: Vec<&str> = words.lines().collect();
        match at {
            Some(at) => assert_eq!(words.get(at), Some(&&*address), "{id}: {words:?}"),
            None if id == "vscode-add" => {
                let entry: Value = serde_json::from_str(words[1]).expect("JSON");
                assert_eq!(entry, json!({ "name": "web-search", "type": "http", "url": address }));
            }
            None => assert_eq!(words[0], format!("{HOSTILE}/api/tools/web-search/echo"), "{id}"),
        }
    }
    let parsed = |id: &str| serde_json::from_str::<Value>(&snippet(id)).unwrap_or_else(|error| panic!("{id}: {error}"));
    assert_eq!(parsed("cursor-file")["mcpServers"]["web-search"]["url"], address);
    assert_eq!(parsed("vscode-file")["servers"]["web-search"], json!({ "type": "http", "url": address }));
    assert_eq!(parsed("mcp-remote-file")["mcpServers"]["web-search"]["args"][2], address);
    // A string of JSON is one of both languages.
    for (id, before, after) in [("typescript-file", "new URL(", ");"), ("python-file", "ADDRESS = ", "\n")] {
        let program = snippet(id);
        let literal = program.split_once(before).and_then(|(_, rest)| rest.split_once(after)).expect("the address").0;
        assert_eq!(serde_json::from_str::<String>(literal).expect("a string"), address, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_into_clients_carry_the_address() {
    let house = House::with(CONFIG, &[("TOOLGATE_SERVER__PUBLIC_URL", HOSTILE)]).await;
    let page = page(&house.server.url()).await;
    let address = format!("{HOSTILE}/web-search/mcp");
    let link = |start: &str| {
        let found = page.links().into_iter().find(|link| link.starts_with(start));
        Url::parse(&found.unwrap_or_else(|| panic!("{start} is not there"))).expect("a URL")
    };
    let query =
        |url: &Url, name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let claude = link("https://claude.ai/customize/connectors");
    assert_eq!(query(&claude, "modal").as_deref(), Some("add-custom-connector"));
    assert_eq!(
        (query(&claude, "connectorName").as_deref(), query(&claude, "connectorUrl")),
        (Some("web-search"), Some(address.clone()))
    );
    let cursor = link("cursor://anysphere.cursor-deeplink/mcp/install");
    let config = STANDARD.decode(query(&cursor, "config").expect("a configuration")).expect("base64");
    assert_eq!(serde_json::from_slice::<Value>(&config).expect("JSON"), json!({ "url": address }));
    assert_eq!(query(&cursor, "name").as_deref(), Some("web-search"));
    let code = link("vscode:mcp/install");
    // The whole query is the JSON; read as the one key of a form it is decoded.
    let (entry, _) = code.query_pairs().next().expect("a query");
    assert_eq!(
        serde_json::from_str::<Value>(&entry).expect("JSON"),
        json!({ "name": "web-search", "type": "http", "url": address })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_from_a_cloud_are_told_when_they_cannot() {
    for (public_url, why) in [
        (None, Some("is for this machine alone")),
        (Some("https://192.168.1.2"), Some("is for your own network alone")),
        (Some("http://mcp.example.com"), Some("is not encrypted")),
        (Some("https://mcp.example.com"), None),
    ] {
        let variables: Vec<_> = public_url.iter().map(|url| ("TOOLGATE_SERVER__PUBLIC_URL", *url)).collect();
        let house = House::with(CONFIG, &variables).await;
        let answer = Answer::to(house.request(Method::GET, "/").header("accept", BROWSER)).await;
        let page = Html::of(&answer);
        let text = page.text();
        let told = text.matches("Put the server behind an https address").count();
        assert_eq!(told, if why.is_some() { 2 } else { 0 }, "{public_url:?}: Claude and ChatGPT");
        assert!(why.is_none_or(|why| text.contains(why)), "{public_url:?}: {text}");
        assert_eq!(text.contains("needs a public address"), why.is_some(), "{public_url:?}");
        let opened: Vec<String> = page
            .tags()
            .iter()
            .filter(|tag| tag.get("checked").is_some())
            .filter_map(|tag| tag.get("value").map(str::to_owned))
            .collect();
        assert_eq!(opened, [if why.is_some() { "claude-code" } else { "claude" }], "{public_url:?}");
        let allows_http = page.text_of("mcp-remote-file").expect("a file").contains("--allow-http");
        assert_eq!(allows_http, public_url.is_some_and(|url| url.starts_with("http:")), "{public_url:?}");
    }
}

/// The files of `examples/clients`, each made of these snippets.
const EXAMPLES: [(&str, &[&str]); 6] = [
    ("client.mts", &["typescript-file"]),
    ("client.py", &["python-file"]),
    ("curl.sh", &["curl-token", "curl-call", "curl-list"]),
    ("claude_desktop_config.json", &["mcp-remote-file"]),
    ("cursor/mcp.json", &["cursor-file"]),
    ("vscode/mcp.json", &["vscode-file"]),
];

/// `UPDATE_EXAMPLES=1` writes them anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_are_what_the_page_of_the_shipped_configuration_shows() {
    let server = Launch::shipped().env("TOOLGATE_SERVER__LISTEN", "127.0.0.1:0").start().await;
    let page = page(&server.url()).await;
    let folder = workspace().join("examples/clients");
    for (name, ids) in EXAMPLES {
        let snippets = ids.iter().map(|id| page.text_of(id).unwrap_or_else(|| panic!("{id} is not there")));
        let text = snippets.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n";
        // The port that the file says.
        let text = text.replace(&server.public_url(), "http://localhost:10000");
        let path = folder.join(name);
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, &text).expect("a file");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, text, "{name} is not what the page shows; UPDATE_EXAMPLES=1 writes it anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_to_copy_has_names_of_its_own_for_those_who_do_not_see_where_it_stands() {
    let house = House::open().await;
    let page = Answer::to(house.request(Method::GET, "/").header("accept", BROWSER)).await.body;
    let named = |before: &str, after: &str| -> Vec<String> {
        page.split(before).skip(1).filter_map(|rest| Some(rest.split_once(after)?.0.to_owned())).collect()
    };
    for mut names in [named("Copy<span class=\"aside\">: ", "</span>"), named("role=\"group\" aria-label=\"", "\"")] {
        assert!(names.len() > 10, "{names:?}");
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{names:#?}");
    }
}
