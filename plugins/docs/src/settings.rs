//! The plugin's `settings` table: its shape and its checks.
//!
//! Looks at no file: whether a folder is there is a matter of the moment, and never one of a start.

mod units;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tantivy::tokenizer;
use toolgate_plugin::{JsonObject, ProviderError, schema_of};

use self::units::Bounded;
pub(crate) use self::units::{Size, Span};
use crate::{folders::Folder, text::Kind};

/// Settings of the documents plugin.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// What is searched: folders, and single files. Each is a path, or a table with more.
    folders: Vec<FolderSettings>,
    /// The language whose endings of words make no difference, so that "connected" finds "connections"; "none" takes words as they are written.
    pub(crate) language: Language,
    /// How long a call waits for the first look at the folders, before it answers from what has been read so far.
    pub(crate) wait: Span,
    /// How often the folders are looked through, beside following their changes.
    pub(crate) rescan: Span,
    /// Bounds.
    pub(crate) limits: Limits,
}

/// A folder, or a single file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
pub(crate) struct FolderSettings {
    /// Where it is. Relative to the folder of the configuration file.
    pub(crate) path: String,
    /// What it is called in results and filters. Default: the last part of its path.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Only files whose paths within the folder match one of these globs, or that are below one that does. Default: all.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(crate) include: Vec<String>,
    /// No files whose paths within the folder match one of these globs, or that are below one that does.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(crate) exclude: Vec<String>,
    /// Only these kinds of documents. Default: all.
    #[serde(default)]
    pub(crate) types: Vec<Kind>,
    /// Where people find a document, with `{path}` for its path within the folder and, if wanted, `{line}`. Default: none, and results are cited as docs://folder/path#L12.
    #[serde(default)]
    #[schemars(extend("examples" = ["https://github.com/acme/handbook/blob/main/{path}#L{line}"]))]
    pub(crate) url: Option<String>,
}

/// Bounds.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Largest file that is read.
    pub(crate) file: Size,
    /// Most documents, over all folders.
    #[schemars(range(min = 1, max = 2_000_000))]
    pub(crate) files: u32,
    /// How much memory the index is written with, beside what reading it takes.
    pub(crate) memory: Size,
    /// Longest snippet of a result.
    pub(crate) snippet: Size,
    /// Most text of a document in one answer.
    pub(crate) text: Size,
}

/// A language of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    // Words are taken as they are written.
    None,
    Arabic,
    Danish,
    Dutch,
    #[default]
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            language: Language::default(),
            wait: Span::seconds(5),
            rescan: Span::seconds(600),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { file: Size(1 << 20), files: 200_000, memory: Size(32 << 20), snippet: Size(300), text: Size(32 << 10) }
    }
}

// === impl Settings ===

impl Settings {
    /// Read and check a `settings` table; null is an empty one. Relative paths start at `base`; what is in `own` is the
    /// plugin's, and no document.
    pub(crate) fn read(value: Value, base: &Path, own: &Path) -> Result<(Self, Vec<Folder>), ProviderError> {
        let value = with_tables(if value.is_null() { json!({}) } else { value })?;
        conforms(&value)?;
        let settings: Self = serde_json::from_value(value).map_err(|e| ProviderError::settings("", e.to_string()))?;
        settings.wait.within("wait", Span::seconds(0), Span::seconds(60))?;
        settings.rescan.within("rescan", Span::seconds(1), Span::seconds(24 * 60 * 60))?;
        let limits = &settings.limits;
        limits.file.within("limits.file", Size(1 << 10), Size(64 << 20))?;
        limits.memory.within("limits.memory", Size(16 << 20), Size(1 << 30))?;
        limits.snippet.within("limits.snippet", Size(80), Size(4 << 10))?;
        limits.text.within("limits.text", Size(4 << 10), Size(1 << 20))?;
        if settings.folders.is_empty() {
            let message = "there is nothing to search; write folders = [\"README.md\", \"docs\"] or what you have";
            return Err(ProviderError::settings("folders", message));
        }
        let mut folders: Vec<Folder> = Vec::with_capacity(settings.folders.len());
        for (index, given) in settings.folders.iter().enumerate() {
            let folder = Folder::new(given, base, own)
                .map_err(|wrong| ProviderError::settings(format!("folders.{index}{}", wrong.key), wrong.message))?;
            if folders.iter().any(|other| other.name() == folder.name()) {
                let message = format!("\"{}\" names two folders; give each a name of its own", folder.name());
                return Err(ProviderError::settings(format!("folders.{index}.name"), message));
            }
            folders.push(folder);
        }
        Ok((settings, folders))
    }
}

