//! What becomes of a tool's schema among the components.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn moved(schema: Value) -> Value {
    let mut components = Components::default();
    assert_eq!(components.move_in("T", &object(schema)), "T");
    Value::Object(components.finish())
}

/// Every reference in the components, unresolved.
fn dangling(schemas: &Value) -> Vec<String> {
    let document = json!({ "components": { "schemas": schemas } });
    let mut found = Vec::new();
    for mut schema in schemas.as_object().unwrap().values().cloned() {
        each_schema(&mut schema, &mut |schema| {
            let Some(to) = schema.get("$ref").and_then(Value::as_str) else { return };
            let pointer = to.strip_prefix('#').map(|to| percent_decode_str(to).decode_utf8_lossy().into_owned());
            if pointer.is_none_or(|pointer| document.pointer(&pointer).is_none()) {
                found.push(to.to_owned());
            }
        });
    }
    found
}

#[test]
fn a_schema_moves_with_its_definitions_and_its_references() {
    let to = |path: &str| json!({ "$ref": format!("#/components/schemas/{path}") });
    let cases = [
        (
            "definitions get names of their own",
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema",
                   "properties": {"a": {"$ref": "#/$defs/Topic"}}, "$defs": {"Topic": {"type": "string"}}}),
            json!({"T": {"properties": {"a": to("TTopic")}}, "TTopic": {"type": "string"}}),
        ),
        (
            "a definition refers to another and to itself",
            json!({"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/b"}}}}),
            json!({"TA": {"items": to("TB")}, "TB": {"not": to("TB")}, "T": {}}),
        ),
        (
            "a recursive root",
            json!({"properties": {"child": {"$ref": "#"}, "other": {"$ref": ""}}}),
            json!({"T": {"properties": {"child": to("T"), "other": to("T")}}}),
        ),
        (
            "a pointer into the root and below a definition",
            json!({"properties": {"a": {"items": {"type": "null"}}, "b": {"$ref": "#/properties/a/items"},
                                  "c": {"$ref": "#/$defs/D/properties/x"}},
                   "$defs": {"D": {"properties": {"x": {"type": "string"}}}}}),
            json!({"T": {"properties": {"a": {"items": {"type": "null"}}, "b": to("T/properties/a/items"),
                                        "c": to("TD/properties/x")}},
                   "TD": {"properties": {"x": {"type": "string"}}}}),
        ),
        (
            "escaped names",
            json!({"properties": {"a/b~c": {"type": "string"}, "x": {"$ref": "#/properties/a~1b~0c"},
                                  "y": {"$ref": "#/$defs/L%C3%A4nge%20%7Bx%7D~1"}, "z": {"$ref": "#/properties/per%25cent"},
                                  "per%cent": true},
                   "$defs": {"Länge {x}/": {"type": "number"}}}),
            json!({"TLNgeX": {"type": "number"},
                   "T": {"properties": {"a/b~c": {"type": "string"}, "x": to("T/properties/a~1b~0c"), "y": to("TLNgeX"),
                                        "z": to("T/properties/per%25cent"), "per%cent": {}}}}),
        ),
        (
            "definitions whose names become the same",
            json!({"$defs": {"a-b": {"const": 1}, "a_b": {"const": 2}, "A-B": {"const": 3}}, "definitions": {"a_b": {"const": 4}},
                   "prefixItems": [{"$ref": "#/$defs/a-b"}, {"$ref": "#/$defs/a_b"}, {"$ref": "#/$defs/A-B"}, {"$ref": "#/definitions/a_b"}]}),
            json!({"TAB": {"const": 1}, "TAB2": {"const": 2}, "TAB3": {"const": 3}, "TAB4": {"const": 4},
                   "T": {"prefixItems": [to("TAB"), to("TAB2"), to("TAB3"), to("TAB4")]}}),
        ),
        (
            "anchors become pointers",
            json!({"properties": {"a": {"$ref": "#here"}, "b": {"$dynamicRef": "#there"}},
                   "$defs": {"H": {"$anchor": "here", "type": "string"}, "N": {"$dynamicAnchor": "there"}}}),
            json!({"T": {"properties": {"a": to("TH"), "b": to("TN")}}, "TH": {"type": "string"}, "TN": {}}),
        ),
        (
            "identifiers are resolved and dropped",
            json!({"$id": "https://example.com/a.json",
                   "properties": {"a": {"$ref": "https://example.com/a.json#/$defs/X"}, "b": {"$ref": "x.json"}, "c": {"$ref": "a.json"}},
                   "$defs": {"X": {"$id": "x.json", "properties": {"self": {"$ref": "#"}, "in": {"$ref": "#/$defs/Y"}, "up": {"$ref": "a.json#/$defs/X"}},
                                   "$defs": {"Y": {"type": "null"}}}}}),
            json!({"T": {"properties": {"a": to("TX"), "b": to("TX"), "c": to("T")}},
                   "TX": {"properties": {"self": to("TX"), "in": to("TX/$defs/Y"), "up": to("TX")}, "$defs": {"Y": {"type": "null"}}}}),
        ),
        (
            "references that lead nowhere or outside are dropped, their neighbours stay",
            json!({"properties": {"a": {"$ref": "#/$defs/None", "description": "d"}, "b": {"$ref": "https://example.com/s.json"},
                                  "c": {"$ref": 5}, "d": {"$ref": "#/properties"}, "e": {"$ref": "#/title"}}, "title": "t"}),
            json!({"T": {"properties": {"a": {"description": "d"}, "b": {}, "c": {}, "d": {}, "e": {}}, "title": "t"}}),
        ),
        ("a root that is only itself says nothing", json!({"$ref": "#"}), json!({"T": {}})),
        (
            "references in a circle say nothing",
            json!({"properties": {"a": {"$ref": "#/properties/a"}, "b": {"$ref": "#/$defs/A"}, "c": {"$ref": "#/$defs/C"}},
                   "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A", "title": "B"}, "C": {"$ref": "#/$defs/D"}, "D": {}}}),
            json!({"T": {"properties": {"a": {}, "b": {}, "c": to("TC")}}, "TA": {}, "TB": {"title": "B"},
                   "TC": {"$ref": "#/components/schemas/TD"}, "TD": {}}),
        ),
        (
            "boolean schemas become objects, except where generators know them",
            json!({"properties": {"a": true, "b": false, "c": {"$ref": "#/properties/a"}}, "additionalProperties": false}),
            json!({"T": {"properties": {"a": {}, "b": {"not": {}}, "c": to("T/properties/a")}, "additionalProperties": false}}),
        ),
        (
            "tuples as drafts before wrote them",
            json!({"properties": {"a": {"items": [{"type": "string"}, {"$ref": "#/definitions/D"}], "additionalItems": false},
                                  "b": {"items": {}, "additionalItems": false}},
                   "definitions": {"D": {}}}),
            json!({"T": {"properties": {"a": {"prefixItems": [{"type": "string"}, to("TD")], "items": false}, "b": {"items": {}}}}, "TD": {}}),
        ),
        (
            "a property may be called like a keyword, and values are not schemas",
            json!({"properties": {"$ref": {"type": "string"}, "$id": {"const": {"$ref": "#/$defs/X"}}, "$defs": {"type": "object"}},
                   "default": {"$ref": "#", "$schema": "x"}, "enum": [{"$id": "y"}], "examples": [{"$ref": "#/$defs/X"}]}),
            json!({"T": {"properties": {"$ref": {"type": "string"}, "$id": {"const": {"$ref": "#/$defs/X"}}, "$defs": {"type": "object"}},
                   "default": {"$ref": "#", "$schema": "x"}, "enum": [{"$id": "y"}], "examples": [{"$ref": "#/$defs/X"}]}}),
        ),
        (
            "what is no schema says nothing",
            json!({"properties": {"a": 5, "b": null}, "items": 7, "allOf": {"x": 1}, "$defs": [1], "anyOf": ["x"]}),
            json!({"T": {"properties": {"a": {}, "b": {}}, "anyOf": [{}]}}),
        ),
        (
            "lists of names in dependencies",
            json!({"dependencies": {"a": ["b"], "c": {"$ref": "#/$defs/D"}}, "$defs": {"D": {}}}),
            json!({"T": {"dependencies": {"a": ["b"], "c": to("TD")}}, "TD": {}}),
        ),
        (
            "both kinds of reference hold",
            json!({"properties": {"a": {"$ref": "#/$defs/D", "$dynamicRef": "#n"}}, "$defs": {"D": {}, "N": {"$dynamicAnchor": "n"}}}),
            json!({"T": {"properties": {"a": {"$ref": "#/components/schemas/TD", "allOf": [to("TN")]}}}, "TD": {}, "TN": {}}),
        ),
    ];
    for (name, schema, expected) in cases {
        let after = moved(schema);
        assert_eq!(after, expected, "{name}");
        assert_eq!(dangling(&after), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn tools_with_the_same_names_do_not_share_components() {
    let mut components = Components::new(object(json!({"Error": {}, "WebSearch": {"const": 0}})));
    let schema = |value: u8| object(json!({"$ref": "#/$defs/Mode", "$defs": {"Mode": {"const": value}}}));
    let names: Vec<String> =
        (1..=3).map(|value| components.move_in(&pascal(&["web", "search"]), &schema(value))).collect();
    assert_eq!(names, ["WebSearch2", "WebSearch3", "WebSearch4"]);
    let schemas = components.finish();
    assert_eq!(schemas["WebSearch"], json!({"const": 0}));
    for (name, value) in names.iter().zip(1..) {
        assert_eq!(schemas[name]["$ref"], format!("#/components/schemas/{name}Mode"));
        assert_eq!(schemas[&format!("{name}Mode")], json!({"const": value}));
    }
}

#[test]
fn names_are_words_without_signs() {
    let cases = [
        (&["web-search", "tavily_search"][..], "WebSearchTavilySearch"),
        (&["a.b", "c/d{e}"], "ABCDE"),
        (&["", "--"], ""),
        (&["2fast", "já"], "2fastJ"),
    ];
    for (parts, expected) in cases {
        assert_eq!(pascal(parts), expected, "{parts:?}");
    }
}

/// Any JSON, with the keywords that matter more likely than others.
fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "$ref",
        "$defs",
        "definitions",
        "$id",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "properties",
        "items",
        "allOf",
        "not",
        "dependencies",
        "a",
        "b",
        "",
        "~",
        "/",
        "type",
        "enum",
    ]);
    let targets = prop::sample::select(vec![
        "#",
        "",
        "#/",
        "#/$defs/a",
        "#/$defs/b",
        "#/definitions/a",
        "#/properties/a",
        "#/$defs/a/items",
        "#a",
        "b",
        "#/%zz",
        "#/$defs/~0",
        "#/$defs/~1",
        "http://[",
        "a#/properties/b",
        "#/$defs",
        "#/allOf/0",
        "object",
        "b#a",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        targets.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 6, move |inner| {
        let key = prop_oneof![9 => words.clone().prop_map(str::to_owned), 1 => ".{0,6}"];
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((key, inner), 0..6).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_a_schema_holds_every_reference_resolves(
        first in prop::collection::btree_map("[$a-z]{1,12}", any_json(), 0..4),
        second in any_json(),
    ) {
        let mut components = Components::default();
        components.move_in("T", &first.into_iter().collect());
        components.move_in("T", &second.as_object().cloned().unwrap_or_default());
        let schemas = Value::Object(components.finish());
        prop_assert_eq!(dangling(&schemas), Vec::<String>::new());
        for name in schemas.as_object().unwrap().keys() {
            prop_assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()), "{}", name);
        }
    }
}

