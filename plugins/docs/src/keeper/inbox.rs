//! What wakes the keeper: changed paths, a first call, the end.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, MetadataKind, ModifyKind},
};

/// Most changed paths that are remembered one by one; beyond, everything is looked at.
const MOST_PATHS: usize = 2000;
/// How long changes must have ended before they are looked at, and how long they may go on at most.
const QUIET: Duration = Duration::from_millis(80);
const LONGEST: Duration = Duration::from_secs(1);

/// Where the keeper waits.
#[derive(Default)]
pub(super) struct Inbox {
    mail: Mutex<Mail>,
    rings: Condvar,
}

#[derive(Default)]
struct Mail {
    stopped: bool,
    called: bool,
    suspected: Option<String>,
    changes: Changes,
    /// When the first and the last of the changes came.
    since: Option<(Instant, Instant)>,
}

/// What has changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// Paths, and whether what they name may have come, gone or been replaced.
    pub(super) paths: HashMap<PathBuf, bool>,
    /// Whether there may be others.
    pub(super) more: bool,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.more
    }

    fn add(&mut self, path: PathBuf, structural: bool) {
        if self.paths.len() < MOST_PATHS || self.paths.contains_key(&path) {
            *self.paths.entry(path).or_default() |= structural;
        } else {
            self.more = true;
        }
    }
}

impl Inbox {
    /// A watcher has something to tell.
    pub(super) fn heard(&self, event: notify::Result<Event>) {
        let mut mail = self.mail();
        match event {
            Ok(event) if event.need_rescan() => mail.changes.more = true,
            Ok(event) if is_change(event.kind) => {
                let structural = !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)) | EventKind::Access(_));
                event.paths.into_iter().for_each(|path| mail.changes.add(path, structural));
            }
            Ok(_) => return,
            // What goes wrong may have hidden something.
            Err(_) => mail.changes.more = true,
        }
        let now = Instant::now();
        mail.since = Some((mail.since.map_or(now, |(first, _)| first), now));
        self.rings.notify_all();
    }

    /// Somebody calls: there is something to do now.
    pub(super) fn call(&self) {
        let mut mail = self.mail();
        if !mail.called {
            mail.called = true;
            self.rings.notify_all();
        }
    }

    /// The index seems to be damaged.
    pub(super) fn suspect(&self, why: String) {
        self.mail().suspected = Some(why);
        self.rings.notify_all();
    }

    /// Why the index seems to be damaged; told once.
    pub(super) fn suspicion(&self) -> Option<String> {
        self.mail().suspected.take()
    }

    pub(super) fn stop(&self) {
        self.mail().stopped = true;
        self.rings.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.mail().stopped
    }

    /// Wait for the first call, or for so long.
    pub(super) fn wait_for_call(&self, most: Duration) {
        let waits = |mail: &mut Mail| !mail.called && !mail.stopped;
        drop(self.rings.wait_timeout_while(self.mail(), most, waits));
    }

    /// Wait for changes that have come to rest, for the end, or until then.
    pub(super) fn wait(&self, until: Instant) -> Changes {
        let mut mail = self.mail();
        loop {
            let now = Instant::now();
            let rest = mail.since.map(|(first, last)| (last + QUIET).min(first + LONGEST));
            if mail.stopped || mail.suspected.is_some() || now >= until || rest.is_some_and(|rest| now >= rest) {
                break;
            }
            let wait = rest.map_or(until, |rest| rest.min(until)).saturating_duration_since(now);
            mail = self.rings.wait_timeout(mail, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        mail.since = None;
        std::mem::take(&mut mail.changes)
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        // Nothing panics while it is held.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an event may be one of a file's content or name: reading is none, and the keeper itself reads.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(ModifyKind::Metadata(kind)) => {
            // Rights decide whether it can be read; when it was changed may be all that says that it was.
            !matches!(kind, MetadataKind::AccessTime)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use notify::event::{CreateKind, DataChange};

    use super::*;

    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    #[test]
    fn changes_are_gathered_until_they_rest() {
        let inbox = Inbox::default();
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        inbox.heard(event(data, "/a"));
        inbox.heard(event(EventKind::Access(AccessKind::Open(AccessMode::Read)), "/read"));
        inbox.heard(event(EventKind::Create(CreateKind::File), "/b"));
        inbox.heard(event(data, "/b"));
        let changes = inbox.wait(Instant::now() + Duration::from_secs(60));
        assert_eq!(changes.paths, HashMap::from([("/a".into(), false), ("/b".into(), true)]));
        assert!(!changes.more);
        assert!(inbox.wait(Instant::now()).is_empty(), "they are told once");
    }

    #[test]
    fn too_many_changes_are_a_change_of_everything() {
        let inbox = Inbox::default();
        for number in 0..=MOST_PATHS {
            inbox.heard(event(EventKind::Create(CreateKind::File), &format!("/{number}")));
        }
        let changes = inbox.wait(Instant::now() + Duration::from_secs(60));
        assert_eq!((changes.paths.len(), changes.more), (MOST_PATHS, true));
    }

    #[test]
    fn the_end_wakes() {
        let inbox = Arc::new(Inbox::default());
        let other = Arc::clone(&inbox);
        let waits = thread::spawn(move || other.wait(Instant::now() + Duration::from_secs(600)));
        inbox.stop();
        assert!(waits.join().expect("it ends").is_empty());
        inbox.wait_for_call(Duration::from_secs(600));
        assert!(inbox.is_stopped());
    }
}
