//! Patterns for domains and paths: those of domains hold here as well, so they must be patterns that this server can
//! run, in time that grows with the text alone.

use regex::{Regex, RegexBuilder};
use toolgate_plugin::ToolError;
use url::Url;

use crate::safety::{address, text};

/// Most memory for one pattern, compiled.
const SIZE: usize = 256 * 1024;

/// Patterns for domains.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Vec<Regex>);

impl Patterns {
    /// Read a list; `path` is where it stands in the arguments.
    pub(crate) fn read(path: &str, given: Option<&[String]>) -> Result<Self, ToolError> {
        let read = given.unwrap_or_default().iter().enumerate().map(|(n, pattern)| {
            if names_an_internal_host(pattern) {
                return Err(wrong(
                    path,
                    n,
                    pattern,
                    "names an internal system, which others must not learn; leave it out",
                ));
            }
            compile(pattern).map_err(|fault| {
                let why = match fault {
                    Fault::NotHere => {
                        "uses look-around or a back-reference, which cannot be checked here; write it without"
                    }
                    Fault::TooLarge => "is too large; shorten it",
                    Fault::Broken => "is no regular expression; write it as \"^docs\\.example\\.com$\"",
                };
                wrong(path, n, pattern, why)
            })
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them fits the page's host.
    pub(crate) fn hold(&self, page: &Url) -> bool {
        let host = page.host_str().unwrap_or_default().trim_end_matches('.');
        self.0.iter().any(|pattern| pattern.is_match(host))
    }
}

/// Look at patterns for paths, which only Tavily runs: what cannot be one is told now.
pub(crate) fn check(path: &str, given: Option<&[String]>) -> Result<(), ToolError> {
    for (n, pattern) in given.unwrap_or_default().iter().enumerate() {
        if matches!(compile(pattern), Err(Fault::Broken)) {
            return Err(wrong(path, n, pattern, "is no regular expression; write it as \"/docs/.*\""));
        }
    }
    Ok(())
}

/// What is wrong with a pattern.
enum Fault {
    /// Other engines know what it uses.
    NotHere,
    TooLarge,
    Broken,
}

fn compile(pattern: &str) -> Result<Regex, Fault> {
    let compiled = RegexBuilder::new(pattern).case_insensitive(true).size_limit(SIZE).dfa_size_limit(SIZE).build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Fault::TooLarge,
        error if error.to_string().contains("not supported") => Fault::NotHere,
        _ => Fault::Broken,
    })
}

/// Whether a pattern is little more than such a name.
fn names_an_internal_host(pattern: &str) -> bool {
    let name: String = pattern.chars().filter(|c| !matches!(c, '\\' | '^' | '$' | '(' | ')' | '?' | ':')).collect();
    let name = name.trim_start_matches(".*").trim_start_matches('*').trim_start_matches('.');
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let host = match name.contains('.') {
        // The end of names, such as `\.local$`.
        false if pattern.contains("\\.") => &format!("any.{name}"),
        _ => name,
    };
    plain && (host.contains('.') || host == "localhost") && address::outward_site(host).is_err()
}

fn wrong(path: &str, n: usize, pattern: &str, why: &str) -> ToolError {
    ToolError::invalid(format!("/{path}/{n}"), format!("\"{}\" {why}", text::line(pattern, 100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str) -> Result<Patterns, ToolError> {
        Patterns::read("select_domains", Some(&[pattern.to_owned()]))
    }

    #[test]
    fn patterns_hold_for_hosts_alone() {
        let cases = [
            (r"^docs\.example\.com$", "https://docs.example.com/x", true),
            (r"^docs\.example\.com$", "https://DOCS.example.com./x", true),
            (r"^docs\.example\.com$", "https://docs.example.com.evil.test/", false),
            (r"^docs\.example\.com$", "https://evil.test/docs.example.com", false),
            (r"example\.(com|org)$", "https://a.example.org/", true),
        ];
        for (pattern, page, expected) in cases {
            assert_eq!(read(pattern).unwrap().hold(&Url::parse(page).unwrap()), expected, "{pattern} {page}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_held_or_tell_too_much_are_refused() {
        for pattern in
            ["(", "[a", "(?=x)example", r"(a)\1", "^intranet\\.corp$", "^10\\.0\\.0\\.1$", ".*\\.local$", "localhost"]
        {
            assert!(read(pattern).is_err(), "{pattern}");
        }
        let huge = "(a{1000}){1000}";
        assert!(read(huge).is_err(), "{huge}");
        for pattern in ["example", r"^.*\.example\.com$", "corporate"] {
            assert!(read(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn patterns_for_paths_may_be_more_than_this_server_can_run() {
        let check = |pattern: &str| super::check("select_paths", Some(&[pattern.to_owned()]));
        for pattern in ["/docs/.*", "^/api/v1.*", "(?!/private)/.*"] {
            assert!(check(pattern).is_ok(), "{pattern}");
        }
        for pattern in ["(", "[", "*"] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }
}
