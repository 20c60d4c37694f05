//! What a worker prints goes to the log, line by line: bounded in length and in number, without control characters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A longer line is cut.
const LONGEST: usize = 2048;
/// Lines in a period; what is more is counted and not logged.
const LINES: u32 = 100;
const PERIOD: Duration = Duration::from_secs(1);

/// What allocators of Rust and C++ say last when they get no more.
const STARVED: [&str; 2] = ["memory allocation of ", "std::bad_alloc"];

/// Read until the pipe closes. Always reads, so that a plugin never blocks on printing. `starved` becomes true when
/// the process says that it got no more memory.
pub(super) async fn log(
    plugin: Arc<str>,
    stream: &'static str,
    mut pipe: impl AsyncRead + Unpin,
    starved: Arc<AtomicBool>,
) {
    let mut lines = Lines::default();
    let mut valve = Valve::new(Instant::now());
    let mut buffer = vec![0; 8192];
    let say = |line: &str| tracing::info!(plugin = &*plugin, stream, "{line}");
    let note = |line: &str| {
        if STARVED.iter().any(|words| line.contains(words)) {
            starved.store(true, Ordering::Relaxed);
        }
    };
    loop {
        let count = match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        lines.feed(&buffer[..count], |line| {
            note(line);
            let (open, lost) = valve.pass(Instant::now());
            if lost > 0 {
                say(&format!("{lost} lines are left out: more than {LINES} a second"));
            }
            if open {
                say(line);
            }
        });
    }
    lines.finish(|line| {
        note(line);
        say(line);
    });
    if valve.lost > 0 {
        say(&format!("{} lines are left out: more than {LINES} a second", valve.lost));
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

/// Lets so many through in a period.
struct Valve {
    since: Instant,
    passed: u32,
    lost: u64,
}

impl Valve {
    fn new(now: Instant) -> Self {
        Self { since: now, passed: 0, lost: 0 }
    }

    /// Whether this one goes through, and how many before it did not.
    fn pass(&mut self, now: Instant) -> (bool, u64) {
        let mut lost = 0;
        if now.duration_since(self.since) >= PERIOD {
            lost = self.lost;
            *self = Self::new(now);
        }
        self.passed = self.passed.saturating_add(1);
        let open = self.passed <= LINES;
        if !open {
            self.lost += 1;
        }
        (open, lost)
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
    fn a_flood_is_counted_and_not_logged() {
        let start = Instant::now();
        let mut valve = Valve::new(start);
        let open = (0..1000).filter(|_| valve.pass(start).0).count();
        assert_eq!(open, LINES as usize);
        assert_eq!(valve.pass(start + PERIOD), (true, 900));
    }
}
