//! The globs of `include` and `exclude`: of paths within a folder, and of all that is below what they match.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Globs; none match nothing.
#[derive(Debug, Default)]
pub(super) struct Globs {
    set: GlobSet,
    /// Of each glob, the folders that it names before its first wildcard.
    prefixes: Vec<String>,
}

impl Globs {
    pub(super) fn new(patterns: &[String]) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        let mut prefixes = Vec::new();
        for given in patterns {
            let pattern = given.trim_start_matches("./").trim_end_matches('/');
            if pattern.is_empty() || pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
                return Err(format!("\"{given}\" is no path within the folder; write one such as \"guide/**\""));
            }
            for pattern in [pattern.to_owned(), format!("{pattern}/**")] {
                let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
                set.add(glob.map_err(|error| {
                    format!("\"{given}\" is no glob: {}; write one such as \"**/*.md\"", error.kind())
                })?);
            }
            let wild = pattern.find(['*', '?', '[', '{', '\\']);
            prefixes.push(match wild {
                None => pattern.to_owned(),
                Some(at) => pattern[..at].rsplit_once('/').map_or(String::new(), |(folders, _)| folders.to_owned()),
            });
        }
        let set = set.build().map_err(|error| format!("the globs are too much: {}; write fewer", error.kind()))?;
        Ok(Self { set, prefixes })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub(super) fn matches(&self, rel: &str) -> bool {
        self.set.is_match(rel)
    }

    /// Whether something below this folder may match: it is on the way to what a glob names, or below that.
    pub(super) fn may_match_below(&self, rel: &str) -> bool {
        self.prefixes
            .iter()
            .any(|prefix| prefix.is_empty() || is_at_or_below(prefix, rel) || is_at_or_below(rel, prefix))
    }
}

/// Whether a path is another one, or below it.
pub(super) fn is_at_or_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| other.is_empty() || rest.is_empty() || rest.starts_with('/'))
}
