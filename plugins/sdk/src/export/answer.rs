//! The answer that a request is owed: given once, and also when the work on it is lost.

use super::{border::Asker, wire::Fault};

/// Answers when dropped, if nothing did before: a request is answered exactly once, whatever becomes of its work.
pub(super) struct Answer {
    asker: Asker,
    id: u64,
    owed: bool,
}

impl Answer {
    pub(super) fn new(asker: Asker, id: u64) -> Self {
        Self { asker, id, owed: true }
    }

    /// The request's id, by which `notifications/cancelled` names it.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Answer.
    pub(super) fn give(mut self, result: Result<Vec<u8>, Fault>) {
        self.owed = false;
        match result {
            Ok(payload) => self.asker.answer(self.id, toolgate_abi::OK, &payload),
            Err(fault) => self.asker.answer(self.id, toolgate_abi::ERROR, &fault.to_json()),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.owed {
            let fault = match std::thread::panicking() {
                true => Fault::internal("the plugin panicked"),
                false => Fault::internal("the plugin gave the work up"),
            };
            self.asker.answer(self.id, toolgate_abi::ERROR, &fault.to_json());
        }
    }
}
