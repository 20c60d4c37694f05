//! What the keeper's rounds work with: what is known of the folders, what has changed, and when everything is looked
//! through again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use toolgate_plugin::LogLevel;

use super::{
    LOOK_FOR_FOLDERS, Own, Progress,
    catalog::{Catalog, Known},
    inbox::Changes,
    look::{Scope, look, scopes},
    round::{Done, Round, Task},
    watch::{ONE_BY_ONE, Watch},
};
use crate::{
    folders::{Root, Skipped},
    index::{IndexError, Said, Shelf},
};

/// How often everything is looked through while changes cannot be followed.
const BLIND_RESCAN: Duration = Duration::from_secs(30);
/// How much longer than a look at everything took is waited before changes ask for the next one.
const BREATH: u32 = 5;
/// How long damage is not looked for again.
const SUSPICION: Duration = Duration::from_secs(60);
/// How often progress is written to the log.
const TELL: Duration = Duration::from_secs(10);

/// What is kept between rounds.
pub(super) struct Desk<'a> {
    own: &'a Own,
    shelf: Arc<Shelf>,
    catalogs: Vec<Catalog>,
    /// Where each folder really is, if it is there.
    bases: Vec<Option<Base>>,
    /// Keys of folders in the index that the settings do not name.
    foreign: Vec<String>,
    watch: Watch,
    /// When damage was looked for.
    suspected: Option<Instant>,
    said: Said,
    /// When everything is looked through again, and not before when changes ask for it.
    next: Instant,
    not_before: Instant,
    /// What waits for that.
    waiting: BTreeMap<usize, Scope>,
}

/// Where a folder really is, and which one that is.
#[derive(Debug, Clone, PartialEq)]
struct Base {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    /// The real name of a single file.
    only: Option<String>,
}

impl<'a> Desk<'a> {
    /// At the start, with what the index knows.
    ///
    /// # Errors
    /// Damage.
    pub(super) fn new(own: &'a Own, shelf: Arc<Shelf>, folder: Option<&Path>) -> Result<Self, IndexError> {
        if folder.is_some() {
            shelf.validate()?;
        }
        let folders = own.state.folders();
        let mut catalogs: Vec<Catalog> = folders.iter().map(|_| Catalog::default()).collect();
        let mut foreign = BTreeSet::new();
        shelf.catalog(|key, rel, stamp| match folders.iter().position(|folder| folder.key() == key) {
            Some(index) => catalogs[index].insert(rel, Known { stamp, indexed: true }),
            None if !foreign.contains(key) => drop(foreign.insert(key.to_owned())),
            None => {}
        })?;
        let said = shelf.said()?;
        let now = Instant::now();
        Ok(Self {
            own,
            bases: folders.iter().map(|_| None).collect(),
            catalogs,
            foreign: foreign.into_iter().collect(),
            watch: Watch::new(&own.inbox),
            suspected: None,
            said,
            shelf,
            next: now,
            not_before: now,
            waiting: BTreeMap::new(),
        })
    }

    /// Wait for something to do, and do it.
    ///
    /// # Errors
    /// As the index has them.
    pub(super) fn wait_and_work(&mut self) -> Result<(), IndexError> {
        let mut until = (Instant::now() + LOOK_FOR_FOLDERS).min(self.next);
        if !self.waiting.is_empty() {
            until = until.min(self.not_before);
        }
        let changes = self.own.inbox.wait(until);
        if self.own.inbox.is_stopped() {
            return Ok(());
        }
        if let Some(why) = self.own.inbox.suspicion() {
            self.look_for_damage(&why)?;
        }
        let mut asked = self.asked(&changes);
        let now = Instant::now();
        let all = now >= self.next;
        for index in self.come_or_gone() {
            asked.entry(index).or_default().add(Scope::anew());
        }
        for (index, scope) in std::mem::take(&mut self.waiting) {
            asked.entry(index).or_default().add(scope);
        }
        if now < self.not_before {
            // A look at everything is much work: not again and again.
            (self.waiting, asked) = asked.into_iter().partition(|(_, scope)| scope.all);
        }
        if all || !asked.is_empty() { self.work(asked, all) } else { Ok(()) }
    }

