//! Who a plugin is, as its library says.

use jsonschema::{Draft, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A plugin's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Its own name; the configuration may call it otherwise.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit: Option<String>,
    /// Whether a request may block the thread that makes it.
    #[serde(default = "yes")]
    pub blocking: bool,
    /// JSON Schema of its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_schema: Option<Value>,
}

fn yes() -> bool {
    true
}

impl Manifest {
    /// The manifest in these bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => error.to_string(),
            _ => format!("it is no JSON: {error}"),
        })?;
        for (key, value) in [("name", &manifest.name), ("version", &manifest.version)] {
            if value.is_empty() {
                return Err(format!("its `{key}` is empty"));
            }
        }
        if let Some(schema) = &manifest.settings_schema {
            compile(schema).map_err(|error| format!("its `settingsSchema` is no valid JSON Schema: {error}"))?;
        }
        Ok(manifest)
    }
}

/// The settings' schema; of JSON Schema 2020-12 unless it says otherwise.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    let mut options = jsonschema::options();
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft202012);
    }
    options.build(schema).map_err(|error| error.to_string())
}
