//! What a folder admits, and that nothing outside of it is read: not by a link, not by a path, not by a swap.

use std::{fs, path::Path, sync::Arc};

use tempfile::TempDir;

use super::{Absent, Depth, Folder, Root, Skipped, Unread, Walked, is_showable, walk};
use crate::{settings::FolderSettings, text::Kind};

fn settings(path: &str) -> FolderSettings {
    FolderSettings { path: path.into(), name: None, include: vec![], exclude: vec![], types: vec![], url: None }
}

fn folder(base: &Path, path: &str) -> Arc<Folder> {
    Arc::new(Folder::new(&settings(path), base, Path::new("/state")).expect("a folder"))
}

/// A folder with these files, in a folder of its own so that there is an outside.
fn with(files: &[(&str, &str)]) -> (TempDir, Arc<Folder>) {
    let around = TempDir::new().expect("a folder");
    let inside = around.path().join("in");
    fs::create_dir(&inside).expect("a folder");
    for (name, text) in files {
        let path = inside.join(name);
        fs::create_dir_all(path.parent().expect("its folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let folder = folder(around.path(), "in");
    (around, folder)
}

fn look(folder: &Arc<Folder>) -> Walked {
    walk(folder, &Root::open(folder).expect("it is there"), "", Depth::All)
}

fn found(folder: &Arc<Folder>) -> Vec<String> {
    look(folder).files.into_iter().map(|found| found.rel).collect()
}

#[test]
fn documents_are_found_and_hidden_and_ignored_ones_are_not() {
    let (_around, folder) = with(&[
        ("a.md", ""),
        ("b/c.txt", ""),
        ("b/picture.png", ""),
        (".hidden.md", ""),
        (".config/x.md", ""),
        ("build/out.md", ""),
        ("b/secret.md", ""),
        ("b/kept.md", ""),
        (".gitignore", "build/\n"),
        ("b/.ignore", "secret.md\n"),
    ]);
    assert_eq!(found(&folder), ["a.md", "b/c.txt", "b/kept.md"]);
    let walked = look(&folder);
    assert_eq!(walked.dirs, ["", "b"]);
    assert!(!walked.links);
}

#[test]
fn an_ignore_file_above_the_folder_counts() {
    let (around, folder) = with(&[("a.md", ""), ("draft.md", "")]);
    fs::write(around.path().join(".gitignore"), "draft.md\n").expect("a file");
    assert_eq!(found(&folder), ["a.md"]);
}

#[test]
fn globs_and_types_choose_among_documents() {
    let (around, _) =
        with(&[("a.md", ""), ("guide/b.md", ""), ("guide/old/c.md", ""), ("guide/d.rs", ""), ("z/e.md", "")]);
    type Case = (&'static [&'static str], &'static [&'static str], &'static [Kind], &'static [&'static str]);
    let cases: [Case; 6] = [
        (&["guide"], &[], &[], &["guide/b.md", "guide/d.rs", "guide/old/c.md"]),
        (&["*.md"], &[], &[], &["a.md"]),
        (&["**/*.md"], &["guide/old"], &[], &["a.md", "guide/b.md", "z/e.md"]),
        (&[], &["z/", "./guide/*"], &[], &["a.md"]),
        (&[], &[], &[Kind::Source], &["guide/d.rs"]),
        (&["guide/old/c.md", "a.md"], &[], &[], &["a.md", "guide/old/c.md"]),
    ];
    for (include, exclude, types, expected) in cases {
        let globs = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        let given = FolderSettings {
            include: globs(include),
            exclude: globs(exclude),
            types: types.to_vec(),
            ..settings("in")
        };
        let folder = Arc::new(Folder::new(&given, around.path(), Path::new("/state")).expect("a folder"));
        assert_eq!(found(&folder), expected, "{include:?} {exclude:?} {types:?}");
    }
    // What no glob leads to is not looked into.
    let given = FolderSettings { include: vec!["guide/old/*.md".into()], ..settings("in") };
    let folder = Arc::new(Folder::new(&given, around.path(), Path::new("/state")).expect("a folder"));
    assert_eq!(look(&folder).dirs, ["", "guide", "guide/old"]);
}

#[test]
fn a_single_file_is_its_own_folder() {
    let (around, _) = with(&[("a.md", "x"), ("notes", "x"), (".hidden.md", "x")]);
    let file = folder(around.path(), "in/a.md");
    assert_eq!((file.name(), found(&file)), ("a.md", vec!["a.md".to_owned()]));
    assert_eq!((file.id("a.md").as_str(), file.rel_of("a.md")), ("a.md", Some("a.md")));
    assert_eq!(file.url("a.md", 3), "docs://a.md#L3");
    // What is named is wanted, hidden or not, and plain text if its name says nothing.
    assert_eq!(found(&folder(around.path(), "in/.hidden.md")), [".hidden.md"]);
    assert_eq!(look(&folder(around.path(), "in/notes")).files[0].kind, Kind::Text);
}

#[test]
fn ids_and_urls_lead_back() {
    let base = Path::new("/base");
    let docs = folder(base, "my docs/../docs");
    assert_eq!(docs.path(), Path::new("/base/docs"));
    assert_eq!(docs.id("a/b.md"), "docs/a/b.md");
    assert_eq!(docs.rel_of("docs/a/b.md"), Some("a/b.md"));
    assert_eq!((docs.rel_of("docsa/b.md"), docs.rel_of("other/b.md")), (None, None));
    assert_eq!(docs.url("a b/ü#1.md", 7), "docs://docs/a%20b/%C3%BC%231.md#L7");
    let given = FolderSettings { url: Some("https://x.example/{path}?plain=1#L{line}".into()), ..settings("docs") };
    assert_eq!(
        Folder::new(&given, base, Path::new("/state")).expect("a folder").url("a b.md", 7),
        "https://x.example/a%20b.md?plain=1#L7"
    );
    assert_ne!(folder(base, "one/docs").key(), folder(base, "two/docs").key());
}

#[test]
fn a_folder_that_is_not_there_says_so() {
    let (around, _) = with(&[("a.md", "")]);
    let missing = Root::open(&folder(around.path(), "gone")).expect_err("nothing is there");
    assert_eq!(missing, Absent::Missing);
    assert_eq!(Root::open(&folder(around.path(), "in/a.md/x")).expect_err("below a file"), Absent::Missing);
    #[cfg(unix)]
    {
        let _socket = std::os::unix::net::UnixListener::bind(around.path().join("socket.md")).expect("a socket");
        let closed = Root::open(&folder(around.path(), "socket.md")).expect_err("nothing that can be read");
        assert!(
            matches!(&closed, Absent::Closed(why) if why.contains("neither a folder nor a regular file")),
            "{closed}"
        );
    }
}

#[test]
fn paths_do_not_leave_the_folder() {
    let (around, folder) = with(&[("a.md", "inside"), ("b/c.md", "inside")]);
    fs::write(around.path().join("secret.md"), "outside").expect("a file");
    let root = Root::open(&folder).expect("it is there");
    assert_eq!(root.read("a.md", 100).expect("inside").0, b"inside");
    assert_eq!(root.read("b/../a.md", 100).expect("inside all the way").0, b"inside");
    for path in ["../secret.md", "b/../../secret.md", "/etc/passwd", "..", "b/../../in/../secret.md"] {
        assert!(matches!(root.read(path, 100), Err(Unread::NotThere)), "{path}: {:?}", root.read(path, 100));
        assert!(root.stamp_of(path).is_err(), "{path}");
    }
    assert!(matches!(root.read("b", 100), Err(Unread::NoFile)));
    assert!(matches!(root.read("a.md", 3), Err(Unread::TooLarge(_))));
}

#[test]
fn the_plugins_own_place_holds_no_documents() {
    let (around, _) = with(&[("a.md", ""), ("state/plugins/docs/b.md", "")]);
    let own = around.path().join("in/state/plugins/docs");
    let folder = Arc::new(Folder::new(&settings("in"), around.path(), &own).expect("a folder"));
    assert_eq!(found(&folder), ["a.md"]);
    assert_eq!(look(&folder).dirs, ["", "state", "state/plugins"]);
}

#[test]
fn names_that_hide_something_are_not_shown() {
    for name in ["a\u{202e}dm.md", "a\nb.md", "\u{200b}.md", "a\u{1b}[0m.md"] {
        assert!(!is_showable(name), "{name:?}");
    }
    assert!(is_showable("ä b/ç.md"));
}

#[cfg(unix)]
mod links {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_that_lead_outside_are_left_out_and_counted() {
        let (around, folder) = with(&[("a.md", "")]);
        let (inside, outside) = (around.path().join("in"), around.path().join("out"));
        fs::create_dir(&outside).expect("a folder");
        fs::write(outside.join("secret.md"), "outside").expect("a file");
        symlink("../out/secret.md", inside.join("file.md")).expect("a link");
        symlink(&outside, inside.join("folder")).expect("a link");
        symlink("..", inside.join("up")).expect("a link");
        symlink("nowhere", inside.join("broken.md")).expect("a link");
        let walked = look(&folder);
        assert_eq!(walked.files.iter().map(|found| found.rel.as_str()).collect::<Vec<_>>(), ["a.md"]);
        assert_eq!(walked.skipped, Skipped { outside: 3, nowhere: 1, ..Skipped::default() });
        let root = Root::open(&folder).expect("it is there");
        for path in ["file.md", "folder/secret.md", "up/out/secret.md"] {
            assert!(matches!(root.read(path, 100), Err(Unread::NotThere)), "{path}");
            assert!(root.stamp_of(path).is_err(), "{path}");
        }
    }

    #[test]
    fn links_within_the_folder_are_looked_behind_once() {
        let (around, folder) = with(&[("a.md", "x"), (".versions/v2/new.md", "y"), ("real/b.md", "z")]);
        let inside = around.path().join("in");
        symlink(".versions/v2", inside.join("current")).expect("a link");
        symlink(".versions/v2", inside.join("latest")).expect("a link");
        symlink("a.md", inside.join("alias.md")).expect("a link");
        symlink(inside.join("real"), inside.join("absolute")).expect("a link");
        symlink("..", inside.join("real/loop")).expect("a link");
        symlink("self", inside.join("self")).expect("a link");
        symlink(".", inside.join(".versions/v2/again")).expect("a link");
        let walked = look(&folder);
        let files: Vec<_> = walked.files.iter().map(|found| (found.rel.as_str(), found.real.as_deref())).collect();
        assert_eq!(files, [("a.md", None), ("current/new.md", Some(".versions/v2/new.md")), ("real/b.md", None)]);
        assert!(walked.links);
        let root = Root::open(&folder).expect("it is there");
        assert_eq!(root.read(".versions/v2/new.md", 10).expect("inside").0, b"y");
        assert!(root.stamp_of("current/new.md").is_ok());
    }

    #[test]
    fn a_mounted_configuration_is_read_behind_its_hidden_link() {
        // As Kubernetes mounts a ConfigMap.
        let (around, folder) = with(&[("..2024/guide.md", "x")]);
        let inside = around.path().join("in");
        symlink("..2024", inside.join("..data")).expect("a link");
        symlink("..data/guide.md", inside.join("guide.md")).expect("a link");
        let walked = look(&folder);
        assert_eq!(walked.files.len(), 1, "{walked:?}");
        assert_eq!(
            (walked.files[0].rel.as_str(), walked.files[0].real.as_deref()),
            ("guide.md", Some("..2024/guide.md"))
        );
    }

    #[test]
    fn a_link_that_is_swapped_in_after_the_look_is_not_followed() {
        let (around, folder) = with(&[("a.md", "inside"), ("b/c.md", "inside")]);
        let inside = around.path().join("in");
        fs::create_dir(around.path().join("out")).expect("a folder");
        fs::write(around.path().join("out/c.md"), "outside").expect("a file");
        let root = Root::open(&folder).expect("it is there");
        assert_eq!(found(&folder), ["a.md", "b/c.md"]);
        fs::remove_dir_all(inside.join("b")).expect("gone");
        symlink("../out", inside.join("b")).expect("a link");
        fs::remove_file(inside.join("a.md")).expect("gone");
        symlink("../out/c.md", inside.join("a.md")).expect("a link");
        for path in ["a.md", "b/c.md"] {
            assert!(matches!(root.read(path, 100), Err(Unread::NotThere)), "{path}");
        }
    }

    #[test]
    fn a_pipe_holds_nobody_up() {
        let (around, folder) = with(&[("a.md", "")]);
        let pipe = around.path().join("in/pipe.md");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success());
        assert_eq!(found(&folder), ["a.md"]);
        let root = Root::open(&folder).expect("it is there");
        assert!(matches!(root.read("pipe.md", 100), Err(Unread::NoFile)));
    }
}
