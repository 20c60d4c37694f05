//! The libraries that are open in this process.
//!
//! None is ever closed, since code that something may still call cannot go away; so their number is bounded, and one
//! that nobody runs is taken again by the next plugin of the same content.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{border::Library, copy::Copy, failure::OpenError};

/// The shelf of this process.
pub(super) static SHELF: Shelf = Shelf::new(16);

/// A bounded number of open libraries.
pub(super) struct Shelf {
    most: usize,
    stock: Mutex<Stock>,
}

struct Stock {
    opened: usize,
    /// Those that nobody runs, by their fingerprints.
    free: Vec<(String, Arc<Library>)>,
}

/// A library, for one instance at a time; goes back to its shelf when dropped.
pub(super) struct Borrowed {
    shelf: &'static Shelf,
    fingerprint: String,
    library: Arc<Library>,
}

impl Shelf {
    /// An empty one.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, stock: Mutex::new(Stock { opened: 0, free: Vec::new() }) }
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The library at `path`, opened from a private copy in `copies`. Blocks.
    ///
    /// # Errors
    /// Whatever is wrong with the file, or too many libraries.
    pub(super) fn open(&'static self, path: &Path, copies: &Path, plugin: &str) -> Result<Borrowed, OpenError> {
        // Where a loaded library can lose its file, the copy is gone as soon as this returns.
        let copy = Copy::make(path, copies, plugin)?;
        let fingerprint = copy.fingerprint().to_owned();
        let borrowed = |library| Borrowed { shelf: self, fingerprint: fingerprint.clone(), library };
        {
            let mut stock = self.stock();
            if let Some(index) = stock.free.iter().position(|(found, _)| *found == fingerprint) {
                return Ok(borrowed(stock.free.swap_remove(index).1));
            }
            if stock.opened >= self.most {
                return Err(OpenError::TooMany(self.most));
            }
            stock.opened += 1;
        }
        Library::open(copy.path()).map(Arc::new).map(borrowed).map_err(|error| {
            // What the linker refused has left nothing behind.
            if error.is_before_linking() {
                self.stock().opened -= 1;
            }
            error.about(path)
        })
    }
}

impl Borrowed {
    /// The library.
    pub(super) fn library(&self) -> &Library {
        &self.library
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.shelf.stock().free.push((std::mem::take(&mut self.fingerprint), Arc::clone(&self.library)));
    }
}
