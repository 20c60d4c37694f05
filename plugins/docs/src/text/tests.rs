//! What each reader makes of its format, and that none stumbles over what anybody may write.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Document, Kind, is_hidden, read};

fn document(name: &str, text: &str) -> Document {
    read(Kind::of(name).expect("a document"), name, text.as_bytes()).expect("text")
}

/// Heading, first line and first words of each part.
fn outline(document: &Document) -> Vec<(&str, u32, &str)> {
    document
        .parts
        .iter()
        .map(|part| (part.heading.as_str(), part.line, part.body.lines().next().unwrap_or_default()))
        .collect()
}

#[test]
fn markdown_is_cut_at_its_headings_and_keeps_its_lines() {
    let text = "\n# Guide\n\nIntro.\n\n## Set up\n\nDo *this*.\n\n```sh\n# not a heading\n```\n\nSub `code`\n---\nMore.\n\n# Other\nEnd\n";
    let guide = document("guide.md", text);
    assert_eq!(guide.title, "Guide");
    assert_eq!(guide.lines, 19);
    assert_eq!(
        outline(&guide),
        [("", 2, "# Guide"), ("Set up", 6, "## Set up"), ("Sub code", 14, "Sub `code`"), ("Other", 18, "# Other")]
    );
    assert!(guide.parts[1].body.contains("# not a heading"));
}

#[test]
fn deeper_headings_stand_under_those_above() {
    let text = "# T\n## A\n### B\ntext\n#### C\n## D\n";
    let document = document("x.md", text);
    // A heading with nothing but a deeper one below it stands with that one.
    assert_eq!(outline(&document), [("A › B", 1, "# T"), ("A › B › C", 5, "#### C"), ("D", 6, "## D")]);
    assert_eq!(document.parts[0].body, "# T\n## A\n### B\ntext");
}

#[test]
fn front_matter_names_a_markdown_document() {
    assert_eq!(document("x.md", "---\ntitle: \"The name\"\ndate: x\n---\n\n# Else\n").title, "The name");
    assert_eq!(document("x.md", "+++\ntitle = 'Toml'\n+++\n# Else\n").title, "Toml");
    assert_eq!(document("x.md", "No heading at all.").title, "x.md");
}

#[test]
fn plain_text_has_lines_and_no_headings() {
    let text = document("notes.txt", "first\n\nsecond\n");
    assert_eq!((text.title.as_str(), outline(&text)), ("notes.txt", vec![("", 1, "first")]));
    assert_eq!(document("empty.txt", " \n\n").parts, []);
}

#[test]
fn html_gives_its_words_and_their_lines() {
    let page = "<!doctype html>\n<html><head><title>The &amp; page</title>\n<style>p { color: red }</style>\n\
        <script>var hidden = '<p>no</p>';</script></head>\n<body>\n<h1>The &amp; page</h1>\n<p>First\nparagraph &lt;here&gt;.</p>\n\
        <h2 id=x>Part <em>two</em></h2>\n<ul><li>one<li>two</ul>\n<table><tr><td>a</td><td>b</td></tr></table>\n\
        <pre>x = 1\n  y = 2</pre><svg><text>no</text></svg><img alt=\"A picture\">\n<!-- no --></body></html>";
    let page = document("page.html", page);
    assert_eq!(page.title, "The & page");
    assert_eq!(outline(&page), [("", 6, "The & page"), ("Part two", 9, "Part two")]);
    assert_eq!(page.parts[0].body, "The & page\nFirst paragraph <here>.");
    assert_eq!(page.parts[1].body, "Part two\n- one\n- two\na | b\nx = 1\n  y = 2\nA picture");
    assert!(page.parts.iter().all(|part| !part.body.contains("no")));
}

