//! A search: the best parts for a question, under the caller's filters.

use std::{collections::HashMap, fmt::Write};

use tantivy::{
    DocAddress, Searcher, TantivyDocument, Term,
    collector::{Count, TopDocs},
    query::{BooleanQuery, ConstScoreQuery, Occur, Query, RegexQuery, TermQuery, TermSetQuery},
    schema::{Field, IndexRecordOption, Value},
};

use super::{IndexError, Question, QuestionError, Shelf, Snippets, schema};
use crate::text::Kind;

/// Most parts of one document among the results: the others would only push better ones out.
const MOST_OF_ONE: usize = 3;

/// What is searched for, and where.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) question: Question,
    /// Most results.
    pub(crate) limit: usize,
    /// Only within these folders, by their keys; none are all.
    pub(crate) folders: Vec<String>,
    /// Not within these folders, by their keys.
    pub(crate) hidden: Vec<String>,
    /// Only these kinds; none are all.
    pub(crate) kinds: Vec<Kind>,
    /// Only documents whose paths match.
    pub(crate) path: Option<Pattern>,
}

/// A part that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    pub(crate) folder: String,
    pub(crate) rel: String,
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) heading: String,
    pub(crate) body: String,
    pub(crate) line: u32,
    pub(crate) last: u32,
    /// Which of the parts that begin on this line it is, from 1.
    pub(crate) nth: u32,
    pub(crate) score: f32,
}

impl Shelf {
    /// A caller's question.
    ///
    /// # Errors
    /// If it asks for nothing.
    pub(crate) fn question(&self, text: &str) -> Result<Question, QuestionError> {
        Question::read(text, &self.analyzer, &mut self.fillers.clone())
    }

    /// The best parts, best first, and how many there are; `keep` says which of them may be shown.
    ///
    /// # Errors
    /// Damage.
    pub(crate) fn search(
        &self,
        ask: &Ask,
        longest_snippet: usize,
        keep: impl Fn(&Hit) -> bool,
    ) -> Result<(Vec<Hit>, usize, Snippets), IndexError> {
        let searcher = self.searcher();
        let query = self.query(ask)?;
        let most = ask.limit * MOST_OF_ONE + 10;
        let (found, total) = searcher.search(&query, &(TopDocs::with_limit(most).order_by_score(), Count))?;
        let mut of_one: HashMap<(String, String), usize> = HashMap::new();
        let mut hits = Vec::with_capacity(ask.limit);
        for (score, address) in found {
            if hits.len() == ask.limit {
                break;
            }
            let hit = self.hit(&searcher, score, address)?;
            let seen = of_one.entry((hit.folder.clone(), hit.rel.clone())).or_default();
            if *seen < MOST_OF_ONE && keep(&hit) {
                *seen += 1;
                hits.push(hit);
            }
        }
        let snippets = Snippets::new(&ask.question, &searcher, &self.fields, self.analyzer.clone(), longest_snippet)?;
        Ok((hits, total, snippets))
    }

    fn query(&self, ask: &Ask) -> Result<Box<dyn Query>, IndexError> {
        let fields = &self.fields;
        let question = ask.question.query(fields.words);
        let mut filters: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        let mut only = |query: Box<dyn Query>| {
            filters.push((Occur::Must, Box::new(ConstScoreQuery::new(query, 0.0))));
        };
        if !ask.folders.is_empty() {
            only(any_of(fields.folder, ask.folders.iter().map(String::as_str)));
        }
        if !ask.kinds.is_empty() {
            only(any_of(fields.kind, ask.kinds.iter().map(|kind| kind.name())));
        }
        if let Some(Pattern(pattern)) = &ask.path {
            only(Box::new(pattern.clone()));
        }
        if !ask.hidden.is_empty() {
            filters.push((Occur::MustNot, any_of(fields.folder, ask.hidden.iter().map(String::as_str))));
        }
        if filters.is_empty() {
            return Ok(question);
        }
        filters.insert(0, (Occur::Must, question));
        Ok(Box::new(BooleanQuery::new(filters)))
    }

    fn hit(&self, searcher: &Searcher, score: f32, address: DocAddress) -> Result<Hit, IndexError> {
        let stored: TantivyDocument = searcher.doc(address)?;
        let text =
            |field: Field| stored.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let segment = searcher.segment_reader(address.segment_ord);
        let number = |name: &str| -> Result<u32, IndexError> {
            let value = segment.fast_fields().u64(name)?.first(address.doc_id).unwrap_or(0);
            Ok(u32::try_from(value).unwrap_or(u32::MAX))
        };
        let key = text(self.fields.document);
        let split = schema::split(&key).zip(Kind::named(&text(self.fields.kind)));
        let Some(((folder, rel), kind)) = split else {
            return Err(IndexError::Damaged("a document's key is not as it is written".into()));
        };
        Ok(Hit {
            folder: folder.to_owned(),
            rel: rel.to_owned(),
            kind,
            title: text(self.fields.title),
            heading: text(self.fields.heading),
            body: text(self.fields.body),
            line: number(schema::LINE)?,
            last: number(schema::LAST)?,
            nth: number(schema::NTH)?,
            score,
        })
    }
}

/// Parts that have one of these terms.
fn any_of<'a>(field: Field, terms: impl Iterator<Item = &'a str>) -> Box<dyn Query> {
    let mut terms: Vec<Term> = terms.map(|term| Term::from_field_text(field, term)).collect();
    match terms.pop() {
        Some(only) if terms.is_empty() => Box::new(TermQuery::new(only, IndexRecordOption::Basic)),
        last => Box::new(TermSetQuery::new(terms.into_iter().chain(last))),
    }
}

/// A glob of documents' paths, as an automaton over their keys.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(RegexQuery);

impl Pattern {
    /// From a glob of `*` (within a part of the path), `**` and `?`. It holds for what is below what it matches, too.
    ///
    /// # Errors
    /// A glob that is longer or has more wildcards than make sense: it would be more work than a search.
    pub(crate) fn of_glob(glob: &str) -> Result<Self, &'static str> {
        let glob = glob.trim_start_matches("./").trim_end_matches('/');
        if glob.is_empty() {
            return Err("is no path; write one such as \"guide/**\"");
        }
        if glob.len() > 200 || glob.matches(['*', '?']).count() > 12 {
            return Err("is too long or has too many wildcards; use at most 200 characters and 12 of * and ?");
        }
        // A folder's key comes first.
        let mut pattern = "[0-9a-f]+/".to_owned();
        let mut rest = glob;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("**/") {
                pattern.push_str("(.*/)?");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("**") {
                pattern.push_str(".*");
                rest = after;
            } else {
                match c {
                    '*' => pattern.push_str("[^/]*"),
                    '?' => pattern.push_str("[^/]"),
                    c if c.is_alphanumeric() || c == '/' || c == '_' => pattern.push(c),
                    // By its number: no character has a meaning then.
                    c => drop(write!(pattern, "\\x{{{:x}}}", u32::from(c))),
                }
                rest = &rest[c.len_utf8()..];
            }
        }
        pattern.push_str("(/.*)?");
        // Its states are bounded as well.
        let compiled = RegexQuery::from_pattern(&pattern, schema::schema().1.document);
        compiled.map(Self).map_err(|_| "is too much work; use fewer wildcards")
    }
}
