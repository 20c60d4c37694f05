//! Text from outside: invisible characters stripped, length bounded.

/// Whether a character has no place in text that people and models read: control characters (line feed and tab
/// excepted), direction overrides, and invisible characters that hide text from people but not from models.
pub(crate) fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => c.is_control(),
    }
}

/// Clean text of at most `limit` bytes, and whether something was cut off.
pub(crate) fn clean(text: &str, limit: usize) -> (String, bool) {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars().filter(|c| !is_hidden(*c)) {
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
    for c in text.chars() {
        let blank = c.is_whitespace();
        if !blank && is_hidden(c) || blank && (out.is_empty() || out.ends_with(' ')) {
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

/// How much text may still be given.
#[derive(Debug)]
pub(crate) struct Budget {
    per_source: usize,
    left: usize,
    cut: bool,
}

impl Budget {
    /// So many bytes for each text, so many for all.
    pub(crate) fn new(per_source: usize, total: usize) -> Self {
        Self { per_source, left: total, cut: false }
    }

    /// Clean text within the budget, and whether something was cut off.
    pub(crate) fn take(&mut self, text: &str) -> (String, bool) {
        let (text, cut) = clean(text, self.per_source.min(self.left));
        self.left -= text.len();
        self.cut |= cut;
        (text, cut)
    }

    /// Whether anything was cut off so far.
    pub(crate) fn cut(&self) -> bool {
        self.cut
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
    fn a_budget_is_spent_in_order() {
        let mut budget = Budget::new(4, 6);
        assert_eq!(budget.take("abcdef"), ("abcd".into(), true));
        assert_eq!(budget.take("ab"), ("ab".into(), false));
        assert_eq!(budget.take("x"), (String::new(), true));
        assert!(budget.cut());
    }
}
