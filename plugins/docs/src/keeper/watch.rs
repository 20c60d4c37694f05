//! Watching the folders that were looked into.
//!
//! On Linux each folder by itself: what is hidden or ignored (`node_modules`, `target`) costs no watch then. Elsewhere
//! the system watches whole trees, and setting up one after another is slow.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::inbox::Inbox;

/// Whether each folder has a watch of its own.
pub(super) const ONE_BY_ONE: bool = cfg!(target_os = "linux");

/// Watches folders.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Why some are not.
    blind: Option<String>,
}

impl Watch {
    /// Watch nothing yet; what changes goes into the inbox.
    pub(super) fn new(inbox: &Arc<Inbox>) -> Self {
        let inbox = Arc::clone(inbox);
        match notify::recommended_watcher(move |event| inbox.heard(event)) {
            Ok(watcher) => Self { watcher: Some(watcher), watched: BTreeSet::new(), blind: None },
            Err(error) => Self { watcher: None, watched: BTreeSet::new(), blind: Some(error.to_string()) },
        }
    }

    /// Watch these folders from now on, and no others; whether there are new ones among them.
    pub(super) fn aim(&mut self, folders: BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        for gone in self.watched.difference(&folders) {
            // It may have gone by itself.
            let _ = watcher.unwatch(gone);
        }
        self.blind = None;
        let mode = if ONE_BY_ONE { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&folders).cloned().collect();
        let before = watched.len();
        for folder in folders {
            if watched.contains(&folder) {
                continue;
            }
            match watcher.watch(&folder, mode) {
                Ok(()) => drop(watched.insert(folder)),
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) || !folder.exists() => {}
                Err(error) => {
                    self.blind = Some(why(&error));
                    if matches!(error.kind, ErrorKind::MaxFilesWatch) {
                        break;
                    }
                }
            }
        }
        self.watched = watched;
        self.watched.len() > before
    }

    /// Watch a folder anew: another one may be there under its name.
    pub(super) fn forget(&mut self, folder: &Path) {
        if let Some(watcher) = &mut self.watcher {
            let below: Vec<PathBuf> = self.watched.iter().filter(|known| known.starts_with(folder)).cloned().collect();
            for known in below {
                let _ = watcher.unwatch(&known);
                self.watched.remove(&known);
            }
        }
    }

    /// Why not all folders are watched.
    pub(super) fn blind(&self) -> Option<&str> {
        self.blind.as_deref()
    }
}

fn why(error: &notify::Error) -> String {
    match error.kind {
        ErrorKind::MaxFilesWatch => "the system has no more watches (fs.inotify.max_user_watches)".into(),
        _ => error.to_string(),
    }
}