#[test]
fn html_on_one_line_and_broken_html_are_read() {
    let page = document("x.html", "<h1>A<p>b<h2>C</h2>d<td>e<script>alert(1)");
    assert_eq!(page.parts.iter().map(|part| part.body.as_str()).collect::<Vec<_>>(), ["A\nb", "C\nd | e"]);
    let lines = document("x.html", "<p>one\n<p>two\n\n<b>three</b> four\n");
    assert_eq!(lines.parts[0].body, "one\ntwo three four");
    assert_eq!((lines.parts[0].line, lines.parts[0].last), (1, 2));
}

#[test]
fn rst_has_sections_by_the_order_of_their_styles() {
    let text = "=====\nTitle\n=====\n\nIntro::\n\n    literal\n    -------\n\nOne\n---\n\ntext\n\nDeep\n^^^^\n\nTwo\n---\nmore\n\n----\n\nA paragraph\nthat goes on\n------------\n";
    let page = document("x.rst", text);
    assert_eq!(page.title, "Title");
    assert_eq!(outline(&page), [("", 1, "====="), ("One", 10, "One"), ("One › Deep", 15, "Deep"), ("Two", 18, "Two")]);
}

#[test]
fn comments_of_sources_are_read_and_nothing_of_the_code() {
    let cases = [
        (
            "a.rs",
            "//! Head.\nuse x;\n\n/// Says hello.\n#[inline]\npub fn hello<T>(secret: &str) {\n    let url = \"http://x // no\"; // why\n    let c = '\"'; let l: &'a str = r#\"// \"no\"#;\n    /* a /* nested */ b */\n}\n",
            vec![("", 1, "Head."), ("fn hello", 4, "Says hello."), ("", 7, "why"), ("", 9, "a /* nested */ b")],
        ),
        (
            "a.py",
            "#!/usr/bin/env python\n\"\"\"Module doc.\n\nMore.\n\"\"\"\n# note\ndef f(x):\n    '''Does f.'''\n    return \"# no\" + x['# no']  # yes\n",
            vec![("def f", 2, "Module doc."), ("", 8, "Does f.")],
        ),
        (
            "a.go",
            "// Package x does.\npackage x\n\nvar s = `// no`\n/* Block\n * starred\n */\nfunc (r *R) Run() {}\n",
            vec![("package x", 1, "Package x does."), ("func Run", 5, "Block")],
        ),
        (
            "a.js",
            "const a = 'it\\'s // no'; // trailing\n/**\n * Adds.\n * @param {number} a\n */\nexport function add(a) { return `${a} // no` }\n",
            vec![("function add", 1, "trailing")],
        ),
        ("a.sh", "#!/bin/sh\n# Deploys.\necho \"${#array} # no\" # yes\nx=a#b\n", vec![("", 2, "Deploys.")]),
        (
            "a.c",
            "/* License */\n#define X 1\n\n// Counts.\nint count(void);\nchar *u = \"a\\\"// no\";\n",
            vec![("", 1, "License"), ("", 4, "Counts.")],
        ),
        ("a.sql", "-- Users.\nselect '-- no' /* block */ from t;\n", vec![("", 1, "Users.")]),
        (
            "a.toml",
            "# The server.\n[server]\nlisten = \"#no\" # port\ntext = \"\"\"\n# no\n\"\"\"\n",
            vec![("", 1, "The server."), ("", 3, "port")],
        ),
        ("a.lua", "--[[ Long\ncomment ]]\nlocal s = \"-- no\"\n-- short\n", vec![("", 1, "Long"), ("", 4, "short")]),
        ("a.hs", "{- | Doc {- in -} -}\nmodule X where\nf = \"-- no\"\n", vec![("module X", 1, "| Doc {- in -}")]),
    ];
    for (name, text, expected) in cases {
        let source = document(name, text);
        assert_eq!(outline(&source), expected, "{name}: {source:#?}");
        for part in &source.parts {
            assert!(!part.body.contains("no") || part.body.contains("note"), "{name}: code in {:?}", part.body);
        }
    }
}

