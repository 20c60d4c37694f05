//! Plain text: parts of its paragraphs, no headings.

use super::outline::{Outline, of_lines};

pub(super) fn read(text: &str) -> Outline {
    of_lines(text, None, &[])
}
