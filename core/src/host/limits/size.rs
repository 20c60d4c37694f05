//! How large a result is as JSON, found out cheaply.

use std::io::{self, Write};

use toolgate_plugin::{Content, ToolResult};

/// What JSON can make of one byte of text at most: `\u0000`.
const LONGEST_ESCAPE: u64 = 6;

/// Room for what surrounds a block of text.
const AROUND: u64 = 256;

/// Whether a result takes at most `largest` bytes as JSON.
pub(super) fn fits(result: &ToolResult, largest: u64) -> bool {
    small(result).is_some_and(|size| size <= largest) || counted(result, largest)
}

/// No less than the size of a result that is text alone, as most are; nobody has to look at each character.
fn small(result: &ToolResult) -> Option<u64> {
    if result.structured_content.is_some() || result.meta.is_some() {
        return None;
    }
    result.content.iter().try_fold(AROUND, |size, block| match block {
        Content::Text { text, annotations: None, meta: None } => {
            Some(size + AROUND + text.len() as u64 * LONGEST_ESCAPE)
        }
        _ => None,
    })
}

/// Counts, and gives up past the bound.
fn counted(result: &ToolResult, largest: u64) -> bool {
    struct Room(u64);
    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(bytes.len() as u64) {
                Some(left) => self.0 = left,
                None => return Err(io::ErrorKind::FileTooLarge.into()),
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    serde_json::to_writer(Room(largest), result).is_ok()
}
