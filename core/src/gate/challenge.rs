//! Challenges: the status, the `WWW-Authenticate` header (RFC 6750 section 3, RFC 9728 section 5.1) and the
//! JSON body. The one place that writes them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::credential::Malformed;

/// An answer of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    status: StatusCode,
    /// The error code in the body.
    error: &'static str,
    /// Whether the header carries the error code too: not when no credentials came (RFC 6750 section 3.1).
    told: bool,
    description: String,
    scopes: Option<Arc<[Arc<str>]>>,
    metadata_url: Option<String>,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
    request_id: &'a str,
}

impl Challenge {
    fn new(status: StatusCode, error: &'static str, metadata_url: Option<&str>, description: &str) -> Self {
        Self {
            status,
            error,
            told: false,
            description: description.to_owned(),
            scopes: None,
            metadata_url: metadata_url.map(str::to_owned),
            retry_after: None,
        }
    }

    pub(super) fn no_credentials(metadata_url: Option<&str>, scopes: &Arc<[Arc<str>]>) -> Self {
        let text = "no access token; send it as Authorization: Bearer";
        let challenge = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", metadata_url, text);
        Self { scopes: Some(Arc::clone(scopes)), ..challenge }
    }

    pub(super) fn malformed(metadata_url: Option<&str>, malformed: &Malformed) -> Self {
        let text = malformed.to_string();
        Self { told: true, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", metadata_url, &text) }
    }

    /// A token came that does not hold; `why` is fit for an `error_description`.
    pub fn invalid_token(metadata_url: Option<&str>, scopes: &Arc<[Arc<str>]>, why: &str) -> Self {
        let challenge = Self::new(StatusCode::UNAUTHORIZED, "invalid_token", metadata_url, why);
        Self { told: true, scopes: Some(Arc::clone(scopes)), ..challenge }
    }

    /// The token lacks scopes that the tool needs.
    pub fn insufficient_scope(metadata_url: Option<&str>, required: &Arc<[Arc<str>]>, tool: &str) -> Self {
        let text = format!("the tool '{tool}' needs {}", named(required));
        let challenge = Self::new(StatusCode::FORBIDDEN, "insufficient_scope", metadata_url, &text);
        Self { told: true, scopes: Some(Arc::clone(required)), ..challenge }
    }

    /// The tool was called too often.
    pub fn rate_limited(metadata_url: Option<&str>, tool: &str, retry_after: Duration) -> Self {
        let text = format!("the tool '{tool}' was called too often; wait and try again");
        let challenge = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", metadata_url, &text);
        Self { retry_after: Some(retry_after), ..challenge }
    }

    pub(super) fn unavailable(metadata_url: Option<&str>, why: &str, retry_after: Duration) -> Self {
        let challenge = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", metadata_url, why);
        Self { retry_after: Some(retry_after), ..challenge }
    }

    /// Tokens cannot be verified now.
    pub fn unreachable(metadata_url: Option<&str>, retry_after: Duration) -> Self {
        let text = "the authorization server or its keys cannot be reached now";
        Self::unavailable(metadata_url, text, retry_after)
    }

    /// What went wrong, for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The error code of the body.
    pub fn error(&self) -> &'static str {
        self.error
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The `WWW-Authenticate` header.
    pub fn header(&self) -> String {
        let mut parameters = Vec::new();
        if self.told {
            parameters.push(format!("error=\"{}\"", self.error));
            parameters.push(format!("error_description=\"{}\"", quotable(&self.description)));
        }
        if let Some(scopes) = self.scopes.as_ref().filter(|scopes| !scopes.is_empty()) {
            parameters.push(format!("scope=\"{}\"", quotable(&scopes.join(" "))));
        }
        if let Some(url) = &self.metadata_url {
            parameters.push(format!("resource_metadata=\"{}\"", quotable(url)));
        }
        format!("Bearer {}", parameters.join(", ")).trim_end().to_owned()
    }

    /// The whole answer.
    pub fn response(&self, request_id: &str) -> Response<Bytes> {
        let body = Body { error: self.error, error_description: &self.description, request_id };
        let mut response = Response::new(Bytes::from(serde_json::to_vec(&body).unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(value) = HeaderValue::from_str(&self.header()) {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds (RFC 9110 section 10.2.3), rounded up so that who obeys is not refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Scopes as a sentence has them.
fn named(scopes: &[Arc<str>]) -> String {
    let quoted: Vec<String> = scopes.iter().map(|scope| format!("'{scope}'")).collect();
    match quoted.as_slice() {
        [one] => format!("the scope {one}"),
        [first @ .., last] if !first.is_empty() => format!("the scopes {} and {last}", first.join(", ")),
        _ => "another token".to_owned(),
    }
}

/// The characters that RFC 6750 section 3 allows in `error_description` and `scope`, the narrowest of the
/// parameters; whatever else came in (a tool's name is the caller's) becomes `?`.
fn quotable(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='!' | '#'..='[' | ']'..='~') { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(names: &[&str]) -> Arc<[Arc<str>]> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn the_header_of_a_scope_shortfall_names_the_scopes_and_where_to_ask() {
        let url = Some("http://localhost:1/.well-known/oauth-protected-resource/mcp");
        let challenge = Challenge::insufficient_scope(url, &scopes(&["a:read", "a:write"]), "crawl");
        assert_eq!(
            challenge.header(),
            "Bearer error=\"insufficient_scope\", error_description=\"the tool 'crawl' needs the scopes 'a:read' and 'a:write'\", \
             scope=\"a:read a:write\", resource_metadata=\"http://localhost:1/.well-known/oauth-protected-resource/mcp\""
        );
    }

    #[test]
    fn scopes_are_told_as_a_sentence_has_them() {
        let cases: [(&[&str], &str); 3] = [
            (&["a"], "the scope 'a'"),
            (&["a", "b"], "the scopes 'a' and 'b'"),
            (&["a", "b", "c"], "the scopes 'a', 'b' and 'c'"),
        ];
        for (wanted, expected) in cases {
            assert_eq!(named(&scopes(wanted)), expected);
        }
    }

    #[test]
    fn without_credentials_there_is_no_error_code_in_the_header() {
        let challenge = Challenge::no_credentials(Some("http://h/m"), &scopes(&["a"]));
        assert_eq!(challenge.header(), "Bearer scope=\"a\", resource_metadata=\"http://h/m\"");
    }

    /// A reader of the header after RFC 9110 section 11.2, strict: anything it does not expect is a failure.
    fn parse(header: &str) -> Option<Vec<(String, String)>> {
        let mut rest = header.strip_prefix("Bearer")?;
        let mut parameters = Vec::new();
        while !rest.is_empty() {
            rest = rest.strip_prefix(if parameters.is_empty() { " " } else { ", " })?;
            let (name, after) = rest.split_once("=\"")?;
            let (value, after) = after.split_once('"')?;
            if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') || value.contains('\\') {
                return None;
            }
            parameters.push((name.to_owned(), value.to_owned()));
            rest = after;
        }
        Some(parameters)
    }

    proptest! {
        #[test]
        fn no_tool_name_breaks_out_of_its_quotes(tool in ".*", wanted in prop::collection::vec("[!#-\\[\\]-~]{1,12}", 1..4)) {
            let wanted: Arc<[Arc<str>]> = wanted.iter().map(|scope| Arc::from(scope.as_str())).collect();
            let challenge = Challenge::insufficient_scope(Some("http://h/m"), &wanted, &tool);
            let parameters = parse(&challenge.header()).expect("a well-formed header");
            let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
            prop_assert_eq!(names, ["error", "error_description", "scope", "resource_metadata"]);
            prop_assert_eq!(&parameters[2].1, &wanted.join(" "));
            let response = challenge.response("id");
            prop_assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
        }
    }
}
