//! A JSON Schema of an object as rows for people: each member with its type, whether it must be there, what it
//! defaults to, and what it means.
//!
//! Shows what can be read at a glance; the whole schema is what `--json` is for.

use std::collections::HashSet;

use serde_json::Value;

/// How deep objects in objects are followed; a schema may name itself.
const DEPTH: usize = 4;

/// Most rows: a schema that names itself in each of its members has no end of them.
const MOST_ROWS: usize = 1000;

/// Most choices that are told of one member.
const MOST_CHOICES: usize = 8;

/// One member.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its name, with those of the objects around it: `proxy.url`.
    pub(super) name: String,
    /// Its type.
    pub(super) kind: String,
    /// `required`, or its default.
    pub(super) default: String,
    /// What it means.
    pub(super) description: String,
}

/// The members of an object schema, in its order.
pub(super) fn rows(schema: &Value) -> Vec<Row> {
    let mut found = Vec::new();
    members(schema, schema, "", true, DEPTH, &mut found);
    found
}

/// The members at the top that must be there, each with its JSON type.
pub(super) fn required(schema: &Value) -> Vec<(String, Value)> {
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), meant(schema, &schema["properties"][name])["type"].clone())).collect()
}

fn members(root: &Value, object: &Value, within: &str, needed: bool, depth: usize, found: &mut Vec<Row>) {
    let required: HashSet<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, member) in object["properties"].as_object().into_iter().flatten() {
        if found.len() >= MOST_ROWS {
            return;
        }
        let schema = meant(root, member);
        let needed = needed && required.contains(name.as_str());
        let default = match member.get("default").or_else(|| schema.get("default")) {
            _ if needed => "required".to_owned(),
            None | Some(Value::Null) => "-".to_owned(),
            Some(value) => value.to_string(),
        };
        let description = [member, schema].into_iter().find_map(|schema| schema["description"].as_str());
        let full = format!("{within}{name}");
        found.push(Row {
            kind: kind(root, member, DEPTH),
            default,
            description: description.unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
            name: full.clone(),
        });
        if depth > 0 {
            members(root, schema, &format!("{full}."), needed, depth - 1, found);
        }
    }
}

/// What a schema means: what its `$ref` points at, and of a choice with `null` the other one.
fn meant<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH {
        let pointed = schema["$ref"].as_str().and_then(|reference| root.pointer(reference.strip_prefix('#')?));
        let chosen = || {
            let mut choices = choices(schema)?.iter().filter(|choice| choice["type"] != "null");
            choices.next().filter(|_| choices.next().is_none())
        };
        match pointed.or_else(chosen) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

fn choices(schema: &Value) -> Option<&Vec<Value>> {
    schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array())
}

/// The type in a few words.
fn kind(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = meant(root, schema);
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(choices) = choices(schema).filter(|_| depth > 0) {
        let mut choices = choices.iter().filter(|choice| choice["type"] != "null");
        let told = choices.by_ref().take(MOST_CHOICES).map(|choice| kind(root, choice, depth - 1));
        let mut kinds: Vec<String> = told.collect();
        kinds.extend(choices.next().map(|_| "…".to_owned()));
        return kinds.join(" | ");
    }
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => vec!["any"],
    };
    let items = || (depth > 0 && schema.get("items").is_some()).then(|| kind(root, &schema["items"], depth - 1));
    let names = names.into_iter().map(|name| match name {
        "array" => items().map_or_else(|| name.to_owned(), |items| format!("array of {items}")),
        name => name.to_owned(),
    });
    names.collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_a_row_a_member() {
        let schema = json!({
            "type": "object",
            "required": ["key", "mode"],
            "$defs": {
                "Mode": { "type": "string", "enum": ["fast", "slow"] },
                "Proxy": { "type": "object", "required": ["url"], "properties": {
                    "url": { "type": "string", "description": "Where it is." },
                    "next": { "$ref": "#/$defs/Proxy" },
                } },
            },
            "properties": {
                "key": { "type": "string", "description": "The key.\n\nAnd more of it." },
                "mode": { "description": "How.", "$ref": "#/$defs/Mode" },
                "hosts": { "type": ["array", "null"], "items": { "type": "string" }, "default": ["a"] },
                "proxy": { "anyOf": [{ "$ref": "#/$defs/Proxy" }, { "type": "null" }] },
            },
        });
        let rows = rows(&schema);
        let told = |row: &Row| format!("{} {} {} {}", row.name, row.kind, row.default, row.description);
        assert_eq!(
            rows[..5].iter().map(told).collect::<Vec<_>>(),
            [
                "key string required The key.",
                "mode \"fast\" | \"slow\" required How.",
                "hosts array of string [\"a\"] ",
                "proxy object - ",
                "proxy.url string - Where it is.",
            ]
        );
        assert!(rows.len() < 16, "a schema that names itself ends: {rows:?}");
        let needed: Vec<String> = required(&schema).into_iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        assert_eq!(needed, ["key: \"string\"", "mode: \"string\""]);
    }

    #[test]
    fn a_schema_without_end_is_told_in_part() {
        let itself = json!({ "$ref": "#" });
        let properties: serde_json::Map<String, Value> = (0..200).map(|n| (format!("p{n}"), itself.clone())).collect();
        assert_eq!(rows(&json!({ "properties": properties })).len(), MOST_ROWS);
        let choice = json!({ "$ref": "#/$defs/C" });
        let schema = json!({ "properties": { "c": choice }, "$defs": { "C": { "anyOf": vec![choice.clone(); 200] } } });
        assert!(rows(&schema)[0].kind.ends_with("…"));
    }

    #[test]
    fn what_is_no_schema_has_no_rows() {
        for odd in [json!(null), json!(true), json!({ "properties": 3 }), json!({ "required": "x" })] {
            assert_eq!(rows(&odd), [], "{odd}");
            assert_eq!(required(&odd), [], "{odd}");
        }
    }
}
