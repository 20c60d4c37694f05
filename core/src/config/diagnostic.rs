//! Findings about a configuration, and how they look to a person.
//!
//! Owns one stable line for each finding: where, which key, what was found, what to write. Knows nothing of
//! how findings are made.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The server does not start with it.
    Error,
    /// The server starts, and somebody should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One finding.
///
/// Printed as one line, so that editors and `grep` can use it:
///
/// ```text
/// error: config.toml:12:10: server.listen: "localhost" is not an address and port; write "127.0.0.1:10000"
/// error: PORT: server.listen: "http" is not a port; write a number from 0 to 65535
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The configuration file, or the `.env` file, as it was named to us.
    pub file: PathBuf,
    /// The line, from 1; `None` if the finding has no place in the file.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The environment variable that the value came from; it then stands in place of the file.
    pub variable: Option<String>,
    /// The key, such as `server.listen`; empty if it concerns no single key.
    pub key: String,
    /// What was found: lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn file_error(file: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            line: None,
            column: None,
            variable: None,
            key: String::new(),
            message: message.into(),
            help: Some(help.into()).filter(|help| !help.is_empty()),
        }
    }

    /// The same finding at a byte offset of the file's text.
    pub(super) fn at(mut self, text: &str, offset: usize) -> Self {
        let (line, column) = position(text, offset);
        self.line = Some(line);
        self.column = Some(column);
        self
    }
}

/// Line and column (in characters), both from 1, of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        match (&self.variable, self.line, self.column) {
            (Some(variable), ..) => write!(f, "{variable}: ")?,
            (None, Some(line), Some(column)) => write!(f, "{}:{line}:{column}: ", self.file.display())?,
            (None, Some(line), None) => write!(f, "{}:{line}: ", self.file.display())?,
            (None, None, _) => write!(f, "{}: ", self.file.display())?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        one_line(&self.message, f)?;
        match &self.help {
            Some(help) => {
                f.write_str("; ")?;
                one_line(help, f)
            }
            None => Ok(()),
        }
    }
}

/// Values may hold line breaks and escape sequences; a finding is one line, and no terminal obeys it.
fn one_line(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write;
    text.chars().try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
}

/// All findings of a configuration that does not load; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// The known word nearest to an unknown one, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let most = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to say about an unknown word: the nearest known one, or all of them.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if known.is_empty() => String::new(),
        None => format!("known here: {}", known.join(", ")),
    }
}
