//! Environment variables that are settings: `TOOLGATE_SERVER__LISTEN`, and those of the original Python server.
//!
//! Owns how a name finds its key, and how a text becomes the type that the schema asks for. An unknown name is
//! a warning: orchestrators inject names of their own.

use serde_json::{Map, Value};

use super::{
    check::flag,
    diagnostic::{Diagnostic, Severity, nearest},
    environment::Environment,
    shape::{Format, Kind, Required, Shape},
    source::{Source, owned, value_to_json},
};

const PREFIX: &str = "TOOLGATE_";

/// The layer above the file: the values that variables give, and the warnings about those that give none.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) values: Value,
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) errors: Vec<Diagnostic>,
}

/// A variable whose key is found.
struct Setting<'a> {
    name: &'a str,
    text: &'a str,
    path: Vec<String>,
    shape: &'a Shape,
    /// How deep in `path` a map's entry lies that only variables give, and the keys that such an entry needs.
    creates: Option<(usize, &'a Required)>,
}

/// Read all `TOOLGATE_…` variables over the values of the file.
pub(super) fn read(root: &Shape, file: &Value, environment: &Environment, source: &mut Source) -> Layer {
    let mut layer = Layer { values: Value::Object(Map::new()), ..Layer::default() };
    let mut settings = Vec::new();
    for (name, text) in environment.iter() {
        // The command line's own: where the file is.
        let Some(key) = name.strip_prefix(PREFIX).filter(|key| *key != "CONFIG") else { continue };
        let segments: Vec<&str> = key.split("__").collect();
        match find(root, Some(file), &segments) {
            Ok(found) => {
                settings.push(Setting { name, text, path: found.path, shape: found.shape, creates: found.creates })
            }
            Err(Lost::Unknown(near)) => layer.warnings.push(unknown(source, &environment.shown(name), near)),
            Err(Lost::Ambiguous(one, other)) => layer.errors.push(source.variable_error(
                &environment.shown(name),
                &[],
                format!("this name fits both \"{one}\" and \"{other}\""),
                "rename one of the two, or write the setting into the file",
            )),
        }
    }
    for setting in &settings {
        let shown = environment.shown(setting.name);
        if let Some((depth, required)) = setting.creates
            && !required.is_met(|key| settings.iter().any(|other| gives(other, &setting.path[..depth], key)))
        {
            let entry = setting.path.get(depth - 1).map_or("", String::as_str);
            let section = setting.path.first().map_or("", String::as_str);
            let known = file.get(section).and_then(Value::as_object).into_iter().flat_map(Map::keys);
            let near = nearest(entry, known.map(String::as_str));
            let near = near.map(|near| setting.name.replace(&spelled(entry), &spelled(near)));
            layer.warnings.push(unknown(source, &shown, near));
            continue;
        }
        let existing = setting.path.iter().try_fold(file, |value, key| value.get(key));
        let path: Vec<&str> = setting.path.iter().map(String::as_str).collect();
        match typed(setting.text, setting.shape, existing) {
            Typed::Absent => {}
            Typed::Value(value) => {
                record(&value, &setting.path, &shown, source);
                insert(&mut layer.values, &setting.path, value);
            }
            Typed::Wrong(message, help) => layer.errors.push(source.variable_error(&shown, &path, message, help)),
        }
    }
    layer
}

/// Whether a setting gives `key` of the entry at `entry`, itself or as part of a table.
fn gives(setting: &Setting<'_>, entry: &[String], key: &str) -> bool {
    setting.path == entry
        || (setting.path.len() > entry.len() && setting.path.starts_with(entry) && setting.path[entry.len()] == key)
}

fn unknown(source: &Source, shown: &str, near: Option<String>) -> Diagnostic {
    let help = near.map_or_else(
        || "it is ignored; settings are named by their path, such as TOOLGATE_SERVER__LISTEN".to_owned(),
        |near| format!("it is ignored; did you mean {near}?"),
    );
    let error = source.variable_error(shown, &[], "no setting has this name", help);
    Diagnostic { severity: Severity::Warning, ..error }
}

struct Found<'a> {
    path: Vec<String>,
    shape: &'a Shape,
    creates: Option<(usize, &'a Required)>,
}

