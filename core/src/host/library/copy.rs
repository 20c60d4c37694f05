//! Private copies of libraries: what is opened is never the file that a compiler writes to.
//!
//! Owns the folder of copies: names, modes, and what earlier processes have left there. Knows nothing of what is in a
//! library.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};

use super::{failure::OpenError, image};

/// A copy, removed when dropped. Its lock tells other processes that it is in use.
#[derive(Debug)]
pub(super) struct Copy {
    path: PathBuf,
    fingerprint: String,
    _lock: File,
}

impl Copy {
    /// Copy `library` into the folder `copies`, which is made if need be. Blocks.
    ///
    /// # Errors
    /// A file that cannot be a library, cannot be copied, or does not hold still.
    pub(super) fn make(library: &Path, copies: &Path, plugin: &str) -> Result<Self, OpenError> {
        /// How often, and how long after each time, a file may still be changing: a linker's last writes.
        const TRIES: u32 = 10;
        const PAUSE: Duration = Duration::from_millis(100);
        image::check(library)?;
        let failed = |error: io::Error| OpenError::Copy {
            path: library.display().to_string(),
            to: copies.display().to_string(),
            why: error.to_string(),
        };
        prepare(copies).map_err(failed)?;
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            let before = state(library).map_err(failed)?;
            let copy = Self::attempt(library, copies, plugin).map_err(failed)?;
            if state(library).is_ok_and(|after| after == before) {
                // What was checked and what was copied may have been two files.
                image::check(&copy.path).map_err(|error| error.about(library))?;
                return Ok(copy);
            }
        }
        Err(OpenError::Restless(library.display().to_string()))
    }

    fn attempt(library: &Path, copies: &Path, plugin: &str) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let own = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let partial = copies.join(format!("{own}.partial"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut to = options.open(&partial)?;
        let written = (|| {
            let fingerprint = digest(&mut File::open(library)?, |part| to.write_all(part))?;
            let lock = File::open(&partial)?;
            // A file system without locks only loses the tidying-up.
            let _ = lock.try_lock_shared();
            let name: String =
                plugin.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect();
            let name = format!("{name}-{}-{own}{}", &fingerprint[..12], std::env::consts::DLL_SUFFIX);
            let path = copies.join(name);
            fs::rename(&partial, &path)?;
            Ok(Self { path, fingerprint, _lock: lock })
        })();
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// See [`fingerprint`].
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a copy of a library cannot be removed");
        }
    }
}

/// SHA-256 of a file's content, in hexadecimal: two files with the same are one library. Blocks.
pub(in crate::host) fn fingerprint(path: &Path) -> io::Result<String> {
    digest(&mut File::open(path)?, |_| Ok(()))
}

fn digest(from: &mut File, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        let part = buffer.get(..read).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        hash.update(part);
        each(part)?;
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What differs when somebody has written to the file or put another in its place.
fn state(path: &Path) -> io::Result<(u64, SystemTime, u64)> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok((metadata.len(), metadata.modified()?, inode))
}

/// Make the folder and, the first time that this process uses it, remove what nobody holds any more.
fn prepare(copies: &Path) -> io::Result<()> {
    static TIDY: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut options = fs::DirBuilder::new();
    options.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut options, 0o700);
    options.create(copies)?;
    // Held while tidying: nobody here makes a copy before.
    let mut tidy = TIDY.lock().unwrap_or_else(PoisonError::into_inner);
    if tidy.get_or_insert_default().insert(copies.to_owned()) {
        for entry in fs::read_dir(copies)? {
            let path = entry?.path();
            let ours = path
                .extension()
                .is_some_and(|found| found == "partial" || found == OsStr::new(std::env::consts::DLL_EXTENSION));
            if ours && abandoned(&path) {
                let _ = fs::remove_file(&path);
            }
        }
    }
    Ok(())
}

/// Whether nobody holds the lock. A partial copy has none yet: it is left alone while it is young.
fn abandoned(path: &Path) -> bool {
    const YOUNG: Duration = Duration::from_secs(60);
    let Ok(file) = File::open(path) else { return false };
    let old = || file.metadata().and_then(|m| m.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG));
    match file.try_lock() {
        Ok(()) => path.extension() != Some(OsStr::new("partial")) || old(),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}
