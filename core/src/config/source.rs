//! Where each value came from: the configuration file's text and spans, the environment variables that
//! overrode it, the references (`${NAME}`) that were replaced.
//!
//! Owns the making of positioned findings, and the promise that a finding shows a reference and never the
//! value behind it. Knows nothing of what is right or wrong.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use toml_edit::{Document, Item, TableLike};

use super::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    shape,
};

/// How many characters of a value a finding shows.
const MOST_SHOWN: usize = 120;

/// The sources of a loaded configuration, kept so that later stages (plugins' settings, the mapping of
/// tools, policy) can point at the line they mean.
#[derive(Clone)]
pub struct Source {
    path: PathBuf,
    text: String,
    document: Document<String>,
    /// The variable that gave a value, by the value's path.
    pub(super) variables: BTreeMap<Vec<String>, String>,
    /// A value as it was written, before its references were replaced, by the value's path.
    pub(super) references: BTreeMap<Vec<String>, String>,
    /// All values that were loaded, those of variables and references included.
    pub(super) loaded: Value,
}

// Text and values may hold secrets that somebody wrote into the file.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    /// Parse the text of a configuration file.
    ///
    /// # Errors
    /// The first place at which it is not TOML.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Diagnostics> {
        let document = Document::parse(text.clone()).map_err(|error| Diagnostics::from(syntax(path, &text, &error)))?;
        let (variables, references) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { path: path.to_owned(), text, document, variables, references, loaded: Value::Null })
    }

    /// The file's text as it was read. It may hold secrets.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The configuration file, as it was named to us.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error about the value at `path` (array elements by their number).
    ///
    /// With `found`, the message reads on after the value: `"x" is not a size`. If the value came through a
    /// reference, the reference is shown in its place; a plugin's own setting is never shown, since it may be a
    /// secret.
    pub fn error(
        &self,
        path: &[&str],
        found: Option<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        self.diagnostic(Severity::Error, path, found, message.into(), help.into())
    }

    /// As [`Source::error`], for what does not keep the server from starting.
    pub fn warning(
        &self,
        path: &[&str],
        found: Option<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        self.diagnostic(Severity::Warning, path, found, message.into(), help.into())
    }

    fn diagnostic(
        &self,
        severity: Severity,
        path: &[&str],
        found: Option<String>,
        message: String,
        help: String,
    ) -> Diagnostic {
        let owned = owned(path);
        let message = match found {
            Some(found) => {
                let shown = match self.reference(&owned) {
                    Some(reference) => format!("\"{reference}\""),
                    None if is_private(path) => "the value".to_owned(),
                    None => format!("\"{}\"", presentable(&found)),
                };
                format!("{shown} {message}")
            }
            None => message,
        };
        let diagnostic = Diagnostic {
            severity,
            variable: self.variable(&owned).map(str::to_owned),
            key: shape::ROOT.dotted(path),
            ..Diagnostic::file_error(&self.path, message, help)
        };
        match self.span(path) {
            Some(span) => diagnostic.at(&self.text, span.start),
            None => diagnostic,
        }
    }

    /// An error about a key as such, not its value: it points at the key.
    pub(super) fn key_error(&self, path: &[&str], message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let diagnostic = self.error(path, None, message, help);
        match self.key_span(path) {
            Some(span) => diagnostic.at(&self.text, span.start),
            None => diagnostic,
        }
    }

    /// An error about a variable that means `path`.
    pub(super) fn variable_error(
        &self,
        variable: &str,
        path: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            variable: Some(variable.to_owned()),
            key: shape::ROOT.dotted(path),
            ..Diagnostic::file_error(&self.path, message, help)
        }
    }

    /// The variable that a value, or the list that it is in, came from.
    pub(super) fn variable(&self, path: &[String]) -> Option<&str> {
        (1..=path.len()).rev().find_map(|length| self.variables.get(&path[..length])).map(String::as_str)
    }

    /// How a value was written, if it held references. Shown in place of the value.
    pub(super) fn reference(&self, path: &[String]) -> Option<&str> {
        self.references.get(path).map(String::as_str)
    }

    /// The file's values as JSON, keys in the file's order.
    pub(super) fn values(&self) -> Value {
        table_to_json(self.document.as_table())
    }

    /// The span of the value at `path`, or of the nearest table around it that the file has.
    fn span(&self, path: &[&str]) -> Option<Range<usize>> {
        let mut item = self.document.as_item();
        let mut span = None;
        for segment in path {
            let Some(next) = child(item, segment) else { break };
            span = match next {
                Child::Item(next) => {
                    let own = next.span().or_else(|| item.as_table_like()?.key(segment)?.span());
                    item = next;
                    own.or(span)
                }
                // No section is an element of an array, so nothing below one needs a place of its own.
                Child::Element(value) => return value.span().or(span),
                Child::Section(table) => return table.span().or(span),
            };
        }
        span
    }

    /// Whether the file has a date, or a number that JSON has not, where the loaded value is text.
    pub(super) fn is_no_text(&self, path: &[String]) -> bool {
        if self.variable(path).is_some() {
            return false;
        }
        let mut item = self.document.as_item();
        for segment in path {
            match child(item, segment) {
                Some(Child::Item(next)) => item = next,
                Some(Child::Element(value)) => return value.is_datetime() || value.is_float(),
                Some(Child::Section(_)) | None => return false,
            }
        }
        item.is_datetime() || item.is_float()
    }

    fn key_span(&self, path: &[&str]) -> Option<Range<usize>> {
        let (last, parents) = path.split_last()?;
        let mut item = self.document.as_item();
        for segment in parents {
            match child(item, segment)? {
                Child::Item(next) => item = next,
                Child::Element(_) | Child::Section(_) => return None,
            }
        }
        item.as_table_like()?.key(last)?.span()
    }
}

