//! An answer that follows from what serves and from who looks: with an entity tag, so that whoever has it is told that it
//! still holds (RFC 9110 section 13.1.2).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

/// A body with its tag. A copy shares the bytes.
#[derive(Debug, Clone)]
pub(super) struct Tagged {
    content_type: &'static str,
    body: Bytes,
    tag: String,
}

impl Tagged {
    pub(super) fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let tag = format!("\"{}\"", digest(&body));
        Self { content_type, body, tag }
    }

    /// How long the body is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// The answer to a request with these headers. It may show a caller's own tools, and the next reload changes it.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response<Bytes> {
        let mut response = if is_known(asked, &self.tag) {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            let mut response = Response::new(self.body.clone());
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            response
        };
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
        response
    }
}

/// Whether a request says that its sender has what this tag is of: by name, among others, as the weak tag that a proxy
/// made of it when it packed the body, or as whatever there is.
pub(super) fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let named = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // A tag holds no quotes within its own, so that it is found whole or not at all.
    named.into_iter().any(|named| named.trim() == "*" || named.contains(tag))
}

/// A digest that is long enough to tell files and pages apart.
pub(super) fn digest(whole: &[u8]) -> String {
    Sha256::digest(whole).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_told_that_it_still_holds() {
        let page = Tagged::new("text/plain", "page");
        let (tag, other) = (page.tag.clone(), Tagged::new("text/plain", "another").tag);
        let cases: &[(&[&str], bool)] = &[
            (&[], false),
            (&[&tag], true),
            (&["*"], true),
            (&[" * "], true),
            (&[&format!("W/{tag}")], true),
            (&[&format!("{other}, {tag}")], true),
            (&[&other, &tag], true),
            (&[&other], false),
            (&[tag.trim_matches('"')], false),
            (&["\"*\""], false),
            (&[""], false),
        ];
        for (values, known) in cases {
            let asked: HeaderMap =
                values.iter().map(|value| (header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap())).collect();
            let answer = page.answer(&asked);
            let expected = if *known { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, "page") };
            assert_eq!((answer.status(), &answer.body()[..]), (expected.0, expected.1.as_bytes()), "{values:?}");
            assert_eq!(answer.headers()[header::ETAG], tag.as_str(), "{values:?}");
            assert_eq!(answer.headers()[header::VARY], "Authorization", "{values:?}");
        }
    }

    #[test]
    fn all_answers_share_one_body() {
        let page = Tagged::new("text/plain", vec![b'x'; 4096]);
        let asked = HeaderMap::new();
        let (one, another) = (page.answer(&asked), page.clone().answer(&asked));
        assert_eq!(one.body().as_ptr(), another.body().as_ptr());
    }
}
