//! What is spoken over with one worker: frames out, requests that wait for their answers, and whether it hangs.
//!
//! Owns the socket's writing half and the requests under way. Knows nothing of the process behind the socket.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::{UnixStream, unix::OwnedWriteHalf},
    sync::{Notify, oneshot},
};
use toolgate_abi::{ERROR, method};

use super::{
    super::link::{ErrorObject, Reply},
    obituary::humantime,
    wire::{Frame, Kind, frame},
};

/// Most bytes that wait for a worker that does not read.
const BACKLOG: usize = 64 * 1024 * 1024;

/// What is spoken over: the part of a life that callers share.
pub(super) struct Voice {
    out: Mutex<Out>,
    more: Notify,
    writer: OwnedWriteHalf,
    open: Mutex<Requests>,
    /// Whether a `tools/call` had a result.
    useful: AtomicBool,
    /// How many calls were answered.
    answers: AtomicU64,
    /// The last answer to `tools/list`.
    tools: Mutex<Option<Vec<u8>>>,
}

#[derive(Default)]
struct Out {
    queue: VecDeque<Vec<u8>>,
    /// How much of the first is written.
    written: usize,
    bytes: usize,
    /// Since when nothing could be written.
    stuck: Option<Instant>,
}

#[derive(Default)]
struct Requests {
    open: HashMap<u64, Open>,
    /// Since when calls that were given up have been seen to occupy all threads, with no answer in between.
    full: Option<Instant>,
    /// Why there are no answers any more.
    gone: Option<String>,
}

struct Open {
    reply: oneshot::Sender<Reply>,
    asked: Asked,
    given_up: Option<Instant>,
    /// The plugin may work on it for as long.
    deadline: Option<Instant>,
}

impl Open {
    /// When patience with it begins: it was given up, and its time is over.
    fn overdue(&self) -> Option<Instant> {
        self.given_up.map(|given_up| self.deadline.map_or(given_up, |deadline| deadline.max(given_up)))
    }
}

/// The threads of a worker whose plugin blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Threads {
    /// Those that calls may block.
    pub(super) calls: usize,
    pub(super) all: usize,
}

/// What is remembered of a request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Call,
    Tools,
    Other,
}

