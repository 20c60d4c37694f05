//! A folder as it is opened: files are read through it, and never what is outside of it.
//!
//! Paths are resolved beneath the opened folder by the system (`openat2` with `RESOLVE_BENEATH` on Linux, step by step
//! elsewhere): a link that leads outside does not open, also if it was put there between a look and the read.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions},
};

use super::{Folder, Stamp, relative};

/// A folder of the settings that is not there.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Absent {
    /// Nothing is there.
    #[error("is missing")]
    Missing,
    /// Something is there that cannot be opened.
    #[error("cannot be opened: {0}")]
    Closed(String),
}

/// A file that is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// It is not there, or a link leads outside of the folder on the way to it.
    #[error("is not in the folder")]
    NotThere,
    /// It is no file, such as a device or a pipe.
    #[error("is no regular file")]
    NoFile,
    /// It is larger than the settings allow.
    #[error("is larger than limits.file")]
    TooLarge(Stamp),
    /// The system does not let it be read.
    #[error("cannot be read: {0}")]
    Failed(#[from] io::Error),
}

/// A folder that is open.
#[derive(Debug)]
pub(crate) struct Root {
    dir: Dir,
    /// Where it really is.
    base: PathBuf,
    /// The one file that it is about: its name in the settings, and where it really is within the folder.
    only: Option<(String, String)>,
}

impl Root {
    /// Open the folder, or the folder of the single file.
    pub(crate) fn open(folder: &Folder) -> Result<Self, Absent> {
        let absent = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Absent::Missing,
            _ => Absent::Closed(error.to_string()),
        };
        let real = fs::canonicalize(folder.path()).map_err(absent)?;
        let kind = fs::metadata(&real).map_err(absent)?;
        let (base, only) = if kind.is_dir() {
            (real, None)
        } else if !kind.is_file() {
            return Err(Absent::Closed("it is neither a folder nor a regular file".into()));
        } else {
            let names = [folder.path(), &real].map(|path| path.file_name().and_then(|name| name.to_str()));
            let ([Some(name), Some(own)], Some(base)) = (names, real.parent()) else {
                return Err(Absent::Closed("its name is no UTF-8".into()));
            };
            (base.to_owned(), Some((name.to_owned(), own.to_owned())))
        };
        let dir = Dir::open_ambient_dir(&base, ambient_authority()).map_err(absent)?;
        Ok(Self { dir, base, only })
    }

    /// Where it really is.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Which folder it is, whatever its name.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        #[cfg(unix)]
        {
            use cap_std::fs::MetadataExt;
            self.dir.dir_metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
        }
        #[cfg(not(unix))]
        None
    }

    /// The one file that it is about: its name in the settings, and its path within the folder.
    pub(crate) fn only(&self) -> Option<(&str, &str)> {
        self.only.as_ref().map(|(name, real)| (name.as_str(), real.as_str()))
    }

    /// The path within this folder of what a path leads to; none if it leads outside, or nowhere.
    pub(super) fn real(&self, rel: &str) -> io::Result<Option<String>> {
        let real = fs::canonicalize(self.base.join(rel))?;
        Ok(real.strip_prefix(&self.base).ok().and_then(relative))
    }

    /// When a document was changed, and its size, wherever in the folder it really is.
    pub(crate) fn stamp_of(&self, rel: &str) -> Result<Stamp, Unread> {
        let real = match &self.only {
            Some((name, real)) if name == rel => Some(real.clone()),
            Some(_) => None,
            None => self.real(rel).map_err(|_| Unread::NotThere)?,
        };
        self.stamp(&real.ok_or(Unread::NotThere)?)
    }

    /// When the file was changed, and its size.
    pub(crate) fn stamp(&self, rel: &str) -> Result<Stamp, Unread> {
        self.open_file(rel).map(|(_, stamp)| stamp)
    }

    /// The file, if it is not larger than `most` bytes.
    pub(crate) fn read(&self, rel: &str, most: usize) -> Result<(Vec<u8>, Stamp), Unread> {
        let (file, stamp) = self.open_file(rel)?;
        let most = most as u64;
        if stamp.size > most {
            return Err(Unread::TooLarge(stamp));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0));
        // It may grow while it is read.
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(Unread::TooLarge(stamp));
        }
        Ok((bytes, stamp))
    }

    /// Open first, then look at what was opened.
    fn open_file(&self, rel: &str) -> Result<(fs::File, Stamp), Unread> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            use rustix::fs::OFlags;
            // A pipe that nobody writes to must not hold us up.
            options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
        }
        let file = self.dir.open_with(rel, &options).map_err(|error| match error.kind() {
            // What is refused for leading outside is refused as something that may not be done.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied => {
                Unread::NotThere
            }
            _ => Unread::Failed(error),
        })?;
        let file = file.into_std();
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Unread::NoFile);
        }
        Ok((file, Stamp::of(&metadata)))
    }
}
