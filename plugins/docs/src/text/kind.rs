//! What kind of document a file is, by its name alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Markdown,
    Text,
    Html,
    Rst,
    // The comments of a source file.
    Source,
}

impl Kind {
    /// Each kind, in the order in which they are listed.
    pub(crate) const ALL: [Self; 5] = [Self::Markdown, Self::Text, Self::Html, Self::Rst, Self::Source];

    /// Its name in settings, arguments and results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Text => "text",
            Self::Html => "html",
            Self::Rst => "rst",
            Self::Source => "source",
        }
    }

    /// The kind with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind of a file with this name; none that is no document.
    pub(crate) fn of(file: &str) -> Option<Self> {
        if Syntax::of(file).is_some() {
            return Some(Self::Source);
        }
        let Some((stem, extension)) = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
            return PLAIN.iter().any(|name| file.eq_ignore_ascii_case(name)).then_some(Self::Text);
        };
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" | "mdown" | "mkd" | "mdx" => Some(Self::Markdown),
            "txt" | "text" | "adoc" | "asciidoc" | "org" | "tex" => Some(Self::Text),
            "html" | "htm" | "xhtml" => Some(Self::Html),
            "rst" | "rest" => Some(Self::Rst),
            // LICENSE-MIT is one, and so is README.de.
            _ => PLAIN.iter().any(|name| stem.eq_ignore_ascii_case(name)).then_some(Self::Text),
        }
    }
}

/// Files without an extension that people write for people.
const PLAIN: [&str; 14] = [
    "AUTHORS",
    "CHANGELOG",
    "CHANGES",
    "CONTRIBUTING",
    "CONTRIBUTORS",
    "COPYING",
    "HISTORY",
    "INSTALL",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "NEWS",
    "NOTICE",
    "README",
];

/// How comments and strings are written in a family of languages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Syntax {
    /// What begins a comment that ends with its line.
    pub(super) line: &'static [&'static str],
    /// What begins and ends a comment over lines.
    pub(super) block: &'static [(&'static str, &'static str)],
    /// Whether those stand in each other.
    pub(super) nested: bool,
    /// What begins and ends a string, longest first; what stands in one is no comment.
    pub(super) strings: &'static [Quote],
    /// Whether `'a` may be a lifetime, a label or a digit separator: only a closed character is a string then.
    pub(super) characters: bool,
    /// Whether `r#"…"#` is a string in which nothing has a meaning.
    pub(super) raw: bool,
}

/// How one kind of string is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quote {
    pub(super) mark: &'static str,
    /// Whether a backslash takes the mark's meaning.
    pub(super) escapes: bool,
    /// Whether it goes on after its line.
    pub(super) lines: bool,
    /// Whether it documents what it stands in, if it begins its line.
    pub(super) documents: bool,
}

const fn quote(mark: &'static str, escapes: bool, lines: bool) -> Quote {
    Quote { mark, escapes, lines, documents: false }
}

const fn docstring(mark: &'static str) -> Quote {
    Quote { mark, escapes: true, lines: true, documents: true }
}

const C: Syntax = Syntax {
    line: &["//"],
    block: &[("/*", "*/")],
    nested: false,
    strings: &[quote("\"", true, false)],
    characters: true,
    raw: false,
};
const RUST: Syntax = Syntax { nested: true, strings: &[quote("\"", true, true)], raw: true, ..C };
const SCRIPT: Syntax = Syntax {
    strings: &[quote("\"", true, false), quote("'", true, false), quote("`", true, true)],
    characters: false,
    ..C
};
const GO: Syntax = Syntax { strings: &[quote("\"", true, false), quote("`", false, true)], ..C };
const TRIPLE: Syntax = Syntax { nested: true, strings: &[quote("\"\"\"", true, true), quote("\"", true, false)], ..C };
const PHP: Syntax =
    Syntax { line: &["//", "#"], strings: &[quote("\"", true, true), quote("'", true, true)], characters: false, ..C };
