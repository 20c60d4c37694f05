//! Plugins' sections: which kind, which bounds, and keys that nobody reads. Each with the exact lines that a person gets.

use super::Folder;
use crate::config::{Environment, PluginKind};

/// A configuration whose plugin's section stands in each row.
fn with(section: &str) -> String {
    format!(
        "[endpoints.e]\npath = \"/mcp\"\nplugins = [\"p\"]\n[plugins.p]\n{section}\n[plugins.p.tools]\n\"*\" = {{ scopes = [] }}\n"
    )
}

/// What a row's section gives: nothing, warnings, or errors.
#[rustfmt::skip]
const ROWS: &[(&str, &str, &[&str])] = &[
    ("a library", "library = \"libp.so\"\nrequired = true\nisolation = \"process\"\nlimits.network = true", &[]),
    ("a library in the server", "library = \"libp.so\"\nisolation = \"none\"\nlimits.result = \"1 MiB\"", &[]),
    ("a compiled-in one with bounds", "builtin = \"echo\"\nlimits = { concurrency = 1, queue = 0 }", &[]),
    // Kinds.
    ("neither kind", "required = true", &[
        r#"error: config.toml:4:1: plugins.p: one of the keys builtin and library is missing; add a line such as builtin = "tavily" (one of: tavily, docs, echo), or library = "target/release/libhello.so""#,
    ]),
    ("both kinds", "builtin = \"echo\"\nlibrary = \"libp.so\"", &[
        r#"error: config.toml:6:11: plugins.p.library: the keys builtin and library exclude each other; keep the one that is meant"#,
    ]),
    ("a disabled one of no kind", "enabled = false", &[
        r#"error: config.toml:4:1: plugins.p: one of the keys builtin and library is missing; add a line such as builtin = "tavily" (one of: tavily, docs, echo), or library = "target/release/libhello.so""#,
    ]),
    ("an empty library", "library = \"\"", &[
        r#"error: config.toml:4:1: plugins.p: one of the keys builtin and library is missing; add a line such as builtin = "tavily" (one of: tavily, docs, echo), or library = "target/release/libhello.so""#,
    ]),
    ("a list of libraries", "library = [\"libp.so\"]", &[
        r#"error: config.toml:5:11: plugins.p.library: expected text, found a list; write "target/release/libhello.so""#,
    ]),
    ("an unknown compiled-in one", "builtin = \"ecko\"", &[
        r#"error: config.toml:5:11: plugins.p.builtin: "ecko" is not known here; did you mean "echo"? (one of: tavily, docs, echo)"#,
    ]),
    ("an unknown isolation", "library = \"libp.so\"\nisolation = \"proces\"", &[
        r#"error: config.toml:6:13: plugins.p.isolation: "proces" is not known here; did you mean "process"? (one of: process, none)"#,
    ]),
    ("isolation as a flag", "library = \"libp.so\"\nisolation = false", &[
        r#"error: config.toml:6:13: plugins.p.isolation: expected text, found false; write one of: "process", "none""#,
    ]),
    ("a misspelled key", "libary = \"libp.so\"", &[
        r#"error: config.toml:4:1: plugins.p: one of the keys builtin and library is missing; add a line such as builtin = "tavily" (one of: tavily, docs, echo), or library = "target/release/libhello.so""#,
        r#"error: config.toml:5:1: plugins.p.libary: unknown key "libary"; did you mean "library"?"#,
    ]),
    // Bounds.
    ("no time", "builtin = \"echo\"\nlimits.timeout = \"0s\"", &[
        r#"error: config.toml:6:18: plugins.p.limits.timeout: "0s" is no time at all; write a longer one, such as "30s""#,
    ]),
    ("no processor time", "library = \"libp.so\"\nlimits.cpu = \"0s\"", &[
        r#"error: config.toml:6:14: plugins.p.limits.cpu: "0s" is no time at all; write a longer one, such as "30s""#,
    ]),
    ("no calls", "builtin = \"echo\"\nlimits.concurrency = 0", &[
        r#"error: config.toml:6:22: plugins.p.limits.concurrency: "0" is too small; write 1 or more"#,
    ]),
    ("a queue below nothing", "builtin = \"echo\"\nlimits.queue = -1", &[
        r#"error: config.toml:6:16: plugins.p.limits.queue: "-1" is too small; write 0 or more"#,
    ]),
    ("no result", "builtin = \"echo\"\nlimits.result = \"0 B\"", &[
        r#"error: config.toml:6:17: plugins.p.limits.result: "0 B" lets no result through; write a size such as "4 MiB""#,
    ]),
    ("little memory", "library = \"libp.so\"\nlimits.memory = \"16 MB\"", &[
        r#"error: config.toml:6:17: plugins.p.limits.memory: "16 MB" is too little for a worker; write "16 MiB" or more"#,
    ]),
    ("few files", "library = \"libp.so\"\nlimits.files = 3", &[
        r#"error: config.toml:6:16: plugins.p.limits.files: "3" is too small; write 16 or more"#,
    ]),
    ("paths that are none", "library = \"libp.so\"\nlimits = { read = [\"a\", \"\"], write = [\"\"] }", &[
        r#"error: config.toml:6:25: plugins.p.limits.read[1]: "" is no path; write a file's or a folder's path, such as "data""#,
        r#"error: config.toml:6:39: plugins.p.limits.write[0]: "" is no path; write a file's or a folder's path, such as "data""#,
    ]),
    ("many wrong bounds at once", "library = \"libp.so\"\n[plugins.p.limits]\ntimeout = \"0s\"\nconcurrency = 0\ncpu = \"soon\"\nmemory = \"1 MiB\"\nfiles = \"many\"", &[
        r#"error: config.toml:7:11: plugins.p.limits.timeout: "0s" is no time at all; write a longer one, such as "30s""#,
        r#"error: config.toml:8:15: plugins.p.limits.concurrency: "0" is too small; write 1 or more"#,
        r#"error: config.toml:9:7: plugins.p.limits.cpu: "soon" is not a duration; write it as "30s", "5m" or "1h""#,
        r#"error: config.toml:10:10: plugins.p.limits.memory: "1 MiB" is too little for a worker; write "16 MiB" or more"#,
        r#"error: config.toml:11:9: plugins.p.limits.files: expected a whole number, found the text "many"; write one, such as 256"#,
    ]),
    ("a misspelled bound", "library = \"libp.so\"\nlimits.memroy = \"1 GiB\"", &[
        r#"error: config.toml:6:8: plugins.p.limits.memroy: unknown key "memroy"; did you mean "memory"?"#,
    ]),
    ("a disabled one's bounds are not looked at", "builtin = \"echo\"\nenabled = false\nlimits.timeout = \"0s\"", &[
        r#"warning: config.toml:3:11: endpoints.e.plugins: all plugins of this endpoint are disabled, so it offers no tools; enable one of them"#,
    ]),
    // Keys that do nothing.
    ("a library's keys for a compiled-in one", "builtin = \"echo\"\nisolation = \"none\"\nrequired = false\nlimits = { timeout = \"5s\", memory = \"1 GiB\" }", &[
        r#"warning: config.toml:6:13: plugins.p.isolation: this key is not read for a plugin that is compiled in; take it away"#,
        r#"warning: config.toml:7:12: plugins.p.required: this key is not read for a plugin that is compiled in; take it away"#,
        r#"warning: config.toml:8:37: plugins.p.limits.memory: this key is not read for a plugin that is compiled in; take it away"#,
    ]),
    ("a worker's bounds without a worker", "library = \"libp.so\"\nisolation = \"none\"\nlimits = { network = false, restarts = 1, queue = 1 }", &[
        r#"warning: config.toml:7:22: plugins.p.limits.network: this key is not read with isolation "none": only a worker obeys it; take it away, or write isolation = "process""#,
        r#"warning: config.toml:7:40: plugins.p.limits.restarts: this key is not read with isolation "none": only a worker obeys it; take it away, or write isolation = "process""#,
    ]),
];

