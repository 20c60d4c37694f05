//! Plugins that do not come up: whatever `create` does, the server says so and serves the others.

use super::house::{Plan, crashing};

/// What the plugin does at create, and a part of what is said about it.
const ROWS: [(&str, &str); 7] = [
    ("fail", "told to fail"),
    ("settings", "told to refuse this"),
    ("silent", "the plugin refused to start and did not say why"),
    ("panic", "the plugin panicked while it started"),
    ("abort", "SIGABRT"),
    ("segfault", "SIGSEGV"),
    ("hang", "did not start within"),
];

#[tokio::test]
async fn whatever_a_plugin_does_while_it_starts_the_others_are_served() {
    let library = crashing();
    let plan = ROWS.iter().fold(Plan::new(), |plan, (how, _)| {
        plan.library(how, &library, &format!("settings = {{ at_create = \"{how}\" }}"))
    });
    // That it is there at all within the tests' patience is the claim about the one that hangs.
    let house = plan.open().await;
    assert!(house.echoes().await);
    let mut failures = Vec::new();
    for (how, expected) in ROWS {
        let said = house.readiness(how).await;
        if said["state"] != "failed" || !said["detail"].as_str().unwrap_or_default().contains(expected) {
            failures.push(format!("{how}: {said}, not {expected:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn settings_that_do_not_fit_the_plugins_schema_are_told_with_their_place() {
    let library = crashing();
    let plan = Plan::new().library("p", &library, "required = true\nsettings = { at_create = \"dance\" }");
    let ended = plan.launch().run().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("plugins.p.settings.at_create"), "{ended:?}");
    let line = plan.text().lines().position(|line| line.contains("dance")).expect("the line") + 1;
    assert!(ended.stderr.contains(&format!("config.toml:{line}:")), "{ended:?}");
}

#[tokio::test]
async fn lists_of_tools_that_are_wrong_keep_the_plugin_out() {
    let library = crashing();
    let plan = Plan::new().library("twice", &library, "settings = { dup = true }").library(
        "schema",
        &library,
        "settings = { bad_schema = true }",
    );
    let house = plan.open().await;
    assert!(house.echoes().await);
    for (plugin, expected) in [("twice", "lists the tool \"fine\" twice"), ("schema", "no valid JSON Schema")] {
        let said = house.readiness(plugin).await;
        assert_eq!(said["state"], "failed", "{said}");
        assert!(said["detail"].as_str().unwrap_or_default().contains(expected), "{said}");
    }
}
