//! Sections cut into parts: what is found, cited and read at once.
//!
//! A part never crosses a heading. It ends before a blank line if there is one in its later half, otherwise before a
//! line, and only within a line that is longer than a part may be.

/// How long a part may grow before it ends at the next good place, and at the latest; in bytes.
const GOOD: usize = 1200;
const MOST: usize = 2400;

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Part {
    /// The headings that it stands under, outermost first; empty before the first.
    pub(crate) heading: String,
    /// Its first and its last line in the file, from 1.
    pub(crate) line: u32,
    pub(crate) last: u32,
    /// Its text.
    pub(crate) body: String,
}

/// Puts parts together, line by line.
#[derive(Debug, Default)]
pub(super) struct Parts {
    done: Vec<Part>,
    heading: String,
    open: Part,
    /// Whether the open part is but headings so far.
    bare: bool,
    /// Where in the open part's text the last blank line ended, and the number of the line after it.
    break_at: Option<(usize, u32)>,
}

impl Parts {
    /// A new section begins. If it is within the one before and that one is but its heading, they stand together.
    pub(super) fn section(&mut self, heading: String, within: bool) {
        if !(within && self.bare && self.open.body.len() < GOOD / 2) {
            self.close();
        }
        self.bare = true;
        self.heading = heading;
    }

    /// A line of a heading.
    pub(super) fn heading_line(&mut self, number: u32, text: &str) {
        let bare = self.bare;
        self.line(number, text);
        self.bare = bare;
    }

    /// The next line of the file, or of what was read out of it: `number` never goes back.
    pub(super) fn line(&mut self, number: u32, text: &str) {
        if text.trim().is_empty() {
            // A part begins with something.
            if !self.open.body.is_empty() {
                self.open.body.push('\n');
                self.open.last = number;
                self.break_at = Some((self.open.body.len(), number + 1));
            }
            return;
        }
        self.bare = false;
        if self.open.body.len() + text.len() > MOST || self.open.body.len() >= GOOD {
            self.cut();
        }
        if self.open.body.len() + text.len() > MOST {
            self.close();
        }
        let mut rest = text;
        while rest.len() > MOST {
            let (piece, after) = rest.split_at(good_end(rest));
            self.push(number, piece);
            self.close();
            rest = after;
        }
        self.push(number, rest);
    }

    /// End the part here, whatever comes next.
    pub(super) fn close(&mut self) {
        let part = std::mem::take(&mut self.open);
        self.break_at = None;
        if !part.body.is_empty() {
            self.done.push(Part { heading: self.heading.clone(), ..part });
        }
    }

    /// All parts, in their order.
    pub(super) fn finish(mut self) -> Vec<Part> {
        self.close();
        self.done
    }

    fn push(&mut self, number: u32, text: &str) {
        if self.open.body.is_empty() {
            self.open.line = number;
        } else {
            self.open.body.push('\n');
        }
        self.open.body.push_str(text);
        self.open.last = number;
    }

    /// End the open part at its last blank line, if that leaves it long enough; what follows begins the next one.
    fn cut(&mut self) {
        match self.break_at {
            Some((at, next)) if at >= GOOD / 2 && at < self.open.body.len() => {
                let body = self.open.body.split_off(at);
                let (line, last) = (next, self.open.last);
                self.open.last = next - 1;
                self.close();
                // What follows a blank line begins with the line break that set it off.
                let body = body.trim_start_matches('\n').to_owned();
                self.open = Part { line, last, body, heading: String::new() };
            }
            _ if self.open.body.len() >= GOOD => self.close(),
            _ => {}
        }
    }
}

/// Where a line that is too long is best cut: after a blank in its later half, or else between two characters.
fn good_end(text: &str) -> usize {
    let most = (0..=MOST).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let blank = text[..most].rfind(char::is_whitespace).filter(|at| *at >= MOST / 2);
    blank.map_or(most, |at| at + text[at..].chars().next().map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<Part> {
        let mut parts = Parts::default();
        for (number, line) in (1..).zip(text.split('\n')) {
            parts.line(number, line);
        }
        parts.finish()
    }

    /// The text again, from its parts.
    fn joined(parts: &[Part]) -> String {
        let mut out = String::new();
        let mut last = 0;
        for part in parts {
            // A part that begins on the line on which another ends goes on with it.
            if last != 0 && part.line > last {
                out.push('\n');
            }
            out.push_str(&part.body);
            last = part.last;
        }
        out
    }

    #[test]
    fn short_text_is_one_part_that_begins_with_its_first_word() {
        let found = parts("\n\n  one\ntwo\n\nthree\n");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].body.trim_end()), (3, "  one\ntwo\n\nthree"));
    }

    #[test]
    fn long_text_is_cut_at_blank_lines_and_nothing_is_lost() {
        let paragraph = "word ".repeat(60).trim_end().to_owned();
        let text = vec![paragraph; 40].join("\n\n");
        let found = parts(&text);
        assert!(found.len() > 5, "{}", found.len());
        assert_eq!(joined(&found), text);
        for part in &found {
            assert!(part.body.len() <= MOST + 2, "{}", part.body.len());
            assert!(part.body.starts_with("word"), "begins with a paragraph");
            let line = text.split('\n').nth(part.line as usize - 1).expect("its line");
            assert!(part.body.starts_with(line), "line {} is where it begins", part.line);
        }
    }

    #[test]
    fn a_line_longer_than_a_part_is_cut_between_words() {
        let text = "ä word ".repeat(2000);
        let found = parts(&text);
        assert!(found.len() > 3);
        assert_eq!(joined(&found), text);
        assert!(found.iter().all(|part| (part.line, part.last) == (1, 1)));
        assert!(found.iter().all(|part| part.body.ends_with(' ')), "no word is cut");
    }
}
