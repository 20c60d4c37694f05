//! Values against the shape: unknown keys, missing keys, wrong types, texts that are not what their key holds.
//!
//! Owns those findings, and makes texts that came from variables or references into the numbers and flags that
//! the shape asks for. What values mean together is `rules`' part.

use std::net::SocketAddr;

use serde_json::{Map, Value};
use url::Url;

use super::{
    diagnostic::{Diagnostic, suggestion},
    shape::{Format, Kind, Required, Shape},
    source::{Source, presentable, quoted_key},
    units::{Duration, Rate, Scope, Size},
};

/// Walks values and shape side by side.
pub(super) struct Checker<'a> {
    pub(super) source: &'a Source,
    pub(super) findings: Vec<Diagnostic>,
    /// Places of numbers, durations, sizes and rates that have a finding.
    pub(super) unreadable: Vec<Vec<String>>,
    /// Places that already have a finding, or that nobody reads.
    pub(super) skip: &'a [Vec<String>],
}

impl Checker<'_> {
    /// Only the names of keys, for sections that are not read.
    pub(super) fn names(&mut self, value: &Value, shape: &Shape, path: &mut Vec<String>) {
        let Value::Object(members) = value else { return };
        for (key, member) in members {
            path.push(key.clone());
            match &shape.kind {
                Kind::Table { keys, .. } => match keys.iter().find(|(known, _)| known == key) {
                    Some((_, shape)) => self.names(member, shape, path),
                    None => self.unknown_key(key, keys, path),
                },
                Kind::Map { entry, .. } => self.names(member, entry, path),
                _ => {}
            }
            path.pop();
        }
    }

    /// Everything about a value; what came as text is made into its type.
    pub(super) fn values(&mut self, value: &mut Value, shape: &Shape, path: &mut Vec<String>) {
        if self.skip.iter().any(|skipped| skipped == path) {
            return;
        }
        match &shape.kind {
            Kind::Table { keys, required } => match value {
                Value::Object(members) => self.table(members, keys, required, path),
                value => self.wrong_type(value, "a section", section_help(path), true, path),
            },
            Kind::Map { entry, scopes } => match value {
                Value::Object(members) => {
                    for (key, member) in members {
                        path.push(key.clone());
                        match key.parse::<Scope>() {
                            Err(wrong) if *scopes => {
                                let finding =
                                    self.source.key_error(&refs(path), wrong_text(key, wrong.problem), wrong.remedy);
                                self.findings.push(finding);
                            }
                            _ => self.values(member, entry, path),
                        }
                        path.pop();
                    }
                }
                value => self.wrong_type(value, "a section", section_help(path), true, path),
            },
            Kind::List(element) => {
                if let Some(text) = self.came_as_text(value, path) {
                    *value = super::variables::elements(text);
                }
                self.list(value, element, shape, path);
            }
            Kind::Text(format) => match value {
                Value::String(text) => self.text(text, *format, shape, path),
                value => {
                    let help = text_help(value, *format, shape);
                    self.wrong_type(value, "text", help, *format == Format::Secret, path);
                }
            },
            Kind::Choice(choices) => self.choice(value, choices, path),
            Kind::Integer { minimum } => self.integer(value, *minimum, shape, path),
            Kind::Flag => self.flag(value, path),
            Kind::Anything => {}
        }
    }

    fn table(
        &mut self,
        members: &mut Map<String, Value>,
        keys: &[(String, Shape)],
        required: &Required,
        path: &mut Vec<String>,
    ) {
        members.retain(|key, member| {
            let optional = keys.iter().any(|(known, shape)| known == key && shape.optional);
            !(optional && member.as_str() == Some(""))
        });
        for (key, member) in members.iter_mut() {
            path.push(key.clone());
            match keys.iter().find(|(known, _)| known == key) {
                Some((_, shape)) => self.values(member, shape, path),
                None => self.unknown_key(key, keys, path),
            }
            path.pop();
        }
        for key in required.all.iter().filter(|key| !members.contains_key(*key)) {
            path.push(key.clone());
            let help = format!("add a line such as {}", line(key, keys));
            self.findings.push(self.source.error(&refs(path), None, "this key is missing", help));
            path.pop();
        }
        self.alternatives(members, keys, &required.one, path);
    }

    /// Exactly one of some keys.
    fn alternatives(
        &mut self,
        members: &Map<String, Value>,
        keys: &[(String, Shape)],
        one: &[String],
        path: &mut Vec<String>,
    ) {
        let mut given = one.iter().filter(|key| members.contains_key(*key));
        match (given.next(), given.next()) {
            (None, _) if !one.is_empty() => {
                let message = format!("one of the keys {} is missing", one.join(" and "));
                let lines: Vec<String> = one.iter().map(|key| line(key, keys)).collect();
                let help = format!("add a line such as {}", lines.join(", or "));
                self.findings.push(self.source.error(&refs(path), None, message, help));
            }
            (Some(first), Some(second)) => {
                path.push(second.clone());
                let message = format!("the keys {first} and {second} exclude each other");
                self.findings.push(self.source.error(&refs(path), None, message, "keep the one that is meant"));
                path.pop();
            }
            _ => {}
        }
    }

    fn list(&mut self, value: &mut Value, element: &Shape, shape: &Shape, path: &mut Vec<String>) {
        match value {
            Value::Array(elements) => {
                for (index, value) in elements.iter_mut().enumerate() {
                    path.push(index.to_string());
                    self.values(value, element, path);
                    path.pop();
                }
            }
            Value::String(text) => {
                let help = format!("write [{:?}]", presentable(text));
                self.wrong_type(value, "a list", help, false, path);
            }
            value => {
                let help =
                    shape.example.as_ref().map_or("write [\"…\"]".into(), |example| format!("write {example}"));
                self.wrong_type(value, "a list", help, false, path);
            }
        }
    }

    fn unknown_key(&mut self, key: &str, keys: &[(String, Shape)], path: &[String]) {
        let known: Vec<&str> = keys.iter().map(|(known, _)| known.as_str()).collect();
        let mut help = suggestion(key, &known);
        let parents = &path[..path.len().saturating_sub(1)];
        if known.contains(&"settings") && !help.starts_with("did you mean") {
            help = format!("{help}; the plugin's own settings go below [{}.settings]", header(parents));
        }
        self.findings.push(self.source.key_error(&refs(path), format!("unknown key {:?}", key), help));
    }

    fn text(&mut self, text: &str, format: Format, shape: &Shape, path: &[String]) {
        if self.source.is_no_text(path) {
            let message = "expected text, found a date or a number";
            self.findings.push(self.source.error(&refs(path), None, message, "write it in quotes"));
            return;
        }
        let wrong = match format {
            Format::Plain | Format::Secret => None,
            Format::Duration => text.parse::<Duration>().err().map(|wrong| (wrong.problem, wrong.remedy.to_owned())),
            Format::Size => text.parse::<Size>().err().map(|wrong| (wrong.problem, wrong.remedy.to_owned())),
            Format::Rate => text.parse::<Rate>().err().map(|wrong| (wrong.problem, wrong.remedy.to_owned())),
            Format::Scope => text.parse::<Scope>().err().map(|wrong| (wrong.problem, wrong.remedy.to_owned())),
            Format::Address => text.parse::<SocketAddr>().err().map(|_| {
                ("is not an IP address with a port", "write them as \"127.0.0.1:10000\" or \"[::1]:10000\"".to_owned())
            }),
            Format::Url => Url::parse(text).err().map(|_| {
                let example = shape.example.as_deref().unwrap_or("\"https://auth.example.com/introspect\"");
                ("is not a URL", format!("write a whole one, such as {example}"))
            }),
        };
        if let Some((problem, remedy)) = wrong {
            if matches!(format, Format::Duration | Format::Size | Format::Rate) {
                self.unreadable.push(path.to_vec());
            }
            self.findings.push(self.source.error(&refs(path), Some(text.to_owned()), problem, remedy));
        }
    }

    fn choice(&mut self, value: &Value, choices: &[String], path: &[String]) {
        let known: Vec<&str> = choices.iter().map(String::as_str).collect();
        match value {
            Value::String(text) if known.contains(&text.as_str()) => {}
            Value::String(text) => {
                let help = match super::diagnostic::nearest(text, known.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"? (one of: {})", known.join(", ")),
                    None => format!("write one of: {}", known.join(", ")),
                };
                self.findings.push(self.source.error(&refs(path), Some(text.clone()), "is not known here", help));
            }
            value => self.wrong_type(value, "text", format!("write one of: {}", quoted_list(&known)), false, path),
        }
    }

    fn integer(&mut self, value: &mut Value, minimum: i64, shape: &Shape, path: &[String]) {
        if let Some(number) = self.came_as_text(value, path).and_then(|text| text.trim().parse::<i64>().ok()) {
            *value = Value::from(number);
        }
        match value.as_i64() {
            Some(number) if number >= minimum => {}
            Some(number) => {
                self.unreadable.push(path.to_vec());
                let found = Some(number.to_string());
                let help = format!("write {minimum} or more");
                self.findings.push(self.source.error(&refs(path), found, "is too small", help));
            }
            None => {
                self.unreadable.push(path.to_vec());
                let example = shape.example.as_deref().unwrap_or("1");
                self.wrong_type(value, "a whole number", format!("write one, such as {example}"), false, path);
            }
        }
    }

    fn flag(&mut self, value: &mut Value, path: &[String]) {
        if let Some(flag) = self.came_as_text(value, path).and_then(flag) {
            *value = Value::Bool(flag);
        }
        if !value.is_boolean() {
            self.wrong_type(value, "true or false", "write it without quotes".into(), false, path);
        }
    }

    /// The text of a value that could come in no other type: from a variable, or through a reference.
    fn came_as_text<'v>(&self, value: &'v Value, path: &[String]) -> Option<&'v str> {
        let text = value.as_str()?;
        (self.source.variable(path).is_some() || self.source.reference(path).is_some()).then_some(text)
    }

    fn wrong_type(&mut self, value: &Value, expected: &str, help: String, secret: bool, path: &[String]) {
        let found = match (value, self.source.reference(path)) {
            (_, Some(reference)) => format!("\"{reference}\", which is something else"),
            (Value::Null, _) => "null".into(),
            (Value::Bool(_), _) if secret => "true or false".into(),
            (Value::Number(_), _) if secret => "a number".into(),
            (Value::String(_), _) if secret => "text".into(),
            (Value::Bool(flag), _) => flag.to_string(),
            (Value::Number(number), _) => format!("the number {number}"),
            (Value::String(text), _) => format!("the text {:?}", presentable(text)),
            (Value::Array(_), _) => "a list".into(),
            (Value::Object(_), _) => "a table".into(),
        };
        let message = format!("expected {expected}, found {found}");
        self.findings.push(self.source.error(&refs(path), None, message, help));
    }
}

