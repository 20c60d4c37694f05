//! The folders that may be read: what each admits (`Folder`), the folder itself as it is opened (`root`), and a look
//! through it (`walk`).
//!
//! Owns the rule that nothing outside of a folder is ever read. Knows no index.

mod globs;
mod links;
mod root;
mod stamp;
mod url;
mod walk;

#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use self::{globs::Globs, url::Template};
pub(crate) use self::{
    root::{Absent, Root, Unread},
    stamp::Stamp,
    walk::{Depth, Found, Skipped, Walked, walk},
};
use crate::{
    settings::FolderSettings,
    text::{Kind, is_hidden},
};

/// A folder, or a single file, that the settings name.
#[derive(Debug)]
pub(crate) struct Folder {
    name: String,
    key: String,
    path: PathBuf,
    /// The plugin's own place, which holds no documents.
    own: PathBuf,
    include: Globs,
    exclude: Globs,
    kinds: Vec<Kind>,
    url: Option<Template>,
}

/// A setting of a folder that does not fit: its key, with a dot before it, and what is wrong.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) key: &'static str,
    pub(crate) message: String,
}

impl Folder {
    /// A folder of the settings.
    ///
    /// # Errors
    /// A setting that does not fit.
    pub(crate) fn new(given: &FolderSettings, base: &Path, own: &Path) -> Result<Self, Wrong> {
        let wrong = |key, message: String| Err(Wrong { key, message });
        if given.path.trim().is_empty() {
            return wrong(".path", "is no path; write one such as \"docs\"".into());
        }
        let path = plain(&base.join(&given.path));
        let last = path.file_name().and_then(|name| name.to_str());
        let name = match (&given.name, last) {
            (Some(name), _) if is_name(name) => name.clone(),
            (Some(name), _) => {
                let name = crate::text::line(name, 100);
                return wrong(
                    ".name",
                    format!("\"{name}\" cannot name a folder; use 1 to 64 letters, digits, _ - and ."),
                );
            }
            (None, Some(last)) if is_name(last) => last.to_owned(),
            (None, _) => return wrong(".path", "has no plain name at its end; give it one with name = \"…\"".into()),
        };
        let globs = |key, patterns: &[String]| Globs::new(patterns).map_err(|message| Wrong { key, message });
        let url = given.url.as_deref().map(Template::new).transpose();
        let url = url.map_err(|message| Wrong { key: ".url", message })?;
        Ok(Self {
            key: key(&name, &path),
            include: globs(".include", &given.include)?,
            exclude: globs(".exclude", &given.exclude)?,
            kinds: if given.types.is_empty() { Kind::ALL.to_vec() } else { given.types.clone() },
            name,
            path,
            own: own.to_owned(),
            url,
        })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it is known by in the index: name and path together, so that another folder of its name is another one.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin's own place, which is not looked into.
    pub(crate) fn own(&self) -> &Path {
        &self.own
    }

    /// What kind of document a file is, if the settings want it: `rel` is its path within the folder.
    pub(crate) fn admits(&self, rel: &str) -> Option<Kind> {
        let file = rel.rsplit('/').next().unwrap_or(rel);
        let kind = Kind::of(file).filter(|kind| self.kinds.contains(kind))?;
        let wanted = self.include.is_empty() || self.include.matches(rel);
        (wanted && !self.exclude.matches(rel)).then_some(kind)
    }

    /// Whether a document of the index may be shown: the settings may have changed since it was read.
    pub(crate) fn shows(&self, rel: &str) -> bool {
        self.admits(rel).is_some() || self.itself() == Some(rel)
    }

    /// Whether anything below a folder within this one may be admitted.
    pub(crate) fn may_admit_below(&self, rel: &str) -> bool {
        (self.include.is_empty() || self.include.may_match_below(rel)) && !self.exclude.matches(rel)
    }

    /// What a document is called by in results and in `docs_fetch`, without a line: a single file is its own folder.
    pub(crate) fn id(&self, rel: &str) -> String {
        if self.itself() == Some(rel) { self.name.clone() } else { format!("{}/{rel}", self.name) }
    }

    /// The path within the folder of the document that is called by this id.
    pub(crate) fn rel_of<'a>(&'a self, id: &'a str) -> Option<&'a str> {
        match id.strip_prefix(self.name.as_str())? {
            "" => self.itself(),
            rest => rest.strip_prefix('/'),
        }
    }

    /// The path within the folder of what its own path ends with.
    fn itself(&self) -> Option<&str> {
        self.path.file_name()?.to_str()
    }

    /// Where a document is cited.
    pub(crate) fn url(&self, rel: &str, line: u32) -> String {
        match &self.url {
            Some(template) => template.of(rel, line),
            None => format!("docs://{}#L{line}", url::encoded(&self.id(rel))),
        }
    }
}

/// Whether a path can be shown and written back without a surprise.
pub(crate) fn is_showable(rel: &str) -> bool {
    rel.len() <= LONGEST_PATH && !rel.contains('\n') && !rel.contains('\t') && !rel.chars().any(is_hidden)
}

/// Longest path of a document within its folder, in bytes: it is a term of the index.
const LONGEST_PATH: usize = 4096;

/// A path within a folder, in the form that the index has it: parts joined by `/`. None of one that is no UTF-8.
pub(crate) fn relative(path: &Path) -> Option<String> {
    let mut rel = String::new();
    for part in path.components() {
        let Component::Normal(part) = part else { return None };
        if !rel.is_empty() {
            rel.push('/');
        }
        rel.push_str(part.to_str()?);
    }
    Some(rel)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && name.bytes().any(|byte| byte != b'.')
}

/// The path without `.` and `..`, as far as that can be told from its text.
fn plain(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn key(name: &str, path: &Path) -> String {
    let mut sum = Sha256::new();
    sum.update(name.as_bytes());
    sum.update([0]);
    sum.update(path.as_os_str().as_encoded_bytes());
    sum.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
