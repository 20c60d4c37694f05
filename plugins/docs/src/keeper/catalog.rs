//! What is known of a folder's files: compared with a look, it says what to read and what has gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::folders::{Depth, Found, Stamp, Walked};

/// A file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) stamp: Stamp,
    /// Whether it is in the index; it is not if it held no text, or too much.
    pub(super) indexed: bool,
}

/// What is known of one folder.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    files: BTreeMap<String, Known>,
    /// The folders within it that were looked into.
    dirs: BTreeSet<String>,
    /// Whether it has links: one change may then be many.
    links: bool,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Documents to read.
    pub(super) read: Vec<Found>,
    /// Paths that are to go.
    pub(super) gone: Vec<String>,
}

/// A look that does not say enough: the whole folder is to be looked through.
#[derive(Debug, PartialEq)]
pub(super) struct TooLittle;

impl Catalog {
    pub(super) fn insert(&mut self, rel: &str, known: Known) {
        self.files.insert(rel.to_owned(), known);
    }

    pub(super) fn remove(&mut self, rel: &str) -> Option<Known> {
        self.files.remove(rel)
    }

    pub(super) fn known(&self, rel: &str) -> Option<Known> {
        self.files.get(rel).copied()
    }

    pub(super) fn indexed(&self) -> u64 {
        self.files.values().filter(|known| known.indexed).count() as u64
    }

    pub(super) fn dirs(&self) -> &BTreeSet<String> {
        &self.dirs
    }

    pub(super) fn has_links(&self) -> bool {
        self.links
    }

    pub(super) fn knows_dir(&self, rel: &str) -> bool {
        self.dirs.contains(rel)
    }

    /// Compare with a look from `start` on. What the look did not reach stays.
    ///
    /// # Errors
    /// If there are links and it was not the whole folder.
    pub(super) fn compare(&mut self, start: &str, depth: Depth, walked: Walked) -> Result<Plan, TooLittle> {
        let whole = start.is_empty() && depth == Depth::All;
        if !whole && (walked.links || self.links) {
            return Err(TooLittle);
        }
        if whole {
            self.links = walked.links;
        }
        let unsure =
            |rel: &str| walked.unsure.iter().any(|place| place.is_empty() || is_below(rel, place) || rel == place);
        let there: BTreeSet<&str> = walked.files.iter().map(|found| found.rel.as_str()).collect();
        let dirs: BTreeSet<&str> = walked.dirs.iter().map(String::as_str).collect();
        let mut plan = Plan::default();
        for rel in self.below(start) {
            let reached = depth == Depth::All || !rel[prefix(start)..].contains('/') || self.lost(rel, start, &dirs);
            if reached && !there.contains(rel) && !unsure(rel) {
                plan.gone.push(rel.to_owned());
            }
        }
        for dir in self.dirs_below(start, depth) {
            if !dirs.contains(dir.as_str()) && !unsure(&dir) {
                self.dirs.retain(|known| *known != dir && !is_below(known, &dir));
            }
        }
        drop((there, dirs));
        if depth == Depth::All {
            self.dirs.extend(walked.dirs);
        }
        let changed = |found: &Found| self.files.get(&found.rel).is_none_or(|known| known.stamp != found.stamp);
        plan.read = walked.files.into_iter().filter(changed).collect();
        Ok(plan)
    }

    /// Of the folders right below one, those that nobody has looked into.
    pub(super) fn new_dirs<'a>(&self, dirs: &'a [String]) -> Vec<&'a str> {
        dirs.iter().map(String::as_str).filter(|dir| !self.dirs.contains(*dir)).collect()
    }

    /// Whether the folder right below `start` that holds this file has gone.
    fn lost(&self, rel: &str, start: &str, dirs: &BTreeSet<&str>) -> bool {
        let from = prefix(start);
        let end = rel[from..].find('/').map(|at| from + at);
        end.is_some_and(|end| !dirs.contains(&rel[..end]))
    }

    fn below<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        let first = if start.is_empty() { String::new() } else { format!("{start}/") };
        self.files
            .range(first..)
            .map(|(rel, _)| rel.as_str())
            .take_while(move |rel| start.is_empty() || is_below(rel, start))
    }

    /// The known folders that a look from `start` would have found.
    fn dirs_below(&self, start: &str, depth: Depth) -> Vec<String> {
        let reached = |dir: &&String| {
            let below = start.is_empty() && !dir.is_empty() || is_below(dir, start);
            below && (depth == Depth::All || !dir[prefix(start)..].contains('/'))
        };
        self.dirs.iter().filter(reached).cloned().collect()
    }
}

