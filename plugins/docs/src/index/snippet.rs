//! The passage of a part that answers best, with the words that were searched for marked.

use tantivy::{
    Searcher, Term,
    snippet::{SnippetGenerator, collapse_overlapped_ranges},
    tokenizer::TextAnalyzer,
};

use super::{Question, schema::Fields};
use crate::text::line;

/// What stands around a word that was searched for: what Markdown or HTML would take could not be told from the
/// document's own.
const MARKS: (&str, &str) = ("«", "»");

/// Makes the snippets of one question's answers.
pub(crate) struct Snippets {
    generator: SnippetGenerator,
    most: usize,
}

/// A passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snippet {
    /// On one line, with marks.
    pub(crate) text: String,
    /// How many lines below the part's first it begins.
    pub(crate) below: u32,
}

impl Snippets {
    pub(super) fn new(
        question: &Question,
        searcher: &Searcher,
        fields: &Fields,
        analyzer: TextAnalyzer,
        most: usize,
    ) -> tantivy::Result<Self> {
        let mut weights = std::collections::BTreeMap::new();
        for word in question.shown() {
            let found = searcher.doc_freq(&Term::from_field_text(fields.words, word))?;
            // A rare word says more than a common one.
            #[expect(clippy::cast_precision_loss, reason = "a weight")]
            weights.insert(word.to_owned(), 1.0 / (1.0 + found as f32));
        }
        Ok(Self { generator: SnippetGenerator::new(weights, analyzer, fields.words, most), most })
    }

    /// The best passage of a text.
    pub(crate) fn of(&self, body: &str) -> Snippet {
        let snippet = self.generator.snippet(body);
        if snippet.is_empty() {
            // What was found is in the title, a heading or the path.
            return Snippet { text: line(body, self.most), below: 0 };
        }
        let (fragment, range) = (snippet.fragment(), snippet.fragment_range());
        let mut marked = String::with_capacity(fragment.len() + 32);
        let mut at = 0;
        for word in collapse_overlapped_ranges(snippet.highlighted()) {
            let (Some(before), Some(found)) = (fragment.get(at..word.start), fragment.get(word.clone())) else {
                continue;
            };
            marked.extend([before, MARKS.0, found, MARKS.1]);
            at = word.end;
        }
        marked.push_str(fragment.get(at..).unwrap_or_default());
        // Marks make it longer; what was chosen is not cut again.
        let mut text = line(&marked, usize::MAX);
        // The last word ends with what is written right behind it.
        let behind = body.get(range.end..).unwrap_or_default();
        let signs: String = behind.chars().take_while(|c| !c.is_alphanumeric() && !c.is_whitespace()).take(8).collect();
        text.push_str(&signs);
        if body.get(..range.start).is_some_and(|before| !before.trim().is_empty()) {
            text.insert(0, '…');
        }
        if !behind[signs.len()..].trim().is_empty() {
            text.push('…');
        }
        let first = fragment.len() - fragment.trim_start().len();
        let above = body.get(..range.start + first).unwrap_or_default();
        Snippet { text, below: u32::try_from(above.matches('\n').count()).unwrap_or(0) }
    }
}
