//! Who waits for which answer.
//!
//! Owns the requests under way of one instance; both kinds of link have one. Knows nothing of methods.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;
use toolgate_abi::OK;

use super::link::{Ears, ErrorObject, Pending, Reply};

/// Takes what a plugin tells of itself: method and params. Must not block.
pub(super) type Listener = Arc<dyn Fn(&str, &[u8]) + Send + Sync>;

/// The requests under way.
pub(super) struct Table {
    next: AtomicU64,
    waiting: Mutex<Waiting>,
    largest: u64,
    listener: Listener,
}

struct Waiting {
    senders: HashMap<u64, oneshot::Sender<Reply>>,
    /// At this many, those that nobody waits for any more are forgotten: a plugin may never answer.
    sweep: usize,
    /// Why there will be no answers any more.
    gone: Option<String>,
}

const SWEEP: usize = 128;

impl Table {
    /// Nothing under way; answers of more than `largest` bytes are not kept.
    pub(super) fn new(largest: u64, listener: Listener) -> Self {
        let waiting = Waiting { senders: HashMap::new(), sweep: SWEEP, gone: None };
        // 0 is the id of `create`.
        Self { next: AtomicU64::new(1), waiting: Mutex::new(waiting), largest, listener }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new request. After [`Table::abandon`] it is answered already.
    pub(super) fn open(&self) -> Pending {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        let mut waiting = self.waiting();
        match &waiting.gone {
            Some(why) => drop(sender.send(Reply::Gone(why.clone()))),
            None => {
                if waiting.senders.len() >= waiting.sweep {
                    waiting.senders.retain(|_, sender| !sender.is_closed());
                    waiting.sweep = SWEEP.max(waiting.senders.len() * 2);
                }
                waiting.senders.insert(id, sender);
            }
        }
        Pending { id, reply }
    }

    /// Whether somebody waits for the answer to the request `id`.
    pub(super) fn awaits(&self, id: u64) -> bool {
        self.waiting().senders.get(&id).is_some_and(|sender| !sender.is_closed())
    }

    /// Answer the request `id`, if somebody waits.
    pub(super) fn answer(&self, id: u64, reply: impl FnOnce() -> Reply) {
        let sender = self.waiting().senders.remove(&id);
        match sender {
            // Whoever waited may have gone: then there is no reply to make.
            Some(sender) if !sender.is_closed() => drop(sender.send(reply())),
            Some(_) => {}
            None => tracing::debug!(id, "a plugin answered a request that is not under way"),
        }
    }

    /// Answer all that is under way, and all that is asked from now on.
    pub(super) fn abandon(&self, why: &str) {
        let senders = {
            let mut waiting = self.waiting();
            waiting.gone = Some(why.to_owned());
            std::mem::take(&mut waiting.senders)
        };
        for (_, sender) in senders {
            let _ = sender.send(Reply::Gone(why.to_owned()));
        }
    }
}

impl Ears for Table {
    fn answered(&self, id: u64, status: i32, payload: &[u8]) {
        let size = payload.len() as u64;
        self.answer(id, || match status {
            _ if size > self.largest => Reply::TooLarge(size),
            OK => Reply::Result(payload.to_vec()),
            _ => Reply::Error(ErrorObject::read(status, payload)),
        });
    }

    fn told(&self, method: &str, params: &[u8]) {
        (self.listener)(method, params);
    }
}
