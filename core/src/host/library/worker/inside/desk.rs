//! Where requests come in and answers go out: threads that take turns at the socket.
//!
//! One thread reads a request, hands the socket to the next and works on the request itself, so that a plugin that
//! answers at once costs no switch between threads, and one that blocks keeps nobody else waiting.

use std::{
    collections::HashMap,
    io::Write as _,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use toolgate_abi::{ERROR, OK, method};

use super::{
    super::{
        super::{
            border::Instance,
            link::{Ears, ErrorObject},
        },
        wire::{Frame, Kind, frame},
    },
    Deserted, Reader,
    checks::{Checks, Objection, withdrawn},
};

/// Threads that wait although nothing is asked; more than these leave.
const IDLE: usize = 4;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says things to the server, a frame at a time.
pub(super) struct Mouth(Mutex<UnixStream>);

impl Mouth {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self(Mutex::new(socket))
    }

    pub(super) fn tell(&self, kind: Kind, value: &impl Serialize) -> Result<(), Deserted> {
        self.answer(kind, 0, value)
    }

    fn answer(&self, kind: Kind, id: u64, value: &impl Serialize) -> Result<(), Deserted> {
        let payload = serde_json::to_vec(value).map_err(|_| Deserted)?;
        self.say(kind, id, "", &payload);
        Ok(())
    }

    /// A server that has gone is `watch_server`'s to notice.
    fn say(&self, kind: Kind, id: u64, method: &str, payload: &[u8]) {
        if let Some(frame) = frame(kind, id, method, payload) {
            let _ = lock(&self.0).write_all(&frame);
        }
    }
}

/// Requests that are not answered yet, and the threads for them.
pub(super) struct Desk {
    mouth: Arc<Mouth>,
    /// Largest result, in bytes.
    largest: u64,
    open: Mutex<HashMap<u64, Stage>>,
    checks: Checks,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A call whose arguments are being checked: the plugin has not heard of it.
    Checked,
    /// The same, and nobody waits for it any more.
    Withdrawn,
    /// The plugin is asked for its tools.
    Listed,
    /// The plugin has it.
    Asked,
}

/// The params of `notifications/cancelled`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled {
    request_id: u64,
}

impl Ears for Desk {
    fn answered(&self, id: u64, status: i32, payload: &[u8]) {
        let Some(stage) = self.close(id) else { return };
        if stage == Stage::Listed
            && status == OK
            && payload.len() as u64 <= self.largest
            && let Err(objection) = self.checks.learn(payload)
        {
            return self.object(id, &objection);
        }
        let size = payload.len() as u64;
        if size > self.largest {
            self.mouth.say(Kind::TooLarge, id, "", &size.to_le_bytes());
        } else {
            match status {
                OK => self.mouth.say(Kind::Result, id, "", payload),
                ERROR => self.mouth.say(Kind::Error, id, "", payload),
                _ => drop(self.mouth.answer(Kind::Error, id, &ErrorObject::read(status, payload))),
            }
        }
    }

    fn told(&self, method: &str, params: &[u8]) {
        let size = (method.len() + params.len()) as u64;
        if size > self.largest {
            tracing::warn!(size, "the plugin told more than a result may hold; it is dropped");
        } else {
            self.mouth.say(Kind::Told, 0, method, params);
        }
    }
}

/// What the threads share.
struct Shift {
    desk: Arc<Desk>,
    /// Taken away at the end.
    instance: RwLock<Option<Instance>>,
    reader: Mutex<Reader>,
    /// Threads that read or wait to.
    waiting: AtomicUsize,
    threads: AtomicUsize,
    most: usize,
}

impl Desk {
    pub(super) fn new(mouth: Arc<Mouth>, largest: u64) -> Self {
        Self { mouth, largest, open: Mutex::default(), checks: Checks::default() }
    }

    /// The tools as an earlier worker of this plugin listed them.
    pub(super) fn recall(&self, tools: &[u8]) {
        // They were in order then.
        let _ = self.checks.learn(tools);
    }

    /// How far an open request was; it is open no more. `None`: there is no such request.
    fn close(&self, id: u64) -> Option<Stage> {
        let mut open = lock(&self.open);
        // What is being checked is unknown to the plugin, whatever it says.
        if matches!(open.get(&id), None | Some(Stage::Checked | Stage::Withdrawn)) {
            tracing::debug!(id, "an answer to nothing that was asked, or the second one; it is dropped");
            return None;
        }
        open.remove(&id)
    }

