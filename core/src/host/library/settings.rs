//! A plugin's settings against the schema in its manifest, before the plugin sees them.
//!
//! Owns the words for a setting that does not fit. Values are never told: they may be secrets.

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

use super::manifest::{Manifest, compile};
use crate::{config::nearest, host::LoadError};

/// Check `settings`, those of `[plugins.<plugin>.settings]`.
///
/// # Errors
/// The first setting that does not fit, with its path in the configuration.
pub(super) fn check(plugin: &str, manifest: &Manifest, settings: &Value) -> Result<(), LoadError> {
    let Some(schema) = &manifest.settings_schema else { return Ok(()) };
    let validator = compile(schema).map_err(|message| wrong(plugin, "", message, String::new()))?;
    let worst = validator.iter_errors(settings).min_by_key(urgency);
    worst.map_or(Ok(()), |error| Err(told(plugin, schema, settings, innermost(&error))))
}

/// A wrong setting at a JSON Pointer.
fn wrong(plugin: &str, pointer: &str, message: String, help: String) -> LoadError {
    let base = ["plugins", plugin, "settings"].map(str::to_owned);
    let within = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    LoadError { path: base.into_iter().chain(within).collect(), message, help }
}

/// A setting that the plugin itself refused; `path` is in dotted form.
pub(super) fn refused(plugin: &str, path: &str, message: &str) -> LoadError {
    let pointer: String = path.split('.').filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect();
    let (message, help) = message.split_once("; ").unwrap_or((message, ""));
    wrong(plugin, &pointer, message.to_owned(), help.to_owned())
}

/// Where a choice does not fit, the error of the option that came furthest says more than "none of them".
fn innermost<'e, 'v>(error: &'e ValidationError<'v>) -> &'e ValidationError<'v>
where
    'static: 'v,
{
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return error;
    };
    let depth = |error: &ValidationError<'_>| error.instance_path().segments().count();
    // An option of another type was not meant at all.
    let meant = |error: &ValidationError<'_>| !matches!(error.kind(), ValidationErrorKind::Type { .. });
    let furthest =
        context.iter().flatten().max_by_key(|inner| (depth(inner), meant(inner), std::cmp::Reverse(urgency(inner))));
    match furthest {
        Some(inner) if depth(inner) > depth(error) || meant(inner) => innermost(inner),
        _ => error,
    }
}

/// A mistyped key leaves the right one missing: the typing error is what to mend.
fn urgency(error: &ValidationError<'_>) -> u8 {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::UnevaluatedProperties { .. } => 0,
        ValidationErrorKind::Required { .. } => 2,
        _ => 1,
    }
}

fn told(plugin: &str, schema: &Value, settings: &Value, error: &ValidationError<'_>) -> LoadError {
    let place = error.instance_path().to_string();
    let (message, help) = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let key = unexpected.first().map_or("", String::as_str);
            let keys = keys(schema, error.schema_path().as_str());
            let help = match nearest(key, keys.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known here: {}", keys.join(", ")),
            };
            return wrong(plugin, &join(&place, key), format!("unknown setting {key:?}"), help);
        }
        // Where no key is known, the validator does not say which it found.
        ValidationErrorKind::FalseSchema if error.schema_path().as_str().ends_with("/additionalProperties") => {
            let table = settings.pointer(&place).and_then(Value::as_object);
            let key = table.and_then(|table| table.keys().next()).map_or("", String::as_str);
            let help = "remove it; the plugin has no settings here".into();
            return wrong(plugin, &join(&place, key), format!("unknown setting {key:?}"), help);
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let example = example(schema, error.schema_path().as_str(), key);
            let header: String = place.split('/').skip(1).map(|part| format!(".{part}")).collect();
            let help = format!("add a line {key} = {example} below [plugins.{plugin}.settings{header}]");
            return wrong(plugin, &join(&place, key), "this setting is missing".into(), help);
        }
        ValidationErrorKind::Enum { options } => {
            let found = error.instance().as_str();
            let words = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let near = found.and_then(|found| nearest(found, words.iter().filter_map(Value::as_str)));
            let list = words.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
            let help = match near {
                Some(near) => format!("did you mean \"{near}\"? (one of: {list})"),
                None => format!("write one of: {list}"),
            };
            ("the value is not known here".to_owned(), help)
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(kind) => named(kind.as_str()).to_owned(),
                TypeKind::Multiple(kinds) => {
                    kinds.iter().map(|kind| named(kind.as_str())).collect::<Vec<_>>().join(" or ")
                }
            };
            let found = match &**error.instance() {
                Value::Null => "null",
                Value::Bool(_) => "true or false",
                Value::Number(_) => "a number",
                Value::String(_) => "text",
                Value::Array(_) => "a list",
                Value::Object(_) => "a table",
            };
            let help = if expected == "text" { "write it in quotes" } else { "" };
            (format!("expected {expected}, found {found}"), help.to_owned())
        }
        _ => (error.masked_with("the value").to_string(), String::new()),
    };
    wrong(plugin, &place, message, help)
}

/// JSON's types in the words of a TOML file.
fn named(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

/// A JSON Pointer with one step more.
fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The properties beside the keyword at `keyword`, a JSON Pointer into the schema.
fn properties<'s>(schema: &'s Value, keyword: &str) -> Option<&'s serde_json::Map<String, Value>> {
    let (parent, _) = keyword.rsplit_once('/')?;
    schema.pointer(parent)?.get("properties")?.as_object()
}

fn keys<'s>(schema: &'s Value, keyword: &str) -> Vec<&'s str> {
    properties(schema, keyword).map(|found| found.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// What one could write for a missing setting.
fn example(schema: &Value, keyword: &str, key: &str) -> String {
    let Some(property) = properties(schema, keyword).and_then(|found| found.get(key)) else { return "…".into() };
    let given = property.get("examples").and_then(|examples| examples.get(0)).or_else(|| property.get("default"));
    match (given, property.get("type").and_then(Value::as_str)) {
        (Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))), _) => value.to_string(),
        (_, Some("string")) => "\"…\"".into(),
        (_, Some("integer" | "number")) => "1".into(),
        (_, Some("boolean")) => "true".into(),
        (_, Some("array")) => "[…]".into(),
        (_, Some("object")) => "{ … }".into(),
        _ => "…".into(),
    }
}