#[test]
fn binary_files_hold_no_text_and_bad_bytes_are_told() {
    assert_eq!(read(Kind::Markdown, "x.md", b"\x89PNG\0\0"), None);
    assert!(read(Kind::Text, "x.txt", b"caf\xe9").expect("text").lossy);
}

/// Texts that parsers have stumbled over: deep nesting, unclosed marks, long runs.
fn nasty() -> Vec<(&'static str, String)> {
    let size = 200_000;
    let deep = |piece: &str| piece.repeat(size / piece.len());
    vec![
        ("x.md", deep("[")),
        ("x.md", deep("> ")),
        ("x.md", deep("- ")),
        ("x.md", deep("*a_ ")),
        ("x.md", deep("![[]()](")),
        ("x.md", deep("<!--")),
        ("x.md", deep("`")),
        ("x.md", deep("# \n")),
        ("x.md", deep("a\n-\n")),
        ("x.md", deep("[a]: b\n")),
        ("x.html", deep("<div>")),
        ("x.html", deep("<svg>")),
        ("x.html", deep("&amp")),
        ("x.html", deep("<a b=")),
        ("x.html", deep("<h1>")),
        ("x.html", deep("<!-")),
        ("x.html", deep("<pre>\n")),
        ("x.rst", deep("=\n")),
        ("x.rst", deep("ab\n--\n")),
        ("x.rs", deep("/*")),
        ("x.rs", deep("'\\")),
        ("x.rs", deep("r##\"")),
        ("x.rs", format!("{}*/", deep("/*"))),
        ("x.py", deep("\"\"\"\n")),
        ("x.js", deep("`'\"")),
        ("x.txt", deep("\n\n")),
        ("x.txt", deep("ä")),
    ]
}

#[test]
fn nothing_takes_long() {
    for (name, text) in nasty() {
        let begun = Instant::now();
        document(name, &text);
        // Work that grows with the square of the length would take minutes.
        let taken = begun.elapsed();
        assert!(taken < Duration::from_secs(10), "{name}, {:?}…: {taken:?}", &text[..20.min(text.len())]);
    }
}

/// The words of a text, whatever stands between them.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,40}",
        "\\PC{0,20}",
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("# ".to_owned()),
        Just("```\n".to_owned()),
        Just("---\n".to_owned()),
        Just("====\n".to_owned()),
        Just("<h2>".to_owned()),
        Just("</p>".to_owned()),
        Just("<script>".to_owned()),
        Just("/*".to_owned()),
        Just("*/".to_owned()),
        Just("//".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        "[a-zä]{500,3000}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_bears_every_text(text in any_text(), kind in 0_usize..5) {
        let name = ["x.md", "x.txt", "x.html", "x.rst", "x.rs"][kind];
        let document = document(name, &text);
        let mut last = 1;
        for part in &document.parts {
            prop_assert!(!part.body.trim().is_empty());
            prop_assert!(part.line >= last && part.last >= part.line, "{part:?}");
            prop_assert!(part.last as usize <= text.split('\n').count());
            prop_assert!(part.body.len() < 4000, "{}", part.body.len());
            prop_assert!(!part.body.chars().chain(part.heading.chars()).any(is_hidden));
            last = part.line;
        }
    }

    #[test]
    fn nothing_of_a_text_is_lost(text in any_text(), kind in 0_usize..3) {
        let name = ["x.md", "x.txt", "x.rst"][kind];
        let parts: String = document(name, &text).parts.into_iter().map(|part| part.body).collect();
        let expected: String = words(&text).chars().filter(|c| !is_hidden(*c)).collect();
        prop_assert_eq!(words(&parts), expected);
    }

    #[test]
    fn every_reader_bears_every_byte(bytes in proptest::collection::vec(any::<u8>(), 0..2000), kind in 0_usize..5) {
        let name = ["x.md", "x.txt", "x.html", "x.rst", "x.rs"][kind];
        let _ = read(Kind::ALL[kind], name, &bytes);
    }
}
