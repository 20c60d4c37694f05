//! What the keeper tells: to searches, to callers that wait, and to whoever asks how the plugin is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{
    folders::{Absent, Folder},
    index::Shelf,
};

/// How far the keeper is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether all folders have been looked through since the start.
    pub(crate) looked: bool,
    /// While documents are read that nobody can find yet: how many have been, and of how many.
    pub(crate) indexing: Option<(u64, u64)>,
}

/// Shared by the keeper and the tools.
pub(crate) struct State {
    folders: Vec<Arc<Folder>>,
    told: Mutex<Told>,
    progress: watch::Sender<Progress>,
}

/// What is true at the moment.
#[derive(Default)]
struct Told {
    shelf: Option<Arc<Shelf>>,
    /// Whether the index may hold folders that the settings do not name.
    mixed: bool,
    /// By folder.
    absent: Vec<Option<Absent>>,
    /// Why there is no index to write to.
    broken: Option<String>,
    /// Why the index is in memory.
    homeless: Option<String>,
    /// Why changes are not followed.
    blind: Option<String>,
    /// How many documents more there are than limits.files.
    left_out: u64,
    /// The bound.
    most: u64,
}

/// What a search works with.
pub(crate) struct Searchable {
    pub(crate) shelf: Arc<Shelf>,
    /// Whether it must keep to its own folders.
    pub(crate) mixed: bool,
    /// The keys of the folders that are not there.
    pub(crate) hidden: Vec<String>,
}

impl State {
    pub(crate) fn new(folders: Vec<Folder>, most: u32) -> Self {
        let folders: Vec<Arc<Folder>> = folders.into_iter().map(Arc::new).collect();
        let told = Told { absent: vec![None; folders.len()], most: most.into(), mixed: true, ..Told::default() };
        Self { folders, told: Mutex::new(told), progress: watch::Sender::default() }
    }

    /// The folders of the settings.
    pub(crate) fn folders(&self) -> &[Arc<Folder>] {
        &self.folders
    }

    /// The folder with this key.
    pub(crate) fn folder(&self, key: &str) -> Option<&Arc<Folder>> {
        self.folders.iter().find(|folder| folder.key() == key)
    }

    /// What to search; none before there is an index.
    pub(crate) fn searchable(&self) -> Option<Searchable> {
        let told = self.told();
        let hidden = self.folders.iter().zip(&told.absent).filter(|(_, absent)| absent.is_some());
        let hidden = hidden.map(|(folder, _)| folder.key().to_owned()).collect();
        Some(Searchable { shelf: Arc::clone(told.shelf.as_ref()?), mixed: told.mixed, hidden })
    }

    /// How far the keeper is, to be told of each step.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Whether there is no index to write to.
    pub(crate) fn is_broken(&self) -> bool {
        self.told().broken.is_some()
    }

    /// The names of the folders that are not there.
    pub(crate) fn absent(&self) -> Vec<String> {
        let told = self.told();
        let absent = self.folders.iter().zip(&told.absent).filter(|(_, absent)| absent.is_some());
        absent.map(|(folder, _)| folder.name().to_owned()).collect()
    }

    /// What is wrong, for people; empty if nothing is.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let told = self.told();
        let absent = self.folders.iter().zip(&told.absent).filter_map(|(folder, absent)| {
            let what = absent.as_ref()?;
            Some(format!("\"{}\" {what}", folder.name()))
        });
        let mut troubles: Vec<String> = absent.collect();
        troubles.extend(told.broken.clone());
        troubles.extend(told.homeless.clone());
        troubles.extend(told.blind.clone());
        if told.left_out > 0 {
            let (more, most) = (told.left_out, told.most);
            troubles.push(format!("{more} documents are left out: there are more than limits.files ({most})"));
        }
        let progress = *self.progress.borrow();
        if let Some((done, total)) = progress.indexing {
            troubles.push(format!("indexing: {done} of {total} documents"));
        } else if !progress.looked && told.broken.is_none() {
            troubles.push("the folders have not been looked through yet".into());
        }
        troubles
    }

    // === what the keeper tells ===

    pub(super) fn set_shelf(&self, shelf: &Arc<Shelf>, mixed: bool) {
        let mut told = self.told();
        (told.shelf, told.mixed, told.broken) = (Some(Arc::clone(shelf)), mixed, None);
    }

    pub(super) fn set_mixed(&self, mixed: bool) {
        self.told().mixed = mixed;
    }

    pub(super) fn set_broken(&self, why: String) {
        self.told().broken = Some(why);
        // Who waits for the first look waits in vain.
        self.progress.send_modify(|_| {});
    }

    pub(super) fn set_homeless(&self, why: String) {
        self.told().homeless = Some(why);
    }

    pub(super) fn set_blind(&self, why: Option<String>) {
        self.told().blind = why;
    }

    /// How many documents are left out; at least so many unless all were looked at.
    pub(super) fn set_left_out(&self, documents: u64, all: bool) {
        let mut told = self.told();
        told.left_out = if all { documents } else { told.left_out.max(documents) };
    }

    /// Whether a folder is there; gives back whether that is news.
    pub(super) fn set_absent(&self, folder: usize, absent: Option<Absent>) -> bool {
        let mut told = self.told();
        let Some(before) = told.absent.get_mut(folder) else { return false };
        let news = *before != absent;
        *before = absent;
        news
    }

    pub(super) fn set_progress(&self, progress: Progress) {
        self.progress.send_if_modified(|before| std::mem::replace(before, progress) != progress);
    }

    pub(super) fn has_looked(&self) -> bool {
        self.progress.borrow().looked
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics while it is held.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