/// Why a variable's name means no key.
enum Lost {
    /// There is none of this name; perhaps this variable was meant.
    Unknown(Option<String>),
    /// Two keys are spelled alike.
    Ambiguous(String, String),
}

/// The key that a variable means.
fn find<'a>(root: &'a Shape, file: Option<&Value>, segments: &[&str]) -> Result<Found<'a>, Lost> {
    let mut found = Found { path: Vec::new(), shape: root, creates: None };
    let mut value = file;
    for (depth, segment) in segments.iter().enumerate() {
        let existing: Vec<&str> =
            value.and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let mut alike = existing.iter().filter(|key| spelled(key).eq_ignore_ascii_case(segment));
        let present = match (alike.next(), alike.next()) {
            (Some(one), Some(other)) => return Err(Lost::Ambiguous((*one).to_owned(), (*other).to_owned())),
            (one, _) => one.copied(),
        };
        let lowercase = segment.to_ascii_lowercase();
        let next = match &found.shape.kind {
            _ if segment.is_empty() => None,
            Kind::Table { keys, .. } => {
                keys.iter().find(|(key, _)| *key == lowercase).map(|(key, shape)| (key.clone(), shape))
            }
            Kind::Map { entry, scopes } => match (present, &entry.kind) {
                (Some(key), _) => Some((key.to_owned(), &**entry)),
                (None, _) if *scopes => None,
                (None, Kind::Table { required, .. }) if !required.is_nothing() => {
                    found.creates = Some((depth + 1, required));
                    Some((lowercase.replace('_', "-"), &**entry))
                }
                (None, _) => Some((lowercase, &**entry)),
            },
            // Inside a plugin's own settings, which only the plugin knows.
            Kind::Anything => Some((present.map_or(lowercase, str::to_owned), found.shape)),
            _ => None,
        };
        let Some((key, shape)) = next else {
            let known: Vec<String> = match &found.shape.kind {
                Kind::Table { keys, .. } => keys.iter().map(|(key, _)| spelled(key)).collect(),
                Kind::Map { .. } => existing.into_iter().map(spelled).collect(),
                _ => Vec::new(),
            };
            let near = nearest(segment, known.iter().map(String::as_str));
            return Err(Lost::Unknown(near.map(|near| {
                let mut segments = segments.to_vec();
                segments[depth] = near;
                format!("{PREFIX}{}", segments.join("__"))
            })));
        };
        value = value.and_then(|value| value.get(&key));
        found.path.push(key);
        found.shape = shape;
    }
    Ok(found)
}

/// A key as a variable's name spells it.
fn spelled(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

enum Typed {
    Value(Value),
    /// An empty text where a text makes no sense: as if the variable were not set.
    Absent,
    Wrong(String, String),
}

/// The text as the schema's type. Numbers and flags stay text until references are replaced.
fn typed(text: &str, shape: &Shape, existing: Option<&Value>) -> Typed {
    match &shape.kind {
        Kind::Text(_) | Kind::Choice(_) | Kind::Integer { .. } | Kind::Flag => match text {
            "" if !matches!(shape.kind, Kind::Text(Format::Plain)) && !shape.optional => Typed::Absent,
            text => Typed::Value(Value::String(text.to_owned())),
        },
        Kind::List(_) => list(text),
        Kind::Table { .. } | Kind::Map { .. } => match text {
            "" => Typed::Absent,
            text => match written(text) {
                Some(value @ Value::Object(_)) => Typed::Value(value),
                _ => Typed::Wrong(
                    "the variable's value is not an inline table".into(),
                    "write { key = \"value\" }, or one variable for each key".into(),
                ),
            },
        },
        // A plugin's own setting: text, unless the file says that it is something else.
        Kind::Anything => match existing {
            None | Some(Value::String(_)) => Typed::Value(Value::String(text.to_owned())),
            Some(Value::Array(_)) => list(text),
            Some(_) => Typed::Value(written(text).unwrap_or_else(|| Value::String(text.to_owned()))),
        },
    }
}

fn list(text: &str) -> Typed {
    if text.trim_start().starts_with('[') {
        return match written(text) {
            Some(value @ Value::Array(_)) => Typed::Value(value),
            _ => Typed::Wrong("the variable's value is not a list".into(), "write [\"a\", \"b\"], or a,b".into()),
        };
    }
    Typed::Value(elements(text))
}

/// A list written as `a,b`.
pub(super) fn elements(text: &str) -> Value {
    let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
    elements.map(|element| Value::String(element.to_owned())).collect()
}

/// A value written as JSON or as TOML.
fn written(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let document = toml_edit::Document::parse(format!("value = {}", text.trim())).ok()?;
    let table = document.as_table();
    let value = table.get("value").filter(|_| table.len() == 1)?.as_value()?;
    Some(value_to_json(value))
}

/// Remember which variable gave each value. A list counts as one value.
fn record(value: &Value, path: &[String], variable: &str, source: &mut Source) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let mut path = path.to_vec();
                path.push(key.clone());
                record(member, &path, variable, source);
            }
        }
        _ => {
            source.variables.insert(path.to_vec(), variable.to_owned());
        }
    }
}

