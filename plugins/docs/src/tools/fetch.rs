//! `docs_fetch`: the text of a document, or of a piece of it.
//!
//! An id is looked up in the index and never opened as a path; the text is what was read when it was indexed.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolgate_plugin::{CallContext, ToolAnnotations, ToolError, ToolSet, ToolSpec};

use super::{
    Shared,
    answer::{Answer, Code, failure},
};
use crate::{
    folders::{Folder, Root},
    index::{Stored, Wanted},
    text,
};

const DESCRIPTION: &str = "\
Read a document that docs_search has found: give the id of a result. A document that is short enough comes whole; of a \
longer one the passage that the id names and what follows it, and `next` is the id to go on with. Without #L… an id \
stands for the document from its beginning. Source files come as their comments, HTML as its text.";

/// Add the tool.
pub(crate) fn add_to(tools: ToolSet<Shared>) -> ToolSet<Shared> {
    let spec = ToolSpec {
        name: "docs_fetch".into(),
        title: Some("Read a document".into()),
        description: DESCRIPTION.into(),
        annotations: Some(ToolAnnotations::read_only().idempotent(true).open_world(false)),
    };
    tools.tool_with(spec, fetch)
}

/// Arguments of `docs_fetch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FetchArgs {
    /// The id of a result of docs_search, or `next` of an earlier answer.
    #[schemars(length(min = 1, max = 5000), extend("examples" = ["docs/write-a-plugin.md#L12"]))]
    id: String,
    /// Most text, in bytes (default: as much as the server allows).
    #[serde(default)]
    #[schemars(range(min = 4000, max = 1_048_576))]
    max_bytes: Option<u32>,
}

/// The result of `docs_fetch`.
#[derive(Debug, Serialize, JsonSchema)]
struct Fetched {
    /// The document's id, with the line that the text begins on unless it is whole.
    id: String,
    /// The document's title.
    title: String,
    /// Its text, or a piece of it.
    text: String,
    /// Where to cite it.
    url: String,
    /// What else is known of it.
    metadata: Metadata,
    /// There if the document goes on: the id to go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What is known of a document; all values are text.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Metadata {
    /// The folder.
    folder: String,
    /// The path within the folder.
    path: String,
    /// markdown, text, html, rst or source.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The headings that the text begins under.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(default)]
    heading: String,
    /// The first and the last line of the file that the text is from, such as "12-80".
    lines: String,
    /// How many lines the file has.
    of_lines: String,
    /// "true" if the text is all of the document.
    whole: String,
    /// What else to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// The id of a document, or of its part that begins on this line and is the nth to do so.
pub(super) fn id(folder: &Folder, rel: &str, part: Option<(u32, u32)>) -> String {
    let id = folder.id(rel);
    match part {
        None => id,
        Some((line, 1)) => format!("{id}#L{line}"),
        Some((line, nth)) => format!("{id}#L{line}.{nth}"),
    }
}

/// The line at an id's end, and which of the parts that begin there; a range says where to begin.
fn split(id: &str) -> Option<(&str, (u32, u32))> {
    let (document, place) = id.rsplit_once("#L")?;
    let place = place.split_once('-').map_or(place, |(first, _)| first);
    let (line, nth) = place.split_once('.').unwrap_or((place, "1"));
    Some((document, (line.parse().ok()?, nth.parse().ok()?)))
}

async fn fetch(shared: Arc<Shared>, args: FetchArgs, cx: CallContext) -> Result<Answer<Fetched>, ToolError> {
    let (searchable, _) = shared.ready(&cx).await;
    let searchable = searchable.ok_or_else(|| shared.not_ready())?;
    let most = shared.settings.limits.text.0;
    let most = args.max_bytes.map_or(most, |wanted| most.min(usize::try_from(wanted).unwrap_or(most)));
    let state = Arc::clone(&shared.state);
    let given = args.id.clone();
    let found = shared.read(move || {
        // A file's name may look like an id with a line: the whole of it comes first.
        let readings = std::iter::once((given.as_str(), None)).chain(split(&given).map(|(id, at)| (id, Some(at))));
        for (id, from) in readings {
            for folder in state.folders() {
                let Some(rel) = folder.rel_of(id).filter(|rel| folder.shows(rel)) else { continue };
                if searchable.hidden.iter().any(|key| key == folder.key()) {
                    continue;
                }
                let stored = searchable.shelf.document(folder.key(), rel, Wanted { from, most })?;
                if let Some((stored, note)) = stored.and_then(|stored| still_there(folder, rel, stored)) {
                    return Ok(Some(fetched(folder, rel, stored, note)));
                }
            }
        }
        Ok(None)
    });
    found.await?.map(Answer).ok_or_else(|| {
        let id = text::line(&args.id, 200);
        failure(Code::NotFound, format!("there is no document \"{id}\"; take an id from a result of docs_search"))
    })
}

/// The index may be a moment behind: what has gone since, or leads outside by now, is not given. A file that has changed
/// is given as it was.
fn still_there(folder: &Folder, rel: &str, stored: Stored) -> Option<(Stored, Option<String>)> {
    let now = Root::open(folder).ok()?.stamp_of(rel).ok()?;
    let mut notes: Vec<&str> = Vec::new();
    if now.size != stored.stamp.size || stored.stamp.changed != 0 && now.changed != stored.stamp.changed {
        notes.push("the file has changed since it was read; try again in a moment for what it is now");
    }
    if stored.lossy {
        notes.push("some bytes of the file are no UTF-8 and are shown as U+FFFD");
    }
    let note = Some(notes.join("; ")).filter(|note| !note.is_empty());
    Some((stored, note))
}

fn fetched(folder: &Folder, rel: &str, stored: Stored, note: Option<String>) -> Fetched {
    let begin = (!stored.whole).then_some((stored.line, stored.nth));
    Fetched {
        id: id(folder, rel, begin),
        title: stored.title,
        text: stored.text,
        url: folder.url(rel, stored.line),
        metadata: Metadata {
            folder: folder.name().to_owned(),
            path: rel.to_owned(),
            kind: stored.kind.name(),
            heading: stored.heading,
            lines: format!("{}-{}", stored.line, stored.last),
            of_lines: stored.lines.to_string(),
            whole: stored.whole.to_string(),
            note,
        },
        next: stored.next.map(|next| id(folder, rel, Some(next))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_end_with_a_line() {
        let cases = [
            ("docs/x.md#L12", Some(("docs/x.md", (12, 1)))),
            ("docs/x.md#L1.3", Some(("docs/x.md", (1, 3)))),
            ("docs/x.md#L5-L9", Some(("docs/x.md", (5, 1)))),
            ("docs/a#L1#L2", Some(("docs/a#L1", (2, 1)))),
            ("docs/x.md", None),
            ("docs/x.md#L", None),
            ("docs/x.md#L-1", None),
            ("docs/x.md#L99999999999", None),
        ];
        for (given, expected) in cases {
            assert_eq!(split(given), expected, "{given}");
        }
    }
}
