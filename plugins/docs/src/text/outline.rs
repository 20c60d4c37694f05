//! What a reader makes of a text: headings in their levels become the paths that parts stand under.

use super::{LONGEST_HEADING, clean, parts::Part, parts::Parts};

/// What a reader has read.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// What the document calls itself.
    pub(super) title: Option<String>,
    pub(super) parts: Vec<Part>,
}

/// A heading of a text: its first line, counted from 0, how many lines it takes, how deep it is, and its words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heading {
    pub(super) index: usize,
    pub(super) lines: usize,
    pub(super) level: u8,
    pub(super) words: String,
}

/// The headings that stand above the current place.
#[derive(Debug, Default)]
pub(super) struct Stack {
    above: Vec<(u8, String)>,
    title: Option<String>,
}

impl Stack {
    /// Under this title, which the paths need not say again.
    pub(super) fn under(title: Option<String>) -> Self {
        Self { above: Vec::new(), title }
    }

    /// A heading begins: a new section.
    pub(super) fn enter(&mut self, level: u8, words: &str, parts: &mut Parts) {
        let deeper = self.above.last().is_some_and(|(above, _)| *above < level);
        self.above.retain(|(above, _)| *above < level);
        self.above.push((level, clean::line(words, LONGEST_HEADING)));
        let names = self.above.iter().map(|(_, words)| words.as_str()).filter(|words| !words.is_empty());
        let names: Vec<&str> = names.collect();
        let names = match (names.as_slice(), &self.title) {
            ([first, rest @ ..], Some(title)) if first == title => rest,
            (names, _) => names,
        };
        parts.section(names.join(" › "), deeper);
    }
}

/// A text whose lines stay as they are, under its headings. Without a title of its own it takes that of its first
/// heading of the highest level.
pub(super) fn of_lines(text: &str, title: Option<String>, headings: &[Heading]) -> Outline {
    let top = headings.iter().map(|heading| heading.level).min();
    let named = headings.iter().find(|heading| Some(heading.level) == top);
    let title = title.or_else(|| named.map(|heading| heading.words.clone()));
    let title = title.map(|title| clean::line(&title, LONGEST_HEADING)).filter(|title| !title.is_empty());
    let mut stack = Stack::under(title.clone());
    let mut parts = Parts::default();
    let mut headings = headings.iter().peekable();
    let mut until = 0;
    for (index, line) in text.split('\n').enumerate() {
        while let Some(heading) = headings.next_if(|heading| heading.index <= index) {
            stack.enter(heading.level, &heading.words, &mut parts);
            until = heading.index + heading.lines;
        }
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if index < until { parts.heading_line(number, line) } else { parts.line(number, line) }
    }
    Outline { title, parts: parts.finish() }
}

/// Finds the line that a place in a text is on, counted from 0. Places must not go back.
pub(super) struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, at: 0, line: 0 }
    }

    pub(super) fn at(&mut self, place: usize) -> usize {
        let place = place.clamp(self.at, self.text.len());
        self.line += self.text.as_bytes()[self.at..place].iter().filter(|byte| **byte == b'\n').count();
        self.at = place;
        self.line
    }
}