/// Put a value at a path, tables made on the way and merged where both sides are tables.
pub(super) fn insert(root: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        match (root, value) {
            (Value::Object(members), Value::Object(new)) => {
                for (key, value) in new {
                    insert(members.entry(key).or_insert(Value::Null), &[], value);
                }
            }
            (root, value) => *root = value,
        }
        return;
    };
    if !root.is_object() {
        *root = Value::Object(Map::new());
    }
    if let Value::Object(members) = root {
        insert(members.entry(key.clone()).or_insert(Value::Null), rest, value);
    }
}

/// The original server's variables, over values whose references are replaced: `PORT` is the port of `listen`,
/// `RESOURCE_IDENTIFIER` is the resource of the default endpoint, and its origin `public_url` if that is not set.
pub(super) fn original(values: &mut Value, environment: &Environment, source: &mut Source) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let listen = ["server", "listen"];
    if let Some(port) = environment.value("PORT")
        && source.variable(&owned(&listen)).is_none()
    {
        match port.trim().parse::<u16>() {
            Ok(port) => {
                let address = values.pointer("/server/listen").and_then(Value::as_str).map(str::parse);
                let default = super::sections::Server::default().listen;
                // An address that is none is told about later, where all texts are checked.
                if let Ok(mut address) = address.unwrap_or(Ok::<std::net::SocketAddr, _>(default)) {
                    address.set_port(port);
                    insert(values, &owned(&listen), Value::String(address.to_string()));
                }
            }
            Err(_) => errors.push(source.variable_error(
                &environment.shown("PORT"),
                &listen,
                format!("\"{port}\" is not a port"),
                "write a number from 0 to 65535",
            )),
        }
    }
    if let Some(resource) = environment.value("RESOURCE_IDENTIFIER") {
        let shown = environment.shown("RESOURCE_IDENTIFIER");
        match default_endpoint(values) {
            Some(endpoint) => {
                let path = owned(&["endpoints", &endpoint, "resource"]);
                if source.variable(&path).is_none() {
                    insert(values, &path, Value::String(resource.to_owned()));
                    source.variables.insert(path, shown.clone());
                }
                let public_url = owned(&["server", "public_url"]);
                let given =
                    values.pointer("/server/public_url").and_then(Value::as_str).is_some_and(|url| !url.is_empty());
                let origin = url::Url::parse(resource).map(|url| url.origin());
                if let (false, Ok(origin @ url::Origin::Tuple(..))) = (given, origin) {
                    insert(values, &public_url, Value::String(origin.ascii_serialization()));
                    source.variables.insert(public_url, shown);
                }
            }
            None => errors.push(source.variable_error(
                &shown,
                &["endpoints"],
                "there is no default endpoint that this could be the resource of",
                "write default = true in one [endpoints.…] section",
            )),
        }
    }
    errors
}

/// The one endpoint, or the one marked `default = true`.
fn default_endpoint(values: &Value) -> Option<String> {
    let endpoints = values.get("endpoints")?.as_object()?;
    // A flag that came from a variable is still text here.
    let marked = endpoints.iter().find(|(_, endpoint)| match endpoint.get("default") {
        Some(Value::Bool(default)) => *default,
        Some(Value::String(text)) => flag(text) == Some(true),
        _ => false,
    });
    match marked {
        Some((name, _)) => Some(name.clone()),
        None if endpoints.len() == 1 => endpoints.keys().next().cloned(),
        None => None,
    }
}
