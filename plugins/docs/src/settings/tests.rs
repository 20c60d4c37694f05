//! What is refused, with the setting's path and what to write.

use std::path::Path;

use serde_json::{Value, json};
use toolgate_plugin::ProviderError;

use super::Settings;

fn wrong(settings: Value) -> (String, String) {
    match Settings::read(settings.clone(), Path::new("/base"), Path::new("/state")) {
        Err(ProviderError::Settings { path, message }) => (path, message),
        other => panic!("{settings} is {other:?}"),
    }
}

#[test]
fn the_least_settings_are_folders() {
    let (settings, folders) = Settings::read(
        json!({ "folders": ["docs", { "path": "/notes/README.md" }] }),
        Path::new("/base"),
        Path::new("/state"),
    )
    .expect("fine");
    let places: Vec<_> = folders.iter().map(|folder| (folder.name(), folder.path().to_str().expect("UTF-8"))).collect();
    assert_eq!(places, [("docs", "/base/docs"), ("README.md", "/notes/README.md")]);
    assert_eq!(settings.limits.files, 200_000);
}

#[test]
fn what_does_not_fit_is_named_with_its_path() {
    let cases = [
        (json!(null), "folders", "there is nothing to search"),
        (json!({ "folders": [] }), "folders", "there is nothing to search"),
        (json!({ "folders": [7] }), "folders.0", "is neither a path nor a table"),
        (json!({ "folders": ["a", {}] }), "folders.1", "\"path\" is a required property"),
        (json!({ "folders": [{ "path": "a", "nmae": "b" }] }), "folders.0.nmae", "unknown setting \"nmae\""),
        (json!({ "folder": ["a"] }), "folder", "unknown setting \"folder\""),
        (json!({ "folders": [""] }), "folders.0.path", "is no path"),
        (json!({ "folders": ["/"] }), "folders.0.path", "has no plain name"),
        (json!({ "folders": ["my docs"] }), "folders.0.path", "has no plain name"),
        (json!({ "folders": [{ "path": "a", "name": "a/b" }] }), "folders.0.name", "\"a/b\" cannot name a folder"),
        (json!({ "folders": [{ "path": "a", "name": ".." }] }), "folders.0.name", "cannot name a folder"),
        (json!({ "folders": ["a/docs", "b/docs"] }), "folders.1.name", "\"docs\" names two folders"),
        (json!({ "folders": [{ "path": "a", "include": ["[x"] }] }), "folders.0.include", "\"[x\" is no glob"),
        (
            json!({ "folders": [{ "path": "a", "exclude": ["../x"] }] }),
            "folders.0.exclude",
            "is no path within the folder",
        ),
        (
            json!({ "folders": [{ "path": "a", "types": ["pdf"] }] }),
            "folders.0.types.0",
            "\"pdf\" is not known here; write one of \"markdown\", \"text\", \"html\", \"rst\", \"source\"",
        ),
        (json!({ "folders": [{ "path": "a", "url": "https://x" }] }), "folders.0.url", "has no place for the path"),
        (json!({ "folders": [{ "path": "a", "url": "ftp://x/{path}" }] }), "folders.0.url", "is no http or https URL"),
        (
            json!({ "folders": [{ "path": "a", "url": "https://x/{path}#{l}" }] }),
            "folders.0.url",
            "is no http or https",
        ),
        (json!({ "folders": ["a"], "wait": "2h" }), "wait", "\"2h\" is out of range; use \"0s\" to \"1m\""),
        (json!({ "folders": ["a"], "rescan": 5 }), "rescan", "is not of type \"string\""),
        (json!({ "folders": ["a"], "limits": { "memory": "1 MiB" } }), "limits.memory", "is out of range"),
        (json!({ "folders": ["a"], "limits": { "files": 0 } }), "limits.files", "is less than the minimum"),
        (
            json!({ "folders": ["a"], "language": "latin" }),
            "language",
            "\"latin\" is not known here; write one of \"none\", ",
        ),
    ];
    for (settings, path, message) in cases {
        let (at, why) = wrong(settings.clone());
        assert!(at == path && why.contains(message), "{settings}: {at}: {why}");
    }
}

#[test]
fn the_schema_takes_a_path_for_a_folder() {
    let validator = jsonschema::validator_for(&Value::Object(crate::settings_schema())).expect("a schema");
    assert!(validator.is_valid(&json!({ "folders": ["a", { "path": "b", "types": ["rst"] }], "language": "none" })));
    assert!(!validator.is_valid(&json!({ "folders": [1] })));
    assert!(!validator.is_valid(&json!({ "folders": ["a"], "other": 1 })));
}
