//! A part on its way into the index, and how much may be on that way.
//!
//! tantivy queues up to 10,000 documents in front of its indexing thread, which is slower than reading files is: that
//! would be most of the memory that indexing takes.

use std::{
    iter::Empty,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tantivy::schema::{
    Field,
    document::{Document, ReferenceValue, ReferenceValueLeaf, Value},
};

use super::schema::Fields;
use crate::{
    folders::Stamp,
    text::{Kind, Part},
};

/// What all parts of one document share.
pub(super) struct Sheet {
    pub(super) fields: Fields,
    pub(super) folder: String,
    pub(super) key: String,
    pub(super) rel: String,
    pub(super) kind: Kind,
    pub(super) stamp: Stamp,
    pub(super) title: String,
    pub(super) lines: u32,
    pub(super) lossy: bool,
}

/// One part.
pub(super) struct Entry {
    pub(super) sheet: Arc<Sheet>,
    pub(super) part: Part,
    /// Its place in the document, and which of the parts that begin on its line it is (from 1).
    pub(super) place: u64,
    pub(super) nth: u64,
    pub(super) _pass: Pass,
}

/// A value of a part.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaf<'a> {
    Text(&'a str),
    Number(u64),
}

impl<'a> Value<'a> for Leaf<'a> {
    type ArrayIter = Empty<Self>;
    type ObjectIter = Empty<(&'a str, Self)>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match *self {
            Self::Text(text) => ReferenceValueLeaf::Str(text),
            Self::Number(number) => ReferenceValueLeaf::U64(number),
        })
    }
}

impl Document for Entry {
    type Value<'a> = Leaf<'a>;
    type FieldsValuesIter<'a> = std::vec::IntoIter<(Field, Leaf<'a>)>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let Self { sheet, part, .. } = self;
        let Sheet { fields, .. } = &**sheet;
        let text = |field, text| (field, Leaf::Text(text));
        let number = |field, number| (field, Leaf::Number(number));
        let mut values = vec![
            text(fields.folder, &sheet.folder),
            text(fields.document, &sheet.key),
            text(fields.kind, sheet.kind.name()),
            // What a part is about counts for more than what it mentions.
            text(fields.words, &sheet.title),
            text(fields.words, &part.heading),
            text(fields.words, &part.heading),
            text(fields.words, &sheet.rel),
            text(fields.words, &part.body),
            text(fields.title, &sheet.title),
            text(fields.heading, &part.heading),
            text(fields.body, &part.body),
            number(fields.changed, sheet.stamp.changed),
            number(fields.size, sheet.stamp.size),
            number(fields.part, self.place),
            number(fields.line, part.line.into()),
            number(fields.last, part.last.into()),
            number(fields.nth, self.nth),
        ];
        if self.place == 0 {
            // Its beginning stands for a document.
            values.extend([text(fields.words, &sheet.title), text(fields.words, &sheet.title)]);
            values.push(number(fields.lines, sheet.lines.into()));
            values.extend(sheet.lossy.then_some(number(fields.lossy, 1)));
        }
        values.into_iter()
    }
}

/// Most text that is on its way.
const MOST: usize = 4 << 20;
/// How long to wait for room; an indexing thread that has failed makes none, and says so when it gets more.
const LONGEST: Duration = Duration::from_secs(30);

/// The way into the index.
#[derive(Clone, Default)]
pub(super) struct Way(Arc<(Mutex<usize>, Condvar)>);

/// Room on the way, given back when dropped.
pub(super) struct Pass {
    way: Way,
    bytes: usize,
}

impl Way {
    /// Wait until there is room for so much text.
    pub(super) fn enter(&self, bytes: usize) -> Pass {
        let (_, rings) = &*self.0;
        let full = |taken: &mut usize| *taken > 0 && *taken + bytes > MOST;
        let waited = rings.wait_timeout_while(self.taken(), LONGEST, full);
        *waited.unwrap_or_else(PoisonError::into_inner).0 += bytes;
        Pass { way: self.clone(), bytes }
    }

    fn taken(&self) -> MutexGuard<'_, usize> {
        // Nothing panics while it is held.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        *self.way.taken() -= self.bytes;
        self.way.0.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_has_no_room_waits_for_it() {
        let way = Way::default();
        let (first, large) = (way.enter(MOST), MOST * 2);
        let other = way.clone();
        let waits = thread::spawn(move || drop(other.enter(large)));
        thread::yield_now();
        assert!(!waits.is_finished());
        drop(first);
        // What is larger than all the room has it alone.
        waits.join().expect("it has entered");
        assert_eq!(*way.taken(), 0);
    }
}
