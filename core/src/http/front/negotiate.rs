//! Page or JSON: what a request would rather have (RFC 9110 section 12.5.1). The one rule for the front page and for
//! errors.

use headers_accept::Accept;
use http::{HeaderMap, header};
use mediatype::{
    MediaType, MediaTypeBuf, Name, ReadParams,
    names::{APPLICATION, HTML, JSON, TEXT},
};

/// In the order that decides where a range fits both, as `*/*` does: a program that does not say gets JSON everywhere.
const OFFERED: [MediaType<'static>; 2] = [MediaType::new(APPLICATION, JSON), MediaType::new(TEXT, HTML)];

const Q: Name<'static> = Name::new_unchecked("q");

/// Longer than what any browser sends, in bytes: what is longer costs nothing to read.
const LONGEST: usize = 1024;

/// Whether these headers ask for a page rather than for JSON. Only a client that names text can: browsers do, while
/// `*/*`, no `Accept` at all and one that cannot be read mean JSON.
pub(in crate::http) fn wants_page(headers: &HeaderMap) -> bool {
    // Most requests are programs', and need no parsing.
    let names_text =
        |value: &http::HeaderValue| value.as_bytes().windows(5).any(|word| word.eq_ignore_ascii_case(b"text/"));
    let values = headers.get_all(header::ACCEPT);
    if values.iter().map(http::HeaderValue::len).sum::<usize>() > LONGEST || !values.iter().any(names_text) {
        return false;
    }
    let values: Vec<&str> = values.iter().filter_map(|value| value.to_str().ok()).collect();
    let Ok(accept) = values.join(",").parse::<Accept>() else { return false };
    // What is offered has no parameters, and one that somebody names, such as a `charset`, is no other type.
    let plain: Accept = accept.media_types().map(without_parameters).collect();
    plain.negotiate(&OFFERED).is_some_and(|best| best.subty == HTML)
}

/// A range with its weight alone.
fn without_parameters(range: &MediaTypeBuf) -> MediaType<'_> {
    let mut plain = range.essence();
    plain.params.to_mut().extend(range.params().filter(|(name, _)| *name == Q));
    plain
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn asked(values: &[&str]) -> bool {
        wants_page(&values.iter().map(|value| (header::ACCEPT, HeaderValue::from_str(value).unwrap())).collect())
    }

    #[test]
    fn whoever_names_a_page_and_prefers_it_gets_one() {
        let cases: &[(&[&str], bool)] = &[
            // Chromium, Firefox, Safari; an address that is opened from a link.
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"], true),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], true),
            (&["text/html"], true),
            (&["TEXT/HTML"], true),
            (&["text/*"], true),
            (&["text/html;q=0.9, application/json;q=0.8"], true),
            (&["application/json;q=0", "text/html;q=0.1"], true),
            (&["text/html, application/json"], true),
            (&["text/html;charset=utf-8"], true),
            (&["text/html; charset=\"utf-8\"; q=0.9, */*; q=0.8"], true),
            (&["text/html;charset=utf-8;q=0.5, application/json;q=0.9"], false),
            (&["text/html;charset=utf-8;q=0"], false),
            (&["application/json;charset=utf-8, text/html;q=0.5"], false),
            // Programs.
            (&[], false),
            (&[""], false),
            (&["*/*"], false),
            (&["application/json"], false),
            (&["application/json, text/event-stream"], false),
            (&["text/event-stream"], false),
            (&["application/json, text/plain, */*"], false),
            (&["application/json, text/html"], false),
            (&["text/html;q=0.5, application/json"], false),
            (&["text/html;q=0.5, */*"], false),
            (&["text/html;q=0"], false),
            (&["text/html;q=0, */*"], false),
            (&["application/*, text/html;q=0.9"], false),
            // Not readable.
            (&["text/html, ;;;"], false),
            (&["text/"], false),
            (&["context/html"], false),
        ];
        assert!(!asked(&[&format!("text/html{}", ", text/html".repeat(1000))]));
        for (values, expected) in cases {
            assert_eq!(asked(values), *expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_sends_makes_it_fail(value in "[ -~\\t]{0,80}", lead in "(text/html)?[,;q=0-9. ]{0,8}") {
            let text = format!("{lead}{value}");
            if let Ok(header_value) = HeaderValue::from_str(&text) {
                let _ = wants_page(&HeaderMap::from_iter([(header::ACCEPT, header_value)]));
            }
        }
    }
}