    fn object(&self, id: u64, Objection(error): &Objection) {
        self.mouth.say(Kind::Error, id, "", error.to_string().as_bytes());
    }

    /// Whether the plugin is to be asked; a call whose arguments do not fit is answered here.
    fn admits(&self, frame: &Frame) -> bool {
        let stage = match &*frame.method {
            method::TOOLS_CALL => Stage::Checked,
            method::TOOLS_LIST => Stage::Listed,
            _ => Stage::Asked,
        };
        lock(&self.open).insert(frame.id, stage);
        if stage != Stage::Checked {
            return true;
        }
        let checked = self.checks.check(&frame.payload);
        let mut open = lock(&self.open);
        let objection = match (checked, open.get_mut(&frame.id)) {
            (Ok(()), Some(stage @ Stage::Checked)) => {
                *stage = Stage::Asked;
                return true;
            }
            (Ok(()), _) => withdrawn(),
            (Err(objection), _) => objection,
        };
        open.remove(&frame.id);
        drop(open);
        self.object(frame.id, &objection);
        false
    }

    /// Whether the plugin is to be told; it has not heard of a call that is being checked.
    fn passes_on(&self, frame: &Frame) -> bool {
        if frame.method != method::CANCELLED {
            return true;
        }
        let Ok(Cancelled { request_id }) = serde_json::from_slice(&frame.payload) else { return true };
        match lock(&self.open).get_mut(&request_id) {
            Some(stage @ (Stage::Checked | Stage::Withdrawn)) => {
                *stage = Stage::Withdrawn;
                false
            }
            _ => true,
        }
    }

    /// Answer until the server closes the socket, with at most so many threads.
    pub(super) fn serve(self: Arc<Self>, instance: Instance, reader: Reader, most: usize) -> Result<(), Deserted> {
        let shift = Arc::new(Shift {
            desk: self,
            instance: RwLock::new(Some(instance)),
            reader: Mutex::new(reader),
            waiting: AtomicUsize::new(0),
            threads: AtomicUsize::new(1),
            most,
        });
        shift.work(true);
        Ok(())
    }
}

impl Shift {
    /// Take turns with the others. `first`: the process ends with this thread, which never leaves.
    fn work(self: &Arc<Self>, first: bool) {
        loop {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let frame = lock(&self.reader).frame();
            let waiting = self.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
            let Ok(Some(frame)) = frame else { self.part() };
            if waiting == 0 && self.most > 1 {
                self.hire();
            }
            self.handle(&frame);
            if !first && self.waiting.load(Ordering::SeqCst) >= IDLE {
                self.threads.fetch_sub(1, Ordering::SeqCst);
                return;
            }
        }
    }

    /// One more thread, if there may be one.
    fn hire(self: &Arc<Self>) {
        let more = |threads| (threads < self.most).then_some(threads + 1);
        if self.threads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err() {
            return;
        }
        let shift = Arc::clone(self);
        let hired = std::thread::Builder::new().name("toolgate-call".into()).spawn(move || shift.work(false));
        if let Err(error) = hired {
            // Those that are there go on; calls wait for one of them.
            self.threads.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(%error, "no more threads for calls; limits.memory may be too small");
        }
    }

    fn handle(&self, frame: &Frame) {
        let instance = self.instance.read().unwrap_or_else(PoisonError::into_inner);
        let Some(instance) = &*instance else { return };
        match frame.kind {
            Kind::Request => {
                if self.desk.admits(frame) {
                    instance.request(frame.id, &frame.method, &frame.payload);
                }
            }
            Kind::Notify => {
                if self.desk.passes_on(frame) {
                    instance.notify(&frame.method, &frame.payload);
                }
            }
            other => tracing::warn!(?other, "the server spoke out of turn"),
        }
    }

    /// The server has closed the socket: let the plugin go and exit. `watch_server` sees to it that this ends.
    fn part(&self) -> ! {
        if let Some(instance) = self.instance.write().unwrap_or_else(PoisonError::into_inner).take() {
            instance.release();
        }
        std::process::exit(0)
    }
}
