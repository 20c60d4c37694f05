//! What goes in comes out: whole documents, by words, phrases and filters; and damage is told from failure.

use std::{fs, path::Path};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::text::{self, Kind};

const FOLDER: &str = "00000000000000aa";
const OTHER: &str = "00000000000000bb";

fn put(writer: &Writer, folder: &str, rel: &str, text: &str) {
    let kind = Kind::of(rel.rsplit('/').next().expect("a name")).expect("a document");
    let document = text::read(kind, rel, text.as_bytes()).expect("text");
    writer.put(folder, rel, kind, Stamp { changed: 1, size: text.len() as u64 }, document).expect("written");
}

fn shelf(documents: &[(&str, &str, &str)]) -> Shelf {
    let shelf = Shelf::in_memory(Language::English).expect("an index");
    let mut writer = shelf.writer(16 << 20).expect("a writer");
    for (folder, rel, text) in documents {
        put(&writer, folder, rel, text);
    }
    writer.commit(&Said::default()).expect("committed");
    shelf.reload().expect("reloaded");
    shelf
}

fn ask(shelf: &Shelf, query: &str) -> Ask {
    let question = shelf.question(query).expect("a question");
    Ask { question, limit: 10, folders: vec![], hidden: vec![], kinds: vec![], path: None }
}

fn found(shelf: &Shelf, ask: &Ask) -> Vec<String> {
    let (hits, total, _) = shelf.search(ask, 100, |_| true).expect("a search");
    assert!(total >= hits.len());
    hits.into_iter().map(|hit| hit.rel).collect()
}

fn search(shelf: &Shelf, query: &str) -> Vec<String> {
    found(shelf, &ask(shelf, query))
}

#[test]
fn documents_are_found_by_words_phrases_and_what_must_not_be_there() {
    let shelf = shelf(&[
        (FOLDER, "a.md", "# Tokens\n\nAn access token expires. Refresh it."),
        (FOLDER, "b.md", "# Access\n\nA token for a door; the access is denied."),
        (FOLDER, "c.md", "# Other\n\nNothing of that."),
    ]);
    let sorted = |query: &str| {
        let mut found = search(&shelf, query);
        found.sort();
        found
    };
    assert_eq!(sorted("tokens"), ["a.md", "b.md"]);
    assert_eq!(sorted("\"access token\""), ["a.md"]);
    assert_eq!(sorted("token -door"), ["a.md"]);
    assert_eq!(sorted("refreshing"), ["a.md"]);
    assert_eq!(sorted("absent"), [""; 0]);
    assert_eq!(search(&shelf, "other")[0], "c.md", "a heading counts");
}

#[test]
fn filters_choose_folders_kinds_and_paths() {
    let shelf = shelf(&[
        (FOLDER, "a.md", "word"),
        (FOLDER, "guide/b.md", "word"),
        (FOLDER, "guide/deep/c.txt", "word"),
        (OTHER, "guide/d.html", "<p>word"),
    ]);
    let with = |change: &dyn Fn(&mut Ask)| {
        let mut ask = ask(&shelf, "word");
        change(&mut ask);
        let mut found = found(&shelf, &ask);
        found.sort();
        found
    };
    let glob = |glob: &str| with(&|ask| ask.path = Some(Pattern::of_glob(glob).expect("a glob")));
    assert_eq!(with(&|ask| ask.folders = vec![OTHER.into()]), ["guide/d.html"]);
    assert_eq!(with(&|ask| ask.hidden = vec![OTHER.into()]).len(), 3);
    assert_eq!(with(&|ask| ask.kinds = vec![Kind::Text, Kind::Html]), ["guide/d.html", "guide/deep/c.txt"]);
    assert_eq!(glob("guide"), ["guide/b.md", "guide/d.html", "guide/deep/c.txt"]);
    assert_eq!(glob("guide/*.md"), ["guide/b.md"]);
    assert_eq!(glob("**/*.txt"), ["guide/deep/c.txt"]);
    assert_eq!(glob("?.md"), ["a.md"]);
    assert_eq!(glob("a.m"), [""; 0]);
    assert_eq!(glob("(.*)[a-z]+|.\\"), [""; 0], "nothing else has a meaning");
}

