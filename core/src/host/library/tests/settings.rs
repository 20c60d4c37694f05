//! Claims about settings that do not fit: the key, what is wrong, what to write, and never the value.

use serde_json::{Value, json};

use super::super::{
    manifest::Manifest,
    settings::{check, refused},
};

fn manifest(schema: &Value) -> Manifest {
    Manifest::parse(json!({ "name": "x", "version": "1", "settingsSchema": schema }).to_string().as_bytes()).unwrap()
}

#[test]
fn a_setting_that_does_not_fit_is_named_and_its_value_is_not() {
    let schema = json!({
        "type": "object",
        "properties": {
            "api_key": { "type": "string", "minLength": 20, "examples": ["tvly-…"] },
            "port": { "type": "integer", "maximum": 65535 },
            "depth": { "enum": ["basic", "advanced"] },
            "retry": { "anyOf": [{ "$ref": "#/$defs/Retry" }, { "type": "null" }] },
        },
        "required": ["api_key"],
        "additionalProperties": false,
        "$defs": {
            "Retry": {
                "type": "object",
                "properties": { "times": { "type": "integer" } },
                "required": ["times"],
                "additionalProperties": false,
            },
        },
    });
    let key = "s3cret-s3cret-s3cret-s3cret";
    let cases = [
        (json!({}), "api_key", "this setting is missing", "add a line api_key = \"tvly-…\" below [plugins.x.settings]"),
        (json!({ "api_kye": key }), "api_kye", "unknown setting \"api_kye\"", "did you mean \"api_key\"?"),
        (
            json!({ "api_key": key, "zzz": 1 }),
            "zzz",
            "unknown setting \"zzz\"",
            "known here: api_key, port, depth, retry",
        ),
        (json!({ "api_key": 12345 }), "api_key", "expected text, found a number", "write it in quotes"),
        (json!({ "api_key": "s3cret" }), "api_key", "the value is shorter than 20 characters", ""),
        (json!({ "api_key": key, "port": 70000 }), "port", "the value is greater than the maximum of 65535", ""),
        (json!({ "api_key": key, "port": "s3cret" }), "port", "expected a whole number, found text", ""),
        (
            json!({ "api_key": key, "depth": "advnced" }),
            "depth",
            "the value is not known here",
            "did you mean \"advanced\"? (one of: \"basic\", \"advanced\")",
        ),
        (
            json!({ "api_key": key, "retry": { "times": "s3cret" } }),
            "retry.times",
            "expected a whole number, found text",
            "",
        ),
        (
            json!({ "api_key": key, "retry": { "time": 1, "times": 1 } }),
            "retry.time",
            "unknown setting \"time\"",
            "did you mean \"times\"?",
        ),
        (
            json!({ "api_key": key, "retry": {} }),
            "retry.times",
            "this setting is missing",
            "add a line times = 1 below [plugins.x.settings.retry]",
        ),
    ];
    let manifest = manifest(&schema);
    for (settings, path, message, help) in cases {
        let error = check("x", &manifest, &settings).unwrap_err();
        assert_eq!(error.path.join("."), format!("plugins.x.settings.{path}"), "{settings}");
        assert_eq!((error.message.as_str(), error.help.as_str()), (message, help), "{settings}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    check("x", &manifest, &json!({ "api_key": key, "retry": null })).unwrap();
}

#[test]
fn a_plugin_without_settings_wants_none() {
    let manifest = manifest(&json!({ "type": "object", "additionalProperties": false }));
    let error = check("x", &manifest, &json!({ "a": 1 })).unwrap_err();
    assert_eq!(error.help, "remove it; the plugin has no settings here");
    check("x", &manifest, &json!({})).unwrap();
}

#[test]
fn a_plugin_without_a_schema_checks_for_itself() {
    let manifest = Manifest::parse(br#"{"name":"x","version":"1"}"#).unwrap();
    check("x", &manifest, &json!({ "anything": 1 })).unwrap();
    let error = refused("x", "api.key", "is expired; make a new one");
    assert_eq!(error.path.join("."), "plugins.x.settings.api.key");
    assert_eq!((error.message.as_str(), error.help.as_str()), ("is expired", "make a new one"));
}
