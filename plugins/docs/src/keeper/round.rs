//! One round: what has changed is read and written, step by step, so that a process that is killed loses seconds.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    catalog::{Catalog, Known, Plan},
    inbox::Inbox,
    state::{Progress, State},
};
use crate::{
    folders::{Folder, Found, Root, Unread},
    index::{IndexError, Said, Shelf, Writer},
    settings::Limits,
    text,
};

/// How long after the first step what was read can be found, and the longest time between two commits.
const FIRST_COMMIT: Duration = Duration::from_millis(500);
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// What one folder asks of a round.
pub(super) struct Task<'a> {
    pub(super) folder: &'a Arc<Folder>,
    pub(super) root: &'a Root,
    pub(super) catalog: &'a mut Catalog,
    pub(super) plan: Plan,
    /// Whether nobody can find its documents yet.
    pub(super) first: bool,
}

/// What a round has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub(super) read: u64,
    pub(super) removed: u64,
    /// Documents that were left out: no text, too large, or not to be read.
    pub(super) no_text: u64,
    pub(super) too_large: u64,
    pub(super) unread: u64,
    /// Documents beyond limits.files.
    pub(super) left_out: u64,
    /// Whether it was stopped before its end.
    pub(super) stopped: bool,
}

/// What a round works with.
pub(super) struct Round<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) state: &'a State,
    pub(super) inbox: &'a Inbox,
    pub(super) limits: &'a Limits,
    /// Folders whose documents are to go.
    pub(super) foreign: &'a [String],
    /// How many documents are in the index.
    pub(super) indexed: u64,
    /// What is said until its end.
    pub(super) said: Said,
    /// Told every now and then.
    pub(super) tell: &'a dyn Fn(u64, u64),
}

struct Step {
    writer: Writer,
    /// Since the last commit.
    since: Instant,
    step: Duration,
    pending: bool,
}

impl Round<'_> {
    /// Do it all. Without anything to do, nothing is written.
    ///
    /// # Errors
    /// If the index fails: what was committed stays, and the catalogs say too much.
    pub(super) fn run(mut self, tasks: &mut [Task<'_>], complete: &Said) -> Result<Done, IndexError> {
        let mut done = Done::default();
        let idle = tasks.iter().all(|task| task.plan == Plan::default());
        if idle && self.foreign.is_empty() && self.said == *complete {
            return Ok(done);
        }
        let total: u64 = tasks.iter().map(|task| task.plan.read.len() as u64).sum();
        let writer = self.shelf.writer(self.limits.memory.0)?;
        let mut step = Step { writer, since: Instant::now(), step: FIRST_COMMIT, pending: false };
        for key in self.foreign {
            step.writer.remove_folder(key);
        }
        for task in tasks.iter_mut() {
            for rel in std::mem::take(&mut task.plan.gone) {
                self.forget(task, &rel, &step.writer, &mut done);
            }
        }
        let mut at = 0;
        for task in tasks.iter_mut() {
            for found in std::mem::take(&mut task.plan.read) {
                if self.inbox.is_stopped() {
                    done.stopped = true;
                    self.commit(&mut step, at, total)?;
                    return Ok(done);
                }
                self.document(task, &found, &step.writer, &mut done)?;
                step.pending = true;
                at += 1;
                let looked = self.state.has_looked();
                if task.first || !looked {
                    self.state.set_progress(Progress { looked, indexing: Some((at, total)) });
                }
                if step.since.elapsed() > step.step {
                    self.commit(&mut step, at, total)?;
                    (self.tell)(at, total);
                }
            }
        }
        step.writer.commit(complete)?;
        self.shelf.reload()?;
        step.writer.finish()?;
        self.shelf.reload()?;
        Ok(done)
    }

    fn commit(&mut self, step: &mut Step, done: u64, total: u64) -> Result<(), IndexError> {
        if step.pending {
            (self.said.done, self.said.total) = (done, total);
            step.writer.commit(&self.said)?;
            self.shelf.reload()?;
        }
        step.step = (step.step * 2).min(LONGEST_STEP);
        (step.since, step.pending) = (Instant::now(), false);
        Ok(())
    }

    fn document(
        &mut self,
        task: &mut Task<'_>,
        found: &Found,
        writer: &Writer,
        done: &mut Done,
    ) -> Result<(), IndexError> {
        let Found { rel, real, kind, .. } = found;
        let before = task.catalog.known(rel).is_some_and(|known| known.indexed);
        if !before && self.indexed >= u64::from(self.limits.files) {
            done.left_out += 1;
            return Ok(());
        }
        let (bytes, stamp) = match task.root.read(real.as_deref().unwrap_or(rel), self.limits.file.0) {
            Ok(read) => read,
            Err(Unread::NotThere | Unread::NoFile) => {
                self.forget(task, rel, writer, done);
                return Ok(());
            }
            Err(Unread::TooLarge(stamp)) => {
                done.too_large += 1;
                self.forget(task, rel, writer, done);
                task.catalog.insert(rel, Known { stamp, indexed: false });
                return Ok(());
            }
            Err(Unread::Failed(_)) => {
                // What is known of it stays; the next look tries again.
                done.unread += 1;
                return Ok(());
            }
        };
        let name = rel.rsplit('/').next().unwrap_or(rel);
        // Whatever is in a file, it is no reason to stop.
        let read = catch_unwind(AssertUnwindSafe(|| text::read(*kind, name, &bytes)));
        let document = read.ok().flatten().filter(|document| !document.parts.is_empty());
        match document {
            None => {
                done.no_text += 1;
                self.forget(task, rel, writer, done);
                task.catalog.insert(rel, Known { stamp: stamp.remembered(), indexed: false });
            }
            Some(document) => {
                let stamp = stamp.remembered();
                if before {
                    writer.remove(task.folder.key(), rel);
                }
                writer.put(task.folder.key(), rel, *kind, stamp, document)?;
                task.catalog.insert(rel, Known { stamp, indexed: true });
                done.read += 1;
                self.indexed += u64::from(!before);
            }
        }
        Ok(())
    }

    fn forget(&mut self, task: &mut Task<'_>, rel: &str, writer: &Writer, done: &mut Done) {
        if task.catalog.remove(rel).is_some_and(|known| known.indexed) {
            writer.remove(task.folder.key(), rel);
            done.removed += 1;
            self.indexed = self.indexed.saturating_sub(1);
        }
    }
}
