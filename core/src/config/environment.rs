//! The variables that a configuration may use: the process's own, and those of `.env`.
//!
//! Owns where a variable came from. Never sets a variable of the process, and `Debug` shows names alone.

use std::{collections::BTreeMap, fmt, io, path::Path};

use super::{
    diagnostic::{Diagnostic, Diagnostics},
    text_file::{self, reason},
};

/// Environment variables, by name.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Variable>,
}

#[derive(Clone)]
struct Variable {
    value: String,
    from_file: bool,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Environment {
    fn from(variables: [(K, V); N]) -> Self {
        variables.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), Variable { value: value.into(), from_file: false }))
            .collect();
        Self { variables }
    }
}

impl Environment {
    /// The variables of this process. Names and values that are not UTF-8 are left out: no setting needs one.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable; an empty one counts as unset.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|variable| variable.value.as_str()).filter(|value| !value.is_empty())
    }

    /// The variable's name as a finding shows it: with its file, if it came from one.
    pub(super) fn shown(&self, name: &str) -> String {
        match self.variables.get(name) {
            Some(variable) if variable.from_file => format!("{name} (.env)"),
            _ => name.to_owned(),
        }
    }

    /// All variables, in order of their names; empty values included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable.value.as_str()))
    }

    /// These variables, and below them those of a `.env` file. A file that is not there is no error.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is not `NAME=value`.
    pub(super) fn above_file(&self, path: &Path) -> Result<Self, Diagnostics> {
        let text = match text_file::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.clone()),
            Err(error) => {
                let message = format!("cannot be read: {}", reason(&error));
                return Err(Diagnostic::file_error(path, message, "make it readable, or take it away").into());
            }
        };
        let text = text.trim_start_matches('\u{feff}');
        let mut variables = BTreeMap::new();
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            let (name, value) = entry.map_err(|error| Diagnostics::from(malformed(path, text, &error)))?;
            variables.insert(name, Variable { value, from_file: true });
        }
        variables.extend(self.variables.clone());
        Ok(Self { variables })
    }
}

/// The line's number; never the line, which may hold a secret.
fn malformed(path: &Path, text: &str, error: &dotenvy::Error) -> Diagnostic {
    let mut diagnostic = Diagnostic::file_error(
        path,
        "this line is not NAME=value",
        "put values with spaces or # in quotes, and comments on lines of their own",
    );
    if let dotenvy::Error::LineParse(line, _) = error {
        // What the parser gives back is the line, or its part after the name.
        let first = line.lines().next().unwrap_or_default().trim();
        diagnostic.line = text.lines().position(|candidate| candidate.trim().ends_with(first)).map(|index| index + 1);
    }
    diagnostic
}
