//! Server-sent events as Tavily sends them: by the specification, except that its streams end right behind the last
//! event, without the blank line that would end the event. A parser by the book drops that event, and with it the news
//! that the report is complete.

/// An event.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Event {
    /// Its name; empty if it has none.
    pub(super) name: String,
    /// Its data, lines joined.
    pub(super) data: String,
}

/// Makes events of bytes that arrive in any portions.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    event: Event,
    data: bool,
    after_cr: bool,
    /// Whether the last line was empty.
    between: bool,
}

impl Decoder {
    /// The events that end within these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let line_feed_of_pair = byte == b'\n' && std::mem::take(&mut self.after_cr);
            match byte {
                _ if line_feed_of_pair => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.line(&line));
                }
                other => {
                    self.after_cr = false;
                    self.line.push(other);
                }
            }
        }
        events
    }

    /// The event that the end of the stream ends.
    pub(super) fn end(mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty()
            && let Some(event) = self.line(&line)
        {
            return Some(event);
        }
        self.dispatch()
    }

    /// How much is kept of an event that has not ended.
    pub(super) fn pending(&self) -> usize {
        self.line.len() + self.event.data.len()
    }

    /// Whether an event has ended, and nothing of another one has come.
    pub(super) fn is_between_events(&self) -> bool {
        self.between && self.line.is_empty()
    }

    fn line(&mut self, line: &[u8]) -> Option<Event> {
        self.between = line.is_empty();
        if line.is_empty() {
            return self.dispatch();
        }
        let line = String::from_utf8_lossy(line);
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => {
                value.trim().clone_into(&mut self.event.name);
                // Nothing comes after it, not even the end of it at times.
                if self.event.name == "done" {
                    return self.dispatch();
                }
            }
            "data" => {
                if std::mem::replace(&mut self.data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments keep connections alive; ids and waits are for clients that come back.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.data = false;
        let event = std::mem::take(&mut self.event);
        (event != Event::default()).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8], portion: usize) -> Vec<(String, String)> {
        let mut decoder = Decoder::default();
        let mut events: Vec<Event> = bytes.chunks(portion).flat_map(|bytes| decoder.feed(bytes)).collect();
        events.extend(decoder.end());
        events.into_iter().map(|event| (event.name, event.data)).collect()
    }

    #[test]
    fn events_are_the_same_in_whatever_portions_they_come() {
        let cases: [(&str, &[(&str, &str)]); 12] = [
            ("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
            ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
            ("data:a\ndata: b\ndata:\n\n", &[("", "a\nb\n")]),
            ("event: error\ndata: {\"error\":\"ü\"}\n\n", &[("error", "{\"error\":\"ü\"}")]),
            (": keep-alive\n\nid: 7\nretry: 10\n\ndata: x\n\n", &[("", "x")]),
            ("data: x\n\nevent: done", &[("", "x"), ("done", "")]),
            ("data: x\n\nevent: done\n", &[("", "x"), ("done", "")]),
            ("data: x\n\nevent: done\n\n", &[("", "x"), ("done", "")]),
            ("data: last", &[("", "last")]),
            ("\u{feff}data: x\n\n", &[("", "x")]),
            ("\n\n\n", &[]),
        ];
        for (text, expected) in cases {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect();
            for portion in 1..=text.len() {
                assert_eq!(all(text.as_bytes(), portion), expected, "{text:?} in portions of {portion}");
            }
        }
    }

    #[test]
    fn what_is_done_is_told_before_the_stream_ends() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"event: done\n").len(), 1, "the connection may stay open");
    }
    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300), portion in 1..40_usize) {
            prop_assert_eq!(all(&bytes, portion), all(&bytes, bytes.len().max(1)));
        }
    }
}
