//! Text that strangers chose, made fit to stand on a page that people decide by.
//!
//! Escaping is the templates' work. Here is what escaping leaves: characters that are not seen, that turn the
//! direction of what follows, or that paint over their surroundings, and text without end.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Most marks on one letter; living scripts use fewer.
const MAX_MARKS: usize = 4;

/// One line of visible text, at most so many characters and an ellipsis; `None` if nothing visible is left.
pub(super) fn line(text: &str, limit: usize) -> Option<String> {
    let mut line = String::new();
    let (mut length, mut marks) = (0, 0);
    for c in text.chars() {
        let c = match kind(c) {
            Kind::Hidden => continue,
            Kind::Mark if marks == MAX_MARKS || length == 0 => continue,
            Kind::Blank if line.is_empty() || line.ends_with(' ') => continue,
            Kind::Mark => {
                marks += 1;
                line.push(c);
                continue;
            }
            Kind::Blank => ' ',
            Kind::Visible => c,
        };
        if length == limit {
            line.push('…');
            break;
        }
        line.push(c);
        length += 1;
        marks = 0;
    }
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

enum Kind {
    Visible,
    Mark,
    Blank,
    Hidden,
}

fn kind(c: char) -> Kind {
    use GeneralCategory::{
        Control, EnclosingMark, Format, LineSeparator, NonspacingMark, ParagraphSeparator, PrivateUse, SpaceSeparator,
        SpacingMark, Surrogate, Unassigned,
    };
    match c {
        // Letters and marks by category, but nothing is seen of them.
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => {
            return Kind::Blank;
        }
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => return Kind::Hidden,
        '\t' | '\n' | '\r' => return Kind::Blank,
        _ => {}
    }
    match get_general_category(c) {
        Control | Format | PrivateUse | Surrogate | Unassigned => Kind::Hidden,
        SpaceSeparator | LineSeparator | ParagraphSeparator => Kind::Blank,
        NonspacingMark | EnclosingMark | SpacingMark => Kind::Mark,
        _ => Kind::Visible,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_goes_and_what_is_stays() {
        let cases = [
            ("Claude Code", Some("Claude Code")),
            ("  a \t\n b  ", Some("a b")),
            ("\u{202e}edoC edualC\u{202c}", Some("edoC edualC")),
            ("\u{2066}x\u{2069}\u{200f}\u{61c}", Some("x")),
            ("Cla\u{200b}ude\u{feff}\u{ad}", Some("Claude")),
            ("tag\u{e0041}\u{e0042}", Some("tag")),
            ("a\u{1b}[31mb\u{0}\u{9b}", Some("a[31mb")),
            ("a\u{2028}b\u{3000}c\u{a0}d", Some("a b c d")),
            ("a\u{3164}\u{3164}b", Some("a b")),
            ("\u{e000}\u{f8ff}a", Some("a")),
            ("z\u{335}\u{336}\u{337}\u{338}\u{339}\u{33a}", Some("z\u{335}\u{336}\u{337}\u{338}")),
            ("\u{335}\u{336}z", Some("z")),
            ("e\u{301}te\u{301}", Some("e\u{301}te\u{301}")),
            ("שלום", Some("שלום")),
            ("編集者", Some("編集者")),
            ("बेटा", Some("बेटा")),
            ("👩🔬", Some("👩🔬")),
            ("", None),
            ("\u{200b} \u{3164}\u{202e}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text, 40).as_deref(), expected, "{text:?}");
        }
        assert_eq!(line("abcdef", 3).as_deref(), Some("abc…"));
        assert_eq!(line("abc", 3).as_deref(), Some("abc"));
        assert_eq!(line("ab \u{202e} ", 3).as_deref(), Some("ab"));
    }

    proptest! {
        #[test]
        fn a_line_is_bounded_and_stays_what_it_is(text in "\\PC{0,60}|[\\s\\S]{0,60}") {
            let Some(once) = line(&text, 20) else { return Ok(()) };
            prop_assert!(once.chars().count() <= 21 * (1 + MAX_MARKS));
            prop_assert!(!once.contains(|c: char| c.is_control()));
            prop_assert_eq!(line(&once, 21), Some(once));
        }
    }
}
