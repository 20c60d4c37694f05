//! A document given back out of the index: the text that was read, and only that.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
};

use tantivy::{
    DocAddress, Searcher, TantivyDocument, Term,
    collector::DocSetCollector,
    columnar::Column,
    query::TermQuery,
    schema::{Field, IndexRecordOption, Value},
};

use super::{IndexError, Shelf, schema};
use crate::{folders::Stamp, text::Kind};

/// Which of a document's text is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// From the part on that holds this line, and is so many parts behind the first that begins on it (from 1).
    pub(crate) from: Option<(u32, u32)>,
    /// Most text, in bytes. If all of it fits, all of it is given, whatever `from` says.
    pub(crate) most: usize,
}

/// A document, or a piece of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) title: String,
    pub(crate) kind: Kind,
    /// The headings that the piece begins under.
    pub(crate) heading: String,
    pub(crate) text: String,
    /// The first and last line that `text` has something of.
    pub(crate) line: u32,
    pub(crate) last: u32,
    /// Which of the parts that begin on the first line it begins with.
    pub(crate) nth: u32,
    /// How many lines the file has.
    pub(crate) lines: u32,
    /// Where the next piece begins: its line, and which of the parts that begin there.
    pub(crate) next: Option<(u32, u32)>,
    /// Whether this is all of it.
    pub(crate) whole: bool,
    /// Whether some bytes of the file were no UTF-8.
    pub(crate) lossy: bool,
    /// What the file was when it was read.
    pub(crate) stamp: Stamp,
}

/// A part's place.
struct Place {
    address: DocAddress,
    part: u64,
    line: u32,
    last: u32,
    nth: u32,
}

impl Shelf {
    /// A document; none that is not in the index.
    ///
    /// # Errors
    /// Damage.
    pub(crate) fn document(&self, folder: &str, rel: &str, wanted: Wanted) -> Result<Option<Stored>, IndexError> {
        let searcher = self.searcher();
        let places = self.places(&searcher, &schema::key(folder, rel))?;
        let Some(first) = places.first() else { return Ok(None) };
        let head: TantivyDocument = searcher.doc(first.address)?;
        let (mut text, mut taken) = self.take(&searcher, &places, 0, wanted.most)?;
        let whole = taken.end == places.len();
        if !whole && let Some(from) = wanted.from {
            let at = place_of(&places, from);
            if at > 0 {
                (text, taken) = self.take(&searcher, &places, at, wanted.most)?;
            }
        }
        let (begin, end) = (&places[taken.start], &places[taken.end - 1]);
        let begins: TantivyDocument = searcher.doc(begin.address)?;
        let segment = searcher.segment_reader(first.address.segment_ord);
        let column = |name: &str| -> Result<u64, IndexError> {
            Ok(segment.fast_fields().u64(name)?.first(first.address.doc_id).unwrap_or(0))
        };
        let lines = head.get_first(self.fields.lines).and_then(|value| value.as_u64()).unwrap_or(0);
        Ok(Some(Stored {
            title: text_of(&head, self.fields.title),
            kind: Kind::named(&text_of(&head, self.fields.kind)).unwrap_or(Kind::Text),
            heading: text_of(&begins, self.fields.heading),
            text,
            line: begin.line,
            last: end.last,
            nth: begin.nth,
            lossy: head.get_first(self.fields.lossy).is_some(),
            lines: u32::try_from(lines).unwrap_or(u32::MAX),
            next: places.get(taken.end).map(|next| (next.line, next.nth)),
            whole,
            stamp: Stamp { changed: column(schema::CHANGED)?, size: column(schema::SIZE)? },
        }))
    }

    fn places(&self, searcher: &Searcher, key: &str) -> Result<Vec<Place>, IndexError> {
        let term = Term::from_field_text(self.fields.document, key);
        let found = searcher.search(&TermQuery::new(term, IndexRecordOption::Basic), &DocSetCollector)?;
        let mut places = Vec::with_capacity(found.len());
        let mut columns = HashMap::new();
        for DocAddress { segment_ord, doc_id } in found {
            // Opening one is a read of the file.
            let [part, line, last, nth]: &[Column; 4] = match columns.entry(segment_ord) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let fast = searcher.segment_reader(segment_ord).fast_fields();
                    let column = |name: &str| fast.u64(name);
                    new.insert([
                        column(schema::PART)?,
                        column(schema::LINE)?,
                        column(schema::LAST)?,
                        column(schema::NTH)?,
                    ])
                }
            };
            let number = |column: &Column| column.first(doc_id).unwrap_or(0);
            let small = |column: &Column| u32::try_from(number(column)).unwrap_or(u32::MAX);
            places.push(Place {
                address: DocAddress { segment_ord, doc_id },
                part: number(part),
                line: small(line),
                last: small(last),
                nth: small(nth),
            });
        }
        places.sort_unstable_by_key(|place| place.part);
        Ok(places)
    }

    /// The text from a part on, one part at least, and which parts it is made of.
    fn take(
        &self,
        searcher: &Searcher,
        places: &[Place],
        from: usize,
        most: usize,
    ) -> Result<(String, Range<usize>), IndexError> {
        let mut text = String::new();
        let mut before: Option<&Place> = None;
        for (index, place) in places.iter().enumerate().skip(from) {
            let stored: TantivyDocument = searcher.doc(place.address)?;
            let kind = Kind::named(&text_of(&stored, self.fields.kind)).unwrap_or(Kind::Text);
            let body = text_of(&stored, self.fields.body);
            let between = match (before, kind) {
                (None, _) => "",
                (Some(_), Kind::Html | Kind::Source) => "\n\n",
                // A line that is longer than a part goes on.
                (Some(before), _) if place.line == before.last => "",
                (Some(_), _) => "\n",
            };
            if before.is_some() && text.len() + between.len() + body.len() > most {
                return Ok((text, from..index));
            }
            text.push_str(between);
            text.push_str(&body);
            before = Some(place);
        }
        Ok((text, from..places.len()))
    }
}

fn text_of(stored: &TantivyDocument, field: Field) -> String {
    stored.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// The place of the part that begins with the line and is the nth to do so; otherwise of the one that holds the line.
fn place_of(places: &[Place], (line, nth): (u32, u32)) -> usize {
    let exact = places.iter().position(|place| (place.line, place.nth) == (line, nth));
    exact.unwrap_or_else(|| places.iter().rposition(|place| place.line <= line).unwrap_or(0))
}
