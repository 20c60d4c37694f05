//! Writing the index: whole documents go in and out, and a commit makes all that was done since the last one visible, or
//! nothing of it.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use tantivy::{
    IndexWriter, Term,
    indexer::{IndexWriterOptions, LogMergePolicy},
};

use super::{
    IndexError, Shelf,
    entry::{Entry, Sheet, Way},
    schema,
    schema::Fields,
};
use crate::{
    folders::Stamp,
    text::{Document, Kind},
};

/// What a commit says of the index, for other processes and for the next start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    /// The keys of the folders that have been looked through and read to the end.
    pub(crate) complete: BTreeSet<String>,
    /// While they are read for the first time: how many documents have been, and of how many.
    pub(crate) done: u64,
    pub(crate) total: u64,
}

/// Segments of more parts than this are not merged further: a merge copies whole segments through memory.
const LARGE_SEGMENT: usize = 60_000;

/// Writes to an index. Without a commit nothing has happened.
pub(crate) struct Writer {
    inner: IndexWriter<Entry>,
    fields: Fields,
    way: Way,
}

impl Shelf {
    /// Write to it, with so much memory for what has not been written out.
    ///
    /// # Errors
    /// If the system does not let us, or somebody else does.
    pub(crate) fn writer(&self, memory: usize) -> Result<Writer, IndexError> {
        // One of each: this work is not urgent, and others want the processors as well.
        let options = IndexWriterOptions::builder().memory_budget_per_thread(memory).num_worker_threads(1);
        let inner: IndexWriter<Entry> = self.index.writer_with_options(options.num_merge_threads(1).build())?;
        let mut policy = LogMergePolicy::default();
        policy.set_max_docs_before_merge(LARGE_SEGMENT);
        policy.set_del_docs_ratio_before_merge(0.3);
        inner.set_merge_policy(Box::new(policy));
        Ok(Writer { inner, fields: self.fields, way: Way::default() })
    }
}

impl Writer {
    /// Put a new document in. One that takes the place of another is to be removed before: what is to be removed is kept
    /// in memory for a while, so that it is not done for nothing.
    pub(crate) fn put(
        &self,
        folder: &str,
        rel: &str,
        kind: Kind,
        stamp: Stamp,
        document: Document,
    ) -> Result<(), IndexError> {
        let sheet = Arc::new(Sheet {
            fields: self.fields,
            folder: folder.to_owned(),
            key: schema::key(folder, rel),
            rel: rel.to_owned(),
            kind,
            stamp,
            title: document.title,
            lines: document.lines,
            lossy: document.lossy,
        });
        let (mut line, mut nth) = (0, 0);
        for (place, part) in (0..).zip(document.parts) {
            nth = if part.line == line { nth + 1 } else { 1 };
            line = part.line;
            let pass = self.way.enter(part.body.len() + part.heading.len());
            self.inner.add_document(Entry { sheet: Arc::clone(&sheet), part, place, nth, _pass: pass })?;
        }
        Ok(())
    }

    /// Take a document out.
    pub(crate) fn remove(&self, folder: &str, rel: &str) {
        self.inner.delete_term(Term::from_field_text(self.fields.document, &schema::key(folder, rel)));
    }

    /// Take all documents of a folder out.
    pub(crate) fn remove_folder(&self, folder: &str) {
        self.inner.delete_term(Term::from_field_text(self.fields.folder, folder));
    }

    /// Make it so.
    pub(crate) fn commit(&mut self, said: &Said) -> Result<(), IndexError> {
        let mut commit = self.inner.prepare_commit()?;
        commit.set_payload(&serde_json::to_string(said).unwrap_or_default());
        commit.commit()?;
        Ok(())
    }

    /// Wait until segments are merged, and let go.
    pub(crate) fn finish(self) -> Result<(), IndexError> {
        Ok(self.inner.wait_merging_threads()?)
    }
}
