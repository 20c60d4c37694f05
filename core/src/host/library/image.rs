//! What kind of file a library is, read off its first bytes before the dynamic linker sees it: the linker's own words
//! for these cases help nobody, and a truncated file would end the process.
//!
//! Knows nothing of plugins.

use std::{
    fmt,
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
};

use super::failure::OpenError;

/// A format of shared libraries, named by where it is at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// ELF: Linux and the BSDs.
    Elf,
    /// Mach-O.
    MachO,
    /// PE.
    Pe,
}

impl Format {
    const NATIVE: Self = if cfg!(windows) {
        Self::Pe
    } else if cfg!(target_vendor = "apple") {
        Self::MachO
    } else {
        Self::Elf
    };
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf => "Linux (ELF)",
            Self::MachO => "macOS (Mach-O)",
            Self::Pe => "Windows (PE)",
        })
    }
}

/// Whether the dynamic linker may be asked.
///
/// # Errors
/// Whatever can be told from the file's metadata and header.
pub(super) fn check(path: &Path) -> Result<(), OpenError> {
    let name = || path.display().to_string();
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => OpenError::Missing(name()),
        _ => OpenError::Unreadable { path: name(), why: error.to_string() },
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(OpenError::Folder(name()));
    }
    if !metadata.is_file() {
        return Err(OpenError::NotALibrary { path: name(), what: "a device or a pipe" });
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut head = Vec::new();
    // Program headers follow the file's header in what every linker writes.
    (&mut file).take(64 << 10).read_to_end(&mut head).map_err(unreadable)?;
    examine(&head, metadata.len(), &name())
}

fn examine(head: &[u8], length: u64, path: &str) -> Result<(), OpenError> {
    let path = path.to_owned();
    let not = |what| Err(OpenError::NotALibrary { path: path.clone(), what });
    let format = match head {
        [] => return Err(OpenError::Empty(path)),
        [0x7f, b'E', b'L', b'F', ..] => Format::Elf,
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xcf | 0xce, ..] => Format::MachO,
        // A universal binary; a Java class begins with the same bytes and a version above 40.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0..40, ..] => Format::MachO,
        [b'M', b'Z', ..] => Format::Pe,
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => return not("a static archive"),
        [b'#', b'!', ..] => return not("a script"),
        _ if !head.contains(&0) && std::str::from_utf8(head.get(..1024).unwrap_or(head)).is_ok() => {
            return not("a text file");
        }
        _ => return not("something else"),
    };
    if format != Format::NATIVE {
        return Err(OpenError::OtherSystem { path, found: format });
    }
    if format == Format::Elf { elf(head, length, path) } else { Ok(()) }
}

/// `e_machine`, class in bits and whether little-endian, of the machine that this server is built for.
const NATIVE: Option<(u16, u8, bool)> = {
    let machine = if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else if cfg!(target_arch = "x86") {
        3
    } else if cfg!(target_arch = "arm") {
        40
    } else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
        243
    } else if cfg!(target_arch = "s390x") {
        22
    } else if cfg!(target_arch = "powerpc64") {
        21
    } else if cfg!(target_arch = "loongarch64") {
        258
    } else {
        0
    };
    let bits = if cfg!(target_pointer_width = "64") { 64 } else { 32 };
    if machine == 0 { None } else { Some((machine, bits, cfg!(target_endian = "little"))) }
};

/// The fields of the ELF specification that say whom the file is for and how long it must be.
fn elf(head: &[u8], length: u64, path: String) -> Result<(), OpenError> {
    let wide = head.get(4) == Some(&2);
    let little = head.get(5) != Some(&2);
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = head.get(at..at.checked_add(size)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    };
    let header = if wide { 64 } else { 52 };
    if length < header {
        return Err(OpenError::Truncated { path, found: length, expected: header });
    }
    let kind = number(16, 2).unwrap_or_default();
    let machine = u16::try_from(number(18, 2).unwrap_or_default()).unwrap_or_default();
    let bits = if wide { 64 } else { 32 };
    if NATIVE.is_some_and(|native| native != (machine, bits, little)) {
        return Err(OpenError::OtherArchitecture { path, found: architecture(machine, bits, little) });
    }
    match kind {
        1 => return Err(OpenError::NotALibrary { path, what: "an object file" }),
        2 => return Err(OpenError::NotALibrary { path, what: "a program" }),
        _ => {}
    }
    // Mapping a segment that the file does not have is a SIGBUS, not an error.
    let (start, each, count) = if wide {
        (number(32, 8), number(54, 2), number(56, 2))
    } else {
        (number(28, 4), number(42, 2), number(44, 2))
    };
    let mut expected = header;
    for index in 0..count.unwrap_or_default() {
        let segment = || {
            let at = usize::try_from(start?.checked_add(index * each?)?).ok()?;
            let load = number(at, 4)? == 1;
            let (offset, size) = if wide {
                (number(at.checked_add(8)?, 8)?, number(at.checked_add(32)?, 8)?)
            } else {
                (number(at.checked_add(4)?, 4)?, number(at.checked_add(16)?, 4)?)
            };
            load.then(|| offset.saturating_add(size))
        };
        expected = expected.max(segment().unwrap_or_default());
    }
    if length < expected {
        return Err(OpenError::Truncated { path, found: length, expected });
    }
    Ok(())
}

fn architecture(machine: u16, bits: u8, little: bool) -> String {
    let name = match (machine, bits) {
        (3, _) => "x86",
        (20, _) => "powerpc",
        (21, _) => "powerpc64",
        (22, _) => "s390x",
        (40, _) => "arm",
        (62, 64) => "x86_64",
        (62, _) => "x86_64 with 32-bit pointers (x32)",
        (183, _) => "aarch64",
        (243, 64) => "riscv64",
        (243, _) => "riscv32",
        (258, _) => "loongarch64",
        _ => return format!("another machine (ELF number {machine})"),
    };
    let native = std::env::consts::ARCH;
    if name == native && !little { format!("{name} (big-endian)") } else { name.to_owned() }
}
