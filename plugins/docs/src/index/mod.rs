//! The index: what is kept of each part of each document (`schema`, `words`), where (`files`), how it is written
//! (`writer`, `entry`), searched (`search`, `question`, `phrase`, `snippet`) and given back (`document`).
//!
//! The only room that knows tantivy. Knows documents and keys of folders; opens none of their files.

mod document;
mod entry;
mod files;
mod phrase;
mod question;
mod schema;
mod search;
mod snippet;
mod words;
mod writer;

#[cfg(test)]
pub(crate) use self::files::full;
#[cfg(test)]
mod tests;

use std::{fs, io, path::Path};

use tantivy::{
    Directory, DocSet, HasLen, Index, IndexReader, IndexSettings, ReloadPolicy, Searcher, TERMINATED, TantivyError,
    directory::{RamDirectory, footer::Footer},
    schema::IndexRecordOption,
    store::Compressor,
    tokenizer::TextAnalyzer,
};

pub(crate) use self::{
    document::{Stored, Wanted},
    question::{Question, QuestionError},
    search::{Ask, Hit, Pattern},
    snippet::Snippets,
    writer::{Said, Writer},
};
use self::{files::PlainFiles, schema::Fields, words::Fillers};
use crate::{folders::Stamp, settings::Language};

/// Changes with every change to what is kept, or to how words are made: an index of another one is made anew.
pub(crate) const VERSION: u32 = 1;

/// The index cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// Its files are damaged, or of another version.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    /// The system does not let it be read or written.
    #[error("the index cannot be used: {0}")]
    Failed(String),
}

impl From<TantivyError> for IndexError {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::DataCorruption(_)
            | TantivyError::IncompatibleIndex(_)
            | TantivyError::SchemaError(_)
            | TantivyError::OpenReadError(_)
            | TantivyError::InternalError(_) => Self::Damaged(error.to_string()),
            TantivyError::IoError(ref io) if io.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// An index that is open.
pub(crate) struct Shelf {
    index: Index,
    /// Its files, unless it is in memory.
    files: Option<PlainFiles>,
    fields: Fields,
    reader: IndexReader,
    analyzer: TextAnalyzer,
    fillers: Fillers,
}

impl Shelf {
    /// Open the index in a folder; none if there is none.
    ///
    /// # Errors
    /// One that is damaged or of another version.
    pub(crate) fn open(folder: &Path, language: Language) -> Result<Option<Self>, IndexError> {
        if !folder.join("meta.json").exists() {
            return Ok(None);
        }
        let files = PlainFiles::open(folder)?;
        let index = Index::open(files.clone())?;
        if index.schema() != schema::schema().0 {
            return Err(IndexError::Damaged("it is of another version".into()));
        }
        Self::over(index, Some(files), language).map(Some)
    }

    /// Make an empty index in a folder, in the place of whatever is there.
    ///
    /// # Errors
    /// If the system does not let us.
    pub(crate) fn create(folder: &Path, language: Language) -> Result<Self, IndexError> {
        let failed = |error: io::Error| IndexError::Failed(error.to_string());
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::create_dir_all(folder).map_err(failed)?,
        }
        let files = PlainFiles::open(folder)?;
        Self::over(Index::create(files.clone(), schema::schema().0, settings())?, Some(files), language)
    }

    /// An empty index in memory.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn in_memory(language: Language) -> Result<Self, IndexError> {
        Self::over(Index::create(RamDirectory::create(), schema::schema().0, settings())?, None, language)
    }

    fn over(mut index: Index, files: Option<PlainFiles>, language: Language) -> Result<Self, IndexError> {
        index.set_tokenizers(words::tokenizers(language));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(8);
        let reader = reader.try_into()?;
        let (analyzer, fillers) = (words::analyzer(language), Fillers::of(language));
        Ok(Self { index, files, fields: schema::schema().1, reader, analyzer, fillers })
    }

    /// Look again at what was written.
    pub(crate) fn reload(&self) -> Result<(), IndexError> {
        Ok(self.reader.reload()?)
    }

    fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// The list of its files, which changes with every commit and every merge.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn list(&self) -> Result<Vec<u8>, IndexError> {
        Ok(self.index.directory().atomic_read(Path::new("meta.json")).map_err(TantivyError::from)?)
    }

    /// What the last commit said.
    pub(crate) fn said(&self) -> Result<Said, IndexError> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.and_then(|payload| serde_json::from_str(&payload).ok()).unwrap_or_default())
    }

    /// Read all files, and compare them with their checksums: piece by piece, since some are large.
    ///
    /// # Errors
    /// Damage.
    pub(crate) fn validate(&self) -> Result<(), IndexError> {
        const PIECE: usize = 1 << 20;
        // What is in memory is what was put there.
        let Some(directory) = &self.files else { return Ok(()) };
        let managed = self.index.directory().list_managed_files();
        // What is not managed was never written, such as the list of deleted parts where there are none.
        let files = self.index.load_metas()?.list_segment_files();
        for path in files.into_iter().filter(|path| managed.contains(path)) {
            let damaged = |why: &dyn std::fmt::Display| IndexError::Damaged(format!("{}: {why}", path.display()));
            let file = directory.open_read(&path).map_err(TantivyError::from)?;
            let (footer, body) = Footer::extract_footer(file).map_err(|error| damaged(&error))?;
            let mut sum = crc32fast::Hasher::new();
            for from in (0..body.len()).step_by(PIECE) {
                let piece = body.slice(from..body.len().min(from + PIECE)).read_bytes();
                sum.update(&piece.map_err(|error| damaged(&error))?);
            }
            if sum.finalize() != footer.crc {
                return Err(damaged(&"its checksum is wrong"));
            }
        }
        Ok(())
    }

    /// All documents: folder key, path, and what the file was when it was read.
    ///
    /// # Errors
    /// Damage.
    pub(crate) fn catalog(&self, mut each: impl FnMut(&str, &str, Stamp)) -> Result<(), IndexError> {
        let damaged = |what: &str| IndexError::Damaged(format!("{what} is not as it is written"));
        for segment in self.searcher().segment_readers() {
            let inverted = segment.inverted_index(self.fields.document)?;
            let column = |name| segment.fast_fields().u64(name);
            let (changed, size) = (column(schema::CHANGED)?, column(schema::SIZE)?);
            let alive = segment.alive_bitset();
            let mut terms = inverted.terms().stream().map_err(|error| IndexError::Damaged(error.to_string()))?;
            while let Some((term, info)) = terms.next() {
                let key = std::str::from_utf8(term).map_err(|_| damaged("a document's key"))?;
                let (folder, rel) = schema::split(key).ok_or_else(|| damaged("a document's key"))?;
                let failed = |error: io::Error| IndexError::Damaged(error.to_string());
                let mut postings =
                    inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic).map_err(failed)?;
                let mut part = postings.doc();
                while part != TERMINATED && alive.is_some_and(|alive| !alive.is_alive(part)) {
                    part = postings.advance();
                }
                if part != TERMINATED
                    && let (Some(changed), Some(size)) = (changed.first(part), size.first(part))
                {
                    each(folder, rel, Stamp { changed, size });
                }
            }
        }
        Ok(())
    }
}

fn settings() -> IndexSettings {
    // Compressing takes less time than handing over to a thread that does.
    IndexSettings {
        docstore_compression: Compressor::Lz4,
        docstore_compress_dedicated_thread: false,
        ..Default::default()
    }
}