    /// A search has failed in a way that damage explains. Whether that is so is looked at: a query that fails inside must
    /// not make everything be read anew, nor be more than one look a minute.
    fn look_for_damage(&mut self, why: &str) -> Result<(), IndexError> {
        if self.suspected.is_some_and(|at| at.elapsed() < SUSPICION) {
            return Ok(());
        }
        self.suspected = Some(Instant::now());
        self.shelf.validate()?;
        self.own.log(LogLevel::Error, format!("a search has failed, and the index is not damaged: {why}"));
        Ok(())
    }

    fn asked(&self, changes: &Changes) -> BTreeMap<usize, Scope> {
        if changes.is_empty() {
            return BTreeMap::new();
        }
        let bases: Vec<Option<(&Path, &Catalog)>> = self
            .bases
            .iter()
            .zip(&self.catalogs)
            .map(|(base, catalog)| base.as_ref().map(|base| (base.path.as_path(), catalog)))
            .collect();
        let mut asked = scopes(changes, &bases);
        for (index, base) in self.bases.iter().enumerate() {
            // Of a single file, its neighbours are no matter.
            if let Some(Base { path, only: Some(only), .. }) = base
                && !changes.more
                && !changes.paths.contains_key(&path.join(only))
            {
                asked.remove(&index);
            }
        }
        asked
    }

    /// Folders that have come, gone, or are others under their names.
    fn come_or_gone(&self) -> Vec<usize> {
        let folders = self.own.state.folders().iter().zip(&self.bases).enumerate();
        let changed = folders.filter(|(_, (folder, before))| {
            let now = Root::open(folder).ok().map(|root| base(&root));
            now != **before
        });
        changed.map(|(index, _)| index).collect()
    }

    /// One round: over what is asked for, or over everything.
    ///
    /// # Errors
    /// As the index has them.
    pub(super) fn work(&mut self, asked: BTreeMap<usize, Scope>, all: bool) -> Result<(), IndexError> {
        let begun = Instant::now();
        let own = self.own;
        let folders = own.state.folders();
        let mut roots: Vec<(usize, Scope, Root)> = Vec::new();
        for (index, folder) in folders.iter().enumerate() {
            let mut scope = asked.get(&index).cloned().unwrap_or_default();
            scope.all |= all;
            if scope == Scope::default() {
                continue;
            }
            match Root::open(folder) {
                Ok(root) => {
                    let now = base(&root);
                    // Another folder under its name: what was watched is somewhere else.
                    if let Some(before) = &self.bases[index]
                        && *before != now
                    {
                        self.watch.forget(&before.path);
                    }
                    self.bases[index] = Some(now);
                    own.state.set_absent(index, None);
                    roots.push((index, scope, root));
                }
                Err(absent) => {
                    self.bases[index] = None;
                    let told = format!("the folder \"{}\" ({}) {absent}", folder.name(), folder.path().display());
                    if own.state.set_absent(index, Some(absent)) {
                        own.log(LogLevel::Warn, format!("{told}; it is searched once it is there"));
                    }
                }
            }
        }
        let mut skipped = Skipped::default();
        let mut plans = Vec::new();
        for (index, scope, root) in &roots {
            // Another folder may be there under its name.
            scope.trees.iter().for_each(|tree| self.watch.forget(&root.base().join(tree)));
            let (plan, left_out) = look(&folders[*index], root, &mut self.catalogs[*index], scope);
            skipped = skipped.and(left_out.unwrap_or_default());
            plans.push(plan);
        }
        let looked = begun.elapsed();
        if self.aim() {
            // What changed in a folder before it was watched, nobody has told of.
            for (index, ..) in &roots {
                self.waiting.entry(*index).or_default().add(Scope::again());
            }
        }
        let indexed = self.catalogs.iter().map(Catalog::indexed).sum();
        let mut catalogs: Vec<Option<&mut Catalog>> = self.catalogs.iter_mut().map(Some).collect();
        let mut tasks = Vec::new();
        for ((index, _, root), plan) in roots.iter().zip(plans) {
            let Some(catalog) = catalogs.get_mut(*index).and_then(Option::take) else { continue };
            let first = !self.said.complete.contains(folders[*index].key());
            tasks.push(Task { folder: &folders[*index], root, catalog, plan, first });
        }
        drop(catalogs);
        let mut complete = self.said.clone();
        (complete.done, complete.total) = (0, 0);
        complete.complete.retain(|key| folders.iter().any(|folder| folder.key() == key));
        complete.complete.extend(tasks.iter().map(|task| task.folder.key().to_owned()));
        let last_told = std::cell::Cell::new(begun);
        let tell = |done: u64, total: u64| {
            if last_told.get().elapsed() > TELL {
                last_told.set(Instant::now());
                own.log(LogLevel::Info, format!("indexing: {done} of {total} documents"));
            }
        };
        let round = Round {
            shelf: &self.shelf,
            state: &own.state,
            inbox: &own.inbox,
            limits: &own.settings.limits,
            foreign: &self.foreign,
            indexed,
            said: self.said.clone(),
            tell: &tell,
        };
        let done = round.run(&mut tasks, &complete)?;
        drop(tasks);
        if done.stopped {
            return Ok(());
        }
        self.said = complete;
        self.foreign.clear();
        self.finish(all, begun, looked, done, skipped);
        Ok(())
    }

