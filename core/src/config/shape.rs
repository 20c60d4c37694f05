//! The shape of `config.toml`, read off the JSON Schema that the section types derive, so that keys, their
//! types and their examples are declared once.
//!
//! Owns the schema that editors get, and the smaller [`Shape`] that the loader walks.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{sections::Config, source::quoted_key};

/// What a place in the configuration may hold.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// Whether an empty text counts as "not given".
    pub(super) optional: bool,
    /// What one could write here, as TOML.
    pub(super) example: Option<String>,
}

/// The kinds of place.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Text(Format),
    Choice(Vec<String>),
    Integer { minimum: i64 },
    Flag,
    List(Box<Shape>),
    Table { keys: Vec<(String, Shape)>, required: Required },
    Map { entry: Box<Shape>, scopes: bool },
    Anything,
}

/// The keys that a section cannot do without.
#[derive(Debug, Clone, Default)]
pub(super) struct Required {
    pub(super) all: Vec<String>,
    /// Exactly one of these, where there are any.
    pub(super) one: Vec<String>,
}

/// What a text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Secret,
    Url,
    Address,
    Duration,
    Size,
    Rate,
    Scope,
}

/// The shape of the whole file.
pub(super) static ROOT: LazyLock<Shape> = LazyLock::new(|| {
    let schema = Value::from(schemars::schema_for!(Config));
    let definitions = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    Shape::read(&schema, &definitions)
});

impl Required {
    /// Whether any section will do.
    pub(super) fn is_nothing(&self) -> bool {
        self.all.is_empty() && self.one.is_empty()
    }

    /// Whether a section that gives these keys has what it needs.
    pub(super) fn is_met(&self, gives: impl Fn(&str) -> bool) -> bool {
        self.all.iter().all(|key| gives(key)) && (self.one.is_empty() || self.one.iter().any(|key| gives(key)))
    }
}

impl Shape {
    fn read(schema: &Value, definitions: &Map<String, Value>) -> Self {
        let example = example(schema);
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.trim_start_matches("#/$defs/");
            let target = definitions.get(name).unwrap_or(&Value::Null);
            let shape = Self::read(target, definitions);
            return Self { example: example.or(shape.example), ..shape };
        }
        if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            let given = options.iter().find(|option| option.get("type") != Some(&json!("null")));
            let shape = given.map_or(Self::anything(), |option| Self::read(option, definitions));
            return Self { optional: true, example: example.or(shape.example), ..shape };
        }
        if let Some(options) = schema.get("oneOf").and_then(Value::as_array)
            && options.iter().any(|option| option.get("const").is_some())
        {
            let choices = options.iter().filter_map(|option| option.get("const")?.as_str());
            return Self::choice(choices, example);
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return Self::choice(options.iter().filter_map(Value::as_str), example);
        }
        let (name, optional) = match schema.get("type") {
            Some(Value::Array(names)) => (names.first().and_then(Value::as_str), true),
            Some(name) => (name.as_str(), false),
            None => (None, false),
        };
        let kind = match name {
            Some("string") => Kind::Text(format(schema)),
            Some("integer") => {
                Kind::Integer { minimum: schema.get("minimum").and_then(Value::as_i64).unwrap_or(i64::MIN) }
            }
            Some("boolean") => Kind::Flag,
            Some("array") => {
                let items = schema.get("items").unwrap_or(&Value::Null);
                Kind::List(Box::new(Self::read(items, definitions)))
            }
            Some("object") => Self::object(schema, definitions),
            _ => Kind::Anything,
        };
        Self { kind, optional, example }
    }

    /// The shape of a section, by its path.
    pub(super) fn below(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |shape, key| match &shape.kind {
            Kind::Table { keys, .. } => keys.iter().find(|(known, _)| known == key).map(|(_, shape)| shape),
            Kind::Map { entry, .. } => Some(&**entry),
            _ => None,
        })
    }

    /// A path as a person writes it: `scopes."notes:read".implies[0]`.
    pub(super) fn dotted(&self, path: &[&str]) -> String {
        let mut text = String::new();
        let mut shape = Some(self);
        for segment in path {
            let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
            let (index, next) = match shape.map(|shape| &shape.kind) {
                Some(Kind::List(element)) => (true, Some(&**element)),
                Some(Kind::Map { entry, .. }) => (false, Some(&**entry)),
                Some(Kind::Table { keys, .. }) => {
                    (false, keys.iter().find(|(known, _)| known == segment).map(|(_, shape)| shape))
                }
                _ => (digits, None),
            };
            shape = next;
            match index {
                true => text.extend(["[", segment, "]"]),
                false if text.is_empty() => text.push_str(&quoted_key(segment)),
                false => text.extend([".", &quoted_key(segment)]),
            }
        }
        text
    }

    fn object(schema: &Value, definitions: &Map<String, Value>) -> Kind {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let keys = properties.iter().map(|(key, value)| (key.clone(), Self::read(value, definitions))).collect();
            let alternatives = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
            let required = Required { all: required(schema), one: alternatives.flat_map(required).collect() };
            return Kind::Table { keys, required };
        }
        if let Some(patterns) = schema.get("patternProperties").and_then(Value::as_object) {
            let entry = patterns.values().next().map_or(Self::anything(), |value| Self::read(value, definitions));
            return Kind::Map { entry: Box::new(entry), scopes: true };
        }
        let entry = schema.get("additionalProperties").filter(|value| value.is_object());
        let entry = entry.map_or(Self::anything(), |value| Self::read(value, definitions));
        Kind::Map { entry: Box::new(entry), scopes: false }
    }

    fn choice<'a>(choices: impl Iterator<Item = &'a str>, example: Option<String>) -> Self {
        Self { kind: Kind::Choice(choices.map(str::to_owned).collect()), optional: false, example }
    }

    fn anything() -> Self {
        Self { kind: Kind::Anything, optional: false, example: None }
    }
}