/// How many bytes stand before what is below a folder.
fn prefix(start: &str) -> usize {
    if start.is_empty() { 0 } else { start.len() + 1 }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Kind;

    fn stamp(changed: u64) -> Stamp {
        Stamp { changed, size: 1 }
    }

    fn walked(files: &[(&str, u64)], dirs: &[&str]) -> Walked {
        let found = |(rel, changed): &(&str, u64)| Found {
            rel: (*rel).to_owned(),
            real: None,
            kind: Kind::Text,
            stamp: stamp(*changed),
        };
        Walked {
            files: files.iter().map(found).collect(),
            dirs: dirs.iter().map(|&dir| dir.to_owned()).collect(),
            ..Walked::default()
        }
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for (rel, changed) in [("a", 1), ("b/c", 1), ("b/d/e", 1), ("b-", 1), ("f/g", 1)] {
            catalog.insert(rel, Known { stamp: stamp(changed), indexed: true });
        }
        catalog.dirs = ["", "b", "b/d", "f"].map(str::to_owned).into();
        catalog
    }

    fn planned(plan: &Plan) -> (Vec<&str>, Vec<&str>) {
        (plan.read.iter().map(|found| found.rel.as_str()).collect(), plan.gone.iter().map(String::as_str).collect())
    }

    #[test]
    fn a_whole_look_tells_new_changed_and_gone() {
        let mut catalog = catalog();
        let look = walked(&[("a", 1), ("b/c", 2), ("b/d/e", 1), ("n/new", 1)], &["", "b", "b/d", "n"]);
        let plan = catalog.compare("", Depth::All, look).expect("enough");
        assert_eq!(planned(&plan), (vec!["b/c", "n/new"], vec!["b-", "f/g"]));
        assert_eq!(catalog.dirs.iter().map(String::as_str).collect::<Vec<_>>(), ["", "b", "b/d", "n"]);
    }

    #[test]
    fn a_look_at_one_folder_says_nothing_of_others() {
        let mut catalog = catalog();
        let plan = catalog.compare("b", Depth::One, walked(&[("b/x", 1)], &["b", "b/d", "b/new"])).expect("enough");
        assert_eq!(planned(&plan), (vec!["b/x"], vec!["b/c"]));
        let look = walked(&[("b/x", 1)], &["b", "b/new"]);
        assert_eq!(catalog.new_dirs(&look.dirs), ["b/new"]);
        let plan = catalog.compare("b", Depth::One, look).expect("enough");
        assert_eq!(planned(&plan).1, ["b/c", "b/d/e"], "what was below a folder that has gone goes with it");
        assert!(!catalog.knows_dir("b/d") && catalog.knows_dir("f"));
    }

    #[test]
    fn what_the_system_could_not_look_at_stays() {
        let mut catalog = catalog();
        let look = Walked { unsure: vec!["b".into()], ..walked(&[("a", 1)], &[""]) };
        let plan = catalog.compare("", Depth::All, look).expect("enough");
        assert_eq!(planned(&plan).1, ["b-", "f/g"]);
        assert!(catalog.knows_dir("b/d"));
    }

    #[test]
    fn links_want_the_whole_folder_to_be_looked_at() {
        let mut catalog = catalog();
        let look = Walked { links: true, ..walked(&[], &["b"]) };
        assert_eq!(catalog.compare("b", Depth::One, look), Err(TooLittle));
    }
}
