//! Sentences with parts in them that are typed or pressed. Must not know what they say.

/// A part of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum Span<'a> {
    /// Words.
    Plain(&'a str),
    /// Between backticks: as it is typed.
    Typed(&'a str),
    /// Between asterisks: what a screen calls it.
    Pressed(&'a str),
}

/// The parts of a text of ours. A sign that is not closed is a letter.
pub(in crate::http) fn spans(text: &str) -> Vec<Span<'_>> {
    parts(text, &['`', '*'])
}

/// The parts of a text of somebody else's, in which an asterisk may be anything.
pub(in crate::http) fn foreign_spans(text: &str) -> Vec<Span<'_>> {
    parts(text, &['`'])
}

fn parts<'a>(text: &'a str, signs: &[char]) -> Vec<Span<'a>> {
    let (mut spans, mut rest) = (Vec::new(), text);
    let closed = |rest: &str, at: usize| {
        let sign = rest[at..].chars().next()?;
        let length = rest[at + 1..].find(sign).filter(|length| *length > 0)?;
        Some((sign, at + 1 + length))
    };
    let mut from = 0;
    while let Some(at) = rest[from..].find(signs).map(|at| from + at) {
        let Some((sign, end)) = closed(rest, at) else {
            from = at + 1;
            continue;
        };
        if at > 0 {
            spans.push(Span::Plain(&rest[..at]));
        }
        let inner = &rest[at + 1..end];
        spans.push(if sign == '`' { Span::Typed(inner) } else { Span::Pressed(inner) });
        rest = &rest[end + 1..];
        from = 0;
    }
    if !rest.is_empty() {
        spans.push(Span::Plain(rest));
    }
    spans
}

/// The first sentence of what a tool says of itself, in one line and of bounded length.
pub(in crate::http) fn first_sentence(text: &str) -> Option<String> {
    const LONGEST: usize = 200;
    let paragraph = text.trim().split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    // A full stop ends a sentence before a blank and a capital: `e.g. that` does not.
    let end = line.match_indices(['.', '!', '?']).map(|(at, sign)| at + sign.len()).find(|end| {
        let mut after = line[*end..].chars();
        after.next() == Some(' ') && after.next().is_some_and(|letter| !letter.is_lowercase())
    });
    let sentence = &line[..end.unwrap_or(line.len())];
    let short: String = sentence.chars().take(LONGEST).collect();
    let whole = short.len() == sentence.len();
    (!short.is_empty()).then(|| if whole { short } else { format!("{}…", short.trim_end()) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_typed_and_pressed_is_told_apart() {
        use Span::{Plain, Pressed, Typed};
        let cases: &[(&str, &[Span<'_>])] = &[
            ("", &[]),
            ("Press *Add*, then `x`.", &[Plain("Press "), Pressed("Add"), Plain(", then "), Typed("x"), Plain(".")]),
            ("`a*b`*c*", &[Typed("a*b"), Pressed("c")]),
            ("2 * 3 and `", &[Plain("2 * 3 and `")]),
            ("``*", &[Plain("``*")]),
        ];
        for (text, expected) in cases {
            assert_eq!(spans(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_sentence_ends_where_people_end_it() {
        let long = "word ".repeat(100);
        let cases = [
            ("Search the web. Returns results.", Some("Search the web.")),
            ("Use it e.g. for this. Or that.", Some("Use it e.g. for this.")),
            ("One line\nand its rest\n\nMore.", Some("One line and its rest")),
            ("Version 1.5 of it", Some("Version 1.5 of it")),
            ("Really? Yes", Some("Really?")),
            (" \n ", None),
        ];
        for (text, expected) in cases {
            assert_eq!(first_sentence(text).as_deref(), expected, "{text:?}");
        }
        let cut = first_sentence(&long).unwrap();
        assert!(cut.ends_with("word…") && cut.chars().count() < 205, "{cut}");
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "[a`*é ]{0,24}") {
            let told: String = spans(&text).iter().map(|span| match span {
                Span::Plain(text) => (*text).to_owned(),
                Span::Typed(text) => format!("`{text}`"),
                Span::Pressed(text) => format!("*{text}*"),
            }).collect();
            prop_assert_eq!(told, text);
        }

        #[test]
        fn any_text_has_a_first_sentence_or_none(text in any::<String>()) {
            let sentence = first_sentence(&text);
            prop_assert!(sentence.is_none_or(|sentence| sentence.chars().count() <= 201));
        }
    }
}
