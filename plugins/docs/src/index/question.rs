//! What a caller asks, as words: some wanted, some required, some not wanted.
//!
//! A small language of our own: words, "phrases", and -words that must not be there. tantivy's parser is not for what
//! strangers write: in its lenient form short texts such as `a:(^` keep it busy for ever (quickwit-oss/tantivy#3032), in
//! its strict one `- *` makes it panic (#3031), and fields, ranges and patterns are nobody's business here.

use tantivy::{
    Term,
    query::{BooleanQuery, Occur, Query, TermQuery},
    schema::{Field, IndexRecordOption},
    tokenizer::TextAnalyzer,
};

use super::{phrase::Phrase, words::Fillers};

/// Most words that are looked for.
const MOST_WORDS: usize = 32;

/// The question asks for nothing that can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuestionError {
    /// No letter, no digit.
    #[error("holds no word to search for; write letters or digits")]
    Empty,
    /// Only what must not be there.
    #[error("only says what must not be there; say as well what to search for")]
    OnlyExcludes,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Question {
    /// Each of these makes a part a better answer; at least one must be there unless something is required.
    wanted: Vec<Words>,
    /// All of these must be there.
    required: Vec<Words>,
    /// None of these may be there.
    excluded: Vec<Words>,
    /// Whether it had more words than are looked for.
    pub(crate) cut: bool,
}

/// Words that stand side by side, as the index has them.
type Words = Vec<String>;

impl Question {
    /// Read a caller's text.
    ///
    /// # Errors
    /// If it asks for nothing.
    pub(super) fn read(text: &str, analyzer: &TextAnalyzer, fillers: &mut Fillers) -> Result<Self, QuestionError> {
        let mut analyzer = analyzer.clone();
        let mut question = Self::default();
        let mut fill: Vec<Words> = Vec::new();
        let mut left = MOST_WORDS;
        for Piece { text, quoted, excluded } in pieces(text) {
            let mut words = Words::new();
            let mut stream = analyzer.token_stream(text);
            while stream.advance() {
                if words.len() == left {
                    question.cut = true;
                    break;
                }
                words.push(stream.token().text.clone());
            }
            left -= words.len();
            let list = match (excluded, quoted) {
                _ if words.is_empty() => continue,
                (true, _) => &mut question.excluded,
                (false, true) => &mut question.required,
                (false, false) if fillers.hold(text) => &mut fill,
                (false, false) => &mut question.wanted,
            };
            if !list.contains(&words) {
                list.push(words);
            }
        }
        if question.wanted.is_empty() && question.required.is_empty() {
            question.wanted = fill;
        }
        match question.wanted.is_empty() && question.required.is_empty() {
            false => Ok(question),
            true if question.excluded.is_empty() => Err(QuestionError::Empty),
            true => Err(QuestionError::OnlyExcludes),
        }
    }

    /// The words whose places are shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().chain(&self.required).flatten().map(String::as_str)
    }

    /// What is looked for in a field, and what scores.
    pub(super) fn query(&self, field: Field) -> Box<dyn Query> {
        let term = |word: &str| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs))
        };
        let side_by_side = |words: &Words| -> Box<dyn Query> {
            match words.as_slice() {
                [word] => term(word),
                words => {
                    let terms = words.iter().map(|word| Term::from_field_text(field, word));
                    Box::new(Phrase::new(terms.collect()))
                }
            }
        };
        let mut single: Vec<&str> = self.wanted.iter().flatten().map(String::as_str).collect();
        single.sort_unstable();
        single.dedup();
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        // `docs_search` is two words, and better side by side.
        clauses.extend(single.into_iter().map(|word| (Occur::Should, term(word))));
        clauses.extend(self.wanted.iter().filter(|words| words.len() > 1).map(|w| (Occur::Should, side_by_side(w))));
        clauses.extend(self.required.iter().map(|words| (Occur::Must, side_by_side(words))));
        clauses.extend(self.excluded.iter().map(|words| (Occur::MustNot, side_by_side(words))));
        Box::new(BooleanQuery::new(clauses))
    }
}

/// A word of a text, or what stands in quotation marks.
#[derive(Debug, PartialEq)]
struct Piece<'a> {
    text: &'a str,
    quoted: bool,
    excluded: bool,
}

/// The pieces of a text. A quotation mark that is not closed goes on to the end.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let bare = rest.strip_prefix('-').filter(|bare| bare.starts_with(|c: char| c == '"' || c.is_alphanumeric()));
        let excluded = bare.is_some();
        rest = bare.unwrap_or(rest);
        let (text, quoted, after) = match rest.strip_prefix('"') {
            Some(quote) => {
                let (text, after) = quote.split_once('"').unwrap_or((quote, ""));
                (text, true, after)
            }
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
                (&rest[..end], false, &rest[end..])
            }
        };
        rest = after;
        Some(Piece { text, quoted, excluded })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{index::words, settings::Language};

    fn read(text: &str) -> Result<Question, QuestionError> {
        let language = Language::English;
        Question::read(text, &words::analyzer(language), &mut Fillers::of(language))
    }

    fn lists(question: &Question) -> [Vec<String>; 3] {
        [&question.wanted, &question.required, &question.excluded]
            .map(|list| list.iter().map(|words| words.join(" ")).collect())
    }

    #[test]
    fn words_phrases_and_exclusions_are_told_apart() {
        let cases: [(&str, [&[&str]; 3]); 9] = [
            ("How, to write a plugin?", [&["write", "plugin"], &[], &[]]),
            ("\"access token\" expires", [&["expir"], &["access token"], &[]]),
            ("search -web -\"dead letter\"", [&["search"], &[], &["web", "dead letter"]]),
            ("docs_search", [&["doc search"], &[], &[]]),
            ("the", [&["the"], &[], &[]]),
            ("plugin plugins PLUGIN", [&["plugin"], &[], &[]]),
            ("\"not closed", [&[], &["not close"], &[]]),
            ("--flag - x", [&["flag", "x"], &[], &[]]),
            ("field:[a TO *] ~2 ^3 (b", [&["field a", "2", "3", "b"], &[], &[]]),
        ];
        for (text, expected) in cases {
            let question = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                lists(&question),
                expected.map(|list| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_question_for_nothing_is_refused() {
        for text in ["", " ", "?!", "\"\"", "- -- \"-\"", "*", "a:(^".get(1..).unwrap_or_default(), "\u{202e}"] {
            assert_eq!(read(text), Err(QuestionError::Empty), "{text:?}");
        }
        assert_eq!(read("-web -\"a b\""), Err(QuestionError::OnlyExcludes));
    }

    #[test]
    fn only_so_many_words_are_looked_for() {
        let many: Vec<String> = (0..100).map(|n| format!("word{n}")).collect();
        let question = read(&many.join(" ")).expect("a question");
        assert!(question.cut);
        assert_eq!(question.shown().count(), MOST_WORDS);
        assert!(!read("a few words").expect("a question").cut);
    }

    proptest! {
        #[test]
        fn every_text_is_read(text in "\\PC{0,300}|[-\" a-c:*()^~\\[\\]{}]{0,60}") {
            if let Ok(question) = read(&text) {
                prop_assert!(question.shown().count() <= MOST_WORDS);
                let _ = question.query(Field::from_field_id(0));
            }
        }
    }
}
