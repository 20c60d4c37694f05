//! An example of a tool's arguments, from what its schema says. Must not know where the example is shown.

use jsonschema::PatternOptions;
use serde_json::{Map, Value, json};

/// A schema of more parts than this has no example.
const INTRICATE: usize = 4000;

/// The schema's own example or, without one, the required arguments and those that have examples; nothing if that
/// would not be valid.
///
/// A schema may come from a plugin that nobody trusts, so that the work is bounded: one that is too intricate has no
/// example.
pub(super) fn arguments(schema: &Map<String, Value>) -> Option<Value> {
    let whole = Value::Object(schema.clone());
    if !is_plain(&whole, &whole, &mut { INTRICATE }) {
        return None;
    }
    let example = given(schema).or_else(|| object(schema, &whole, 0))?;
    // No references outside are followed: the validator is built without resolvers. Patterns run in linear time; one
    // that cannot (look-around) makes the build fail.
    let validator =
        jsonschema::draft202012::options().with_pattern_options(PatternOptions::regex()).build(&whole).ok()?;
    validator.is_valid(&example).then_some(example)
}

/// Whether a schema has at most `left` parts, each counted as often as references lead to it: that is how often a
/// validator may look at it. A schema that refers to itself is not plain.
fn is_plain(schema: &Value, whole: &Value, left: &mut usize) -> bool {
    let Some(less) = left.checked_sub(1) else { return false };
    *left = less;
    match schema {
        Value::Object(members) => members.iter().all(|(keyword, member)| match (keyword.as_str(), member) {
            ("$ref" | "$dynamicRef", Value::String(to)) => {
                let target = to.strip_prefix('#').and_then(|pointer| whole.pointer(pointer));
                target.is_none_or(|target| is_plain(target, whole, left))
            }
            // Reached by references alone.
            ("$defs" | "definitions", _) => true,
            _ => is_plain(member, whole, left),
        }),
        Value::Array(elements) => elements.iter().all(|element| is_plain(element, whole, left)),
        _ => true,
    }
}

/// An example that the schema's author wrote.
pub(super) fn given(schema: &Map<String, Value>) -> Option<Value> {
    schema.get("examples").and_then(Value::as_array).and_then(|examples| examples.first()).cloned()
}

fn object(schema: &Map<String, Value>, whole: &Value, depth: usize) -> Option<Value> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut example = Map::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let value = match property.as_object().and_then(given) {
            Some(value) => Some(value),
            None if required.contains(&name.as_str()) => value(property, whole, depth + 1),
            None => None,
        };
        example.extend(value.map(|value| (name.clone(), value)));
    }
    Some(Value::Object(example))
}

fn value(schema: &Value, whole: &Value, depth: usize) -> Option<Value> {
    const DEEPEST: usize = 8;
    let schema = schema.as_object().filter(|_| depth < DEEPEST)?;
    if let Some(value) = given(schema) {
        return Some(value);
    }
    for keyword in ["const", "default"] {
        if let Some(value) = schema.get(keyword) {
            return Some(value.clone());
        }
    }
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return Some(first.clone());
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')) {
        return value(whole.pointer(target)?, whole, depth + 1);
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = schema.get(keyword).and_then(Value::as_array).and_then(|all| all.first()) {
            return value(first, whole, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.iter().find_map(Value::as_str)?,
        _ => return None,
    };
    match kind {
        "string" => Some(json!("text")),
        "integer" | "number" => Some(schema.get("minimum").cloned().unwrap_or(json!(1))),
        "boolean" => Some(json!(false)),
        "null" => Some(Value::Null),
        "array" => Some(Value::Array(
            schema.get("items").and_then(|items| value(items, whole, depth + 1)).into_iter().collect(),
        )),
        "object" => object(schema, whole, depth),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_made_to_take_for_ever_has_no_example() {
        let doubling: Map<String, Value> = (0..40)
            .map(|n| {
                let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
                (format!("d{n}"), json!({ "allOf": [next, next] }))
            })
            .chain([("d40".to_owned(), json!({ "type": "object" }))])
            .collect();
        let names: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
        let broad: Map<String, Value> = names.iter().map(|name| (name.clone(), json!({ "$ref": "#" }))).collect();
        let pattern = "^(?=(a|aa|a)*$)((a|a)+)+\\2b$";
        let many = vec![json!({ "pattern": pattern }); 300];
        let cases = [
            ("doubling references", json!({ "allOf": [{ "$ref": "#/$defs/d0" }], "$defs": doubling })),
            ("broad recursion", json!({ "type": "object", "properties": broad, "required": names })),
            (
                "patterns that backtrack",
                json!({ "properties": { "a": { "anyOf": many, "examples": ["a".repeat(40)] } }, "required": ["a"] }),
            ),
        ];
        for (name, schema) in cases {
            assert_eq!(schema.as_object().and_then(arguments), None, "{name}");
        }
    }

    #[test]
    fn an_example_holds_what_is_required_and_what_has_examples() {
        let cases = [
            (
                "only what is required",
                json!({"properties": {"q": {"type": "string"}, "n": {"type": "integer", "default": 5}}, "required": ["q"]}),
                Some(json!({"q": "text"})),
            ),
            (
                "examples are taken",
                json!({"properties": {"q": {"type": "string", "examples": ["rust"]}, "n": {"examples": [3]}}}),
                Some(json!({"q": "rust", "n": 3})),
            ),
            ("the root's example wins", json!({"examples": [{"a": 1}], "required": ["a"]}), Some(json!({"a": 1}))),
            (
                "default, const, enum",
                json!({"properties": {"a": {"default": 2}, "b": {"const": 3}, "c": {"enum": ["x", "y"]}}, "required": ["a", "b", "c"]}),
                Some(json!({"a": 2, "b": 3, "c": "x"})),
            ),
            (
                "through a reference",
                json!({"properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"],
                       "$defs": {"A": {"type": "array", "items": {"type": "number", "minimum": 4}}}}),
                Some(json!({"a": [4]})),
            ),
            (
                "an invalid example is left out",
                json!({"properties": {"id": {"type": "string", "pattern": "^[0-9]+$"}}, "required": ["id"]}),
                None,
            ),
            (
                "endless recursion ends",
                json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}),
                None,
            ),
        ];
        for (name, schema, expected) in cases {
            assert_eq!(schema.as_object().and_then(arguments), expected, "{name}");
        }
    }
}