const CSS: Syntax = Syntax { line: &[], ..SCRIPT };
// A string may go on over lines in some of these; one that is taken for open by mistake would turn all that follows
// inside out, so that each is taken to end with its line.
const HASH: Syntax = Syntax {
    line: &["#"],
    block: &[],
    strings: &[quote("\"", true, false), quote("'", false, false)],
    characters: false,
    ..C
};
const CONFIG: Syntax = Syntax {
    strings: &[
        quote("\"\"\"", true, true),
        quote("'''", false, true),
        quote("\"", true, false),
        quote("'", false, false),
    ],
    ..HASH
};
const PYTHON: Syntax = Syntax {
    strings: &[docstring("\"\"\""), docstring("'''"), quote("\"", true, false), quote("'", true, false)],
    ..HASH
};
const SQL: Syntax = Syntax {
    line: &["--"],
    block: &[("/*", "*/")],
    strings: &[quote("'", false, true), quote("\"", false, true)],
    characters: false,
    ..C
};
const LUA: Syntax = Syntax {
    line: &["--"],
    block: &[("--[[", "]]")],
    strings: &[quote("\"", true, false), quote("'", true, false)],
    ..SQL
};
const HASKELL: Syntax = Syntax { line: &["--"], block: &[("{-", "-}")], nested: true, ..C };
const LISP: Syntax = Syntax {
    line: &[";"],
    block: &[("#|", "|#")],
    nested: true,
    strings: &[quote("\"", true, true)],
    characters: false,
    ..C
};
const PERCENT: Syntax = Syntax { line: &["%"], block: &[], characters: false, ..C };

impl Syntax {
    /// The syntax of a file with this name; none of what is no source.
    pub(super) fn of(file: &str) -> Option<Self> {
        let whole = match file.to_ascii_lowercase().as_str() {
            "makefile" | "dockerfile" | "containerfile" | "justfile" | "cmakelists.txt" | "gemfile" | "rakefile" => {
                Some(HASH)
            }
            _ => None,
        };
        let (stem, extension) = file.rsplit_once('.')?;
        if whole.is_some() || stem.is_empty() {
            return whole;
        }
        Some(match extension.to_ascii_lowercase().as_str() {
            "c" | "h" | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" | "m" | "mm" | "cs" | "java" | "proto" | "zig"
            | "sol" | "d" | "glsl" | "wgsl" => C,
            "rs" => RUST,
            "swift" | "kt" | "kts" | "scala" | "dart" | "groovy" | "gradle" => TRIPLE,
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "scss" | "less" => SCRIPT,
            "go" => GO,
            "php" => PHP,
            "css" => CSS,
            "sh" | "bash" | "zsh" | "fish" | "rb" | "pl" | "pm" | "r" | "ex" | "exs" | "cmake" | "mk" | "ps1"
            | "awk" | "tcl" | "nix" => HASH,
            "py" | "pyi" | "pyx" | "jl" => PYTHON,
            "toml" | "yaml" | "yml" | "conf" | "cfg" | "properties" | "tf" | "hcl" | "service" => CONFIG,
            "sql" | "adb" | "ads" | "vhd" | "vhdl" => SQL,
            "lua" => LUA,
            "hs" | "elm" | "purs" => HASKELL,
            "lisp" | "cl" | "clj" | "cljs" | "el" | "scm" | "rkt" | "asm" | "ini" => LISP,
            "erl" | "hrl" | "pro" => PERCENT,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_name_says() {
        let cases = [
            ("README.md", Some(Kind::Markdown)),
            ("notes.TXT", Some(Kind::Text)),
            ("LICENSE", Some(Kind::Text)),
            ("LICENSE-MIT", Some(Kind::Text)),
            ("readme", Some(Kind::Text)),
            ("README.de", Some(Kind::Text)),
            ("index.htm", Some(Kind::Html)),
            ("guide.rst", Some(Kind::Rst)),
            ("main.rs", Some(Kind::Source)),
            ("CMakeLists.txt", Some(Kind::Source)),
            ("config.toml", Some(Kind::Source)),
            ("picture.png", None),
            ("archive.tar.gz", None),
            ("Cargo.lock", None),
            (".md", None),
            ("md", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(Kind::of(name), expected, "{name}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("a kind is JSON"), kind.name());
        }
    }
}
