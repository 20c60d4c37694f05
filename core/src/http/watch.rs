//! Files that are watched for another content.
//!
//! Folders are watched and contents compared: editors and compilers replace files, whole folders are replaced, and
//! mounted configuration (Kubernetes' ConfigMaps) changes by a symbolic link somewhere on the way. Knows nothing of what
//! the files mean.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{self, Digest};
use notify_debouncer_full::{
    DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer,
    notify::{
        EventKind, RecommendedWatcher, RecursiveMode,
        event::{AccessKind, AccessMode},
    },
};
use tokio::sync::Notify;

/// How long files must be left alone before they are looked at.
const QUIET: Duration = Duration::from_millis(100);
/// Most symbolic links on the way to a file.
const MOST_LINKS: usize = 40;

/// Watches files.
pub(super) struct Watch {
    /// None where the system gives no watcher.
    debouncer: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    folders: BTreeSet<PathBuf>,
    ways: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// The content that each file had when it was looked at last; nobody has looked yet at what is not here.
    contents: BTreeMap<PathBuf, Option<Content>>,
}

/// What a file holds; none that cannot be read.
type Content = Option<Box<[u8]>>;

impl Watch {
    /// Watch nothing yet; `bell` rings when something on the way to a watched file has changed.
    pub(super) fn new(bell: Arc<Notify>) -> Self {
        let ways: Arc<Mutex<BTreeSet<PathBuf>>> = Arc::default();
        let known = Arc::clone(&ways);
        let heard = move |result: DebounceEventResult| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            // What goes wrong may have hidden something.
            if result.map_or(true, |events| events.iter().any(|event| concerns(event, &known))) {
                bell.notify_one();
            }
        };
        // It wakes up this often, also when nothing happens: not more often than it must.
        let debouncer = new_debouncer(QUIET, Some(QUIET), heard)
            .inspect_err(|error| tracing::warn!(%error, "files cannot be watched; SIGHUP makes the server reload"))
            .ok();
        Self { debouncer, folders: BTreeSet::new(), ways, contents: BTreeMap::new() }
    }

    /// Watch these files from now on, and no others. Whether there are new ones among them, at which
    /// [`Watch::has_changed`] must look.
    pub(super) fn aim(&mut self, files: &BTreeSet<PathBuf>) -> bool {
        self.contents.retain(|file, _| files.contains(file));
        let known = self.contents.len();
        for file in files {
            self.contents.entry(file.clone()).or_default();
        }
        let new = self.contents.len() > known;
        if new {
            self.follow();
        }
        new
    }

    /// Look at the files again: whether one has another content than before.
    pub(super) fn has_changed(&mut self) -> bool {
        // First, so that what changes meanwhile rings again.
        self.follow();
        let mut changed = false;
        for (file, content) in &mut self.contents {
            let now: Content = std::fs::read(file).ok().map(|bytes| sum(&bytes).as_ref().into());
            changed |= content.as_ref() != Some(&now);
            *content = Some(now);
        }
        changed
    }

    /// Whether this is what the file held when it was looked at last.
    pub(super) fn has_seen(&self, file: &Path, text: &str) -> bool {
        let content = self.contents.get(file).and_then(|content| content.as_ref()?.as_deref());
        content == Some(sum(text.as_bytes()).as_ref())
    }

    /// Watch the folders that the files are in now, by whichever way.
    fn follow(&mut self) {
        let ways: BTreeSet<PathBuf> = self.contents.keys().flat_map(|file| way(file)).collect();
        let folders: BTreeSet<PathBuf> = ways.iter().filter_map(|way| Some(way.parent()?.to_owned())).collect();
        *self.ways.lock().unwrap_or_else(PoisonError::into_inner) = ways;
        let Some(debouncer) = &mut self.debouncer else { return };
        // All of them anew: a folder that was replaced is another one under its name.
        for folder in std::mem::take(&mut self.folders) {
            let _ = debouncer.unwatch(&folder);
        }
        for folder in folders {
            match debouncer.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.folders.insert(folder)),
                Err(error) if folder.exists() => {
                    tracing::warn!(folder = %folder.display(), %error, "the folder cannot be watched; SIGHUP makes the server reload");
                }
                Err(_) => {}
            }
        }
    }
}

fn sum(bytes: &[u8]) -> Digest {
    digest::digest(&digest::SHA256, bytes)
}

/// Whether an event is about one of these paths. Reading is not a change.
fn concerns(event: &DebouncedEvent, ways: &BTreeSet<PathBuf>) -> bool {
    let read = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
    event.need_rescan() || !read && event.paths.iter().any(|path| ways.contains(path))
}

/// All places whose change may be one of the file: each link on the way, the file, its folder.
fn way(file: &Path) -> BTreeSet<PathBuf> {
    let mut way = BTreeSet::new();
    let mut ahead: VecDeque<PathBuf> = pieces(file);
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(piece) = ahead.pop_front() {
        if piece == Path::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&piece);
        match std::fs::read_link(&next) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                way.insert(next);
                // An absolute target takes the place of all before it.
                for piece in pieces(&target).into_iter().rev() {
                    ahead.push_front(piece);
                }
            }
            _ => {
                at = next;
                // What is below something that is not there cannot be watched.
                if at.symlink_metadata().is_err() {
                    break;
                }
            }
        }
    }
    way.extend(at.parent().map(Path::to_owned));
    way.insert(at);
    way
}

fn pieces(path: &Path) -> VecDeque<PathBuf> {
    let pieces = path.components().filter(|piece| *piece != Component::CurDir);
    pieces.map(|piece| PathBuf::from(piece.as_os_str())).collect()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
