//! The pages of the project lead where they say: to files that are there, and to headings that their pages have.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use ignore::WalkBuilder;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn pages() -> Vec<PathBuf> {
    let files = WalkBuilder::new(root()).require_git(false).build().map(|entry| entry.expect("a file").into_path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Where the page's links and pictures lead, those elsewhere on the web aside.
fn links(text: &str) -> Vec<String> {
    let links = Parser::new_ext(text, Options::all()).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    });
    links.filter(|link| !link.contains("://")).collect()
}

/// The page's headings as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::all()) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(words) | Event::Code(words), Some(heading)) => heading.push_str(&words),
            (Event::End(TagEnd::Heading(_)), Some(words)) => {
                let plain = words.to_lowercase().replace(' ', "-");
                anchors.insert(plain.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect());
                heading = None;
            }
            _ => {}
        }
    }
    anchors
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let (mut lost, mut seen) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            let leads = match fs::read_to_string(&target) {
                Ok(text) if !anchor.is_empty() => anchors(&text).contains(anchor),
                // A picture is no text.
                _ => target.exists() && anchor.is_empty(),
            };
            seen += 1;
            if !leads {
                lost.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(lost.is_empty(), "links that lead nowhere:\n{}", lost.join("\n"));
    assert!(seen > 20, "only {seen} links were seen");
}
