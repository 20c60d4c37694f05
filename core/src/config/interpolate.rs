//! References in texts: `${NAME}`, `${NAME:-default}`, `${file:path}`; `$${` is a literal `${`.
//!
//! Owns their grammar and what they stand for. A value that was put in is not searched again.

use std::path::Path;

use super::{
    environment::Environment,
    text_file::{self, reason},
};

/// Why a text has no value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unresolved {
    pub(super) message: String,
    pub(super) help: String,
}

impl Unresolved {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// The text with its references replaced; `None` if it holds none.
///
/// # Errors
/// The first reference that stands for nothing.
pub(super) fn expand(text: &str, environment: &Environment, folder: &Path) -> Result<Option<String>, Unresolved> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        let body = reference.get(2..).unwrap_or_default();
        if let Some(kept) = before.strip_suffix('$') {
            expanded.push_str(kept);
            expanded.push_str("${");
            rest = body;
            continue;
        }
        expanded.push_str(before);
        let (inside, after) = body.split_once('}').ok_or_else(|| {
            Unresolved::new(
                "a reference that begins with \"${\" has no end",
                "close it with }, or write $${ for a literal ${",
            )
        })?;
        expanded.push_str(&resolve(inside, environment, folder)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Some(expanded))
}

/// What stands between `${` and `}`.
fn resolve(inside: &str, environment: &Environment, folder: &Path) -> Result<String, Unresolved> {
    if inside.contains("${") {
        return Err(Unresolved::new(
            format!("\"${{{inside}}}\" holds a reference inside a reference"),
            "use one reference after another, or a plain default",
        ));
    }
    if let Some(path) = inside.strip_prefix("file:") {
        return read(path, folder);
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Unresolved::new(
            format!("\"${{{inside}}}\" is not a reference"),
            "write ${NAME}, ${NAME:-default} or ${file:/run/secrets/name}; a literal ${ is written $${",
        ));
    }
    match (environment.value(name), default) {
        (Some(value), _) => Ok(value.to_owned()),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unresolved::new(
            format!("the variable {name} of \"${{{name}}}\" is unset or empty"),
            format!("set {name}, or write a default as ${{{name}:-…}}"),
        )),
    }
}

fn read(path: &str, folder: &Path) -> Result<String, Unresolved> {
    let unreadable = |why: &str| {
        Unresolved::new(
            format!("the file of \"${{file:{path}}}\" cannot be read: {why}"),
            "paths are relative to the configuration file",
        )
    };
    let text = text_file::read(&folder.join(path)).map_err(|error| unreadable(reason(&error)))?;
    let value = text.trim_end_matches(['\n', '\r']);
    if value.is_empty() {
        return Err(unreadable("it is empty"));
    }
    Ok(value.to_owned())
}
