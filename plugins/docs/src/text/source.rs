//! Source files: their comments as text, and nothing of the code but the name of what a comment stands above.
//!
//! A scanner that knows how comments and strings are written in families of languages. It does not parse: what it takes
//! for a comment may be the end of a line of code in rare cases (a regular expression with `//` in it).

use super::{
    kind::{Quote, Syntax},
    outline::Outline,
    parts::Parts,
};

/// Words that name what follows them.
const NAMING: [&str; 19] = [
    "class",
    "const",
    "def",
    "defmodule",
    "enum",
    "fn",
    "func",
    "function",
    "impl",
    "interface",
    "macro_rules!",
    "mod",
    "module",
    "package",
    "record",
    "struct",
    "trait",
    "type",
    "union",
];

pub(super) fn read(text: &str, name: &str) -> Outline {
    let Some(syntax) = Syntax::of(name) else { return Outline::default() };
    let lines: Vec<&str> = text.split('\n').collect();
    let comments = comments(text, &syntax);
    let mut parts = Parts::default();
    let mut comments = comments.into_iter().peekable();
    // Comments on lines that follow one another are one, and named by what comes next.
    while let Some((first, words)) = comments.next() {
        let mut block = vec![(first, words)];
        while let Some(next) = comments.next_if(|(line, _)| block.last().is_some_and(|(last, _)| *line <= last + 1)) {
            block.push(next);
        }
        let last = block.last().map_or(first, |(line, _)| *line);
        parts.section(named(&lines, last).unwrap_or_default(), false);
        for (line, words) in block {
            parts.line(u32::try_from(line + 1).unwrap_or(u32::MAX), words.trim_end());
        }
    }
    Outline { title: None, parts: parts.finish() }
}

/// What the code after a comment declares, such as `fn read`: of that line only a word for what it is and its name.
fn named(lines: &[&str], comment: usize) -> Option<String> {
    let ahead = lines.iter().skip(comment + 1).take(4).map(|line| line.trim());
    // Attributes and decorators stand in between.
    let code = ahead.into_iter().find(|line| !line.starts_with(['#', '@', '[']))?;
    let kind = code.split_whitespace().find(|word| NAMING.contains(word))?;
    let after = code.split_once(kind)?.1.trim_start();
    // Go's receiver and Rust's generics stand before the name.
    let after = [('(', ')'), ('<', '>')]
        .into_iter()
        .find_map(|(open, close)| {
            after.starts_with(open).then(|| after.split_once(close).map_or("", |(_, after)| after.trim_start()))
        })
        .unwrap_or(after);
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.').collect();
    (1..=80).contains(&name.len()).then(|| format!("{kind} {name}"))
}

/// Each line of a comment, with its index.
fn comments(text: &str, syntax: &Syntax) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut scan = Scan { rest: text, line: 0, before: '\n', begins_line: true };
    if text.starts_with("#!/") {
        // For the system, not for readers.
        scan.skip(text.find('\n').unwrap_or(text.len()));
    }
    while let Some(next) = scan.rest.chars().next() {
        // The longest first: a block may begin as a line's comment does.
        if let Some((open, close)) = syntax.block.iter().find(|(open, _)| scan.rest.starts_with(open)) {
            scan.skip(open.len());
            scan.block(open, close, syntax.nested, &mut found);
        } else if let Some(mark) = syntax.line.iter().find(|mark| scan.comments(mark)) {
            scan.skip(mark.len());
            scan.line_comment(mark, &mut found);
        } else if let Some(quote) = syntax.strings.iter().find(|quote| scan.rest.starts_with(quote.mark)) {
            scan.string(quote, &mut found);
        } else if syntax.raw && scan.raw_string() {
        } else if syntax.characters && next == '\'' {
            scan.character();
        } else {
            scan.skip(next.len_utf8());
        }
    }
    found
}

struct Scan<'a> {
    rest: &'a str,
    line: usize,
    /// The character before.
    before: char,
    /// Whether nothing but blanks stands before on this line.
    begins_line: bool,
}

