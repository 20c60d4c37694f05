//! A tool's JSON Schema (2020-12) moves into `components/schemas`: its `$defs` get names of their own there and
//! every reference is rewritten to where its target went.
//!
//! A schema in a document of ours is no resource of its own any more, so identifiers (`$id`, `$anchor`) are
//! resolved here and dropped. A reference that leads nowhere, or out of the schema, is dropped too: what it stood
//! for is then described more loosely, and the document stays whole. Must not know OpenAPI's operations.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use super::keywords::{Pointer, Shape, children, each_schema, shape, step};

/// What a URI fragment cannot hold (RFC 3986, section 3.5), and `%`.
const FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Identifiers longer than this say nothing: each schema below one has its own address, begun by those above.
const LONGEST_ID: usize = 255;

/// Base of schemas without an `$id`.
const NAMELESS: &str = "schema:///root";

/// `components/schemas`, growing.
#[derive(Debug, Default)]
pub(super) struct Components {
    schemas: Map<String, Value>,
    names: Names,
    moved: BTreeSet<String>,
}

/// Names that are given once.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: BTreeSet<String>,
    /// For a wish that was taken, in lower case: the number to try next.
    next: BTreeMap<String, u64>,
}

impl Names {
    /// The wish itself or, if it is taken, the wish with the first free number. Case does not tell names apart:
    /// generators make files and types of them.
    pub(super) fn claim(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        // Definitions by the thousand may wish for one name.
        let number = self.next.entry(wish.to_ascii_lowercase()).or_insert(2);
        while !self.given.insert(name.to_ascii_lowercase()) {
            name = format!("{wish}{number}");
            *number += 1;
        }
        name
    }
}

/// `web-search`, `tavily_search` → `WebSearchTavilySearch`: letters and digits only, whatever the parts hold.
pub(super) fn pascal(parts: &[&str]) -> String {
    let words = parts.iter().flat_map(|part| part.split(|letter: char| !letter.is_ascii_alphanumeric()));
    words
        .filter_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect()
}

/// Text as the CommonMark of a description that shows it and holds no HTML: what tools say of themselves is text,
/// and not every reader of the document takes HTML out.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('<', Some(next)) if next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?') => {
                plain.push_str("&lt;")
            }
            _ => plain.push(letter),
        }
    }
    plain
}

/// A reference to a component schema.
pub(super) fn reference(name: &str) -> Value {
    serde_json::json!({ "$ref": format!("#/components/schemas/{name}") })
}

impl Components {
    /// Starts with schemas that keep their names.
    pub(super) fn new(schemas: Map<String, Value>) -> Self {
        let mut names = Names::default();
        for name in schemas.keys() {
            names.claim(name);
        }
        Self { schemas, names, moved: BTreeSet::new() }
    }

    /// Adds a schema of ours, which needs no rewriting, and gives back its name.
    pub(super) fn add(&mut self, wish: &str, schema: Value) -> String {
        let name = self.names.claim(wish);
        self.schemas.insert(name.clone(), schema);
        name
    }

    /// Whether a schema of that very name is here.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.schemas.contains_key(name)
    }

    /// Moves a tool's schema here, its definitions beside it, and gives back the root's name.
    pub(super) fn move_in(&mut self, wish: &str, root: &Map<String, Value>) -> String {
        let whole = Value::Object(root.clone());
        let name = self.names.claim(wish);
        let mut targets = Targets { root: name.clone(), ..Targets::default() };
        for keyword in ["$defs", "definitions"] {
            for definition in root.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                let component = self.names.claim(&(name.clone() + &pascal(&[definition])));
                targets.definitions.insert((keyword, definition.clone()), component);
            }
        }
        let base = Url::parse(NAMELESS).ok();
        targets.index(&whole, &Pointer::default(), base.as_ref(), "");

        for ((keyword, definition), component) in &targets.definitions {
            if let Some(schema) = root.get(*keyword).and_then(|all| all.get(definition)) {
                let at = Pointer::default().then(keyword).then(definition);
                let base = targets.base_at(base.as_ref(), root);
                let resource = targets.resource_of(base.as_ref());
                let schema = Move { whole: &whole, targets: &targets }.schema(schema, &at, base.as_ref(), &resource);
                self.moved.insert(component.clone());
                self.schemas.insert(component.clone(), schema);
            }
        }
        let mut rest = root.clone();
        rest.shift_remove("$defs");
        rest.shift_remove("definitions");
        let rest = Value::Object(rest);
        let schema = Move { whole: &whole, targets: &targets }.schema(&rest, &Pointer::default(), base.as_ref(), "");
        self.moved.insert(name.clone());
        self.schemas.insert(name.clone(), schema);
        name
    }

    /// The schemas, with every reference in them leading to something.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        let mut known = HashMap::new();
        for name in std::mem::take(&mut self.moved) {
            let Some(mut schema) = self.schemas.get(&name).cloned() else { continue };
            // Dropping a reference takes no schema away, so what was found to lead somewhere still does.
            each_schema(&mut schema, &mut |schema| {
                if schema.get("$ref").and_then(Value::as_str).is_some_and(|to| !self.leads_somewhere(to, &mut known)) {
                    schema.shift_remove("$ref");
                }
            });
            self.schemas.insert(name, schema);
        }
        self.schemas
    }

    /// Whether a reference ends, over other references or at once, at a schema that is more than a reference back.
    /// `known` has what was found before, so that a chain of references is followed once.
    fn leads_somewhere(&self, reference: &str, known: &mut HashMap<String, bool>) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = Some(reference);
        let leads = loop {
            let Some(reference) = next else { break true };
            if let Some(leads) = known.get(reference) {
                break *leads;
            }
            let target = self.target(reference).filter(|target| target.is_object() || target.is_boolean());
            let Some(target) = target.filter(|_| seen.insert(reference)) else { break false };
            next = target.get("$ref").and_then(Value::as_str);
        };
        known.extend(seen.into_iter().map(|reference| (reference.to_owned(), leads)));
        leads
    }

    fn target(&self, reference: &str) -> Option<&Value> {
        let pointer = Pointer::parse(reference.strip_prefix("#/components/schemas")?)?;
        let (name, rest) = pointer.0.split_first()?;
        rest.iter().try_fold(self.schemas.get(name)?, |value, token| step(value, token))
    }
}

