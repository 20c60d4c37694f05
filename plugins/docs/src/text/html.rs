//! HTML: its text in reading order, under its headings, each piece with the line of the file that it stands on.
//!
//! A tokenizer is enough: nothing here depends on how elements stand in each other, but for those whose text is none.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use super::{
    LONGEST_HEADING, clean,
    outline::{Lines, Outline, Stack},
    parts::Parts,
};

/// Elements whose content is no text for readers.
const SILENT: [&[u8]; 4] = [b"script", b"style", b"template", b"svg"];

/// Elements that begin a new line.
const BLOCKS: [&[u8]; 33] = [
    b"address",
    b"article",
    b"aside",
    b"blockquote",
    b"br",
    b"caption",
    b"dd",
    b"details",
    b"div",
    b"dl",
    b"dt",
    b"fieldset",
    b"figcaption",
    b"figure",
    b"footer",
    b"form",
    b"header",
    b"hr",
    b"li",
    b"main",
    b"nav",
    b"ol",
    b"p",
    b"pre",
    b"section",
    b"summary",
    b"table",
    b"tbody",
    b"td",
    b"th",
    b"thead",
    b"tr",
    b"ul",
];

/// Elements that stay on the line of their row.
const CELLS: [&[u8]; 2] = [b"td", b"th"];

pub(super) fn read(text: &str) -> Outline {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut page = Page::new(text);
    for token in Tokenizer::new_with_emitter(text, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.begin(&tag),
            Token::EndTag(tag) => page.end(&tag.name),
            Token::String(words) => page.words(&words.value, words.span.start),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    page.finish()
}

/// Where words go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Into {
    Text,
    Title,
    Heading(u8),
}

struct Page<'a> {
    lines: Lines<'a>,
    into: Into,
    title: String,
    /// The words of the open heading, and the line it began on.
    heading: (String, u32),
    /// The silent element that is open, and how many of its name stand in it.
    silent: Option<(Vec<u8>, usize)>,
    /// Whether blanks mean what they are.
    preformatted: usize,
    /// The line that is being put together, and the line of the file that it began on.
    line: (String, u32),
    first_heading: Option<String>,
    pieces: Vec<Piece>,
}

enum Piece {
    Heading { level: u8, words: String, line: u32 },
    Line { text: String, line: u32 },
}

impl<'a> Page<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lines: Lines::of(text),
            into: Into::Text,
            title: String::new(),
            heading: Default::default(),
            silent: None,
            preformatted: 0,
            line: Default::default(),
            first_heading: None,
            pieces: Vec::new(),
        }
    }

    fn begin(&mut self, tag: &StartTag<usize>) {
        let name: &[u8] = &tag.name;
        match &mut self.silent {
            Some((open, depth)) => *depth += usize::from(open == name && !tag.self_closing),
            None if SILENT.contains(&name) => {
                if !tag.self_closing {
                    self.silent = Some((name.to_owned(), 0));
                }
            }
            None => {
                if let Some(level) = level(name) {
                    self.end_heading();
                    self.end_line();
                    self.heading = (String::new(), self.line_at(tag.span.start));
                    self.into = Into::Heading(level);
                } else if name == b"title" && self.title.is_empty() {
                    self.into = Into::Title;
                } else if BLOCKS.contains(&name) {
                    self.break_line(name, tag.span.start);
                } else if name == b"img"
                    && let Some(alternative) = tag.attributes.get(&b"alt"[..])
                {
                    let place = tag.span.start;
                    self.words(&alternative.value, place);
                }
                self.preformatted += usize::from(name == b"pre");
            }
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some((open, depth)) = &mut self.silent {
            if open == name {
                match depth.checked_sub(1) {
                    Some(less) => *depth = less,
                    None => self.silent = None,
                }
            }
            return;
        }
        if level(name).is_some() {
            self.end_heading();
        } else if name == b"title" {
            self.into = Into::Text;
        } else if BLOCKS.contains(&name) && !CELLS.contains(&name) {
            self.end_line();
        }
        if name == b"pre" {
            self.preformatted = self.preformatted.saturating_sub(1);
        }
    }

    fn words(&mut self, words: &[u8], place: usize) {
        if self.silent.is_some() {
            return;
        }
        let words = clean::clean(&String::from_utf8_lossy(words));
        match self.into {
            Into::Title => self.title.push_str(&words),
            Into::Heading(_) => self.heading.0.push_str(&words),
            Into::Text if self.preformatted > 0 => {
                let number = self.line_at(place);
                for (index, line) in (0..).zip(words.split('\n')) {
                    if index > 0 {
                        self.end_line();
                    }
                    if self.line.0.is_empty() {
                        self.line.1 = number.saturating_add(index);
                    }
                    self.line.0.push_str(line);
                }
            }
            Into::Text => {
                for (index, word) in words.split(char::is_whitespace).enumerate() {
                    if index > 0 && !self.line.0.is_empty() && !self.line.0.ends_with(' ') {
                        self.line.0.push(' ');
                    }
                    if self.line.0.is_empty() && !word.is_empty() {
                        let ahead = words.find(word).unwrap_or(0);
                        // Characters that were written as references are longer in the file; the line is right still.
                        let number = self.line_at(place);
                        let breaks = words[..ahead].matches('\n').count();
                        self.line.1 = number.saturating_add(u32::try_from(breaks).unwrap_or(0));
                    }
                    self.line.0.push_str(word);
                }
            }
        }
    }

    fn break_line(&mut self, name: &[u8], place: usize) {
        if name != b"br" {
            // A heading that nobody has closed.
            self.end_heading();
        }
        if CELLS.contains(&name) {
            if !self.line.0.trim().is_empty() {
                self.line.0.push_str(" | ");
            }
            return;
        }
        self.end_line();
        if name == b"li" {
            self.line = ("- ".to_owned(), self.line_at(place));
        }
    }

    fn end_heading(&mut self) {
        let Into::Heading(level) = self.into else { return };
        self.into = Into::Text;
        let (words, line) = std::mem::take(&mut self.heading);
        let words = clean::line(&words, LONGEST_HEADING);
        if !words.is_empty() {
            self.first_heading.get_or_insert_with(|| words.clone());
            self.pieces.push(Piece::Heading { level, words, line });
        }
    }

    fn end_line(&mut self) {
        let (text, line) = std::mem::take(&mut self.line);
        let text = text.trim_end();
        if !text.trim().is_empty() && text != "-" {
            self.pieces.push(Piece::Line { text: text.to_owned(), line });
        }
    }

    fn line_at(&mut self, place: usize) -> u32 {
        u32::try_from(self.lines.at(place) + 1).unwrap_or(u32::MAX)
    }

    fn finish(mut self) -> Outline {
        self.end_heading();
        self.end_line();
        let title = clean::line(&self.title, LONGEST_HEADING);
        let title = Some(title).filter(|title| !title.is_empty()).or(self.first_heading);
        let mut stack = Stack::under(title.clone());
        let mut parts = Parts::default();
        for piece in self.pieces {
            match piece {
                Piece::Heading { level, words, line } => {
                    stack.enter(level, &words, &mut parts);
                    parts.heading_line(line, &words);
                }
                Piece::Line { text, line } => parts.line(line, &text),
            }
        }
        Outline { title, parts: parts.finish() }
    }
}

fn level(name: &[u8]) -> Option<u8> {
    match name {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}
