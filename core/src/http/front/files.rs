//! The files of the pages: style, script and icon. Their names hold a digest of what is in them, so that a browser
//! keeps each for good and never shows a new page with an old style.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::http::tagged::digest;

/// Where the files are. `config::rules::endpoints` keeps endpoints away from it.
pub(in crate::http) const FOLDER: &str = "assets";

/// What the style of each page begins with.
const BASE: &str = concat!(include_str!("../../../templates/palette.css"), include_str!("base.css"));

/// A file.
pub(in crate::http) struct File {
    /// Its path, without a slash before it.
    pub(in crate::http) path: String,
    pub(in crate::http) content_type: &'static str,
    pub(in crate::http) body: Bytes,
}

/// All files.
pub(in crate::http) struct Files {
    pub(in crate::http) style: File,
    pub(in crate::http) script: File,
    pub(in crate::http) icon: File,
}

impl Files {
    /// The file of this name.
    pub(in crate::http) fn named(&self, name: &str) -> Option<&File> {
        let of_name =
            |file: &&File| file.path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')) == Some(name);
        [&self.style, &self.script, &self.icon].into_iter().find(of_name)
    }
}

/// The files, made when the first page is asked for.
pub(in crate::http) static FILES: LazyLock<Files> = LazyLock::new(|| {
    let style = format!("{BASE}{}", include_str!("front.css"));
    Files {
        style: file("css", "text/css; charset=utf-8", style.into()),
        script: file("js", "text/javascript; charset=utf-8", Bytes::from_static(include_bytes!("front.js"))),
        icon: file("svg", "image/svg+xml", Bytes::from_static(include_bytes!("icon.svg"))),
    }
});

/// The style of the pages that stand alone, within them.
pub(super) struct Alone {
    pub(super) style: String,
    /// By which a policy allows it (CSP 3 section 2.3.1).
    pub(super) digest: String,
}

pub(super) static ALONE: LazyLock<Alone> = LazyLock::new(|| {
    let style = format!("{BASE}{}", include_str!("alone.css"));
    Alone { digest: STANDARD.encode(Sha256::digest(&style)), style }
});

fn file(extension: &str, content_type: &'static str, body: Bytes) -> File {
    File { path: format!("{FOLDER}/front-{}.{extension}", digest(&body)), content_type, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_files_comes_from_elsewhere() {
        for file in [&FILES.style, &FILES.script, &FILES.icon] {
            let text = std::str::from_utf8(&file.body).unwrap().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("//www") && !text.contains("http:") && !text.contains("https:"), "{}", file.path);
            assert!(!text.contains("@import") && !text.contains("url("), "{}", file.path);
            assert_eq!(FILES.named(file.path.rsplit('/').next().unwrap()).map(|found| &*found.path), Some(&*file.path));
        }
        assert!(FILES.named("front.css").is_none() && FILES.named("").is_none());
    }
}
