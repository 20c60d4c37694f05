//! From text to the words that are searched for: letters and digits, without case, accents and endings.
//!
//! Scripts that put no blanks between words (Chinese, Japanese) give each character as a word of its own; searching for
//! several looks for them side by side.

use std::str::CharIndices;

use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream,
    Tokenizer, TokenizerManager,
};

use super::schema::ANALYZER;
use crate::settings::Language;

/// Longest word, in bytes. Longer runs of letters are data.
const LONGEST: usize = 64;

/// Words of questions that say nothing about what is asked for, beside those that carry no meaning in any text.
const ASKING: [&str; 24] = [
    "can", "could", "do", "does", "how", "i", "me", "my", "our", "should", "so", "some", "us", "we", "what", "when",
    "where", "which", "who", "why", "would", "you", "your", "from",
];

pub(super) fn analyzer(language: Language) -> TextAnalyzer {
    let plain = TextAnalyzer::builder(Words::default())
        .filter(RemoveLongFilter::limit(LONGEST + 1))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter);
    match language.stemmer() {
        Some(stemmer) => plain.filter(Stemmer::new(stemmer)).build(),
        None => plain.build(),
    }
}

/// Words of a question that nearly every text has.
#[derive(Clone)]
pub(super) struct Fillers {
    language: Language,
    without: Option<TextAnalyzer>,
}

impl Fillers {
    pub(super) fn of(language: Language) -> Self {
        let filter = language.stemmer().and_then(StopWordFilter::new);
        let without = filter.map(|filter| TextAnalyzer::builder(Words::default()).filter(filter).build());
        Self { language, without }
    }

    pub(super) fn hold(&mut self, word: &str) -> bool {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if self.language == Language::English && ASKING.contains(&word.as_str()) {
            return true;
        }
        self.without.as_mut().is_some_and(|analyzer| !analyzer.token_stream(&word).advance())
    }
}

pub(super) fn tokenizers(language: Language) -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(ANALYZER, analyzer(language));
    manager
}

#[derive(Debug, Clone, Default)]
struct Words {
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.token.reset();
        Stream { text, chars: text.char_indices(), token: &mut self.token }
    }
}

struct Stream<'a> {
    text: &'a str,
    chars: CharIndices<'a>,
    token: &'a mut Token,
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        self.token.position = self.token.position.wrapping_add(1);
        let Some((from, first)) = self.chars.find(|(_, c)| c.is_alphanumeric()) else { return false };
        let mut to = from + first.len_utf8();
        if !stands_alone(first) {
            // What ends the word is looked at again: it may be one itself.
            while let Some((at, c)) =
                self.chars.clone().next().filter(|(_, c)| c.is_alphanumeric() && !stands_alone(*c))
            {
                to = at + c.len_utf8();
                self.chars.next();
            }
        }
        self.token.offset_from = from;
        self.token.offset_to = to;
        self.token.text.push_str(&self.text[from..to]);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Whether a character is written without a blank before the next word.
fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, language: Language) -> Vec<String> {
        let mut analyzer = analyzer(language);
        let mut stream = analyzer.token_stream(text);
        let mut found = Vec::new();
        while stream.advance() {
            let token = stream.token();
            assert!(text.get(token.offset_from..token.offset_to).is_some(), "{token:?} in {text:?}");
            found.push(token.text.clone());
        }
        found
    }

    #[test]
    fn words_lose_case_accents_and_endings() {
        assert_eq!(words("Connecting Café-Connections", Language::English), ["connect", "cafe", "connect"]);
        assert_eq!(words("docs_search HostHandle::log", Language::English), ["doc", "search", "hosthandl", "log"]);
        assert_eq!(words("Häuser", Language::None), ["hauser"]);
        assert_eq!(words("-- !? ", Language::English), [""; 0]);
        assert_eq!(words(&"x".repeat(80), Language::None), [""; 0]);
    }

    #[test]
    fn chinese_and_japanese_give_each_character() {
        assert_eq!(words("全文搜索engine", Language::None), ["全", "文", "搜", "索", "engine"]);
        assert_eq!(words("カナ", Language::None), ["カ", "ナ"]);
    }

    #[test]
    fn words_of_questions_are_told() {
        let hold = |language, word| Fillers::of(language).hold(word);
        for word in ["How", "the", "you"] {
            assert!(hold(Language::English, word), "{word}");
        }
        assert!(!hold(Language::English, "plugin"));
        assert!(!hold(Language::None, "how"));
        assert!(hold(Language::German, "und"));
    }
}
