//! The threads that a plugin which blocks is called on, inside the server.
//!
//! Threads of its own, and not those that the runtime keeps for blocking work: whatever a plugin does with them, reload,
//! the audit trail and name resolution go on. Owns their number, their end and the queue in front of them: a thread that
//! is still on its way out of a call that has been answered is waited for. Knows tickets, and nothing of what is run.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::table::Table;

/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// How long a thread may stay in a call that nobody waits for, before it is taken to stay for good.
const LATE: Duration = Duration::from_secs(5);

/// A bounded number of threads with a bounded queue, first come, first served.
#[derive(Clone)]
pub(super) struct Threads(Arc<Shared>);

struct Shared {
    name: String,
    /// Most threads.
    most: usize,
    /// Most jobs that wait.
    room: usize,
    table: Arc<Table>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// What runs, by a number of its own.
    running: HashMap<u64, Running>,
    next: u64,
    alive: usize,
    /// Those among them that will look into the queue: they wait, or have just been started.
    free: usize,
    closed: bool,
}

struct Job {
    /// The request that it asks; without one it is wanted whoever waits.
    ticket: Option<u64>,
    run: Box<dyn FnOnce() + Send>,
}

struct Running {
    ticket: Option<u64>,
    /// When it was first seen that nobody waits for it any more.
    over: Option<Instant>,
}

/// Why a job is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("as many wait as may")]
    Full,
    #[error("no thread can be started: {0}")]
    NoThread(std::io::Error),
}

