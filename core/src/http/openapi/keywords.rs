//! Which keywords of JSON Schema hold schemas, and the way down through them: everything else in a schema is a value,
//! whatever it looks like. Must not know why someone walks.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// What a keyword holds.
pub(super) enum Shape {
    Plain,
    Schema,
    List,
    Table,
}

/// JSON Schema 2020-12, core section 10 and validation section 8; with `definitions`, `dependencies`,
/// `additionalItems` and lists in `items` of the drafts before.
pub(super) fn shape(keyword: &str) -> Shape {
    match keyword {
        "additionalItems"
        | "additionalProperties"
        | "contains"
        | "contentSchema"
        | "else"
        | "if"
        | "items"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Shape::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Shape::List,
        "$defs" | "definitions" | "dependencies" | "dependentSchemas" | "patternProperties" | "properties" => {
            Shape::Table
        }
        _ => Shape::Plain,
    }
}

/// The schemas directly under a keyword, each with its path from there.
pub(super) fn children<'a>(keyword: &'a str, value: &'a Value) -> Vec<(Vec<String>, &'a Value)> {
    let key = || keyword.to_owned();
    match (shape(keyword), value) {
        (Shape::Schema, Value::Object(_) | Value::Bool(_)) => vec![(vec![key()], value)],
        (Shape::Schema | Shape::List, Value::Array(items)) => {
            items.iter().enumerate().map(|(index, item)| (vec![key(), index.to_string()], item)).collect()
        }
        (Shape::Table, Value::Object(table)) => {
            table.iter().map(|(name, schema)| (vec![key(), name.clone()], schema)).collect()
        }
        _ => Vec::new(),
    }
}

/// Calls `visit` with `schema` and every schema below it.
pub(super) fn each_schema(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Some(object) = schema.as_object_mut() else { return };
    visit(object);
    for (keyword, value) in object.iter_mut() {
        match (shape(keyword), value) {
            (Shape::Schema, value @ Value::Object(_)) => each_schema(value, visit),
            (Shape::Schema | Shape::List, Value::Array(items)) => {
                items.iter_mut().for_each(|item| each_schema(item, visit));
            }
            (Shape::Table, Value::Object(table)) => table.values_mut().for_each(|schema| each_schema(schema, visit)),
            _ => {}
        }
    }
}

/// A JSON pointer (RFC 6901), in tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pointer(pub(super) Vec<String>);

impl Pointer {
    /// A fragment without its `#`, still percent-encoded; nothing if it is no pointer.
    pub(super) fn parse(fragment: &str) -> Option<Self> {
        let decoded = percent_decode_str(fragment).decode_utf8().ok()?;
        if decoded.is_empty() {
            return Some(Self::default());
        }
        let tokens = decoded.strip_prefix('/')?.split('/');
        Some(Self(tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect()))
    }

    pub(super) fn then(&self, token: &str) -> Self {
        let mut tokens = self.0.clone();
        tokens.push(token.to_owned());
        Self(tokens)
    }

    pub(super) fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// Whether this leads from the root of a schema to a schema, through nothing but keywords that hold schemas.
    pub(super) fn names_schema(&self, root: &Value) -> bool {
        let mut here = Some(root);
        let mut tokens = self.0.iter();
        while let (Some(value), Some(keyword)) = (here, tokens.next()) {
            let held = step(value, keyword);
            here = match (shape(keyword), held) {
                (Shape::Schema, Some(Value::Object(_) | Value::Bool(_))) => held,
                (Shape::Schema | Shape::List | Shape::Table, Some(held)) => {
                    tokens.next().and_then(|token| step(held, token))
                }
                _ => None,
            };
        }
        here.is_some_and(|schema| schema.is_object() || schema.is_boolean())
    }
}

pub(super) fn step<'a>(value: &'a Value, token: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) => object.get(token),
        Value::Array(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    }
}
