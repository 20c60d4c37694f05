//! Who of several processes keeps the index: who holds a lock on a file beside it. The system takes it back from a
//! process that ends, however it ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::Path,
};

/// The lock cannot be asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct LockError(pub(super) String);

/// Held as long as this lives.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Take the lock; none if another process has it.
    ///
    /// # Errors
    /// If the state folder cannot be written.
    pub(super) fn take(state_dir: &Path) -> Result<Option<Self>, LockError> {
        let failed = |error: std::io::Error| LockError(error.to_string());
        fs::create_dir_all(state_dir).map_err(failed)?;
        let path = state_dir.join("index.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
