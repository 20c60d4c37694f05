//! The plugin's schemas, run where the plugin runs: a schema that takes for ever takes this process' time, and ends
//! with it.
//!
//! Owns the input schemas of the tools as they were last listed, and the words for what does not fit one. Knows
//! nothing of threads and sockets.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_abi::code;
use toolgate_plugin::Tool;

use super::super::super::{
    super::arguments::{self, BY_SCHEMA, Misfit, Patterns},
    manifest::Manifest,
    settings,
};
use crate::host::LoadError;

/// The tools as last listed, each with its input schema; `None` until they are.
#[derive(Default)]
pub(super) struct Checks(RwLock<Option<Arc<Tools>>>);

type Tools = HashMap<String, Validator>;

/// Why a call does not reach the plugin, as a JSON-RPC error object.
pub(super) struct Objection(pub(super) Value);

#[derive(Deserialize)]
struct List {
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Create {
    #[serde(default)]
    settings: Value,
}

impl Checks {
    /// Compile the schemas in a result of `tools/list`. What is no such result is not ours to tell: it goes to the
    /// server as it is.
    ///
    /// # Errors
    /// A schema that is none; what was known before stands.
    pub(super) fn learn(&self, result: &[u8]) -> Result<(), Objection> {
        let Ok(List { tools }) = serde_json::from_slice(result) else { return Ok(()) };
        let compiled = tools.into_iter().map(|tool| {
            let validator = arguments::compile(&tool, Patterns::Whole)?;
            Ok((tool.name, validator))
        });
        let compiled: Tools = compiled
            .collect::<Result<_, String>>()
            .map_err(|message| objection(code::INTERNAL, &message, Value::Null))?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(compiled));
        Ok(())
    }

    /// Check the params of a `tools/call`. Before there was a list nobody can know what to check against.
    ///
    /// # Errors
    /// The arguments do not fit, or there is no such tool.
    pub(super) fn check(&self, params: &[u8]) -> Result<(), Objection> {
        let tools = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(tools) = tools else { return Ok(()) };
        let Call { name, arguments } = serde_json::from_slice(params)
            .map_err(|error| objection(code::INVALID_PARAMS, &error.to_string(), Value::Null))?;
        let Some(validator) = tools.get(&name) else {
            return Err(objection(code::UNKNOWN_TOOL, "no tool of this name is listed", Value::Null));
        };
        match arguments::misfit(validator, &arguments) {
            None => Ok(()),
            Some(Misfit { path, message }) => {
                Err(objection(code::INVALID_PARAMS, &message, json!({ "path": path, BY_SCHEMA: true })))
            }
        }
    }
}

/// The answer to a call that was cancelled before it reached the plugin.
pub(super) fn withdrawn() -> Objection {
    objection(code::CANCELLED, "the call was cancelled", Value::Null)
}

fn objection(code: i64, message: &str, data: Value) -> Objection {
    Objection(json!({ "code": code, "message": message, "data": data }))
}

/// Check the settings in the params of `create`.
///
/// # Errors
/// The first setting that does not fit, with its path in the configuration.
pub(super) fn settings(plugin: &str, manifest: &Manifest, params: &[u8]) -> Result<(), LoadError> {
    if manifest.settings_schema.is_none() {
        return Ok(());
    }
    let given = serde_json::from_slice(params).map_or(Value::Null, |Create { settings }| settings);
    settings::check(plugin, manifest, &given)
}