/// Where the parts of one schema go.
#[derive(Debug, Default)]
struct Targets {
    /// The root's component.
    root: String,
    /// The root's definitions, each with its component.
    definitions: BTreeMap<(&'static str, String), String>,
    /// `$id`, absolute, without fragment → the schema resource.
    resources: BTreeMap<String, Pointer>,
    /// Resource (`""` is the root's) and `$anchor` or `$dynamicAnchor` → its schema.
    anchors: BTreeMap<(String, String), Pointer>,
}

impl Targets {
    /// Notes the identifiers and anchors at and below `schema`.
    fn index(&mut self, schema: &Value, at: &Pointer, base: Option<&Url>, resource: &str) {
        let Some(object) = schema.as_object() else { return };
        let (base, resource) = self.enter(object, at, base, resource);
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(anchor) = object.get(keyword).and_then(Value::as_str) {
                self.anchors.entry((resource.clone(), anchor.to_owned())).or_insert_with(|| at.clone());
            }
        }
        for (keyword, value) in object {
            for (path, child) in children(keyword, value) {
                let at = path.iter().fold(at.clone(), |at, token| at.then(token));
                self.index(child, &at, base.as_ref(), &resource);
            }
        }
    }

    /// A schema with an `$id` begins a resource.
    fn enter(
        &mut self,
        schema: &Map<String, Value>,
        at: &Pointer,
        base: Option<&Url>,
        resource: &str,
    ) -> (Option<Url>, String) {
        let Some(base) = identified(schema, base) else { return (base.cloned(), resource.to_owned()) };
        self.resources.entry(base.to_string()).or_insert_with(|| at.clone());
        let resource = if at.0.is_empty() { String::new() } else { base.to_string() };
        (Some(base), resource)
    }

    fn base_at(&self, base: Option<&Url>, schema: &Map<String, Value>) -> Option<Url> {
        identified(schema, base).or_else(|| base.cloned())
    }