#[test]
fn schemas_made_to_take_long_do_not() {
    let many = 20_000;
    let chain = |index: usize| (format!("c{index}"), json!({ "$ref": format!("#/$defs/c{}", index + 1) }));
    let into_circle = |index: usize| (format!("c{index:05}"), json!({ "$ref": format!("#/$defs/c{:05}", index - 1) }));
    let doubled = |index: usize| {
        let next = json!({ "$ref": format!("#/$defs/c{}", index + 1) });
        (format!("c{index}"), json!({ "allOf": [next, next] }))
    };
    let one_name = |index: usize| ("-".repeat(index % 300 + 1) + &" ".repeat(index / 300), json!({}));
    let long = format!("http://{}/", "a".repeat(500_000));
    let identified = |index: usize| (format!("c{index}"), json!({ "$id": format!("{index}/") }));
    let circle = json!({ "$ref": "#/$defs/c00000" });
    let tables: [(&str, Map<String, Value>); 5] = [
        ("a chain", (0..many).map(chain).chain([(format!("c{many}"), json!({}))]).collect()),
        ("a way into a circle", (1..many).map(into_circle).chain([("c00000".to_owned(), circle)]).collect()),
        ("a tree of references", (0..100).map(doubled).chain([("c100".to_owned(), json!({}))]).collect()),
        ("one name for all", (0..many).map(one_name).collect()),
        ("addresses below a long one", (0..many).map(identified).collect()),
    ];
    for (name, definitions) in tables {
        let started = std::time::Instant::now();
        let after = moved(json!({ "$id": long, "$ref": "#/$defs/c1", "$defs": definitions }));
        assert!(after.as_object().is_some_and(|schemas| schemas.len() > 100), "{name}");
        // A hundred times what it takes, and far from what it would if each had to look at all.
        assert!(started.elapsed().as_secs() < 10, "{name}: {:?}", started.elapsed());
    }
    let deep = (0..60).fold(json!({}), |inner, _| json!({ "properties": { "a": inner } }));
    assert_eq!(dangling(&moved(deep)), Vec::<String>::new());
}