#[test]
fn only_some_parts_of_one_document_are_among_the_results() {
    let sections: String = (0..30).map(|n| format!("## Part {n}\n\nword word word\n\n")).collect();
    let shelf =
        shelf(&[(FOLDER, "long.md", &format!("# Long\n\n{sections}")), (FOLDER, "short.md", "One word in a text.")]);
    let (hits, total, _) = shelf.search(&ask(&shelf, "word"), 100, |_| true).expect("a search");
    assert_eq!(hits.iter().filter(|hit| hit.rel == "long.md").count(), 3);
    assert!(hits.iter().any(|hit| hit.rel == "short.md"));
    assert!(total > 30, "{total}");
}

#[test]
fn snippets_mark_words_and_know_their_line() {
    let lines: String = (1..60).map(|n| format!("Line {n} says this and that.\n")).collect();
    let shelf = shelf(&[(FOLDER, "a.txt", &format!("{lines}Here is the needle, found.\n{lines}"))]);
    let (hits, _, snippets) = shelf.search(&ask(&shelf, "needles"), 100, |_| true).expect("a search");
    let snippet = snippets.of(&hits[0].body);
    assert!(snippet.text.contains("the «needle», found"), "{snippet:?}");
    assert_eq!(hits[0].line + snippet.below, 60 - lines_between(&snippet.text), "{snippet:?} {}", hits[0].line);
    assert!(snippet.text.len() < 200 && !snippet.text.contains('\n'));
}

/// How many whole lines a snippet begins before the needle's.
fn lines_between(snippet: &str) -> u32 {
    let before = snippet.split("Here").next().unwrap_or_default();
    u32::try_from(before.matches("that.").count()).expect("few")
}

