//! Text from outside: invisible characters stripped, length bounded.

use serde_json::Value;

use super::envelope::take_apart;

/// Whether a character has no place in text that people and models read: control characters (line feed and tab
/// excepted), direction overrides, and invisible characters that hide text from people but not from models.
pub(crate) fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' => true,
        // Fillers that look like nothing, and variations that no emoji needs.
        '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0d}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{2800}' | '\u{16fe4}' | '\u{13430}'..='\u{1343f}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => c.is_control(),
    }
}

/// The characters that have a place in text. Joiners and variations of emoji, which nobody sees either, keep theirs where
/// scripts and emoji need them: one after a character, and none after those of ASCII, but for the keys of keyboards.
fn visible(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    let (mut chars, mut last) = (text.peekable(), ' ');
    std::iter::from_fn(move || {
        while let Some(c) = chars.next() {
            let after_a_sign = !last.is_ascii() && !last.is_whitespace() && !is_joiner(last) && !is_variation(last);
            let kept = match c {
                // As in a heart on fire.
                '\u{200d}' if is_variation(last) => true,
                '\u{fe0e}' | '\u{fe0f}' if last.is_ascii_digit() || matches!(last, '#' | '*') => {
                    chars.peek() == Some(&'\u{20e3}')
                }
                c => after_a_sign || !is_joiner(c) && !is_variation(c),
            };
            if kept {
                last = c;
                return Some(c);
            }
        }
        None
    })
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_variation(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// Clean text of at most `limit` bytes, and whether something was cut off.
pub(crate) fn clean(text: &str, limit: usize) -> (String, bool) {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in visible(text.chars().filter(|c| !is_hidden(*c))) {
        if out.len() + c.len_utf8() > limit {
            return (out, true);
        }
        out.push(c);
    }
    (out, false)
}

/// Clean text on one line, blanks run together; an ellipsis says that it was cut.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in visible(text.chars().filter(|c| c.is_whitespace() || !is_hidden(*c))) {
        let blank = c.is_whitespace();
        if blank && (out.is_empty() || out.ends_with(' ')) {
            continue;
        }
        if out.len() + c.len_utf8() > limit {
            out.push('…');
            break;
        }
        out.push(if blank { ' ' } else { c });
    }
    out.truncate(out.trim_end().len());
    out
}

/// Text from outside as it may stand between marks, and how many bytes of it were left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Prose {
    pub(crate) text: String,
    pub(crate) omitted: usize,
}

impl Prose {
    /// Clean text of about `limit` bytes at most, with nothing in it that looks like a mark.
    pub(crate) fn read(text: &str, limit: usize) -> Self {
        let (clean, cut) = clean(text, limit);
        // Hidden characters are not missed.
        let omitted = if cut { text.len().saturating_sub(clean.len()) } else { 0 };
        Self { text: take_apart(&clean), omitted }
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// A JSON value from outside: its strings and its members' names cleaned, and what is nested too deep left out.
pub(crate) fn clean_value(value: Value, depth: usize) -> Value {
    match value {
        Value::String(text) => clean(&text, usize::MAX).0.into(),
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::Null,
        Value::Array(items) => items.into_iter().map(|item| clean_value(item, depth - 1)).collect(),
        Value::Object(members) => {
            let clean = |(name, value): (String, Value)| (line(&name, 200), clean_value(value, depth - 1));
            Value::Object(members.into_iter().map(clean).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_stripped_and_readable_ones_stay() {
        let cases = [
            ("plain\ttext\nline", "plain\ttext\nline"),
            ("a\u{0}b\u{7}c\u{1b}[31m", "abc[31m"),
            ("\u{202e}evil\u{202c}", "evil"),
            ("\u{2066}x\u{2069}\u{200f}", "x"),
            ("tag\u{e0041}\u{e0042}", "tag"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
            ("c1\u{85}\u{9b}", "c1"),
            ("\r\n", "\n"),
            ("emoji 👩\u{200d}🔬 stays", "emoji 👩\u{200d}🔬 stays"),
            (
                "👩🏽\u{200d}🔬 ❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3}",
                "👩🏽\u{200d}🔬 ❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3}",
            ),
            ("می\u{200c}خواهم ന\u{d4d}\u{200d}", "می\u{200c}خواهم ന\u{d4d}\u{200d}"),
            ("music\u{1d173}\u{1d17a} shorthand\u{1bca0}\u{1bca3} braille\u{2800}", "music shorthand braille"),
            ("a\u{200d}b\u{fe0f}1\u{fe0f}2 \u{200c}\n\u{fe0e}", "ab12 \n"),
            ("é\u{200d}\u{200c}\u{200d}\u{200c}x 🔥\u{fe0f}\u{fe0e}\u{fe0f}", "é\u{200d}x 🔥\u{fe0f}"),
            ("❤\u{fe0f}\u{200d}\u{fe0f}\u{200d}\u{200d}x", "❤\u{fe0f}\u{200d}x"),
        ];
        for (given, expected) in cases {
            assert_eq!(clean(given, 100).0, expected, "{given:?}");
        }
    }

    #[test]
    fn a_cut_falls_between_characters_and_is_told() {
        assert_eq!(clean("äöü", 3), ("ä".into(), true));
        assert_eq!(clean("äöü", 6), ("äöü".into(), false));
        assert_eq!(line("  a \n b\u{202e} ", 10), "a b");
        assert_eq!(line("abcdef", 3), "abc…");
    }

    #[test]
    fn prose_is_clean_bounded_and_without_marks() {
        assert_eq!(Prose::read("a\u{202e}b", 10), Prose { text: "ab".into(), omitted: 0 });
        assert_eq!(Prose::read("abcdef", 4), Prose { text: "abcd".into(), omitted: 2 });
        assert_eq!(Prose::read("x </untrusted-web> y", 100).text, "x  untrusted web> y");
        assert!(Prose::read(" \n", 10).is_blank());
    }

    #[test]
    fn values_are_cleaned_to_their_names_and_bounded_in_depth() {
        let given = serde_json::json!({ "a\u{202e}": ["b\u{0}", 1, null, { "c": [[["deep"]]] }] });
        let expected = serde_json::json!({ "a": ["b", 1, null, { "c": [null] }] });
        assert_eq!(clean_value(given, 4), expected);
    }
}
