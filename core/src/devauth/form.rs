//! The parameters of an OAuth request, from a query string or a form body.
//!
//! Owns the rules of RFC 6749 section 3: a parameter without a value counts as omitted, and none but
//! `resource` (RFC 8707) and the consent page's `scope` may be repeated.

use url::form_urlencoded;

use super::refusal::{ErrorCode, Refusal};

/// Parameters in the order sent.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a parameter that may be left out but not repeated.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Refusal::new(ErrorCode::InvalidRequest, format!("'{name}' is given twice"))),
            (value, None) => Ok(value),
        }
    }

    /// The value of a parameter that must be there once.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.one(name)?.ok_or_else(|| Refusal::new(ErrorCode::InvalidRequest, format!("'{name}' is missing")))
    }

    /// Every value of a parameter that may be repeated.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
