//! reStructuredText: sections as docutils has them, a line of punctuation below the title or on both sides of it. Levels
//! are told by the order in which their styles come first.
//!
//! No crate reads the whole language and says on which lines; sections are all that is needed, and they are plain.

use super::outline::{Heading, Outline, of_lines};

/// How a section's title is adorned: the character, and whether above as well.
type Style = (char, bool);

pub(super) fn read(text: &str) -> Outline {
    let lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    let mut styles: Vec<Style> = Vec::new();
    let mut headings = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let Some((title, style, below)) = section(&lines, index) else {
            index += 1;
            continue;
        };
        let level = styles.iter().position(|known| *known == style).unwrap_or_else(|| {
            styles.push(style);
            styles.len() - 1
        });
        let level = u8::try_from(level + 1).unwrap_or(u8::MAX);
        headings.push(Heading { index, lines: below + 1 - index, level, words: title.trim().to_owned() });
        index = below + 1;
    }
    of_lines(text, None, &headings)
}

/// The section whose title, or the line above it, is at `index`: its title, its style, and the index of the line below.
fn section<'a>(lines: &[&'a str], index: usize) -> Option<(&'a str, Style, usize)> {
    let line = |index: usize| lines.get(index).copied().unwrap_or_default();
    let above = if index == 0 { "" } else { line(index - 1) };
    if let Some(mark) = adornment(line(index)) {
        let title = line(index + 1);
        let fits = adornment(line(index + 2)) == Some(mark)
            && line(index + 2) == line(index)
            && !title.trim().is_empty()
            && width(line(index)) >= width(title.trim());
        return fits.then_some((title, (mark, true), index + 2));
    }
    let title = line(index);
    // An indented line is quoted or literal; one that goes on from the line above is a paragraph's.
    if title.is_empty() || title.starts_with(char::is_whitespace) || !above.is_empty() {
        return None;
    }
    let below = line(index + 1);
    let mark = adornment(below).filter(|_| width(below) >= width(title))?;
    Some((title, (mark, false), index + 1))
}

/// The character of a line that is that character alone, at least twice.
fn adornment(line: &str) -> Option<char> {
    let mark = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() > 1 && line.chars().all(|c| c == mark)).then_some(mark)
}

fn width(text: &str) -> usize {
    text.chars().count()
}
