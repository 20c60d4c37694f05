//! Tools that change while their plugin serves: they take nobody's name, and nobody's time.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use toolgate_tests::{library, server::workspace};

use crate::house::{CONFIG, House, RELOADED};

/// What is logged when tools were listed again and are others.
const LISTED: &str = "tools were listed again";
/// A tool that `echo` has too.
const ECHO: (&str, &str) = ("THEN", r#"",{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}""#);

/// The restless plugin, compiled with these definitions.
fn restless(folder: &TempDir, definitions: &[(&str, &str)]) -> PathBuf {
    let library = folder.path().join("librestless.so");
    let beside = folder.path().join("new");
    library::of_c(&workspace().join("tests/tests/reload/restless.c"), definitions, &beside);
    std::fs::rename(beside, &library).expect("it is put in place");
    library
}

/// A server with the restless plugin, in this order on its endpoint.
async fn house(library: &std::path::Path, plugins: &str, isolation: &str) -> House {
    let config = CONFIG.replace("plugins = [\"echo\"]", &format!("plugins = {plugins}"));
    let section = format!(
        "\n[plugins.h]\nlibrary = {:?}\nisolation = \"{isolation}\"\n[plugins.h.tools]\n\"*\" = {{ scopes = [] }}\n",
        library.display().to_string()
    );
    House::with(&(config + &section), |launch| launch).await
}

/// What a tool answers.
async fn answer(house: &House, tool: &str) -> Value {
    let request = house.http.post(format!("{}/api/tools/notes/{tool}", house.server.url()));
    let request = request.bearer_auth(house.token("notes:read")).json(&json!({ "text": "mine" }));
    request.send().await.expect("an answer").json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_takes_no_name_that_another_has_while_it_serves() {
    for (plugins, isolation) in [(r#"["h", "echo"]"#, "process"), (r#"["echo", "h"]"#, "none")] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut house = house(&restless(&folder, &[ECHO]), plugins, isolation).await;
        let log = house
            .until(LISTED, async |house: &mut House| {
                answer(house, "go").await;
            })
            .await;
        assert!(log.contains("would have two tools \"echo\"") && log.contains("it stays hidden"), "{plugins}: {log}");
        assert_eq!(answer(&house, "echo").await["content"][0]["text"], "mine", "{plugins}");
        // Nor by an edit of something else, or a hangup.
        house.reload("[scopes.\"notes:write\"]", "[scopes.\"notes:write\"]\n[scopes.\"notes:new\"]").await;
        assert_eq!(answer(&house, "echo").await["content"][0]["text"], "mine", "{plugins}");
        // Under another name it is offered.
        house.reload("[plugins.h.tools]", "[plugins.h.tools]\necho = { scopes = [], name = \"say\" }").await;
        assert_eq!(answer(&house, "say").await["content"][0]["text"], "stolen", "{plugins}");
        assert_eq!(answer(&house, "echo").await["content"][0]["text"], "mine", "{plugins}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_documents_show_what_a_plugin_lists_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let then = r#"",{\"name\":\"tardy_tool\",\"inputSchema\":{\"type\":\"object\"}}""#;
    let mut house = house(&restless(&folder, &[("THEN", then)]), r#"["h", "echo"]"#, "process").await;
    let shown = async |house: &House| {
        let mut shown = Vec::new();
        for (path, accept) in [("/", "text/html"), ("/", "*/*"), ("/openapi.json", "*/*"), ("/api/tools", "*/*")] {
            let answer = house.get(path).header("accept", accept).send().await.expect("an answer");
            shown.push(answer.text().await.expect("a text").contains("tardy_tool"));
        }
        shown
    };
    assert_eq!(shown(&house).await, [false; 4]);
    house
        .until(LISTED, async |house: &mut House| {
            answer(house, "go").await;
        })
        .await;
    assert_eq!(shown(&house).await, [true; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_library_takes_no_name_that_another_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut house = house(&restless(&folder, &[]), r#"["h", "echo"]"#, "process").await;
    house
        .until(RELOADED, async |_: &mut House| {
            restless(&folder, &[ECHO, ("ALWAYS", "1")]);
        })
        .await;
    assert_eq!(answer(&house, "echo").await["content"][0]["text"], "mine");
    assert!(answer(&house, "go").await["content"].is_array(), "the rest of it is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_cannot_be_listed_once_are_listed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let then = r#"",{\"name\":\"late\",\"inputSchema\":{\"type\":\"object\"}}""#;
    let library = restless(&folder, &[("THEN", then), ("FAILS", "1")]);
    let mut house = house(&library, r#"["h", "echo"]"#, "process").await;
    let log = house
        .until(LISTED, async |house: &mut House| {
            answer(house, "go").await;
        })
        .await;
    assert_eq!(log.matches("cannot be listed; those before stay").count(), 1, "{log}");
    assert_eq!(answer(&house, "late").await["content"][0]["text"], "stolen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_says_all_the_time_that_its_tools_change_is_listed_once_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = restless(&folder, &[("STORM", "1")]);
    let house = house(&library, r#"["h", "echo"]"#, "process").await;
    answer(&house, "go").await;
    let begun = std::time::Instant::now();
    let listings = loop {
        let said = answer(&house, "go").await;
        let listings: u64 = said["content"][0]["text"].as_str().and_then(|text| text.parse().ok()).expect("a number");
        // At its start, at once, and then once a second.
        if listings >= 4 {
            break listings;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let took = begun.elapsed();
    assert!(listings <= 3 + took.as_secs() && took.as_secs() >= 1, "{listings} listings in {took:?}");
    assert_eq!(house.told(LISTED), 0, "{}", house.server.stderr());
}
