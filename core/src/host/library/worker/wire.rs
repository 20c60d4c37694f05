//! Frames on the socket between the server and a worker, and nothing about what they mean.
//!
//! `length: u32 | kind: u8 | id: u64 | method length: u16 | method | payload`, integers little-endian; `length` counts
//! what follows it. Both ends are the same binary, so there is no compatibility to keep: the handshake compares
//! versions. A reader keeps no more than the largest frame that it allows, whatever a length says.

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Server: an [`Orders`](super::handshake::Orders). The first frame.
    Orders = 1,
    /// Server: create the instance; the payload is the params.
    Create = 2,
    /// Server: a request.
    Request = 3,
    /// Server: a notification.
    Notify = 4,
    /// Worker: an [`Opened`](super::handshake::Opened).
    Opened = 5,
    /// Worker: a [`Created`](super::handshake::Created).
    Created = 6,
    /// Worker: the request's result.
    Result = 7,
    /// Worker: the request's error.
    Error = 8,
    /// Worker: the answer was too large; the payload is its size, a `u64`.
    TooLarge = 9,
    /// Worker: the plugin tells.
    Told = 10,
    /// Server: an earlier worker's result of `tools/list`.
    Tools = 11,
    /// Worker: a [`Confined`](super::handshake::Confined). The first frame.
    Confined = 12,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Orders,
        Self::Create,
        Self::Request,
        Self::Notify,
        Self::Opened,
        Self::Created,
        Self::Result,
        Self::Error,
        Self::TooLarge,
        Self::Told,
        Self::Tools,
        Self::Confined,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A frame as read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) id: u64,
    pub(super) method: String,
    pub(super) payload: Vec<u8>,
}

/// What arrived is no frame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("a frame of {0} bytes is larger than the {1} that are allowed")]
    TooLarge(usize, usize),
    #[error("a frame of {0} bytes is too short")]
    TooShort(usize),
    #[error("a frame of the unknown kind {0}")]
    Kind(u8),
    #[error("a frame whose method is longer than the frame, or no UTF-8")]
    Method,
}

const LENGTH: usize = 4;
/// Kind, id, and the method's length.
const HEAD: usize = 1 + 8 + 2;
/// Buffers do not shrink below this.
const CHUNK: usize = 64 * 1024;

/// A frame, ready to be written. `None`: a method or payload whose length cannot be told.
pub(super) fn frame(kind: Kind, id: u64, method: &str, payload: &[u8]) -> Option<Vec<u8>> {
    let method_length = u16::try_from(method.len()).ok()?;
    let length = u32::try_from(HEAD + method.len() + payload.len()).ok()?;
    let mut bytes = Vec::with_capacity(LENGTH + HEAD + method.len() + payload.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes.extend_from_slice(&method_length.to_le_bytes());
    bytes.extend_from_slice(method.as_bytes());
    bytes.extend_from_slice(payload);
    Some(bytes)
}

/// Cuts a stream of bytes into frames.
pub(super) struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    largest: usize,
}

impl Decoder {
    /// Frames of more than `largest` bytes are refused.
    pub(super) fn new(largest: usize) -> Self {
        Self { buffer: vec![0; CHUNK], start: 0, end: 0, largest }
    }

    /// Where to read to; never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > CHUNK {
                // One large frame must not hold its memory for ever.
                self.buffer = vec![0; CHUNK];
            }
        }
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                // Doubling: what arrived bounds what is kept, not what a length announces.
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were read to the front of [`room`](Self::room).
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// The next whole frame.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, WireError> {
        let held = &self.buffer[self.start..self.end];
        let Some((length, rest)) = held.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > self.largest {
            return Err(WireError::TooLarge(length, self.largest));
        }
        if length < HEAD {
            return Err(WireError::TooShort(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let frame = parse(body)?;
        self.start += LENGTH + length;
        Ok(Some(frame))
    }
}

fn parse(body: &[u8]) -> Result<Frame, WireError> {
    let short = WireError::TooShort(body.len());
    let Some((kind, rest)) = body.split_first() else { return Err(short) };
    let Some((id, rest)) = rest.split_first_chunk::<8>() else { return Err(short) };
    let Some((method_length, rest)) = rest.split_first_chunk::<2>() else { return Err(short) };
    let kind = Kind::of(*kind).ok_or(WireError::Kind(*kind))?;
    let (method, payload) =
        rest.split_at_checked(usize::from(u16::from_le_bytes(*method_length))).ok_or(WireError::Method)?;
    let method = str::from_utf8(method).map_err(|_| WireError::Method)?.to_owned();
    Ok(Frame { kind, id: u64::from_le_bytes(*id), method, payload: payload.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(decoder: &mut Decoder, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = decoder.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            decoder.filled(count);
            bytes = &bytes[count..];
        }
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        proptest::sample::select(Kind::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn frames_survive_whatever_pieces_they_arrive_in(
            frames in proptest::collection::vec(
                (kinds(), any::<u64>(), "[a-z/]{0,40}", proptest::collection::vec(any::<u8>(), 0..2000)), 1..8),
            piece in 1_usize..700,
        ) {
            let mut bytes = Vec::new();
            for (kind, id, method, payload) in &frames {
                bytes.extend(frame(*kind, *id, method, payload).expect("short enough"));
            }
            let mut decoder = Decoder::new(4096);
            let mut read = Vec::new();
            for piece in bytes.chunks(piece) {
                feed(&mut decoder, piece);
                while let Some(frame) = decoder.next().expect("well formed") {
                    read.push((frame.kind, frame.id, frame.method, frame.payload));
                }
            }
            prop_assert_eq!(read, frames);
        }

        #[test]
        fn noise_is_refused_or_waited_for_and_never_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let mut decoder = Decoder::new(2048);
            feed(&mut decoder, &noise);
            for _ in 0..noise.len() {
                match decoder.next() {
                    Ok(Some(frame)) => prop_assert!(frame.payload.len() <= 2048),
                    Ok(None) | Err(_) => break,
                }
            }
        }

        #[test]
        fn a_length_reserves_no_memory(length in 0_u32..=u32::MAX) {
            let mut decoder = Decoder::new(usize::MAX);
            feed(&mut decoder, &length.to_le_bytes());
            let _ = decoder.next();
            prop_assert_eq!(decoder.buffer.len(), CHUNK);
        }
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let table: &[(&str, Vec<u8>, WireError)] = &[
            ("too long", 4097_u32.to_le_bytes().to_vec(), WireError::TooLarge(4097, 4096)),
            ("too short", 3_u32.to_le_bytes().to_vec(), WireError::TooShort(3)),
            ("no such kind", [&11_u32.to_le_bytes()[..], &[99; 1], &[0; 10]].concat(), WireError::Kind(99)),
            (
                "a method beyond the frame",
                [&11_u32.to_le_bytes()[..], &[1], &[0; 8], &[5, 0]].concat(),
                WireError::Method,
            ),
        ];
        for (name, bytes, expected) in table {
            let mut decoder = Decoder::new(4096);
            feed(&mut decoder, bytes);
            assert_eq!(decoder.next().as_ref(), Err(expected), "{name}");
        }
    }

    #[test]
    fn a_large_frame_gives_its_memory_back() {
        let mut decoder = Decoder::new(8 * 1024 * 1024);
        feed(&mut decoder, &frame(Kind::Result, 1, "", &vec![7; 4 * 1024 * 1024]).expect("short enough"));
        assert_eq!(decoder.next().expect("well formed").expect("whole").payload.len(), 4 * 1024 * 1024);
        assert_eq!(decoder.room().len(), CHUNK);
    }
}
