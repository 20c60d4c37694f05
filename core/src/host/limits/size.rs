//! How large a result is as JSON, found out cheaply.

use std::io::{self, Write};

use serde_json::Value;
use toolgate_plugin::{Content, ToolResult};

/// What JSON can make of one byte of text at most: `\u0000`.
const LONGEST_ESCAPE: u64 = 6;

/// Room for what surrounds a block of text.
const AROUND: u64 = 256;

/// No JSON of a number is longer.
const LONGEST_NUMBER: u64 = 32;

/// Whether a result takes at most `largest` bytes as JSON.
pub(super) fn fits(result: &ToolResult, largest: u64) -> bool {
    is_small(result, largest) || counted(result, largest)
}

/// Whether a result certainly fits, as most do: found by the lengths of its texts, without a look at a character. Only
/// what is near the bound, and rare kinds of content, need to be written to know.
fn is_small(result: &ToolResult, largest: u64) -> bool {
    let mut room = Room(largest);
    room.take(AROUND)
        && result.content.iter().all(|block| match block {
            Content::Text { text, annotations: None, meta: None } => room.take(AROUND) && room.text(text),
            _ => false,
        })
        && result.meta.iter().flatten().all(|(key, value)| room.member(key, value))
        && result.structured_content.as_ref().is_none_or(|value| room.value(value))
}

/// How many bytes are left, if everything takes as many as it can. Whatever takes more than that says no.
struct Room(u64);

impl Room {
    fn take(&mut self, bytes: u64) -> bool {
        self.0.checked_sub(bytes).map(|left| self.0 = left).is_some()
    }

    fn text(&mut self, text: &str) -> bool {
        self.take((text.len() as u64).saturating_mul(LONGEST_ESCAPE).saturating_add(2))
    }

    fn member(&mut self, key: &str, value: &Value) -> bool {
        self.take(2) && self.text(key) && self.value(value)
    }

    fn value(&mut self, value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => self.take(5),
            Value::Number(_) => self.take(LONGEST_NUMBER),
            Value::String(text) => self.text(text),
            Value::Array(items) => self.take(2) && items.iter().all(|item| self.take(1) && self.value(item)),
            Value::Object(members) => self.take(2) && members.iter().all(|(key, value)| self.member(key, value)),
        }
    }
}

/// Counts, and gives up past the bound.
fn counted(result: &ToolResult, largest: u64) -> bool {
    struct Counter(u64);
    impl Write for Counter {
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
    serde_json::to_writer(Counter(largest), result).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_taken_for_small_is() {
        let odd = "\u{0}\u{1f}\"\\/ä😀".repeat(9);
        let values = [
            json!(null),
            json!(f64::MIN),
            json!([u64::MAX, i64::MIN, 1.0e-300, true, false]),
            json!({ odd.clone(): [odd, { "": [] }] }),
            json!([[[[[[]]]]]]),
        ];
        for value in values {
            let object = json!({ "k": value }).as_object().cloned();
            for meta in [None, object] {
                let mut result = ToolResult::error("\u{1}".repeat(100));
                (result.structured_content, result.meta) = (Some(value.clone()), meta);
                let size = serde_json::to_string(&result).expect("JSON").len() as u64;
                let small = (0..20_000).find(|&largest| is_small(&result, largest)).expect("it is small somewhere");
                assert!(small >= size, "{value}: {small} for {size}");
                assert!(fits(&result, size) && !fits(&result, size - 1), "{value}");
            }
        }
    }
}
