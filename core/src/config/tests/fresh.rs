//! Files that are generated or shipped: they are fresh, and they load.

use std::{env, fs};

use super::{Environment, Folder, default_text, root};
use crate::config::{Builtin, ProviderConfig, ProviderKind, config_schema};

const REFRESH: &str = "REFRESH=1 cargo test -p toolgate --lib config::tests::fresh";

#[test]
fn schema_file_is_fresh() {
    let path = root().join("schemas/config.schema.json");
    let mut fresh = serde_json::to_string_pretty(&config_schema()).expect("the schema is JSON");
    fresh.push('\n');
    if env::var_os("REFRESH").is_some() {
        fs::write(&path, &fresh).expect("the schema is written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == fresh, "schemas/config.schema.json is stale; refresh it with: {REFRESH}");
}

#[test]
fn schema_accepts_the_files_we_ship() {
    let schema = jsonschema::validator_for(&config_schema()).expect("the schema is a schema");
    for file in ["config.toml", "examples/config/reference.toml"] {
        let text = fs::read_to_string(root().join(file)).expect(file);
        let source = crate::config::source::Source::parse(file.as_ref(), text).expect(file);
        let errors: Vec<String> =
            schema.iter_errors(&source.values()).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{file}");
    }
}

#[test]
fn default_configuration_loads_without_a_warning_and_without_variables() {
    // In a folder of its own: a developer's `.env` must not be read.
    let loaded = Folder::with(&default_text()).load(&Environment::default()).expect("it loads");
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.auth.provider, ProviderKind::Dev);
    assert_eq!(config.provider_for("web-search"), Some(ProviderConfig::Dev));
    assert_eq!(config.public_url(), "http://localhost:10000");
    assert_eq!(config.resource("web-search"), "http://localhost:10000/web-search/mcp");
    assert_eq!(config.plugins["web-search"].builtin, Some(Builtin::Tavily));
    assert_eq!(config.plugins["web-search"].settings.0["api_key"], "");
    assert!(config.auth.scalekit.is_none(), "a section that is not used is not read");
    assert!(default_text().starts_with("#:schema ./schemas/config.schema.json\n"));
}

#[test]
fn reference_configuration_loads_and_names_every_key() {
    let text = fs::read_to_string(root().join("examples/config/reference.toml")).expect("the reference is there");
    let environment = Environment::from([("INTROSPECTION_SECRET", "s3cret"), ("TAVILY_API_KEY", "tvly-x")]);
    let loaded = Folder::with(&text).load(&environment).expect("it loads");
    assert_eq!(loaded.warnings, []);
    let schema = config_schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    let sections = definitions.values().chain([&schema]);
    let keys = sections.filter_map(|section| section["properties"].as_object()).flat_map(|keys| keys.keys());
    let missing: Vec<&String> = keys.filter(|key| !text.contains(key.as_str())).collect();
    assert_eq!(missing, Vec::<&String>::new(), "keys that the reference does not mention");
}
