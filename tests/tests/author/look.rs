//! `toolgate plugin inspect`: what a library says of itself, and why one cannot be used.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::desk::{library_name, new, shell, toolgate};

#[test]
fn a_library_in_rust_shows_its_settings_its_tools_and_the_lines_to_add() {
    let folder = TempDir::with_prefix("author-").expect("an empty folder");
    let looked = new(folder.path(), "looked", &[]).folder;
    shell(&looked, "cargo build --release").well();
    let library = format!("looked/target/release/{}", library_name("looked"));
    let told = toolgate(folder.path(), &["plugin", "inspect", &library]).well();
    for line in [
        "looked 0.1.0",
        "  Greets people",
        "  KEY       TYPE    DEFAULT  MEANING",
        "  greeting  string  -        What a greeting begins with; \"Hello\" if left out.",
        "    Greet somebody by name.",
        "    ARGUMENT  TYPE    DEFAULT   MEANING",
        "    name      string  required  Whom to greet.",
        "greet = { scopes = [\"looked:use\"] }",
    ] {
        assert!(told.lines().any(|told| told == line), "{line:?} in\n{told}");
    }
    assert!(told.contains("\n  greet  [reads only"), "{told}");

    let whole = toolgate(folder.path(), &["plugin", "inspect", &library, "--json"]).well();
    let whole: Value = serde_json::from_str(&whole).expect("JSON");
    assert_eq!((&whole["abi"], &whole["error"]), (&Value::from(1), &Value::Null));
    assert_eq!(whole["manifest"]["name"], "looked");
    assert!(whole["manifest"]["settingsSchema"]["properties"]["greeting"].is_object(), "{whole}");
    assert_eq!(whole["tools"][0]["inputSchema"]["required"][0], "name");

    let refused = toolgate(folder.path(), &["plugin", "inspect", &library, "--settings", "[]"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    // All that is known is told, and the status says that something is missing.
    let unfit = toolgate(folder.path(), &["plugin", "inspect", &library, "--settings", "{\"greting\":\"x\"}"]);
    assert_eq!(unfit.code, Some(1), "{unfit:?}");
    for part in ["looked 0.1.0", "cannot be listed", "greting", "[plugins.looked]"] {
        assert!(unfit.stdout.contains(part), "{part}: {unfit:?}");
    }
    for (limits, key) in
        [("{\"netwrok\":true}", "netwrok"), ("{\"memory\":\"1 MiB\"}", "memory"), ("{\"timeout\":5}", "timeout")]
    {
        let refused = toolgate(folder.path(), &["plugin", "inspect", &library, "--limits", limits]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{limits}: {refused:?}");
        assert!(refused.stderr.contains(&format!("--limits: {key}: ")), "{limits}: {refused:?}");
    }
}

#[test]
fn a_library_in_c_shows_the_same() {
    let folder = TempDir::with_prefix("author-").expect("an empty folder");
    let written = new(folder.path(), "in-c", &["--lang", "c"]);
    let build = written.told.lines().find(|line| line.trim_start().starts_with("cc ")).expect("the command");
    shell(&written.folder, build).well();
    let library = format!("in-c/{}", library_name("in-c"));
    let told = toolgate(folder.path(), &["plugin", "inspect", &library]).well();
    for line in [
        "in-c 0.1.0",
        "Settings",
        "  none",
        "  greet  [reads only, reaches nothing outside]",
        "    name      string  required  Whom to greet.",
        "[plugins.in-c]",
        "greet = { scopes = [\"in-c:use\"] }",
    ] {
        assert!(told.lines().any(|told| told == line), "{line:?} in\n{told}");
    }
}

#[test]
fn a_file_that_is_no_plugin_is_refused_with_what_to_do() {
    let folder = TempDir::with_prefix("author-").expect("an empty folder");
    fs::write(folder.path().join("text.so"), "not a library\n").expect("a file");
    fs::write(folder.path().join("empty.so"), "").expect("a file");
    fs::write(folder.path().join("other.c"), "int unrelated(void) { return 1; }\n").expect("a file");
    shell(folder.path(), "cc -fPIC -shared -o other.so other.c").well();
    for (file, message, help) in [
        ("absent.so", "there is no file", "build the plugin, or correct the path, which starts at the current folder"),
        ("text.so", "not a library", "name the shared library"),
        ("empty.so", "empty file", "build or copy it again"),
        ("other.so", "not a Toolgate plugin", "export_plugin!"),
        (".", "is a folder", "name the library in it"),
    ] {
        let refused = toolgate(folder.path(), &["plugin", "inspect", file]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{file}: {refused:?}");
        assert!(refused.stderr.contains(message) && refused.stderr.contains(help), "{file}: {}", refused.stderr);
    }
}
