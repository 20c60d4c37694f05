//! Markdown: its headings as CommonMark has them, its lines as they are written.

use pulldown_cmark::{Event, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use super::outline::{Heading, Lines, Outline, of_lines};

pub(super) fn read(text: &str) -> Outline {
    let options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let mut lines = Lines::of(text);
    let mut headings: Vec<Heading> = Vec::new();
    let mut title = None;
    let (mut open, mut metadata) = (false, None);
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let count = text[range.clone()].trim_end().split('\n').count();
                let (index, words) = (lines.at(range.start), String::new());
                headings.push(Heading { index, lines: count, level: level as u8, words });
                open = true;
            }
            Event::End(TagEnd::Heading(_)) => open = false,
            Event::Start(Tag::MetadataBlock(kind)) => metadata = Some(kind),
            Event::End(TagEnd::MetadataBlock(_)) => metadata = None,
            Event::Text(words) if metadata.is_some() => title = title.or_else(|| titled(&words, metadata)),
            Event::Text(words) | Event::Code(words) if open => append(&mut headings, &words),
            Event::SoftBreak | Event::HardBreak if open => append(&mut headings, " "),
            _ => {}
        }
    }
    of_lines(text, title, &headings)
}

fn append(headings: &mut [Heading], words: &str) {
    if let Some(heading) = headings.last_mut() {
        heading.words.push_str(words);
    }
}

/// The title in front matter: a line `title: …` of YAML, or `title = "…"` of TOML.
fn titled(metadata: &str, kind: Option<MetadataBlockKind>) -> Option<String> {
    let sign = if kind == Some(MetadataBlockKind::PlusesStyle) { '=' } else { ':' };
    let value = metadata.lines().find_map(|line| {
        let (key, value) = line.split_once(sign)?;
        (key.trim_end() == "title").then_some(value.trim())
    })?;
    let unquoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some(unquoted.unwrap_or(value).to_owned()).filter(|title| !title.is_empty())
}
