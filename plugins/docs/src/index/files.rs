//! The files of the index, read where they are needed and not mapped into memory.
//!
//! Mapped pages count as the process's memory, and all of them are touched while segments are merged. Besides, a mapped
//! file that is cut short ends the process (SIGBUS); read, it is an error. The rest is tantivy's `MmapDirectory`.

use std::{
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use tantivy::{
    Directory, HasLen,
    directory::{
        DirectoryLock, FileHandle, Lock, MmapDirectory, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
        error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError},
    },
};

use super::IndexError;

#[derive(Debug, Clone)]
pub(super) struct PlainFiles {
    inner: MmapDirectory,
    folder: PathBuf,
}

impl PlainFiles {
    pub(super) fn open(folder: &Path) -> Result<Self, IndexError> {
        let inner = MmapDirectory::open(folder);
        let inner = inner.map_err(|error: OpenDirectoryError| IndexError::Failed(error.to_string()))?;
        Ok(Self { inner, folder: folder.to_owned() })
    }
}

impl Directory for PlainFiles {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
            _ => OpenReadError::wrap_io_error(error, path.to_owned()),
        };
        let file = File::open(self.folder.join(path)).map_err(failed)?;
        let length = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(usize::MAX);
        Ok(Arc::new(PlainFile { file, length }))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = self.inner.open_write(path)?;
        #[cfg(test)]
        if full::is_full(&self.folder, path) {
            return Ok(WritePtr::new(Box::new(full::Full)));
        }
        Ok(file)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

#[derive(Debug)]
struct PlainFile {
    file: File,
    length: usize,
}

impl HasLen for PlainFile {
    fn len(&self) -> usize {
        self.length
    }
}

impl FileHandle for PlainFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let mut bytes = vec![0; range.len()];
        read_exact_at(&self.file, &mut bytes, range.start as u64)?;
        Ok(OwnedBytes::new(bytes))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !bytes.is_empty() {
        match file.seek_read(bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

/// A disk that is full, for tests.
#[cfg(test)]
pub(crate) mod full {
    use std::{
        io::{self, ErrorKind, Write},
        path::Path,
    };

    use tantivy::directory::{AntiCallToken, TerminatingWrite};

    /// The disk is full while a file of this name is beside the index. Columns are what tantivy tells of as it does of
    /// damage.
    pub(crate) const MARK: &str = "full";

    pub(super) fn is_full(folder: &Path, path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "fast") && folder.join(MARK).exists()
    }

    pub(super) struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::StorageFull.into())
        }
    }

    impl TerminatingWrite for Full {
        fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
            Err(ErrorKind::StorageFull.into())
        }
    }
}