    /// The name by which the anchors of the resource at `base` are kept.
    fn resource_of(&self, base: Option<&Url>) -> String {
        match base.and_then(|base| self.resources.get(base.as_str())) {
            Some(at) if !at.0.is_empty() => base.map(Url::to_string).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The component reference for a place in the schema as it was.
    fn component(&self, at: &Pointer) -> String {
        let (component, rest) = match at.0.as_slice() {
            [keyword, definition, rest @ ..] => {
                let moved = ["$defs", "definitions"].into_iter().find(|known| known == keyword);
                match moved.and_then(|keyword| self.definitions.get(&(keyword, definition.clone()))) {
                    Some(component) => (component, rest),
                    None => (&self.root, at.0.as_slice()),
                }
            }
            all => (&self.root, all),
        };
        let mut reference = format!("#/components/schemas/{component}");
        for token in rest {
            reference.push('/');
            reference.extend(utf8_percent_encode(&token.replace('~', "~0").replace('/', "~1"), FRAGMENT));
        }
        reference
    }
}

/// The base that a schema's own `$id` sets.
fn identified(schema: &Map<String, Value>, base: Option<&Url>) -> Option<Url> {
    let id = schema.get("$id").and_then(Value::as_str)?;
    let mut url = base?.join(Some(id).filter(|id| id.len() <= LONGEST_ID)?).ok()?;
    url.set_fragment(None);
    Some(url).filter(|url| url.as_str().len() <= LONGEST_ID)
}

/// One schema on its way into the components.
struct Move<'a> {
    whole: &'a Value,
    targets: &'a Targets,
}

impl Move<'_> {
    fn schema(&self, schema: &Value, at: &Pointer, base: Option<&Url>, resource: &str) -> Value {
        let object = match schema {
            Value::Object(object) => object,
            // The same as objects: tools for OpenAPI stumble over schemas that are none.
            Value::Bool(false) => return serde_json::json!({ "not": {} }),
            // `true`, or no schema at all: nothing is known of the value.
            _ => return Value::Object(Map::new()),
        };
        let own = identified(object, base);
        let resource = match &own {
            Some(url) if !at.0.is_empty() => url.to_string(),
            _ => resource.to_owned(),
        };
        let base = own.or_else(|| base.cloned());

        let mut moved = Map::new();
        let mut references = Vec::new();
        for (keyword, value) in object {
            match keyword.as_str() {
                "$schema" | "$id" | "$anchor" | "$dynamicAnchor" | "$recursiveAnchor" | "$vocabulary" => {}
                "description" => {
                    if let Some(text) = value.as_str() {
                        moved.insert(keyword.clone(), Value::from(plain(text)));
                    }
                }
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    let target = value.as_str().and_then(|to| self.resolve(to, base.as_ref(), &resource));
                    references.extend(target);
                }
                // Drafts before 2020-12 had the schemas of the first items in `items`, and the rest's elsewhere.
                "items" if value.is_array() => {
                    if let Some(value) = self.keyword("items", value, at, base.as_ref(), &resource) {
                        moved.insert("prefixItems".to_owned(), value);
                    }
                }
                "additionalItems" => {
                    let rest = self.keyword("additionalItems", value, at, base.as_ref(), &resource);
                    if let (true, Some(rest)) = (object.get("items").is_some_and(Value::is_array), rest) {
                        moved.insert("items".to_owned(), rest);
                    }
                }
                _ => {
                    if let Some(value) = self.keyword(keyword, value, at, base.as_ref(), &resource) {
                        moved.insert(keyword.clone(), value);
                    }
                }
            }
        }
        let mut references = references.into_iter();
        if let Some(first) = references.next() {
            moved.insert("$ref".to_owned(), Value::from(first));
        }
        // More than one kind of reference in one schema: all hold.
        for more in references {
            let all = moved.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(all) = all {
                all.push(serde_json::json!({ "$ref": more }));
            }
        }
        Value::Object(moved)
    }

    fn keyword(&self, keyword: &str, value: &Value, at: &Pointer, base: Option<&Url>, resource: &str) -> Option<Value> {
        let at = at.then(keyword);
        let child = |token: &str, schema: &Value| self.schema(schema, &at.then(token), base, resource);
        let list = |items: &[Value]| {
            Value::Array(items.iter().enumerate().map(|(index, schema)| child(&index.to_string(), schema)).collect())
        };
        match (shape(keyword), value) {
            (Shape::Plain, value) => Some(value.clone()),
            (Shape::Schema, Value::Array(items)) if keyword == "items" => Some(list(items)),
            (Shape::Schema, Value::Bool(_)) => Some(value.clone()),
            (Shape::Schema, Value::Object(_)) => Some(self.schema(value, &at, base, resource)),
            (Shape::List, Value::Array(items)) => Some(list(items)),
            (Shape::Table, Value::Object(table)) => {
                let moved = table.iter().map(|(name, schema)| match schema {
                    Value::Array(_) if keyword == "dependencies" => (name.clone(), schema.clone()),
                    schema => (name.clone(), child(name, schema)),
                });
                Some(Value::Object(moved.collect()))
            }
            // Not of the shape that the keyword asks for: says nothing.
            _ => None,
        }
    }

    /// Where a reference leads, as a component reference.
    fn resolve(&self, to: &str, base: Option<&Url>, resource: &str) -> Option<String> {
        let (address, fragment) = to.split_once('#').unwrap_or((to, ""));
        let (start, resource) = if address.is_empty() {
            let start = base.and_then(|base| self.targets.resources.get(base.as_str())).cloned().unwrap_or_default();
            (start, resource.to_owned())
        } else {
            let mut address = base?.join(address).ok()?;
            address.set_fragment(None);
            let start = self.targets.resources.get(address.as_str())?.clone();
            (start, self.targets.resource_of(Some(&address)))
        };
        let at = match Pointer::parse(fragment) {
            Some(pointer) => start.join(&pointer),
            None => {
                let anchor = percent_decode_str(fragment).decode_utf8().ok()?.into_owned();
                self.targets.anchors.get(&(resource, anchor))?.clone()
            }
        };
        at.names_schema(self.whole).then(|| self.targets.component(&at))
    }
}

#[cfg(test)]
#[path = "schemas_tests.rs"]
mod tests;
