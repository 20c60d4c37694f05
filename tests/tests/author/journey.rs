//! From nothing to a tool that clients call, and to a better one, while the server runs.

use std::{fs, path::Path};

use serde_json::{Value, json};
use toolgate_tests::server::{Launch, Server};

use crate::desk::{Caller, library_name, new, shell, toolgate};

/// A server with one tool that is not the author's.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"

[scopes."others:use"]
description = "Use what was there before"

[endpoints.tools]
path = "/tools/mcp"
plugins = ["echo"]

[plugins.echo]
builtin = "echo"
[plugins.echo.tools]
echo = { scopes = ["others:use"] }
"#;

/// Add a plugin to the configuration as `plugin inspect` says, by hand: its lines at the end, and its name in the list
/// of the endpoint that is there.
fn configure(folder: &Path, name: &str, library: &str) {
    let told = toolgate(folder, &["plugin", "inspect", library]).well();
    let (_, lines) = told.split_once("Add to config.toml:\n").expect("the lines to add");
    assert!(lines.contains(&format!("[plugins.{name}]\nlibrary = \"{library}\"")), "relative: {lines}");
    let plugins = lines.lines().find_map(|line| line.strip_prefix("# plugins = ")).expect("the endpoint's line");
    let file = folder.join("config.toml");
    let config = fs::read_to_string(&file).expect("the configuration");
    let config = config.replace("plugins = [\"echo\"]", &format!("plugins = {plugins}"));
    fs::write(file, config + lines).expect("the configuration");
    toolgate(folder, &["check"]).well();
}

/// What is the same in every language, from a library that is built to one that is built anew by `rebuild`.
async fn served_called_and_picked_up_anew(server: Server, name: &str, library: &str, rebuild: impl FnOnce(&Path)) {
    let folder = server.folder().to_path_buf();
    let ada = json!({ "name": "Ada" });
    let before = server.process();

    configure(&folder, name, library);
    let other = Caller::with(&folder, &server.url(), "others:use").await;
    let scope = format!("{name}:use");
    let caller = Caller::with(&folder, &server.url(), &scope).await;
    caller.rest_until("greet", &ada, "Hello, Ada!").await;

    let called = caller.mcp("greet", &ada).await;
    assert_eq!(called.json()["result"]["content"][0]["text"], "Hello, Ada!", "{called:?}");
    for refused in [other.rest("greet", &ada).await, other.mcp("greet", &ada).await] {
        let challenge = refused.headers["www-authenticate"].to_str().expect("text");
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(challenge.contains("insufficient_scope") && challenge.contains(&scope), "{challenge}");
    }
    assert_eq!(other.rest("echo", &json!({ "text": "still" })).await.status, 200, "the others are served");
    assert_eq!(caller.rest("greet", &json!({ "nam": "Ada" })).await.status, 400, "arguments are checked");

    rebuild(&folder);
    caller.rest_until("greet", &ada, "Good day, Ada!").await;
    let called = caller.mcp("greet", &ada).await;
    assert_eq!(called.json()["result"]["content"][0]["text"], "Good day, Ada!", "{called:?}");
    assert_eq!(server.process(), before, "the same server");
    let ended = server.terminate().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

/// Change what a greeting begins with.
fn reword(source: &Path) {
    let text = fs::read_to_string(source).expect("the source");
    assert!(text.contains("Hello"), "{text}");
    fs::write(source, text.replace("\"Hello\"", "\"Good day\"").replace("Hello, ", "Good day, ")).expect("the source");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_crate_is_built_served_called_with_its_own_scope_changed_and_picked_up() {
    let launch = Launch::new(CONFIG);
    // A name of its own: cargo keeps what is between sources and libraries by name, and other tests build crates too.
    let travels = new(launch.folder(), "travels", &[]).folder;
    assert!(shell(&travels, "cargo test").well().contains("3 passed"));
    shell(&travels, "cargo build --release").well();
    let library = format!("travels/target/release/{}", library_name("travels"));
    let server = launch.start().await;
    served_called_and_picked_up_anew(server, "travels", &library, |folder| {
        reword(&folder.join("travels/src/lib.rs"));
        shell(&folder.join("travels"), "cargo build --release").well();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_c_is_built_served_called_with_its_own_scope_changed_and_picked_up() {
    let launch = Launch::new(CONFIG);
    let written = new(launch.folder(), "in-c", &["--lang", "c"]);
    let build = written.told.lines().find(|line| line.trim_start().starts_with("cc ")).expect("the command").to_owned();
    let strict = format!("{build} -Wpedantic -Werror -std=c99");
    shell(&written.folder, &strict).well();
    // The same file is C++ too.
    if shell(&written.folder, "command -v c++").code == Some(0) {
        shell(&written.folder, "c++ -x c++ -O2 -Wall -Wextra -Werror -fPIC -shared -o in-cpp.out in-c.c").well();
    }
    let library = format!("in-c/{}", library_name("in-c"));
    let server = launch.start().await;
    served_called_and_picked_up_anew(server, "in-c", &library, |folder| {
        reword(&folder.join("in-c/in-c.c"));
        shell(&folder.join("in-c"), &build).well();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_is_called_reaches_the_answer_as_it_is() {
    // The plugin in C pastes JSON together, so that quotes and line breaks must come through unharmed.
    let launch = Launch::new(CONFIG);
    let written = new(launch.folder(), "in-c", &["--lang", "c"]);
    let build = written.told.lines().find(|line| line.trim_start().starts_with("cc ")).expect("the command").to_owned();
    shell(&written.folder, &build).well();
    configure(launch.folder(), "in-c", &format!("in-c/{}", library_name("in-c")));
    for name in ["Ada", "a \"quoted\" \\ name", "two\nlines", "日本語", "name\": \"x", "}]{["] {
        let arguments = json!({ "name": name }).to_string();
        let called = toolgate(launch.folder(), &["call", "greet", &arguments, "--json"]).well();
        let result: Value = serde_json::from_str(&called).expect("JSON");
        assert_eq!(result["content"][0]["text"], format!("Hello, {name}!"));
    }
    let nobody = toolgate(launch.folder(), &["call", "greet", "{\"name\":\"\"}"]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("nobody to greet"), "{}", nobody.stderr);
}
