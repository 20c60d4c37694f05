//! Symbolic links within a folder: each leads somewhere, is looked behind once, and never leaves the folder.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use super::{
    Folder, Found, Root,
    walk::{Depth, Walked, Way, pass},
};

/// Most links that are looked behind.
const MOST: usize = 10_000;

/// The links that a look has met: how each is known, and where it is.
#[derive(Debug, Default)]
pub(super) struct Links(VecDeque<(String, String)>);

impl Links {
    /// A link is there.
    pub(super) fn meet(&mut self, shown: String, real: String) {
        self.0.push_back((shown, real));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Look behind them. What was found without a link is known by its own path and not found again; what is behind
    /// several is known by the first. No folder is looked into twice, so that there is an end.
    pub(super) fn follow(&mut self, folder: &Arc<Folder>, root: &Root, walked: &mut Walked) {
        if self.is_empty() {
            return;
        }
        let mut dirs: HashSet<String> = walked.dirs.iter().cloned().collect();
        let mut files: HashSet<String> = walked.files.iter().map(|found| found.rel.clone()).collect();
        let mut followed = 0;
        while let Some((shown, at)) = self.0.pop_front() {
            followed += 1;
            let real = match root.real(&at) {
                Ok(Some(real)) if followed <= MOST => real,
                Ok(_) => {
                    walked.skipped.outside += 1;
                    continue;
                }
                Err(_) => {
                    walked.skipped.nowhere += 1;
                    continue;
                }
            };
            if root.base().join(&real).is_dir() {
                if folder.may_admit_below(&shown) && dirs.insert(real.clone()) {
                    let (before, met) = (walked.dirs.len(), walked.files.len());
                    let way = Way { real: &real, shown: &shown };
                    pass(folder, root, &way, Depth::All, walked, self);
                    let below = |known: &str| known.replacen(&shown, &real, 1);
                    dirs.extend(walked.dirs[before..].iter().map(|known| below(known)));
                    let mut found = walked.files.split_off(met);
                    found.retain(|found| files.insert(found.real.clone().unwrap_or_else(|| found.rel.clone())));
                    walked.files.extend(found);
                }
            } else if let Some(kind) = folder.admits(&shown)
                && files.insert(real.clone())
                && let Ok(stamp) = root.stamp(&real)
            {
                walked.files.push(Found { rel: shown, real: Some(real), kind, stamp });
            }
        }
    }
}
