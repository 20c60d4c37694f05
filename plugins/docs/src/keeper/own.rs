//! Keeping the index: it is this process's to write.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use toolgate_plugin::LogLevel;

use super::{Own, Progress, desk::Desk};
use crate::index::{IndexError, Shelf};

/// Keep the index in this folder (or in memory) until the end.
///
/// # Errors
/// If it cannot be read or written.
pub(super) fn keep(own: &Own, folder: Option<&Path>) -> Result<(), IndexError> {
    let mut shelf = Arc::new(open(own, folder)?);
    own.state.set_shelf(&shelf, true);
    let mut rebuilt: Option<Instant> = None;
    loop {
        let worked = catch_unwind(AssertUnwindSafe(|| work(own, Arc::clone(&shelf), folder)));
        match worked.unwrap_or_else(|_| Err(inside())) {
            // If a new one is damaged as well, it is not the index that is broken.
            Err(IndexError::Damaged(why)) if rebuilt.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) => {
                rebuilt = Some(Instant::now());
                shelf = rebuild(own, folder, &why)?;
            }
            ended => return ended,
        }
    }
}

/// Look through everything, then follow changes until the end.
fn work(own: &Own, shelf: Arc<Shelf>, folder: Option<&Path>) -> Result<(), IndexError> {
    let mut desk = Desk::new(own, Arc::clone(&shelf), folder)?;
    let mut worked = desk.work(BTreeMap::new(), true);
    while worked.is_ok() && !own.inbox.is_stopped() {
        worked = desk.wait_and_work();
    }
    match worked {
        // A disk that is full makes writing fail in the words of damage: what can be read is kept, and searched meanwhile.
        Err(IndexError::Damaged(why)) if shelf.validate().is_ok() => Err(IndexError::Failed(why)),
        worked => worked,
    }
}

/// The index as it is, or a new one.
fn open(own: &Own, folder: Option<&Path>) -> Result<Shelf, IndexError> {
    let language = own.settings.language;
    let Some(folder) = folder else { return Shelf::in_memory(language) };
    remove_others(own, folder);
    let opened = catch_unwind(|| Shelf::open(folder, language)).unwrap_or_else(|_| Err(inside()));
    match opened {
        Ok(Some(shelf)) => Ok(shelf),
        Ok(None) => Shelf::create(folder, language),
        Err(error) => {
            own.log(LogLevel::Error, format!("{error}; it is made anew"));
            Shelf::create(folder, language)
        }
    }
}

/// What tantivy makes of files that are not what they should be.
fn inside() -> IndexError {
    IndexError::Damaged("reading it failed inside".into())
}

/// A new index in the place of one that is damaged.
fn rebuild(own: &Own, folder: Option<&Path>, why: &str) -> Result<Arc<Shelf>, IndexError> {
    own.log(LogLevel::Error, format!("the index is damaged: {why}; it is made anew"));
    let shelf = Arc::new(match folder {
        Some(folder) => Shelf::create(folder, own.settings.language)?,
        None => Shelf::in_memory(own.settings.language)?,
    });
    own.state.set_shelf(&shelf, false);
    own.state.set_progress(Progress::default());
    Ok(shelf)
}

/// Indexes of other versions and languages are of no use any more.
fn remove_others(own: &Own, folder: &Path) {
    let entries = folder.parent().and_then(|state_dir| fs::read_dir(state_dir).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        if path != folder && entry.file_name().to_string_lossy().starts_with("index-") && path.is_dir() {
            own.log(LogLevel::Info, format!("the index {} is of another version and is removed", path.display()));
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(path);
        }
    }
}