impl<'a> Scan<'a> {
    fn skip(&mut self, bytes: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        for c in skipped.chars() {
            self.before = c;
            if c == '\n' {
                self.line += 1;
                self.begins_line = true;
            } else if !c.is_whitespace() {
                self.begins_line = false;
            }
        }
        skipped
    }

    /// Whether a comment begins here: `a#b`, `${#a}` and `http://` hold none.
    fn comments(&self, mark: &str) -> bool {
        let apart = if mark == "//" { self.before != ':' } else { self.before.is_whitespace() };
        apart && self.rest.starts_with(mark)
    }

    /// Skip a string such as `r#"…"#`, if there is one.
    fn raw_string(&mut self) -> bool {
        if self.before.is_alphanumeric() && !matches!(self.before, 'b' | 'c') || self.before == '_' {
            return false;
        }
        let Some(after) = self.rest.strip_prefix('r') else { return false };
        let hashes = after.len() - after.trim_start_matches('#').len();
        if !after[hashes..].starts_with('"') {
            return false;
        }
        let content = 1 + hashes + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = self.rest[content..].find(&close).map_or(self.rest.len(), |at| content + at + close.len());
        self.skip(end);
        true
    }

    fn line_comment(&mut self, mark: &str, found: &mut Vec<(usize, String)>) {
        let line = self.line;
        let words = self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        // `///`, `//!`, `##`, `;;;`: more of the same, or what marks documentation.
        let more = mark.chars().next().unwrap_or_default();
        let words = words.trim_start_matches([more, '!']);
        found.push((line, words.strip_prefix(' ').unwrap_or(words).to_owned()));
    }

    fn block(&mut self, open: &str, close: &str, nested: bool, found: &mut Vec<(usize, String)>) {
        let line = self.line;
        let (mut depth, mut at) = (1, 0);
        // One look at each character, whatever stands in it.
        while depth > 0 {
            let ahead = &self.rest[at..];
            let Some(c) = ahead.chars().next() else { break };
            at += if ahead.starts_with(close) {
                depth -= 1;
                close.len()
            } else if nested && ahead.starts_with(open) {
                depth += 1;
                open.len()
            } else {
                c.len_utf8()
            };
        }
        let words = self.skip(at);
        let words = words.strip_suffix(close).unwrap_or(words).trim_start_matches(['*', '!']);
        push_lines(line, words, found);
    }

    fn string(&mut self, quote: &Quote, found: &mut Vec<(usize, String)>) {
        let (line, documents) = (self.line, quote.documents && self.begins_line);
        self.skip(quote.mark.len());
        let mut at = 0;
        let end = loop {
            let Some(c) = self.rest[at..].chars().next() else { break at };
            if self.rest[at..].starts_with(quote.mark) {
                break at;
            }
            // One that does not end on its line was none.
            if c == '\n' && !quote.lines {
                break at;
            }
            at += c.len_utf8();
            if c == '\\' && quote.escapes {
                at += self.rest[at..].chars().next().filter(|c| *c != '\n' || quote.lines).map_or(0, char::len_utf8);
            }
        };
        let words = self.skip(end);
        if self.rest.starts_with(quote.mark) {
            self.skip(quote.mark.len());
        }
        if documents {
            push_lines(line, words, found);
        }
    }

    /// `'"'` is a character, `'a` is none.
    fn character(&mut self) {
        let mut chars = self.rest.char_indices().skip(1);
        let closes = match chars.next() {
            Some((_, '\\')) => chars.skip(1).take(10).find(|(_, c)| *c == '\'' || *c == '\n'),
            Some((_, c)) if c != '\n' && c != '\'' => chars.next(),
            _ => None,
        };
        let end = closes.filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1);
        self.skip(end);
    }
}

/// The lines of a comment, without the stars that some put before each.
fn push_lines(first: usize, words: &str, found: &mut Vec<(usize, String)>) {
    for (index, words) in words.split('\n').enumerate() {
        let bare = words.trim_start();
        let starred = bare.strip_prefix("* ").or_else(|| bare.strip_prefix('*').filter(|rest| rest.is_empty()));
        let words = if index == 0 { words.strip_prefix(' ').unwrap_or(words) } else { words };
        found.push((first + index, starred.unwrap_or(words).to_owned()));
    }
}
