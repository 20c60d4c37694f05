//! Reading the files that a configuration is made of: regular ones, and no more of them than a person writes.

use std::{fs::File, io, io::Read, path::Path};

/// Longest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The text of a file. A pipe or a device would never end, and a command must not hang on one.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Why a file could not be read, in words that do not differ between systems.
pub(super) fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::IsADirectory => "it is a directory",
        io::ErrorKind::InvalidInput => "it is not a regular file",
        io::ErrorKind::InvalidData => "it is not UTF-8 text",
        io::ErrorKind::FileTooLarge => "it is larger than 1 MiB",
        _ => "the operating system refused",
    }
}
