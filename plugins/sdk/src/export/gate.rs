//! A gate that callers pass until it is closed, and whose closing waits for those inside.
//!
//! It keeps the promise of `release`: once it has returned, nothing goes to the host any more. Knows nothing of what
//! is behind it.

use std::{
    cell::RefCell,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Set once closed; the bits below count who is inside.
const CLOSED: usize = 1 << (usize::BITS - 1);

thread_local! {
    /// The gates that this thread is inside of, by address.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Gate {
    state: AtomicUsize,
    lock: Mutex<()>,
    left: Condvar,
}

/// Somebody inside, until dropped.
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    /// Go in, unless it is closed.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let before = self.state.fetch_add(1, Ordering::SeqCst);
        let pass = Pass(self);
        // Before anything that reads it: dropping a pass takes one entry away again.
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().push(self.address()));
        (before & CLOSED == 0).then_some(pass)
    }

    /// Let nobody in any more, and wait until everybody is out; but for the caller, who may close from inside.
    pub(super) fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::SeqCst);
        let own = INSIDE.try_with(|inside| inside.borrow().iter().filter(|gate| **gate == self.address()).count());
        let own = own.unwrap_or(0);
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.state.load(Ordering::SeqCst) & !CLOSED > own {
            lock = self.left.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| {
            let mut inside = inside.borrow_mut();
            if let Some(place) = inside.iter().rposition(|gate| *gate == self.0.address()) {
                inside.swap_remove(place);
            }
        });
        if self.0.state.fetch_sub(1, Ordering::SeqCst) & CLOSED != 0 {
            let _lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.left.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, sync::mpsc, thread};

    use super::*;

    #[test]
    fn a_closed_gate_lets_nobody_in() {
        let gate = Gate::default();
        assert!(gate.enter().is_some());
        gate.close();
        assert!(gate.enter().is_none());
        gate.close();
    }

    #[test]
    fn closing_waits_for_those_inside() {
        let gate = Arc::new(Gate::default());
        let (told, tells) = mpsc::channel();
        let pass = gate.enter().expect("it is open");
        let closer = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                gate.close();
                told.send(()).expect("somebody listens");
            }
        });
        while gate.enter().is_some() {
            thread::yield_now();
        }
        assert!(tells.try_recv().is_err(), "closed with somebody inside");
        drop(pass);
        closer.join().expect("it closes");
        tells.recv().expect("it has closed");
    }

    #[test]
    fn who_is_inside_can_close() {
        let gate = Gate::default();
        let pass = gate.enter().expect("it is open");
        let again = gate.enter().expect("twice, too");
        gate.close();
        drop(pass);
        drop(again);
        gate.close();
    }
}