/// The keys under `required`.
fn required(schema: &Value) -> Vec<String> {
    let keys = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    keys.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn format(schema: &Value) -> Format {
    match schema.get("format").and_then(Value::as_str) {
        Some("uri") => Format::Url,
        Some("address") => Format::Address,
        Some("duration") => Format::Duration,
        Some("size") => Format::Size,
        Some("rate") => Format::Rate,
        Some("scope") => Format::Scope,
        Some("secret") => Format::Secret,
        _ => Format::Plain,
    }
}

fn example(schema: &Value) -> Option<String> {
    let value = schema.get("examples").and_then(|examples| examples.get(0)).or_else(|| schema.get("default"))?;
    match value {
        Value::Null | Value::Object(_) => None,
        // JSON's texts, numbers, flags and lists of them are TOML's as well.
        value => Some(value.to_string()),
    }
}

/// The JSON Schema of `config.toml`, for editors: what the section types say, with every text also allowed to
/// be a reference such as `${NAME}`.
pub fn config_schema() -> Value {
    let mut schema = Value::from(schemars::schema_for!(Config));
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".into(), json!("config.toml of Toolgate"));
    }
    for_editors(&mut schema);
    schema
}

/// Editors know no `${NAME}`: a pattern or format that refuses one would underline a right file. TOML has no
/// null either.
fn for_editors(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_schema = members.get("type").is_some_and(|name| name.is_string() || name.is_array());
            if is_schema {
                members.shift_remove("format");
                if let Some(Value::String(pattern)) = members.get_mut("pattern") {
                    *pattern = format!(r"{pattern}|\$\{{");
                }
                if let Some(Value::Array(names)) = members.get_mut("type") {
                    names.retain(|name| name != "null");
                    if let [name] = names.as_slice() {
                        let name = name.clone();
                        members.insert("type".into(), name);
                    }
                }
            }
            if members.get("default") == Some(&Value::Null) {
                members.shift_remove("default");
            }
            if let Some(Value::Array(options)) = members.get_mut("anyOf") {
                options.retain(|option| option.get("type") != Some(&json!("null")));
                if let [Value::Object(only)] = options.as_slice() {
                    let only = only.clone();
                    members.shift_remove("anyOf");
                    only.into_iter().for_each(|(key, value)| {
                        members.entry(key).or_insert(value);
                    });
                }
            }
            if let Some(Value::Array(options)) = members.get_mut("oneOf")
                && options.iter().all(|option| option.get("const").is_some())
            {
                options.push(
                    json!({ "description": "A reference, such as `${NAME}`.", "type": "string", "pattern": r"\$\{" }),
                );
                return;
            }
            members.values_mut().for_each(for_editors);
        }
        Value::Array(values) => values.iter_mut().for_each(for_editors),
        _ => {}
    }
}
