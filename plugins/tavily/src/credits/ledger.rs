//! The journal for many callers at once: what arrives while one write is under way goes into the next one together.

use std::{
    mem,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::{runtime::Handle, sync::oneshot};

use super::journal::{Journal, Op, Reply, Trouble};

/// The journal of one folder.
#[derive(Debug)]
pub(super) struct Ledger {
    waiting: Mutex<Vec<Entry>>,
    journal: Mutex<Journal>,
}

#[derive(Debug)]
struct Entry {
    op: Op,
    /// The day that it is about, if not the one on which it is done.
    day: Option<String>,
    answer: Option<oneshot::Sender<Result<(String, Reply), Trouble>>>,
}

impl Ledger {
    pub(super) fn new(folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), journal: Mutex::new(Journal::new(folder)) })
    }

    /// Do it, and say on which day it was done. What is asked is done even if nobody waits for the answer.
    pub(super) async fn ask(self: &Arc<Self>, op: Op) -> Result<(String, Reply), Trouble> {
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).push(Entry { op, day: None, answer: Some(answer) });
        let ledger = Arc::clone(self);
        tokio::task::spawn_blocking(move || ledger.work());
        let gone = || Trouble::Io { file: "the journal of credits".into(), cause: "the server stops".into() };
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Do it soon, before anything that is asked later.
    pub(super) fn tell(self: &Arc<Self>, day: String, op: Op) {
        lock(&self.waiting).push(Entry { op, day: Some(day), answer: None });
        // Without a runtime the next one who asks, or the end, does it.
        if let Ok(runtime) = Handle::try_current() {
            let ledger = Arc::clone(self);
            runtime.spawn_blocking(move || ledger.work());
        }
    }

    /// Do all that waits.
    pub(super) fn work(&self) {
        let mut journal = lock(&self.journal);
        let mut entries = mem::take(&mut *lock(&self.waiting));
        let today = OffsetDateTime::now_utc().date();
        // What belongs to a day that is over changes nothing any more.
        let day = today.to_string();
        entries.retain(|entry| entry.day.as_ref().is_none_or(|wanted| *wanted == day));
        if entries.is_empty() {
            return;
        }
        let (ops, answers): (Vec<Op>, Vec<_>) = entries.into_iter().map(|entry| (entry.op, entry.answer)).unzip();
        let replies = journal.transact(today, &ops);
        for (index, answer) in answers.into_iter().enumerate() {
            let reply = match &replies {
                Ok(replies) => Ok((day.clone(), replies[index].clone())),
                Err(trouble) => Err(trouble.clone()),
            };
            // Whoever asked may have gone.
            let _ = answer.map(|answer| answer.send(reply));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
