//! OpenAPI 3.0 to 3.1: the schema keywords whose meaning changed between the two. Must not know whose document it is.

use serde_json::{Map, Value, json};

/// Rewrites every schema of an OpenAPI 3.0 document to JSON Schema 2020-12, in place.
pub(super) fn upgrade(document: &mut Value) {
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.values_mut().for_each(schema);
    }
    outside(document);
}

/// Finds the schemas of parameters, headers and media types.
fn outside(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match key.as_str() {
                    "schema" => schema(value),
                    "schemas" | "example" | "examples" => {}
                    _ => outside(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(outside),
        _ => {}
    }
}

fn schema(value: &mut Value) {
    let Some(schema) = value.as_object_mut() else { return };
    for (keyword, value) in schema.iter_mut() {
        match keyword.as_str() {
            "items" | "additionalProperties" | "not" => self::schema(value),
            "allOf" | "anyOf" | "oneOf" => {
                value.as_array_mut().into_iter().flatten().for_each(self::schema);
            }
            "properties" => value.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(self::schema),
            _ => {}
        }
    }
    bound(schema, "minimum", "exclusiveMinimum");
    bound(schema, "maximum", "exclusiveMaximum");
    if let Some(example) = schema.remove("example") {
        schema.insert("examples".to_owned(), json!([example]));
    }
    format(schema);
    if schema.remove("nullable") == Some(Value::Bool(true)) {
        *value = nullable(std::mem::take(schema));
    }
}

/// `exclusiveMinimum: true` beside `minimum: n` becomes `exclusiveMinimum: n`.
fn bound(schema: &mut Map<String, Value>, limit: &str, exclusive: &str) {
    if let Some(Value::Bool(is_exclusive)) = schema.get(exclusive).cloned() {
        schema.remove(exclusive);
        if is_exclusive && let Some(value) = schema.remove(limit) {
            schema.insert(exclusive.to_owned(), value);
        }
    }
}

/// Bytes are told by their encoding, no longer by a format.
fn format(schema: &mut Map<String, Value>) {
    let (keyword, value) = match schema.get("format").and_then(Value::as_str) {
        Some("byte" | "base64") => ("contentEncoding", "base64"),
        Some("binary") => ("contentMediaType", "application/octet-stream"),
        _ => return,
    };
    schema.remove("format");
    schema.insert(keyword.to_owned(), Value::from(value));
}

fn nullable(mut schema: Map<String, Value>) -> Value {
    match schema.get("type") {
        Some(Value::String(kind)) => {
            let kinds = json!([kind, "null"]);
            schema.insert("type".to_owned(), kinds);
            if let Some(Value::Array(values)) = schema.get_mut("enum")
                && !values.contains(&Value::Null)
            {
                values.push(Value::Null);
            }
            Value::Object(schema)
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_3_0_become_those_of_3_1() {
        let cases = [
            ("nullable string", json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]})),
            ("not nullable", json!({"type": "string", "nullable": false}), json!({"type": "string"})),
            (
                "nullable enum",
                json!({"type": "string", "enum": ["a"], "nullable": true}),
                json!({"type": ["string", "null"], "enum": ["a", null]}),
            ),
            (
                "nullable reference",
                json!({"allOf": [{"$ref": "#/components/schemas/A"}], "nullable": true}),
                json!({"anyOf": [{"allOf": [{"$ref": "#/components/schemas/A"}]}, {"type": "null"}]}),
            ),
            ("exclusive minimum", json!({"minimum": 1, "exclusiveMinimum": true}), json!({"exclusiveMinimum": 1})),
            ("inclusive minimum", json!({"minimum": 1, "exclusiveMinimum": false}), json!({"minimum": 1})),
            ("exclusive maximum", json!({"maximum": 9.5, "exclusiveMaximum": true}), json!({"exclusiveMaximum": 9.5})),
            ("already 3.1", json!({"exclusiveMaximum": 3}), json!({"exclusiveMaximum": 3})),
            ("example", json!({"example": {"nullable": true}}), json!({"examples": [{"nullable": true}]})),
            (
                "base64",
                json!({"type": "string", "format": "byte"}),
                json!({"type": "string", "contentEncoding": "base64"}),
            ),
            (
                "binary",
                json!({"type": "string", "format": "binary"}),
                json!({"type": "string", "contentMediaType": "application/octet-stream"}),
            ),
            (
                "nested",
                json!({"properties": {"nullable": {"items": {"type": "integer", "nullable": true}}}}),
                json!({"properties": {"nullable": {"items": {"type": ["integer", "null"]}}}}),
            ),
        ];
        for (name, before, after) in cases {
            let mut document = json!({
                "components": {"schemas": {"S": before}},
                "paths": {"/": {"get": {"parameters": [{"schema": before}]}}},
            });
            upgrade(&mut document);
            assert_eq!(document["components"]["schemas"]["S"], after, "{name}");
            assert_eq!(document["paths"]["/"]["get"]["parameters"][0]["schema"], after, "{name}, in a parameter");
        }
    }
}
