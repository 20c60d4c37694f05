//! From changed paths to looks: which parts of which folders are to be looked at again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use super::{
    catalog::{Catalog, Plan, TooLittle},
    inbox::Changes,
};
use crate::folders::{Depth, Folder, Root, Skipped, relative, walk};

/// Files that say what is left out.
const IGNORE_FILES: [&str; 3] = [".gitignore", ".ignore", ".rgignore"];
/// With more folders to look at one by one, all are looked at.
const MOST_DIRS: usize = 200;

/// What is to be looked at in one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// All of it.
    pub(super) all: bool,
    /// Folders within it, each by itself.
    pub(super) dirs: BTreeSet<String>,
    /// Folders within it, with all below, that may not be those that were watched under their names.
    pub(super) trees: BTreeSet<String>,
}

impl Scope {
    /// All of it, once more.
    pub(super) fn again() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// All of it, and nothing of it may be what was watched.
    pub(super) fn anew() -> Self {
        Self { all: true, trees: [String::new()].into(), ..Self::default() }
    }

    /// That as well.
    pub(super) fn add(&mut self, other: Self) {
        self.all |= other.all;
        self.dirs.extend(other.dirs);
        self.trees.extend(other.trees);
    }
}

/// What the changes ask for, by folder. `bases` are the real places of those that are there.
pub(super) fn scopes(changes: &Changes, bases: &[Option<(&Path, &Catalog)>]) -> BTreeMap<usize, Scope> {
    let mut scopes: BTreeMap<usize, Scope> = BTreeMap::new();
    let there = bases.iter().enumerate().filter_map(|(index, base)| base.map(|(base, catalog)| (index, base, catalog)));
    for (index, base, catalog) in there {
        if changes.more {
            scopes.insert(index, Scope::anew());
            continue;
        }
        for (path, structural) in &changes.paths {
            let Some(rel) = path.strip_prefix(base).ok().and_then(relative) else { continue };
            meet(&rel, *structural, path, catalog, scopes.entry(index).or_default());
        }
    }
    for scope in scopes.values_mut() {
        scope.all |= scope.dirs.len() + scope.trees.len() > MOST_DIRS;
    }
    scopes.retain(|_, scope| *scope != Scope::default());
    scopes
}

/// A path within a folder has changed.
fn meet(rel: &str, structural: bool, path: &Path, catalog: &Catalog, scope: &mut Scope) {
    let (parent, name) = rel.rsplit_once('/').unwrap_or(("", rel));
    let hidden = rel.split('/').any(|part| part.starts_with('.'));
    // Behind a link, anything may have changed: also what is hidden itself.
    if IGNORE_FILES.contains(&name) || catalog.has_links() {
        scope.add(Scope::anew());
    } else if !hidden && catalog.knows_dir(parent) {
        scope.dirs.insert(parent.to_owned());
        if structural && fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            scope.trees.insert(rel.to_owned());
        }
    }
}

/// Looks at one folder, as far as its scope goes: what is to be done, and what was left out if all was looked at.
pub(super) fn look(folder: &Arc<Folder>, root: &Root, catalog: &mut Catalog, scope: &Scope) -> (Plan, Option<Skipped>) {
    if !scope.all
        && let Ok(plan) = look_at_some(folder, root, catalog, scope)
    {
        return (plan, None);
    }
    let walked = walk(folder, root, "", Depth::All);
    let skipped = walked.skipped;
    // A look at everything is never too little.
    (catalog.compare("", Depth::All, walked).unwrap_or_default(), Some(skipped))
}

fn look_at_some(folder: &Arc<Folder>, root: &Root, catalog: &mut Catalog, scope: &Scope) -> Result<Plan, TooLittle> {
    let mut plan = Plan::default();
    let mut add = |more: Plan| {
        plan.read.extend(more.read);
        plan.gone.extend(more.gone);
    };
    let mut deep = BTreeSet::new();
    for dir in &scope.dirs {
        let walked = walk(folder, root, dir, Depth::One);
        let below: Vec<String> = walked.dirs.iter().filter(|below| *below != dir).cloned().collect();
        deep.extend(catalog.new_dirs(&below).into_iter().map(str::to_owned));
        deep.extend(below.into_iter().filter(|below| scope.trees.contains(below)));
        add(catalog.compare(dir, Depth::One, walked)?);
    }
    for tree in deep {
        let walked = walk(folder, root, &tree, Depth::All);
        add(catalog.compare(&tree, Depth::All, walked)?);
    }
    // Several looks may have met the same.
    plan.read.sort_unstable_by(|one, other| one.rel.cmp(&other.rel));
    plan.read.dedup();
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(paths: &[(&str, bool)]) -> Changes {
        Changes { paths: paths.iter().map(|(path, structural)| (path.into(), *structural)).collect(), more: false }
    }

    fn catalog(dirs: &[&str]) -> Catalog {
        let mut catalog = Catalog::default();
        let walked =
            crate::folders::Walked { dirs: dirs.iter().map(|&dir| dir.to_owned()).collect(), ..Default::default() };
        catalog.compare("", Depth::All, walked).expect("all of it");
        catalog
    }

    #[test]
    fn a_changed_file_is_a_look_at_its_folder_alone() {
        let (one, other) = (catalog(&["", "a"]), catalog(&[""]));
        let bases = [Some((Path::new("/one"), &one)), None, Some((Path::new("/other"), &other))];
        let scopes = scopes(&changes(&[("/one/a/x.md", false), ("/one/b/unknown.md", false), ("/else", true)]), &bases);
        let expected = Scope { dirs: ["a".to_owned()].into(), ..Scope::default() };
        assert_eq!(scopes, BTreeMap::from([(0, expected)]));
    }

    #[test]
    fn an_ignore_file_is_a_look_at_everything_and_hidden_files_are_none() {
        let known = catalog(&["", "a"]);
        let bases = [Some((Path::new("/one"), &known))];
        assert_eq!(scopes(&changes(&[("/one/a/.gitignore", true)]), &bases), BTreeMap::from([(0, Scope::anew())]));
        assert_eq!(scopes(&changes(&[("/one/a/.x.md.swp", true), ("/one/.git/index", true)]), &bases), BTreeMap::new());
        let more = Changes { more: true, ..Changes::default() };
        assert_eq!(scopes(&more, &bases), BTreeMap::from([(0, Scope::anew())]));
    }
}