#[test]
fn a_document_comes_back_whole_or_in_pieces() {
    let text: String = (1..400).map(|n| format!("## Head {n}\n\nSome text {n} of a section.\n\n")).collect();
    let text = format!("# Title\n\n{text}").trim_end().to_owned();
    let shelf = shelf(&[(FOLDER, "a.md", &text), (FOLDER, "b.txt", "short")]);
    let get = |from, most| shelf.document(FOLDER, "a.md", Wanted { from, most }).expect("read").expect("there");
    let whole = get(Some((100, 1)), 1 << 20);
    assert!(whole.whole && whole.next.is_none());
    assert_eq!((whole.text.as_str(), whole.line, whole.title.as_str()), (text.as_str(), 1, "Title"));
    assert_eq!(whole.lines as usize, text.lines().count());
    // Piece by piece.
    let (mut pieces, mut at) = (Vec::new(), None);
    loop {
        let piece = get(at, 2000);
        assert!(piece.text.len() <= 2000 && !piece.whole);
        assert!(
            text.lines().nth(piece.line as usize - 1).expect("a line").starts_with(piece.text.lines().next().unwrap())
        );
        pieces.push(piece.text);
        at = match piece.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    assert_eq!(pieces.join("\n"), text);
    // From a line within a section: its section on.
    assert_eq!(get(Some((500, 1)), 2000).heading, "Head 125");
    assert_eq!(shelf.document(FOLDER, "none.md", Wanted { from: None, most: 1000 }).expect("read"), None);
    assert_eq!(shelf.document(OTHER, "a.md", Wanted { from: None, most: 1000 }).expect("read"), None);
}

#[test]
fn a_line_longer_than_a_part_comes_back_as_one_line() {
    let text = "word ".repeat(4000);
    let shelf = shelf(&[(FOLDER, "a.txt", &text)]);
    let (mut whole, mut at) = (String::new(), None);
    loop {
        let piece = shelf.document(FOLDER, "a.txt", Wanted { from: at, most: 5000 }).expect("read").expect("there");
        whole.push_str(&piece.text);
        match piece.next {
            Some((line, nth)) => {
                assert!(line == 1 && nth > 1);
                at = Some((line, nth));
            }
            None => break,
        }
    }
    assert_eq!(whole, text);
}

#[test]
fn a_document_takes_the_place_of_what_was_there() {
    let shelf = shelf(&[(FOLDER, "a.md", "old word"), (FOLDER, "b.md", "old"), (OTHER, "a.md", "old")]);
    let mut writer = shelf.writer(16 << 20).expect("a writer");
    writer.remove(FOLDER, "a.md");
    put(&writer, FOLDER, "a.md", "new");
    writer.remove(FOLDER, "b.md");
    writer.remove_folder(OTHER);
    shelf.reload().expect("reloaded");
    assert_eq!(search(&shelf, "old").len(), 3, "nothing has happened yet");
    let said = Said { complete: [FOLDER.to_owned()].into(), done: 1, total: 2 };
    writer.commit(&said).expect("committed");
    writer.finish().expect("finished");
    shelf.reload().expect("reloaded");
    assert_eq!((search(&shelf, "old"), search(&shelf, "new")), (vec![], vec!["a.md".to_owned()]));
    assert_eq!(shelf.said().expect("said"), said);
    let mut known = Vec::new();
    shelf.catalog(|folder, rel, stamp| known.push((folder.to_owned(), rel.to_owned(), stamp))).expect("a catalog");
    assert_eq!(known, [(FOLDER.to_owned(), "a.md".to_owned(), Stamp { changed: 1, size: 3 })]);
}

fn on_disk(folder: &Path) -> Shelf {
    let shelf = Shelf::create(folder, Language::English).expect("an index");
    let mut writer = shelf.writer(16 << 20).expect("a writer");
    for number in 0..50 {
        put(&writer, FOLDER, &format!("{number}.md"), "some words to find");
    }
    writer.commit(&Said::default()).expect("committed");
    writer.finish().expect("finished");
    shelf
}

#[test]
fn damage_is_told() {
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let damages: [Damage<'_>; 4] = [
        ("cut", &|path| fs::File::options().write(true).open(path).expect("open").set_len(20).expect("cut")),
        ("gone", &|path| fs::remove_file(path).expect("gone")),
        ("other bytes", &|path| {
            let mut bytes = fs::read(path).expect("read");
            bytes.iter_mut().take(40).for_each(|byte| *byte ^= 0xff);
            fs::write(path, bytes).expect("written");
        }),
        ("empty", &|path| fs::write(path, b"").expect("written")),
    ];
    for ending in ["json", "idx", "term", "store", "fast", "pos", "fieldnorm"] {
        for (damage, act) in damages {
            let folder = TempDir::new().expect("a folder");
            drop(on_disk(folder.path()));
            let mut files =
                fs::read_dir(folder.path()).expect("its files").map(|entry| entry.expect("an entry").path());
            let file = if ending == "json" {
                folder.path().join("meta.json")
            } else {
                files.find(|path| path.extension().is_some_and(|own| own == ending)).expect("such a file")
            };
            act(&file);
            // A missing meta.json is an index that is not there.
            let told = match Shelf::open(folder.path(), Language::English) {
                Ok(None) => ending == "json" && damage == "gone",
                Ok(Some(shelf)) => matches!(shelf.validate(), Err(IndexError::Damaged(_))),
                Err(IndexError::Damaged(_)) => true,
                Err(error) => panic!("{damage} {ending}: {error}"),
            };
            assert!(told, "{damage} {ending} is not told");
            drop(Shelf::create(folder.path(), Language::English).expect("made anew"));
        }
    }
}

#[test]
fn globs_are_bounded() {
    for glob in ["", "/", &"a".repeat(300), &"*a".repeat(20), "?????????????"] {
        assert!(Pattern::of_glob(glob).is_err(), "{glob}");
    }
    let shelf = shelf(&[(FOLDER, "a.md", "word")]);
    for glob in ["**/**/**/**/**/**", "*a*a*a*a*a*a*a*a*a*a*a*a", "ü*ü*ü*ü*", "[[[", "\\", "{a,b}", "a**b", "**a**"]
    {
        let ask = Ask { path: Some(Pattern::of_glob(glob).expect("a glob")), ..ask(&shelf, "word") };
        shelf.search(&ask, 100, |_| true).map(drop).unwrap_or_else(|error| panic!("{glob}: {error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_question_is_answered(
        query in "\\PC{0,80}|[-\"a-c ]{0,30}",
        glob in "[-a-c*?/.\\[\\](){}|^$\\\\ü]{1,30}",
    ) {
        thread_local! {
            static SHELF: Shelf = shelf(&[(FOLDER, "a/b.md", "a b c\n\nab -c \"a b\""), (OTHER, "c.md", "# c\n\na")]);
        }
        SHELF.with(|shelf| {
            let Ok(question) = shelf.question(&query) else { return };
            let path = Pattern::of_glob(&glob).ok();
            let ask = Ask { question, limit: 5, folders: vec![], hidden: vec![], kinds: vec![], path };
            let (hits, _, snippets) = shelf.search(&ask, 80, |_| true).expect("a search");
            for hit in hits {
                snippets.of(&hit.body);
            }
        });
    }
}
