//! Where a document is cited.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

/// What a path must not hold as it is in a URL's path.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How the URLs of a folder's documents are written.
#[derive(Debug)]
pub(super) struct Template(String);

impl Template {
    /// As the settings have it.
    pub(super) fn new(given: &str) -> Result<Self, String> {
        let shown = crate::text::line(given, 200);
        if !given.contains("{path}") {
            return Err(format!("\"{shown}\" has no place for the path; write {{path}} where it belongs"));
        }
        let example = given.replace("{path}", "a/b").replace("{line}", "1");
        let url = Url::parse(&example).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() || example.contains(['{', '}', ' ']) {
            let help = "write one such as \"https://github.com/acme/handbook/blob/main/{path}#L{line}\"";
            return Err(format!("\"{shown}\" is no http or https URL with {{path}} and {{line}} in it; {help}"));
        }
        Ok(Self(given.to_owned()))
    }

    pub(super) fn of(&self, rel: &str, line: u32) -> String {
        self.0.replace("{line}", &line.to_string()).replace("{path}", &encoded(rel))
    }
}

/// A path as it stands in a URL.
pub(super) fn encoded(rel: &str) -> String {
    utf8_percent_encode(rel, PATH).to_string()
}
