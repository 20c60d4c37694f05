//! From a file's bytes to a document: a title and parts under headings, each with its lines.
//!
//! One file a format. Pure functions over bytes that anybody may have written; they open nothing and know no index.

mod clean;
mod html;
mod kind;
mod markdown;
mod outline;
mod parts;
mod plain;
mod rst;
mod source;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    clean::{is_hidden, line},
    kind::Kind,
    parts::Part,
};

/// Longest title and heading, in bytes.
pub(crate) const LONGEST_HEADING: usize = 200;

/// A document as it is found and fetched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// What it calls itself, or else its file's name.
    pub(crate) title: String,
    /// Its parts, in their order; none of an empty one.
    pub(crate) parts: Vec<Part>,
    /// How many lines the file has.
    pub(crate) lines: u32,
    /// Whether some of its bytes were no UTF-8; they are shown as U+FFFD.
    pub(crate) lossy: bool,
}

/// Read a file of this kind; `name` is the file's. None of one that holds no text.
pub(crate) fn read(kind: Kind, name: &str, bytes: &[u8]) -> Option<Document> {
    let clean::Clean { text, lossy } = clean::decode(bytes)?;
    let outline = match kind {
        Kind::Markdown => markdown::read(&text),
        Kind::Text => plain::read(&text),
        Kind::Html => html::read(&text),
        Kind::Rst => rst::read(&text),
        Kind::Source => source::read(&text, name),
    };
    let title = line(outline.title.as_deref().unwrap_or_default(), LONGEST_HEADING);
    let title = if title.is_empty() { name.to_owned() } else { title };
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    Some(Document { title, parts: outline.parts, lines, lossy })
}