/// The JSON Schema (2020-12) of the `settings` table.
pub(crate) fn schema() -> JsonObject {
    let mut schema = schema_of::<Settings>();
    if let Some(items) = schema.get_mut("properties").and_then(|all| all.pointer_mut_at("folders", "items")) {
        let table = items.take();
        *items = json!({ "anyOf": [{ "type": "string", "description": "Its path." }, table] });
    }
    schema
}

trait PointerAt {
    fn pointer_mut_at(&mut self, key: &str, member: &str) -> Option<&mut Value>;
}

impl PointerAt for Value {
    fn pointer_mut_at(&mut self, key: &str, member: &str) -> Option<&mut Value> {
        self.get_mut(key)?.get_mut(member)
    }
}

/// The same with a table for each folder that is only a path, so that the schema's verdict is about one form.
fn with_tables(mut value: Value) -> Result<Value, ProviderError> {
    if let Some(folders) = value.get_mut("folders").and_then(Value::as_array_mut) {
        for (index, folder) in folders.iter_mut().enumerate() {
            match folder {
                Value::String(path) => {
                    let path = Value::String(std::mem::take(path));
                    *folder = Value::Object(Map::from_iter([("path".to_owned(), path)]));
                }
                Value::Object(_) => {}
                _ => {
                    let message = "is neither a path nor a table; write \"docs\" or { path = \"docs\" }";
                    return Err(ProviderError::settings(format!("folders.{index}"), message));
                }
            }
        }
    }
    Ok(value)
}

/// The schema's verdict.
fn conforms(value: &Value) -> Result<(), ProviderError> {
    let schema = Value::Object(schema_of::<Settings>());
    let validator = jsonschema::validator_for(&schema).map_err(|e| ProviderError::settings("", e.to_string()))?;
    let Err(error) = validator.validate(value) else { return Ok(()) };
    let mut path = error.instance_path().to_string().trim_start_matches('/').replace('/', ".");
    let message = match error.kind() {
        jsonschema::error::ValidationErrorKind::AdditionalProperties { unexpected } => {
            let unknown = unexpected.first().map_or("", String::as_str);
            path = if path.is_empty() { unknown.to_owned() } else { format!("{path}.{unknown}") };
            format!("unknown setting \"{unknown}\"; remove it or correct its name")
        }
        jsonschema::error::ValidationErrorKind::Enum { options } => {
            let known = options.as_array().into_iter().flatten().map(Value::to_string).collect::<Vec<_>>();
            format!("{} is not known here; write one of {}", error.instance(), known.join(", "))
        }
        _ => error.to_string(),
    };
    Err(ProviderError::settings(path, message))
}

impl Language {
    /// Its stemmer.
    pub(crate) fn stemmer(self) -> Option<tokenizer::Language> {
        use tokenizer::Language as Known;
        Some(match self {
            Self::None => return None,
            Self::Arabic => Known::Arabic,
            Self::Danish => Known::Danish,
            Self::Dutch => Known::Dutch,
            Self::English => Known::English,
            Self::Finnish => Known::Finnish,
            Self::French => Known::French,
            Self::German => Known::German,
            Self::Greek => Known::Greek,
            Self::Hungarian => Known::Hungarian,
            Self::Italian => Known::Italian,
            Self::Norwegian => Known::Norwegian,
            Self::Portuguese => Known::Portuguese,
            Self::Romanian => Known::Romanian,
            Self::Russian => Known::Russian,
            Self::Spanish => Known::Spanish,
            Self::Swedish => Known::Swedish,
            Self::Tamil => Known::Tamil,
            Self::Turkish => Known::Turkish,
        })
    }
}

#[cfg(test)]
mod tests;
