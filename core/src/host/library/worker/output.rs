//! What a worker prints goes to the log, line by line: bounded in length and in number, without control characters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::super::valve::{Valve, left_out};

/// A longer line is cut.
const LONGEST: usize = 2048;
/// What allocators of Rust and C++ say last when they get no more.
const STARVED: [&str; 2] = ["memory allocation of ", "std::bad_alloc"];
/// Lines in which they say it; what a plugin printed before these says nothing of its end.
const LAST: u32 = 3;

/// Read until the pipe closes. Always reads, so that a plugin never blocks on printing. `starved` is true while the
/// last lines say that there was no more memory to be had.
pub(super) async fn log(
    plugin: Arc<str>,
    stream: &'static str,
    mut pipe: impl AsyncRead + Unpin,
    starved: Arc<AtomicBool>,
) {
    let mut lines = Lines::default();
    let mut valve = Valve::new(Instant::now());
    let mut buffer = vec![0; 8192];
    let mut last_words = LastWords::default();
    let say = |line: &str| tracing::info!(plugin = &*plugin, stream, "{line}");
    loop {
        let count = match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        lines.feed(&buffer[..count], |line| {
            starved.store(last_words.starved(line), Ordering::Relaxed);
            let (open, lost) = valve.pass(Instant::now());
            if lost > 0 {
                say(&left_out(lost));
            }
            if open {
                say(line);
            }
        });
    }
    lines.finish(|line| {
        starved.store(last_words.starved(line), Ordering::Relaxed);
        say(line);
    });
    if valve.lost() > 0 {
        say(&left_out(valve.lost()));
    }
}

/// Whether the last lines speak of memory.
#[derive(Default)]
struct LastWords {
    /// How many more lines may follow the one that did.
    more: u32,
}

impl LastWords {
    /// Whether they do after this line.
    fn starved(&mut self, line: &str) -> bool {
        let said = STARVED.iter().any(|words| line.contains(words));
        self.more = if said { LAST } else { self.more.saturating_sub(1) };
        self.more > 0
    }
}

/// Bytes to lines.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = LONGEST.saturating_sub(self.line.len());
            self.cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.finish(&mut each);
            }
        }
    }

    fn finish(&mut self, each: impl FnOnce(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let mut text: String = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if std::mem::take(&mut self.cut) {
            text.push('…');
        }
        if !text.is_empty() {
            each(&text);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_cleaned_and_put_together() {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for piece in [&b"one\ntw"[..], b"o\x1b[2J\r\n\n", &[b'x'; 5000], b"\nlast"] {
            lines.feed(piece, |line| got.push(line.to_owned()));
        }
        lines.finish(|line| got.push(line.to_owned()));
        assert_eq!(got[..2], ["one", "two [2J"]);
        assert_eq!(got[2].chars().count(), LONGEST + 1);
        assert_eq!(got[3], "last");
    }

    #[test]
    fn words_about_memory_count_only_at_the_end() {
        let mut last_words = LastWords::default();
        assert!(!last_words.starved("ready"));
        assert!(last_words.starved("memory allocation of 4096 bytes failed"));
        assert!(last_words.starved("note: run with a backtrace"));
        assert!(last_words.starved(""));
        assert!(!last_words.starved("life goes on"));
    }
}