impl Threads {
    /// At most `most` threads called `name`, and `room` jobs that wait for one. Requests are wanted as long as `table`
    /// awaits them.
    pub(super) fn new(name: String, most: usize, room: usize, table: Arc<Table>) -> Self {
        let (state, work) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { name, most, room, table, state, work }))
    }

    /// Most threads.
    pub(super) fn most(&self) -> usize {
        self.0.most
    }

    /// Run it on a thread, now or after what came before; not at all if nobody waits for the request `ticket` by then.
    ///
    /// # Errors
    /// The queue is full, or the system gives no thread at all.
    pub(super) fn run(&self, ticket: Option<u64>, run: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        let mut state = self.0.state();
        let mut unwanted = VecDeque::new();
        if state.queue.len() >= self.0.room {
            (state.queue, unwanted) = state.queue.drain(..).partition(|job| self.0.wants(job.ticket));
        }
        let run = Box::new(run);
        let taken = if state.queue.len() >= self.0.room {
            Err(Refused::Full)
        } else {
            state.queue.push_back(Job { ticket, run });
            self.0.see_to_it(&mut state)
        };
        drop(state);
        // What jobs hold may have an end of its own: not under the lock.
        drop(unwanted);
        taken
    }

    /// Whether every thread is in a call that nobody has waited for since [`LATE`].
    pub(super) fn are_stuck(&self) -> bool {
        let mut state = self.0.state();
        if state.running.len() < self.0.most {
            return false;
        }
        let now = Instant::now();
        let mut stuck = true;
        for running in state.running.values_mut() {
            match running.ticket {
                Some(ticket) if self.0.table.awaits(ticket) => running.over = None,
                _ => drop(running.over.get_or_insert(now)),
            }
            stuck &= running.over.is_some_and(|over| now.duration_since(over) >= LATE);
        }
        stuck
    }

    /// Whether anything waits for a thread.
    pub(super) fn are_awaited(&self) -> bool {
        !self.0.state().queue.is_empty()
    }

    /// Take back all that waits: the requests among it.
    pub(super) fn take_back(&self) -> Vec<u64> {
        let queue = std::mem::take(&mut self.0.state().queue);
        queue.into_iter().filter_map(|job| job.ticket).collect()
    }

    /// Forget what waits; threads end as soon as what they run lets them.
    pub(super) fn close(&self) {
        let queue = {
            let mut state = self.0.state();
            state.closed = true;
            std::mem::take(&mut state.queue)
        };
        self.0.work.notify_all();
        drop(queue);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, ticket: Option<u64>) -> bool {
        ticket.is_none_or(|ticket| self.table.awaits(ticket))
    }

    /// Have a thread for the job that was queued last, if there may be one more.
    fn see_to_it(self: &Arc<Self>, state: &mut State) -> Result<(), Refused> {
        if state.queue.len() <= state.free {
            self.work.notify_one();
            return Ok(());
        }
        if state.alive >= self.most {
            return Ok(());
        }
        let shared = Arc::clone(self);
        match thread::Builder::new().name(self.name.clone()).spawn(move || shared.work()) {
            Ok(_) => {
                state.alive += 1;
                state.free += 1;
                Ok(())
            }
            // Those that there are come to it.
            Err(_) if state.alive > 0 => Ok(()),
            Err(error) => {
                state.queue.pop_back();
                Err(Refused::NoThread(error))
            }
        }
    }

    /// What a thread does all its life.
    fn work(self: Arc<Self>) {
        let mut state = self.state();
        loop {
            // Free since it was started, or since it was last here.
            let nothing_to_do = |state: &mut State| state.queue.is_empty() && !state.closed;
            state = match self.work.wait_timeout_while(state, IDLE, nothing_to_do) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            state.free -= 1;
            let Some(job) = state.queue.pop_front() else { break };
            if self.wants(job.ticket) {
                let number = state.next;
                state.next += 1;
                state.running.insert(number, Running { ticket: job.ticket, over: None });
                drop(state);
                (job.run)();
                state = self.state();
                state.running.remove(&number);
            } else {
                drop(state);
                drop(job);
                state = self.state();
            }
            state.free += 1;
        }
        state.alive -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn threads(most: usize, room: usize) -> (Threads, Arc<Table>) {
        let table = Arc::new(Table::new(1000, Arc::new(|_, _| {})));
        (Threads::new("plugin-test".into(), most, room, Arc::clone(&table)), table)
    }

    /// Block a thread until the sender is dropped.
    fn block(threads: &Threads) -> Sender<()> {
        let ((end, ended), (begin, begun)) = (channel::<()>(), channel());
        let job = move || {
            begin.send(()).unwrap();
            let _ = ended.recv();
        };
        threads.run(None, job).unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        end
    }

    #[test]
    fn what_finds_no_thread_waits_in_its_order() {
        let (threads, _) = threads(1, 10);
        let blocked = block(&threads);
        let (done, order) = channel();
        for number in 0..10 {
            let done = done.clone();
            threads.run(None, move || done.send(number).unwrap()).unwrap();
        }
        assert!(matches!(threads.run(None, || {}), Err(Refused::Full)));
        drop((blocked, done));
        assert_eq!(order.iter().collect::<Vec<u32>>(), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn each_job_has_a_thread_as_long_as_there_are_threads() {
        let (threads, _) = threads(8, 1);
        // Each begins while those before it run, also those that a thread which has just become free could take.
        for _ in 0..2 {
            let blocked: Vec<_> = (0..8).map(|_| block(&threads)).collect();
            assert_eq!(threads.0.state().alive, 8);
            drop(blocked);
        }
    }

    #[test]
    fn a_request_that_nobody_waits_for_any_more_makes_room_and_is_not_run() {
        let (threads, table) = threads(1, 1);
        let blocked = block(&threads);
        let (run, ran) = channel();
        let given_up = table.open();
        let first = run.clone();
        threads.run(Some(given_up.id), move || first.send("given up").unwrap()).unwrap();
        drop(given_up);
        let waited_for = table.open();
        threads.run(Some(waited_for.id), move || run.send("waited for").unwrap()).unwrap();
        drop(blocked);
        assert_eq!(ran.iter().collect::<Vec<_>>(), ["waited for"]);
    }

    #[test]
    fn threads_end_when_they_are_closed_and_what_waits_is_forgotten() {
        let (threads, _) = threads(2, 10);
        let blocked = [block(&threads), block(&threads)];
        let (run, ran) = channel();
        threads.run(None, move || run.send(()).unwrap()).unwrap();
        threads.close();
        assert!(ran.recv_timeout(PATIENCE).is_err());
        drop(blocked);
        let since = Instant::now();
        while threads.0.state().alive > 0 {
            assert!(since.elapsed() < PATIENCE);
            thread::yield_now();
        }
    }
}
