//! Plugins of strangers, on the pages and in the documents: whatever one says of itself, it is shown and does nothing else.

use std::time::Instant;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use toolgate_tests::{
    library,
    server::{Launch, Server, workspace},
};

use crate::{
    house::{Answer, http},
    html::{BROWSER, Html},
};

fn opened(server: &Server) -> RequestBuilder {
    http().get(server.url()).header("accept", BROWSER)
}

/// A server with a library whose tools are these.
async fn with_tools(tools: &Value) -> Server {
    with(tools, &[]).await
}

/// The same, built with these definitions as well.
async fn with(tools: &Value, definitions: &[(&str, &str)]) -> Server {
    let launch = Launch::new(
        "[server]\nlisten = \"127.0.0.1:0\"\n[auth]\nprovider = \"none\"\n\
         [endpoints.all]\npath = \"/mcp\"\nplugins = [\"echo\", \"evil\"]\n\
         [plugins.echo]\nbuiltin = \"echo\"\n[plugins.echo.tools]\necho = { scopes = [] }\n\
         [plugins.evil]\nlibrary = \"plugin.so\"\n[plugins.evil.tools]\n\"*\" = { scopes = [] }\n",
    );
    let characters: Vec<String> = json!({ "tools": tools }).to_string().bytes().map(|byte| byte.to_string()).collect();
    let launch = launch.file("tools.inc", &characters.join(","));
    let listed = format!("{:?}", launch.folder().join("tools.inc").display().to_string());
    let source = workspace().join("tests/tests/plugins/contrary.c");
    let definitions: Vec<_> = [("TOOLS", listed.as_str())].into_iter().chain(definitions.iter().copied()).collect();
    library::of_c(&source, &definitions, &launch.folder().join("plugin.so"));
    launch.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_plugin_says_of_itself_runs() {
    let evil = "</code></script><script>alert(1)</script><img src=x onerror=\"alert(1)\">' \" & `x` *y*";
    let tools = json!([{
        "name": "evil",
        "title": evil,
        "description": evil,
        "inputSchema": {
            "type": "object",
            "properties": { evil: { "type": "string" } },
            "required": [evil],
            "examples": [{ evil: "'; touch /tmp/x; $(id) `id` \"\"\" \\ </code>" }],
        },
        "annotations": { "readOnlyHint": false, "destructiveHint": true, "title": evil },
    }]);
    let server = with_tools(&tools).await;
    let page = Html::of(&Answer::to(opened(&server)).await);
    page.assert_is_inert();
    assert!(!page.tags().iter().any(|tag| tag.name == "img"), "{}", page.0);
    let shown = page.text();
    assert!(shown.contains("<script>alert(1)</script>") && shown.contains("destructive"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_with_hundreds_of_tools_does_not_make_the_page_endless() {
    let tool = |index: usize| json!({ "name": format!("tool_{index}"), "inputSchema": { "type": "object" } });
    let tools: Vec<Value> = (0..900).map(tool).collect();
    let server = with_tools(&Value::from(tools)).await;
    let page = Html::of(&Answer::to(opened(&server)).await);
    let shown = page.text();
    assert!(shown.contains("901 tools over") && shown.contains("And 401 more"), "{}", &shown[..400]);
    assert!(page.0.len() < 1_000_000, "{} bytes", page.0.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_goes_on_about_how_it_is_is_cut_short_and_asked_once_a_second() {
    let server = with(&json!([]), &[("ILL", "100000")]).await;
    let (http, begun) = (http(), Instant::now());
    let look = async || Answer::to(http.get(format!("{}/readyz", server.url()))).await.json();
    let mut asked = 0;
    for _ in 0..40 {
        let detail = look().await["plugins"]["evil"]["detail"].as_str().expect("a reason").to_owned();
        assert!(detail.len() < 400 && detail.ends_with('…'), "{detail}");
        let times = detail.strip_prefix("asked ").and_then(|rest| rest.split(' ').next()).expect("how often");
        asked = times.parse::<u64>().expect("a number");
        assert_eq!(Answer::to(opened(&server)).await.status, 200);
    }
    assert!(asked <= begun.elapsed().as_secs() + 2, "{asked} times within {:?}", begun.elapsed());
    let page = Answer::to(opened(&server)).await.body;
    assert!(page.contains("asked ") && !page.contains(&"0".repeat(400)), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_not_called_destructive() {
    let tool = |name: &str, read_only: bool, destructive: bool| {
        let hints = json!({ "readOnlyHint": read_only, "destructiveHint": destructive });
        json!({ "name": name, "inputSchema": { "type": "object" }, "annotations": hints })
    };
    let server =
        with_tools(&json!([tool("both", true, true), tool("reads", true, false), tool("burns", false, true)])).await;
    let told = Answer::to(http().get(server.url())).await.json();
    let tools = told["endpoints"][0]["tools"].as_array().expect("tools");
    let hints: Vec<_> =
        tools.iter().map(|tool| json!([tool["name"], tool["read_only"], tool["destructive"]])).collect();
    let expected = [json!(["both", true, false]), json!(["reads", true, false]), json!(["burns", false, true])];
    assert_eq!(hints[1..], expected, "after echo: {told}");
    let text = Html::of(&Answer::to(opened(&server)).await).text();
    assert_eq!((text.matches("read-only").count(), text.matches("destructive").count()), (3, 1), "{text}");
}
