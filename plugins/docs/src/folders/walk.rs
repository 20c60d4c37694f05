//! A look through a folder: which documents are there, and which folders to watch.
//!
//! Hidden files and what ignore files name is left out, as ripgrep does it (crate `ignore`). The walk itself follows no
//! link; `links` does so afterwards.

use std::{fs, fs::Metadata, io, path::Path, sync::Arc};

use ignore::{DirEntry, WalkBuilder};

use super::{Folder, Root, Stamp, is_showable, links::Links, relative};
use crate::text::Kind;

/// How deep a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Into all folders below.
    All,
    /// Into this folder alone.
    One,
}

/// A document that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path within the folder.
    pub(crate) rel: String,
    /// Where it is read from, if that is elsewhere in the folder.
    pub(crate) real: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) stamp: Stamp,
}

/// What was left out, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Links that lead outside of the folder.
    pub(crate) outside: usize,
    /// Links that lead nowhere.
    pub(crate) nowhere: usize,
    /// Names that are no UTF-8, or that hold characters that hide.
    pub(crate) unshowable: usize,
    /// What the system does not let us look at.
    pub(crate) closed: usize,
}

impl Skipped {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            outside: self.outside + other.outside,
            nowhere: self.nowhere + other.nowhere,
            unshowable: self.unshowable + other.unshowable,
            closed: self.closed + other.closed,
        }
    }
}

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// In the order of their paths.
    pub(crate) files: Vec<Found>,
    /// The folders that were looked into, by their paths; the first is where the look began.
    pub(crate) dirs: Vec<String>,
    /// Whether there are links, followed or not.
    pub(crate) links: bool,
    pub(crate) skipped: Skipped,
    /// Folders below which the system failed: what is known of them still holds.
    pub(crate) unsure: Vec<String>,
}

/// Look through a folder, from `start` within it.
pub(crate) fn walk(folder: &Arc<Folder>, root: &Root, start: &str, depth: Depth) -> Walked {
    let mut walked = Walked::default();
    if let Some((name, real)) = root.only() {
        walked.dirs.push(String::new());
        if let Ok(stamp) = root.stamp(real) {
            let kind = folder.admits(name).or_else(|| Kind::of(name).is_none().then_some(Kind::Text));
            let real = (name != real).then(|| real.to_owned());
            walked.files.extend(kind.map(|kind| Found { rel: name.to_owned(), real, kind, stamp }));
        }
        return walked;
    }
    let mut links = Links::default();
    pass(folder, root, &Way { real: start, shown: start }, depth, &mut walked, &mut links);
    walked.links = !links.is_empty();
    if depth == Depth::All && start.is_empty() {
        links.follow(folder, root, &mut walked);
    }
    walked.files.sort_unstable_by(|one, other| one.rel.cmp(&other.rel));
    walked
}

/// Where a pass begins: its path within the folder, and the path under which what it finds is known.
#[derive(Debug, Clone)]
pub(super) struct Way<'a> {
    pub(super) real: &'a str,
    pub(super) shown: &'a str,
}

impl Way<'_> {
    /// How something below is known.
    fn shown(&self, rel: &str) -> String {
        let below = rel.strip_prefix(self.real).unwrap_or(rel).trim_start_matches('/');
        joined(self.shown, below)
    }
}

/// A path below another one; either may be empty.
fn joined(path: &str, below: &str) -> String {
    match (path, below) {
        (path, "") => path.to_owned(),
        ("", below) => below.to_owned(),
        (path, below) => format!("{path}/{below}"),
    }
}

/// One walk that follows no link.
pub(super) fn pass(
    folder: &Arc<Folder>,
    root: &Root,
    way: &Way<'_>,
    depth: Depth,
    walked: &mut Walked,
    links: &mut Links,
) {
    let base = root.base();
    let begin = if way.real.is_empty() { base.to_owned() } else { base.join(way.real) };
    let mut builder = WalkBuilder::new(&begin);
    builder.require_git(false).follow_links(false).sort_by_file_name(Ord::cmp);
    builder.max_depth((depth == Depth::One).then_some(1));
    let (of, begins_at) = (Arc::clone(folder), begin.clone());
    let known = way.shown.to_owned();
    // Writing the index must be no reason to look again.
    let own = fs::canonicalize(folder.own()).ok();
    builder.filter_entry(move |entry| {
        if own.as_deref() == Some(entry.path()) {
            return false;
        }
        let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
        let below = entry.path().strip_prefix(&begins_at).ok().and_then(relative);
        !is_dir || entry.depth() == 0 || below.is_some_and(|below| of.may_admit_below(&joined(&known, &below)))
    });
    for entry in builder.build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                failed(&error, base, way, walked);
                continue;
            }
        };
        let Some(rel) = entry.path().strip_prefix(base).ok().and_then(relative).filter(|rel| is_showable(rel)) else {
            walked.skipped.unshowable += 1;
            continue;
        };
        let shown = way.shown(&rel);
        let kind = entry.file_type();
        if kind.is_some_and(|kind| kind.is_dir()) {
            walked.dirs.push(shown);
        } else if kind.is_some_and(|kind| kind.is_symlink()) {
            links.meet(shown, rel);
        } else if kind.is_some_and(|kind| kind.is_file())
            && let Some(kind) = folder.admits(&shown)
            && let Some(metadata) = looked_at(&entry, base, way, walked)
        {
            let real = (shown != rel).then_some(rel);
            walked.files.push(Found { rel: shown, real, kind, stamp: Stamp::of(&metadata) });
        }
    }
}

fn looked_at(entry: &DirEntry, base: &Path, way: &Way<'_>, walked: &mut Walked) -> Option<Metadata> {
    entry.metadata().inspect_err(|error| failed(error, base, way, walked)).ok()
}

/// The system did not let us look somewhere. What has gone is gone, and what we may not see is as good as gone;
/// anything else is weather.
fn failed(error: &ignore::Error, base: &Path, way: &Way<'_>, walked: &mut Walked) {
    let weather = error.io_error().is_some_and(|error| {
        !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
        )
    });
    if weather {
        let rel = path_of(error).and_then(|path| path.strip_prefix(base).ok()).and_then(relative);
        walked.unsure.push(rel.map_or_else(String::new, |rel| way.shown(&rel)));
    } else if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        walked.skipped.closed += 1;
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of),
        _ => None,
    }
}
