//! Every kind of document, and citations that point where they say.

use serde_json::json;

use crate::house::Place;

#[tokio::test(flavor = "multi_thread")]
async fn citations_of_every_kind_point_at_their_lines() {
    let filler = "Nothing of interest stands on this line.\n\n".repeat(30);
    let documents = [
        ("a.md", format!("# A\n\n{filler}## Deep down\n\nHere is the zebra, at last.\n\n{filler}")),
        ("b.txt", format!("{filler}Here is the zebra, at last.\n{filler}")),
        (
            "c.html",
            format!(
                "<html><title>C</title><body><p>{}</p>\n<h2>Deep down</h2>\n<p>Here is the zebra, at last.</p></body></html>\n",
                filler
            ),
        ),
        ("d.rst", format!("Title\n=====\n\n{filler}Deep down\n---------\n\nHere is the zebra, at last.\n")),
        ("e.rs", format!("{}/// Here is the zebra, at last.\nfn deep_down() {{}}\n", "fn f() {}\n".repeat(40))),
        ("f.py", format!("{}\ndef deep_down():\n    \"\"\"Here is the zebra, at last.\"\"\"\n", "x = 1\n".repeat(40))),
        ("g.go", format!("package g\n{}// Here is the zebra, at last.\nfunc Down() {{}}\n", "var x = 1\n".repeat(40))),
        ("h.c", format!("{}/*\n * Here is the zebra, at last.\n */\nint down(void);\n", "int f(void);\n".repeat(40))),
        ("i.toml", format!("{}# Here is the zebra, at last.\ndown = 1\n", "x = 1\n".repeat(40))),
    ];
    let documents: Vec<(&str, &str)> = documents.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let place = Place::with(&documents);
    let house = place.open().await;
    let found = house.search(json!({ "query": "zebra", "limit": 50 })).await;
    let results = found["results"].as_array().expect("results");
    assert_eq!(results.len(), documents.len(), "{found:#}");
    for result in results {
        let path = result["path"].as_str().expect("a path");
        let (_, text) = documents.iter().find(|(name, _)| *name == path).expect("a document");
        let line = usize::try_from(result["line"].as_u64().expect("a line")).expect("small");
        assert!(result["snippet"].as_str().expect("a snippet").contains("«zebra»"), "{result}");
        assert!(result["url"].as_str().is_some_and(|url| url.ends_with(&format!("/{path}#L{line}"))), "{result}");
        let zebra = text.lines().position(|line| line.contains("zebra")).expect("the line") + 1;
        // The snippet begins there, or a little before.
        assert!(line <= zebra && zebra - line <= 8, "{path}: the zebra is on line {zebra}, cited is {line}: {result}");
        if path == "a.md" || path == "d.rst" || path == "c.html" {
            assert!(result["heading"].as_str().is_some_and(|heading| heading.ends_with("Deep down")), "{result}");
        }
        // And the id leads to it.
        let fetched = house.fetch(result["id"].as_str().expect("an id")).await.expect("the document");
        assert!(fetched["text"].as_str().is_some_and(|text| text.contains("Here is the zebra, at last.")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_give_their_comments_and_html_no_scripts() {
    let place = Place::with(&[
        ("a.rs", "// public words\nlet secret = \"hidden words\";\n"),
        ("b.html", "<p>public words</p><script>var hidden = 'words';</script><!-- hidden words -->"),
    ]);
    let house = place.open().await;
    assert_eq!(house.found("hidden").await, [""; 0]);
    assert_eq!(house.found("public").await, ["docs/a.rs#L1", "docs/b.html#L1"]);
    for id in ["docs/a.rs", "docs/b.html"] {
        let fetched = house.fetch(id).await.expect("a document");
        assert_eq!(fetched["text"], "public words", "{id}");
    }
}
