//! From bytes to text that can be shown: decoded, line ends made one, and rid of what hides.
//!
//! Lines stay what they are, so that a line number means the same before and after.

use std::borrow::Cow;

/// How much of a file is looked at for zero bytes.
const HEAD: usize = 8 * 1024;

/// Text that can be shown, and whether it had bytes that are no UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clean {
    pub(super) text: String,
    pub(super) lossy: bool,
}

/// The text of a file; none of one that is no text.
pub(super) fn decode(bytes: &[u8]) -> Option<Clean> {
    // As git and ripgrep tell: text has no zero bytes. (UTF-16 has, and is not read.)
    if bytes[..bytes.len().min(HEAD)].contains(&0) {
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let decoded = String::from_utf8_lossy(bytes);
    let lossy = matches!(decoded, Cow::Owned(_));
    Some(Clean { text: clean(&decoded), lossy })
}

/// Whether a character has no place in text that people and models read: control characters (line feed and tab
/// excepted), direction overrides, and invisible characters that hide text from people but not from models.
pub(crate) fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}'
        | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => c.is_control(),
    }
}

/// Text without what hides, its line ends made one.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            c if is_hidden(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// The same on one line, blanks run together, at most `limit` bytes long; an ellipsis says that it was cut.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        let blank = c.is_whitespace();
        if !blank && is_hidden(c) || blank && (out.is_empty() || out.ends_with(' ')) {
            continue;
        }
        if out.len() + c.len_utf8() > limit {
            out.truncate(out.trim_end().len());
            out.push('…');
            return out;
        }
        out.push(if blank { ' ' } else { c });
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_taken_out_and_lines_stay() {
        let cases: [(&[u8], &str); 8] = [
            (b"one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
            (b"\xef\xbb\xbfmark", "mark"),
            (b"a\x1b[31mb\x07", "a[31mb"),
            ("\u{202e}evil\u{202c} \u{2066}x\u{2069}".as_bytes(), "evil x"),
            ("zero\u{200b}width\u{e0041}".as_bytes(), "zerowidth"),
            ("a\u{2028}b".as_bytes(), "ab"),
            ("emoji 👩\u{200d}🔬 and\ttab".as_bytes(), "emoji 👩\u{200d}🔬 and\ttab"),
            (b"", ""),
        ];
        for (given, expected) in cases {
            let clean = decode(given).expect("text");
            assert_eq!((clean.text.as_str(), clean.lossy), (expected, false), "{given:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_told_and_zero_bytes_are_no_text() {
        assert_eq!(decode(b"caf\xe9"), Some(Clean { text: "caf\u{fffd}".into(), lossy: true }));
        assert_eq!(decode(b"\x7fELF\x00\x01"), None);
        assert_eq!(decode(b"h\x00i\x00"), None);
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(line("  a \n\t b\u{202e} ", 10), "a b");
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("äöü", 3), "ä…");
        assert_eq!(line("ab cd", 3), "ab…");
    }
}