enum Child<'a> {
    Item(&'a Item),
    Element(&'a toml_edit::Value),
    Section(&'a toml_edit::Table),
}

fn child<'a>(item: &'a Item, segment: &str) -> Option<Child<'a>> {
    if let Some(table) = item.as_table_like() {
        return table.get(segment).map(Child::Item);
    }
    let index: usize = segment.parse().ok()?;
    if let Some(array) = item.as_array() {
        return array.get(index).map(Child::Element);
    }
    item.as_array_of_tables()?.get(index).map(Child::Section)
}

/// Whether the value at a path may be a secret.
fn is_private(path: &[&str]) -> bool {
    matches!(path, ["plugins", _, "settings", ..]) || path.last() == Some(&"client_secret")
}

/// A value as a finding shows it: without a URL's password, and not at any length.
pub(super) fn presentable(text: &str) -> String {
    let text = without_userinfo(text);
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A key as TOML wants it: bare if it can be.
pub(super) fn quoted_key(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { format!("{key:?}") }
}

pub(super) fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&segment| segment.to_owned()).collect()
}

/// A URL with user and password left out; other text as it is.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://…{}", rest.get(at..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn table_to_json(table: &dyn TableLike) -> Value {
    Value::Object(table.iter().map(|(key, item)| (key.to_owned(), item_to_json(item))).collect::<Map<_, _>>())
}

fn item_to_json(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => value_to_json(value),
        Item::Table(table) => table_to_json(table),
        Item::ArrayOfTables(tables) => Value::Array(tables.iter().map(|table| table_to_json(table)).collect()),
    }
}

/// A TOML value as JSON. Dates, and numbers that JSON has not, become text.
pub(super) fn value_to_json(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => Value::String(text.value().clone()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => serde_json::Number::from_f64(*number.value())
            .map_or_else(|| Value::String(number.value().to_string()), Value::Number),
        Toml::Boolean(flag) => Value::Bool(*flag.value()),
        Toml::Datetime(date) => Value::String(date.value().to_string()),
        Toml::Array(array) => Value::Array(array.iter().map(value_to_json).collect()),
        Toml::InlineTable(table) => table_to_json(table),
    }
}

/// The parser's words, then what usually helps. The line itself is not shown: it may hold a secret.
fn syntax(path: &Path, text: &str, error: &toml_edit::TomlError) -> Diagnostic {
    let parser = error.message().lines().next().unwrap_or_default();
    let at = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    let (message, help) = match parser {
        "duplicate key" => (
            format!("the key \"{at}\" is given twice"),
            "keep one of the two, and put all keys of a section under one header",
        ),
        words if words.starts_with("string values must be quoted") => {
            ("a value is expected here".to_owned(), "write text in quotes, such as key = \"value\"")
        }
        words => (words.to_owned(), syntax_help(words)),
    };
    let diagnostic = Diagnostic::file_error(path, format!("this is not TOML: {message}"), help);
    match error.span() {
        Some(span) => diagnostic.at(text, span.start),
        None => diagnostic,
    }
}

/// What usually helps against a message of the parser.
fn syntax_help(message: &str) -> &'static str {
    let known = [
        ("key with no value", "write key = value, or [section]"),
        ("unclosed table", "close the section's header, such as [server]"),
        ("unclosed array", "close the list with ]"),
        ("missing comma between array", "put a comma between the elements, and ] after the last"),
        ("unclosed inline table", "close the inline table with }"),
        ("invalid basic string", "close the text with a quote on the same line"),
        ("missing escaped value", "write a backslash twice, or the text in single quotes, such as 'C:\\data'"),
        ("unexpected key or value", "write one key = value on a line"),
        ("cannot extend value", "the key above has a value already; give it either a value or keys of its own"),
        ("integer number overflowed", "write a smaller number"),
        ("floating-point number overflowed", "write a smaller number"),
    ];
    let found = known.iter().find(|(start, _)| message.starts_with(start));
    found.map_or("https://toml.io shows how TOML is written", |(_, help)| help)
}