#[test]
fn sections_of_plugins_load_or_say_where_what_and_what_instead() {
    let mut failures = Vec::new();
    for (name, section, expected) in ROWS {
        let folder = Folder::with(&with(section));
        let found = match folder.load(&Environment::default()) {
            Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Err(diagnostics) => diagnostics.to_string(),
        };
        let (found, expected) = (folder.relative(&found), expected.join("\n"));
        if found != expected {
            failures.push(format!("{name}:\n  expected:\n{expected}\n  found:\n{found}\n"));
        }
    }
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), ROWS.len(), failures.join("\n"));
}

#[test]
fn a_section_has_the_kind_that_its_key_says() {
    let folder = Folder::with(&with("library = \"lib/p.so\""));
    let config = folder.load(&Environment::default()).expect("it loads").config;
    let library = folder.path().with_file_name("lib/p.so");
    assert_eq!(config.plugins["p"].kind(), Some(PluginKind::Library(&library)));
}

#[test]
fn a_variable_can_change_the_library_but_not_the_kind() {
    let folder = Folder::with(&with("library = \"a.so\""));
    let config = folder.load(&Environment::from([("TOOLGATE_PLUGINS__P__LIBRARY", "/b.so")])).expect("it loads").config;
    assert_eq!(config.plugins["p"].kind(), Some(PluginKind::Library("/b.so".as_ref())));
    let error = folder.load(&Environment::from([("TOOLGATE_PLUGINS__P__BUILTIN", "echo")])).expect_err("two kinds");
    assert_eq!(
        folder.relative(&error.to_string()),
        "error: config.toml:5:11: plugins.p.library: the keys builtin and library exclude each other; \
         keep the one that is meant"
    );
}