impl Asked {
    fn of(method: &str) -> Self {
        match method {
            method::TOOLS_CALL => Self::Call,
            method::TOOLS_LIST => Self::Tools,
            _ => Self::Other,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Voice ===

impl Voice {
    pub(super) fn new(writer: OwnedWriteHalf) -> Self {
        Self {
            out: Mutex::default(),
            more: Notify::new(),
            writer,
            open: Mutex::default(),
            useful: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            tools: Mutex::default(),
        }
    }

    /// Ask. `deadline`: until when the plugin may work on it, also if it is given up before.
    pub(super) fn request(
        &self,
        id: u64,
        method: &str,
        params: &[u8],
        deadline: Option<Instant>,
        reply: oneshot::Sender<Reply>,
    ) {
        {
            let mut requests = lock(&self.open);
            if let Some(gone) = &requests.gone {
                let _ = reply.send(Reply::Gone(gone.clone()));
                return;
            }
            requests.open.insert(id, Open { reply, asked: Asked::of(method), given_up: None, deadline });
        }
        if !self.say(Kind::Request, id, method, params)
            && let Some(open) = lock(&self.open).open.remove(&id)
        {
            let _ = open.reply.send(Reply::Gone("the plugin takes in no more calls; try again in a moment".into()));
        }
    }

    /// Tell.
    pub(super) fn notify(&self, method: &str, params: &[u8]) {
        if !self.say(Kind::Notify, 0, method, params) {
            tracing::debug!(method, "a notification is dropped: the worker does not read");
        }
    }

    /// Nobody waits for this request any more: a worker that goes on with it is given its deadline and then `grace`.
    pub(super) fn given_up(&self, id: u64) {
        if let Some(open) = lock(&self.open).open.get_mut(&id) {
            open.given_up.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn useful(&self) -> bool {
        self.useful.load(Ordering::Relaxed)
    }

    /// The last answer to `tools/list`.
    pub(super) fn tools(&self) -> Option<Vec<u8>> {
        lock(&self.tools).clone()
    }

    /// Every request, now and later, ends with this.
    pub(super) fn end(&self, why: impl Fn(bool) -> String) {
        let open = {
            let mut requests = lock(&self.open);
            requests.gone = Some(why(false));
            std::mem::take(&mut requests.open)
        };
        for open in open.into_values() {
            let _ = open.reply.send(Reply::Gone(why(open.asked == Asked::Call)));
        }
    }

    /// Whether the frame is written or will be. Writes at once if it can: a wake-up less for each request.
    pub(super) fn say(&self, kind: Kind, id: u64, method: &str, payload: &[u8]) -> bool {
        let Some(frame) = frame(kind, id, method, payload) else { return false };
        let mut out = lock(&self.out);
        let mut written = 0;
        if out.queue.is_empty() {
            match self.writer.try_write(&frame) {
                Ok(count) if count == frame.len() => return true,
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The reader sees the end, and answers.
                Err(_) => return true,
            }
            out.written = written;
        }
        if out.bytes + frame.len() > BACKLOG && written == 0 {
            return false;
        }
        out.bytes += frame.len();
        out.stuck.get_or_insert_with(Instant::now);
        out.queue.push_back(frame);
        self.more.notify_one();
        true
    }

    /// Write what could not be written at once, for as long as the socket lives.
    pub(super) async fn write(&self) {
        loop {
            if !self.drain() {
                self.more.notified().await;
            } else if self.writer.writable().await.is_err() {
                return;
            }
        }
    }

    /// Whether something is left to write.
    fn drain(&self) -> bool {
        let mut out = lock(&self.out);
        while let Some(first) = out.queue.front() {
            match self.writer.try_write(&first[out.written..]) {
                Ok(count) => {
                    out.written += count;
                    out.stuck = Some(Instant::now());
                    if out.queue.front().is_some_and(|first| out.written >= first.len()) {
                        let length = out.queue.pop_front().map_or(0, |first| first.len());
                        out.bytes -= length;
                        out.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    *out = Out::default();
                    return false;
                }
            }
        }
        out.stuck = None;
        false
    }

    /// No more words of ours: the worker sees the end of them. What it says is still heard.
    pub(super) fn fall_silent(&self) {
        let socket: &UnixStream = self.writer.as_ref();
        let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
    }

    /// Whether it hangs, and how: a socket that takes nothing, a call that goes on although it was given up and its
    /// time is over, or `threads` that calls which were given up hold while others wait.
    ///
    /// A call that was given up is no sign of a fault before its deadline: a caller who hangs up after a moment would
    /// otherwise end the calls of all others.
    pub(super) fn hangs(&self, grace: Duration, threads: Option<Threads>) -> Option<String> {
        if lock(&self.out).stuck.is_some_and(|since| since.elapsed() > grace) {
            return Some("hung: it did not take in what it was asked".into());
        }
        let now = Instant::now();
        let over = |since: Instant| now.saturating_duration_since(since) > grace;
        let mut requests = lock(&self.open);
        let mut given_up = 0;
        for open in requests.open.values_mut() {
            // Somebody may have left without a word.
            if open.given_up.is_none() && open.reply.is_closed() {
                open.given_up = Some(now);
            }
            if let Some(since) = open.overdue() {
                given_up += 1;
                if over(since) {
                    let span = humantime(grace);
                    return Some(match open.deadline {
                        Some(deadline) if deadline == since => {
                            format!("hung: it did not end a call that was given up within {span} of its time limit")
                        }
                        _ => format!("hung: it did not end a call within {span} of its cancellation"),
                    });
                }
            }
        }
        let full = threads.is_some_and(|threads| given_up >= threads.calls && requests.open.len() > threads.all);
        if !full {
            requests.full = None;
            return None;
        }
        over(*requests.full.get_or_insert(now))
            .then(|| format!("hung: {given_up} calls that were given up occupy its threads (limits.concurrency)"))
    }

    /// Whether something is asked and not answered.
    pub(super) fn is_asked(&self) -> bool {
        !lock(&self.open).open.is_empty()
    }

    /// How many calls were answered.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// An answer has come.
    pub(super) fn answered(&self, frame: Frame) {
        let open = {
            let mut requests = lock(&self.open);
            requests.full = None;
            requests.open.remove(&frame.id)
        };
        let Some(open) = open else {
            tracing::debug!(id = frame.id, "an answer to nothing that was asked; it is dropped");
            return;
        };
        match (open.asked, frame.kind) {
            (Asked::Call, kind) => {
                // An error is an answer, and no work.
                if kind == Kind::Result {
                    self.useful.store(true, Ordering::Relaxed);
                }
                self.answers.fetch_add(1, Ordering::Relaxed);
            }
            (Asked::Tools, Kind::Result) => *lock(&self.tools) = Some(frame.payload.clone()),
            _ => {}
        }
        let _ = open.reply.send(match frame.kind {
            Kind::TooLarge => Reply::TooLarge(size(&frame.payload)),
            Kind::Error => Reply::Error(ErrorObject::read(ERROR, &frame.payload)),
            _ => Reply::Result(frame.payload),
        });
    }
}

fn size(payload: &[u8]) -> u64 {
    payload.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
