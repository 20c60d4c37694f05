//! A strict reader of `WWW-Authenticate`: one `Bearer` challenge with quoted parameters, each once, as RFC 9110 section
//! 11.6.1 and RFC 6750 section 3 have it. Whatever else it meets is a failure.

use std::collections::BTreeMap;

/// The parameters of a `Bearer` challenge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Read a header's value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(header: &str) -> Result<Self, String> {
        let mut parameters = BTreeMap::new();
        let mut rest = header.strip_prefix("Bearer").ok_or("not a Bearer challenge")?;
        let mut separator = " ";
        while !rest.is_empty() {
            rest = rest.strip_prefix(separator).ok_or_else(|| format!("{separator:?} is missing before {rest:?}"))?;
            let (name, value) = rest.split_once("=\"").ok_or_else(|| format!("no quoted value in {rest:?}"))?;
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                return Err(format!("{name:?} is no parameter"));
            }
            let (value, after) = value.split_once('"').ok_or_else(|| format!("the quotes of {name:?} stay open"))?;
            // What `error_description` and `scope` may hold; a URL needs no more.
            if !value.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                return Err(format!("the value of {name:?} has characters that RFC 6750 does not allow"));
            }
            if parameters.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(format!("{name:?} is there twice"));
            }
            rest = after;
            separator = ", ";
        }
        Ok(Self { parameters })
    }

    /// A parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The names of its parameters, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.parameters.keys().map(String::as_str).collect()
    }
}

#[test]
fn the_reader_takes_well_formed_challenges_alone() {
    let read = Challenge::parse("Bearer scope=\"a b\", resource_metadata=\"http://h/x?y='z'\"").unwrap();
    assert_eq!(read.names(), ["resource_metadata", "scope"]);
    assert_eq!(read.parameter("scope"), Some("a b"));
    assert_eq!(Challenge::parse("Bearer").unwrap().names(), [""; 0]);
    for wrong in [
        "Basic realm=\"x\"",
        "Bearer error=invalid_token",
        "Bearer error=\"a\" scope=\"b\"",
        "Bearer error=\"a\",scope=\"b\"",
        "Bearer error=\"a\", error=\"b\"",
        "Bearer error=\"a",
        "Bearer error=\"a\\\"b\"",
        "Bearer error=\"a\", ",
        "Bearer Error=\"a\"",
        "Bearer error=\"\u{e9}\"",
    ] {
        assert!(Challenge::parse(wrong).is_err(), "{wrong}");
    }
}
