//! What is kept of each part of a document.

use tantivy::schema::{FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions};

/// When the file was changed, and its size, as columns.
pub(super) const CHANGED: &str = "changed";
pub(super) const SIZE: &str = "size";
/// The part's place in its document, and its first and last line.
pub(super) const PART: &str = "part";
pub(super) const LINE: &str = "line";
pub(super) const LAST: &str = "last";
/// Which of the parts that begin on its line it is, from 1.
pub(super) const NTH: &str = "nth";

/// The fields of a part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// The key of its folder.
    pub(super) folder: Field,
    /// The key of its folder and the path within it, joined by a slash: what all parts of one document share.
    pub(super) document: Field,
    pub(super) kind: Field,
    /// All that is searched: title, headings, path and body, so that one list of postings answers for a word.
    pub(super) words: Field,
    pub(super) title: Field,
    pub(super) heading: Field,
    pub(super) body: Field,
    pub(super) changed: Field,
    pub(super) size: Field,
    pub(super) part: Field,
    pub(super) line: Field,
    pub(super) last: Field,
    pub(super) nth: Field,
    /// How many lines the file has; on the first part.
    pub(super) lines: Field,
    /// There if some bytes of the file were no UTF-8; on the first part.
    pub(super) lossy: Field,
}

/// The analyzer of `words`, by its name.
pub(super) const ANALYZER: &str = "words";

pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing =
        TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let fields = Fields {
        folder: schema.add_text_field("folder", STRING),
        document: schema.add_text_field("document", STRING | STORED),
        kind: schema.add_text_field("kind", STRING | STORED),
        words: schema.add_text_field("words", TextOptions::default().set_indexing_options(indexing)),
        title: schema.add_text_field("title", STORED),
        heading: schema.add_text_field("heading", STORED),
        body: schema.add_text_field("body", STORED),
        changed: schema.add_u64_field(CHANGED, FAST),
        size: schema.add_u64_field(SIZE, FAST),
        part: schema.add_u64_field(PART, FAST),
        line: schema.add_u64_field(LINE, FAST),
        last: schema.add_u64_field(LAST, FAST),
        nth: schema.add_u64_field(NTH, FAST),
        lines: schema.add_u64_field("lines", STORED),
        lossy: schema.add_u64_field("lossy", STORED),
    };
    (schema.build(), fields)
}

/// What all parts of one document share.
pub(super) fn key(folder: &str, rel: &str) -> String {
    format!("{folder}/{rel}")
}

/// A folder's key and a path out of a document's key.
pub(super) fn split(key: &str) -> Option<(&str, &str)> {
    key.split_once('/')
}
