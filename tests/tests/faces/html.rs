//! Reading the pages of this server as far as tests need it: tags, attributes and text, of pages that are well-formed.

use crate::house::Answer;

/// What browsers send when somebody opens an address.
pub(crate) const BROWSER: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

/// A start tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// Where what follows it begins in the page.
    end: usize,
}

impl Tag {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A page.
#[derive(Debug)]
pub(crate) struct Html(pub(crate) String);

impl Html {
    /// The page that an answer is, which must say that it is one.
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{answer:?}");
        assert!(answer.body.starts_with("<!doctype html>"), "{answer:?}");
        Self(answer.body.clone())
    }

    /// All start tags, in their order. What stands in a style or a script is none.
    pub(crate) fn tags(&self) -> Vec<Tag> {
        let (mut tags, mut at) = (Vec::new(), 0);
        while let Some(start) = self.0[at..].find('<').map(|start| at + start) {
            let length =
                self.0[start..].find('>').unwrap_or_else(|| panic!("a tag that does not end: {}", &self.0[start..]));
            let (inner, end) = (&self.0[start + 1..start + length], start + length + 1);
            at = end;
            if !inner.starts_with(|first: char| first.is_ascii_alphabetic()) {
                continue;
            }
            let (name, rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
            tags.push(Tag { name: name.to_owned(), attributes: attributes(rest), end });
            if matches!(name, "style" | "script") {
                at += self.0[at..].find(&format!("</{name}>")).expect("its end");
            }
        }
        tags
    }

    /// The text of the element with this id, which holds no other elements.
    pub(crate) fn text_of(&self, id: &str) -> Option<String> {
        let tag = self.tags().into_iter().find(|tag| tag.get("id") == Some(id))?;
        let rest = &self.0[tag.end..];
        Some(unescaped(&rest[..rest.find("</")?]))
    }

    /// All text, one blank between its parts.
    pub(crate) fn text(&self) -> String {
        let body = &self.0[self.0.find("<body>").expect("a body")..];
        let parts = body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| unescaped(text));
        parts
            .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What the page leads to or loads: the values of `href` and `src`.
    pub(crate) fn links(&self) -> Vec<String> {
        let tags = self.tags();
        let values = tags.iter().flat_map(|tag| [tag.get("href"), tag.get("src")]);
        values.flatten().map(str::to_owned).collect()
    }

    /// Nothing in the page runs or is styled but by files: for the policy's sake.
    pub(crate) fn assert_is_inert(&self) {
        for tag in self.tags() {
            assert!(tag.name != "script" || tag.get("src").is_some(), "a script within the page: {tag:?}");
            assert!(!matches!(tag.name.as_str(), "iframe" | "object" | "embed" | "base" | "form"), "{tag:?}");
            for (name, value) in &tag.attributes {
                assert!(!name.starts_with("on") && name != "style" && name != "srcdoc", "{tag:?}");
                assert!(!value.trim_start().to_ascii_lowercase().starts_with("javascript:"), "{tag:?}");
            }
        }
    }
}

fn attributes(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let name: String = rest.chars().take_while(|c| !c.is_whitespace() && *c != '=').collect();
        assert!(!name.is_empty(), "no attribute: {text}");
        rest = &rest[name.len()..];
        let value = match rest.strip_prefix("=\"") {
            Some(after) => {
                let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("no end of a value: {text}"));
                rest = after;
                unescaped(value)
            }
            None => String::new(),
        };
        found.push((name, value));
        rest = rest.trim_start();
    }
    found
}

/// Text as it was before it was written as HTML.
fn unescaped(text: &str) -> String {
    let named = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    named.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}