    fn finish(&mut self, all: bool, begun: Instant, looked: Duration, done: Done, skipped: Skipped) {
        let own = self.own;
        own.state.set_mixed(false);
        own.state.set_left_out(done.left_out, all);
        let blind =
            self.watch.blind().map(|why| format!("changes are seen only every {} s: {why}", BLIND_RESCAN.as_secs()));
        let rescan = if blind.is_some() { own.settings.rescan.0.min(BLIND_RESCAN) } else { own.settings.rescan.0 };
        own.state.set_blind(blind);
        let now = Instant::now();
        if all {
            self.next = now + rescan;
        }
        self.not_before = now + looked * BREATH;
        let first = !own.state.has_looked();
        own.state.set_progress(Progress { looked: true, indexing: None });
        if first || done.read + done.removed > 0 {
            // An edit is no news.
            let level = if first || begun.elapsed() > TELL { LogLevel::Info } else { LogLevel::Debug };
            own.log(level, self.report(first, begun.elapsed(), done, skipped));
        }
    }

    /// What a round has done, in one line.
    fn report(&self, first: bool, taken: Duration, done: Done, skipped: Skipped) -> String {
        let documents: u64 = self.catalogs.iter().map(Catalog::indexed).sum();
        let mut line = format!("{documents} documents can be searched; {} were read", done.read);
        let mut also = |number: u64, what: &str| {
            if number > 0 {
                line.push_str(&format!(", {number} {what}"));
            }
        };
        also(done.removed, "have gone");
        also(done.too_large, "are larger than limits.file");
        also(done.left_out, "are more than limits.files");
        also(done.unread, "could not be read");
        if first {
            also(done.no_text, "hold no text");
            also(skipped.outside as u64, "links lead outside of their folder");
            also(skipped.nowhere as u64, "links lead nowhere");
            also(skipped.unshowable as u64, "have names that cannot be shown");
            also(skipped.closed as u64, "may not be looked at");
        }
        line.push_str(&format!(" ({:.1} s)", taken.as_secs_f64()));
        line
    }

    /// Watch what has been looked into; whether some of it was not watched before.
    fn aim(&mut self) -> bool {
        let mut watched = BTreeSet::new();
        for (base, catalog) in self.bases.iter().zip(&self.catalogs) {
            let Some(base) = base else { continue };
            if ONE_BY_ONE && base.only.is_none() {
                watched.extend(catalog.dirs().iter().map(|dir| base.path.join(dir)));
            }
            watched.insert(base.path.clone());
        }
        self.watch.aim(watched)
    }
}

fn base(root: &Root) -> Base {
    Base { path: root.base().to_owned(), identity: root.identity(), only: root.only().map(|(_, real)| real.to_owned()) }
}