/// A flag as a variable writes it.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// What to write where text belongs and something else stands.
fn text_help(value: &Value, format: Format, shape: &Shape) -> String {
    match (value, format) {
        (Value::Number(number), Format::Plain) => format!("write it in quotes: \"{number}\""),
        (Value::Number(number), Format::Duration) => format!("write it with its unit: \"{number}s\""),
        (Value::Number(number), Format::Size) => format!("write it with its unit: \"{number} B\""),
        _ => shape.example.as_ref().map_or("write text in quotes".into(), |example| format!("write {example}")),
    }
}

/// A line to add for a key.
fn line(key: &str, keys: &[(String, Shape)]) -> String {
    let shape = keys.iter().find(|(known, _)| known == key).map(|(_, shape)| shape);
    match shape.map(|shape| (&shape.kind, &shape.example)) {
        Some((Kind::Choice(choices), _)) => {
            let first = choices.first().map_or("", String::as_str);
            format!("{key} = \"{first}\" (one of: {})", choices.join(", "))
        }
        Some((_, Some(example))) => format!("{key} = {example}"),
        _ => format!("{key} = …"),
    }
}

fn refs(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn wrong_text(text: &str, problem: &str) -> String {
    format!("\"{text}\" {problem}")
}

fn quoted_list(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

fn section_help(path: &[String]) -> String {
    format!("write it as a section, [{}], with keys of its own", header(path))
}

/// A path as a section's header has it.
fn header(path: &[String]) -> String {
    path.iter().map(|segment| quoted_key(segment)).collect::<Vec<_>>().join(".")
}
